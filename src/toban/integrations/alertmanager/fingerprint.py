"""Alertmanager's fingerprint of a label set: FNV-1a, 64 bits, as 16 hexadecimal digits. Called by `payload`."""

from collections.abc import Mapping

_OFFSET = 0xCBF29CE484222325
_PRIME = 0x100000001B3
_SEPARATOR = b"\xff"


def of_labels(labels: Mapping[str, str]) -> str:
    """The hash over the labels in order of their names, each name and value followed by a byte 255."""
    value = _OFFSET
    for name in sorted(labels):
        for byte in name.encode() + _SEPARATOR + labels[name].encode() + _SEPARATOR:
            value = ((value ^ byte) * _PRIME) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"
