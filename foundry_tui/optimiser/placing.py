"""One look at the waiting runs of one source, in the scheduler's order: start, or keep a place.

Nothing that runs is touched, and nothing is started that would delay a run which comes first: see
`timeline`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from foundry_tui.estate.run import Run
from foundry_tui.optimiser import words
from foundry_tui.optimiser.arrays import Board, Where
from foundry_tui.optimiser.demand import Demand
from foundry_tui.optimiser.limits import Headroom
from foundry_tui.optimiser.timeline import NEVER_S, Kept, Timeline
from foundry_tui.optimiser.words import Part
from scheduler_sim.cluster import Cluster, Mask, Request
from scheduler_sim.fragmentation import Mix
from scheduler_sim.policies import Choice, Fgd, best_fit

Shape = tuple[Request, int, Where]
Ways = Sequence[Demand]
"""A waiting run as it can be asked for: more than one where it depends on the device."""


class Chooser(Protocol):
    """A placement policy on one cluster: where a request goes now, None for nowhere."""

    def choose(self, request: Request, allowed: Mask | None = None) -> Choice | None: ...


class BestFit:
    """The fullest node that fits."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def choose(self, request: Request, allowed: Mask | None = None) -> Choice | None:
        return best_fit(self._cluster, request, allowed)


def chooser(policy: str, cluster: Cluster, mix: Mix | None) -> Chooser:
    """The policy of this name. Without a mix nothing is expected, and best fit stands in."""
    if policy == "best" and mix is not None:
        from scheduler_sim.bids.chooser import Bids

        return Bids(cluster, mix)
    if policy == "fgd" and mix is not None:
        return Fgd(cluster, mix)
    return BestFit(cluster)


