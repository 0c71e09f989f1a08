"""One look at the waiting runs of one source, in the scheduler's order: start, or keep a place.

Nothing that runs is touched, and nothing is started that would delay a run which comes first: see
`timeline`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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

Policy = Callable[[Request, Mask], Choice | None]
Shape = tuple[Request, int, Where]


@dataclass(frozen=True, slots=True)
class Start:
    """One run, or one task of an array, that can start now; `queue` when not as it asked."""

    demand: Demand
    parts: tuple[Part, ...]
    queue: str | None
    why: str


class Placing:
    """Starts in `starts`, and in `waits` the runs that stay and why."""

    def __init__(
        self, board: Board, timeline: Timeline, policy: str, mix: Mix | None, headroom: Headroom
    ) -> None:
        self.starts: list[Start] = []
        self.waits: list[tuple[Run, str]] = []
        self._board, self._timeline, self._headroom = board, timeline, headroom
        self._firm = _policy(policy, timeline.firm, mix)
        self._left = _policy(policy, timeline.left, mix)
        self._empty = Cluster(board.cluster.nodes)
        self._full: set[Shape] = set()
        self._kept_out: dict[Shape, int] = {}
        self._too_large: dict[Shape, bool] = {}

    def look_at(
        self, demand: Demand, asked: tuple[str, ...] | str, others: tuple[str, ...]
    ) -> None:
        """Start as many tasks as fit; for the first that does not, keep a place.

        `asked` are the queues as asked that would take it, or why none does; `others` those that
        its owner could move it to.
        """
        run = demand.run
        for started in range(demand.tasks):
            found = self._start(demand, asked, others)
            if isinstance(found, str):
                rest = f"{run.count - started} of {run.count} tasks: " if run.array else ""
                self.waits.append((run, rest + found))
                return
            self.starts.append(found)
        if demand.tasks < run.count:
            left = run.count - demand.tasks
            why = f"{left} of {run.count} tasks: its array lets no more run at once"
            self.waits.append((run, why))

    def _start(
        self, demand: Demand, asked: tuple[str, ...] | str, others: tuple[str, ...]
    ) -> Start | str:
        run = demand.run
        if not isinstance(asked, str):
            limit = self._headroom.bar(run, asked, demand.gpu_milli)
            if limit is not None:
                return limit
            for queues in _alternatives(demand, asked):
                found = self._place(demand, queues)
                if found is not None:
                    return self._taken(demand, found, queues, None, "")
        for queue in others:
            if self._headroom.bar(run, (queue,), demand.gpu_milli) is not None:
                continue
            found = self._place(demand, (queue,))
            if found is not None:
                return self._taken(
                    demand, found, (queue,), queue, self._reason(demand, asked, queue)
                )
        return asked if isinstance(asked, str) else self._wait(demand, asked)

    def _reason(self, demand: Demand, asked: tuple[str, ...] | str, queue: str) -> str:
        if isinstance(asked, str):
            return f"{asked}; {queue} has room now; owner must agree; "
        kept = self._soonest(demand, asked)
        at_s = None if kept is None else kept.at_s
        return words.change(demand.run.queue or "", queue, at_s)

    def _soonest(self, demand: Demand, asked: tuple[str, ...]) -> Kept | None:
        found = [
            self._timeline.soonest(demand.request, self._where(demand, queues), demand.nodes)
            for queues in _alternatives(demand, asked)
        ]
        return min((k for k in found if k is not None), key=lambda k: k.at_s, default=None)

    def _where(self, demand: Demand, queues: tuple[str, ...]) -> Where:
        return Where(queues, demand.features, demand.names, demand.refused, demand.share)

    def _place(self, demand: Demand, queues: tuple[str, ...]) -> tuple[Part, ...] | None:
        """Where it fits now without delaying a run that comes first; None for nowhere.

        Room only gets less during one look, so a shape that found none is not tried again.
        """
        where = self._where(demand, queues)
        shape = demand.request, demand.nodes, where
        allowed = self._board.allowed(where)
        if shape not in self._full:
            parts = _choose(self._firm, demand, allowed)
            if parts is not None:
                return parts
            self._full.add(shape)
        limit_s = demand.run.request.time_limit_s
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
        allowed = self._board.allowed(self._where(demand, queues))
        why += words.fit(self._board, line.left, demand, parts, allowed)
        ahead = {line.kept_for[row] for row, _ in parts if row in line.kept_for}
        if ahead:
            why += f"; {', '.join(sorted(ahead))}, which comes first, is not delayed"
        for row, gpus in parts:
            line.start(row, gpus, request, demand.run.request.time_limit_s)
        self._headroom.count(demand.run, queues, demand.gpu_milli)
        return Start(demand, parts, queue, why)

    def _wait(self, demand: Demand, asked: tuple[str, ...]) -> str:
        line, request, nodes = self._timeline, demand.request, demand.nodes
        where = self._where(demand, asked)
        if self._never(request, nodes, where):
            need = "no node" if nodes == 1 else f"fewer than {nodes} nodes"
            return f"{need} of {','.join(asked)} that takes runs could ever hold it"
        allowed = self._board.allowed(where)
        room = line.left.feasible(request) & allowed
        first = "fits nowhere now"
        if int(room.sum()) >= nodes:
            row = int(room.argmax())
            ahead = line.kept_for.get(row, "a run")
            first = f"fits on {self._board.nodes[row].name} now, but would delay {ahead}"
        kept = self._soonest(demand, asked)
        if kept is None:
            return f"{first}; the time limits of running work do not tell when it could start"
        line.keep(demand.run.id, kept, request)
        names = [self._board.nodes[row].name for row in kept.rows]
        return f"{first}; {words.waiting(kept.at_s, names)}"

    def _never(self, request: Request, nodes: int, where: Where) -> bool:
        """Whether too few nodes could hold the request even if they were empty."""
        shape = request, nodes, where
        known = self._too_large.get(shape)
        if known is None:
            room = self._empty.feasible(request) & self._board.allowed(where)
            known = self._too_large[shape] = int(room.sum()) < nodes
        return known


def _policy(name: str, cluster: Cluster, mix: Mix | None) -> Policy:
    """Without a mix of requests no gradient is known, and best fit stands in."""
    if name == "fgd" and mix is not None:
        return Fgd(cluster, mix).choose
    return lambda request, allowed: best_fit(cluster, request, allowed)


def _alternatives(demand: Demand, asked: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """The queues to look at together: a run on several nodes has them all in one queue."""
    return (asked,) if demand.nodes == 1 else tuple((queue,) for queue in asked)


def _choose(policy: Policy, demand: Demand, allowed: Mask) -> tuple[Part, ...] | None:
    """As many different nodes as the run needs, all or none, with its GPUs on each."""
    if demand.nodes == 1:
        choice = policy(demand.request, allowed)
        return None if choice is None else ((choice.node, choice.gpus),)
    parts: list[Part] = []
    mask = allowed.copy()
    for _ in range(demand.nodes):
        choice = policy(demand.request, mask)
        if choice is None:
            return None
        parts.append((choice.node, choice.gpus))
        mask[choice.node] = False
    return tuple(parts)
