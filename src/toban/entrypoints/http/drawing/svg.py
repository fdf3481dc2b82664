"""SVG elements as escaped markup, and how wide a text is at most. The pictures of this package are built from it.

Colours come from the page's style sheet by class, so that one picture serves light, dark and print.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from toban.kit import text as texts

Value = str | float | None

_NARROW = frozenset("ijl.,:;|!'()[]{}ft /I")
_BROAD = frozenset("mwMW@%&—…")


def number(value: float) -> str:
    """A coordinate with at most two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".") or "0"


def element(name: str, children: Markup | str = "", **attributes: Value) -> Markup:
    """`<name …>children</name>`; in attribute names `_` stands for `-` (not at their end), None is left out."""
    written = Markup()
    for key, value in attributes.items():
        if value is None:
            continue
        shown = value if isinstance(value, str) else number(value)
        written += Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), texts.visible(shown))
    inner = children if isinstance(children, Markup) else escape(texts.visible(children))
    return Markup("<{name}{attributes}>{inner}</{name}>").format(name=Markup(name), attributes=written, inner=inner)  # noqa: S704 - names are ours


def join(parts: Sequence[Markup]) -> Markup:
    """The parts one after the other."""
    return Markup().join(parts)


def points(path: Sequence[tuple[float, float]]) -> str:
    """Coordinates as a `points` attribute."""
    return " ".join(f"{number(x)},{number(y)}" for x, y in path)


@dataclass(frozen=True)
class Box:
    """A rectangle in the picture's units."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """From left to right."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """From top to bottom."""
        return self.bottom - self.top


@dataclass(frozen=True)
class Picture:
    """A drawn picture: its frame, its content, and what it shows in words."""

    frame: Box
    body: Markup
    title: str
    text: str = ""

    def markup(self, *, id_: str, class_: str = "") -> Markup:
        """The whole `<svg>`; `id_` must be unique on the page, it ties title and text to the picture."""
        frame = self.frame
        head = element("title", self.title, id=f"{id_}-t")
        if self.text:
            head += element("desc", self.text, id=f"{id_}-d")
        return element(
            "svg",
            head + self.body,
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"{number(frame.left)} {number(frame.top)} {number(frame.width)} {number(frame.height)}",
            width=frame.width,
            height=frame.height,
            role="img",
            aria_labelledby=f"{id_}-t",
            aria_describedby=f"{id_}-d" if self.text else None,
            class_=f"picture {class_}".strip(),
        )


def text_width(words: str, size: float) -> float:
    """How wide `words` are at most at a font size, whichever sans-serif font the viewer has."""
    return sum(_share(character) for character in texts.visible(words)) * size


def _share(character: str) -> float:
    if unicodedata.east_asian_width(character) in {"W", "F", "A"}:
        return 1.0
    if character in _NARROW:
        return 0.4
    if character in _BROAD:
        return 1.0
    return 0.74 if character.isupper() else 0.645


def fitted(words: str, size: float, room: float) -> str:
    """`words`, cut with an ellipsis where they would be wider than `room`."""
    plain = texts.visible(words)
    if text_width(plain, size) <= room:
        return plain
    kept = ""
    for character in plain:
        if text_width(kept + character + "…", size) > room:
            break
        kept += character
    return kept.rstrip() + "…"


def wrapped(words: str, size: float, room: float, *, lines: int = 2) -> list[str]:
    """`words` in at most `lines` lines of `room` each, broken at spaces and separators; the rest is cut."""
    result: list[str] = []
    rest = " ".join(texts.visible(words).split())
    while rest and len(result) < lines - 1:
        if text_width(rest, size) <= room:
            break
        cut = _break(rest, size, room)
        result.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    if rest:
        result.append(fitted(rest, size, room))
    return result


def _break(words: str, size: float, room: float) -> int:
    fits = 1
    while fits < len(words) and text_width(words[: fits + 1], size) <= room:
        fits += 1
    for at in range(fits, fits // 3, -1):
        before, after = words[at - 1], words[at : at + 1]
        if before in " -/_.:" or after == " " or (before.islower() and after.isupper()):
            return at
    return fits