@dataclass(frozen=True, slots=True)
class Start:
    """One run, or one task of an array, that can start now; `queue` when not as it asked."""

    demand: Demand
    parts: tuple[Part, ...]
    queue: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A run that was looked at, with the queues it could start in: as asked, and others."""

    ways: tuple[Demand, ...]
    asked: tuple[str, ...]
    others: tuple[str, ...]


class Placing:
    """Starts in `starts`, and in `waits` the runs that stay and why.

    `candidates` are all that were looked at for a place. `make` gives the policy for a cluster.
    """

    def __init__(
        self,
        board: Board,
        timeline: Timeline,
        make: Callable[[Cluster], Chooser],
        headroom: Headroom,
    ) -> None:
        self.starts: list[Start] = []
        self.waits: list[tuple[Run, str]] = []
        self.candidates: list[Candidate] = []
        self._board, self._timeline, self._headroom = board, timeline, headroom
        self._firm = make(timeline.firm)
        self._left = make(timeline.left)
        self._instances = {profile: free.copy() for profile, free in board.instances.items()}
        self._empty = Cluster(board.cluster.nodes)
        self._full: set[Shape] = set()
        self._kept_out: dict[Shape, int] = {}
        self._too_large: dict[Shape, bool] = {}

    def look_at(self, ways: Ways, asked: tuple[str, ...] | str, others: tuple[str, ...]) -> None:
        """Start as many tasks as fit; for the first that does not, keep a place.

        `asked` are the queues as asked that would take it, or why none does; `others` those that
        its owner could move it to.
        """
        run = ways[0].run
        own = () if isinstance(asked, str) else asked
        self.candidates.append(Candidate(tuple(ways), own, others))
        for started in range(ways[0].tasks):
            found = self._start(ways, asked, others)
            if isinstance(found, str):
                rest = f"{run.count - started} of {run.count} tasks: " if run.array else ""
                self.waits.append((run, rest + found))
                return
            self.starts.append(found)
        if ways[0].tasks < run.count:
            left = run.count - ways[0].tasks
            why = f"{left} of {run.count} tasks: its array lets no more run at once"
            self.waits.append((run, why))

    def _start(
        self, ways: Ways, asked: tuple[str, ...] | str, others: tuple[str, ...]
    ) -> Start | str:
        run, limit = ways[0].run, None
        own = () if isinstance(asked, str) else asked
        for demand in ways if own else ():
            limit = self._headroom.bar(run, own, demand.gpu_milli)
            if limit is not None:
                continue
            for queues in alternatives(demand, own):
                found = self._place(demand, queues)
                if found is not None:
                    return self._taken(demand, found, queues, None, "")
        if limit is not None:
            return limit
        for queue in others:
            for demand in ways:
                if self._headroom.bar(run, (queue,), demand.gpu_milli) is not None:
                    continue
                found = self._place(demand, (queue,))
                if found is not None:
                    why = self._reason(ways, asked, queue)
                    return self._taken(demand, found, (queue,), queue, why)
        return asked if isinstance(asked, str) else self._wait(ways, asked)

    def _reason(self, ways: Ways, asked: tuple[str, ...] | str, queue: str) -> str:
        if isinstance(asked, str):
            return f"{asked}; {queue} has room now; owner must agree; "
        kept = self._soonest(ways, asked)
        at_s = None if kept is None else kept[1].at_s
        return words.change(ways[0].run.queue or "", queue, at_s)

    def _soonest(self, ways: Ways, asked: tuple[str, ...]) -> tuple[Demand, Kept] | None:
        found = [
            (demand, kept)
            for demand in ways
            for queues in alternatives(demand, asked)
            if demand.profile is None
            and (
                kept := self._timeline.soonest(demand.request, where(demand, queues), demand.nodes)
            )
        ]
        return min(found, key=lambda pair: pair[1].at_s, default=None)

    def _place(self, demand: Demand, queues: tuple[str, ...]) -> tuple[Part, ...] | None:
        """Where it fits now without delaying a run that comes first; None for nowhere.

        Room only gets less during one look, so a shape that found none is not tried again.
        """
        there = where(demand, queues)
        shape = demand.request, demand.nodes, there
        allowed = self._board.allowed(there)
        if demand.profile is not None:
            allowed = allowed & (self._instances[demand.profile] >= demand.instances)
            return _choose(self._firm, demand, allowed)
        if shape not in self._full and not keeps_whole_nodes(demand.run):
            parts = _choose(self._firm, demand, allowed)
            if parts is not None:
                return parts
            self._full.add(shape)
        limit_s = demand.run.request.time_limit_s
        if keeps_whole_nodes(demand.run):
            ends_s = NEVER_S if limit_s is None else self._timeline.now_s + limit_s
            return _choose(self._left, demand, allowed & (self._timeline.kept_from_s >= ends_s))
        if limit_s is None or limit_s >= self._kept_out.get(shape, NEVER_S):
            return None
        ends_s = self._timeline.now_s + limit_s
        parts = _choose(self._left, demand, allowed & (self._timeline.kept_from_s >= ends_s))
        if parts is None:
            self._kept_out[shape] = limit_s
        return parts

    def _taken(
        self,
        demand: Demand,
        parts: tuple[Part, ...],
        queues: tuple[str, ...],
        queue: str | None,
        why: str,
    ) -> Start:
        line, request = self._timeline, demand.request
        allowed = self._board.allowed(where(demand, queues))
        why += words.fit(self._board, line.left, demand, parts, allowed)
        ahead = {line.kept_for[row] for row, _ in parts if row in line.kept_for}
        if ahead:
            why += f"; {', '.join(sorted(ahead))}, which comes first, is not delayed"
        for row, gpus in parts:
            line.start(row, gpus, request, demand.run.request.time_limit_s)
            if demand.profile is not None:
                self._instances[demand.profile][row] -= demand.instances
        self._headroom.count(demand.run, queues, demand.gpu_milli)
        return Start(demand, parts, queue, why)

    def _wait(self, ways: Ways, asked: tuple[str, ...]) -> str:
        demand, line = ways[0], self._timeline
        nodes = demand.nodes
        if demand.profile is not None:
            return (
                f"on no node enough MIG instances {demand.profile} are free: it asks for "
                f"{demand.instances} on each of {nodes}"
            )
        if all(self._never(way.request, nodes, where(way, asked)) for way in ways):
            need = "no node" if nodes == 1 else f"fewer than {nodes} nodes"
            return f"{need} of {','.join(asked)} that takes runs could ever hold it"
        first = "fits nowhere now"
        for way in ways:
            room = line.left.feasible(way.request) & self._board.allowed(where(way, asked))
            if int(room.sum()) >= nodes:
                row = int(room.argmax())
                ahead = line.kept_for.get(row, "a run")
                first = f"fits on {self._board.nodes[row].name} now, but would delay {ahead}"
        kept = self._soonest(ways, asked)
        if kept is None:
            return f"{first}; the time limits of running work do not tell when it could start"
        line.keep(demand.run.id, kept[1], kept[0].request)
        names = [self._board.nodes[row].name for row in kept[1].rows]
        return f"{first}; {words.waiting(kept[1].at_s, names)}"

    def _never(self, request: Request, nodes: int, there: Where) -> bool:
        """Whether too few nodes could hold the request even if they were empty."""
        shape = request, nodes, there
        known = self._too_large.get(shape)
        if known is None:
            room = self._empty.feasible(request) & self._board.allowed(there)
            known = self._too_large[shape] = int(room.sum()) < nodes
        return known


def keeps_whole_nodes(run: Run) -> bool:
    """Whether its scheduler keeps whole nodes for those that wait, however little they need there.

    Slurm's backfill takes the nodes of every job that it plans out of the nodes that those behind
    it may use meanwhile (`_add_reservation` in backfill.c): GPUs that stay free beside it do not
    help.
    """
    return run.scheduler == "slurm"


def where(demand: Demand, queues: tuple[str, ...]) -> Where:
    """The nodes that will do for it in these queues."""
    return Where(
        queues,
        demand.features,
        demand.names,
        demand.refused,
        demand.share,
        demand.device_bytes,
        demand.profile,
    )


def alternatives(demand: Demand, asked: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """The queues to look at together: a run on several nodes has them all in one queue."""
    return (asked,) if demand.nodes == 1 else tuple((queue,) for queue in asked)


def _choose(policy: Chooser, demand: Demand, allowed: Mask) -> tuple[Part, ...] | None:
    """As many different nodes as the run needs, all or none, with its GPUs on each."""
    if demand.nodes == 1:
        choice = policy.choose(demand.request, allowed)
        return None if choice is None else ((choice.node, choice.gpus),)
    parts: list[Part] = []
    mask = allowed.copy()
    for _ in range(demand.nodes):
        choice = policy.choose(demand.request, mask)
        if choice is None:
            return None
        parts.append((choice.node, choice.gpus))
        mask[choice.node] = False
    return tuple(parts)
