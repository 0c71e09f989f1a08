"""One source played forward from now: work ends at its time limit, what waits starts in its order.

The scheduler is taken to be EASY backfill per queue (Lifka, JSSPP 1995): runs start in order where
they fit, by best fit; the first of each queue that does not fit keeps the nodes on which devices
come free soonest, and those behind it may use them only if they end before. Only nodes on which
something ended are looked at again, for all shapes of request at once.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.optimiser.arrays import Board, Ending
from scheduler_sim.cluster import Mask, Request

NEVER_S = np.inf
LOOK_EVERY = 256
"""Events after which the caller is asked whether to go on."""

Ints = NDArray[np.int64]
Held = tuple[int, tuple[tuple[int, int], ...], int, int]
"""Row, (device, thousandths) pairs, CPU and memory that come free together."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The tasks of one run, in the scheduler's order by their place in a list.

    `allowed` are the rows of the board that will do as it is queued. `runs_s` is its time limit,
    None for none. `queue` names whom it stands in line with.
    """

    request: Request
    nodes: int
    tasks: int
    runs_s: float | None
    allowed: Mask
    queue: str


@dataclass(frozen=True, slots=True)
class Planned:
    """A start of a plan: number of the run in the list of the waiting, what it takes and where."""

    number: int
    request: Request
    runs_s: float | None
    parts: tuple[tuple[int, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True)
class Moved:
    """A running run that a plan starts again elsewhere: what it gives back now, and its new place.

    `runs_s` is its whole time limit, because its work is done again.
    """

    run: str
    held: Held
    request: Request
    runs_s: float | None
    part: tuple[int, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Course:
    """When tasks start, in seconds from now by run; and the mean of the GPUs allocated anew.

    `gpus` counts what starts against what ends, from 0 now.
    """

    starts_s: tuple[tuple[float, ...], ...]
    gpus: float


def play(
    board: Board,
    endings: Iterable[Ending],
    now_s: float,
    waiting: Sequence[Waiting],
    planned: Sequence[Planned],
    horizon_s: float,
    cancelled: Callable[[], bool],
    moved: Sequence[Moved] = (),
) -> Course | None:
    """The course of the next `horizon_s` seconds; None when it was cancelled.

    The `moved` leave first, then the `planned` start, then the moved do again.
    """
    found = _Course(board, waiting, horizon_s)
    gone = {one.run for one in moved}
    for one in moved:
        found.leave(one.held)
    for ending in endings:
        if ending.run in gone:
            continue
        at_s = max(1.0, ending.at.timestamp() - now_s)
        found.running(at_s, (ending.row, ending.gpus, ending.cpu_milli, ending.memory_mib))
    found.seal()
    for start in planned:
        found.begin(start.number, start.request, start.runs_s, start.parts)
    for one in moved:
        found.take(one.request, one.runs_s, [one.part])
    found.look(np.arange(len(board.nodes)))
    events = 0
    while found.ends and found.ends[0][0] <= horizon_s:
        found.look(found.advance())
        events += 1
        if events % LOOK_EVERY == 0 and cancelled():
            return None
    found.count(horizon_s)
    return Course(tuple(tuple(s) for s in found.starts_s), found.milli_s / WHOLE_MILLI / horizon_s)


@dataclass(slots=True)
class _Line:
    """Runs that want the same: numbers in order, of which those before `first` are done."""

    runs: list[int] = field(default_factory=list)
    first: int = 0


class _Course:
    def __init__(self, board: Board, waiting: Sequence[Waiting], horizon_s: float) -> None:
        cluster = board.cluster
        self.gpu, self.cpu = cluster.gpu_left.copy(), cluster.cpu_left.copy()
        self.memory = cluster.memory_left.copy()
        self.ends: list[tuple[float, int]] = []
        self.starts_s: list[list[float]] = [[] for _ in waiting]
        self.milli_s = 0.0
        self._now_s, self._milli, self._horizon_s = 0.0, 0, horizon_s
        self._waiting, self._left = waiting, [w.tasks for w in waiting]
        self._held: dict[int, list[Held]] = {}
        self._on: dict[tuple[int, int], dict[int, float]] = {}
        self._until_s = np.zeros(self.gpu.shape)
        self._kept_s = np.full(len(board.nodes), NEVER_S)
        self._kept_by = np.full(len(board.nodes), len(waiting), dtype=np.int64)
        self._heads: dict[str, tuple[int, float, tuple[int, ...]]] = {}
        self._sort(waiting)

    def _sort(self, waiting: Sequence[Waiting]) -> None:
        shapes: dict[object, int] = {}
        self._shape: list[int] = []
        self._lines: list[_Line] = []
        self._queues: dict[str, _Line] = {}
        first: list[Waiting] = []
        for number, run in enumerate(waiting):
            key = run.request, run.nodes, run.runs_s, run.allowed.tobytes()
            shape = shapes.setdefault(key, len(shapes))
            if shape == len(first):
                first.append(run)
                self._lines.append(_Line())
            self._shape.append(shape)
            self._lines[shape].runs.append(number)
            self._queues.setdefault(run.queue, _Line()).runs.append(number)
        self._gpus = np.array([r.request.gpus for r in first], dtype=np.int64)
        self._each = np.array([r.request.gpu_milli for r in first], dtype=np.int64)
        self._cores = np.array([r.request.cpu_milli for r in first], dtype=np.int64)
        self._mib = np.array([r.request.memory_mib for r in first], dtype=np.int64)
        rows = len(self.cpu)
        self._allowed = (
            np.array([r.allowed for r in first]) if first else np.zeros((0, rows), dtype=np.bool_)
        )

    def running(self, at_s: float, held: Held) -> None:
        """Work that runs already and ends then."""
        self._end(at_s, [held])

    def seal(self) -> None:
        """All known endings were told: what else holds a device never ends."""
        told = np.zeros(self.gpu.shape, dtype=np.int64)
        for parts in self._held.values():
            for row, gpus, _, _ in parts:
                for g, milli in gpus:
                    told[row, g] += milli
        self._until_s[WHOLE_MILLI - self.gpu > told] = NEVER_S

    def begin(
        self,
        number: int,
        request: Request,
        runs_s: float | None,
        parts: Sequence[tuple[int, tuple[int, ...]]],
    ) -> None:
        """One task starts now."""
        self._left[number] -= 1
        self.starts_s[number].append(self._now_s)
        self.take(request, runs_s, parts)

    def leave(self, held: Held) -> None:
        """Work that runs gives back what it holds, before anything else happens."""
        row, gpus, cpu_milli, memory_mib = held
        self.cpu[row] += cpu_milli
        self.memory[row] += memory_mib
        for g, milli in gpus:
            self.gpu[row, g] += milli
            self._milli -= milli

    def take(
        self,
        request: Request,
        runs_s: float | None,
        parts: Sequence[tuple[int, tuple[int, ...]]],
    ) -> None:
        """Work begins now on these devices."""
        self._milli += len(parts) * request.total_milli
        held = []
        for row, gpus in parts:
            self.gpu[row, list(gpus)] -= request.gpu_milli
            self.cpu[row] -= request.cpu_milli
            self.memory[row] -= request.memory_mib
            each = tuple((g, request.gpu_milli) for g in gpus)
            held.append((row, each, request.cpu_milli, request.memory_mib))
        self._end(NEVER_S if runs_s is None else self._now_s + runs_s, held)

    def _end(self, at_s: float, parts: list[Held]) -> None:
        token = len(self._held)
        self._held[token] = parts
        heapq.heappush(self.ends, (at_s, token))
        for row, gpus, _, _ in parts:
            for g, _ in gpus:
                self._on.setdefault((row, g), {})[token] = at_s
                self._until_s[row, g] = max(self._until_s[row, g], at_s)

    def advance(self) -> Ints:
        """Go to the next end of work and give back what all that ends then held; its rows."""
        at_s = self.ends[0][0]
        self.count(at_s)
        rows: set[int] = set()
        while self.ends and self.ends[0][0] == at_s:
            _, token = heapq.heappop(self.ends)
            for row, gpus, cpu_milli, memory_mib in self._held[token]:
                rows.add(row)
                self.cpu[row] += cpu_milli
                self.memory[row] += memory_mib
                for g, milli in gpus:
                    self.gpu[row, g] = min(WHOLE_MILLI, self.gpu[row, g] + milli)
                    self._milli -= milli
                    on = self._on[row, g]
                    del on[token]
                    if self._until_s[row, g] != NEVER_S:
                        self._until_s[row, g] = max(on.values(), default=0.0)
        return np.array(sorted(rows), dtype=np.int64)

    def count(self, at_s: float) -> None:
        """Go to this moment, and reckon what was allocated until then."""
        self.milli_s += self._milli * (at_s - self._now_s)
        self._now_s = at_s

    def look(self, rows: Ints) -> None:
        """Start what fits on these rows, in order; what spans several nodes may use any."""
        left = self.gpu[rows]
        room = (left[None] >= self._each[:, None, None]).sum(axis=2) >= self._gpus[:, None]
        room &= self._allowed[:, rows]
        room &= self.cpu[rows] >= self._cores[:, None]
        room &= self.memory[rows] >= self._mib[:, None]
        line: list[tuple[int, int]] = []
        for shape in np.flatnonzero(room.any(axis=1)).tolist():
            number = self._next(self._lines[shape])
            if number is not None:
                line.append((number, shape))
        heapq.heapify(line)
        while line:
            number, shape = heapq.heappop(line)
            run = self._waiting[number]
            parts = self._place(number, shape, rows if run.nodes == 1 else None)
            if parts is None:
                continue
            self.begin(number, run.request, run.runs_s, parts)
            if not self._left[number] and self._heads.get(run.queue, (None,))[0] == number:
                self._keep()  # what it kept is free for those behind it
            following = self._next(self._lines[shape])
            if following is not None:
                heapq.heappush(line, (following, shape))
        self._keep()

    def _next(self, line: _Line) -> int | None:
        """The first run of a line that still waits."""
        while line.first < len(line.runs) and not self._left[line.runs[line.first]]:
            line.first += 1
        return line.runs[line.first] if line.first < len(line.runs) else None

    def _place(
        self, number: int, shape: int, rows: Ints | None
    ) -> list[tuple[int, tuple[int, ...]]] | None:
        run = self._waiting[number]
        if rows is None:
            rows = np.arange(len(self.cpu))
        request, left = run.request, self.gpu[rows]
        fit = self._allowed[shape, rows] & (self.cpu[rows] >= request.cpu_milli)
        fit &= self.memory[rows] >= request.memory_mib
        fit &= (left >= request.gpu_milli).sum(axis=1) >= request.gpus
        ends_s = NEVER_S if run.runs_s is None else self._now_s + run.runs_s
        fit &= (self._kept_by[rows] >= number) | (self._kept_s[rows] >= ends_s)
        found = np.flatnonzero(fit)
        if found.size < run.nodes:
            return None
        fullest = left[found].sum(axis=1).argsort(kind="stable")[: run.nodes]
        parts = []
        for row in rows[found[fullest]].tolist():
            here = self.gpu[row].tolist()
            gpus = sorted((v, g) for g, v in enumerate(here) if v >= request.gpu_milli)
            parts.append((row, tuple(g for _, g in gpus[: request.gpus])))
        return parts

    def _keep(self) -> None:
        """The first run of every queue keeps the nodes on which it can start soonest."""
        changed = False
        for queue, line in self._queues.items():
            number, known = self._next(line), self._heads.get(queue)
            if number is None:
                changed |= self._heads.pop(queue, None) is not None
            elif known is None or known[0] != number or known[1] <= self._now_s:
                self._heads[queue] = (number, *self._soonest(number))
                changed = True
        if changed:
            self._kept_s[:], self._kept_by[:] = NEVER_S, len(self._waiting)
            for number, at_s, rows in sorted(self._heads.values(), reverse=True):
                for row in rows:
                    self._kept_s[row], self._kept_by[row] = at_s, number

    def _soonest(self, number: int) -> tuple[float, tuple[int, ...]]:
        """When and where enough devices come free, CPU and memory left aside; never: nowhere."""
        run = self._waiting[number]
        request = run.request
        rows = np.flatnonzero(self._allowed[self._shape[number]])
        if not request.gpus or request.gpus > self.gpu.shape[1] or rows.size < run.nodes:
            return NEVER_S, ()
        free_s = np.where(self.gpu[rows] >= request.gpu_milli, self._now_s, self._until_s[rows])
        at_s = np.sort(free_s, axis=1)[:, request.gpus - 1]
        order = at_s.argsort(kind="stable")[: run.nodes]
        last_s = float(at_s[order].max())
        if last_s in (NEVER_S, self._now_s):
            return NEVER_S, ()
        return last_s, tuple(rows[order].tolist())
