"""Sums by row, different things by row, exact quotients and what is lost in rounding."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tui.reports.usage.sums import Distinct, Sums, firsts, parted, quotient

SMALL = st.integers(0, 4)
CELLS = st.lists(st.lists(st.tuples(SMALL, SMALL, st.integers(0, 2**50))), max_size=4)


@settings(deadline=None)
@given(CELLS)
def test_sums_are_those_of_a_loop_in_whatever_parts(
    parts: list[list[tuple[int, int, int]]],
) -> None:
    sums, expected = Sums(2), defaultdict[tuple[int, ...], int](int)
    for part in parts:
        table = np.array(part, np.int64).reshape(-1, 3)
        rows = sums.add((table[:, 0], table[:, 1]), (table[:, 2], np.ones(len(part), np.int64)))
        for (one, other, amount), row in zip(part, rows.tolist(), strict=True):
            expected[one, other] += amount
            assert sums.keys[one, other] == row
    assert {key: int(sums.values[0, row]) for key, row in sums.keys.items()} == expected
    assert int(sums.values[1].sum()) == sum(map(len, parts))


def test_many_rows_make_room() -> None:
    sums = Sums(1)
    for begin in (0, 1000):
        keys = np.arange(begin, begin + 2000)
        sums.add((keys,), (keys,))
    found = [int(sums.values[0, sums.keys[key,]]) for key in range(3000)]
    assert found == [2 * k if 1000 <= k < 2000 else k for k in range(3000)]


@settings(deadline=None)
@given(st.lists(st.lists(st.tuples(SMALL, SMALL)), max_size=4))
def test_different_things_count_once_over_all_parts(parts: list[list[tuple[int, int]]]) -> None:
    distinct = Distinct()
    for part in parts:
        pairs = np.array(part, np.int64).reshape(-1, 2)
        distinct.add(pairs[:, 0], pairs[:, 1])
        first = firsts(pairs[:, 0], pairs[:, 1])
        assert sorted(map(tuple, pairs[first].tolist())) == sorted(set(part))
    every = {pair for part in parts for pair in part}
    assert distinct.counts(5).tolist() == [sum(r == row for r, _ in every) for row in range(5)]


@settings(deadline=None)
@given(st.integers(0, 10**18), st.integers(1, 10**12), st.integers(0, 6))
def test_a_quotient_is_rounded_half_to_even(amount: int, whole: int, places: int) -> None:
    exact = Fraction(round(Fraction(amount, whole) * 10**places), 10**places)
    found = quotient(amount, whole, places)
    assert Fraction(found) == exact
    assert found.as_tuple().exponent == -places


def test_halves_go_to_the_even_neighbour() -> None:
    assert [quotient(n, 2, 0) for n in (1, 3, 5)] == [0, 2, 2]
    assert str(quotient(1, 8, 2)) == "0.12"


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**14), min_size=1, max_size=4))
def test_r10_parts_in_whole_units_add_up_to_the_rounded_whole(amounts: list[int]) -> None:
    units = parted(amounts, 360)
    assert sum(units) == round(Fraction(sum(amounts), 360))
    assert all(abs(360 * u - a) < 360 for u, a in zip(units, amounts, strict=True))
