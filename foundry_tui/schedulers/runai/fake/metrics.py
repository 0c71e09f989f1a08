"""Metrics of workloads, pods and nodes: strings, made up from who sat where, the same each time.

Before the fake's start and after now there are no values: missing is not zero.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from foundry_tui.schedulers.runai.fake.cluster import Node, Seat
from foundry_tui.schedulers.runai.fake.requests import Rejected
from foundry_tui.schedulers.runai.fake.work import Workload, whole
from foundry_tui.schedulers.runai.fake.workload_json import Json, iso

MOST_SAMPLES = 1000
MEMORY_SHARE = 0.7
"""How much of its portion of a GPU's memory a workload is said to use."""
BUSY_LEAST_PCT, BUSY_SPREAD_PCT = 55, 40

_FAMILY = re.compile(r"(GPU|CPU|POD|RUNNING_POD|NIM|NVLINK)_[A-Z0-9_]+")

Value = Callable[[datetime], float | None]
"""A metric's value at a time; None: there is none."""


def times(query: dict[str, str], since: datetime, now: datetime) -> list[datetime]:
    """The times of the samples, from start (exclusive) to end. Raises `Rejected`."""
    start, end = _time(query, "start"), _time(query, "end")
    text = query.get("numberOfSamples", "20")
    if not text.isascii() or not text.isdecimal() or int(text) > MOST_SAMPLES:
        raise Rejected(400, f"numberOfSamples must be 0 to {MOST_SAMPLES}, not {text}")
    if end < start:
        raise Rejected(400, "end is before start")
    count = int(text)
    found = [start + (end - start) * (n / count) for n in range(1, count + 1)]
    return [at for at in found if since <= at <= now]


def composite(
    query: dict[str, str],
    series: dict[str, list[tuple[dict[str, str] | None, Value]]],
    at: list[datetime],
    *,
    partial: bool,
) -> Json:
    """The answer: one measurement per metric asked for and label. Raises `Rejected`.

    A metric that the fake does not make up has no values. `partial` leaves the values of
    the last metric out, as a 207 does.
    """
    wanted = [name for name in query.get("metricType", "").split(",") if name]
    if not wanted:
        raise Rejected(400, "metricType is required")
    if unknown := [name for name in wanted if not _FAMILY.fullmatch(name)]:
        raise Rejected(400, f"metricType {unknown[0]} is not known")
    measurements: list[Json] = []
    for name in wanted:
        for labels, value in series.get(name, [(None, _unknown)]):
            known = ((value(when), when) for when in at)
            values = [{"value": _text(v), "timestamp": iso(t)} for v, t in known if v is not None]
            hidden = partial and name == wanted[-1]
            measurements.append(
                {"type": name, "labels": labels, "values": None if hidden else values}
            )
    return {"measurements": measurements}


def of_node(node: Node, workloads: list[Workload]) -> dict[str, list[tuple[Any, Value]]]:
    """The metrics of a node and of each of its GPUs."""

    def per_gpu(read: Callable[[int, datetime], float]) -> list[tuple[Any, Value]]:
        return [({"gpu": str(gpu)}, partial(read, gpu)) for gpu in range(node.gpu_count)]

    def held(gpu: int, at: datetime) -> float:
        return whole(sum(s.milli for _, s in _tenants(node, workloads, at) if gpu in s.gpus))

    def busy(gpu: int, at: datetime) -> float:
        parts = [
            _util_pct(w, gpu, at) * whole(s.milli)
            for w, s in _tenants(node, workloads, at)
            if gpu in s.gpus
        ]
        return min(100.0, round(sum(parts), 1))

    def used(gpu: int, at: datetime) -> float:
        return float(int(held(gpu, at) * MEMORY_SHARE * node.gpu_memory_bytes))

    def idle_s(gpu: int, at: datetime) -> float:
        """Seconds since the GPU last worked, as far as the last hour tells."""
        for minutes in range(60):
            if busy(gpu, at - timedelta(minutes=minutes)):
                return 60.0 * minutes
        return 3600.0

    def whole_node(read: Callable[[int, datetime], float], mean: bool) -> list[tuple[Any, Value]]:
        def value(at: datetime) -> float:
            total = sum(read(gpu, at) for gpu in range(node.gpu_count))
            return round(total / node.gpu_count, 1) if mean else total

        return [(None, value)]

    def cpu_milli(at: datetime) -> float:
        return sum(seat.cpu_milli for _, seat in _tenants(node, workloads, at)) * 0.5

    def memory(at: datetime) -> float:
        return sum(seat.memory_bytes for _, seat in _tenants(node, workloads, at)) // 2

    return {
        "GPU_UTILIZATION_PER_GPU": per_gpu(busy),
        "GPU_UTILIZATION": whole_node(busy, True),
        "GPU_ALLOCATION_PER_GPU": per_gpu(held),
        "GPU_MEMORY_USAGE_BYTES_PER_GPU": per_gpu(used),
        "GPU_MEMORY_USAGE_BYTES": whole_node(used, False),
        "GPU_MEMORY_ALLOCATION_BYTES_PER_GPU": per_gpu(
            lambda gpu, at: float(int(held(gpu, at) * node.gpu_memory_bytes))
        ),
        "GPU_MEMORY_UTILIZATION_PER_GPU": per_gpu(
            lambda gpu, at: round(100 * used(gpu, at) / node.gpu_memory_bytes, 1)
        ),
        "GPU_IDLE_TIME_SECONDS_PER_GPU": per_gpu(idle_s),
        "CPU_USAGE_CORES": [(None, lambda at: cpu_milli(at) / 1000)],
        "CPU_UTILIZATION": [(None, lambda at: round(100 * cpu_milli(at) / node.cpu_milli, 1))],
        "CPU_MEMORY_USAGE_BYTES": [(None, memory)],
        "CPU_MEMORY_UTILIZATION": [
            (None, lambda at: round(100 * memory(at) / node.memory_bytes, 1))
        ],
    }


