"""The nodes of one source as arrays for placement, and the way back from rows to placements.

What cannot be relied on counts as taken: a GPU whose tenants are unknown is full, a GPU that is cut
into MIG instances takes nothing but its free instances, and a node of which CPU or memory is
unknown is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from foundry_tui.estate.gpu import WHOLE_MILLI, Gpu
from foundry_tui.estate.node import Node
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.run import Placement, Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.optimiser.demand import MIB, Stock
from scheduler_sim.cluster import Cluster, Mask, NodeSpec

ENDING = frozenset({RunState.RUNNING, RunState.COMPLETING})
"""States in which a time limit will free what a run holds."""

PARTITION = "partition"
"""The kind of queue that has nodes of its own; a project may use every node of its source."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A node that takes runs but cannot be reckoned with, and why."""

    node: Node
    why: str


@dataclass(frozen=True, slots=True)
class Ending:
    """What one running run (by id) gives back on one node (row) at its time limit.

    `gpus` are pairs of GPU position and thousandths.
    """

    row: int
    at: datetime
    gpus: tuple[tuple[int, int], ...]
    cpu_milli: int
    memory_mib: int
    run: str = ""


@dataclass(frozen=True, slots=True)
class Where:
    """The nodes that will do: in one of `queues`, with every feature group, and by name.

    `features` is a list of alternatives, of which each must be met; `names` empty means any node,
    and those in `refused` never do. With `device_bytes` only nodes with devices of this memory do,
    with `profile` only those on which a MIG instance of it was free.
    """

    queues: tuple[str, ...]
    features: tuple[tuple[str, ...], ...] = ()
    names: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    share: bool = False
    device_bytes: int | None = None
    profile: str | None = None


@dataclass(slots=True)
class Board:
    """The placeable nodes of one source. Row r of `cluster` is `nodes[r]`.

    `gpus[r]` are the indices of the devices at the positions 0, 1, ... of row r; `takes_shares`
    is False where MIG instances keep shares away. `device_bytes[r]` is the memory of its devices,
    None where it is not known or not the same; `instances` holds per profile how many MIG
    instances of each row are free.
    """

    source: str
    nodes: tuple[Node, ...]
    gpus: tuple[tuple[int, ...], ...]
    cluster: Cluster
    takes_shares: Mask
    partitions: frozenset[str]
    device_bytes: tuple[int | None, ...]
    instances: dict[str, NDArray[np.int64]]
    stock: Stock
    _masks: dict[Where, Mask] = field(default_factory=dict)
    _pools: dict[tuple[str, ...], Mask] = field(default_factory=dict)

    def allowed(self, where: Where) -> Mask:
        """The rows that will do, whatever is left on them."""
        mask = self._masks.get(where)
        if mask is None:
            rows = [self._will_do(node, where) for node in self.nodes]
            mask = np.array(rows, dtype=np.bool_)
            if where.device_bytes is not None:
                mask &= np.array([size == where.device_bytes for size in self.device_bytes])
            if where.profile is not None:
                mask &= self.instances[where.profile] > 0
            if where.share:
                mask &= self.takes_shares
            self._masks[where] = mask
        return mask

    def in_pools(self, names: tuple[str, ...]) -> Mask:
        """The rows of nodes in one of these node pools or partitions."""
        mask = self._pools.get(names)
        if mask is None:
            rows = [not set(names).isdisjoint(node.queues) for node in self.nodes]
            mask = self._pools[names] = np.array(rows, dtype=np.bool_)
        return mask

    def _will_do(self, node: Node, where: Where) -> bool:
        inside = any(q in node.queues or q not in self.partitions for q in where.queues)
        named = node.name not in where.refused and (not where.names or node.name in where.names)
        return inside and named and all(set(g) & set(node.features) for g in where.features)

    def placement(self, row: int, positions: Sequence[int], *, known: bool = True) -> Placement:
        """Row and GPU positions as the estate names them; not `known`: which is not chosen here."""
        name = self.nodes[row].name
        return Placement(name, tuple(self.gpus[row][p] for p in positions) if known else None)


def sift(snapshot: Snapshot, source: str) -> tuple[tuple[Node, ...], tuple[LeftOut, ...]]:
    """The nodes of a source that take new runs, and those of them that are left out.

    A node takes new runs when the scheduler starts some there and one of its queues is up.
    """
    by_node = _by_node(snapshot, source)
    queues = [q for q in snapshot.queues if q.source == source]
    names = Counter(n.name for n in snapshot.nodes if n.source == source)
    kept: list[Node] = []
    left_out: list[LeftOut] = []
    for node in snapshot.nodes:
        if node.source != source or not node.placeable or not _open(node, queues):
            continue
        why = _doubt(node, by_node.get(node.name, ()))
        if names[node.name] > 1:
            why = f"{names[node.name]} nodes have this name"
        if why is None:
            kept.append(node)
        else:
            left_out.append(LeftOut(node, why))
    return tuple(kept), tuple(left_out)


