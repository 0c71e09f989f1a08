"""Fair share: how KAI and Run:ai divide the GPUs of a cluster among queues that want them. Pure.

Every level of the tree divides what its parent has: first each queue gets what it deserves, as far
as it asks for it; then the surplus goes to the queues of the highest priority, by over-quota
weight, in whole GPUs where a queue does not get all that it asks for; what the rounding left goes
to the largest remainders. The rule is that of KAI-Scheduler 0.12 (plugin `proportion`, its
documentation "Fairness"), without usage in the past (its kValue 0).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from foundry_tui.estate.queue import Queue

MILLI = 1000
DEFAULT_WEIGHT = 1.0
"""KAI's over-quota weight where a queue names none."""

_EPOCH = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class _Share:
    """A queue while a level is divided; amounts in GPUs, as KAI counts them."""

    queue: Queue
    deserved: float
    asked: float
    wanted: float
    limit: float
    weight: float
    given: float = 0.0
    remainder: float | None = None

    @property
    def satisfied(self) -> bool:
        return self.wanted <= self.given or self.limit <= self.given

    @property
    def missing(self) -> float:
        return max(0.0, self.asked - self.given)


def with_fair_shares(queues: Sequence[Queue], total_gpu_milli: int) -> tuple[Queue, ...]:
    """The queues with `fair_share_gpu_milli`, in the order given.

    A queue asks for what it holds and what its waiting runs want. Where that is unknown for one of
    several sisters nobody can tell how they share: theirs, and those below, stay None. A queue
    without a quota deserves all that there is.
    """
    below: dict[str | None, list[Queue]] = {}
    names = {q.name for q in queues}
    for queue in queues:
        parent = queue.parent if queue.parent in names else None
        below.setdefault(parent, []).append(queue)
    found: dict[str, int | None] = {}
    levels: list[tuple[str | None, float]] = [(None, total_gpu_milli / MILLI)]
    while levels:
        parent, total = levels.pop()
        shares = _level(below.get(parent, ()), total)
        for share in shares:
            name = share.queue.name
            if name not in found:  # a queue that is its own parent by name
                levels.append((name, share.given))
            found[name] = round(share.given * MILLI)
    return tuple(replace(q, fair_share_gpu_milli=found.get(q.name)) for q in queues)


def _level(queues: Iterable[Queue], total: float) -> list[_Share]:
    """The sisters of one level with what each is given; none where a demand is unknown."""
    shares = [_share(q, total) for q in queues]
    known = [s for s in shares if s is not None]
    if len(known) < len(shares):
        return []
    left = total
    for share in known:
        share.given = min(share.deserved, share.asked)
        left -= share.given
    priorities = sorted({s.queue.priority or 0 for s in known}, reverse=True)
    buckets = [[s for s in known if (s.queue.priority or 0) == p] for p in priorities]
    if left > 0:
        for bucket in buckets:
            left = _by_weight(bucket, left)
        for bucket in buckets:
            left = _remainders(bucket, left)
    return known


def _share(queue: Queue, total: float) -> _Share | None:
    held, waits = queue.allocated_gpu_milli, queue.requested_gpu_milli
    if held is None or waits is None:
        return None
    quota = queue.quota_gpu_milli
    wanted = (held + waits) / MILLI
    limit = math.inf if queue.limit_gpu_milli is None else queue.limit_gpu_milli / MILLI
    weight = DEFAULT_WEIGHT if queue.over_quota_weight is None else queue.over_quota_weight
    return _Share(
        queue=queue,
        deserved=total if quota is None else quota / MILLI,
        asked=min(wanted, limit),
        wanted=wanted,
        limit=limit,
        weight=max(0.0, weight),
    )


def _by_weight(shares: Sequence[_Share], left: float) -> float:
    """Divide by weight, round after round while somebody needed less than its part."""
    while left > 0:
        weights = sum(s.weight for s in shares if s.missing > 0)
        if weights == 0:
            break
        parts = [(s, s.weight / weights) for s in shares if not s.satisfied]
        whole = sum(part for _, part in parts)
        amount, again = left, False
        for share, part in parts:
            if left == 0:
                break
            if share.weight == 0:
                continue
            fair, missing = amount * (part / whole), share.missing
            given = _part(share, fair, missing)
            if given:
                share.given += given
                left -= given
                again = again or missing < fair
        if not again:
            break
    return left


def _part(share: _Share, fair: float, missing: float) -> float:
    """What a queue gets in a round: all that it misses, else its part in whole GPUs."""
    if missing <= fair:
        share.remainder = None
        return missing
    given = float(math.floor(fair))
    if fair > given:
        share.remainder = fair - given
    return given


def _remainders(shares: Sequence[_Share], left: float) -> float:
    """One GPU, or what is left of one, to each of the largest remainders; the older queue first."""
    waiting = [(s.remainder, s) for s in shares if s.remainder is not None]
    waiting.sort(key=lambda w: (-w[0], w[1].queue.created_at or _EPOCH, w[1].queue.name))
    for _, share in waiting:
        if left <= 0:
            break
        given = min(1.0, left)
        share.given += given
        left -= given
    return left
