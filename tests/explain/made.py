"""A small estate made by hand: two h100 nodes of 8 GPUs, one a100 node of 4, one without GPUs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from foundry_tui.estate.gpu import Gpu, Tenant
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.rights import Association, Limit, Rights
from foundry_tui.estate.run import Placement, Request, Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import safe
from foundry_tui.explain.diagnosis import diagnose
from foundry_tui.explain.verdict import Diagnosis

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
GIB = 1 << 30

_MODELS = {"h1": ("h100", 8), "h2": ("h100", 8), "a1": ("a100", 4), "c1": (None, 0)}
_QUEUES = {"gpu": ("h1", "h2", "a1"), "h100": ("h1", "h2"), "a100": ("a1",), "cpu": ("c1",)}


def later(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def asks(gpus: int = 0, *, minutes: int | None = 60, **fields: Any) -> Request:
    """A request of whole GPUs and one CPU."""
    limit = None if minutes is None else 60 * minutes
    values: dict[str, Any] = {"gpu_count": gpus, "gpu_milli": 1000 * gpus, "cpu_milli": 1000}
    return Request(**{**values, "memory_bytes": GIB, "time_limit_s": limit, **fields})


def waiting(native_id: str = "17", reason: str | None = "Resources", **fields: Any) -> Run:
    """A run of alice that has waited for ten minutes in queue h100."""
    values: dict[str, Any] = {
        "user": "alice",
        "account": "ml",
        "queue": "h100",
        "qos": "normal",
        "priority": 1000,
        "request": asks(1),
        "submitted_at": later(-10),
        "eligible_at": later(-10),
    }
    return Run(
        id=f"lab/{native_id}",
        native_id=native_id,
        source="lab",
        scheduler="slurm",
        name=safe("train"),
        state=RunState.PENDING,
        reason=safe(reason) if reason else None,
        **{**values, **fields},
    )


def running(native_id: str, where: dict[str, int], ends_in: float = 30, **fields: Any) -> Run:
    """A run of bob that holds this many GPUs per node, the first ones, until its time limit."""
    gpus = sum(where.values())
    values: dict[str, Any] = {"user": "bob", "account": "ml", "queue": "h100", "qos": "normal"}
    return Run(
        id=f"lab/{native_id}",
        native_id=native_id,
        source="lab",
        scheduler="slurm",
        name=safe("long"),
        state=RunState.RUNNING,
        started_at=later(-30),
        ends_by=later(ends_in),
        placement=tuple(Placement(n, tuple(range(k))) for n, k in where.items()),
        **{"request": asks(gpus, nodes=len(where)), **values, **fields},
    )


def estate(
    *runs: Run,
    queues: dict[str, dict[str, Any]] | None = None,
    nodes: dict[str, dict[str, Any]] | None = None,
) -> Snapshot:
    """The estate with these runs; `queues` and `nodes` change fields of those named."""
    held: dict[str, dict[int, list[Tenant]]] = {}
    cpu: dict[str, int] = {}
    for run in runs:
        for part in run.placement:
            cpu[part.node] = cpu.get(part.node, 0) + (run.request.cpu_milli or 0)
            for index in part.gpus or ():
                held.setdefault(part.node, {}).setdefault(index, []).append(Tenant(run.id, 1000))
    made = []
    for name, (model, count) in _MODELS.items():
        used = sum(t.milli for ts in held.get(name, {}).values() for t in ts)
        values: dict[str, Any] = {
            "state": NodeState.MIXED if used else NodeState.IDLE,
            "gpu_model": model,
            "gpu_count": count,
            "gpu_milli_allocated": used,
            "cpu_milli": 32_000,
            "cpu_milli_allocated": cpu.get(name, 0),
            "memory_bytes": 256 * GIB,
            "memory_bytes_allocated": 0,
            "features": ("ib",) if model == "h100" else (),
            "queues": tuple(q for q, members in _QUEUES.items() if name in members),
        }
        made.append(Node(name=name, source="lab", **{**values, **(nodes or {}).get(name, {})}))
    return Snapshot(
        generated_at=NOW,
        nodes=tuple(made),
        gpus=tuple(
            Gpu(
                node=n.name,
                index=i,
                source="lab",
                model=n.gpu_model,
                tenants=tuple(held.get(n.name, {}).get(i, ())),
            )
            for n in made
            for i in range(n.gpu_count)
        ),
        queues=tuple(
            Queue(
                name=name,
                source="lab",
                **{"kind": "partition", "time_limit_s": 7 * 86_400, **(queues or {}).get(name, {})},
            )
            for name in _QUEUES
        ),
        runs=runs,
    )


def rights(*limits: Limit, user: str = "alice", accounts: tuple[str, ...] = ("ml",)) -> Rights:
    """The rights of a user with QOS normal, low and high in these accounts."""
    return Rights(
        user=user,
        admin=False,
        limits=limits,
        associations=tuple(
            Association(account=a, qos=("high", "low", "normal"), default_qos="normal")
            for a in accounts
        ),
    )


def diagnosed(run: Run, *others: Run, **fields: Any) -> Diagnosis:
    """The diagnosis of `run` beside others; `details` and `rights` as given, the rest of estate."""
    details = fields.pop("details", {})
    allowed = fields.pop("rights", None)
    snapshot = estate(run, *others, **fields)
    return diagnose(run, snapshot, details=details, rights=allowed, now=NOW)


def steps(found: Diagnosis) -> list[tuple[tuple[str, str], ...] | str]:
    """The candidates: their changes, or their deed where they change nothing."""
    return [c.changes or c.act.value for c in found.candidates]
