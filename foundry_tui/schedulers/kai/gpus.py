"""GPU groups: which pods hold which physical GPU of a node.

A shared GPU is a group: a reservation pod holds the whole device and tells which one it is (KAI's
own writes the uuid, not the index), the sharers carry the group's name. Whole GPUs are counted by
Kubernetes, never named. What is not told is chosen once and kept: shared GPUs from the node's last
device downwards, whole ones from the first upwards; `Gpu.how` says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from foundry_tui.estate.gpu import WHOLE_MILLI, Gpu, GpuSlice, Share, Tenant
from foundry_tui.estate.run import Placement
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.kai import quantity
from foundry_tui.schedulers.kai.objects import GPU, MIG, Node, Pod
from foundry_tui.schedulers.kai.seats import Holder, Seating, Seats, seat
from foundry_tui.schedulers.kai.shares import GROUP, INDEX

COUNT, PRODUCT, MEMORY = "nvidia.com/gpu.count", "nvidia.com/gpu.product", "nvidia.com/gpu.memory"

IN_ORDER = "Kubernetes counts whole GPUs and does not say which: shown in the order of their start"
BY_UUID = "the reservation of this shared GPU tells its uuid, not its index"
UNTOLD = "a shared GPU whose reservation does not tell which device it is"
NO_AMOUNT = "the share of one of its sharers is not known"
NO_GROUP = "a pod shares a GPU of this node and does not say which"
NO_NAME = "a reservation pod holds it and names no group"
MIG_USED = "Kubernetes does not say which MIG instances are given away"


@dataclass(frozen=True, slots=True)
class Devices:
    """The GPUs of a cluster, and pod -> its indices (None: not known)."""

    gpus: tuple[Gpu, ...]
    indices: Mapping[str, tuple[int, ...] | None]


@dataclass(frozen=True, slots=True)
class _Reserved:
    """The reservation pods of one node: group -> what it tells; how many name no group."""

    told: Mapping[str, str | None] = field(default_factory=dict)
    nameless: int = 0


@dataclass(frozen=True, slots=True)
class _Shown:
    """A node as it was last made, and from what."""

    made_from: tuple[object, ...]
    gpus: tuple[Gpu, ...]
    indices: Mapping[str, tuple[int, ...] | None]


class Floor:
    """Makes the GPUs of all nodes; a node whose pods did not change is not made anew."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._seats = Seats()
        self._shown: dict[str, _Shown] = {}

    def devices(
        self,
        nodes: Iterable[Node],
        holders: Iterable[Holder],
        reservations: Iterable[Pod],
        now: datetime,
    ) -> Devices:
        """The GPUs of all nodes with their tenants; with the same `now` only changes are made."""
        reserved = _by_node(reservations)
        by_node: dict[str, list[Holder]] = {}
        for holder in holders:
            by_node.setdefault(holder.node, []).append(holder)
        shown: dict[str, _Shown] = {}
        indices: dict[str, tuple[int, ...] | None] = {}
        for node in nodes:
            name = node.metadata.name
            held = by_node.get(name, [])
            made_from = (node, tuple(held), reserved.get(name), now)
            old = self._shown.get(name)
            if old is None or old.made_from != made_from:
                old = _Shown(made_from, *self._make(node, held, reserved.get(name), now))
            shown[name] = old
            indices.update(old.indices)
        self._shown = shown
        self._seats.forget_all_but(shown)
        return Devices(tuple(g for one in shown.values() for g in one.gpus), indices)

    def _make(
        self, node: Node, held: list[Holder], reserved: _Reserved | None, now: datetime
    ) -> tuple[tuple[Gpu, ...], dict[str, tuple[int, ...] | None]]:
        reserved = reserved or _Reserved()
        name, count = node.metadata.name, gpu_count(node)
        seating = seat(name, count, held, reserved.told, reserved.nameless, self._seats)
        tenants, unknown = _tenants(held, seating, count)
        slices = _slices(node, count)
        if any(h.wish.mig_profile for h in held):
            free = [i for i in range(count) if not tenants.get(i)]
            unknown.update(dict.fromkeys(free, MIG_USED))
        product, memory = node.metadata.label(PRODUCT), gpu_memory_bytes(node)
        made = tuple(
            Gpu(
                node=safe(name),
                index=index,
                source=self.source,
                model=None if product is None else safe(product),
                uuid=_uuid(reserved.told, seating, index),
                tenants=None if index in unknown else tuple(tenants.get(index, ())),
                slices=slices,
                mem_total_bytes=memory,
                guessed=_guessed(reserved.told, seating, index),
                how=unknown.get(index) or _how(reserved.told, seating, index),
                read_at=now,
            )
            for index in range(count)
        )
        return made, dict(seating.pods)


