"""What would start now: the smallest changes of a request, on GPU groups and quotas as they are.

For schedulers that give no start times (KAI, Run:ai). A change is offered only when the request
with it has room now and no limit in the way; what takes nothing from the work comes first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.explain import say
from foundry_tui.explain.packing import Ask, Space, placed, share_on, sized, spaces

SHARES = (900, 800, 750, 700, 600, 500, 400, 300, 250, 200, 100)
"""Shares of a GPU that are offered instead of a larger one, in thousandths."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A queue that keeps a request out: its quota or its limit, in thousandths."""

    queue: Queue
    what: str
    most: int
    held: int

    @property
    def left(self) -> int:
        """Thousandths that it still has."""
        return max(0, self.most - self.held)


@dataclass(frozen=True, slots=True)
class Option:
    """One change: its words, and the request after it."""

    sentence: str
    ask: Ask
    queue: str | None
    preemptible: bool


def above(snapshot: Snapshot, source: str, name: str | None) -> tuple[Queue, ...]:
    """A queue and all above it; a ring is walked once."""
    known = {q.name: q for q in snapshot.queues if q.source == source}
    found: dict[str, Queue] = {}
    queue = known.get(name or "")
    while queue is not None and queue.name not in found:
        found[queue.name] = queue
        queue = known.get(queue.parent or "")
    return tuple(found.values())


def bound(
    snapshot: Snapshot, source: str, name: str | None, milli: int, *, preemptible: bool
) -> Bound | None:
    """The first queue on the way up that a request of so many thousandths does not fit into.

    What is preemptible may borrow up to the limit; what is not has to fit into the quota with all
    else that is not. What asks for no GPU is kept out by none.
    """
    if not milli:
        return None
    for queue in above(snapshot, source, name):
        held, firm = queue.allocated_gpu_milli, queue.allocated_non_preemptible_gpu_milli
        limit, quota = queue.limit_gpu_milli, queue.quota_gpu_milli
        if limit is not None and held is not None and held + milli > limit:
            return Bound(queue, "limit", limit, held)
        if not preemptible and quota is not None:
            used = held if firm is None else firm
            if used is not None and used + milli > quota:
                return Bound(queue, "quota", quota, used)
    return None


def starts_now(
    snapshot: Snapshot, source: str, queue: str | None, ask: Ask, *, preemptible: bool
) -> bool:
    """Whether a request has room now and no quota or limit in the way."""
    return _Now(snapshot, source).starts(queue, ask, preemptible=preemptible)


@dataclass(slots=True)
class _Now:
    """The source as it is, asked for many requests: what was looked at is kept."""

    snapshot: Snapshot
    source: str
    _spaces: dict[tuple[object, ...], list[Space]] = field(default_factory=dict)
    _placed: dict[Ask, int] = field(default_factory=dict)

    def starts(self, queue: str | None, ask: Ask, *, preemptible: bool) -> bool:
        """As `starts_now`."""
        milli = ask.total_milli
        if ask.gpu_memory_bytes is not None:
            milli = sized(self.spaces(ask, in_service=False), ask).total_milli
        if bound(self.snapshot, self.source, queue, milli, preemptible=preemptible) is not None:
            return False
        return self.room(ask) == ask.pods

    def room(self, ask: Ask) -> int:
        """How many of its pods have room."""
        if ask not in self._placed:
            self._placed[ask] = placed(self.spaces(ask), ask)
        return self._placed[ask]

    def spaces(self, ask: Ask, *, in_service: bool = True) -> list[Space]:
        """The nodes on which it may start; only model and pools of a request choose them."""
        where = ask.model, ask.pools, in_service
        if where not in self._spaces:
            found = spaces(self.snapshot, self.source, ask, in_service=in_service)
            self._spaces[where] = found
        return self._spaces[where]


def smallest_changes(
    snapshot: Snapshot,
    source: str,
    queue: str | None,
    ask: Ask,
    *,
    preemptible: bool,
    others: Sequence[str] = (),
) -> tuple[Option, ...]:
    """The changes with which the request would start now, at most one of each sort.

    None where it starts now as it is. `others` are queues that its owner may use too.
    """
    now = _Now(snapshot, source)
    if now.starts(queue, ask, preemptible=preemptible):
        return ()
    found = []
    for options in _sorts(now, queue, ask, preemptible, others):
        for option in options:
            if now.starts(option.queue, option.ask, preemptible=option.preemptible):
                found.append(option)
                break
    return tuple(found)


