"""Which quotas a queue-balance report recommends: a rule that can be said in one sentence.

Quotas move only to queues that were starved, and come first from what the parent has not given
away, then from sisters that did not need all of theirs; nobody is told to give more than is asked
for, and all sisters together keep within their parent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from foundry_tui.estate.gpu import WHOLE_MILLI


@dataclass(frozen=True, slots=True)
class Need:
    """One of several sister queues, in thousandths of GPUs.

    `needed` is what it could have done with for most of the time; None where too little is known,
    so that its quota stays. `starved`: it waited for GPUs while it had less than its quota.
    """

    quota: int
    limit: int | None
    needed: int | None
    starved: bool


def recommended(sisters: Sequence[Need], room_milli: int) -> list[int]:
    """The quotas, whole GPUs apart from the present ones, in the order of the queues.

    `room_milli` is what the sisters may have together: the parent's quota, or the whole cluster.
    Where there is too little for all, each gets its part of it (largest remainders).
    """
    wanted = [_wanted(one) for one in sisters]
    spare = [_spare(one) for one in sisters]
    unassigned = max(0, room_milli - sum(one.quota for one in sisters)) // WHOLE_MILLI
    given = min(sum(spare), max(0, sum(wanted) - unassigned))
    raised = shared(min(sum(wanted), unassigned + given), wanted)
    lowered = shared(given, spare)
    return [
        one.quota + WHOLE_MILLI * (up - down)
        for one, up, down in zip(sisters, raised, lowered, strict=True)
    ]


def _wanted(one: Need) -> int:
    """Whole GPUs that a starved queue lacks, within its limit."""
    if not one.starved or one.needed is None:
        return 0
    most = one.needed if one.limit is None else min(one.needed, one.limit)
    return max(0, most - one.quota) // WHOLE_MILLI


def _spare(one: Need) -> int:
    """Whole GPUs of the quota that a queue without hunger did not need."""
    if one.starved or one.needed is None:
        return 0
    return max(0, one.quota - one.needed) // WHOLE_MILLI


def shared(amount: int, weights: Sequence[int]) -> list[int]:
    """A whole amount parted in proportion, none above its weight.

    The largest remainders get what is left, of equal ones the first. `amount` is at most the sum.
    """
    total = sum(weights)
    if not total:
        return [0 for _ in weights]
    parts = [amount * weight // total for weight in weights]
    order = sorted(range(len(weights)), key=lambda i: (-(amount * weights[i] % total), i))
    for i in order[: amount - sum(parts)]:
        parts[i] += 1
    return parts
