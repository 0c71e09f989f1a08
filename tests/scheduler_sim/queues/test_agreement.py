"""The engine does, second by second, exactly what the plain one does."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from scheduler_sim.queues.build import mix_of
from scheduler_sim.queues.jobs import Jobs
from scheduler_sim.queues.outcome import Fault, Outcome
from scheduler_sim.queues.run import DISCIPLINES, PLACEMENTS, simulate
from tests.scheduler_sim.queues import cases
from tests.scheduler_sim.queues.naive import Naive

MEANT = {
    "fifo": ("submit", "strict"),
    "priority": ("priority", "strict"),
    "easy": ("submit", "easy"),
    "priority-easy": ("priority", "easy"),
    "conservative": ("submit", "conservative"),
    "fairshare": ("fair", "easy"),
}
CASES = 200


def compare(discipline: str, seed: int, with_faults: bool) -> None:
    draw = random.Random(seed)
    nodes, jobs = cases.small(draw)
    placement = draw.choice(tuple(PLACEMENTS))
    faults: list[Fault] = cases.outages(draw, nodes) if with_faults else []
    order, rule = MEANT[discipline]
    plain = Naive(nodes, jobs, order, rule, placement, mix_of(jobs), 4, faults)
    plain.play()
    ours = simulate(
        nodes, jobs, discipline=discipline, placement=placement, faults=faults, half_life_s=256
    )
    cases.check(ours)
    rows = range(len(jobs))
    assert ours.start_s.tolist() == [plain.start_s.get(j, -1) for j in rows], seed
    assert ours.end_s.tolist() == [plain.end_s.get(j, -1) for j in rows], seed
    for row in plain.start_s:
        got = [(n, tuple(g for g in range(8) if mask >> g & 1)) for n, mask in ours.parts(row)]
        assert got == plain.parts[row], (seed, row)
    if not with_faults:
        assert ours.promised_s.tolist() == [plain.promised_s.get(j, -1) for j in rows], seed


def test_every_discipline_is_compared() -> None:
    assert set(MEANT) == set(DISCIPLINES)


@pytest.mark.parametrize("discipline", DISCIPLINES)
def test_exact_agreement(discipline: str) -> None:
    for seed in range(CASES):
        compare(discipline, seed, with_faults=False)


@pytest.mark.parametrize("discipline", DISCIPLINES)
def test_exact_agreement_with_nodes_that_vanish(discipline: str) -> None:
    for seed in range(1000, 1000 + CASES // 2):
        compare(discipline, seed, with_faults=True)


def same(one: Outcome, two: Outcome) -> bool:
    fields = ("start_s", "end_s", "part_node", "part_gpus", "promised_s", "state")
    return all(np.array_equal(getattr(one, f), getattr(two, f)) for f in fields)


@pytest.mark.parametrize("discipline", DISCIPLINES)
def test_the_same_runs_give_the_same_outcome(discipline: str) -> None:
    nodes, jobs = cases.small(random.Random(7))
    again = replace(jobs, submit_s=jobs.submit_s.copy())
    for seed in (0, 5):
        one = simulate(nodes, jobs, discipline=discipline, placement="fgd", seed=seed)
        two = simulate(nodes, again, discipline=discipline, placement="fgd", seed=seed)
        assert same(one, two)
        cases.check(one)


def test_equal_runs_start_in_the_order_given() -> None:
    jobs = Jobs.build(submit_s=[5] * 6, duration_s=[10] * 6, kinds=[cases.GPU])
    outcome = simulate(cases.slots(2), jobs, discipline="fifo", placement="first_fit")
    assert outcome.start_s.tolist() == [5, 5, 15, 15, 25, 25]
    assert outcome.part_node.tolist() == [0, 1, 0, 1, 0, 1]
    assert np.all(outcome.part_gpus == 1)
