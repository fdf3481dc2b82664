"""Kubernetes quantities such as `128Mi`, read as bytes and written back.

Called by the Kubernetes analyzers and by the causes that suggest a limit. It knows memory, not milli-cores.
"""

import math
import re
from decimal import Decimal

MEBIBYTE = 1024 * 1024
_STEP = 16 * MEBIBYTE
_FORM = re.compile(r"(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?P<unit>[KMGTPE]i|[kMGTPE])?")
_UNITS = {"": 1, "k": 10**3, "Ki": 2**10}
_UNITS |= {f"{letter}i": 2 ** (10 * power) for power, letter in enumerate("MGTPE", start=2)}
_UNITS |= {letter: 10 ** (3 * power) for power, letter in enumerate("MGTPE", start=2)}


def bytes_of(text: object) -> int | None:
    """Bytes of a quantity; None for what is not one (absent, milli-units, words)."""
    found = _FORM.fullmatch(str(text).strip()) if text is not None else None
    if not found:
        return None
    return int(Decimal(found["number"]) * _UNITS[found["unit"] or ""])


def text_of(number_of_bytes: float) -> str:
    """The shortest exact binary quantity: `256Mi`, `2Gi`; bytes where it is no whole number of mebibytes."""
    whole = int(number_of_bytes)
    for unit in ("Gi", "Mi", "Ki"):
        if whole and whole % _UNITS[unit] == 0:
            return f"{whole // _UNITS[unit]}{unit}"
    return str(whole)


def larger_limit(limit_bytes: int, peak_bytes: float = 0.0) -> str:
    """A limit to try next: twice the present one, at least 1.3 times the largest working set seen, in steps of 16Mi."""
    wanted = max(2 * limit_bytes, 1.3 * peak_bytes)
    return text_of(math.ceil(wanted / _STEP) * _STEP)
