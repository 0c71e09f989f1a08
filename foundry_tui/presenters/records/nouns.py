"""Sources, nodes, GPUs, queues and runs as JSON objects."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from foundry_tui.estate.gpu import Gpu
from foundry_tui.estate.node import Node
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.run import Placement, Run
from foundry_tui.estate.source import Source
from foundry_tui.estate.waste import gpu_hours_idle

Record = dict[str, Any]
"""One JSON object."""


def source_record(source: Source, now: datetime) -> Record:
    """A source."""
    return {
        "name": source.name,
        "kind": source.kind,
        "state": source.state,
        "age_s": _age_s(source.read_at, now),
        "reason": source.reason,
    }


def node_record(node: Node, now: datetime) -> Record:
    """A node."""
    return {
        "name": node.name,
        "source": node.source,
        "state": node.state,
        "gpu_model": node.gpu_model,
        "gpu_count": node.gpu_count,
        "gpu_milli_allocated": node.gpu_milli_allocated,
        "gpu_util_pct": _tenth(node.gpu_util_pct),
        "cpu_milli": node.cpu_milli,
        "cpu_milli_allocated": node.cpu_milli_allocated,
        "memory_bytes": node.memory_bytes,
        "memory_bytes_allocated": node.memory_bytes_allocated,
        "reason": node.reason,
        "age_s": _age_s(node.read_at, now),
        "queues": list(node.queues),
        "features": list(node.features),
        "reason_since": node.reason_since,
        "gpu_measured_count": node.gpu_measured_count,
    }


def gpu_record(gpu: Gpu, now: datetime) -> Record:
    """A GPU. `runs` is null when the scheduler did not say who holds the device.

    `idle_since` is told from its first idle minute on, whatever the screens call idle.
    """
    return {
        "node": gpu.node,
        "index": gpu.index,
        "uuid": gpu.uuid,
        "model": gpu.model,
        "source": gpu.source,
        "util_pct": _tenth(gpu.util_pct),
        "mem_used_bytes": gpu.mem_used_bytes,
        "mem_total_bytes": gpu.mem_total_bytes,
        "power_w": _tenth(gpu.power_w),
        "temp_c": _tenth(gpu.temp_c),
        "milli_allocated": gpu.milli_allocated,
        "runs": None if gpu.tenants is None else list(gpu.runs),
        "idle_since": gpu.idle_since,
        "how": gpu.how,
        "age_s": _age_s(gpu.read_at, now),
        "minor": gpu.minor,
        "slices": [
            {
                "uuid": s.uuid,
                "profile": s.profile,
                "milli": s.milli,
                "run": s.run,
                "gi": s.gi,
                "util_pct": _tenth(s.util_pct),
                "mem_used_bytes": s.mem_used_bytes,
                "mem_total_bytes": s.mem_total_bytes,
            }
            for s in gpu.slices
        ],
        "measured_by": gpu.measured_by,
        "guessed": gpu.guessed,
        "util_max_pct": _tenth(gpu.util_max_pct),
        "sm_active_pct": _tenth(gpu.sm_active_pct),
        "tensor_active_pct": _tenth(gpu.tensor_active_pct),
        "dram_active_pct": _tenth(gpu.dram_active_pct),
        "sm_clock_mhz": gpu.sm_clock_mhz,
        "energy_mj": gpu.energy_mj,
        "gpu_hours_idle": _hundredth(gpu_hours_idle(gpu, now)),
        "faults": [{"kind": f.kind, "words": f.words, "grave": f.grave} for f in gpu.faults],
    }


def queue_record(queue: Queue) -> Record:
    """A queue."""
    return {
        "name": queue.name,
        "source": queue.source,
        "kind": queue.kind,
        "parent": queue.parent,
        "quota_gpu_milli": queue.quota_gpu_milli,
        "limit_gpu_milli": queue.limit_gpu_milli,
        "fair_share_gpu_milli": queue.fair_share_gpu_milli,
        "allocated_gpu_milli": queue.allocated_gpu_milli,
        "requested_gpu_milli": queue.requested_gpu_milli,
        "running": queue.running,
        "waiting": queue.waiting,
        "oldest_wait_s": _tenth(queue.oldest_wait_s),
        "state": queue.state,
        "total_gpu_milli": queue.total_gpu_milli,
        "time_limit_s": queue.time_limit_s,
        "max_nodes": queue.max_nodes,
        "default": queue.default,
    }


def run_record(run: Run) -> Record:
    """A run. Written out by hand, because ten thousand of them are printed at a time."""
    request, array = run.request, run.array
    return {
        "id": run.id,
        "native_id": run.native_id,
        "source": run.source,
        "scheduler": run.scheduler,
        "name": run.name,
        "user": run.user,
        "account": run.account,
        "queue": run.queue,
        "state": run.state,
        "reason": run.reason,
        "priority": run.priority,
        "request": {
            "gpu_count": request.gpu_count,
            "gpu_milli": request.gpu_milli,
            "gpu_model": request.gpu_model,
            "nodes": request.nodes,
            "cpu_milli": request.cpu_milli,
            "memory_bytes": request.memory_bytes,
            "time_limit_s": request.time_limit_s,
            "gpu_memory_bytes": request.gpu_memory_bytes,
            "mig_profile": request.mig_profile,
        },
        "placement": placement(run.placement),
        "submitted_at": run.submitted_at,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "estimated_start_at": run.estimated_start_at,
        "exit_code": run.exit_code,
        "gpu_util_pct": _tenth(run.gpu_util_pct),
        "mlflow_run_id": run.mlflow_run_id,
        "submit_token": run.submit_token,
        "array": array and {"job_id": array.job_id, "tasks": array.tasks, "count": array.count},
        "qos": run.qos,
        "held": run.held,
        "eligible_at": run.eligible_at,
        "ends_by": run.ends_by,
        "native": run.native or {},
        "gpu_util_how": run.gpu_util_how,
    }


def placement(parts: Iterable[Placement]) -> list[Record]:
    """Where a run is: its nodes with the GPU indices there, null where they are unknown."""
    return [{"node": p.node, "gpus": p.gpus} for p in parts]


def _tenth(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _hundredth(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _age_s(read_at: datetime | None, now: datetime) -> float | None:
    return None if read_at is None else max(0.0, round((now - read_at).total_seconds(), 1))
