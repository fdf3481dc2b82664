"""Lists and records on stdout in the form that was asked for: table, wide, JSON, YAML or names alone."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from toban.entrypoints.cli import terminal
from toban.entrypoints.cli.options import Format

Item = Mapping[str, Any]
_GAP = 2
_NARROWEST = 8


@dataclass(frozen=True)
class Column:
    """One column: its title, what stands in it, and whether it gives way when the terminal is narrow."""

    title: str
    cell: Callable[[Item], object]
    wide: bool = False
    flexible: bool = False
    style: Callable[[Item], str] | None = None


def show_list(found: Item, columns: Sequence[Column], form: Format, *, empty: str = "", name: str = "id") -> None:
    """Print the API's `{items, next}`. An empty table says so on stderr, so that stdout stays empty."""
    if form in {"json", "yaml"}:
        show_data(found, form)
        return
    items = found["items"]
    if form == "name":
        sys.stdout.writelines(f"{item[name]}\n" for item in items)
        return
    if not items:
        terminal.progress().print(empty)
        return
    _table(items, [column for column in columns if form == "wide" or not column.wide])


def show_data(found: object, form: Format) -> None:
    """Print plain data as JSON or YAML."""
    if form == "yaml":
        import yaml

        yaml.safe_dump(found, sys.stdout, allow_unicode=True, sort_keys=False)
    else:
        sys.stdout.write(json.dumps(found, ensure_ascii=False, indent=2) + "\n")


def _table(items: Sequence[Item], columns: Sequence[Column]) -> None:
    from rich.text import Text

    from toban.entrypoints.cli.paper import fitted, padded

    console = terminal.data()
    rows = [[_shown(column.cell(item)) for column in columns] for item in items]
    widths = _widths(columns, rows, console.width)
    lines = [(None, [column.title for column in columns]), *zip(items, rows, strict=True)]
    for item, cells in lines:
        line = Text()
        for column, cell, width in zip(columns, cells, widths, strict=True):
            style = "bold" if item is None else (column.style(item) if column.style else "")
            line.append(padded(fitted(cell, width), width + _GAP), style)
        line.rstrip()
        console.print(line, no_wrap=True, overflow="ignore", crop=False)


def _shown(value: object) -> str:
    from toban.entrypoints.cli.speech import safe

    return safe(value) if value not in {None, ""} else "-"


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[str]], room: int) -> list[int]:
    from rich.cells import cell_len

    widths = [
        max(cell_len(column.title), *(cell_len(row[index]) for row in rows)) for index, column in enumerate(columns)
    ]
    over = sum(widths) + _GAP * (len(widths) - 1) - room
    for index in sorted(range(len(columns)), key=lambda index: -widths[index]):
        if over > 0 and columns[index].flexible:
            taken = min(over, max(widths[index] - _NARROWEST, 0))
            widths[index] -= taken
            over -= taken
    return widths


def age(value: object, now: datetime | None = None) -> str:
    """How long ago an API time is, in one unit: 42s, 7m, 3h, 5d."""
    if not isinstance(value, str):
        return ""
    seconds = max(int(((now or datetime.now(UTC)) - datetime.fromisoformat(value)).total_seconds()), 0)
    units = ((86400, "d"), (3600, "h"), (60, "m"))
    length, unit = next(((length, unit) for length, unit in units if seconds >= 2 * length), (1, "s"))
    return f"{seconds // length}{unit}"


def moment(value: object) -> str:
    """An API time in this machine's zone, to the second."""
    if not isinstance(value, str):
        return ""
    return datetime.fromisoformat(value).astimezone().strftime("%Y-%m-%d %H:%M:%S")
