"""Templates that users write: sandboxed, strict about unknown names, bounded in size."""

import re
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from toban.errors import InvalidInputError

_LIMIT = 4_000
_WHOLE = re.compile(r"\{\{((?:(?!\{\{|\}\}).)+)\}\}", re.DOTALL)
_environment = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False)


def render(template: str, values: dict[str, Any]) -> Any:
    """`template` filled with `values`.

    A template that is one `{{ expression }}` gives the value itself with its type; any other gives text. Raises
    InvalidInputError for unknown names, bad syntax and long results.
    """
    whole = _WHOLE.fullmatch(template.strip())
    try:
        if whole:
            value = _environment.compile_expression(whole[1].strip(), undefined_to_none=False)(values)
            if isinstance(value, jinja2.Undefined):
                raise InvalidInputError(f"template {template!r} names something that is not there")
            return value
        filled = _environment.from_string(template).render(values)
    except jinja2.TemplateError as error:
        raise InvalidInputError(f"template {template!r}: {error}") from error
    if len(filled) > _LIMIT:
        raise InvalidInputError(f"template {template!r} gives more than {_LIMIT} characters")
    return filled


def render_tree(value: Any, values: dict[str, Any]) -> Any:
    """`value` with every string in it rendered; the form stays."""
    if isinstance(value, str):
        return render(value, values) if "{" in value else value
    if isinstance(value, dict):
        return {key: render_tree(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [render_tree(item, values) for item in value]
    return value
