"""The cheapest few running runs that make room for one that waits: an exact search on one board.

A run that needs some nodes takes those that are free for it first. For each of the others a set of
runs leaves, no larger than it has to be, and every run that leaves has a place on another node at
once, beside the new one. Cheapest is the set that loses fewest GPU-hours of work; a loss that is
not known is dearer than any that is. Of whole GPUs every choice is looked at (up to `MOST_SETS`); a
share that moves takes the fullest device that has room for it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from foundry_tui.optimiser.movable import Movable
from foundry_tui.optimiser.words import Part
from scheduler_sim.cluster import Cluster, Mask, Request

Rows = NDArray[np.intp]
Seconds = NDArray[np.float64]

MOST_MOVED = 3
"""So many runs are moved for one at most: each is somebody's work, begun again."""

MOST_SETS = {1: 1000, 2: 60, 3: 24}
"""How many nodes are made free -> of so many sets, the cheapest, are all choices looked at."""

Cost = tuple[int, float, int]
"""Of a set: runs of unknown loss, GPU-hours lost, runs."""


@dataclass(frozen=True, slots=True)
class Relocation:
    """Where the waiting run goes, which runs leave for it, and where each of them goes."""

    parts: tuple[Part, ...]
    moved: tuple[tuple[Movable, Part], ...]

    @property
    def lost_h(self) -> float | None:
        """GPU-hours of work that are lost; None where that of one run is not known."""
        known = [one.lost_h for one, _ in self.moved if one.lost_h is not None]
        return sum(known) if len(known) == len(self.moved) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What waits: a request on each of `nodes` of the `allowed` rows.

    `may_go` are the ids of the runs that may be moved for it, and it is worth a loss of less than
    `most_h` GPU-hours. From `kept_from_s` on (seconds from now, by row) a place is kept for a run
    that comes before it: what moves there ends before.
    """

    request: Request
    nodes: int
    allowed: Mask
    may_go: frozenset[str]
    most_h: float
    kept_from_s: Seconds


class Ground:
    """What is left on the nodes of a board, and the runs that may be moved on each."""

    def __init__(self, left: Cluster, movables: Sequence[Movable]) -> None:
        self.left = left.copy()
        self._on: dict[int, list[Movable]] = {}
        for one in movables:
            self._on.setdefault(one.row, []).append(one)
        self._feasible: dict[Request, Mask] = {}

    def cheapest(self, wanted: Wanted) -> Relocation | None:
        """The cheapest relocation after which it can start.

        None where there is none, and where none is needed.
        """
        request = wanted.request
        fits = self.left.feasible(request) & wanted.allowed
        free = np.flatnonzero(fits).tolist()
        short = wanted.nodes - len(free)
        if not 1 <= short <= MOST_MOVED or request.gpus < 1:
            return None
        sets = sorted(
            ((_cost(group), row, group) for row, group in self._sets(wanted, ~fits, short)),
            key=lambda item: (item[0], item[1], [one.run.id for one in item[2]]),
        )
        for chosen in _choices(sets[: MOST_SETS[short]], short):
            moved = [one for _, _, group in chosen for one in group]
            if sum(one.lost_h or 0.0 for one in moved) < wanted.most_h:
                found = self._relocated(wanted, [*free, *(row for _, row, _ in chosen)], moved)
                if found is not None:
                    return found
        return None

    def take(self, found: Relocation, request: Request) -> None:
        """Reckon a relocation: it is made, and none of its runs is moved again."""
        make(self.left, found, request)
        for one, _ in found.moved:
            self._on[one.row].remove(one)
        self._feasible.clear()

    def _sets(
        self, wanted: Wanted, full: Mask, short: int
    ) -> Iterator[tuple[int, tuple[Movable, ...]]]:
        """Per row the sets of runs without which the request fits, and none is more than needed."""
        request, allowed = wanted.request, wanted.allowed & full
        if request.models:
            allowed = allowed & self.left.accepting(request.models)
        for row in np.flatnonzero(allowed).tolist():
            here = [
                one
                for one in self._on.get(row, ())
                # With several nodes made free, one run may go where another leaves.
                if one.run.id in wanted.may_go and (short > 1 or self._room(one, wanted).any())
            ]
            if not here or not self._could(row, request, here):
                continue
            least: list[frozenset[Movable]] = []
            for size in range(1, min(MOST_MOVED, len(here)) + 1):
                for group in combinations(here, size):
                    together = frozenset(group)
                    if any(less <= together for less in least):
                        continue
                    if self._fits(row, request, group):
                        least.append(together)
                        yield row, group

    def _could(self, row: int, request: Request, here: Sequence[Movable]) -> bool:
        """Whether the largest of the runs, gone, could leave devices enough."""
        free = int((self.left.gpu_left[row] >= request.gpu_milli).sum())
        most = sorted((len(one.gpus) for one in here), reverse=True)[:MOST_MOVED]
        return free + sum(most) >= request.gpus

    def _fits(self, row: int, request: Request, gone: Sequence[Movable]) -> bool:
        gpus, left = self.left.gpu_left[row].tolist(), self.left
        cpu, memory = int(left.cpu_left[row]), int(left.memory_left[row])
        for one in gone:
            for position, milli in one.gpus:
                gpus[position] += milli
            cpu, memory = cpu + one.request.cpu_milli, memory + one.request.memory_mib
        return (
            sum(milli >= request.gpu_milli for milli in gpus) >= request.gpus
            and cpu >= request.cpu_milli
            and memory >= request.memory_mib
        )

    def _room(self, one: Movable, wanted: Wanted) -> Mask:
        """The rows on which the run fits, as things are."""
        known = self._feasible.get(one.request)
        if known is None:
            known = self._feasible[one.request] = self.left.feasible(one.request)
        return known & _may_be(one, wanted)

    def _relocated(
        self, wanted: Wanted, rows: Sequence[int], moved: Sequence[Movable]
    ) -> Relocation | None:
        """The request on these rows and every moved run elsewhere; None where one has no place."""
        after, request = self.left.copy(), wanted.request
        for one in moved:
            _leave(after, one)
        parts = []
        for row in rows:
            gpus = _devices(after, row, request)
            after.place(row, gpus, request)
            parts.append((row, gpus))
        lists = []
        for one in moved:
            fits = np.flatnonzero(after.feasible(one.request) & _may_be(one, wanted))
            # Whoever has as many rows as runs move has one that no other of them takes.
            fullest = after.gpu_left[fits].sum(axis=1).argsort(kind="stable")[: len(moved)]
            lists.append(fits[fullest].tolist())
        order = sorted(range(len(moved)), key=lambda i: (len(lists[i]), -moved[i].gpu_milli))
        found: dict[int, Part] = {}
        if not _placed(after, order, lists, moved, found):
            return None
        return Relocation(tuple(parts), tuple((one, found[i]) for i, one in enumerate(moved)))


def make(left: Cluster, found: Relocation, request: Request) -> None:
    """Make a relocation for this request on a cluster: leave, start, start elsewhere."""
    for one, _ in found.moved:
        _leave(left, one)
    for row, gpus in found.parts:
        left.place(row, gpus, request)
    for one, (row, gpus) in found.moved:
        left.place(row, gpus, one.request)


def _may_be(one: Movable, wanted: Wanted) -> Mask:
    """The rows on which the run may be instead, and ends before what is kept there."""
    limit_s = one.run.request.time_limit_s
    return one.allowed & (wanted.kept_from_s >= (np.inf if limit_s is None else limit_s))


def _placed(
    after: Cluster,
    order: Sequence[int],
    lists: Sequence[Sequence[int]],
    moved: Sequence[Movable],
    found: dict[int, Part],
) -> bool:
    """Place the runs of `order` one behind the other, each choice tried; `found` says where."""
    if not order:
        return True
    number, *rest = order
    request = moved[number].request
    for row in lists[number]:
        if after.fits(row, request):
            placed = after.place(row, _devices(after, row, request), request)
            found[number] = row, placed.gpus
            if _placed(after, rest, lists, moved, found):
                return True
            after.release(placed)
    return False


def _choices(
    sets: Sequence[tuple[Cost, int, tuple[Movable, ...]]], rows: int
) -> Iterator[tuple[tuple[Cost, int, tuple[Movable, ...]], ...]]:
    """Sets for so many different rows, together of at most `MOST_MOVED` runs, cheapest first."""
    found = (
        chosen
        for chosen in combinations(sets, rows)
        if len({row for _, row, _ in chosen}) == rows
        and sum(len(group) for _, _, group in chosen) <= MOST_MOVED
    )
    if rows == 1:
        yield from found
        return
    heap = [(_sum([cost for cost, _, _ in c]), n, c) for n, c in enumerate(found)]
    heapq.heapify(heap)
    while heap:
        yield heapq.heappop(heap)[2]


def _cost(group: Sequence[Movable]) -> Cost:
    unknown = sum(one.lost_h is None for one in group)
    return unknown, sum(one.lost_h or 0.0 for one in group), len(group)


def _sum(costs: Sequence[Cost]) -> Cost:
    return (
        sum(unknown for unknown, _, _ in costs),
        sum(lost for _, lost, _ in costs),
        sum(runs for _, _, runs in costs),
    )


def _leave(left: Cluster, one: Movable) -> None:
    """Give back what a run holds; no node gets more than it has."""
    spec = left.nodes[one.row]
    for position, milli in one.gpus:
        left.gpu_left[one.row, position] += milli
    cpu = int(left.cpu_left[one.row]) + one.request.cpu_milli
    left.cpu_left[one.row] = min(spec.cpu_milli, cpu)
    memory = int(left.memory_left[one.row]) + one.request.memory_mib
    left.memory_left[one.row] = min(spec.memory_mib, memory)
    left.changes[one.row] += 1


def _devices(left: Cluster, row: int, request: Request) -> tuple[int, ...]:
    """The fullest devices that take the request, so that whole ones stay whole."""
    here = left.gpu_left[row].tolist()
    fitting = sorted((milli, g) for g, milli in enumerate(here) if milli >= request.gpu_milli)
    return tuple(sorted(g for _, g in fitting[: request.gpus]))
