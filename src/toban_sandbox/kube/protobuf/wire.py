"""The protobuf wire format: a message's bytes as field numbers with raw values. It knows no message.

Used by the decoder of Kubernetes' messages. Groups, which nobody sends any more, are refused.
"""

from collections.abc import Iterator
from typing import NamedTuple

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_CONTINUES = 0x80
_SEVEN_BITS = 0x7F
_LONGEST_VARINT = 10
_SIGN, _RANGE = 1 << 63, 1 << 64


class WireError(ValueError):
    """The bytes are no protobuf message; the message says why."""


class Raw(NamedTuple):
    """One field as it stands on the wire: a whole number, or bytes."""

    number: int
    value: int | bytes


def fields(data: bytes) -> Iterator[Raw]:
    """The fields of a message in their order; WireError when the bytes are none."""
    at, end = 0, len(data)
    while at < end:
        key, at = _varint(data, at)
        number, form = key >> 3, key & 7
        if number <= 0:
            raise WireError(f"illegal tag {number} (wire type {form})")
        if form == _VARINT:
            value, at = _varint(data, at)
            yield Raw(number, value - _RANGE if value & _SIGN else value)
        elif form in {_FIXED64, _FIXED32}:
            at, chunk = _take(data, at, 8 if form == _FIXED64 else 4)
            yield Raw(number, chunk)
        elif form == _BYTES:
            length, at = _varint(data, at)
            at, chunk = _take(data, at, length)
            yield Raw(number, chunk)
        else:
            raise WireError(f"illegal wireType {form}")


def whole_numbers(packed: bytes) -> Iterator[int]:
    """The numbers of a packed list."""
    at = 0
    while at < len(packed):
        value, at = _varint(packed, at)
        yield value - _RANGE if value & _SIGN else value


def _take(data: bytes, at: int, length: int) -> tuple[int, bytes]:
    if length > len(data) - at:
        raise WireError("unexpected EOF")
    return at + length, data[at : at + length]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for turn in range(_LONGEST_VARINT):
        if at >= len(data):
            raise WireError("unexpected EOF")
        byte = data[at]
        at += 1
        value |= (byte & _SEVEN_BITS) << (7 * turn)
        if not byte & _CONTINUES:
            return value & (_RANGE - 1), at
    raise WireError("integer overflow")
