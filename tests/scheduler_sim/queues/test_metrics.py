"""The metrics on cases that can be reckoned by hand."""

from __future__ import annotations

import math
from dataclasses import asdict

import numpy as np
import pytest

from scheduler_sim.cluster import NodeSpec, Request
from scheduler_sim.queues.jobs import Jobs
from scheduler_sim.queues.metrics import fragmentation_pct, slowdowns, summary, waits_s
from scheduler_sim.queues.outcome import Fault
from scheduler_sim.queues.run import simulate
from tests.scheduler_sim.queues import cases


def test_waits_slowdowns_and_fairness() -> None:
    jobs = Jobs.build(
        submit_s=[0, 0, 0],
        duration_s=[5, 20, 40],
        kinds=[cases.GPU],
        user=[0, 1, 1],
        users=("a", "b"),
    )
    outcome = simulate(cases.slots(1), jobs, discipline="fifo")
    assert waits_s(outcome).tolist() == [0, 5, 25]
    # 5 s runs count as 10 s, and no slowdown is below 1.
    assert slowdowns(outcome).tolist() == [1.0, 1.25, 65 / 40]
    found = summary(outcome)
    assert found.wait_s is not None and found.wait_s.mean == 10 and found.wait_s.p50 == 5
    assert found.wait_s.most == 25 and found.makespan_s == 65
    assert found.utilisation_pct == pytest.approx(100.0)
    users = np.array([1.0, (1.25 + 1.625) / 2])
    assert found.fairness == pytest.approx(users.sum() ** 2 / (2 * (users**2).sum()))
    assert (found.best_user_slowdown, found.worst_user_slowdown) == (1.0, users[1])


def test_runs_that_wait_at_the_end_are_not_dropped() -> None:
    jobs = Jobs.build(submit_s=[0, 10, 20], duration_s=[30, 30, 30], kinds=[cases.GPU])
    found = summary(simulate(cases.slots(1), jobs, discipline="fifo", until_s=40))
    assert (found.runs, found.finished, found.unfinished, found.never) == (3, 1, 2, 0)
    assert found.wait_s is not None and found.wait_s.most == 20
    gone = summary(simulate(cases.slots(1), jobs, faults=[Fault(5, "n0000")]))
    assert (gone.finished, gone.unfinished, gone.restarts) == (0, 3, 1)


def test_what_vanishes_is_not_available() -> None:
    jobs = Jobs.build(submit_s=[0, 0], duration_s=[100, 100], kinds=[cases.GPU])
    outcome = simulate(cases.slots(2), jobs, faults=[Fault(50, "n0000", 100)])
    found = summary(outcome)
    # 50 s lost, 100 s beside it, 100 s again; 200 s of two GPUs less 50 s of one.
    assert found.makespan_s == 200
    assert found.utilisation_pct == pytest.approx(100 * 250 / 350)
    assert found.lost_gpu_h == pytest.approx(50 / 3600)


def test_fragmentation_is_what_typical_runs_cannot_use() -> None:
    nodes = [NodeSpec("n", 1, "A", 1000, 1000)]
    jobs = Jobs.build(submit_s=[0, 0], duration_s=[100, 100], kinds=[Request(1, 600)])
    outcome = simulate(nodes, jobs, discipline="fifo")
    assert fragmentation_pct(outcome, 4).tolist() == [40.0] * 4
    whole = Jobs.build(submit_s=[0, 0], duration_s=[100, 100], kinds=[Request(1, 500)])
    assert fragmentation_pct(simulate(nodes, whole), 4).tolist() == [0.0] * 4


def test_nothing_to_measure_is_none() -> None:
    empty = Jobs.build(submit_s=[], duration_s=[], kinds=[])
    found = asdict(summary(simulate(cases.slots(1), empty)))
    assert found["runs"] == 0 and found["wait_s"] is None and found["makespan_s"] is None
    never = Jobs.build(submit_s=[0], duration_s=[5], kinds=[Request(2)])
    found = asdict(summary(simulate(cases.slots(1), never)))
    assert found["never"] == 1 and found["wait_s"] is None and found["fairness"] is None
    no_gpu = [NodeSpec("n", 0, "", 4000, 100)]
    cpu = Jobs.build(submit_s=[0], duration_s=[5], kinds=[Request(0, 1000, 1000)])
    found = asdict(summary(simulate(no_gpu, cpu)))
    assert found["utilisation_pct"] is None and found["finished"] == 1
    for value in found.values():
        assert value is None or isinstance(value, dict) or math.isfinite(value)
