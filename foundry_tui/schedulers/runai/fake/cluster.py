"""The fake's cluster: nodes with their GPUs, node pools, projects and departments with quota.

GPUs are counted in thousandths (milli) inside; the API tells them as numbers of GPUs.
"""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass, field

WHOLE_MILLI = 1000
GIB = 1 << 30

_NAMES = uuid.UUID("7d3c1c8e-0f5b-5b7e-9a53-6f1d0c3a2b10")


def stable_uuid(*parts: object) -> str:
    """The same uuid for the same words, in every run of the fake."""
    return str(uuid.uuid5(_NAMES, "/".join(str(part) for part in parts)))


CLUSTER_ID = stable_uuid("cluster")
CLUSTER_NAME = "gpu-cluster"
TENANT_ID = 1001


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one pod asks for. A portion is milli of one device, `gpu_memory_bytes` per device."""

    devices: int = 0
    milli: int = WHOLE_MILLI
    gpu_memory_bytes: int | None = None
    cpu_milli: int = 0
    memory_bytes: int = 0

    def milli_on(self, node: Node) -> int:
        """Thousandths of each device on this node; memory requests depend on its GPUs."""
        if self.gpu_memory_bytes is None:
            return self.milli
        return math.ceil(WHOLE_MILLI * self.gpu_memory_bytes / node.gpu_memory_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """Where one pod sits: indices of the node's GPUs, and thousandths of each of them."""

    node: str
    gpus: tuple[int, ...]
    milli: int
    cpu_milli: int
    memory_bytes: int

    @property
    def gpu_milli(self) -> int:
        """Thousandths of a GPU over all devices."""
        return len(self.gpus) * self.milli


@dataclass(slots=True, kw_only=True)
class Node:
    """One node, with what is free on it."""

    name: str
    pool: str
    gpu_type: str
    gpu_count: int
    gpu_memory_bytes: int
    cpu_milli: int
    memory_bytes: int
    status: str = "Ready"
    free_gpu_milli: list[int] = field(default_factory=list)
    free_cpu_milli: int = 0
    free_memory_bytes: int = 0

    def __post_init__(self) -> None:
        self.free_gpu_milli = [WHOLE_MILLI] * self.gpu_count
        self.free_cpu_milli, self.free_memory_bytes = self.cpu_milli, self.memory_bytes

    @property
    def id(self) -> str:
        """Its uuid in the API."""
        return stable_uuid("node", self.name)

    def take(self, seat: Seat, sign: int = 1) -> None:
        """Book a pod's seat; with `sign` -1 give it back."""
        for gpu in seat.gpus:
            self.free_gpu_milli[gpu] -= sign * seat.milli
        self.free_cpu_milli -= sign * seat.cpu_milli
        self.free_memory_bytes -= sign * seat.memory_bytes


@dataclass(slots=True, kw_only=True)
class Quota:
    """What an org unit gets in one node pool. `limit_milli` None: no limit."""

    deserved_milli: int
    limit_milli: int | None = None
    over_quota_weight: float = 1.0


@dataclass(slots=True, kw_only=True)
class Department:
    """Projects under one roof, with quotas of their own per node pool."""

    name: str
    quotas: dict[str, Quota]

    @property
    def id(self) -> str:
        """Its uuid in the API."""
        return stable_uuid("department", self.name)


@dataclass(slots=True, kw_only=True)
class Project:
    """A project. Its id is a number in the shape of a string, as the control plane gives them."""

    id: str
    name: str
    namespace: str
    department: str
    quotas: dict[str, Quota]
    denied: bool = False


@dataclass(slots=True, kw_only=True)
class Cluster:
    """All of it."""

    nodes: list[Node]
    pools: list[str]
    departments: list[Department]
    projects: list[Project]

    def node(self, name: str) -> Node:
        """The node of this name."""
        return next(node for node in self.nodes if node.name == name)

    def department(self, name: str) -> Department:
        """The department of this name."""
        return next(d for d in self.departments if d.name == name)

    def project(self, key: str) -> Project | None:
        """The project of this id or name."""
        return next((p for p in self.projects if key in (p.id, p.name)), None)


def small_cluster() -> Cluster:
    """4 nodes of 8 A100 and 2 of 4 H100; 3 projects in 2 departments."""
    nodes = [_node(f"a100-{n:02}", "a100", "NVIDIA-A100-SXM4-80GB", 8) for n in range(1, 5)]
    nodes += [_node(f"h100-{n:02}", "h100", "NVIDIA-H100-80GB-HBM3", 4) for n in range(1, 3)]
    return Cluster(
        nodes=nodes,
        pools=["a100", "h100"],
        departments=[
            Department(name="research", quotas=_quotas((18, 32, 2), (3, None, 2))),
            Department(name="product", quotas=_quotas((12, None, 1), (4, None, 1))),
        ],
        projects=[
            _project(33, "vision", "research", _quotas((12, 16, 2), (2, None, 2))),
            _project(34, "nlp", "product", _quotas((12, None, 1), (4, None, 1))),
            _project(35, "größe-日本", "research", _quotas((4, 4, 1), (0, 2, 0)), "runai-groesse"),
        ],
    )


def _node(name: str, pool: str, gpu_type: str, gpus: int) -> Node:
    return Node(
        name=name,
        pool=pool,
        gpu_type=gpu_type,
        gpu_count=gpus,
        gpu_memory_bytes=80 * GIB,
        cpu_milli=16_000 * gpus,
        memory_bytes=128 * GIB * gpus,
    )


def _project(
    number: int, name: str, department: str, quotas: dict[str, Quota], namespace: str = ""
) -> Project:
    return Project(
        id=f"45000{number}",
        name=name,
        namespace=namespace or f"runai-{name}",
        department=department,
        quotas=quotas,
    )


def _quotas(
    a100: tuple[int, int | None, float], h100: tuple[int, int | None, float]
) -> dict[str, Quota]:
    """Quotas from GPUs deserved, limit and weight over quota of each pool."""
    return {
        pool: Quota(
            deserved_milli=WHOLE_MILLI * deserved,
            limit_milli=None if limit is None else WHOLE_MILLI * limit,
            over_quota_weight=weight,
        )
        for pool, (deserved, limit, weight) in (("a100", a100), ("h100", h100))
    }
