"""The estate's nouns as what the history keeps of them, and back: integers, short texts.

A level of 0 means that nothing was seen at all: any activity, however small, is at least 1.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from functools import lru_cache

from foundry_tui.estate.gpu import Gpu, GpuSlice
from foundry_tui.estate.node import Node
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.run import Run
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.store.history.tracks import Value

MAX_CELLS = 1000
MIB = 1 << 20

Minute = tuple[int | None, int | None, int | None, int | None, int | None]
"""Utilisation (mean in thousandths, highest in per cent), memory in MiB, power in W, degrees C."""

_NOTHING: Minute = (None, None, None, None, None)


def minute(gpu: Gpu) -> Minute | None:
    """What a minute's row holds of a GPU; None where nothing was measured."""
    memory, util = gpu.mem_used_bytes, _up(gpu.util_pct, 10, 1000)
    found = (
        util,
        None if util is None or gpu.util_max_pct is None else _ceil(gpu.util_max_pct),
        None if memory is None else -(-memory // MIB),
        _up(gpu.power_w, 1, 1 << 20),
        None if gpu.temp_c is None else _whole(gpu.temp_c),
    )
    return None if found == _NOTHING else found


def _up(value: float | None, scale: int, most: int) -> int | None:
    """`value * scale` rounded, at least 1 where it is above 0, within 0..most."""
    if value is None or not math.isfinite(value):
        return None
    return min(most, max(round(value * scale), 1 if value > 0 else 0))


def _ceil(pct: float) -> int | None:
    return min(100, max(0, math.ceil(pct))) if math.isfinite(pct) else None


def _whole(value: float) -> int | None:
    return round(value) if math.isfinite(value) else None


def resting(util: int, util_max: int | None, limit: int) -> bool:
    """Whether a minute was idle: its highest utilisation at most `limit` thousandths."""
    return (util if util_max is None else util_max * 10) <= limit


RESTING = "coalesce(util_max * 10, util) <= :limit"
"""The same in SQL; NULL where there is no utilisation."""


@lru_cache(maxsize=65536)
def text(raw: str) -> SafeText:
    """A text as it is kept and shown."""
    return safe(raw, max_cells=MAX_CELLS)


def maybe(raw: str | None) -> SafeText | None:
    """The same for a text that may be missing."""
    return None if raw is None else text(raw)


def seconds(when: datetime | None) -> int | None:
    """A time in whole seconds."""
    return None if when is None else math.floor(when.timestamp())


def when(at: int) -> datetime:
    """Whole seconds as a time."""
    return datetime.fromtimestamp(at, UTC)


def maybe_when(at: int | None) -> datetime | None:
    """The same for a time that may be missing."""
    return None if at is None else when(at)


def node_facts(node: Node) -> Value:
    """What a node is."""
    return (
        maybe(node.gpu_model),
        node.gpu_count,
        node.cpu_milli,
        node.memory_bytes,
        json.dumps([text(f) for f in node.features]),
        json.dumps([text(q) for q in node.queues]),
    )


def node_state(node: Node) -> Value:
    """How a node is."""
    return (
        str(node.state),
        maybe(node.reason),
        seconds(node.reason_since),
        node.gpu_milli_allocated,
        node.cpu_milli_allocated,
        node.memory_bytes_allocated,
    )


def queue_facts(queue: Queue) -> Value:
    """What a queue is, as JSON: its fields that change by hand only."""
    return (json.dumps([getattr(queue, name) for name in QUEUE_FACTS]),)


QUEUE_FACTS = (
    "parent", "state", "quota_gpu_milli", "limit_gpu_milli", "total_gpu_milli", "default",
    "priority", "over_quota_weight", "time_limit_s", "max_nodes", "accounts", "qos",
)  # fmt: skip


def queue_sample(queue: Queue, at: datetime) -> Value:
    """How a queue is; of the oldest wait it is the begin that stays the same while it lasts."""
    base = (queue.read_at or at).timestamp()
    return (
        queue.allocated_gpu_milli,
        queue.requested_gpu_milli,
        queue.fair_share_gpu_milli,
        queue.allocated_non_preemptible_gpu_milli,
        queue.running,
        queue.waiting,
        None if queue.oldest_wait_s is None else round(base - queue.oldest_wait_s),
    )


def slices_text(slices: tuple[GpuSlice, ...]) -> str:
    """How a GPU is cut into MIG instances, as JSON."""
    return json.dumps([[getattr(s, name) for name in LAYOUT] for s in slices])


LAYOUT = ("uuid", "profile", "milli", "run", "gi", "mem_total_bytes")

RUN_COLUMNS = (
    "run", "source", "native_id", "scheduler", "name", "user", "account", "queue", "qos",
    "gpu_model", "gpu_count", "gpu_milli", "nodes", "cpu_milli", "memory_bytes", "time_limit_s",
    "submitted", "started",
)  # fmt: skip


def run_row(run: Run, source: int) -> tuple[int | str | None, ...]:
    """A run as a row of `RUN_COLUMNS`."""
    request = run.request
    return (
        text(run.id),
        source,
        text(run.native_id),
        text(run.scheduler),
        run.name,
        maybe(run.user),
        maybe(run.account),
        maybe(run.queue),
        maybe(run.qos),
        maybe(request.gpu_model),
        request.gpu_count,
        request.gpu_milli,
        request.nodes,
        request.cpu_milli,
        request.memory_bytes,
        request.time_limit_s,
        seconds(run.submitted_at),
        seconds(run.started_at),
    )


def unknown_run(run_id: str, source: int) -> tuple[int | str | None, ...]:
    """A row for a run of which nothing is known but that it holds a GPU."""
    native = text(run_id.partition("/")[2] or run_id)
    return (text(run_id), source, native, "", native, *[None] * 5, 0, None, 1, *[None] * 5)
