"""A small cluster made by hand: two nodes of 4 GPUs, queues research > team-a and team-b of 4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from foundry_tui.estate.gpu import Gpu, Share, Tenant
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.rights import Association, Rights
from foundry_tui.estate.run import Placement, Request, Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import safe
from foundry_tui.explain.diagnosis import diagnose
from foundry_tui.explain.verdict import Diagnosis

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
GIB = 1 << 30
SOURCE = "kai"

NATIVE = {
    "kind": "Pod",
    "scheduler_name": "kai-scheduler",
    "queue_label": "team-a",
    "pods_wanted": "1",
    "preemptible": "true",
}


def node(
    name: str, used: Sequence[int] = (0, 0, 0, 0), *, memory_gib: int | None = 80, **fields: Any
) -> tuple[Node, tuple[Gpu, ...]]:
    """A node and its GPUs, each with a tenant of so many thousandths."""
    values: dict[str, Any] = {
        "state": NodeState.MIXED,
        "gpu_model": "A100",
        "cpu_milli": 64_000,
        "cpu_milli_allocated": 0,
        "memory_bytes": 512 * GIB,
        "memory_bytes_allocated": 0,
        "gpu_milli_allocated": sum(used),
    }
    made = Node(name=name, source=SOURCE, gpu_count=len(used), **{**values, **fields})
    gpus = tuple(
        Gpu(
            node=name,
            index=i,
            source=SOURCE,
            model=made.gpu_model,
            mem_total_bytes=None if memory_gib is None else memory_gib * GIB,
            tenants=(Tenant(f"{SOURCE}/x{name}{i}", milli, Share.FRACTION),) if milli else (),
        )
        for i, milli in enumerate(used)
    )
    return made, gpus


def queue(name: str, **fields: Any) -> Queue:
    """A queue that holds nothing, asks for nothing and deserves 4 GPUs."""
    values: dict[str, Any] = {
        "quota_gpu_milli": 4000,
        "fair_share_gpu_milli": 4000,
        "allocated_gpu_milli": 0,
        "requested_gpu_milli": 0,
        "allocated_non_preemptible_gpu_milli": 0,
    }
    return Queue(name=name, source=SOURCE, kind="queue", **{**values, **fields})


def queues(**fields: Mapping[str, Any]) -> tuple[Queue, ...]:
    """The tree, with fields changed: `team_a={"limit_gpu_milli": 2000}`."""
    root = {"quota_gpu_milli": 8000, "fair_share_gpu_milli": 8000, **fields.get("research", {})}
    return (
        queue("research", **root),
        queue("team-a", parent="research", **fields.get("team_a", {})),
        queue("team-b", parent="research", **fields.get("team_b", {})),
    )


def workload(
    devices: int = 1,
    *,
    pods: int = 1,
    milli: int | None = 1000,
    native: Mapping[str, str | None] | None = None,
    asks: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Run:
    """A waiting workload of alice in team-a: `pods` pods of `devices` GPUs with `milli` of each."""
    words = {**NATIVE, "pods_wanted": str(pods), **(native or {})}
    request = {
        "gpu_count": pods * devices,
        "gpu_milli": None if milli is None else pods * devices * milli,
        **(asks or {}),
    }
    values: dict[str, Any] = {"user": "alice", "queue": "team-a", "scheduler": "kai"}
    return Run(
        id=f"{SOURCE}/u1",
        native_id="u1",
        source=SOURCE,
        name=safe("train"),
        state=RunState.PENDING,
        request=Request(**request),
        native={k: safe(v) for k, v in words.items() if v is not None},
        **{**values, **fields},
    )


def running(queue_name: str, devices: int, where: str = "gpu00") -> Run:
    """A run of bob that holds whole GPUs."""
    return Run(
        id=f"{SOURCE}/r-{queue_name}",
        native_id=f"r-{queue_name}",
        source=SOURCE,
        scheduler="kai",
        name=safe("long"),
        state=RunState.RUNNING,
        user="bob",
        queue=queue_name,
        request=Request(gpu_count=devices, gpu_milli=1000 * devices),
        placement=(Placement(where, tuple(range(devices))),),
    )


def snapshot(
    *nodes: tuple[Node, tuple[Gpu, ...]],
    tree: Sequence[Queue] | None = None,
    runs: Sequence[Run] = (),
) -> Snapshot:
    """The cluster; without nodes, two empty ones of 4 GPUs."""
    made = nodes or (node("gpu00"), node("gpu01"))
    return Snapshot(
        generated_at=NOW,
        nodes=tuple(n for n, _ in made),
        gpus=tuple(g for _, gpus in made for g in gpus),
        queues=tuple(queues() if tree is None else tree),
        runs=tuple(runs),
    )


def why(run: Run, seen: Snapshot, *, may_use: Sequence[str] = ()) -> Diagnosis:
    """The diagnosis; `may_use` are queues that the run's owner may submit to."""
    rights = Rights(
        user="alice",
        admin=False,
        associations=tuple(Association(account=name) for name in may_use),
    )
    return diagnose(run, seen, details={}, rights=rights, now=NOW)
