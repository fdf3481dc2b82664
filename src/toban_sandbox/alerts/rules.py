"""Alert rules in Prometheus's file format: loaded once, with the line of every mistake. Read by `evaluation`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from toban_sandbox import documents
from toban_sandbox.alerts import templating
from toban_sandbox.alerts.templating import Template, TemplateError
from toban_sandbox.promql import tree
from toban_sandbox.promql.check import type_of
from toban_sandbox.promql.errors import PromQLError
from toban_sandbox.promql.parser import parse
from toban_sandbox.promql.printer import show

DEFAULT_PATH = Path(__file__).with_name("rules.yaml")


@dataclass(frozen=True)
class Rule:
    """One alert rule; `query` is the expression in Prometheus's own spelling."""

    name: str
    query: str
    expr: tree.Expr
    for_s: float
    labels: dict[str, str]
    annotations: dict[str, str]
    templates: dict[str, Template] = field(repr=False)

    def rendered(self, kind: str, *, labels: dict[str, str], value: float) -> dict[str, str]:
        """The rule's `labels` or `annotations` with their templates filled in."""
        named = self.labels if kind == "labels" else self.annotations
        return {name: self.templates[f"{kind}.{name}"].render(labels=labels, value=value) for name in named}


@dataclass(frozen=True)
class Group:
    """Rules that are evaluated together."""

    name: str
    interval_s: float
    rules: tuple[Rule, ...]


def load(path: Path = DEFAULT_PATH) -> tuple[Group, ...]:
    """The file's groups. Raises DocumentError with the line of what is wrong."""
    document = documents.load(path)
    groups = tuple(_group(section) for section in document.sections("groups"))
    document.finish()
    return groups


def _group(section: documents.Section) -> Group:
    group = Group(
        section.text("name"),
        section.seconds("interval", "60s"),
        tuple(_rule(rule) for rule in section.sections("rules")),
    )
    section.finish()
    return group


def _rule(section: documents.Section) -> Rule:
    if "record" in section:
        raise section.error("recording rules are not supported by the sandbox; write the expression into the alert")
    text = section.text("expr").strip()
    try:
        expr = parse(text)
    except PromQLError as error:
        raise section.error(f"`expr` cannot be parsed: {error}", "expr") from error
    if type_of(expr) not in (tree.Type.VECTOR, tree.Type.SCALAR):
        raise section.error(f"`expr` must yield an instant vector, not a {type_of(expr)}", "expr")
    labels, annotations = section.texts("labels"), section.texts("annotations")
    templates: dict[str, Template] = {}
    for kind, texts in (("labels", labels), ("annotations", annotations)):
        for name, template in texts.items():
            try:
                templates[f"{kind}.{name}"] = templating.parse(template)
            except TemplateError as error:
                raise section.error(f"the template of `{name}`: {error}", kind) from error
    rule = Rule(section.text("alert"), show(expr), expr, section.seconds("for", "0s"), labels, annotations, templates)
    section.finish()
    return rule
