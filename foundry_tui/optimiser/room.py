"""Room for a large run: few running runs move, and the GPUs that were free in pieces are of use.

A waiting run that fits nowhere, although as many GPUs are free in all, starts when running ones
move to where they still fit. The run that comes first is looked at first, then those that gain
most. Nothing is proposed that loses more GPU-hours than it gains, that moves a run which comes
before the one it makes room for, or that takes a place kept for such a run.

What is gained are the GPU-hours that the run gets before it would start by itself, as far as time
limits tell; what is lost is the work of the moved runs, which begin again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.rights import Rights
from foundry_tui.estate.run import Run
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.optimiser.arrays import PARTITION, Board
from foundry_tui.optimiser.demand import Demand
from foundry_tui.optimiser.limits import Headroom
from foundry_tui.optimiser.look import Look
from foundry_tui.optimiser.movable import movables
from foundry_tui.optimiser.placing import Candidate, Start, alternatives, where
from foundry_tui.optimiser.relocate import Ground, Relocation, Seconds, Wanted
from scheduler_sim.cluster import Cluster, Mask

MOST_PASSAGES = 5
"""Runs of one source for which room is made in one plan."""

MOST_TRIES = 16
"""Waiting runs of one source for which the search is made."""

UNKNOWN_RUNS_S = 3600
"""A run without a time limit has to be worth its room if it runs for an hour."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A waiting run that starts because others move.

    `earlier_s` is how much sooner it starts than by itself, at most its time limit; None where
    neither is known.
    """

    start: Start
    relocation: Relocation
    earlier_s: float | None

    @property
    def run(self) -> Run:
        """The run for which room is made."""
        return self.start.demand.run

    @property
    def gain_h(self) -> float | None:
        """GPU-hours that it gets earlier; None where it has no time limit."""
        if self.run.request.time_limit_s is None or self.earlier_s is None:
            return None
        return self.start.demand.gpu_milli / WHOLE_MILLI * self.earlier_s / 3600


@dataclass(frozen=True, slots=True)
class _Waits:
    """A run that waits for room, and what is kept for those before it.

    From `kept_from_s` on (seconds from now, by row) one of them may need the row: at once where
    nobody can tell when. A loss of less than `most_h` GPU-hours is worth it.
    """

    demand: Demand
    asked: tuple[str, ...]
    kept_from_s: Seconds
    saved_s: float | None
    earlier_s: float | None
    most_h: float


def find(
    snapshot: Snapshot,
    look: Look,
    starts: Sequence[Start],
    rights: Rights | None,
    now: datetime,
) -> tuple[Passage, ...]:
    """Room on one source, beside the `starts` of the plan; none where nothing is gained.

    Who comes first changes with each run for which room was made, so after each it is looked anew.
    """
    search = _Search(snapshot, look, starts, rights, now)
    found: list[Passage] = []
    while len(found) < MOST_PASSAGES and (passage := search.next()) is not None:
        found.append(passage)
    return tuple(found)


class _Search:
    """What is left beside the starts of the plan and the passages so far."""

    def __init__(
        self,
        snapshot: Snapshot,
        look: Look,
        starts: Sequence[Start],
        rights: Rights | None,
        now: datetime,
    ) -> None:
        source = look.board.source
        known = [q for q in snapshot.queues if q.source == source]
        self._snapshot, self._look, self._now = snapshot, look, now
        self._starts = list(starts)
        self._headroom = Headroom(known, rights, [r for r in snapshot.runs if r.source == source])
        for start in starts:
            queues = start.demand.run.queues if start.queue is None else (start.queue,)
            self._headroom.count(start.demand.run, queues, start.demand.gpu_milli)
        self._tier = {q.name: q.priority or 0 for q in known if q.kind == PARTITION}
        self._left = _left(look.board, starts)
        self._ground: Ground | None = None
        self._standing: dict[str, tuple[int, int]] = {}
        self._tries = 0

    def next(self) -> Passage | None:
        """The next passage; None when there is none, or after `MOST_TRIES` searches."""
        waiting = _waiting(self._look, self._starts, self._headroom, self._now)
        # The one that comes first, then whoever gains most.
        waiting[1:] = sorted(waiting[1:], key=lambda w: -w.most_h)
        tried: dict[object, float] = {}
        free = int((self._ground.left if self._ground else self._left).gpu_left.sum())
        for one in waiting:
            run, demand = one.demand.run, one.demand
            shape = demand.request, demand.nodes, one.asked, demand.features, demand.names
            if demand.gpu_milli > free or one.most_h <= tried.get(shape, 0.0):
                continue
            if self._headroom.bar(run, one.asked, demand.gpu_milli) is not None:
                continue
            if self._tries == MOST_TRIES:
                return None
            self._tries += 1
            tried[shape] = one.most_h
            found = self._relocation(one)
            if found is not None:
                return self._taken(one, found, free)
        return None

    def _relocation(self, one: _Waits) -> Relocation | None:
        board, demand = self._look.board, one.demand
        if self._ground is None:
            # Only now: most looks find nothing that waits and could use what is free.
            could_go = movables(board, self._snapshot, self._now)
            self._standing = {m.run.id: _standing(m.run, self._tier) for m in could_go}
            self._ground = Ground(self._left, could_go)
        mine = _standing(demand.run, self._tier)
        may_go = frozenset(name for name, other in self._standing.items() if other <= mine)
        for queues in alternatives(demand, one.asked):
            open_rows = one.kept_from_s >= _runs_s(demand.run)
            wanted = Wanted(
                request=demand.request,
                nodes=demand.nodes,
                allowed=_rows(board, demand, queues) & open_rows,
                may_go=may_go,
                most_h=one.most_h,
                kept_from_s=one.kept_from_s,
            )
            found = self._ground.cheapest(wanted)
            if found is not None:
                return found
        return None

    def _taken(self, one: _Waits, found: Relocation, free_milli: int) -> Passage:
        demand = one.demand
        assert self._ground is not None
        self._ground.take(found, demand.request)
        self._headroom.count(demand.run, one.asked, demand.gpu_milli)
        why = _why(self._look.board, one, found, free_milli)
        start = Start(demand, found.parts, None, why)
        self._starts.append(start)
        return Passage(start, found, one.earlier_s)


def _left(board: Board, starts: Sequence[Start]) -> Cluster:
    """What the starts leave of the board."""
    left = board.cluster.copy()
    for start in starts:
        for row, gpus in start.parts:
            left.place(row, gpus, start.demand.request)
    return left


def _waiting(
    look: Look, starts: Sequence[Start], headroom: Headroom, now: datetime
) -> list[_Waits]:
    """The runs for which room could be made, in the scheduler's order."""
    board = look.board
    begun = Counter(start.demand.run.id for start in starts)
    kept_from_s: Seconds = np.full(len(board.nodes), np.inf)
    empty = Cluster(board.cluster.nodes)
    found = []
    for one in look.candidates:
        demand = one.ways[0]
        run = demand.run
        if begun[run.id] >= demand.tasks or not one.asked:
            continue
        kept = look.kept.get(run.id)
        saved_s = None if kept is None else max(0.0, kept.at_s - now.timestamp())
        if _one_run(one) and not begun[run.id]:
            earlier_s, most_h = _worth(demand, saved_s)
            found.append(_Waits(demand, one.asked, kept_from_s, saved_s, earlier_s, most_h))
        if kept is not None:
            kept_from_s = kept_from_s.copy()
            rows = list(kept.rows)
            kept_from_s[rows] = np.minimum(kept_from_s[rows], saved_s or 0.0)
        elif headroom.bar(run, one.asked, demand.gpu_milli) is None:
            could = _rows(board, demand, one.asked) & empty.feasible(demand.request)
            if int(could.sum()) >= demand.nodes:
                kept_from_s = np.where(could, 0.0, kept_from_s)
    return found


