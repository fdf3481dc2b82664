"""Resource quantities such as `250m`, `128Mi` and `2`."""

import re

_FORM = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?\d+)?\Z")
_SCALE = {
    "": 1.0,
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
    "E": 1e18,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
    "Pi": 2.0**50,
    "Ei": 2.0**60,
}


def parse(value: object) -> float:
    """The number behind a quantity (bytes, cores or a count); ValueError when it is none."""
    found = _FORM.match(str(value).strip())
    if found is None:
        raise ValueError(f"not a quantity: {value!r}")
    number, suffix = found.group(1), found.group(2) or ""
    if suffix[:1] in {"e", "E"} and len(suffix) > 1 and suffix not in _SCALE:
        return float(number + suffix)
    return float(number) * _SCALE[suffix]


def is_quantity(value: object) -> bool:
    return not isinstance(value, bool) and _FORM.match(str(value)) is not None


def text(value: float, *, binary: bool = False) -> str:
    """A number as the shortest quantity without a fraction: `250m`, `2`, or with `binary` `128Mi`."""
    if not binary:
        thousandths = round(value * 1000)
        return f"{thousandths // 1000}" if thousandths % 1000 == 0 else f"{thousandths}m"
    whole = round(value)
    for suffix in ("Ti", "Gi", "Mi", "Ki"):
        if whole and whole % int(_SCALE[suffix]) == 0:
            return f"{whole // int(_SCALE[suffix])}{suffix}"
    return str(whole)


def mebibytes(value: float) -> str:
    """A number of bytes in the words of kubelet messages."""
    return f"{round(value / 2**20)}Mi"
