"""How much of a workload of equal pods has room now, on GPU groups: each pod on one node.

Best fit, as KAI and Run:ai place by default: the node with the least room that takes the pod, and
on it the fullest GPUs. A pod of N devices needs N GPUs of one node; a share never spans two.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from foundry_tui.estate.gpu import WHOLE_MILLI, Gpu
from foundry_tui.estate.node import Node
from foundry_tui.estate.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """`pods` equal pods, each with `devices` GPUs of `milli` thousandths on one node.

    `memory_bytes` of GPU memory per device decides the share on each node instead of `milli`.
    """

    pods: int = 1
    devices: int = 1
    milli: int = WHOLE_MILLI
    gpu_memory_bytes: int | None = None
    model: str | None = None
    pools: tuple[str, ...] = ()
    cpu_milli: int = 0
    memory_bytes: int = 0

    @property
    def total_milli(self) -> int:
        """Thousandths over all pods."""
        return self.pods * self.devices * self.milli


@dataclass(slots=True)
class Space:
    """One node while pods are put on it: free thousandths of each GPU, free CPU and memory.

    CPU and memory that nobody tells are None, and then nothing is held against the node.
    """

    node: Node
    free: list[int]
    cut: bool
    gpu_memory_bytes: int | None
    cpu_milli: int | None
    memory_bytes: int | None


def spaces(snapshot: Snapshot, source: str, ask: Ask, *, in_service: bool = True) -> list[Space]:
    """The nodes of the source on which such a pod may start at all, with what is free there.

    `in_service` False takes those in that are down or drained.
    """
    groups: dict[str, list[Gpu]] = {}
    for gpu in snapshot.gpus:
        if gpu.source == source:
            groups.setdefault(gpu.node, []).append(gpu)
    return [
        _space(node, groups.get(node.name, ()))
        for node in snapshot.nodes
        if node.source == source and (node.placeable or not in_service) and suits(node, ask)
    ]


def suits(node: Node, ask: Ask) -> bool:
    """Whether the node is of the model and in a pool that is asked for."""
    if ask.model and ask.model != node.gpu_model:
        return False
    return not ask.pools or bool(set(ask.pools) & set(node.queues))


def _space(node: Node, group: Sequence[Gpu]) -> Space:
    cut = any(g.partitioned for g in group)
    return Space(
        node=node,
        free=_free(node, [g for g in group if not g.partitioned]),
        cut=cut,
        gpu_memory_bytes=next((g.mem_total_bytes for g in group if g.mem_total_bytes), None),
        cpu_milli=_left(node.cpu_milli, node.cpu_milli_allocated),
        memory_bytes=_left(node.memory_bytes, node.memory_bytes_allocated),
    )


def _free(node: Node, group: Sequence[Gpu]) -> list[int]:
    """What each GPU has free; where nobody tells who is on which, the node's sum in whole GPUs."""
    if node.gpu_milli_free is None or all(g.tenants is not None for g in group):
        return [g.milli_free for g in group]
    whole, rest = divmod(node.gpu_milli_free, WHOLE_MILLI)
    return [*([WHOLE_MILLI] * whole), rest, *([0] * len(group))][: len(group)]


def _left(total: int | None, allocated: int | None) -> int | None:
    return None if total is None else max(0, total - (allocated or 0))


def share_on(space: Space, ask: Ask) -> int:
    """Thousandths of each device that a pod takes on this node.

    Memory becomes a portion in hundredths, rounded up as KAI does.
    """
    if ask.gpu_memory_bytes is None or not space.gpu_memory_bytes:
        return ask.milli
    return 10 * -(-ask.gpu_memory_bytes * 100 // space.gpu_memory_bytes)


def sized(every: Iterable[Space], ask: Ask) -> Ask:
    """The request with the thousandths that its GPU memory is on the GPUs with the most of it."""
    if ask.gpu_memory_bytes is None:
        return ask
    shares = (share_on(s, ask) for s in every if s.gpu_memory_bytes)
    return replace(ask, milli=min(shares, default=ask.milli))


def placed(open_spaces: Iterable[Space], ask: Ask) -> int:
    """How many of the pods have room side by side.

    The fullest node that takes a pod stays the fullest, so each is filled before the next.
    """
    count = 0
    for space in sorted(
        (s for s in open_spaces if takes(s, ask)), key=lambda s: (sum(s.free), s.node.name)
    ):
        left = replace(space, free=list(space.free))
        while count < ask.pods and takes(left, ask):
            _put(left, ask)
            count += 1
        if count == ask.pods:
            break
    return count


def takes(space: Space, ask: Ask) -> bool:
    """Whether one pod has room here."""
    milli = share_on(space, ask)
    if milli > WHOLE_MILLI or (milli < WHOLE_MILLI and space.cut):
        return False
    host = _has(space.cpu_milli, ask.cpu_milli) and _has(space.memory_bytes, ask.memory_bytes)
    return host and sum(f >= milli for f in space.free) >= ask.devices


def _has(left: int | None, asked: int) -> bool:
    return left is None or asked <= left


def _put(space: Space, ask: Ask) -> None:
    milli = share_on(space, ask)
    order = sorted((f, i) for i, f in enumerate(space.free) if f >= milli)
    for _, index in order[: ask.devices]:
        space.free[index] -= milli
    space.cpu_milli = _left(space.cpu_milli, ask.cpu_milli)
    space.memory_bytes = _left(space.memory_bytes, ask.memory_bytes)


def emptied(found: Iterable[Space]) -> list[Space]:
    """The same nodes as if nothing ran on them."""
    return [
        replace(
            s,
            free=[WHOLE_MILLI] * len(s.free),
            cpu_milli=s.node.cpu_milli,
            memory_bytes=s.node.memory_bytes,
        )
        for s in found
    ]
