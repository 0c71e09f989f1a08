"""On which device of its node each pod is shown, where Kubernetes does not tell it.

A choice once made is kept, so that a device is the same one on the screen from reading to reading.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from foundry_tui.schedulers.kai.shares import Wish


@dataclass(frozen=True, slots=True)
class Holder:
    """A pod that holds GPUs of a node: its run, what it asked, the groups that it shares."""

    pod: str
    run: str
    node: str
    wish: Wish
    groups: tuple[str, ...]
    since: str


@dataclass(frozen=True, slots=True)
class Seating:
    """The devices of one node: pod -> indices (None: not known), group -> index.

    `whole` are the indices of whole GPUs, `nameless` those that reservations without a group hold.
    """

    pods: Mapping[str, tuple[int, ...] | None]
    groups: Mapping[str, int]
    whole: frozenset[int]
    nameless: tuple[int, ...]

    def group_at(self, index: int) -> str | None:
        """The group that has this device."""
        return next((g for g, at in self.groups.items() if at == index), None)


@dataclass(slots=True)
class Seats:
    """What was chosen before: node -> its last seating."""

    of: dict[str, Seating] = field(default_factory=dict)

    def forget_all_but(self, nodes: Iterable[str]) -> None:
        """Forget the nodes that are gone."""
        self.of = {name: self.of[name] for name in nodes if name in self.of}


def seat(
    node: str,
    count: int,
    held: Sequence[Holder],
    told: Mapping[str, str | None],
    nameless: int,
    seats: Seats,
) -> Seating:
    """Choose the devices of one node's pods, and remember the choice.

    `told` is group -> what its reservation tells of the device: an index, a uuid or nothing.
    """
    before = seats.of.get(node)
    sharing = {g for h in held for g in h.groups}
    groups = _told(told, count)
    missing = sorted({*told, *sharing} - groups.keys())
    whole = sorted(
        (h for h in held if not h.groups and h.wish.devices and _plain(h.wish)),
        key=lambda h: (h.since, h.pod),
    )
    if len(groups) + len(missing) + nameless + sum(h.wish.devices for h in whole) > count:
        before = None  # more than there are: whoever came first in a reading would keep a device
    for group in missing:
        old = None if before is None else before.groups.get(group)
        if old is not None and old < count and old not in groups.values():
            groups[group] = old
    free = [i for i in range(count) if i not in set(groups.values())]
    pods: dict[str, tuple[int, ...] | None] = {}
    for holder in whole:
        stays = None if before is None else before.pods.get(holder.pod)
        if stays and len(stays) == holder.wish.devices and set(stays) <= set(free):
            pods[holder.pod] = stays
            free = [i for i in free if i not in stays]
    for group in missing:
        if group not in groups and free:
            groups[group] = free.pop()
    unnamed = tuple(free.pop() for _ in range(min(nameless, len(free))))
    for holder in whole:
        if holder.pod not in pods:
            enough = len(free) >= holder.wish.devices
            pods[holder.pod] = tuple(free[: holder.wish.devices]) if enough else None
            free = free[holder.wish.devices :] if enough else free
    at_whole = frozenset(i for at in pods.values() for i in at or ())
    for holder in held:
        if holder.groups:
            known = all(g in groups for g in holder.groups)
            pods[holder.pod] = tuple(sorted(groups[g] for g in holder.groups)) if known else None
        elif holder.wish.devices and not _plain(holder.wish):
            pods[holder.pod] = None
    seats.of[node] = found = Seating(pods, groups, at_whole, unnamed)
    return found


def _plain(wish: Wish) -> bool:
    """Whether whole GPUs are asked for."""
    return not wish.fraction and not wish.mig_profile


def _told(told: Mapping[str, str | None], count: int) -> dict[str, int]:
    """The groups whose device's index is told, each index once."""
    found: dict[str, int] = {}
    for group, word in sorted(told.items()):
        if word is None or not word.isascii() or not word.isdecimal() or len(word) > 4:
            continue
        if int(word) < count and int(word) not in found.values():
            found[group] = int(word)
    return found
