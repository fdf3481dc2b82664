"""Numbers and durations in Prometheus's spelling, arithmetic with Go's answers. Used by parser, evaluator and APIs."""

from __future__ import annotations

import math
import re
import struct

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_536_000_000}
_DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII)
_ORDER = ("y", "w", "d", "h", "m", "s", "ms")
_SMALL, _LARGE = 1e-6, 1e21

# A quiet NaN with a payload of its own marks the end of a series; an ordinary NaN is a value.
_STALE_BITS = b"\x7f\xf8\x00\x00\x00\x00\x00\x02"
STALE: float = struct.unpack(">d", _STALE_BITS)[0]


def is_stale(value: float) -> bool:
    return math.isnan(value) and struct.pack(">d", value) == _STALE_BITS


def parse_duration(text: str) -> int | None:
    """Milliseconds of `1h30m` and its like; None when the text is not a duration."""
    match = _DURATION.fullmatch(text)
    if not match or not text:
        return None
    return sum(int(count) * _UNITS_MS[unit] for unit, count in zip(_ORDER, match.groups(), strict=True) if count)


def show_duration(milliseconds: int) -> str:
    """The duration as PromQL writes it, with the largest units first: 5400000 is `1h30m`."""
    if milliseconds == 0:
        return "0s"
    rest, parts = abs(milliseconds), []
    for unit in _ORDER:
        # Prometheus uses years, weeks and days only when nothing remains below them.
        if unit in ("y", "w") and rest % _UNITS_MS[unit]:
            continue
        count, rest = divmod(rest, _UNITS_MS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return ("-" if milliseconds < 0 else "") + "".join(parts)


def parse_number(text: str) -> float | None:
    """The value of a PromQL number literal, or None."""
    lowered = text.lower()
    bare = lowered.lstrip("+-")
    if bare in ("inf", "nan"):
        return float(lowered)
    try:
        return float(int(lowered, 16)) if bare.startswith("0x") else float(lowered)
    except (ValueError, OverflowError):
        return None


def show_number(value: float, *, exponents: bool = True) -> str:
    """The value as Prometheus's API writes it: shortest digits, `NaN`, `+Inf`, `-Inf`.

    Outside 1e-6 to 1e21 it has an exponent, unless `exponents` is off, as in a scalar result.
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    digits = repr(value)
    plain = not exponents or _SMALL <= abs(value) < _LARGE
    if "e" not in digits and plain:
        return digits.removesuffix(".0")
    return _positional(digits) if plain else _scientific(digits)


def _split(digits: str) -> tuple[str, str, int]:
    """The sign, the significant digits and the decimal exponent of the first digit."""
    sign = "-" if digits.startswith("-") else ""
    mantissa, _, exponent = digits.lstrip("-").partition("e")
    whole, _, fraction = mantissa.partition(".")
    power = int(exponent or 0) + len(whole) - 1
    significant = whole + fraction
    stripped = significant.lstrip("0")
    power -= len(significant) - len(stripped)
    return sign, stripped.rstrip("0") or "0", power


def _positional(digits: str) -> str:
    sign, significant, power = _split(digits)
    if power < 0:
        return f"{sign}0.{'0' * (-power - 1)}{significant}"
    whole = significant[: power + 1].ljust(power + 1, "0")
    fraction = significant[power + 1 :]
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


def _scientific(digits: str) -> str:
    sign, significant, power = _split(digits)
    fraction = f".{significant[1:]}" if len(significant) > 1 else ""
    return f"{sign}{significant[0]}{fraction}e{'-' if power < 0 else '+'}{abs(power):02d}"


def divide(left: float, right: float) -> float:
    """Division with IEEE 754's answers for a zero divisor."""
    if right != 0:
        return left / right
    if left == 0 or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1, right)


def modulo(left: float, right: float) -> float:
    """The remainder with the dividend's sign; NaN where it has no meaning."""
    if right == 0 or math.isinf(left):
        return math.nan
    return math.fmod(left, right)


def power(left: float, right: float) -> float:
    """Power with IEEE 754's answers instead of exceptions."""
    try:
        return math.pow(left, right)
    except OverflowError:
        return -math.inf if left < 0 and right % 2 == 1 else math.inf
    except ValueError:
        if left != 0:
            return math.nan
        return math.copysign(math.inf, left) if right % 2 == 1 else math.inf


def floor(value: float) -> float:
    return value if not math.isfinite(value) else float(math.floor(value))


def ceil(value: float) -> float:
    if not math.isfinite(value):
        return value
    return math.copysign(float(math.ceil(value)), value)