def _one_run(one: Candidate) -> bool:
    """Whether it is a run by itself that asks for devices: what is pinned to a node is one run."""
    demand = one.ways[0]
    run, words = demand.run, demand.run.native or {}
    alone = run.array is None and run.count == 1 and words.get("pods_wanted", "1") == "1"
    return alone and len(one.ways) == 1 and demand.profile is None and demand.request.gpus > 0


def _worth(demand: Demand, saved_s: float | None) -> tuple[float | None, float]:
    """How much earlier it starts, and how many GPU-hours may be lost for that."""
    limit_s = demand.run.request.time_limit_s
    known = [s for s in (limit_s, saved_s) if s is not None]
    earlier_s = float(min(known)) if known else None
    counted_s = min([*known, UNKNOWN_RUNS_S]) if limit_s is None else earlier_s or 0.0
    return earlier_s, demand.gpu_milli / WHOLE_MILLI * counted_s / 3600


def _rows(board: Board, demand: Demand, queues: tuple[str, ...]) -> Mask:
    """The rows that will do. Where queues are no partitions, the run's node pools count, too."""
    allowed = board.allowed(where(demand, queues))
    pools = (demand.run.native or {}).get("node_pools")
    if demand.run.scheduler == "slurm" or not pools:
        return allowed
    return allowed & board.in_pools(tuple(pools.split(",")))


def _runs_s(run: Run) -> float:
    limit_s = run.request.time_limit_s
    return np.inf if limit_s is None else float(limit_s)


def _standing(run: Run, tier: Mapping[str, int]) -> tuple[int, int]:
    """What comes first in the scheduler's order is most."""
    return max((tier.get(q, 0) for q in run.queues), default=0), run.priority or 0


def _why(board: Board, one: _Waits, found: Relocation, free_milli: int) -> str:
    """Why room is made like this, with the places and what is lost."""
    names = ", ".join(board.nodes[row].name for row, _ in found.parts)
    need = one.demand.gpu_milli / WHOLE_MILLI
    moves = "; ".join(
        f"{m.run.native_id} of {m.run.user or 'an unknown user'} ({m.gpu_milli / WHOLE_MILLI:g} "
        f"GPU) leaves {board.nodes[m.row].name} and starts again on {board.nodes[row].name}"
        for m, (row, _) in found.moved
    )
    lost = "what is lost of their work is not known"
    if found.lost_h is not None:
        lost = f"{found.lost_h:.1f} GPU-hours of work are done again, or less with a checkpoint"
    sooner = "; when it would start by itself is not known"
    if one.saved_s is not None:
        sooner = f"; by itself it starts at the latest in {one.saved_s / 3600:.1f} h"
    return (
        f"{free_milli / WHOLE_MILLI:g} GPUs are free, but in pieces, and it needs {need:g} on "
        f"{names}: {moves}; {lost}{sooner}"
    )
