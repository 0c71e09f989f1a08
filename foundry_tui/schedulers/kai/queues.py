"""KAI's queues as a tree, with quota, limit and weight of GPUs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from foundry_tui.estate.fairshare import with_fair_shares
from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.queue import Queue, with_use
from foundry_tui.estate.run import HOLDING, Run, RunState
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.kai.nouns import time_of
from foundry_tui.schedulers.kai.objects import KaiQueue

UNLIMITED = -1
DEFAULT_PRIORITY = 100
"""KAI's own, where a queue names none."""


@dataclass(frozen=True, slots=True)
class Use:
    """Thousandths that the pods of one run hold, and that those without a node wait for."""

    held: int | None
    awaited: int | None


def queues(
    found: Iterable[KaiQueue],
    runs: Sequence[Run],
    total_milli: int,
    source: str,
    now: datetime,
    uses: Mapping[str, Use] | None = None,
) -> tuple[Queue, ...]:
    """The queues with what their runs hold and ask for, sums in the parents, and fair shares.

    `uses` is run -> what its pods hold: of a Job some may run while others wait, and a suspended
    one holds nothing. A run that is not in it holds all that it asks for.
    `Queue.status.allocated` is not read: it counts a pod of two halves as one half.
    """
    uses = uses or {}
    held = [_as_held(run, uses.get(run.id)) for run in runs]
    made = with_use((_queue(q, total_milli, source, now) for q in found), held, now)
    return with_fair_shares(_summed(_awaiting(made, runs, uses), held), total_milli)


def _as_held(run: Run, use: Use | None) -> Run:
    """The run, asking for what it holds; one whose request makes no sense asks for nothing."""
    if run.state is RunState.PENDING and (run.native or {}).get("amount"):
        return replace(run, request=replace(run.request, gpu_milli=0))
    if use is None or run.state not in HOLDING or use.held == run.request.gpu_milli:
        return run
    return replace(run, request=replace(run.request, gpu_milli=use.held))


def _awaiting(
    made: Sequence[Queue], runs: Sequence[Run], uses: Mapping[str, Use]
) -> tuple[Queue, ...]:
    """The queues with what the waiting pods of running workloads ask for."""
    awaited: dict[str, int | None] = {}
    for run in runs:
        use = uses.get(run.id)
        if use is not None and run.state is RunState.RUNNING and run.queue and use.awaited != 0:
            awaited[run.queue] = _sum(awaited.get(run.queue, 0), use.awaited)
    return tuple(
        replace(q, requested_gpu_milli=_sum(q.requested_gpu_milli, awaited.get(q.name, 0)))
        for q in made
    )


def _queue(queue: KaiQueue, total_milli: int, source: str, now: datetime) -> Queue:
    resources = queue.spec.resources
    gpu = resources.gpu if resources is not None else None
    quota = (gpu.quota if gpu is not None else None) or 0.0
    limit = gpu.limit if gpu is not None else None
    weight = gpu.over_quota_weight if gpu is not None else None
    return Queue(
        name=safe(queue.metadata.name),
        source=source,
        kind="queue",
        parent=None if not queue.spec.parent_queue else safe(queue.spec.parent_queue),
        quota_gpu_milli=_milli(quota),
        limit_gpu_milli=_milli(limit),
        total_gpu_milli=total_milli,
        priority=DEFAULT_PRIORITY if queue.spec.priority is None else queue.spec.priority,
        over_quota_weight=weight,
        created_at=time_of(queue.metadata.creation_timestamp),
        read_at=now,
    )


def _milli(amount: float | None) -> int | None:
    return None if amount is None or amount < 0 else round(amount * WHOLE_MILLI)


def _summed(queues: Sequence[Queue], runs: Sequence[Run]) -> tuple[Queue, ...]:
    """Parents with the sums of their children; what cannot be reclaimed from each."""
    bound: dict[str, int] = {}
    for run in runs:
        words = run.native or {}
        if run.state in HOLDING and words.get("preemptible") == "false" and run.queue:
            bound[run.queue] = bound.get(run.queue, 0) + (run.request.gpu_milli or 0)
    own = [replace(q, allocated_non_preemptible_gpu_milli=bound.get(q.name, 0)) for q in queues]
    known = {q.name: q for q in own}
    for queue in own:
        for above in _ancestors(queue, known):
            known[above] = _plus(known[above], queue)
    return tuple(known[q.name] for q in own)


def _plus(above: Queue, below: Queue) -> Queue:
    """A parent with what one queue below it holds and asks for; what is unknown stays so."""
    waits = [w for w in (above.oldest_wait_s, below.oldest_wait_s) if w is not None]
    return replace(
        above,
        allocated_gpu_milli=_sum(above.allocated_gpu_milli, below.allocated_gpu_milli),
        requested_gpu_milli=_sum(above.requested_gpu_milli, below.requested_gpu_milli),
        allocated_non_preemptible_gpu_milli=_sum(
            above.allocated_non_preemptible_gpu_milli, below.allocated_non_preemptible_gpu_milli
        ),
        running=_sum(above.running, below.running),
        waiting=_sum(above.waiting, below.waiting),
        oldest_wait_s=max(waits, default=None),
    )


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _ancestors(queue: Queue, known: dict[str, Queue]) -> list[str]:
    """The queues above one, a ring in the tree followed once."""
    found: list[str] = []
    parent = queue.parent
    while parent is not None and parent in known and parent not in found and parent != queue.name:
        found.append(parent)
        parent = known[parent].parent
    return found
