"""What the filter language sees of each noun: its field names with their values."""

from __future__ import annotations

from datetime import datetime

from foundry_tui.estate.gpu import WHOLE_MILLI, Gpu
from foundry_tui.estate.node import Node
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.run import Run
from foundry_tui.estate.waste import gpu_hours_idle
from foundry_tui.presenters.health import grave
from foundry_tui.presenters.units import since_s

Fields = dict[str, object]
"""Field name -> value; None where the value is missing."""


def run_fields(run: Run, now: datetime) -> Fields:
    """The fields of `RUN_FIELDS`."""
    return {
        "id": (run.id, run.native_id),
        "name": run.name,
        "state": run.state.value,
        "user": run.user,
        "account": run.account,
        "queue": run.queues,
        "qos": run.qos,
        "source": run.source,
        "reason": run.reason,
        "node": tuple(p.node for p in run.placement),
        "priority": run.priority,
        "gpu_count": run.request.gpu_count,
        "gpu_util_pct": run.gpu_util_pct,
        "memory_bytes": run.request.memory_bytes,
        "age_s": since_s(run.submitted_at, now),
        "wait_s": run.wait_s(now),
    }


def node_fields(node: Node) -> Fields:
    """The fields of `NODE_FIELDS`."""
    return {
        "name": node.name,
        "state": node.state.value,
        "gpu_model": node.gpu_model,
        "gpu_count": node.gpu_count,
        "gpu_free": _part(node.gpu_milli_free),
        "gpu_util_pct": node.gpu_util_pct,
        "queue": node.queues,
        "reason": node.reason,
        "source": node.source,
    }


def gpu_fields(gpu: Gpu, now: datetime) -> Fields:
    """The fields of `GPU_FIELDS`; what is free is missing where the tenants are unknown."""
    allocated = gpu.milli_allocated
    return {
        "node": gpu.node,
        "model": gpu.model,
        "source": gpu.source,
        "runs": (*gpu.runs, *(run.removeprefix(f"{gpu.source}/") for run in gpu.runs)),
        "util_pct": gpu.util_pct,
        "mem_used_bytes": gpu.mem_used_bytes,
        "gpu_free": None if allocated is None else _part(max(0, WHOLE_MILLI - allocated)),
        "gpu_allocated": _part(allocated),
        "idle_s": since_s(gpu.idle_since, now),
        "gpu_hours_idle": gpu_hours_idle(gpu, now),
        "util_max_pct": gpu.util_max_pct,
        "power_w": gpu.power_w,
        "temp_c": gpu.temp_c,
        "measured_by": gpu.measured_by,
        "faults": _faults(gpu),
    }


def _faults(gpu: Gpu) -> tuple[str, ...]:
    if not gpu.faults:
        return ()
    words = [word for fault in gpu.faults for word in (fault.kind.value, fault.words)]
    return ("fault", *words, *(["grave"] if grave(gpu) else []))


def queue_fields(queue: Queue) -> Fields:
    """The fields of `QUEUE_FIELDS`."""
    return {
        "name": queue.name,
        "kind": queue.kind,
        "parent": queue.parent,
        "source": queue.source,
        "running": queue.running,
        "waiting": queue.waiting,
        "oldest_wait_s": queue.oldest_wait_s,
    }


def _part(milli: int | None) -> float | None:
    return None if milli is None else milli / WHOLE_MILLI
