"""The price of models that are wanted by name, on cases in which Hall's condition says it."""

from __future__ import annotations

import numpy as np
import pytest

from scheduler_sim.bids.scarce import CERTAIN, MOST_SETS, PRICE, confined, line, scarcity
from scheduler_sim.cluster import Request
from tests.scheduler_sim.bids.mixes import mix

TWO = ("A100", "T4")


def prices(*rows: tuple[Request, int], runs: int, free: tuple[int, ...]) -> list[int]:
    """The price of each of two models with so many thousandths left."""
    known = mix(*rows, models=TWO)
    found: list[int] = scarcity(confined(known), known, runs, np.array(free)).tolist()
    return found


def test_the_line_is_certain_below_even_in_the_middle_and_zero_above() -> None:
    assert [line(100, 20, have) for have in (-5, 0, 80, 81, 100, 119, 120, 500)] == [
        *(CERTAIN, CERTAIN, CERTAIN, 975, 500, 25, 0, 0)
    ]


@pytest.mark.parametrize(("have", "found"), [(9, CERTAIN), (10, CERTAIN), (11, 0)])
def test_a_need_that_is_known_for_sure_is_a_step(have: int, found: int) -> None:
    assert line(10, 0, have) == found


def test_the_line_never_rises_with_what_there_is() -> None:
    for spread in (0, 1, 7, 40):
        course = [line(50, spread, have) for have in range(120)]
        assert course == sorted(course, reverse=True)
        assert set(course) <= set(range(CERTAIN + 1))


def test_plenty_costs_nothing_and_too_little_costs_the_price() -> None:
    named = (Request(1, models=("A100",)), 1), (Request(1), 1)
    # 100 runs: 50 that need an A100, 50,000 thousandths of them, +- 2 sqrt(50 * 1000^2)
    assert prices(*named, runs=100, free=(80_000, 90_000)) == [0, 0]
    assert prices(*named, runs=100, free=(20_000, 90_000)) == [PRICE, 0]
    assert prices(*named, runs=100, free=(50_000, 90_000)) == [PRICE // 2, 0]
    assert prices(*named, runs=100, free=(55_000, 90_000)) == [PRICE * 323 // CERTAIN, 0]
    assert prices(*named, runs=0, free=(20_000, 90_000)) == [0, 0]


def test_none_left_is_short_where_a_run_is_sure_to_come() -> None:
    """4 are expected, 0 to 8 within two standard deviations; of 1 it may well be that none come."""
    named = Request(1, models=("T4",)), 1
    assert prices(named, runs=4, free=(0, 0)) == [0, PRICE]
    assert 0 < prices(named, runs=1, free=(0, 0))[1] < PRICE


def test_runs_that_accept_all_models_make_none_scarce() -> None:
    assert prices((Request(1), 9), (Request(0), 9), runs=500, free=(10, 10)) == [0, 0]
    assert prices((Request(1, models=TWO), 9), runs=500, free=(10, 10)) == [0, 0]


def test_two_models_that_are_short_only_together() -> None:
    """Each is enough for those who name it alone; both are too few for those who want either."""
    three = ("A100", "H100", "T4")
    known = mix(
        (Request(1, models=("A100",)), 1),
        (Request(1, models=("H100",)), 1),
        (Request(1, models=("A100", "H100")), 8),
        models=three,
    )
    free = np.array([60_000, 60_000, 10])
    assert scarcity(confined(known), known, 200, free).tolist() == [PRICE, PRICE, 0]
    without = mix(
        (Request(1, models=("A100",)), 1),
        (Request(1, models=("H100",)), 1),
        (Request(1), 8),
        models=three,
    )
    assert scarcity(confined(without), without, 200, free).tolist() == [0, 0, 0]


def test_what_is_confined_is_what_accepts_nothing_else() -> None:
    known = mix(
        (Request(2, models=("A100",)), 3),
        (Request(1, 500, models=("T4",)), 4),
        (Request(1), 9),
        (Request(1, models=("none",)), 5),
        (Request(0), 7),
        models=("A100", "H100", "T4"),
    )
    found = confined(known)
    rows = dict(zip(map(tuple, found.sets.tolist()), found.asked.tolist(), strict=True))
    assert rows == {
        (True, False, False): 6000,
        (False, False, True): 2000,
        (True, False, True): 8000,
    }
    squares = dict(zip(map(tuple, found.sets.tolist()), found.squares.tolist(), strict=True))
    assert squares[True, False, True] == 3 * 2000**2 + 4 * 500**2


def test_the_number_of_sets_has_an_end() -> None:
    """13 models, each named alone, have 8,191 unions; every single one is kept."""
    models = tuple(f"m{i:02}" for i in range(13))
    known = mix(*((Request(1, models=(m,)), 1) for m in models), models=models)
    sets = confined(known).sets
    assert len(sets) == MOST_SETS
    assert {tuple(row) for row in np.eye(13, dtype=bool).tolist()} <= set(map(tuple, sets.tolist()))
    assert not sets.all(axis=1).any()
