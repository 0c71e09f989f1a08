"""What every node has left from now on, as running work reaches its time limits.

Waiting runs are looked at in the scheduler's order. One that fits now is started; one that does not
keeps the nodes on which it can start soonest, and a run behind it may use those only if it ends
before (conservative backfill: Mu'alem and Feitelson, IEEE TPDS 12(6), 2001). A kept place is never
given back, which is on the safe side for whoever keeps it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from foundry_tui.optimiser.arrays import Board, Ending, Where
from foundry_tui.optimiser.problem import Level
from scheduler_sim.cluster import WHOLE_MILLI, Cluster, Request

Ints = NDArray[np.int64]
Seconds = NDArray[np.float64]

NEVER_S = np.inf


@dataclass(frozen=True, slots=True)
class Kept:
    """When (UTC epoch, seconds) and on which rows a run that has to wait would start."""

    at_s: float
    rows: tuple[int, ...]


class Timeline:
    """Steps of every node: step 0 is now, step k the k-th moment at which running work ends there.

    `left` is what is left now, `firm` what is left now and at every later step, that is, not kept
    for a run that waits ahead. Both are clusters for the placement policies. `kept_from_s` is the
    first moment at which a node is kept (inf: it is not) and `kept_for` the run it is kept for;
    `kept` tells of each run that keeps a place when and where.
    Arrays are (nodes, steps, GPUs) and (nodes, steps).
    """

    def __init__(self, board: Board, endings: Sequence[Ending], now: datetime) -> None:
        cluster = board.cluster
        self.now_s = now.timestamp()
        self.left = cluster.copy()
        self.firm = cluster.copy()
        self.kept_from_s: Seconds = np.full(len(cluster.nodes), NEVER_S)
        self.kept_for: dict[int, str] = {}
        self.kept: dict[str, Kept] = {}
        self._board = board
        self._soonest: dict[tuple[Request, Where], _Soonest] = {}
        self._keeps: dict[int, list[_Keep]] = {}
        self._lay_out(cluster, endings)

    def _lay_out(self, cluster: Cluster, endings: Sequence[Ending]) -> None:
        per_row: dict[int, dict[float, list[Ending]]] = {}
        for ending in endings:
            at_s = max(self.now_s, ending.at.timestamp())
            per_row.setdefault(ending.row, {}).setdefault(at_s, []).append(ending)
        rows, width = cluster.gpu_left.shape
        steps = 1 + max((len(moments) for moments in per_row.values()), default=0)
        self._at_s: Seconds = np.full((rows, steps), NEVER_S)
        self._at_s[:, 0] = self.now_s
        gpu = np.zeros((rows, steps, width), dtype=np.int32)
        cpu: Ints = np.zeros((rows, steps), dtype=np.int64)
        memory: Ints = np.zeros((rows, steps), dtype=np.int64)
        gpu[:, 0], cpu[:, 0], memory[:, 0] = (
            cluster.gpu_left,
            cluster.cpu_left,
            cluster.memory_left,
        )
        for row, moments in per_row.items():
            for step, at_s in enumerate(sorted(moments), start=1):
                self._at_s[row, step] = at_s
                for ending in moments[at_s]:
                    for position, milli in ending.gpus:
                        gpu[row, step, position] += milli
                    cpu[row, step] += ending.cpu_milli
                    memory[row, step] += ending.memory_mib
        # The increments summed up along the steps are what is left then.
        # No node gets more than it has, even where more was given away than there is.
        self._gpu = np.minimum(np.cumsum(gpu, axis=1, dtype=np.int32), WHOLE_MILLI)
        cpus = np.array([[n.cpu_milli] for n in cluster.nodes])
        memories = np.array([[n.memory_mib] for n in cluster.nodes])
        self._cpu = np.minimum(np.cumsum(cpu, axis=1), cpus)
        self._memory = np.minimum(np.cumsum(memory, axis=1), memories)
        self._bare = self._gpu.copy(), self._cpu.copy(), self._memory.copy()
        self._sure_gpu, self._sure_cpu = self._gpu.copy(), self._cpu.copy()
        self._sure_memory = self._memory.copy()

    def start(self, row: int, gpus: Sequence[int], request: Request, limit_s: int | None) -> None:
        """Take a run's share from now until its time limit; it must fit in `left`."""
        end = None
        if limit_s is not None:
            end = max(1, int(np.searchsorted(self._at_s[row], self.now_s + limit_s, side="left")))
        self._take(row, slice(0, end), gpus, request)

    def keep(self, run: str, kept: Kept, request: Request) -> None:
        """Take a waiting run's share on the rows of `kept` from that moment on."""
        self.kept[run] = kept
        for row in kept.rows:
            step = int(np.searchsorted(self._at_s[row], kept.at_s, side="right")) - 1
            sure, firm = self._sure_gpu[row, step].tolist(), self.firm.gpu_left[row].tolist()
            # Devices that are busy now come first, so that free ones stay free for others.
            fitting = sorted(
                (firm[g], g) for g, left in enumerate(sure) if left >= request.gpu_milli
            )
            gpus = [g for _, g in fitting[: request.gpus]]
            self._take(row, slice(step, None), gpus, request)
            self._keeps.setdefault(row, []).append(_Keep(step, tuple(gpus), request))
            if kept.at_s < self.kept_from_s[row]:
                self.kept_from_s[row] = kept.at_s
                self.kept_for[row] = run

    def levels(self, row: int) -> tuple[Level, ...]:
        """What a row has left for what starts now, beside the kept places and without any start.

        One level now, and one at each moment from which something is kept. Between them nothing
        is taken, so that whatever fits at the levels fits all the time.
        """
        keeps = self._keeps.get(row, ())
        found = []
        for step in sorted({0, *(keep.step for keep in keeps)}):
            gpus, cpu, memory = (part[row, step] for part in self._bare)
            left = gpus[: self._board.cluster.nodes[row].gpus].tolist()
            for keep in keeps:
                if keep.step <= step:
                    cpu, memory = cpu - keep.request.cpu_milli, memory - keep.request.memory_mib
                    for g in keep.gpus:
                        left[g] -= keep.request.gpu_milli
            from_s = float(self._at_s[row, step]) - self.now_s
            found.append(Level(from_s, tuple(left), int(cpu), int(memory)))
        return tuple(found)

    def soonest(self, request: Request, where: Where, nodes: int) -> Kept | None:
        """When and on which nodes the request can start, none of the kept places touched.

        None when the time limits of running work never make room for it.
        """
        known = self._soonest.get((request, where))
        if known is None:
            allowed = self._board.allowed(where)
            if request.models:
                allowed = allowed & self.left.accepting(request.models)
            known = _Soonest(np.flatnonzero(allowed))
            self._soonest[request, where] = known
        stale = np.flatnonzero(known.seen != self.firm.changes[known.rows])
        if stale.size:
            known.seen[stale] = self.firm.changes[known.rows[stale]]
            known.at_s[stale] = self._first_fit_s(known.rows[stale], request)
        if known.rows.size < nodes:
            return None
        if nodes == 1:
            order = np.array([known.at_s.argmin()])
        else:
            order = known.at_s.argsort(kind="stable")[:nodes]
        at_s = float(known.at_s[order].max())
        return None if at_s == NEVER_S else Kept(at_s, tuple(known.rows[order].tolist()))

    def _first_fit_s(self, rows: NDArray[np.intp], request: Request) -> Seconds:
        fits = (self._sure_cpu[rows] >= request.cpu_milli) & (
            self._sure_memory[rows] >= request.memory_mib
        )
        if request.gpus:
            fitting = (self._sure_gpu[rows] >= request.gpu_milli).sum(axis=2)
            fits &= fitting >= request.gpus
        first = fits.argmax(axis=1)
        at_s: Seconds = np.where(fits.any(axis=1), self._at_s[rows, first], NEVER_S)
        return at_s

    def _take(self, row: int, steps: slice, gpus: Sequence[int], request: Request) -> None:
        if gpus:
            self._gpu[row, steps, list(gpus)] -= request.gpu_milli
        self._cpu[row, steps] -= request.cpu_milli
        self._memory[row, steps] -= request.memory_mib
        for values, sure in (
            (self._gpu, self._sure_gpu),
            (self._cpu, self._sure_cpu),
            (self._memory, self._sure_memory),
        ):
            sure[row] = np.minimum.accumulate(values[row, ::-1], axis=0)[::-1]
        self._show(row, self.left, self._gpu, self._cpu, self._memory)
        self._show(row, self.firm, self._sure_gpu, self._sure_cpu, self._sure_memory)

    @staticmethod
    def _show(row: int, cluster: Cluster, gpu: NDArray[np.int32], cpu: Ints, memory: Ints) -> None:
        cluster.gpu_left[row] = gpu[row, 0]
        cluster.cpu_left[row] = cpu[row, 0]
        cluster.memory_left[row] = memory[row, 0]
        cluster.changes[row] += 1


@dataclass(frozen=True, slots=True)
class _Keep:
    """What is kept on a row from a step on."""

    step: int
    gpus: tuple[int, ...]
    request: Request


class _Soonest:
    """Of one kind of request: the rows that will do, and when each has room at the earliest."""

    __slots__ = ("at_s", "rows", "seen")

    def __init__(self, rows: NDArray[np.intp]) -> None:
        self.rows = rows
        self.at_s: Seconds = np.full(rows.size, NEVER_S)
        self.seen: Ints = np.full(rows.size, -1, dtype=np.int64)
