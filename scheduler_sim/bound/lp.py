"""The linear program over the patterns known so far (the restricted master), solved by HiGHS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array, csc_array, hstack

from scheduler_sim.bound.model import Floats, Ints
from scheduler_sim.bound.proof import Proposal, Prover

CORE_MILLI = 1000.0
GIB_MIB = 1024.0


@dataclass(frozen=True, slots=True)
class Solved:
    """An optimum over the known patterns.

    `value` is what the started runs are worth, `missing` the forced runs (in fractions) that were
    not started, `filling` (bins,) the price of a bin, `proposal` all the others.
    """

    value: float
    missing: float
    filling: Floats
    proposal: Proposal


class Master:
    """Variables: parts of a shape on a class, started runs of an order, bins filled by a pattern.

    Rows, each "used <= there": a shape's parts, the places for a size in a class, the bins, the
    cores and the memory of a class. `reward` is paid for a forced run on top of its value, so that
    the program has a solution even when not all of them can be started.
    """

    def __init__(self, prover: Prover) -> None:
        self._prover = prover
        problem = prover.problem
        self.unit = max((o.value for o in problem.orders), default=0.0) or 1.0
        shapes, classes = len(problem.shapes), len(problem.classes)
        sizes, bins = len(prover.knapsack.sizes_milli), len(prover.bins)
        self._slots = shapes
        self._bins = self._slots + classes * sizes
        self._cpu = self._bins + bins
        self._memory = self._cpu + classes
        self._rows = self._memory + classes
        self._sizes = sizes
        self._limits = np.zeros(self._rows)
        self._limits[self._bins : self._cpu] = prover.bins
        self._limits[self._cpu : self._memory] = np.array(prover.cpu_total) / CORE_MILLI
        self._limits[self._memory :] = np.array(prover.memory_total) / GIB_MIB
        self._value = np.array([o.value for o in problem.orders]) / self.unit
        self._size = self._reward_sizes()
        self._base, self._upper = self._columns()
        self._patterns: list[csc_array] = []
        self._known: set[tuple[int, bytes]] = set()

    @property
    def patterns(self) -> int:
        """How many patterns are known, over all bins."""
        return len(self._known)

    def add(self, bins: Ints, counts: Ints) -> int:
        """Make patterns known: counts[j] (sizes,) for bins[j]. How many of them are new."""
        new = []
        for j, (b, row) in enumerate(zip(bins.tolist(), counts, strict=True)):
            key = b, row.tobytes()
            if key not in self._known:
                self._known.add(key)
                new.append(j)
        if new:
            chosen, filled = bins[new], counts[new]
            at, size = np.nonzero(filled)
            slot = self._slots + self._prover.knapsack.bin_class[chosen[at]] * self._sizes + size
            rows = np.concatenate([slot, self._bins + chosen])
            columns = np.concatenate([at, np.arange(len(new))])
            data = np.concatenate([-filled[at, size], np.ones(len(new))])
            shape = self._rows, len(new)
            self._patterns.append(csc_array(coo_array((data, (rows, columns)), shape=shape)))
        return len(new)

    def solve(self, worth: float, reward: float, time_limit_s: float) -> Solved | None:
        """The optimum with values times `worth` and this reward; None when time was too short.

        None too in the rare case that the solver gives up on its numbers.
        """
        matrix = hstack([self._base, *self._patterns], format="csc")
        gain = np.zeros(matrix.shape[1])
        orders = len(self._value)
        first = self._base.shape[1] - 2 * orders
        forced = slice(first, first + orders)
        free = slice(first + orders, first + 2 * orders)
        gain[forced] = worth * self._value + reward * self._size
        gain[free] = worth * self._value
        upper = np.full(matrix.shape[1], np.inf)
        upper[: len(self._upper)] = self._upper
        upper[free] = np.where(gain[free] > 0, upper[free], 0)
        found = linprog(
            -gain,
            A_ub=matrix,
            b_ub=self._limits,
            bounds=np.column_stack([np.zeros(len(upper)), upper]),
            method="highs-ds",
            options={"time_limit": max(time_limit_s, 0.01)},
        )
        if found.status != 0:
            return None
        x = found.x
        dual = -found.ineqlin.marginals * self.unit
        classes, sizes = self._rows - self._memory, self._sizes
        return Solved(
            value=float((x[forced] + x[free]) @ self._value) * self.unit,
            missing=float(np.maximum(self._prover.forced - x[forced], 0).sum()),
            filling=dual[self._bins : self._cpu],
            proposal=Proposal(
                cost=dual[: self._slots],
                slot=dual[self._slots : self._bins].reshape(classes, sizes),
                cpu=dual[self._cpu : self._memory] / CORE_MILLI,
                memory=dual[self._memory :] / GIB_MIB,
            ),
        )

    def _reward_sizes(self) -> Floats:
        """A run's largest share of anything there is, scaled to the values: what it weighs."""
        prover = self._prover
        gpus = float((prover.bins * prover.knapsack.bin_milli).sum()) or 1.0
        cores = float(sum(prover.cpu_total)) or 1.0
        memory = float(sum(prover.memory_total)) or 1.0
        milli = prover.gpus * np.array([s.gpu_milli for s in prover.problem.shapes])
        part = np.maximum.reduce([milli / gpus, prover.cpu / cores, prover.memory / memory])
        share = np.maximum(part[prover.shape] * prover.parts, 1e-9)
        densest = float((self._value / share).max(initial=0.0)) or 1.0
        sizes: Floats = share * densest
        return sizes

    def _columns(self) -> tuple[csc_array, Floats]:
        prover, room = self._prover, self._prover.problem.room
        shape, where = np.nonzero(room)
        at = np.arange(len(shape))
        gpu = np.flatnonzero(prover.gpus[shape] > 0)
        slot = self._slots + where[gpu] * self._sizes + prover.size[shape[gpu]]
        order = len(shape) + np.arange(2 * len(prover.shape))
        entries = [
            (shape, at, -np.ones(len(at))),
            (slot, gpu, prover.gpus[shape[gpu]]),
            (self._cpu + where, at, prover.cpu[shape] / CORE_MILLI),
            (self._memory + where, at, prover.memory[shape] / GIB_MIB),
            (np.tile(prover.shape, 2), order, np.tile(prover.parts, 2)),
        ]
        rows, columns, data = (np.concatenate(parts) for parts in zip(*entries, strict=True))
        size = self._rows, len(at) + len(order)
        # the orders limit their parts themselves: a second limit would share their price
        parts = np.where(room < prover.asked[:, None], room, np.inf)[shape, where]
        upper = np.concatenate([parts, prover.forced, prover.free])
        return csc_array(coo_array((data, (rows, columns)), shape=size)), upper
