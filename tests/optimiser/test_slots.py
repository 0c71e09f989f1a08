"""Patterns of shares on one device."""

from __future__ import annotations

from itertools import product
from random import Random

from foundry_tui.optimiser.slots import MOST_PATTERNS, most_left, patterns


def test_the_patterns_are_all_full_sets_and_no_others() -> None:
    random = Random(4)
    for _ in range(60):
        sizes = sorted({random.randint(100, 1000) for _ in range(random.randint(1, 4))})[::-1]
        cells = [(size, random.randint(0, 3)) for size in sizes]
        capacity = random.choice((0, 300, 750, 1000))
        full = set()
        for counts in product(*(range(most + 1) for _, most in cells)):
            left = capacity - sum(c * size for c, (size, _) in zip(counts, cells, strict=True))
            room = any(
                c < most and size <= left for c, (size, most) in zip(counts, cells, strict=True)
            )
            if left >= 0 and not room and any(counts):
                full.add(counts)
        found = patterns(cells, capacity)
        assert found is not None
        assert len(found) == len(set(found))
        assert set(found) == full


def test_too_many_patterns_are_not_listed() -> None:
    assert patterns([(30 + n, 30) for n in range(20)][::-1], 1000) is None
    few = patterns([(1000, 1), (500, 2)], 1000)
    assert few == [(1, 0), (0, 2)]
    assert len(few) < MOST_PATTERNS


def test_each_task_takes_what_is_left_most_of() -> None:
    left = {0: 2, 1: 1, 2: 1}
    assert (most_left(left, 2), most_left(left, 2)) == ((0, 1), (0, 2))
    assert left == {}