def of_workload(workload: Workload, memory_bytes: int) -> dict[str, list[tuple[Any, Value]]]:
    """The metrics of a workload; no values while it has no pods."""

    def over(read: Callable[[tuple[Seat, ...], datetime], float]) -> list[tuple[Any, Value]]:
        def value(at: datetime) -> float | None:
            seats = _seats_at(workload, at)
            return None if not seats else read(seats, at)

        return [(None, value)]

    def busy(seats: tuple[Seat, ...], at: datetime) -> float:
        gpus = [gpu for seat in seats for gpu in seat.gpus]
        shares = [_util_pct(workload, gpu, at) for gpu in gpus]
        return round(sum(shares) / len(shares), 1) if shares else 0.0

    def held(seats: tuple[Seat, ...], at: datetime) -> float:
        return whole(sum(seat.gpu_milli for seat in seats))

    def cpu(seats: tuple[Seat, ...], at: datetime) -> float:
        return sum(seat.cpu_milli for seat in seats) / 1000

    def memory(seats: tuple[Seat, ...], at: datetime) -> float:
        return float(sum(seat.memory_bytes for seat in seats))

    return {
        "GPU_UTILIZATION": over(busy),
        "GPU_ALLOCATION": over(held),
        "GPU_MEMORY_USAGE_BYTES": over(
            lambda seats, at: float(int(held(seats, at) * MEMORY_SHARE * memory_bytes))
        ),
        "GPU_MEMORY_REQUEST_BYTES": over(
            lambda seats, at: float(int(held(seats, at) * memory_bytes))
        ),
        "CPU_USAGE_CORES": over(lambda seats, at: cpu(seats, at) / 2),
        "CPU_REQUEST_CORES": over(cpu),
        "CPU_MEMORY_USAGE_BYTES": over(lambda seats, at: memory(seats, at) // 2),
        "CPU_MEMORY_REQUEST_BYTES": over(memory),
        "POD_COUNT": over(lambda seats, at: len(seats)),
        "RUNNING_POD_COUNT": over(lambda seats, at: len(seats)),
    }


def of_pod(workload: Workload, index: int, memory_bytes: int) -> dict[str, list[tuple[Any, Value]]]:
    """The metrics of one pod; those per GPU are labelled with the GPU's index on its node."""
    if not workload.seats:
        names = ("GPU_UTILIZATION_PER_GPU", "GPU_MEMORY_USAGE_BYTES_PER_GPU", "GPU_UTILIZATION")
        return {name: [] for name in (*names, "CPU_USAGE_CORES")}
    seat, since = workload.seats[index], workload.spans[-1].started_at

    def per_gpu(read: Callable[[int, datetime], float | None]) -> list[tuple[Any, Value]]:
        return [({"gpu": str(gpu)}, partial(read, gpu)) for gpu in seat.gpus]

    def busy_pct(gpu: int, at: datetime) -> float | None:
        return _util_pct(workload, gpu, at) if at >= since else None

    def used_bytes(gpu: int, at: datetime) -> float | None:
        share = whole(seat.milli) * MEMORY_SHARE
        return float(int(share * memory_bytes)) if at >= since else None

    busy = per_gpu(busy_pct)
    return {
        "GPU_UTILIZATION_PER_GPU": busy,
        "GPU_MEMORY_USAGE_BYTES_PER_GPU": per_gpu(used_bytes),
        "GPU_UTILIZATION": [(None, value) for _, value in busy[:1]],
        "CPU_USAGE_CORES": [(None, lambda at: seat.cpu_milli / 2000)],
    }


def _tenants(
    node: Node, workloads: Iterable[Workload], at: datetime
) -> Iterator[tuple[Workload, Seat]]:
    for workload in workloads:
        for seat in _seats_at(workload, at):
            if seat.node == node.name:
                yield workload, seat


def _seats_at(workload: Workload, at: datetime) -> tuple[Seat, ...]:
    for span in workload.spans:
        if span.started_at <= at and (span.ended_at is None or at < span.ended_at):
            return span.seats
    return ()


def _util_pct(workload: Workload, gpu: int, at: datetime) -> float:
    if workload.gpu_util_pct is not None:
        return float(workload.gpu_util_pct)
    minute = int(at.timestamp()) // 60
    return BUSY_LEAST_PCT + zlib.crc32(f"{workload.id}/{gpu}/{minute}".encode()) % BUSY_SPREAD_PCT


def _unknown(at: datetime) -> None:
    """No value at any time."""


def _text(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.10g}"


def _time(query: dict[str, str], name: str) -> datetime:
    try:
        at = datetime.fromisoformat(query[name])
    except KeyError:
        raise Rejected(400, f"{name} is required") from None
    except ValueError:
        raise Rejected(400, f"{name} is not an ISO 8601 time: {query[name]}") from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at
