"""The engine against what is known of queues: Erlang C, Little's law, conserved work, promises."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from scheduler_sim.kernels import FAST
from scheduler_sim.queues.jobs import Jobs
from scheduler_sim.queues.metrics import used_milli_s
from scheduler_sim.queues.outcome import Outcome
from scheduler_sim.queues.run import DISCIPLINES, simulate
from tests.scheduler_sim.queues import cases

SERVICE_S = 100_000
"""Mean service time: so long that whole seconds do not matter."""

T_999 = 3.88
"""Student's t for 19 degrees of freedom, 99.9 % two-sided."""


def erlang_c(servers: int, offered: float) -> float:
    """The probability that an arrival has to wait in M/M/c (Erlang 1917)."""
    busy = offered**servers / math.factorial(servers) * servers / (servers - offered)
    return busy / (sum(offered**k / math.factorial(k) for k in range(servers)) + busy)


def mmc(servers: int, load: float, count: int, seed: int) -> Outcome:
    draw = np.random.default_rng(seed)
    jobs = Jobs.build(
        submit_s=np.cumsum(draw.exponential(SERVICE_S / (servers * load), count)),
        duration_s=draw.exponential(SERVICE_S, count),
        kinds=[cases.GPU],
    )
    return simulate(cases.slots(servers), jobs, discipline="fifo", placement="first_fit")


@pytest.mark.parametrize(
    ("servers", "load", "count"),
    [
        (1, 0.6, 44_000),
        (4, 0.8, 44_000),
        pytest.param(
            12, 0.8, 404_000, marks=pytest.mark.skipif(not FAST, reason="slow without numba")
        ),
    ],
)
def test_waits_are_those_of_erlang(servers: int, load: float, count: int) -> None:
    outcome = mmc(servers, load, count, seed=20)
    waits = (outcome.start_s - outcome.jobs.submit_s)[4_000:].reshape(20, -1)
    chance = erlang_c(servers, servers * load)
    for batches, theory in (
        (waits.mean(axis=1), chance * SERVICE_S / (servers * (1 - load))),
        ((waits > 0).mean(axis=1), chance),
    ):
        half_width = T_999 * batches.std(ddof=1) / math.sqrt(20)
        assert abs(batches.mean() - theory) <= half_width
        assert half_width < 0.25 * theory  # or it would show nothing


def test_little_holds_exactly_on_the_path() -> None:
    outcome = mmc(3, 0.9, 3_000, seed=4)
    jobs = outcome.jobs
    at_s = np.concatenate([jobs.submit_s, outcome.end_s])
    step = np.concatenate([np.ones(len(jobs), np.int64), -np.ones(len(jobs), np.int64)])
    order = np.lexsort((step, at_s))
    inside = np.cumsum(step[order])
    area = int((inside[:-1] * np.diff(at_s[order])).sum())
    span_s = int(at_s.max() - at_s.min())
    mean_inside, rate = area / span_s, len(jobs) / span_s
    mean_sojourn_s = float((outcome.end_s - jobs.submit_s).mean())
    assert area == int((outcome.end_s - jobs.submit_s).sum())
    assert mean_inside == pytest.approx(rate * mean_sojourn_s, rel=1e-12)
    # No server idles while somebody waits: three run whenever three or more are inside.
    busy = np.minimum(inside[:-1], 3) * np.diff(at_s[order])
    assert int(busy.sum()) == int((outcome.end_s - outcome.start_s).sum())


def test_work_is_conserved_by_every_discipline() -> None:
    for seed in range(20):
        nodes, jobs = cases.small(random.Random(seed))
        used = set()
        for discipline in DISCIPLINES:
            outcome = simulate(nodes, jobs, discipline=discipline)
            assert not len(outcome.unfinished)
            used.add(used_milli_s(outcome))
        assert len(used) == 1


@pytest.mark.parametrize("exact", [True, False])
def test_nobody_starts_after_the_promise(exact: bool) -> None:
    """The head of EASY at its first shadow time, conservative at its plan when it joined."""
    promised = {"easy": 0, "conservative": 0}
    for seed in range(150):
        nodes, jobs = cases.small(random.Random(seed), exact)
        for discipline in promised:
            outcome = simulate(nodes, jobs, discipline=discipline, placement="best_fit")
            rows = outcome.promised_s >= 0
            promised[discipline] += int(rows.sum())
            assert np.all(outcome.start_s[rows] <= outcome.promised_s[rows])
            if exact and discipline == "conservative":
                assert np.array_equal(outcome.start_s[rows], outcome.promised_s[rows])
    assert min(promised.values()) > 100


def test_backfill_uses_what_fifo_leaves_idle() -> None:
    jobs = Jobs.build(
        submit_s=[0, 1, 2, 2], duration_s=[10, 10, 9, 8], kinds=[cases.GPU], nodes=[1, 2, 1, 1]
    )
    # The 9 s run would push the gang back by a second, the 8 s run would not.
    assert simulate(cases.slots(2), jobs, discipline="fifo").start_s.tolist() == [0, 10, 20, 20]
    for discipline in ("easy", "conservative"):
        outcome = simulate(cases.slots(2), jobs, discipline=discipline)
        assert outcome.start_s.tolist() == [0, 10, 20, 2]


def test_fair_share_lets_the_other_user_in() -> None:
    jobs = Jobs.build(
        submit_s=[0] * 6 + [1],
        duration_s=[100] * 7,
        kinds=[cases.GPU],
        user=[0] * 6 + [1],
        users=("much", "little"),
    )
    assert simulate(cases.slots(1), jobs, discipline="fifo").start_s[6] == 600
    assert simulate(cases.slots(1), jobs, discipline="fairshare").start_s[6] == 100


def test_priority_goes_first_but_does_not_preempt() -> None:
    jobs = Jobs.build(
        submit_s=[0, 1, 2], duration_s=[10, 10, 10], kinds=[cases.GPU], priority=[0, 0, 5]
    )
    assert simulate(cases.slots(1), jobs, discipline="priority").start_s.tolist() == [0, 20, 10]
