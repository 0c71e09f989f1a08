"""One pass of a scheduler over its queue: priority order, and what fits may overtake.

In each queue the first run that does not fit keeps a reservation (EASY backfill, Lifka 1995): the
nodes on which it can start soonest, if running work ends at its time limits. A run of lower rank
may start on those nodes only if its own limit ends before. Runs without a limit never count as
ending.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from scheduler_sim.cluster import Allotment, Cluster, Mask
from scheduler_sim.jobs import Job, Reason
from scheduler_sim.policies import best_fit

Ending = tuple[int, tuple[Allotment, ...]]
"""When running work ends at the latest (second), and what it holds."""

Start = tuple[Job, tuple[Allotment, ...], str]
"""A run, what was taken for it, and the queue it started in."""

NodesOf = Callable[[Job, str], Mask]
"""The nodes that a run may use in a queue."""


@dataclass(frozen=True, slots=True)
class Planned:
    """When, where and in which queue a waiting run would start."""

    at_s: int
    parts: tuple[Allotment, ...]
    queue: str


class Pass:
    """One look at the waiting runs while nothing is given back.

    `endings` gives the running work with its time limits, `barred` what else than resources keeps
    a run from starting. Afterwards `why` holds the reason of each run that did not start. As long
    as nothing was given back since, runs that arrive can be looked at by `starts` again.
    """

    def __init__(
        self,
        cluster: Cluster,
        now_s: int,
        *,
        endings: Callable[[], Iterable[Ending]],
        nodes_of: NodesOf,
        barred: Callable[[Job], Reason | None],
    ) -> None:
        self.why: dict[str, Reason] = {}
        self.now_s = now_s
        self._cluster = cluster
        self._endings, self._nodes_of, self._barred = endings, nodes_of, barred
        self._closed = not bool(cluster.usable.all())
        self._full: set[tuple[object, ...]] = set()
        self._kept_out: set[tuple[object, ...]] = set()
        self._open: dict[tuple[object, ...], int] = {}
        self._led: set[str] = set()
        self._leaders: list[Job] = []
        self._reserved: list[tuple[int, Mask] | None] = []

    def starts(self, waiting: Iterable[Job]) -> Iterator[Start]:
        """The runs that start, in order of rank, each with its share already taken.

        The caller marks each start before it asks for the next, so that limits count it. An
        array's range comes once for each task that starts.
        """
        for job in waiting:
            while (start := self._start(job)) is not None:
                yield start
                if not job.tasks:
                    break

    def _start(self, job: Job) -> Start | None:
        reason = self._barred(job)
        if reason is not None:
            self.why[job.key] = reason
            return None
        spec = job.spec
        shape = (spec.request, spec.nodes, spec.queue, spec.nodelist)
        if shape not in self._full and (shape, spec.limit_s) not in self._kept_out:
            room = False
            for queue in spec.queues:
                allowed = self._nodes_of(job, queue)
                fit = self._cluster.feasible(spec.request) & allowed
                if int(fit.sum()) < spec.nodes:
                    continue
                room = True
                parts = try_place(self._cluster, job, self._unreserved(job, fit))
                if parts is not None:
                    return job, parts, queue
            # Nodes only fill up during a pass: what found no room now finds none later.
            if room:
                self._kept_out.add((shape, spec.limit_s))
            else:
                self._full.add(shape)
        leads = not self._led.issuperset(spec.queues)
        self.why[job.key] = Reason.RESOURCES if leads else Reason.PRIORITY
        self._led.update(spec.queues)
        if leads:
            self._leaders.append(job)
        if self._closed and not any(self._enough_open(job, queue) for queue in spec.queues):
            self.why[job.key] = Reason.NODES_DOWN
        return None

    def _enough_open(self, job: Job, queue: str) -> bool:
        """Whether the run could start here at all, without waiting for a node's repair."""
        models = job.spec.request.models
        kind = (queue, job.spec.nodelist, models)
        if kind not in self._open:
            open_ = self._nodes_of(job, queue) & self._cluster.usable
            self._open[kind] = int((open_ & self._cluster.accepting(models)).sum())
        return self._open[kind] >= job.spec.nodes

    def _unreserved(self, job: Job, allowed: Mask) -> Mask:
        """The allowed nodes, less those kept for the runs that lead their queues."""
        for leader in self._leaders[len(self._reserved) :]:
            nodes = self._nodes_of(leader, leader.spec.queues[0])
            self._reserved.append(reserve(self._cluster, leader, nodes, self._endings()))
        limit_s = job.spec.limit_s
        for reservation in self._reserved:
            if reservation is not None:
                shadow_s, kept = reservation
                if limit_s is None or self.now_s + limit_s > shadow_s:
                    allowed = allowed & ~kept
        return allowed


