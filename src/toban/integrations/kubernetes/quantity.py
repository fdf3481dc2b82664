"""Kubernetes quantities of memory, such as 512Mi, as bytes. Used by `memory_limit`."""

import math
import re
from decimal import Decimal

_FORM = re.compile(
    r"(?P<number>[0-9]{1,20}(?:\.[0-9]{1,12})?)"
    r"(?:(?P<suffix>[KMGTPE]i|[mkMGTPE])|[eE](?P<exponent>[+-]?[0-9]{1,2}))?"
)
_SUFFIXES = {
    "m": Decimal("0.001"),
    **{name: Decimal(1000) ** power for power, name in enumerate("kMGTPE", start=1)},
    **{f"{name}i": Decimal(1024) ** power for power, name in enumerate("KMGTPE", start=1)},
}


def in_bytes(text: str) -> int:
    """`text` in bytes, rounded up as Kubernetes does. Raises ValueError for anything that is no quantity."""
    found = _FORM.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is not a quantity of memory; write it like 512Mi or 1Gi")
    number = Decimal(found["number"])
    if found["exponent"]:
        return math.ceil(number.scaleb(int(found["exponent"])))
    return math.ceil(number * _SUFFIXES[found["suffix"]]) if found["suffix"] else math.ceil(number)
