"""One look at the waiting runs becomes a problem for the exact search, and its tasks become starts.

The kept places stay as the look left them: what starts may not touch them, whatever starts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from foundry_tui.estate.run import Run
from foundry_tui.optimiser import words
from foundry_tui.optimiser.arrays import Board
from foundry_tui.optimiser.demand import Demand
from foundry_tui.optimiser.limits import Headroom, Key
from foundry_tui.optimiser.placing import (
    Candidate,
    Start,
    alternatives,
    keeps_whole_nodes,
    where,
)
from foundry_tui.optimiser.problem import Kind, Level, Option, Place, Problem, Task, Typical
from foundry_tui.optimiser.timeline import Timeline
from foundry_tui.optimiser.weights import Weights
from scheduler_sim.cluster import Cluster
from scheduler_sim.fragmentation import Mix

CHANGE = 1
"""What a start is worth less when the run has to change its queue: a thousandth of a GPU."""


@dataclass(frozen=True, slots=True)
class _Way:
    """How a run is asked for in one option, and the queue it would be moved to."""

    demand: Demand
    queues: tuple[str, ...]
    queue: str | None


@dataclass(slots=True)
class Built:
    """A problem with what its kinds and options stand for; `start` are the starts of the look."""

    problem: Problem
    start: tuple[Task, ...]
    members: list[list[tuple[Candidate, int]]]
    ways: list[list[_Way]]
    _board: Board = field(repr=False)

    def starts(self, tasks: Sequence[Task]) -> list[Start]:
        """The tasks as starts, in the order in which the scheduler looks at the runs."""
        waiting: dict[int, Iterator[tuple[int, Candidate]]] = {}
        found: list[tuple[int, Candidate, Task]] = []
        for task in tasks:
            line = waiting.setdefault(task.kind, _line(self.members[task.kind]))
            place, candidate = next(line)
            found.append((place, candidate, task))
        found.sort(key=lambda entry: (entry[0], entry[2].parts))
        left = self._board.cluster.copy()
        starts = []
        for _, candidate, task in found:
            way = self.ways[task.kind][task.option]
            demand = next(d for d in candidate.ways if _alike(d, way.demand))
            rows = tuple((self.problem.places[at].row, gpus) for at, gpus in task.parts)
            there = self._board.allowed(where(demand, way.queues))
            why = words.fit(self._board, left, demand, rows, there)
            queue = way.queue
            if queue is not None:
                why = f"{words.change(demand.run.queue or '', queue, None)}{why}"
            for row, gpus in rows:
                left.place(row, gpus, demand.request)
            starts.append(Start(demand, rows, queue, why))
        return starts


def _line(members: Sequence[tuple[Candidate, int]]) -> Iterator[tuple[int, Candidate]]:
    for candidate, place in members:
        for _ in range(candidate.ways[0].tasks):
            yield place, candidate


def _alike(one: Demand, other: Demand) -> bool:
    names = ("request", "device_bytes", "profile")
    return all(getattr(one, name) == getattr(other, name) for name in names)


def build(
    board: Board,
    timeline: Timeline,
    candidates: Sequence[Candidate],
    headroom: Headroom,
    weights: Weights,
    starts: Sequence[Start],
    *,
    mix: Mix | None,
    keep_starts: bool,
    others: bool,
) -> Built | None:
    """The problem of one source; None when the starts of the look cannot be told as tasks of it.

    `headroom` is what the limits leave before any start. With `mix` the stranded share counts, with
    `keep_starts` what the look started has to start, without `others` no run changes its queue.
    """
    room = _Room(board, timeline)
    limits: dict[Key, tuple[int, int]] = {}
    kinds: dict[object, tuple[Kind, list[tuple[Candidate, int]], list[_Way]]] = {}
    shapes: dict[object, list[tuple[_Way, tuple[int, ...]]]] = {}
    for place, candidate in enumerate(candidates):
        run, nodes = candidate.ways[0].run, candidate.ways[0].nodes
        shape = _shape(candidate)
        found = shapes.get(shape)
        if found is None:
            found = shapes[shape] = list(room.ways(candidate, others=others))
        if not found:
            continue
        taken: list[tuple[tuple[int, int], ...]] = []
        for way, _ in found:
            each = []
            for key, left, amount in headroom.binding(run, way.queues, way.demand.gpu_milli):
                number, _ = limits.setdefault(key, (len(limits), max(0, left)))
                each.append((number, amount))
            taken.append(tuple(each))
        alike = shape, weights.tenths(run), tuple(taken)
        known = kinds.get(alike)
        if known is None:
            options = tuple(
                _option_of(way, rows, bound, weights.worth(way.demand, run))
                for (way, rows), bound in zip(found, taken, strict=True)
            )
            limit_s = run.request.time_limit_s
            kind = Kind(0, nodes, None if limit_s is None else float(limit_s), options)
            known = kinds[alike] = kind, [], [way for way, _ in found]
        known[1].append((candidate, place))
    return _numbered(board, room, list(kinds.values()), limits, starts, mix, keep_starts)


def _shape(candidate: Candidate) -> object:
    """What decides where a run may go and what it takes there."""
    first = candidate.ways[0]
    each = tuple((d.request, d.device_bytes, d.profile, d.instances) for d in candidate.ways)
    limits = first.run.request.time_limit_s, first.nodes, candidate.asked, candidate.others
    return each, limits, first.features, first.names, first.refused


def _option_of(
    way: _Way, rows: tuple[int, ...], limits: tuple[tuple[int, int], ...], worth: int
) -> Option:
    demand = way.demand
    return Option(
        worth=max(1, worth - CHANGE * (way.queue is not None)),
        places=rows,
        gpus=demand.request.gpus if demand.profile is None else demand.instances,
        gpu_milli=demand.request.gpu_milli,
        cpu_milli=demand.request.cpu_milli,
        memory_mib=demand.request.memory_mib,
        profile=demand.profile,
        limits=limits,
    )


def _ways(candidate: Candidate, *, others: bool) -> Iterator[_Way]:
    for demand in candidate.ways:
        for queues in alternatives(demand, candidate.asked) if candidate.asked else ():
            yield _Way(demand, queues, None)
    for queue in candidate.others if others else ():
        for demand in candidate.ways:
            yield _Way(demand, (queue,), queue)


class _Room:
    """Where what fits on an empty plan, from the levels of the timeline.

    `_now` has what is left now, `_always` what is left at every level, and `_second_s` is the time
    of the second level (inf: there is none): all but the deep rows, those of more than two levels,
    are told from these alone.
    """

    def __init__(self, board: Board, timeline: Timeline) -> None:
        self._board = board
        self._levels = [timeline.levels(row) for row in range(len(board.nodes))]
        self._now, self._always = board.cluster.copy(), board.cluster.copy()
        self._second_s = np.full(len(board.nodes), np.inf)
        self._deep = np.array([len(levels) > 2 for levels in self._levels])
        for row, levels in enumerate(self._levels):
            _set(self._now, row, levels[:1])
            _set(self._always, row, levels)
            if len(levels) > 1:
                self._second_s[row] = levels[1].from_s
        self._kept_s = timeline.kept_from_s - timeline.now_s
        self._known: dict[object, tuple[int, ...]] = {}

    def ways(self, candidate: Candidate, *, others: bool) -> Iterator[tuple[_Way, tuple[int, ...]]]:
        """How and where a run could start; no change of queue for a row that is its own anyway."""
        seen: set[int] = set()
        nodes = candidate.ways[0].nodes
        for way in _ways(candidate, others=others):
            rows = self.rows(way)
            if nodes == 1 and way.queue is not None:
                rows = tuple(row for row in rows if row not in seen)
            seen.update(rows)
            if len(rows) >= nodes:
                yield way, rows

    def rows(self, way: _Way) -> tuple[int, ...]:
        """Rows of the board on which one part of it fits."""
        demand, there = way.demand, where(way.demand, way.queues)
        limit_s = demand.run.request.time_limit_s
        key = demand.request, demand.instances, there, limit_s
        known = self._known.get(key)
        if known is None:
            fit = self._now.feasible(demand.request) & self._board.allowed(there)
            if demand.profile is not None:
                fit &= self._board.instances[demand.profile] >= demand.instances
            if keeps_whole_nodes(demand.run):
                fit &= self._kept_s >= (np.inf if limit_s is None else limit_s)
                known = self._known[key] = tuple(np.flatnonzero(fit).tolist())
                return known
            sure = self._always.feasible(demand.request)
            if limit_s is not None:
                sure |= self._second_s >= limit_s
            doubt = fit & ~sure
            fit &= sure
            if limit_s is not None:
                for row in np.flatnonzero(doubt & self._deep).tolist():
                    fit[row] = _stays(self._levels[row], demand, limit_s)
            known = self._known[key] = tuple(np.flatnonzero(fit).tolist())
        return known

    def place(self, row: int) -> Place:
        free = {name: int(each[row]) for name, each in self._board.instances.items() if each[row]}
        return Place(row, self._levels[row], free)


def _set(cluster: Cluster, row: int, levels: Sequence[Level]) -> None:
    """What is left at all of these levels."""
    each = zip(*(level.gpus for level in levels), strict=True)
    gpus = [min(lefts) for lefts in each]
    cluster.gpu_left[row, : len(gpus)] = gpus
    cluster.cpu_left[row] = min(level.cpu_milli for level in levels)
    cluster.memory_left[row] = min(level.memory_mib for level in levels)


def _stays(levels: Sequence[Level], demand: Demand, limit_s: int) -> bool:
    """Whether a part that fits now stays within the later levels too, on the same devices."""
    active = [level for level in levels[1:] if level.from_s < limit_s]
    request = demand.request
    if any(
        level.cpu_milli < request.cpu_milli or level.memory_mib < request.memory_mib
        for level in active
    ):
        return False
    each = zip(*(level.gpus for level in (levels[0], *active)), strict=True)
    fitting = [lefts for lefts in each if min(lefts) >= request.gpu_milli]
    return len(fitting) >= request.gpus


def _numbered(
    board: Board,
    room: _Room,
    kinds: Sequence[tuple[Kind, list[tuple[Candidate, int]], list[_Way]]],
    limits: dict[Key, tuple[int, int]],
    starts: Sequence[Start],
    mix: Mix | None,
    keep_starts: bool,
) -> Built | None:
    """The problem with places instead of rows, only those that a kind can use."""
    rows = sorted({row for kind, _, _ in kinds for o in kind.options for row in o.places})
    number = {row: n for n, row in enumerate(rows)}
    made = [
        replace(
            kind,
            count=sum(candidate.ways[0].tasks for candidate, _ in members),
            options=tuple(
                replace(o, places=tuple(number[row] for row in o.places)) for o in kind.options
            ),
        )
        for kind, members, _ in kinds
    ]
    of_run = {
        candidate.ways[0].run.id: k
        for k, (_, members, _) in enumerate(kinds)
        for candidate, _ in members
    }
    tasks: list[Task] = []
    for start in starts:
        k = of_run.get(start.demand.run.id)
        if k is None or any(row not in number for row, _ in start.parts):
            return None
        parts = tuple((number[row], gpus) for row, gpus in start.parts)
        option = _option(made[k], kinds[k][2], start, [at for at, _ in parts])
        if option is None:
            return None
        tasks.append(Task(k, option, parts))
        if keep_starts:
            made[k] = replace(made[k], at_least=made[k].at_least + 1)
    problem = Problem(
        places=tuple(room.place(row) for row in rows),
        kinds=tuple(made),
        limits=tuple(left for _, left in limits.values()),
        mix=() if mix is None else tuple(_typical(board, mix, rows)),
    )
    return Built(problem, tuple(tasks), [m for _, m, _ in kinds], [w for _, _, w in kinds], board)


def _option(kind: Kind, ways: Sequence[_Way], start: Start, places: Sequence[int]) -> int | None:
    """The option by which the look started a task."""
    for o, (option, way) in enumerate(zip(kind.options, ways, strict=True)):
        same = way.queue == start.queue and _alike(way.demand, start.demand)
        if same and set(places) <= set(option.places):
            return o
    return None


def _typical(board: Board, mix: Mix, rows: Sequence[int]) -> Iterable[Typical]:
    cluster = board.cluster
    for request, count in zip(mix.requests, mix.counts, strict=True):
        accepting = cluster.accepting(request.models) if request.models else None
        places = tuple(n for n, row in enumerate(rows) if accepting is None or accepting[row])
        yield Typical(count, request.gpus, request.gpu_milli, request.cpu_milli, places)


def changed(
    runs: Iterable[tuple[Run, str]], before: Sequence[Start], after: Sequence[Start]
) -> list[tuple[Run, str]]:
    """Why runs wait, after the look's starts were replaced by others.

    `runs` is what the look said. A run of which less starts now was passed over.
    """
    was, now = _counts(before), _counts(after)
    said = {run.id: (run, why) for run, why in runs}
    for start in before:
        said.setdefault(start.demand.run.id, (start.demand.run, ""))
    found = []
    for one, (run, why) in said.items():
        started = now.get(one, 0)
        rest = f"{run.count - started} of {run.count} tasks: " if run.array else ""
        if started == was.get(one, 0):
            if why:
                found.append((run, why))
        elif started < was.get(one, 0):
            found.append((run, f"{rest}it could start now; what starts in its place is worth more"))
        elif started < run.count:
            found.append((run, f"{rest}no more of them fit beside what starts"))
    return found


def _counts(starts: Iterable[Start]) -> dict[str, int]:
    found: dict[str, int] = {}
    for start in starts:
        found[start.demand.run.id] = found.get(start.demand.run.id, 0) + 1
    return found
