"""Runbooks: YAML graphs of steps, checked when they are loaded, with the line of every mistake.

Called by `flow/plan.py`, which fills a runbook's parameters from a hypothesis and turns its steps into a change.
Nothing here runs a step.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from toban.errors import ConfigurationError, InvalidInputError
from toban.kit import dag, template
from toban.model.record import Record
from toban.model.service import ObjectRef

_NAME = r"^[a-z][a-z0-9-]{1,60}$"
_STEP = r"^[a-z][a-z0-9_]{0,40}$"


class Title(Record):
    """A title in both languages."""

    en: str
    ja: str


class RunbookStep(Record):
    """One node: an action with templated parameters, after the steps it depends on."""

    id: str = Field(pattern=_STEP)
    title: Title
    action: str
    params: dict[str, Any] = {}
    depends_on: tuple[str, ...] = ()


class SnapshotInput(Record):
    """An object's content as Toban saw it last; `content` and `seen_at` are for the templates."""

    kind: str
    namespace: str
    name: str


class Runbook(Record):
    """A template of a change. `causes` are the hypotheses it can cure; `parameters` must be among their facts."""

    name: str = Field(pattern=_NAME)
    version: int = Field(ge=1)
    title: Title
    why: Title
    causes: tuple[str, ...]
    parameters: tuple[str, ...]
    snapshots: dict[str, SnapshotInput] = {}
    steps: tuple[RunbookStep, ...] = Field(min_length=1)

    def missing(self, facts: Mapping[str, Any]) -> list[str]:
        """Parameters that `facts` do not give."""
        return [name for name in self.parameters if facts.get(name) in {None, ""}]

    def wanted_snapshots(self, facts: Mapping[str, Any]) -> dict[str, ObjectRef]:
        """Which objects' last content the steps need. Raises InvalidInputError."""
        values = {name: facts[name] for name in self.parameters}
        return {
            name: ObjectRef(**template.render_tree(wanted.model_dump(), values))
            for name, wanted in self.snapshots.items()
        }

    def filled(
        self, facts: Mapping[str, Any], snapshots: Mapping[str, Any]
    ) -> list[tuple[RunbookStep, dict[str, Any]]]:
        """Steps in order with their parameters filled. Raises InvalidInputError."""
        absent = self.missing(facts)
        if absent:
            raise InvalidInputError(f"runbook {self.name} needs {', '.join(absent)}")
        values = {name: facts[name] for name in self.parameters} | dict(snapshots)
        by_id = {step.id: step for step in self.steps}
        return [
            (by_id[name], template.render_tree(by_id[name].params, values))
            for name in dag.order({step.id: step.depends_on for step in self.steps})
        ]


def parse(content: str, where: str, actions: Iterable[str]) -> Runbook:
    """A runbook from YAML. Raises ConfigurationError with `where` and line for every mistake."""
    try:
        node = yaml.compose(content, Loader=yaml.SafeLoader)
        data = yaml.safe_load(content)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise ConfigurationError([f"{where}:{line}: {error.problem}"]) from error
    lines: dict[tuple[Any, ...], int] = {}
    _mark(node, (), lines)
    try:
        runbook = Runbook.model_validate(data)
    except ValidationError as error:
        raise ConfigurationError(
            [
                f"{where}:{_line(lines, one['loc'])}: {'.'.join(map(str, one['loc']))}: {one['msg']}"
                for one in error.errors()
            ]
        ) from error
    problems = _check(runbook, frozenset(actions), lines)
    if problems:
        raise ConfigurationError([f"{where}:{line}: {problem}" for line, problem in problems])
    return runbook


def _mark(node: yaml.Node | None, where: tuple[Any, ...], lines: dict[tuple[Any, ...], int]) -> None:
    if node is None:
        return
    lines[where] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            _mark(value, (*where, key.value), lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _mark(value, (*where, index), lines)


def _line(lines: dict[tuple[Any, ...], int], where: tuple[Any, ...]) -> int:
    return next((lines[where[:length]] for length in range(len(where), -1, -1) if where[:length] in lines), 0)


def _check(runbook: Runbook, actions: frozenset[str], lines: dict[tuple[Any, ...], int]) -> list[tuple[int, str]]:
    problems: list[tuple[int, str]] = []
    ids = [step.id for step in runbook.steps]
    for index, step in enumerate(runbook.steps):
        line = _line(lines, ("steps", index, "action"))
        if step.action not in actions:
            problems.append((line, f"step {step.id}: there is no action {step.action}"))
        if ids.count(step.id) > 1:
            problems.append((_line(lines, ("steps", index)), f"step {step.id}: the id is used twice"))
        problems.extend(
            (_line(lines, ("steps", index, "depends_on")), f"step {step.id}: depends on {before}, which is no step")
            for before in step.depends_on
            if before not in ids
        )
    if not problems:
        try:
            dag.order({step.id: step.depends_on for step in runbook.steps})
        except ValueError as error:
            problems.append((_line(lines, ("steps",)), f"steps wait for each other: {error}"))
    return problems


def load_folder(folder: Path, actions: Iterable[str]) -> dict[str, Runbook]:
    """All `*.yaml` of a folder by name. Raises ConfigurationError."""
    known = frozenset(actions)
    loaded: dict[str, Runbook] = {}
    for path in sorted(folder.glob("*.yaml")):
        runbook = parse(path.read_text("utf-8"), str(path), known)
        if runbook.name in loaded:
            raise ConfigurationError([f"{path}: there is another runbook named {runbook.name}"])
        loaded[runbook.name] = runbook
    return loaded


@cache
def library(actions: frozenset[str]) -> dict[str, Runbook]:
    """The shipped runbooks whose actions are all there: without Kubernetes there is nothing to roll back."""
    folder = Path(str(resources.files("toban.runbooks").joinpath("library")))
    loaded: dict[str, Runbook] = {}
    for path in sorted(folder.glob("*.yaml")):
        needed = {step["action"] for step in yaml.safe_load(path.read_text("utf-8"))["steps"]}
        if needed <= actions:
            runbook = parse(path.read_text("utf-8"), path.name, actions)
            loaded[runbook.name] = runbook
    return loaded
