"""Write the tables of docs/configuration.md from the settings models, so that no setting is undocumented.

Run by `make docs`; with `--check`, by `make lint`, it only says whether the page is current. It reads no configuration
file and no variable. A setting without a description, here or in its model, is an error.
"""

import argparse
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from toban import settings
from toban.plugins import registry

_PAGE = Path(__file__).parent.parent / "docs" / "configuration.md"
_BEGIN, _END = "<!-- begin: written by make docs -->", "<!-- end: written by make docs -->"

# For models that say it in their docstring instead of field by field.
_WORDS = {
    "integrations.alertmanager.token": "bearer token that Alertmanager must send; needed outside loopback",
    "integrations.alertmanager.token_previous": "an older token that is still accepted while senders are moved",
    "integrations.kubernetes.kubeconfig": "kubeconfig file; without it `KUBECONFIG`, then `~/.kube/config`",
    "integrations.kubernetes.context": "context of the kubeconfig; without it the current one",
    "integrations.kubernetes.timeout_s": "one request with its retries, in seconds",
    "integrations.kubernetes.in_cluster": "use the service account of the pod that Toban runs in",
    "integrations.prometheus.url": "address of Prometheus; it may have a path, as behind a proxy",
    "integrations.prometheus.token": "bearer token for Prometheus",
    "integrations.prometheus.timeout_s": "one read with its retries, in seconds",
}


def _plain(annotation: Any) -> Any:
    """The annotation without `| None`."""
    if typing.get_origin(annotation) in {typing.Union, types.UnionType}:
        kept = [one for one in typing.get_args(annotation) if one is not types.NoneType]
        return kept[0] if len(kept) == 1 else annotation
    return annotation


def _is_group(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _groups(name: str, model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    """The group and all groups within it, depth first."""
    yield name, model
    for field, info in model.model_fields.items():
        inner, path = _plain(info.annotation), f"{name}.{field}"
        while typing.get_origin(inner) is dict:  # a group for each key: cells.ENVIRONMENT.RISKLEVEL
            key, inner = typing.get_args(inner)
            path += f".{key.__name__.upper()}"
        if _is_group(inner):
            yield from _groups(path, inner)


def groups() -> Iterator[tuple[str, type[BaseModel]]]:
    """Every group of settings by its dotted name."""
    for field, info in settings.Settings.model_fields.items():
        if field not in {"home", "integrations"}:
            yield from _groups(field, typing.cast("type[BaseModel]", info.annotation))
    for name, integration in registry.integrations().items():
        yield from _groups(f"integrations.{name}", integration.settings)


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "must be given"
    value = info.get_default(call_default_factory=True)
    if value is None:
        return "none"
    if value == "":
        return "empty"
    if isinstance(value, (tuple, list, set, frozenset)):
        return f"`[{', '.join(map(str, value))}]`"
    if isinstance(value, dict):
        return "`{}`" if not value else f"`{value}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _limits(info: FieldInfo) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = [
        f"{sign} {getattr(rule, name):g}"
        for rule in info.metadata
        for name, sign in signs.items()
        if getattr(rule, name, None) is not None
    ]
    return ", ".join(found)


def rows(name: str, model: type[BaseModel]) -> Iterator[str]:
    """The table's rows of one group. Raises LookupError for a setting that nothing describes."""
    for field, info in model.model_fields.items():
        if _is_group(_plain(info.annotation)):
            continue
        dotted = f"{name}.{field}"
        words = info.description or _WORDS.get(dotted)
        if not words:
            raise LookupError(f"{dotted} has no description; give its Field one")
        limits = _limits(info)
        yield f"| `{dotted}` | {_default(info)} | {words}{f' ({limits})' if limits else ''} |"


def tables() -> str:
    """The generated part of the page."""
    lines = []
    for name, model in groups():
        found = list(rows(name, model))
        if not found:
            continue
        summary = " ".join((model.__doc__ or "").split())
        lines += [f"### {name}", "", summary, "", "| setting | default | meaning |", "|---|---|---|", *found, ""]
    return "\n".join(lines)


def rewritten(page: str) -> str:
    """The page with its generated part renewed. Raises ValueError where the marks are missing."""
    before, _, rest = page.partition(_BEGIN)
    _, mark, after = rest.partition(_END)
    if not mark:
        raise ValueError(f"{_PAGE.name} lost its marks {_BEGIN} and {_END}")
    return f"{before}{_BEGIN}\n\n{tables()}\n{_END}{after}"


def main() -> int:
    """Write the page, or check it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where the page is not current")
    asked = parser.parse_args()
    page = _PAGE.read_text("utf-8")
    try:
        wanted = rewritten(page)
    except (LookupError, ValueError) as error:
        print(f"error: {error.args[0]}", file=sys.stderr)
        return 1
    if asked.check and wanted != page:
        print("docs/configuration.md is not current; run `make docs`", file=sys.stderr)
        return 1
    if not asked.check:
        _PAGE.write_text(wanted, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
