"""The price of the last nodes for large runs."""

from __future__ import annotations

import numpy as np
import pytest

from scheduler_sim.bids.hosts import MOST, SHARE_OF_WORTH, Large, large, penalties
from scheduler_sim.bids.shapes import Shapes
from scheduler_sim.bids.worth import SCALE
from scheduler_sim.cluster import Request
from tests.scheduler_sim.bids.mixes import mix


def asked(found: Large) -> list[tuple[int, int, int]]:
    """GPUs, cores in thousandths and demand of each large shape."""
    columns = zip(found.gpus.tolist(), found.cpu.tolist(), found.demand.tolist(), strict=True)
    return list(columns)


def costs(known: Shapes, hosts: int, runs: int) -> list[int]:
    """The penalties where there are so many hosts of each."""
    found = large(known)
    here: list[int] = penalties(found, known, np.full(found.gpus.size, hosts), runs).tolist()
    return here


EIGHT = mix((Request(8, cpu_milli=64_000), 1), (Request(1), 9))
FULL = 8000 * SCALE // SHARE_OF_WORTH


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        *((1000, 0), (141, 0), (140, 0), (138, FULL // 40), (100, FULL // 2)),
        *((62, 39 * FULL // 40), (60, FULL), (1, FULL), (0, FULL)),
    ],
)
def test_the_last_hosts_cost_the_run_and_plenty_cost_nothing(hosts: int, expected: int) -> None:
    """1,000 runs are 100 large ones on average, 60 to 140 within four standard deviations."""
    assert costs(EIGHT, hosts, 1000) == [expected]


def test_where_no_run_comes_a_host_costs_nothing() -> None:
    assert costs(EIGHT, 1, 0) == [0]


def test_the_price_never_rises_with_the_hosts() -> None:
    course = [costs(EIGHT, hosts, 300)[0] for hosts in range(60)]
    assert course == sorted(course, reverse=True)
    assert course[0] == FULL and course[-1] == 0


def test_large_are_the_runs_of_several_gpus_largest_first() -> None:
    known = mix(
        (Request(2, cpu_milli=10), 3),
        (Request(2, cpu_milli=90), 4),
        (Request(8, cpu_milli=50), 1),
        (Request(1), 50),
        (Request(0, cpu_milli=500), 50),
    )
    # who asks for as much or more could stand where a smaller one does
    assert asked(large(known)) == [(8, 50, 1), (2, 90, 4), (2, 10, 8)]
    assert large(known).price.tolist() == [n * 1000 * SCALE // SHARE_OF_WORTH for n in (8, 2, 2)]


def test_a_host_counts_for_a_larger_run_only_of_models_that_it_may_use() -> None:
    models = ("A100", "T4")
    known = mix(
        (Request(8), 1),
        (Request(4, models=("A100",)), 1),
        (Request(2, models=("T4",)), 1),
        (Request(2), 1),
        models=models,
    )
    found = large(known)
    rows = zip(found.gpus.tolist(), found.accepts.tolist(), found.demand.tolist(), strict=True)
    by_shape = {(gpus, *accepts): demand for gpus, accepts, demand in rows}
    assert by_shape == {
        (8, True, True): 1,
        (4, True, False): 1,
        (2, False, True): 1,
        (2, True, True): 4,
    }


@pytest.mark.parametrize(("shares", "watched"), [(19, False), (20, True)])
def test_whole_gpus_are_watched_where_they_are_rare(shares: int, watched: bool) -> None:
    """1 of 20 GPUs asked for is 5 %, and 1 of 21 is less."""
    known = mix((Request(1), 1), (Request(1, 500), 2 * shares))
    assert large(known).gpus.tolist() == ([1] if watched else [])


def test_only_so_many_large_shapes_are_watched_those_asked_for_most() -> None:
    kinds = [(Request(2, cpu_milli=i), 1 + (i >= 10)) for i in range(MOST + 10)]
    found = large(mix(*kinds))
    assert found.gpus.size == MOST
    assert sorted(found.cpu.tolist()) == list(range(10, MOST + 10))


def test_a_mix_without_large_runs_has_no_penalties() -> None:
    known = mix((Request(1), 5), (Request(0, cpu_milli=8), 5))
    assert costs(known, 3, 100) == []
