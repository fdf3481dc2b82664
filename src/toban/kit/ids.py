"""Ids that a person can say aloud, such as `INC-0042`."""

import re

_FORM = re.compile(r"(?P<prefix>[A-Z]{3})-(?P<number>\d{4,12})")


def spoken(prefix: str, number: int) -> str:
    """`spoken("INC", 42)` is `INC-0042`; numbers above 9999 take more digits."""
    return f"{prefix}-{number:04d}"


def parse(text: str) -> tuple[str, int] | None:
    """Prefix and number of a spoken id, lower case allowed; None when `text` is not one."""
    found = _FORM.fullmatch(text.strip().upper())
    return (found["prefix"], int(found["number"])) if found else None
