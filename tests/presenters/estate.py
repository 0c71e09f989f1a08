"""A small hand-made estate: every state and every kind of unknown that the presenters must show."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from foundry_tui.estate.gpu import Gpu, Share, Tenant
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.run import ArrayPart, Placement, Request, Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.estate.text import safe

NOW = datetime(2026, 3, 14, 9, 30, tzinfo=UTC)


def ago(**parts: float) -> datetime:
    """A time before now."""
    return NOW - timedelta(**parts)


def gpu(node: str, index: int, *tenants: Tenant, **fields: Any) -> Gpu:
    """A GPU of the cluster with these tenants."""
    base = Gpu(
        node=node,
        index=index,
        source="lab",
        model="h100",
        tenants=tenants,
        read_at=ago(seconds=3),
    )
    return replace(base, **fields)


def run(native_id: str, name: str, state: RunState, **fields: Any) -> Run:
    """A run of the cluster."""
    base = Run(
        id=f"lab/{native_id}",
        native_id=native_id,
        source="lab",
        scheduler="slurm",
        name=safe(name),
        state=state,
        user="alice",
        account="nlp",
        queue="prod",
        qos="normal",
        read_at=ago(seconds=3),
    )
    return replace(base, **fields)


LAB = Source(name="lab", kind="slurm", state=SourceState.OK, read_at=ago(seconds=3))
NVML = Source(
    name="nvml", kind="telemetry", state=SourceState.OFF, reason="no NVML library on this host"
)

NODES = (
    Node(
        name="a01",
        source="lab",
        state=NodeState.ALLOCATED,
        gpu_model="h100",
        gpu_count=8,
        gpu_milli_allocated=8000,
        gpu_util_pct=93.4,
        cpu_milli=64_000,
        cpu_milli_allocated=64_000,
        memory_bytes=1 << 40,
        memory_bytes_allocated=1 << 39,
        queues=("prod",),
        features=("nvlink",),
        read_at=ago(seconds=3),
    ),
    Node(
        name="a02",
        source="lab",
        state=NodeState.MIXED,
        gpu_model="h100",
        gpu_count=8,
        gpu_milli_allocated=4750,
        cpu_milli=64_000,
        cpu_milli_allocated=20_000,
        memory_bytes=1 << 40,
        memory_bytes_allocated=250 << 30,
        queues=("prod", "research"),
        read_at=ago(seconds=3),
    ),
    Node(
        name="a03",
        source="lab",
        state=NodeState.DRAINED,
        gpu_model="a100",
        gpu_count=4,
        gpu_milli_allocated=0,
        cpu_milli=32_000,
        cpu_milli_allocated=0,
        memory_bytes=1 << 39,
        memory_bytes_allocated=0,
        queues=("research",),
        reason=safe("GPU 2 has fallen off the bus, ticket 4711"),
        reason_since=ago(hours=3),
        read_at=ago(seconds=3),
    ),
    Node(name="login", source="lab", state=NodeState.IDLE, read_at=ago(seconds=3)),
)

GPUS = (
    *(
        gpu("a01", i, Tenant("lab/17", 1000), util_pct=97.0 - 2 * i, power_w=640.0, temp_c=61.0)
        for i in range(6)
    ),
    *(
        gpu("a01", i, Tenant("lab/23", 1000), util_pct=0.0, idle_since=ago(days=2, hours=i))
        for i in (6, 7)
    ),
    *(gpu("a02", i, Tenant("lab/18_1", 1000)) for i in range(4)),
    gpu("a02", 4, Tenant("lab/19", 750, Share.FRACTION)),
    gpu("a02", 5),
    gpu("a02", 6, util_pct=88.0),
    replace(gpu("a02", 7), tenants=None, how="in use by a run that this user may not see"),
    *(gpu("a03", i, model="a100") for i in range(4)),
)

QUEUES = (
    Queue(
        name="prod",
        source="lab",
        kind="partition",
        quota_gpu_milli=None,
        total_gpu_milli=16_000,
        allocated_gpu_milli=12_750,
        requested_gpu_milli=172_000,
        running=4,
        waiting=42,
        oldest_wait_s=32_520.0,
    ),
    Queue(
        name="research",
        source="lab",
        kind="partition",
        total_gpu_milli=12_000,
        allocated_gpu_milli=0,
        requested_gpu_milli=0,
        running=0,
        waiting=0,
    ),
)

RUNS = (
    run(
        "17",
        "train-llama",
        RunState.RUNNING,
        request=Request(gpu_count=6, gpu_milli=6000, cpu_milli=48_000, memory_bytes=1 << 38),
        placement=(Placement("a01", (0, 1, 2, 3, 4, 5)),),
        submitted_at=ago(hours=9),
        started_at=ago(hours=6, minutes=12),
        gpu_util_pct=92.0,
    ),
    run(
        "23",
        "notebook",
        RunState.RUNNING,
        user="zoe",
        request=Request(gpu_count=2, gpu_milli=2000),
        placement=(Placement("a01", (6, 7)),),
        submitted_at=ago(days=3),
        started_at=ago(days=3),
        gpu_util_pct=0.0,
    ),
    run(
        "18_1",
        "sweep",
        RunState.RUNNING,
        user="bob",
        request=Request(gpu_count=4, gpu_milli=4000),
        placement=(Placement("a02", (0, 1, 2, 3)),),
        submitted_at=ago(hours=2),
        started_at=ago(minutes=9, seconds=30),
        array=ArrayPart("18", "1", 1),
    ),
    run(
        "18_[2-41]",
        "sweep",
        RunState.PENDING,
        user="bob",
        request=Request(gpu_count=4, gpu_milli=4000),
        reason=safe("Resources"),
        priority=4021,
        submitted_at=ago(hours=2),
        array=ArrayPart("18", "2-41", 40),
    ),
    run(
        "19",
        "serve-ünïcode",
        RunState.RUNNING,
        user="eve",
        request=Request(gpu_count=1, gpu_milli=750),
        placement=(Placement("a02", (4,)),),
        submitted_at=ago(minutes=50),
        started_at=ago(minutes=50),
    ),
    run(
        "21",
        "pretrain\x1b[2J]0;owned\x07",
        RunState.PENDING,
        user="carol",
        request=Request(gpu_count=8, gpu_milli=8000, nodes=1, time_limit_s=86_400),
        reason=safe("Priority"),
        priority=900,
        submitted_at=ago(hours=9, minutes=2),
    ),
    run(
        "22",
        "日本語の名前がとても長い実験",
        RunState.PENDING,
        user="dan",
        held=True,
        request=Request(gpu_count=2, gpu_milli=None),
        reason=safe("JobHeldUser"),
        priority=0,
        submitted_at=ago(minutes=4),
    ),
    run(
        "11",
        "eval",
        RunState.FAILED,
        request=Request(gpu_count=1, gpu_milli=1000),
        reason=safe("NonZeroExitCode"),
        exit_code=1,
        submitted_at=ago(hours=1),
        started_at=ago(minutes=55),
        ended_at=ago(minutes=54, seconds=15),
    ),
)

SNAPSHOT = Snapshot(
    generated_at=NOW, sources=(LAB, NVML), nodes=NODES, gpus=GPUS, queues=QUEUES, runs=RUNS
)
