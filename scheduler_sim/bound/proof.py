"""What prices prove, in whole numbers: no schedule is worth more than the resources and the runs.

Let a class charge `slot` for a place of each size on a GPU, `cpu` for a thousandth of a core and
`memory` for a MiB, all at least 0. A part of a shape then pays its cost, the cheapest sum over the
classes that take it. Whatever is started, the runs' value is at most

    sum over runs of max(0, value - parts * cost)        (forced runs: without the max)
  + sum over classes of cpu and memory at their prices, and of each GPU at its best filling

by weak duality, and so for *any* prices: what a solver proposes is rounded to integers and the sum
taken exactly, so neither its tolerance nor stopping it early can make the bound wrong. With every
value 0 the same sum below 0 proves that the forced runs cannot all be placed (Farkas). Sources:
Gilmore and Gomory, Operations Research 9 (1961); Farley, Operations Research 38 (1990).

`room` sharpens it: where a class has place for only so many parts of a shape, the cost may lie
above that class's price if the excess is paid for as many parts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from scheduler_sim.bound.model import Floats, Ints, Prices, Problem
from scheduler_sim.bound.patterns import Knapsack

HIGHEST = 1 << 44
"""No price is above this: lowering one keeps the proof valid, and a filling within 64 bits."""

UNIT_BITS = 32
"""The largest value becomes about 2^32, so that prices have 32 bits below it and 12 above."""

SCALE_BITS = 1000
"""Values near the least float are not scaled beyond what a float holds."""

Exact = np.ndarray[tuple[int, ...], np.dtype[np.object_]]
"""Python's integers, which never overflow."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """Prices as a solver gives them, in the unit of the values; negative ones count as 0.

    `cost` (shapes,) is tried beside the cheapest sum. Shapes as in `Prices`.
    """

    cost: Floats
    slot: Floats
    cpu: Floats
    memory: Floats


@dataclass(frozen=True, slots=True)
class Proof:
    """`most` and `spare` times `scale`: the bound, and (below 0) the proof that forced ones fail.

    `worth` (bins,) is the best filling of each bin times `scale`, `counts` (bins, sizes) which.
    """

    most: int
    spare: int
    worth: Ints
    counts: Ints
    prices: Prices


class Prover:
    """The numbers of one problem, laid out to judge many proposals."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        shapes, classes = problem.shapes, problem.classes
        self.gpus = np.array([s.gpus for s in shapes], dtype=np.int64)
        self.cpu = np.array([s.cpu_milli for s in shapes], dtype=np.int64)
        self.memory = np.array([s.memory_mib for s in shapes], dtype=np.int64)
        milli = np.array([s.gpu_milli if s.gpus else 0 for s in shapes], dtype=np.int64)
        sizes = np.unique(milli[self.gpus > 0])
        self.size = np.searchsorted(sizes, milli)
        self.size[self.gpus == 0] = 0
        orders = problem.orders
        self.shape = np.array([o.shape for o in orders], dtype=np.intp)
        self.parts = np.array([o.parts for o in orders], dtype=np.int64)
        self.forced = np.array([o.forced for o in orders], dtype=np.int64)
        self.free = np.array([o.count - o.forced for o in orders], dtype=np.int64)
        asked = np.zeros(len(shapes), dtype=np.int64)
        np.add.at(asked, self.shape, self.parts * (self.forced + self.free))
        self.asked = asked
        most = np.zeros(len(sizes), dtype=np.int64)
        has = self.gpus > 0
        np.add.at(most, self.size[has], (asked * self.gpus)[has])
        bins = [(k, m, n) for k, c in enumerate(classes) for m, n in c.bins]
        self.bins = np.array([n for _, _, n in bins], dtype=np.int64)
        self.knapsack = Knapsack(
            sizes_milli=sizes,
            most=most,
            bin_class=np.array([k for k, _, _ in bins], dtype=np.int64),
            bin_milli=np.array([m for _, m, _ in bins], dtype=np.int64),
        )
        self.cpu_total = [c.cpu_milli for c in classes]
        self.memory_total = [c.memory_mib for c in classes]
        values = [o.value for o in orders]
        largest = max(values, default=0.0)
        exponent = UNIT_BITS - (math.frexp(largest)[1] if largest else 0)
        self.scale = math.ldexp(1.0, min(exponent, SCALE_BITS))
        self.value = np.array([math.ceil(v * self.scale) for v in values], dtype=object)
        self.forced_parts = np.zeros(len(shapes), dtype=np.int64)
        np.add.at(self.forced_parts, self.shape, self.parts * self.forced)

    def judge(self, proposal: Proposal) -> Proof:
        """What these prices prove, exactly."""
        slot = self._whole(proposal.slot, 1)
        cpu = self._whole(proposal.cpu, max(1, int(self.cpu.max(initial=1))))
        memory = self._whole(proposal.memory, max(1, int(self.memory.max(initial=1))))
        worth, counts = self.knapsack.fill(slot)
        price = self.cpu[:, None] * cpu + self.memory[:, None] * memory
        if slot.shape[1]:
            price += self.gpus[:, None] * slot[:, self.size].T
        price = np.minimum(price, HIGHEST)
        price[self.problem.room == 0] = HIGHEST
        cheapest = price.min(axis=1, initial=HIGHEST)
        proposed = self._whole(proposal.cost, 1)
        resources = (
            sum(int(w) * int(n) for w, n in zip(worth, self.bins, strict=True))
            + sum(int(p) * t for p, t in zip(cpu, self.cpu_total, strict=True))
            + sum(int(p) * t for p, t in zip(memory, self.memory_total, strict=True))
        )
        tried = [(cost, self._paid(price, cost)) for cost in (cheapest, proposed)]
        most, chosen = _least([(c, self._gains(c) + paid) for c, paid in tried])
        spare, _ = _least([(c, paid - c.astype(object) * self.forced_parts) for c, paid in tried])
        return Proof(
            most=resources + most,
            spare=resources + spare,
            worth=worth,
            counts=counts,
            prices=self._prices(chosen, slot, cpu, memory, worth),
        )

    def _whole(self, price: Floats, times: int) -> Ints:
        """Prices as integers of which `times` stay below the highest."""
        scaled = np.nan_to_num(price, nan=0.0) * self.scale
        whole: Ints = np.rint(np.clip(scaled, 0, HIGHEST // times)).astype(np.int64)
        return whole

    def _gains(self, cost: Ints) -> Exact:
        """What the runs of each shape are worth beyond their cost, at most (shapes,)."""
        gain = self.value - self.parts * cost.astype(object)[self.shape]
        total = np.zeros(len(cost), dtype=object)
        np.add.at(total, self.shape, gain * self.forced + np.maximum(gain, 0) * self.free)
        return total

    def _paid(self, price: Ints, cost: Ints) -> Exact:
        """What is paid where the cost lies above a class's price (shapes,)."""
        excess = np.maximum(cost[:, None] - price, 0).astype(object)
        return (excess * self.problem.room).sum(axis=1)  # type: ignore[no-any-return]

    def _prices(self, cost: Ints, slot: Ints, cpu: Ints, memory: Ints, worth: Ints) -> Prices:
        per_class: list[list[float]] = [[] for _ in self.problem.classes]
        for k, filled in zip(self.knapsack.bin_class, worth, strict=True):
            per_class[int(k)].append(int(filled) / self.scale)
        return Prices(
            sizes_milli=tuple(int(m) for m in self.knapsack.sizes_milli),
            shape_cost=cost / self.scale,
            slot=slot / self.scale,
            cpu=cpu / self.scale,
            memory=memory / self.scale,
            gpu=tuple(tuple(g) for g in per_class),
        )


def _least(tried: list[tuple[Ints, Exact]]) -> tuple[int, Ints]:
    """Per shape the cost with the lowest sum, the higher of equals; the total, and those costs."""
    (first, low), (second, other) = tried
    better = (other < low).astype(np.bool_) | ((other == low) & (second > first))
    return int(np.where(better, other, low).sum()), np.where(better, second, first)