def try_place(cluster: Cluster, job: Job, allowed: Mask) -> tuple[Allotment, ...] | None:
    """Take what the run asks for, node by node in best-fit order; None if it does not fit."""
    spec = job.spec
    parts: list[Allotment] = []
    mask = allowed if spec.nodes == 1 else allowed.copy()
    for _ in range(spec.nodes):
        choice = best_fit(cluster, spec.request, mask)
        if choice is None:
            for part in parts:
                cluster.release(part)
            return None
        parts.append(cluster.place(choice.node, choice.gpus, spec.request))
        if spec.nodes > 1:
            mask[choice.node] = False
    return tuple(parts)


def reserve(
    cluster: Cluster, job: Job, allowed: Mask, endings: Iterable[Ending]
) -> tuple[int, Mask] | None:
    """When and on which nodes the run can start at the latest; None if that cannot be known."""
    need, nodes = job.spec.request, job.spec.nodes
    # Plain lists: a few single numbers change at a time, which arrays are slow at.
    gpu, cpu = cluster.gpu_left.tolist(), cluster.cpu_left.tolist()
    memory = cluster.memory_left.tolist()
    open_ = allowed & cluster.usable & cluster.accepting(need.models)
    ready = set(np.flatnonzero(cluster.feasible(need) & open_).tolist())
    candidates = set(np.flatnonzero(open_).tolist())
    for end_s, parts in sorted(endings, key=lambda ending: ending[0]):
        for part in parts:
            row, given = part.node, part.request
            for g in part.gpus:
                gpu[row][g] += given.gpu_milli
            cpu[row] += given.cpu_milli
            memory[row] += given.memory_mib
            if (
                row in candidates
                and cpu[row] >= need.cpu_milli
                and memory[row] >= need.memory_mib
                and sum(left >= need.gpu_milli for left in gpu[row]) >= need.gpus
            ):
                ready.add(row)
        if len(ready) >= nodes:
            kept = np.zeros(len(cluster.nodes), dtype=np.bool_)
            kept[sorted(ready)[:nodes]] = True
            return end_s, kept
    return None


def plan(
    cluster: Cluster,
    waiting: Sequence[Job],
    endings: Iterable[Ending],
    now_s: int,
    *,
    nodes_of: NodesOf,
    barred: Callable[[Job], Reason | None],
    most_ends: int,
) -> dict[str, Planned]:
    """When and where the waiting runs would start if running work ended at its limits.

    Looks at no more than `most_ends` ends, so that the first of a long queue get their answer
    soon. Of an array the first task is planned. Keys are those of the runs; runs without an answer
    are missing.
    """
    later = cluster.copy()
    queue = [replace(job, tasks=()) for job in waiting]
    ends = [(end_s, n, parts) for n, (end_s, parts) in enumerate(endings)]
    heapq.heapify(ends)
    found: dict[str, Planned] = {}
    number = len(ends)
    for _ in range(most_ends):
        look = Pass(
            later,
            now_s,
            endings=lambda: [(e, p) for e, _, p in ends],
            nodes_of=nodes_of,
            barred=barred,
        )
        for job, parts, name in look.starts(queue):
            found[job.key] = Planned(now_s, parts, name)
            if job.spec.limit_s is not None:
                number += 1
                heapq.heappush(ends, (now_s + job.spec.limit_s, number, parts))
        queue = [job for job in queue if job.key not in found]
        if not queue or not ends:
            break
        now_s = max(now_s, ends[0][0])
        while ends and ends[0][0] <= now_s:
            for part in heapq.heappop(ends)[2]:
                later.release(part)
    return found
