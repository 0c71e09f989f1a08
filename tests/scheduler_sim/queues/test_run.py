"""Placers of one's own, vanishing nodes, bad input, and numba against plain Python."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from dataclasses import dataclass, field

import numpy as np
import pytest

from scheduler_sim.cluster import Mask, NodeSpec, Request
from scheduler_sim.kernels import FAST
from scheduler_sim.policies import Choice, Fgd, best_fit
from scheduler_sim.queues.build import mix_of
from scheduler_sim.queues.jobs import NO_LIMIT_S, Jobs
from scheduler_sim.queues.outcome import STATE_WORDS, Fault
from scheduler_sim.queues.placers import Live
from scheduler_sim.queues.run import DISCIPLINES, simulate
from tests.scheduler_sim.queues import cases

ONE = (cases.GPU,)


@dataclass
class Ours:
    """The placement policies of the rest of the program, in the loop."""

    name: str
    seen: list[int] = field(default_factory=list)

    def begin(self, live: Live) -> None:
        self.live = live
        self.fgd = Fgd(live.cluster, mix_of(live.jobs)) if self.name == "fgd" else None

    def choose(self, now_s: int, job: int, allowed: Mask) -> Choice | None:
        assert self.live.start_s[job] == -1 and self.live.jobs.submit_s[job] <= now_s
        self.seen.append(job)
        request = self.live.jobs.kinds[int(self.live.jobs.kind[job])]
        if self.fgd is not None:
            return self.fgd.choose(request, allowed)
        return best_fit(self.live.cluster, request, allowed)


@pytest.mark.parametrize("name", ["best_fit", "fgd"])
@pytest.mark.parametrize("discipline", [d for d in DISCIPLINES if d != "conservative"])
def test_a_placer_in_the_loop_decides_as_the_built_in_one(discipline: str, name: str) -> None:
    for seed in range(40):
        nodes, jobs = cases.small(random.Random(seed))
        placer = Ours(name)
        one = simulate(nodes, jobs, discipline=discipline, placement=placer)
        two = simulate(nodes, jobs, discipline=discipline, placement=name)
        assert one.start_s.tolist() == two.start_s.tolist()
        assert [one.parts(j) for j in range(len(jobs))] == [two.parts(j) for j in range(len(jobs))]
        assert set(placer.seen) >= set(np.flatnonzero(one.started).tolist())


class Wrong(Ours):
    def choose(self, now_s: int, job: int, allowed: Mask) -> Choice | None:
        return Choice(0, (0,), 0)


class Lazy(Ours):
    def choose(self, now_s: int, job: int, allowed: Mask) -> Choice | None:
        return None if job == 1 else super().choose(now_s, job, allowed)


def test_a_placer_that_errs_is_told_what_does_not_fit() -> None:
    jobs = Jobs.build(submit_s=[0], duration_s=[5], kinds=ONE, nodes=[2], names=["train-7"])
    with pytest.raises(ValueError, match="placement: run train-7: node: row 0"):
        simulate(cases.slots(2), jobs, placement=Wrong(""))
    with pytest.raises(ValueError, match="conservative plans ahead"):
        simulate(cases.slots(2), jobs, discipline="conservative", placement=Wrong(""))


def test_what_a_placer_refuses_stays_in_the_count() -> None:
    jobs = Jobs.build(submit_s=[0, 1, 2], duration_s=[5] * 3, kinds=ONE)
    outcome = simulate(cases.slots(3), jobs, discipline="fifo", placement=Lazy(""))
    assert outcome.start_s.tolist() == [0, -1, -1]
    assert outcome.unfinished.tolist() == [1, 2]
    outcome = simulate(cases.slots(3), jobs, discipline="easy", placement=Lazy(""))
    assert outcome.start_s.tolist() == [0, -1, 2]


@pytest.mark.parametrize("discipline", DISCIPLINES)
def test_a_node_that_vanishes_requeues_its_runs(discipline: str) -> None:
    jobs = Jobs.build(submit_s=[0, 0, 1], duration_s=[10] * 3, kinds=ONE)
    fault = Fault(4, "n0000", back_s=30)
    outcome = simulate(cases.slots(2), jobs, discipline=discipline, faults=[fault])
    cases.check(outcome)
    assert outcome.start_s.tolist()[1:] == [0, 20] and outcome.start_s[0] == 10
    assert [(a.job, a.start_s, a.end_s) for a in outcome.lost] == [(0, 0, 4)]
    assert not len(outcome.unfinished)


def test_a_node_that_vanishes_for_good() -> None:
    jobs = Jobs.build(submit_s=[0, 1], duration_s=[10, 10], kinds=ONE, nodes=[2, 1])
    fault = Fault(4, "n0001", requeue=False)
    outcome = simulate(cases.slots(2), jobs, discipline="easy", faults=[fault])
    assert STATE_WORDS[int(outcome.state[0])] == "failed with its node"
    assert outcome.end_s.tolist() == [4, 14]
    requeued = simulate(cases.slots(2), jobs, discipline="fifo", faults=[Fault(4, "n0001")])
    assert requeued.unfinished.tolist() == [0, 1]
    assert requeued.end_s.tolist() == [-1, -1]


def test_runs_that_no_node_can_host_are_listed_and_block_nobody() -> None:
    jobs = Jobs.build(
        submit_s=[0, 0, 0, 1],
        duration_s=[5] * 4,
        kinds=[Request(2), Request(1, models=("B",)), cases.GPU],
        kind=[0, 1, 2, 2],
        nodes=[1, 1, 4, 1],
    )
    for discipline in DISCIPLINES:
        outcome = simulate(cases.slots(3), jobs, discipline=discipline)
        assert outcome.never.tolist() == [0, 1, 2]
        assert outcome.start_s.tolist() == [-1, -1, -1, 1]
        assert not len(outcome.unfinished)


def test_a_limit_kills_and_no_limit_never_ends_in_plans() -> None:
    jobs = Jobs.build(
        submit_s=[0, 0, 1], duration_s=[50, 5, 5], limit_s=[20, NO_LIMIT_S, 6], kinds=ONE
    )
    for discipline in ("easy", "conservative"):
        outcome = simulate(cases.slots(1), jobs, discipline=discipline)
        assert STATE_WORDS[int(outcome.state[0])] == "killed at its limit"
        assert outcome.end_s.tolist() == [20, 25, 30]


def test_no_runs_and_runs_of_no_length() -> None:
    empty = Jobs.build(submit_s=[], duration_s=[], kinds=[])
    nothing = Jobs.build(submit_s=[3] * 5, duration_s=[0] * 5, kinds=ONE)
    for discipline in DISCIPLINES:
        assert (
            len(simulate(cases.slots(1), empty, discipline=discipline, placement="fgd").lost) == 0
        )
        outcome = simulate(cases.slots(1), nothing, discipline=discipline)
        assert outcome.start_s.tolist() == outcome.end_s.tolist() == [3] * 5


def test_until_stops_in_the_middle() -> None:
    jobs = Jobs.build(submit_s=[0, 0, 50], duration_s=[10, 10, 10], kinds=ONE)
    outcome = simulate(cases.slots(1), jobs, until_s=12)
    assert [STATE_WORDS[int(s)] for s in outcome.state] == ["done", "running", "waiting"]
    assert outcome.end_s.tolist() == [10, -1, -1] and outcome.stopped_s == 10


def test_a_hundred_thousand_kinds() -> None:
    kinds = [Request(1, 1000, n, 1) for n in range(100_000)]
    rows = np.arange(0, 100_000, 250)
    jobs = Jobs.build(submit_s=rows, duration_s=rows % 97, kinds=kinds, kind=rows)
    for placement in ("best_fit", "fgd"):
        outcome = simulate(cases.slots(3), jobs, discipline="easy", placement=placement)
        assert not len(outcome.unfinished) and not len(outcome.never)


BAD: list[tuple[str, dict[str, object]]] = [
    ("submit_s: row 1 is nan", {"submit_s": [0, float("nan")]}),
    ("submit_s: row 0 is -1", {"submit_s": [-1, 0]}),
    ("duration_s: row 1 is -5", {"duration_s": [1, -5]}),
    ("duration_s: row 0 is inf", {"duration_s": [float("inf"), 5]}),
    ("duration_s: 1 rows, submit_s has 2", {"duration_s": [1]}),
    ("limit_s: row 0 is 0", {"limit_s": [0, 5]}),
    ("nodes: row 1 is 0", {"nodes": [1, 0]}),
    ("nodes: row 0 asks for 9 at once, the cluster has 4", {"nodes": [9, 1], "most_nodes": 4}),
    ("kind: row 1 is 1", {"kind": [0, 1]}),
    ("kind: row 0", {"kinds": []}),
    ("user: row 0 is 3", {"user": [3, 0]}),
    ("account: row 0 is -1", {"account": [-1, 0]}),
    ("names: 1 for 2", {"names": ["a"]}),
    ("submit_s: numbers are needed", {"submit_s": ["soon", "later"]}),
    ("submit_s: one number per row", {"submit_s": [[0], [1]]}),
]


@pytest.mark.parametrize(("words", "given"), BAD)
def test_bad_columns_are_refused_by_name_and_row(words: str, given: dict[str, object]) -> None:
    good: dict[str, object] = {"submit_s": [0, 1], "duration_s": [1, 2], "kinds": ONE}
    with pytest.raises(ValueError, match=words):
        Jobs.build(**{**good, **given})  # type: ignore[arg-type]


def test_runs_are_sorted_and_equal_moments_keep_their_order() -> None:
    jobs = Jobs.build(
        submit_s=[5, 1.9, 5, 0], duration_s=[1, 2, 3, 4], kinds=ONE, names=["a", "b", "c", "d"]
    )
    assert jobs.names == ("d", "b", "a", "c")
    assert jobs.submit_s.tolist() == [0, 1, 5, 5] and jobs.limit_s.tolist() == [4, 2, 1, 3]


def test_bad_arguments_are_refused_by_name() -> None:
    jobs = Jobs.build(submit_s=[0], duration_s=[1], kinds=ONE)
    with pytest.raises(ValueError, match="discipline: 'sjf'"):
        simulate(cases.slots(1), jobs, discipline="sjf")
    with pytest.raises(ValueError, match="placement: 'worst'"):
        simulate(cases.slots(1), jobs, placement="worst")
    with pytest.raises(ValueError, match="nodes:"):
        simulate([], jobs)
    with pytest.raises(ValueError, match="there is no node 'x'"):
        simulate(cases.slots(1), jobs, faults=[Fault(1, "x")])
    with pytest.raises(ValueError, match="back_s"):
        Fault(5, "n0000", 5)
    with pytest.raises(ValueError, match="at most 62"):
        simulate([NodeSpec("big", 63, "A", 1, 1)], jobs)
    with pytest.raises(ValueError, match="half_life_s"):
        simulate(cases.slots(1), jobs, half_life_s=0)


def test_progress_is_told_and_ends_at_all() -> None:
    jobs = Jobs.build(submit_s=np.arange(60_000), duration_s=[1] * 60_000, kinds=ONE)
    told: list[tuple[int, int]] = []
    simulate(cases.slots(2), jobs, progress=lambda done, total: told.append((done, total)))
    assert len(told) >= 2 and told[-1] == (60_000, 60_000)
    assert told == sorted(told)


DIGEST = """
import hashlib, random
from scheduler_sim.queues.run import DISCIPLINES, simulate
from tests.scheduler_sim.queues import cases
made = hashlib.sha256()
for seed in range(12):
    nodes, jobs = cases.small(random.Random(seed))
    for discipline in DISCIPLINES:
        for placement in ("first_fit", "best_fit", "fgd"):
            o = simulate(nodes, jobs, discipline=discipline, placement=placement)
            for part in (o.start_s, o.end_s, o.promised_s, o.part_node, o.part_gpus):
                made.update(part.tobytes())
print(made.hexdigest())
"""


@pytest.mark.skipif(not FAST, reason="numba is not installed: there is only the plain path")
def test_plain_python_gives_the_same_bits() -> None:
    found = {
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            env={**os.environ, "FOUNDRY_NUMBA": numba},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for numba in ("0", "1")
    }
    assert len(found) == 1 and len(found.pop()) == 65


@pytest.mark.parametrize("at_s", [float("nan"), float("inf"), 5.5, 10**18])
def test_a_node_vanishes_at_a_second_that_a_simulation_has(at_s: float) -> None:
    for fault in ({"at_s": at_s}, {"at_s": 0, "back_s": at_s}):
        with pytest.raises(ValueError, match="a whole second is needed"):
            Fault(node="n0000", **fault)  # type: ignore[arg-type]
