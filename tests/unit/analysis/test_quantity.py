"""Kubernetes quantities: read as bytes, written back, and the limit to try next."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toban.analysis import quantity

MI = quantity.MEBIBYTE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("128Mi", 128 * MI),
        ("1Gi", 1024 * MI),
        ("1.5Gi", 1536 * MI),
        ("128974848", 128974848),
        ("129e6", 129_000_000),
        ("129M", 129_000_000),
        ("64k", 64_000),
        ("100m", None),
        ("", None),
        ("lots", None),
        (None, None),
    ],
)
def test_a_quantity_is_read_as_bytes_or_not_at_all(text, expected):
    assert quantity.bytes_of(text) == expected


@given(st.integers(1, 2**50))
def test_writing_and_reading_a_quantity_gives_the_same_bytes(number):
    assert quantity.bytes_of(quantity.text_of(number)) == number


@pytest.mark.parametrize(
    ("limit", "peak", "expected"),
    [
        (128 * MI, 0, "256Mi"),
        (128 * MI, 127 * MI, "256Mi"),
        (100 * MI, 300 * MI, "400Mi"),
        (512 * MI, 0, "1Gi"),
        (100_000_000, 0, "192Mi"),
    ],
)
def test_the_next_limit_is_twice_the_old_or_above_the_peak_in_steps_of_16_mebibytes(limit, peak, expected):
    assert quantity.larger_limit(limit, peak) == expected


@given(st.integers(1, 2**40), st.floats(0, 2**41))
def test_the_next_limit_always_leaves_room(limit, peak):
    chosen = quantity.bytes_of(quantity.larger_limit(limit, peak))

    assert chosen >= 2 * limit
    assert chosen >= 1.3 * peak
    assert chosen % (16 * MI) == 0
