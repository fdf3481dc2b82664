"""Text from outside made safe to look at: hidden characters shown, length bounded."""

import unicodedata

_KEPT = {"\n", "\t"}


def visible(text: str) -> str:
    """`text` with control, bidirectional and zero-width characters replaced by `<U+XXXX>`."""
    return "".join(
        character
        if character in _KEPT or unicodedata.category(character) not in {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
        else f"<U+{ord(character):04X}>"
        for character in text
    )


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters, with an ellipsis where something was cut."""
    return text if len(text) <= limit else text[: max(limit - 1, 0)] + "…"


def quoted(text: str, limit: int = 400) -> str:
    """One line of outside text for a sentence: visible, single-spaced, bounded."""
    return shorten(" ".join(visible(text).split()), limit)
