"""A queue: a Slurm partition, or a Run:ai project, department or KAI queue, as a tree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from foundry_tui.estate.run import HOLDING, Run, RunState


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """One queue. All GPU amounts are thousandths of a GPU; None is unknown, or no limit is set.

    `quota_gpu_milli` is what the queue deserves, `limit_gpu_milli` what it can never exceed,
    `allocated_gpu_milli` what its running runs hold and `requested_gpu_milli` what its waiting
    runs ask for. `over_quota_weight` is its part of the surplus against its sisters' weights.
    `running` and `waiting` count tasks: an array of 10,000 waiting tasks is 10,000.
    """

    name: str
    source: str
    kind: str
    parent: str | None = None
    state: str = "up"
    quota_gpu_milli: int | None = None
    limit_gpu_milli: int | None = None
    fair_share_gpu_milli: int | None = None
    total_gpu_milli: int | None = None
    allocated_gpu_milli: int | None = None
    requested_gpu_milli: int | None = None
    running: int | None = None
    waiting: int | None = None
    oldest_wait_s: float | None = None
    default: bool = False
    priority: int | None = None
    over_quota_weight: float | None = None
    allocated_non_preemptible_gpu_milli: int | None = None
    time_limit_s: int | None = None
    max_nodes: int | None = None
    accounts: tuple[str, ...] | None = None
    qos: tuple[str, ...] | None = None
    created_at: datetime | None = None
    read_at: datetime | None = None


def with_use(queues: Iterable[Queue], runs: Iterable[Run], now: datetime) -> tuple[Queue, ...]:
    """Queues with allocated, requested, running, waiting and the oldest wait counted from runs.

    A run that may start in several queues waits in each of them. What a run holds is what it asked
    for. One run with an unknown amount makes a sum unknown; one with an unknown wait is left out
    of the oldest.
    """
    held: dict[str, int | None] = {}
    asked: dict[str, int | None] = {}
    running: dict[str, int] = {}
    waiting: dict[str, int] = {}
    oldest: dict[str, float] = {}
    for run in runs:
        amount = run.request.gpu_milli
        if run.state is RunState.SUSPENDED and not run.placement:
            continue  # Run:ai and KAI give the GPUs of a suspended run away
        if run.state in HOLDING:
            for name in run.queues[:1]:
                running[name] = running.get(name, 0) + 1
                held[name] = _plus(held.get(name, 0), amount, 1)
        elif run.state is RunState.PENDING:
            waited = run.wait_s(now)
            for name in run.queues:
                waiting[name] = waiting.get(name, 0) + run.count
                asked[name] = _plus(asked.get(name, 0), amount, run.count)
                if waited is not None:
                    oldest[name] = max(oldest.get(name, 0.0), waited)
    return tuple(
        replace(
            queue,
            allocated_gpu_milli=held.get(queue.name, 0),
            requested_gpu_milli=asked.get(queue.name, 0),
            running=running.get(queue.name, 0),
            waiting=waiting.get(queue.name, 0),
            oldest_wait_s=oldest.get(queue.name),
        )
        for queue in queues
    )


def _plus(total: int | None, amount: int | None, times: int) -> int | None:
    return None if total is None or amount is None else total + amount * times


def children(queues: Sequence[Queue], parent: Queue | None) -> tuple[Queue, ...]:
    """The queues right below `parent` in the tree; the roots for None."""
    if parent is None:
        names = {(q.source, q.name) for q in queues}
        return tuple(q for q in queues if (q.source, q.parent) not in names)
    return tuple(q for q in queues if q.source == parent.source and q.parent == parent.name)


def tree(queues: Sequence[Queue]) -> list[tuple[Queue, int]]:
    """Each queue once with its depth, below its parent where that is among them.

    A parent and its child may have one name, and a wrong answer may hold a ring of parents.
    """
    names = {(q.source, q.name) for q in queues}
    below: dict[tuple[str, str], list[int]] = {}
    for i, queue in enumerate(queues):
        below.setdefault((queue.source, queue.parent or ""), []).append(i)
    roots = [i for i, q in enumerate(queues) if (q.source, q.parent or "") not in names]
    ordered: dict[int, int] = {}  # place in `queues` -> depth
    for start in [*roots, *range(len(queues))]:
        waiting = [(start, 0)]
        while waiting:
            i, depth = waiting.pop()
            if i not in ordered:
                ordered[i] = depth
                key = (queues[i].source, queues[i].name)
                waiting += [(child, depth + 1) for child in reversed(below.get(key, ()))]
    return [(queues[i], depth) for i, depth in ordered.items()]
