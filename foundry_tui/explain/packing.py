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
    """One node while pods are put on it: free thousandths of each GPU, free CPU and memory."""

    node: Node
    free: list[int]
    cut: bool
    gpu_memory_bytes: int | None
    cpu_milli: int
    memory_bytes: int


def spaces(snapshot: Snapshot, source: str, ask: Ask) -> list[Space]:
    """The nodes of the source on which such a pod may start at all, with what is free there."""
    groups: dict[str, list[Gpu]] = {}
    for gpu in snapshot.gpus:
        if gpu.source == source:
            groups.setdefault(gpu.node, []).append(gpu)
    return [
        _space(node, groups.get(node.name, ()))
        for node in snapshot.nodes
        if node.source == source and node.placeable and suits(node, ask)
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
        free=[g.milli_free for g in group if not g.partitioned],
        cut=cut,
        gpu_memory_bytes=next((g.mem_total_bytes for g in group if g.mem_total_bytes), None),
        cpu_milli=max(0, (node.cpu_milli or 0) - (node.cpu_milli_allocated or 0)),
        memory_bytes=max(0, (node.memory_bytes or 0) - (node.memory_bytes_allocated or 0)),
    )


def share_on(space: Space, ask: Ask) -> int:
    """Thousandths of each device that a pod takes on this node.

    Memory becomes a portion in hundredths, rounded up as KAI does.
    """
    if ask.gpu_memory_bytes is None or not space.gpu_memory_bytes:
        return ask.milli
    return 10 * -(-ask.gpu_memory_bytes * 100 // space.gpu_memory_bytes)


def placed(open_spaces: Iterable[Space], ask: Ask) -> int:
    """How many of the pods have room side by side."""
    left = [replace(s, free=list(s.free)) for s in open_spaces]
    for count in range(ask.pods):
        able = [s for s in left if takes(s, ask)]
        if not able:
            return count
        _put(min(able, key=lambda s: (sum(s.free), s.node.name)), ask)
    return ask.pods


def takes(space: Space, ask: Ask) -> bool:
    """Whether one pod has room here."""
    milli = share_on(space, ask)
    if milli > WHOLE_MILLI or (milli < WHOLE_MILLI and space.cut):
        return False
    host = ask.cpu_milli <= space.cpu_milli and ask.memory_bytes <= space.memory_bytes
    return host and sum(f >= milli for f in space.free) >= ask.devices


def _put(space: Space, ask: Ask) -> None:
    milli = share_on(space, ask)
    order = sorted((f, i) for i, f in enumerate(space.free) if f >= milli)
    for _, index in order[: ask.devices]:
        space.free[index] -= milli
    space.cpu_milli -= ask.cpu_milli
    space.memory_bytes -= ask.memory_bytes


def emptied(found: Iterable[Space]) -> list[Space]:
    """The same nodes as if nothing ran on them."""
    return [
        replace(
            s,
            free=[WHOLE_MILLI] * len(s.free),
            cpu_milli=s.node.cpu_milli or 0,
            memory_bytes=s.node.memory_bytes or 0,
        )
        for s in found
    ]
