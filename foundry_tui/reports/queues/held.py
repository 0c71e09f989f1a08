"""What the runs of each queue held in a period, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from foundry_tui.estate.text import SafeText, safe
from foundry_tui.store.history.window.queuelog import QueueHoldings

if TYPE_CHECKING:
    from foundry_tui.store.history.window.readings import Readings

Ints = NDArray[np.int64]

Key = tuple[str, str, str]
"""A queue: its source, its kind, its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Thousandths of GPU-seconds that the runs of a queue held, and of these used and idle ones.

    `model` and `pool` are those of all devices that were held, None where there were several.
    """

    allocated: int
    used: int
    idle: int
    busy: int
    model: SafeText | None
    pool: SafeText | None

    @property
    def known(self) -> int:
        """The part that was measured."""
        return self.used + self.idle

    @property
    def coverage(self) -> float:
        """How much of it was measured, in 0..1."""
        return self.known / self.allocated if self.allocated else 0.0

    @property
    def busy_part(self) -> float:
        """How much of what was measured was used, in 0..1."""
        return self.used / self.known if self.known else 0.0

    @property
    def util_pct(self) -> float | None:
        """The mean utilisation of what was measured."""
        return 100 * self.busy / self.known if self.known else None


def held_in(
    holdings: QueueHoldings,
    tree: Mapping[Key, Key | None],
    readings: Readings | None,
    start: int,
    end: int,
) -> dict[Key, Held]:
    """Queue -> what its runs held in [start, end); those above have the sums of those below.

    `tree` is queue -> the one above it, for every queue that is known.
    """
    since, until = np.maximum(holdings.since, start), np.minimum(holdings.until, end)
    here = until > since
    queue, device = holdings.queue[here], holdings.device[here]
    since, until, milli = since[here], until[here], holdings.milli[here]
    size = len(holdings.names)
    nothing = np.zeros(len(queue), np.int64)
    did = readings.use(device, since, until) if readings is not None and len(queue) else None
    amounts = [
        until - since,
        nothing if did is None else did.used_s,
        nothing if did is None else did.idle_s,
    ]
    sums = [_sums(queue, milli * amount, size) for amount in amounts]
    busy = nothing if did is None else did.busy_milli_s
    sums.append(_sums(queue, milli * busy // 1000, size))
    devices: dict[int, set[int]] = {}
    for one, number in np.unique(np.stack([queue, device], axis=1), axis=0).tolist():
        devices.setdefault(one, set()).add(number)
    leaves = _leaves(tree, holdings)
    total: dict[Key, list[int]] = {}
    held_by: dict[Key, set[int]] = {}
    for one, numbers in devices.items():
        for key in _upwards(leaves[one], tree):
            before = total.setdefault(key, [0, 0, 0, 0])
            total[key] = [b + int(s[one]) for b, s in zip(before, sums, strict=True)]
            held_by.setdefault(key, set()).update(numbers)
    return {
        key: Held(
            allocated=amounts_[0],
            used=amounts_[1],
            idle=amounts_[2],
            busy=amounts_[3],
            model=_only({holdings.model.get(d) for d in held_by[key]}),
            pool=_pool(holdings, held_by[key], key[1]),
        )
        for key, amounts_ in total.items()
    }


def _sums(queue: Ints, amount: Ints, size: int) -> Ints:
    """The sum for each queue, in whole numbers."""
    total = np.zeros(size, np.int64)
    np.add.at(total, queue, amount)
    return total


def _leaves(tree: Mapping[Key, Key | None], holdings: QueueHoldings) -> list[Key]:
    """The queues of the runs: of several of one name the one that is no department."""
    known = {(key[0], key[2]): key for key in tree if key[1] != "department"}
    return [known.get(name) or (name[0], "", name[1]) for name in holdings.names]


def _upwards(key: Key, tree: Mapping[Key, Key | None]) -> list[Key]:
    """A queue and all above it; a ring in the tree is followed once."""
    found = [key]
    while (above := tree.get(found[-1])) is not None and above not in found:
        found.append(above)
    return found


def _pool(holdings: QueueHoldings, devices: set[int], kind: str) -> SafeText | None:
    """The node pool; a partition is none."""
    if kind == "partition":
        return None
    pools = {holdings.pools.get(device, ()) for device in devices}
    found = pools.pop() if len(pools) == 1 else ()
    return safe(found[0]) if len(found) == 1 else None


def _only(words: set[str | None]) -> SafeText | None:
    found = words.pop() if len(words) == 1 else None
    return None if found is None else safe(found)
