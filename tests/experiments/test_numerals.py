"""Numbers in text compare as numbers, exactly."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.experiments.numerals import canon, key, spelled


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1e-3", "0.001"),
        ("1", "1.0"),
        ("+5", "5"),
        (" 7 ", "7"),
        ("nan", "NaN"),
        ("-nan", "NaN"),
        ("inf", "+Infinity"),
        ("-0.0", "0"),
        (".5", "0.50"),
    ],
)
def test_alike(one: str, other: str) -> None:
    assert canon(one) == canon(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("9007199254740993", "9007199254740992"),  # one float, two seeds
        ("inf", "-inf"),
        ("1.1", "1.1.0"),
        ("True", "true"),
        ("0x10", "16"),
        ("1_000", "1000"),
        ("inf", "=inf"),
        ("nan", "0"),
        ("٣", "3"),
    ],
)
def test_different(one: str, other: str) -> None:
    assert canon(one) != canon(other)


def test_what_is_no_number() -> None:
    assert [key(t) for t in ("", "adam", "1e", "--1", "1e99999999999", "0" * 5000)] == [None] * 6


@given(st.floats())
def test_every_spelling_of_a_float_is_that_float(value: float) -> None:
    spellings = [repr(value), f"{value:.17e}", str(value).upper()]
    read = [float(s) for s in spellings]
    assert all(math.isnan(r) for r in read) or len(set(read)) == 1
    assert canon(repr(value)) == canon(repr(value).upper())


@given(st.lists(st.none() | st.floats(), max_size=5))
def test_texts_are_alike_exactly_where_the_numbers_are(values: list[float | None]) -> None:
    texts = spelled(values)
    for one, text in zip(values, texts, strict=True):
        assert (one is None) == (text is None)
        for other, other_text in zip(values, texts, strict=True):
            if one is None or other is None:
                continue
            same = one == other or (math.isnan(one) and math.isnan(other))
            assert same == (text == other_text), (one, other, texts)


def test_six_digits_are_enough_where_they_tell_apart() -> None:
    assert spelled([1 / 3, 0.5, None, math.nan, -math.inf]) == (
        "0.333333",
        "0.5",
        None,
        "NaN",
        "-∞",
    )
    assert spelled([0.12345678, 0.12345679]) == ("0.12345678", "0.12345679")
