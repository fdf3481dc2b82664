"""The table of field numbers, read once from `numbers.txt` and joined with what each field holds."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from toban_sandbox.kube import shapes

_FILE = Path(__file__).with_name("numbers.txt")


class Field(NamedTuple):
    """One field of a message.

    `form` tells what it holds (None for `inlined` fields of another message), `keeps_zero` whether an empty value
    counts, and `special` is `bytes`, `lists` or nothing.
    """

    name: str
    form: shapes.Form | None
    keeps_zero: bool = False
    special: str = ""
    inlined: "Mapping[int, Field] | None" = None


@functools.cache
def of(module: str, message: str, owner: str = "") -> Mapping[int, Field] | None:
    """A message's fields by number; None when the table does not have it.

    A message that only groups fields of its `owner` has no model: what they hold is told by the owner's.
    """
    words = _table().get((module, message))
    if words is None:
        return None
    forms = shapes.fields_of(module, message) or shapes.fields_of(module, owner)
    found = {}
    for word in words:
        name, _, rest = word.partition("=")
        text, _, special = rest.partition(":")
        number = int(text.rstrip("!"))
        if name.startswith("+"):
            found[number] = Field("", None, inlined=of(module, name[1:], message))
        else:
            found[number] = Field(name, forms.get(name), text.endswith("!"), special)
    return found


def modules() -> list[tuple[str, str]]:
    """Every message of the table, as (module, message)."""
    return list(_table())


@functools.cache
def _table() -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    module, words = "", []
    for line in _FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            module = line.strip("[]")
        elif line.startswith("  "):
            words += line.split()
        elif line and not line.startswith("#"):
            message, _, rest = line.partition(":")
            words = found[module, message] = rest.split()
    return found
