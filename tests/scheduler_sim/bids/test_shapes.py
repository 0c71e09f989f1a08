"""The mix of runs, and the stages of filling."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from scheduler_sim.bids.shapes import shapes
from scheduler_sim.bids.stages import FULL_MILLI, LAST, STEP_PCT, Stages
from scheduler_sim.bids.values import values
from scheduler_sim.bids.worth import worth_tables
from scheduler_sim.cluster import Request
from tests.scheduler_sim.bids.mixes import mix

CAPACITY = 7777
MIXED = mix((Request(1, 500, 1000), 3), (Request(1, 1000, 9000), 2), (Request(0), 1))


def test_requests_that_differ_in_memory_alone_are_one_shape() -> None:
    known = mix((Request(1, 500, 10, 1), 3), (Request(1, 500, 10, 2), 4))
    assert (known.seen.tolist(), known.total, known.unit) == ([7], 7, 500)


def test_models_that_the_cluster_lacks_make_no_difference() -> None:
    known = shapes([(Request(1, 810, models=("A100", "new")), 2), (Request(1, 810), 3)], ["A100"])
    assert (known.accepts.tolist(), known.seen.tolist()) == ([[True]], [5])


def test_a_run_without_gpus_goes_anywhere_and_takes_no_share() -> None:
    known = shapes([(Request(0, 700, 5, models=("x",)), 1)], ["A100", "T4"])
    assert (known.milli.tolist(), known.accepts.tolist()) == ([0], [[True, True]])
    assert (known.unit, known.mean_milli) == (1000, 1)


def test_the_order_of_the_requests_does_not_matter() -> None:
    rows = [(Request(1, 100 * i, i), i) for i in range(1, 9)]
    one, other = shapes(rows, ["T4"]), shapes(reversed(rows), ["T4"])
    for field in ("gpus", "milli", "cpu", "accepts", "seen"):
        assert (getattr(one, field) == getattr(other, field)).all()


def test_shares_are_taken_in_steps_where_a_grain_is_given() -> None:
    """Rounded up, a whole GPU at most: 333 and 335 are one shape then."""
    asked = [(Request(1, milli), 1) for milli in (333, 335, 340, 995)]
    known = shapes(asked, ["T4"], 10)
    assert (known.milli.tolist(), known.seen.tolist()) == ([340, 1000], [3, 1])
    assert (known.unit, shapes(asked, ["T4"]).unit) == (20, 1)


def test_the_mean_is_rounded_up() -> None:
    assert mix((Request(1, 500), 1), (Request(2), 1), (Request(0), 1)).mean_milli == 834


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "requests: none were seen, so no mix is known"),
        ([(Request(1), 0)], "requests: none were seen"),
        ([(Request(1), -1)], "count: cannot be below 0, got -1"),
    ],
)
def test_no_mix_is_an_error(rows: list[tuple[Request, int]], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        shapes(rows, ["A100"])


def test_a_stage_begins_with_each_five_percent() -> None:
    stages = Stages(MIXED)
    found = [stages.stage(allocated, CAPACITY) for allocated in range(CAPACITY + 1)]
    assert found[0] == 0 and found[-1] == LAST == 19
    assert all(0 <= after - before <= 1 for before, after in pairwise(found))
    for stage in range(LAST):
        free = stages.ends_at(stage, CAPACITY)
        assert found[CAPACITY - free] in (stage, stage + 1)
        # with less than that free, the stage is over: nobody waits at its end for ever
        assert found[CAPACITY - free + 1] == stage + 1
        assert free == CAPACITY - (stage + 1) * STEP_PCT * CAPACITY // 100


def test_runs_to_come_fill_what_is_free_but_for_a_rest() -> None:
    stages = Stages(mix((Request(1, 500), 1)))
    assert stages.runs_to_come(100_000, 100_000) == (100_000 - 100 * FULL_MILLI) // 500
    assert stages.runs_to_come(100 * FULL_MILLI, 100_000) == 0
    assert stages.runs_to_come(0, 100_000) == 0


@pytest.mark.parametrize(
    ("runs", "stage", "choice"),
    [(10_000, 0, 189), (10_000, 10, 134), (10_000, LAST, 42), (100, 0, 18), (1, LAST, 1)],
)
def test_choice_goes_with_the_root_of_the_runs_to_come(runs: int, stage: int, choice: int) -> None:
    """The root of 3.6 times the runs that fill what the stage leaves, cut: 3.6 * 5000 is 134^2."""
    stages = Stages(MIXED)
    found = stages.tables(stage, runs * MIXED.mean_milli)
    assert (found == worth_tables(MIXED, values(MIXED), choice)).all()
    assert np.issubdtype(found.dtype, np.integer)


def test_what_is_left_is_worth_less_while_a_cluster_fills() -> None:
    stages = Stages(MIXED)
    tops = [int(stages.tables(stage, 900_000)[0, 0, -1]) for stage in range(LAST + 1)]
    assert tops == sorted(tops, reverse=True)
    assert tops[0] > tops[-1]
    assert stages.tables(3, 900_000) is stages.tables(3, 900_000)