def gpu_count(node: Node) -> int:
    """Devices of a node: its label, else what it can give away, MIG instances left out."""
    label = node.metadata.label(COUNT)
    if label is not None and label.isascii() and label.isdecimal():
        return min(int(label), 1024)
    return min(quantity.whole((node.status.capacity or {}).get(GPU, 0)) or 0, 1024)


def gpu_memory_bytes(node: Node) -> int | None:
    """Memory of each of its GPUs, from the label in MiB."""
    label = node.metadata.label(MEMORY)
    return int(label) << 20 if label and label.isascii() and label.isdecimal() else None


def _by_node(reservations: Iterable[Pod]) -> dict[str, _Reserved]:
    """Node -> its reservation pods."""
    told: dict[str, dict[str, str | None]] = {}
    nameless: dict[str, int] = {}
    for pod in reservations:
        group, node = pod.metadata.label(GROUP), pod.spec.node_name
        if node and group:
            told.setdefault(node, {})[group] = pod.metadata.note(INDEX)
        elif node:
            nameless[node] = nameless.get(node, 0) + 1
    return {n: _Reserved(told.get(n, {}), nameless.get(n, 0)) for n in {*told, *nameless}}


def _tenants(
    held: Iterable[Holder], seating: Seating, count: int
) -> tuple[dict[int, list[Tenant]], dict[int, str]]:
    """Index -> tenants; index -> why its tenants are not known."""
    tenants: dict[int, list[Tenant]] = {}
    unknown = dict.fromkeys(seating.nameless, NO_NAME)
    lost = False
    for holder in held:
        at = seating.pods.get(holder.pod)
        if holder.groups:
            for index in (seating.groups[g] for g in holder.groups if g in seating.groups):
                if holder.wish.milli is None:
                    unknown[index] = NO_AMOUNT
                else:
                    tenant = Tenant(holder.run, holder.wish.milli, Share.FRACTION)
                    tenants.setdefault(index, []).append(tenant)
        elif holder.wish.fraction:
            lost = True
        else:
            for index in at or ():
                tenants[index] = [Tenant(holder.run, WHOLE_MILLI)]
    if lost:
        # It is on a shared GPU that nobody seems to share; without one, on any that is not full.
        shared = [i for i in seating.groups.values() if i not in tenants]
        whole = {i for i, found in tenants.items() if found[0].share is Share.WHOLE}
        may = shared or [i for i in range(count) if i not in whole]
        unknown.update(dict.fromkeys(may, NO_GROUP))
    return tenants, unknown


def _uuid(told: Mapping[str, str | None], seating: Seating, index: int) -> str | None:
    group = seating.group_at(index)
    word = None if group is None else told.get(group)
    return None if not word or word.isdecimal() else safe(word)


def _how(told: Mapping[str, str | None], seating: Seating, index: int) -> str | None:
    group = seating.group_at(index)
    if group is not None:
        word = told.get(group)
        if not word:
            return UNTOLD
        return None if word.isdecimal() else BY_UUID
    return IN_ORDER if index in seating.whole else None


def _guessed(told: Mapping[str, str | None], seating: Seating, index: int) -> bool:
    """Whether nothing tells that its tenants are on the device of this index."""
    group = seating.group_at(index)
    if group is None:
        return index in seating.whole or index in seating.nameless
    return not (told.get(group) or "").isdecimal()


def _slices(node: Node, count: int) -> tuple[GpuSlice, ...]:
    """MIG instances, where a node gives away one sort of them evenly over its devices."""
    offered = {
        name.removeprefix(MIG): quantity.whole(amount) or 0
        for name, amount in (node.status.allocatable or {}).items()
        if name.startswith(MIG)
    }
    if len(offered) != 1 or not count:
        return ()
    ((profile, instances),) = offered.items()
    each = instances // count
    if not each or each * count != instances:
        return ()
    milli = WHOLE_MILLI // max(each, 1)
    return tuple(GpuSlice(uuid=None, profile=safe(profile), milli=milli) for _ in range(each))


def placements(
    pods: Iterable[tuple[str, str]], known: Mapping[str, tuple[int, ...] | None]
) -> tuple[Placement, ...]:
    """The placement of a run from (pod, node) pairs."""
    found: dict[str, set[int] | None] = {}
    for pod, node in pods:
        index = known.get(pod, ())
        before = found.get(node, set())
        found[node] = None if index is None or before is None else {*before, *index}
    return tuple(
        Placement(safe(node), None if at is None else tuple(sorted(at)))
        for node, at in sorted(found.items())
    )
