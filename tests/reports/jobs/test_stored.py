"""Columns of whole numbers: rounding, their fields in the file, and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate import csvtext
from foundry_tui.reports import columns
from foundry_tui.reports.columns import PLACES, Kind
from foundry_tui.reports.jobs import stored

AMOUNTS = st.integers(0, 10**14)


def read(kind: Kind, units: str | int | None) -> object:
    """The value of a field as it is written."""
    (field,) = stored.written(kind, [units])
    return stored.value(kind, field)


@given(AMOUNTS)
def test_hours_are_rounded_as_they_are_elsewhere(milli_s: int) -> None:
    (units,) = stored.hours(np.array([milli_s])).tolist()
    assert read(Kind.HOURS, units) == columns.hours(milli_s)


@given(AMOUNTS, st.integers(1, 10**14))
def test_per_cent_is_rounded_as_it_is_elsewhere(part: int, more: int) -> None:
    whole = part + more
    (units,) = stored.pct(np.array([part]), np.array([whole])).tolist()
    assert read(Kind.PCT, units) == columns.rounded(Fraction(100 * part, whole), 2)


@given(st.integers(0, 10**9), st.integers(1, 10**6))
def test_half_goes_to_the_even_one(part: int, whole: int) -> None:
    assert stored.half_even(part, whole) == round(Fraction(part, whole))
    assert stored.half_evens(np.array([part]), np.array([whole])).tolist() == [
        round(Fraction(part, whole))
    ]


@given(st.lists(st.tuples(AMOUNTS, AMOUNTS, AMOUNTS), min_size=1, max_size=5))
def test_r10_parts_of_hours_add_up_to_the_hours_of_their_sum(
    amounts: list[tuple[int, int, int]],
) -> None:
    table = np.array(amounts).T
    parts = np.array(stored.parted_hours(*table))
    assert parts.sum(axis=0).tolist() == stored.hours(table.sum(axis=0)).tolist()
    for amount, units in zip(table.ravel().tolist(), parts.ravel().tolist(), strict=True):
        assert units in (amount // 360, -(-amount // 360)), "up or down, and nothing stays nothing"


def test_energy_has_four_places() -> None:
    units = stored.kwh(np.array([3_600_000.0, 179.9, 0.0])).tolist()
    assert list(stored.written(Kind.ENERGY, units)) == ["1.0000", "0.0000", "0.0000"]


@given(st.sampled_from(sorted(PLACES, key=str)), st.integers(-(10**15), 10**15))
def test_a_fixed_number_is_written_with_its_places(kind: Kind, units: int) -> None:
    expected = Decimal(units).scaleb(-PLACES[kind])
    assert list(stored.written(kind, [units])) == [csvtext.line((expected,))]
    assert read(kind, units) == expected


@given(st.integers(-(10**9), 4 * 10**9))
def test_a_time_is_written_to_the_second(moment_s: int) -> None:
    expected = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=moment_s)
    assert list(stored.written(Kind.TIME, [moment_s])) == [csvtext.line((expected,))]
    assert read(Kind.TIME, moment_s) == expected


@pytest.mark.parametrize("kind", [Kind.TEXT, Kind.COUNT, Kind.TIME, *PLACES])
def test_r08_what_is_not_known_is_none_and_an_empty_field(kind: Kind) -> None:
    assert list(stored.written(kind, [None, None])) == ["", ""]
    assert stored.value(kind, "") is None


@given(st.lists(st.text()), st.lists(st.integers(0, 10**9)))
def test_texts_and_counts_are_written_as_elsewhere(texts: list[str], counts: list[int]) -> None:
    assert list(stored.written(Kind.TEXT, texts)) == [csvtext.line((t,)) for t in texts]
    assert [read(Kind.COUNT, count) for count in counts] == counts
    assert stored.value(Kind.TEXT, "train") == "train"


def test_where_gives_none_for_what_is_not_known() -> None:
    assert stored.where(np.array([True, False]), np.array([3, 4])) == [3, None]
