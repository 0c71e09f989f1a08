"""Fillings of one GPU against every filling there is."""

from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scheduler_sim.bound import patterns
from scheduler_sim.bound.patterns import Knapsack

SIZES = st.lists(st.integers(1, 20).map(lambda n: 50 * n), min_size=1, max_size=3, unique=True)


def _knapsack(sizes: list[int], most: list[int], bins: list[tuple[int, int]]) -> Knapsack:
    return Knapsack(
        np.array(sizes, dtype=np.int64),
        np.array(most, dtype=np.int64),
        np.array([k for k, _ in bins], dtype=np.int64),
        np.array([milli for _, milli in bins], dtype=np.int64),
    )


@given(SIZES, st.data())
def test_a_filling_is_worth_as_much_as_the_best_of_all(
    sizes: list[int], data: st.DataObject
) -> None:
    most = data.draw(st.lists(st.integers(0, 5), min_size=len(sizes), max_size=len(sizes)))
    prices = st.lists(st.integers(0, 9), min_size=len(sizes), max_size=len(sizes))
    price = np.array([data.draw(prices), data.draw(prices)], dtype=np.int64)
    bins = data.draw(
        st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1000)), min_size=1, max_size=4)
    )
    worth, counts = _knapsack(sizes, most, bins).fill(price)
    for b, (of, milli) in enumerate(bins):
        every = [
            taken
            for taken in product(*(range(m + 1) for m in most))
            if sum(t * s for t, s in zip(taken, sizes, strict=True)) <= milli
        ]
        assert worth[b] == max(int(np.dot(taken, price[of])) for taken in every)
        assert tuple(counts[b].tolist()) in every
        assert int(counts[b] @ price[of]) == worth[b]


def test_several_goes_give_what_one_gives() -> None:
    generator = np.random.default_rng(3)
    price = generator.integers(0, 100, size=(7, 4))
    bins = [(k, milli) for k in range(7) for milli in (330, 1000)]
    knapsack = _knapsack([70, 190, 330, 810], [9, 9, 2, 1], bins)
    at_once = knapsack.fill(price)
    before = patterns.CELLS
    try:
        patterns.CELLS = 1
        one_by_one = knapsack.fill(price)
    finally:
        patterns.CELLS = before
    assert at_once[0].tolist() == one_by_one[0].tolist()
    assert at_once[1].tolist() == one_by_one[1].tolist()


def test_nothing_to_fill_or_nothing_to_fill_with_is_worth_nothing() -> None:
    worth, counts = _knapsack([], [], [(0, 1000)]).fill(np.zeros((1, 0), dtype=np.int64))
    assert worth.tolist() == [0] and counts.shape == (1, 0)
    worth, counts = _knapsack([500], [3], []).fill(np.zeros((0, 1), dtype=np.int64))
    assert worth.shape == (0,) and counts.shape == (0, 1)
