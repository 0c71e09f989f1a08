"""Kubernetes quantities: every form of the grammar, and nothing beside it."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.schedulers.kai.quantity import milli, parse, whole


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", "0"),
        ("500m", "0.5"),
        ("2639110113n", "2.639110113"),
        ("5u", "0.000005"),
        ("8Gi", str(8 << 30)),
        ("1.5Ki", "1536"),
        (".5", "0.5"),
        ("5.", "5"),
        ("1e3", "1000"),
        ("1E3", "1000"),
        ("1E", str(10**18)),
        ("2e-1", "0.2"),
        ("+7", "7"),
        ("129M", "129000000"),
        ("1Ei", str(1 << 60)),
    ],
)
def test_amounts(text: str, value: str) -> None:
    assert parse(text) == Decimal(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "NaN",
        "inf",
        "½",
        "٣",
        "1e309",
        "1 Gi",
        "1Gib",
        "Gi",
        "0x10",
        "1e",
        "9" * 65,
        "1,5",
    ],
)
def test_what_is_no_amount_is_unknown(text: str) -> None:
    assert parse(text) is None
    assert milli(text) is None
    assert whole(text) is None


def test_small_parts_are_rounded_up() -> None:
    assert milli("1n") == 1
    assert milli("2639110113n") == 2640
    assert whole("1500m") == 2
    assert (milli(2), whole(2), milli(None), whole(None)) == (2000, 2, None, None)
    assert milli(0.5) == 500


@given(st.integers(0, 10**9), st.sampled_from(["", "m", "u", "n", "k", "Ki", "Mi", "G"]))
def test_a_suffix_scales_exactly(number: int, suffix: str) -> None:
    scales = {"m": 3, "u": 6, "n": 9}
    value = parse(f"{number}{suffix}")
    assert value is not None
    if suffix in scales:
        assert value * 10 ** scales[suffix] == number
    else:
        factors = {"": 1, "k": 1000, "Ki": 1024, "Mi": 1 << 20, "G": 10**9}
        assert value == number * factors[suffix]


@given(st.text(max_size=80))
def test_no_text_breaks_it(text: str) -> None:
    value = parse(text)
    assert value is None or value >= 0
