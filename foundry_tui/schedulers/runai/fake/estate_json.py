"""Nodes, node pools, projects, departments, clusters and priorities in the shapes of the API."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from foundry_tui.schedulers.runai.fake.cluster import (
    CLUSTER_ID,
    CLUSTER_NAME,
    TENANT_ID,
    Cluster,
    Node,
    stable_uuid,
)
from foundry_tui.schedulers.runai.fake.requests import Rejected
from foundry_tui.schedulers.runai.fake.work import PRIORITIES
from foundry_tui.schedulers.runai.fake.workload_json import Json, iso

BORN = timedelta(days=30)
"""How long before its start the fake's estate is said to have been made."""


def node_json(node: Node, started_at: datetime) -> Json:
    """One node."""
    ready = node.status == "Ready"
    return {
        "id": node.id,
        "name": node.name,
        "clusterUuid": CLUSTER_ID,
        "status": node.status,
        "conditions": [] if ready else [{"type": "Ready", "reason": "KubeletNotReady"}],
        "taints": [],
        "nodePool": node.pool,
        "gpuInfo": {"gpuType": node.gpu_type, "gpuCount": node.gpu_count},
        "nvLinkDomainUid": None,
        "nvLinkCliqueId": None,
        "createdAt": iso(started_at - BORN),
        "updatedAt": iso(started_at),
    }


def pool_id(name: str) -> str:
    """The id of a node pool: a number in the shape of a string."""
    return str(zlib.crc32(name.encode()) % 100_000)


def pool_json(name: str, cluster: Cluster, started_at: datetime) -> Json:
    """One node pool."""
    nodes = [node.name for node in cluster.nodes if node.pool == name]
    return {
        "id": pool_id(name),
        "name": name,
        "tenantId": TENANT_ID,
        "clusterId": CLUSTER_ID,
        "clusterName": CLUSTER_NAME,
        "labelKey": "run.ai/node-pool",
        "labelValue": name,
        "placementStrategy": {"cpu": "binpack", "gpu": "binpack"},
        "overProvisioningRatio": 1,
        "phase": "Ready" if nodes else "Empty",
        "phaseMessage": "",
        "status": {"conditions": [], "nodes": nodes},
        "isDefault": name == cluster.pools[0],
        "createdBy": "admin",
        "createdAt": iso(started_at - BORN),
        "updatedBy": "admin",
        "updatedAt": iso(started_at - BORN),
        "deletedAt": None,
    }


def cluster_json(started_at: datetime, now: datetime) -> Json:
    """The one cluster of the tenant."""
    return {
        "uuid": CLUSTER_ID,
        "tenantId": TENANT_ID,
        "name": CLUSTER_NAME,
        "createdAt": iso(started_at - BORN),
        "updatedAt": iso(now),
        "deletedAt": None,
        "domain": "https://gpu-cluster.example.org",
        "version": "2.24.1",
        "status": {
            "conditions": [],
            "operands": {},
            "platform": {"type": "vanilla", "kubeVersion": "1.34"},
            "dependencies": {"required": {}, "optional": {}},
            "state": "Connected",
        },
        "lastLiveness": iso(now),
        "deleteRequestedAt": None,
    }


def priorities_json(started_at: datetime) -> list[Json]:
    """The dictionary of priority classes."""
    return [
        {
            "id": stable_uuid("priority", name),
            "source": "Run:ai",
            "name": name,
            "value": value,
            "createdAt": iso(started_at - BORN),
            "updatedAt": iso(started_at - BORN),
        }
        for name, value in PRIORITIES.items()
    ]


def telemetry(
    kind: str, groups: tuple[str, ...], nodes: Iterable[Node], now: datetime
) -> dict[str, Any]:
    """One number of all nodes, or of each group of them. Raises `Rejected`."""
    if kind not in TELEMETRY:
        raise Rejected(400, f"telemetryType {kind} is not known")
    keys: Mapping[str, Callable[[Node], str]] = {
        "ClusterId": lambda n: CLUSTER_ID,
        "Nodepool": lambda n: n.pool,
        "Node": lambda n: n.name,
    }
    if unknown := [group for group in groups if group not in keys]:
        raise Rejected(400, f"groupBy {unknown[0]} is not known")
    sums: dict[tuple[str, ...], float] = {}
    for node in nodes:
        key = tuple(keys[group](node) for group in groups)
        sums[key] = sums.get(key, 0) + TELEMETRY[kind](node)
    values = [
        {
            "value": f"{value:g}" if value < 1e6 else str(int(value)),
            "groups": [{"key": g, "value": k, "name": k} for g, k in zip(groups, key, strict=True)],
        }
        for key, value in sums.items()
    ]
    return {"type": kind, "timestamp": iso(now), "values": values}


def _ready(node: Node) -> int:
    return int(node.status == "Ready")


def _free_milli(node: Node) -> int:
    return sum(node.free_gpu_milli)


TELEMETRY: Mapping[str, Callable[[Node], float]] = {
    "READY_GPU_NODES": lambda n: _ready(n),
    "READY_GPUS": lambda n: n.gpu_count * _ready(n),
    "TOTAL_GPU_NODES": lambda n: 1,
    "TOTAL_GPUS": lambda n: n.gpu_count,
    "FREE_GPUS": lambda n: _free_milli(n) / 1000,
    "ALLOCATED_GPUS": lambda n: n.gpu_count - _free_milli(n) / 1000,
    "FULLY_FREE_GPU_NODES": lambda n: int(_free_milli(n) == 1000 * n.gpu_count),
    "TOTAL_CPU_CORES": lambda n: n.cpu_milli / 1000,
    "ALLOCATED_CPU_CORES": lambda n: (n.cpu_milli - n.free_cpu_milli) / 1000,
    "TOTAL_GPU_MEMORY_BYTES": lambda n: n.gpu_memory_bytes * n.gpu_count,
    "TOTAL_CPU_MEMORY_BYTES": lambda n: n.memory_bytes,
    "ALLOCATED_CPU_MEMORY_BYTES": lambda n: n.memory_bytes - n.free_memory_bytes,
}