def build(snapshot: Snapshot, source: str, nodes: Sequence[Node]) -> Board:
    """The board of these nodes of one source, at least one, as `sift` gives them."""
    by_node = _by_node(snapshot, source)
    groups = [sorted(by_node.get(n.name, ()), key=lambda g: g.index) for n in nodes]
    sizes = [{g.mem_total_bytes for g in group} for group in groups]
    device_bytes = tuple(size.pop() if len(size) == 1 else None for size in sizes)
    instance_milli = {cut.profile: cut.milli for group in groups for g in group for cut in g.slices}
    return Board(
        source=source,
        nodes=tuple(nodes),
        gpus=tuple(tuple(g.index for g in group) for group in groups),
        cluster=_cluster(nodes, groups),
        takes_shares=np.array(
            [not any(g.partitioned for g in gs) for gs in groups], dtype=np.bool_
        ),
        partitions=frozenset(
            q.name for q in snapshot.queues if q.source == source and q.kind == PARTITION
        ),
        device_bytes=device_bytes,
        instances={
            profile: np.array([_free(group, profile) for group in groups], dtype=np.int64)
            for profile in instance_milli
        },
        stock=Stock(tuple(sorted({size for size in device_bytes if size})), instance_milli),
    )


def _free(group: Sequence[Gpu], profile: str) -> int:
    """MIG instances of a profile on the devices of a node that nobody holds.

    Where it is not known who holds which, none is free.
    """
    return sum(
        cut.profile == profile and cut.run is None
        for gpu in group
        if gpu.tenants == () or (gpu.tenants and any(c.run for c in gpu.slices))
        for cut in gpu.slices
    )


def _by_node(snapshot: Snapshot, source: str) -> dict[str, list[Gpu]]:
    found: dict[str, list[Gpu]] = {}
    for gpu in snapshot.gpus:
        if gpu.source == source:
            found.setdefault(gpu.node, []).append(gpu)
    return found


def _open(node: Node, queues: Sequence[Queue]) -> bool:
    """Whether a queue that is up would start a run here."""
    up = [q for q in queues if q.state == "up"]
    return not queues or any(q.kind != PARTITION or q.name in node.queues for q in up)


def _doubt(node: Node, gpus: Sequence[Gpu]) -> str | None:
    if node.cpu_milli is None or node.cpu_milli_allocated is None:
        return "how much CPU it has left is not known"
    if node.memory_bytes is None or node.memory_bytes_allocated is None:
        return "how much memory it has left is not known"
    if node.gpu_count and not gpus:
        return f"it has {node.gpu_count} GPUs, but none of them was listed"
    named = sum(g.milli_allocated if g.milli_allocated is not None else WHOLE_MILLI for g in gpus)
    if node.gpu_milli_allocated is not None and node.gpu_milli_allocated > named:
        return (
            f"the scheduler counts {node.gpu_milli_allocated} thousandths of its GPUs as taken, "
            f"and the runs seen there hold {named}"
        )
    return None


def _cluster(nodes: Sequence[Node], groups: Sequence[Sequence[Gpu]]) -> Cluster:
    """What the nodes have left. CPU or memory given away twice counts as nothing left."""
    cluster = Cluster(
        [
            NodeSpec(
                n.name, len(g), n.gpu_model or "", n.cpu_milli or 0, (n.memory_bytes or 0) // MIB
            )
            for n, g in zip(nodes, groups, strict=True)
        ]
    )
    for row, (node, group) in enumerate(zip(nodes, groups, strict=True)):
        for position, gpu in enumerate(group):
            cluster.gpu_left[row, position] = 0 if gpu.partitioned else gpu.milli_free
        cpu = (node.cpu_milli or 0) - (node.cpu_milli_allocated or 0)
        memory = (node.memory_bytes or 0) - (node.memory_bytes_allocated or 0)
        cluster.cpu_left[row] = max(0, cpu)
        cluster.memory_left[row] = max(0, memory // MIB)
    return cluster


def endings(board: Board, snapshot: Snapshot) -> tuple[Ending, ...]:
    """What running runs give back at their time limits, each on each of its nodes.

    A run without a limit, and what is not known of a run, is never given back.
    """
    held: dict[tuple[str, int], list[tuple[int, int]]] = {}
    rows = {node.name: row for row, node in enumerate(board.nodes)}
    for gpu in snapshot.gpus:
        row = rows.get(gpu.node)
        if gpu.source != board.source or row is None or gpu.partitioned:
            continue
        position = board.gpus[row].index(gpu.index)
        for tenant in gpu.tenants or ():
            held.setdefault((tenant.run, row), []).append((position, tenant.milli))
    return tuple(
        ending
        for run in snapshot.runs
        if run.source == board.source and run.state in ENDING
        for ending in _endings_of(run, rows, held)
    )


def _endings_of(
    run: Run,
    rows: Mapping[str, int],
    held: Mapping[tuple[str, int], Sequence[tuple[int, int]]],
) -> list[Ending]:
    if run.ends_by is None or not run.placement:
        return []
    parts, found = len(run.placement), []
    for place in run.placement:
        row = rows.get(place.node)
        if row is not None:
            cpu_milli = (run.request.cpu_milli or 0) // parts
            memory_mib = (run.request.memory_bytes or 0) // (parts * MIB)
            gpus = tuple(held.get((run.id, row), ()))
            found.append(Ending(row, run.ends_by, gpus, cpu_milli, memory_mib, run.id))
    return found
