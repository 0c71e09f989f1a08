"""The column generation: forced runs, running out of time, and what it says of itself."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler_sim.bound.columns import certify
from scheduler_sim.bound.live import Waiting
from scheduler_sim.bound.model import NodeClass, Order, Problem, Shape
from scheduler_sim.bound.room import alone
from scheduler_sim.cluster import Cluster, NodeSpec, Request
from tests.scheduler_sim.bound.brute import best
from tests.scheduler_sim.bound.test_live import clusters, queues


def _problem(cluster: Cluster, waiting: list[Waiting], must: tuple[bool, ...]) -> Problem:
    """Every node a class of its own, every entry a shape of its own."""
    asked = np.array([w.count * w.nodes for w in waiting], dtype=np.int64)
    room = alone(cluster, [w.request for w in waiting], asked)
    for row, run in enumerate(waiting):
        if run.allowed is not None:
            room[row, ~run.allowed] = 0
    return Problem(
        shapes=tuple(
            Shape(r.gpus, r.gpu_milli, r.cpu_milli, r.memory_mib)
            for r in (w.request for w in waiting)
        ),
        orders=tuple(
            Order(i, w.value, w.count, w.count if forced else 0, w.nodes)
            for i, (w, forced) in enumerate(zip(waiting, must, strict=True))
        ),
        classes=tuple(
            NodeClass(
                tuple((int(milli), 1) for milli in cluster.gpu_left[n] if milli),
                int(cluster.cpu_left[n]),
                int(cluster.memory_left[n]),
            )
            for n in range(len(cluster.nodes))
        ),
        room=room,
    )


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_proof_of_what_is_not_so(data: st.DataObject) -> None:
    """Whatever time is left: not below the best, and not impossible where it is possible."""
    cluster = data.draw(clusters())
    waiting = data.draw(queues(len(cluster.nodes)))
    must = tuple(data.draw(st.booleans()) for _ in waiting)
    problem = _problem(cluster, waiting, must)
    reached = best(cluster, waiting, must)
    for rounds in (0, 1, 2, 100):
        found = certify(problem, _after(rounds), _Clock())
        assert found.rounds <= rounds
        if reached is not None:
            assert found.feasible is not False
            assert found.most is not None and found.most >= reached
        assert (found.most is None) == (found.feasible is False)
    assert found.proven
    assert found.feasible is not None


class _Clock:
    """Ten seconds later at each look: one before the first round, and two in each."""

    def __init__(self) -> None:
        self._looks = count()

    def __call__(self) -> float:
        return 10.0 * next(self._looks)


def _after(rounds: int) -> float:
    """The time limit, in seconds of this clock, that ends after so many rounds."""
    return 20.0 * rounds + 5


def _shares(*asked: tuple[int, int, int], gpus: int = 100) -> Problem:
    """(thousandths, how many, how many of them forced) on one class of so many GPUs."""
    return Problem(
        shapes=tuple(Shape(1, milli, 0, 0) for milli, _, _ in asked),
        orders=tuple(
            Order(i, milli, number, forced) for i, (milli, number, forced) in enumerate(asked)
        ),
        classes=(NodeClass(((1000, gpus),), 1000, 1000),),
        room=np.array([[number] for _, number, _ in asked], dtype=np.int64),
    )


SHARES = tuple((milli, 30, 0) for milli in (90, 130, 190, 220, 310, 470, 560, 810))


def test_each_round_lowers_the_bound_and_the_first_ones_hold_already() -> None:
    full = certify(_shares(*SHARES, gpus=60), 60)
    assert full.proven and full.most is not None and full.rounds > 2
    early = [certify(_shares(*SHARES, gpus=60), _after(n), _Clock()) for n in (1, 2, 3)]
    assert [e.rounds for e in early] == [1, 2, 3]
    for found in early:
        assert not found.proven
        assert found.most is not None and found.most >= full.most
        assert found.reached is not None and found.reached <= full.most


def test_forced_runs_that_pack_badly_lower_the_bound() -> None:
    free = certify(_shares((600, 100, 0), (500, 200, 0)), 60)
    forced = certify(_shares((600, 100, 40), (500, 200, 0)), 60)
    assert free.most == pytest.approx(100_000, rel=1e-6)
    assert forced.most == pytest.approx(60_000 + 40 * 600, rel=1e-6)
    assert forced.feasible and forced.proven


def test_forced_runs_that_just_fit_are_possible_and_one_more_is_not() -> None:
    just = certify(_shares((600, 100, 100), (400, 100, 100)), 60)
    assert just.feasible is True
    assert just.most == pytest.approx(100_000, rel=1e-6)
    more = certify(_shares((600, 101, 101), (400, 100, 0)), 60)
    assert (more.feasible, more.most, more.proven) == (False, None, True)


def test_forced_runs_of_no_value_are_found_impossible_too() -> None:
    problem = Problem(
        shapes=(Shape(0, 1000, 600, 0), Shape(1, 1000, 0, 0)),
        orders=(Order(0, 0.0, 3, forced=3), Order(1, 1.0, 1)),
        classes=(NodeClass(((1000, 1),), 1000, 0),),
        room=np.array([[1], [1]], dtype=np.int64),
    )
    found = certify(problem, 60)
    assert (found.feasible, found.most, found.proven) == (False, None, True)


def test_a_forced_run_without_any_room_is_impossible_at_once() -> None:
    problem = Problem(
        shapes=(Shape(1, 1000, 0, 0),),
        orders=(Order(0, 1.0, 1, forced=1),),
        classes=(),
        room=np.zeros((1, 0), dtype=np.int64),
    )
    found = certify(problem, 0)
    assert (found.feasible, found.most, found.proven) == (False, None, True)


def test_without_time_it_is_not_known_whether_the_forced_fit() -> None:
    found = certify(_shares((600, 100, 100), (500, 100, 0)), 0)
    assert found.feasible is None
    assert not found.proven
    assert found.most is not None and found.most >= 60_000


def test_prices_add_up_to_the_bound() -> None:
    """Weak duality, recomputed from what is handed out: GPUs at their price, runs beyond cost."""
    problem = _shares(*SHARES, gpus=60)
    found = certify(problem, 60)
    prices = found.prices
    runs = sum(
        o.count * max(0.0, o.value - float(prices.shape_cost[o.shape])) for o in problem.orders
    )
    assert found.most == pytest.approx(runs + 60 * prices.gpu[0][0], rel=1e-6)
    slots = dict(zip(prices.sizes_milli, prices.slot[0].tolist(), strict=True))
    for pair in ((810, 190), (560, 310, 130), (470, 310, 220), (220, 190, 190, 310, 90)):
        assert sum(slots[milli] for milli in pair) <= prices.gpu[0][0] + 1e-6
    assert prices.gpu[0][0] > 900


def test_a_problem_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="room: 1 shapes and 1 classes"):
        Problem((Shape(1, 1, 0, 0),), (), (NodeClass((), 0, 0),), np.zeros((2, 2), dtype=np.int64))
    with pytest.raises(ValueError, match=r"forced: 0\.\.2"):
        Order(0, 1.0, 2, forced=3)
    with pytest.raises(ValueError, match="value: at least 0"):
        Order(0, float("nan"), 2)
    with pytest.raises(ValueError, match="parts: at least 1"):
        Order(0, 1.0, 2, parts=0)


def test_room_counts_what_fits_when_nothing_else_does() -> None:
    cluster = Cluster([NodeSpec("a", 2, "A", 4000, 100), NodeSpec("b", 3, "B", 9000, 100)])
    cluster.gpu_left[0, 0] = 400
    asked = [
        Request(1, 400, 1000),
        Request(1, 400, 1000, models=("B",)),
        Request(2, 500),
        Request(3, 1000, 9000, 100),
        Request(0, 1000, 4500),
        Request(1, 1000, 0, 101),
    ]
    room = alone(cluster, asked, np.full(6, 5, dtype=np.int64))
    assert room.tolist() == [[3, 5], [0, 5], [0, 3], [0, 1], [0, 2], [0, 0]]
    cluster.set_usable(1, False)
    assert not alone(cluster, asked, np.full(6, 5, dtype=np.int64))[:, 1].any()
