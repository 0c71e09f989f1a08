"""Column generation: ask the program for prices, look for fillings that beat them, repeat.

Every round's prices are judged exactly, and the lowest bound so far is kept, so that it holds
whenever time ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

import numpy as np

from scheduler_sim.bound.model import Certificate, Problem
from scheduler_sim.bound.proof import Proof, Proposal, Prover

if TYPE_CHECKING:
    from scheduler_sim.bound.lp import Master, Solved

GAP = 1e-6
"""Share of the bound below which the rest of the gap is not worth another round."""

MISSING = 1e-5
"""Fractions of forced runs, in all, that count as none: what the solver's tolerance leaves over."""

STAGES = ((1.0, 20.0), (1.0, 2000.0), (0.0, 1.0))
"""Weights of the values and of the reward for forced runs, in the order in which they are tried.

A larger reward makes sure that a forced run is left out only because it has to be, a smaller one is
kinder to the solver; the last asks for nothing else than whether all forced runs can be started.
"""


def certify(
    problem: Problem, time_limit_s: float, clock: Callable[[], float] = monotonic
) -> Certificate:
    """The least bound that this program gives, or the least proven within the time.

    `clock` is in seconds; a time limit of 0 or below gives what can be told without the program.
    """
    ends = clock() + time_limit_s
    prover = Prover(problem)
    best = _Best(prover)
    best.judge(_free(prover))
    best.judge(_flat(prover))
    if not problem.orders:
        best.reached, best.feasible = 0.0, True
    proven = best.impossible or not problem.orders
    if proven or clock() >= ends:
        return best.certificate(proven=proven, rounds=0, patterns=0)
    from scheduler_sim.bound.lp import Master  # scipy takes a while to load

    master = Master(prover)
    _begin(prover, master)
    rounds, stage = 0, 0
    while True:
        worth, reward = STAGES[stage]
        solved = master.solve(worth, reward, ends - clock())
        if solved is None:
            return best.certificate(proven=False, rounds=rounds, patterns=master.patterns)
        rounds += 1
        proof = best.judge(solved.proposal)
        best.learn(solved)
        new = _extend(prover, master, solved, proof)
        best_there_is = not new and worth > 0 and solved.missing <= MISSING
        proven = best.impossible or best.closed() or best_there_is
        stage += not new
        if proven or stage == len(STAGES) or clock() >= ends:
            return best.certificate(proven=proven, rounds=rounds, patterns=master.patterns)


@dataclass(slots=True)
class _Best:
    """The lowest bound so far, and what fractions of runs are known to reach."""

    prover: Prover
    proof: Proof | None = None
    impossible: bool = False
    feasible: bool = False
    reached: float | None = None

    def judge(self, proposal: Proposal) -> Proof:
        proof = self.prover.judge(proposal)
        self.impossible = self.impossible or proof.spare < 0
        if self.proof is None or proof.most < self.proof.most:
            self.proof = proof
        return proof

    def learn(self, solved: Solved) -> None:
        if solved.missing <= MISSING:
            self.feasible = True
            self.reached = max(self.reached or 0.0, solved.value)

    def closed(self) -> bool:
        assert self.proof is not None
        most = self.proof.most / self.prover.scale
        return self.reached is not None and most - self.reached <= GAP * most

    def certificate(self, proven: bool, rounds: int, patterns: int) -> Certificate:
        assert self.proof is not None
        any_forced = bool(self.prover.forced.any())
        feasible = None if any_forced and not self.feasible else True
        return Certificate(
            most=None if self.impossible else _up(self.proof.most, self.prover.scale),
            reached=self.reached,
            feasible=False if self.impossible else feasible,
            proven=proven,
            rounds=rounds,
            patterns=patterns,
            prices=self.proof.prices,
        )


def _up(whole: int, scale: float) -> float:
    """whole / scale, rounded upwards."""
    return float(np.nextafter(whole / scale, np.inf)) if whole else 0.0


def _free(prover: Prover) -> Proposal:
    """Everything for nothing: the bound is the sum of all values."""
    shapes, classes = prover.problem.room.shape
    sizes = len(prover.knapsack.sizes_milli)
    return Proposal(
        np.zeros(shapes), np.zeros((classes, sizes)), np.zeros(classes), np.zeros(classes)
    )


def _flat(prover: Prover) -> Proposal:
    """Each thousandth of a GPU at the value of the first order that there is no room for.

    Orders are taken by their value for each thousandth, as if all GPUs were one.
    """
    free = _free(prover)
    problem = prover.problem
    milli = prover.gpus * np.array([s.gpu_milli for s in problem.shapes], dtype=np.int64)
    left = int((prover.bins * prover.knapsack.bin_milli).sum())
    price = 0.0
    asked = [(o.parts * int(milli[o.shape]), o) for o in problem.orders]
    for each, order in sorted(asked, key=lambda a: -a[1].value / a[0] if a[0] else 0.0):
        if each and problem.room[order.shape].any():
            left -= each * order.count
            if left < 0:
                price = order.value / each
                break
    sizes = prover.knapsack.sizes_milli
    return Proposal(free.cost, free.slot + price * sizes, free.cpu, free.memory)


def _begin(prover: Prover, master: Master) -> None:
    """As many of one size as a bin takes, for each size and bin."""
    knapsack = prover.knapsack
    for j, (milli, most) in enumerate(zip(knapsack.sizes_milli, knapsack.most, strict=True)):
        counts = np.zeros((len(knapsack.bin_milli), len(knapsack.sizes_milli)), dtype=np.int64)
        counts[:, j] = np.minimum(knapsack.bin_milli // milli, most)
        bins = np.flatnonzero(counts[:, j])
        master.add(bins, counts[bins])


def _extend(prover: Prover, master: Master, solved: Solved, proof: Proof) -> int:
    """Make known what fills a bin better than its price says; how many are new."""
    beats = proof.worth > (solved.filling + GAP * master.unit * 0.1) * prover.scale
    bins = np.flatnonzero(beats)
    return master.add(bins, proof.counts[bins])
