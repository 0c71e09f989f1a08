"""Array state of a cluster: what every node and every GPU has left.

GPU share is in thousandths of a device (milli), CPU in thousandths of a core, memory in MiB. Rows
are nodes in a fixed order, which is also the order that breaks ties.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WHOLE_MILLI = 1000
"""Thousandths in one GPU."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """A node as it was bought: name, GPUs and their model, cores in thousandths, memory in MiB."""

    name: str
    gpus: int
    model: str
    cpu_milli: int
    memory_mib: int


@dataclass(frozen=True, slots=True)
class Request:
    """What a run needs on each of its nodes.

    `gpu_milli` is asked of each of the `gpus` devices; 1000 is the whole device. `models` lists
    the GPU models that will do; empty for any.

    Raises:
        ValueError: a negative amount, or a share that is not within 1..1000.
    """

    gpus: int = 0
    gpu_milli: int = WHOLE_MILLI
    cpu_milli: int = 0
    memory_mib: int = 0
    models: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field in ("gpus", "cpu_milli", "memory_mib"):
            if getattr(self, field) < 0:
                raise ValueError(f"{field}: cannot be below 0, got {getattr(self, field)}")
        if not 1 <= self.gpu_milli <= WHOLE_MILLI:
            raise ValueError(f"gpu_milli: a share is 1..1000 thousandths, got {self.gpu_milli}")

    @property
    def total_milli(self) -> int:
        """Thousandths of GPU over all devices."""
        return self.gpus * self.gpu_milli


@dataclass(frozen=True, slots=True)
class Allotment:
    """A request that was placed: row of the node and indices of the GPUs. Needed to release it."""

    node: int
    gpus: tuple[int, ...]
    request: Request


class Cluster:
    """What is left on every node.

    `gpu_left` is (nodes, most GPUs of a node), 0 where a node has no such device; `cpu_left`,
    `memory_left`, `model` (index into `models`), `gpu_count` and `usable` are (nodes,). `changes`
    counts the changes of each node, so that a caller can tell which rows it has to look at again.

    Raises:
        ValueError: no nodes, two nodes of one name, or a negative amount.
    """

    __slots__ = (
        "_accepting",
        "changes",
        "cpu_left",
        "gpu_count",
        "gpu_left",
        "memory_left",
        "model",
        "models",
        "nodes",
        "usable",
    )

    def __init__(self, nodes: Sequence[NodeSpec]) -> None:
        if not nodes:
            raise ValueError("nodes: a cluster needs at least one")
        if len({n.name for n in nodes}) != len(nodes):
            raise ValueError("nodes: two of them have one name")
        for node in nodes:
            for field in ("gpus", "cpu_milli", "memory_mib"):
                if getattr(node, field) < 0:
                    raise ValueError(f"{field}: node {node.name} has {getattr(node, field)}")
        self.nodes = tuple(nodes)
        self.models = tuple(sorted({n.model for n in nodes}))
        self.model = np.array([self.models.index(n.model) for n in nodes], dtype=np.intp)
        self.gpu_count = np.array([n.gpus for n in nodes], dtype=np.int32)
        width = max(1, max(n.gpus for n in nodes))
        present = np.arange(width) < self.gpu_count[:, None]
        self.gpu_left = np.where(present, WHOLE_MILLI, 0).astype(np.int32)
        self.cpu_left = np.array([n.cpu_milli for n in nodes], dtype=np.int64)
        self.memory_left = np.array([n.memory_mib for n in nodes], dtype=np.int64)
        self.usable = np.ones(len(nodes), dtype=np.bool_)
        self.changes = np.zeros(len(nodes), dtype=np.int64)
        self._accepting: dict[tuple[str, ...], Mask] = {}

    def copy(self) -> Cluster:
        """The same state, changed independently from here on."""
        twin = object.__new__(Cluster)
        for name in ("nodes", "models", "model", "gpu_count", "_accepting"):
            setattr(twin, name, getattr(self, name))
        for name in ("gpu_left", "cpu_left", "memory_left", "usable", "changes"):
            setattr(twin, name, getattr(self, name).copy())
        return twin

    def accepting(self, models: tuple[str, ...]) -> Mask:
        """Nodes whose GPU model is one of `models`; every node for an empty tuple."""
        mask = self._accepting.get(models)
        if mask is None:
            wanted = [not models or m in models for m in self.models]
            mask = np.array(wanted, dtype=np.bool_)[self.model]
            self._accepting[models] = mask
        return mask

    def feasible(self, request: Request) -> Mask:
        """Nodes on which the request fits now: usable, right model, CPU, memory and GPUs left."""
        fit = self.usable & (self.cpu_left >= request.cpu_milli)
        fit &= self.memory_left >= request.memory_mib
        if request.gpus:
            fitting = (self.gpu_left >= request.gpu_milli).sum(axis=1)
            fit &= fitting >= request.gpus
            if request.models:
                fit &= self.accepting(request.models)
        return fit

    def fits(self, node: int, request: Request) -> bool:
        """Whether the request fits on one node now; the same rule as `feasible`."""
        if not self.usable[node] or self.cpu_left[node] < request.cpu_milli:
            return False
        if self.memory_left[node] < request.memory_mib:
            return False
        if not request.gpus:
            return True
        if request.models and self.models[self.model[node]] not in request.models:
            return False
        return int((self.gpu_left[node] >= request.gpu_milli).sum()) >= request.gpus

    def place(self, node: int, gpus: Sequence[int], request: Request) -> Allotment:
        """Take the request's share of these GPUs, its CPU and its memory.

        Raises:
            ValueError: it does not fit; names the field. Nothing was taken then.
        """
        chosen = tuple(gpus)
        self._check(node, chosen, request)
        self.gpu_left[node, list(chosen)] -= request.gpu_milli
        self.cpu_left[node] -= request.cpu_milli
        self.memory_left[node] -= request.memory_mib
        self.changes[node] += 1
        return Allotment(node, chosen, request)

    def release(self, allotment: Allotment) -> None:
        """Give back what `place` took; every number is then as it was before.

        Raises:
            ValueError: more would be given back than the node has; names the field.
        """
        node, gpus, request = allotment.node, list(allotment.gpus), allotment.request
        spec = self.nodes[node]
        if gpus and int(self.gpu_left[node, gpus].max()) + request.gpu_milli > WHOLE_MILLI:
            raise ValueError(f"gpus: {spec.name} would have more than a whole GPU left")
        if int(self.cpu_left[node]) + request.cpu_milli > spec.cpu_milli:
            raise ValueError(f"cpu_milli: {spec.name} would have more left than it has")
        if int(self.memory_left[node]) + request.memory_mib > spec.memory_mib:
            raise ValueError(f"memory_mib: {spec.name} would have more left than it has")
        self.gpu_left[node, gpus] += request.gpu_milli
        self.cpu_left[node] += request.cpu_milli
        self.memory_left[node] += request.memory_mib
        self.changes[node] += 1

    def set_usable(self, node: int, usable: bool) -> None:
        """Open or close a node for new placements; what runs there stays."""
        self.usable[node] = usable
        self.changes[node] += 1

    def _check(self, node: int, gpus: tuple[int, ...], request: Request) -> None:
        if not 0 <= node < len(self.nodes):
            raise ValueError(f"node: there is no row {node} among {len(self.nodes)} nodes")
        spec = self.nodes[node]
        if not self.usable[node]:
            raise ValueError(f"node: {spec.name} takes no new runs")
        if len(gpus) != request.gpus or len(set(gpus)) != len(gpus):
            raise ValueError(f"gpus: {request.gpus} different ones are asked for, got {gpus}")
        if any(not 0 <= g < spec.gpus for g in gpus):
            raise ValueError(f"gpus: {spec.name} has {spec.gpus}, got {gpus}")
        if gpus and request.models and spec.model not in request.models:
            raise ValueError(f"models: {spec.name} has {spec.model}, not {request.models}")
        short = [g for g in gpus if self.gpu_left[node, g] < request.gpu_milli]
        if short:
            raise ValueError(
                f"gpu_milli: GPU {short[0]} of {spec.name} has "
                f"{self.gpu_left[node, short[0]]} left, {request.gpu_milli} are asked for"
            )
        if self.cpu_left[node] < request.cpu_milli:
            raise ValueError(f"cpu_milli: {spec.name} has {self.cpu_left[node]} left")
        if self.memory_left[node] < request.memory_mib:
            raise ValueError(f"memory_mib: {spec.name} has {self.memory_left[node]} left")