def _sorts(
    now: _Now,
    queue: str | None,
    ask: Ask,
    preemptible: bool,
    others: Sequence[str],
) -> Iterator[Iterator[Option]]:
    """Sorts of change, what costs the work least first; each from small to large."""
    snapshot, source = now.snapshot, now.source
    if not preemptible:
        sentence = "make it preemptible: it may borrow then, and can be stopped for its owners"
        yield iter([Option(sentence, ask, queue, True)])
    known = {q.name for q in snapshot.queues if q.source == source}
    roofs = {q.parent for q in snapshot.queues if q.source == source}
    yield (
        Option(f"submit it to {name}, which has room for it", ask, name, preemptible)
        for name in others
        if name != queue and name in known - roofs
    )
    if ask.model:
        sentence = f"ask for any GPU model instead of {ask.model}"
        yield iter([Option(sentence, replace(ask, model=None), queue, preemptible)])
    if ask.pools:
        pools = sorted({p for n in snapshot.nodes if n.source == source for p in n.queues})
        yield (
            Option(
                f"ask for node pool {pool} instead of {say.listed(ask.pools, 'or')}",
                replace(ask, pools=(pool,)),
                queue,
                preemptible,
            )
            for pool in pools
            if pool not in ask.pools
        )
    shares = _shares(ask, queue, preemptible)
    # who asks for several whole GPUs has less use for parts of them than for fewer
    several = (
        ask.milli == WHOLE_MILLI and ask.gpu_memory_bytes is None and ask.total_milli > WHOLE_MILLI
    )
    if not several:
        yield shares
    # Kubernetes takes a request of ten million GPUs: no node has more than these.
    largest = max((len(s.free) for s in now.spaces(ask)), default=0)
    yield (
        Option(
            f"ask for {say.counted(devices, 'GPU')} instead of {ask.devices}"
            + (" in each pod" if ask.pods > 1 else ""),
            replace(ask, devices=devices),
            queue,
            preemptible,
        )
        for devices in range(min(ask.devices - 1, largest), 0, -1)
    )
    yield (
        Option(
            f"start it with {say.counted(pods, 'pod')} instead of {ask.pods}",
            replace(ask, pods=pods),
            queue,
            preemptible,
        )
        for pods in range(min(now.room(ask), ask.pods - 1), 0, -1)
    )
    if several:
        yield shares


def _shares(ask: Ask, queue: str | None, preemptible: bool) -> Iterator[Option]:
    each = "each " if ask.devices * ask.pods > 1 else ""
    for before, after, smaller in _smaller_shares(ask):
        sentence = f"ask for {after} {each}instead of {before}"
        yield Option(sentence, smaller, queue, preemptible)


def _smaller_shares(ask: Ask) -> Iterator[tuple[str, str, Ask]]:
    """The share in words now and then, and the request with less of each GPU, from the largest."""
    if not ask.devices:
        return
    for milli in SHARES:
        if ask.gpu_memory_bytes is not None:
            # whole GiB: what the words say is what is asked for
            size = ask.gpu_memory_bytes * milli // WHOLE_MILLI >> 30 << 30
            if size:
                smaller = replace(ask, gpu_memory_bytes=size)
                before = f"{say.size(ask.gpu_memory_bytes)} of GPU memory"
                yield before, say.size(size), smaller
        elif milli < ask.milli:
            yield say.gpus(ask.milli), say.gpus(milli), replace(ask, milli=milli)


def most_free_milli(snapshot: Snapshot, source: str, ask: Ask) -> int:
    """The largest share that one GPU has free where the request may go."""
    found = spaces(snapshot, source, ask)
    return max((f for s in found for f in s.free), default=0)


def most_free_gpus(snapshot: Snapshot, source: str, ask: Ask) -> int:
    """The most GPUs of one node that could each take the share asked for."""
    found = spaces(snapshot, source, ask)
    return max((sum(f >= share_on(s, ask) for f in s.free) for s in found), default=0)
