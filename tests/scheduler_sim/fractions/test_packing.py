"""GPUs that a demand for shares needs, and their prices, against every filling there is."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from scheduler_sim.fractions.packing import Packer, fill

sizes = st.sampled_from((110, 160, 230, 250, 320, 334, 470, 500, 550, 650, 810, 1000))
demands = st.dictionaries(sizes, st.integers(1, 40), min_size=1, max_size=4)


def fillings(shares: dict[int, int], room: int = 1000) -> list[tuple[int, ...]]:
    """Every multiset of shares that fits into the room."""
    wanted = sorted(shares)
    ranges = [range(min(shares[m], room // m) + 1) for m in wanted]
    every = product(*ranges)
    return [
        counts
        for counts in every
        if 0 < sum(n * m for n, m in zip(counts, wanted, strict=True)) <= room
    ]


def fewest(shares: dict[int, int]) -> float:
    """The same program with every filling written down from the start."""
    holds = np.array(fillings(shares), dtype=float).T
    counts = [shares[m] for m in sorted(shares)]
    found = linprog(np.ones(holds.shape[1]), A_ub=-holds, b_ub=[-c for c in counts])
    return float(found.fun)


@settings(deadline=None, max_examples=60)
@given(demands)
def test_as_few_gpus_as_with_every_filling_known(shares: dict[int, int]) -> None:
    packing = Packer().pack(shares)
    assert packing.gpus == pytest.approx(fewest(shares))
    assert packing.gpus >= sum(m * n for m, n in shares.items()) / 1000 - 1e-9
    # the prices pay for exactly what is needed, and no filling is worth more than its GPU
    assert sum(packing.price[m] * n for m, n in shares.items()) == pytest.approx(packing.gpus)
    for counts in fillings(shares):
        paid = sum(n * packing.price[m] for n, m in zip(counts, sorted(shares), strict=True))
        assert paid <= 1 + 1e-6


@settings(deadline=None, max_examples=40)
@given(demands, demands)
def test_what_was_packed_before_changes_no_answer(
    before: dict[int, int], shares: dict[int, int]
) -> None:
    packer = Packer()
    packer.pack(before)
    assert packer.pack(shares).gpus == pytest.approx(Packer().pack(shares).gpus)


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(sizes, st.tuples(st.integers(0, 9), st.integers(0, 4)), max_size=4),
    st.integers(0, 1000),
)
def test_room_is_filled_as_well_as_the_supply_allows(
    offers: dict[int, tuple[int, int]], room: int
) -> None:
    price = {m: float(p) for m, (p, _) in offers.items()}
    supply = {m: n for m, (_, n) in offers.items()}
    worth, best = fill(price, supply)
    wanted = sorted(offers)
    most = max(
        (
            sum(n * price[m] for n, m in zip(counts, wanted, strict=True))
            for counts in fillings(supply, room)
        ),
        default=0.0,
    )
    assert worth[room] == pytest.approx(most)
    filling = dict(best(room))
    assert sum(m * n for m, n in filling.items()) <= room
    assert all(n <= supply[m] for m, n in filling.items())
    assert sum(n * price[m] for m, n in filling.items()) == pytest.approx(most)


def test_nothing_needs_nothing() -> None:
    assert Packer().pack({}).gpus == 0
    assert Packer().pack({500: 0}).price == {}


@pytest.mark.parametrize("shares", [{0: 1}, {1001: 1}, {500: -1}])
def test_nonsense_is_refused_by_name(shares: dict[int, int]) -> None:
    with pytest.raises(ValueError, match=r"^shares: "):
        Packer().pack(shares)
