"""Readings of GPUs and the indices that pods hold, a few calls at a time.

There is no call for the metrics of all nodes. So each refresh asks for at most `CALLS` nodes: first
those on which pods came or went, then those whose readings are oldest. Which GPU of its node a pod
holds stands only in the labels of the pod's own metrics, and does not change while the pod lives.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import quote

from foundry_tui.deadline import Deadline
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.ports import SchedulerError, Unavailable
from foundry_tui.schedulers.runai.client import Client
from foundry_tui.schedulers.runai.wire import Measurement, count, items, milli, number, page, when

CALLS = 16
"""Most nodes, and most pods, that one refresh asks for."""

FIRST_CALLS = 96
"""The same for the first refresh, which may be the only one of a command."""

AT_ONCE = 8

FRESH_S = 30.0
"""Seconds for which the readings of a node are used while its pods stay the same."""

LOOK_BACK = timedelta(minutes=10)

MAX_INDEX = 64

NODE_METRICS = (
    "GPU_ALLOCATION_PER_GPU,GPU_UTILIZATION_PER_GPU,"
    "GPU_MEMORY_USAGE_BYTES_PER_GPU,GPU_IDLE_TIME_SECONDS_PER_GPU"
)


@dataclass(slots=True)
class GpuReading:
    """What one GPU's metrics say last; None is not told."""

    allocated_milli: int | None = None
    util_pct: float | None = None
    mem_used_bytes: int | None = None
    idle_s: float | None = None


@dataclass(slots=True)
class NodeReading:
    """The GPUs of one node by index; `trouble` says why something is missing."""

    at: datetime
    gpus: dict[int, GpuReading] = field(default_factory=dict)
    trouble: str | None = None


@dataclass(slots=True)
class _Kept:
    signature: Hashable
    read_s: float
    reading: NodeReading


@dataclass(slots=True)
class _Missed:
    times: int = 0
    again_at: int = 0


class Readings:
    """What was read last of nodes and pods. Used by one refresh at a time."""

    def __init__(
        self,
        client: Client,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._clock, self._monotonic = client, clock, monotonic
        self._nodes: dict[str, _Kept] = {}
        self._pods: dict[str, tuple[int, ...]] = {}
        self._missed: dict[str, _Missed] = {}
        self._turn = 0

    def nodes(self, wanted: Sequence[tuple[str, Hashable]], deadline: Deadline) -> None:
        """Refresh the readings of nodes, given as id and a signature of the pods on each."""
        self._turn += 1
        now_s = self._monotonic()
        self._nodes = {key: kept for key, _ in wanted if (kept := self._nodes.get(key))}
        due: list[tuple[int, float, str, Hashable]] = []
        for key, signature in wanted:
            kept = self._nodes.get(key)
            if kept is None or kept.signature != signature:
                due.append((0, kept.read_s if kept else 0.0, key, signature))
            elif now_s - kept.read_s >= FRESH_S:
                due.append((1, kept.read_s, key, signature))
        due.sort(key=lambda d: d[:3])

        def read(item: tuple[int, float, str, Hashable]) -> None:
            reading = self._read_node(item[2], deadline)
            self._nodes[item[2]] = _Kept(item[3], now_s, reading)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(read, due[: self._most()]))

    def node(self, key: str, signature: Hashable) -> NodeReading | None:
        """The reading of a node; None without one, or from before its pods changed."""
        kept = self._nodes.get(key)
        return kept.reading if kept is not None and kept.signature == signature else None

    def pods(self, wanted: Iterable[tuple[str, str]], alive: set[str], deadline: Deadline) -> bool:
        """Learn the GPU indices of pods, given as workload id and pod id; whether any is new."""
        self._pods = {pod: found for pod, found in self._pods.items() if pod in alive}
        self._missed = {pod: missed for pod, missed in self._missed.items() if pod in alive}
        asked = [
            (workload, pod)
            for workload, pod in wanted
            if pod not in self._pods
            and self._missed.setdefault(pod, _Missed()).again_at <= self._turn
        ][: self._most()]

        def read(item: tuple[str, str]) -> None:
            found = self._read_pod(*item, deadline)
            if found:
                self._pods[item[1]] = found
                return
            # Metrics come late, or never: ask after 1, 2, 4 … 64 refreshes.
            missed = self._missed[item[1]]
            missed.again_at = self._turn + 2 ** min(missed.times, 6)
            missed.times += 1

        before = len(self._pods)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(read, asked))
        return len(self._pods) > before

    def indices(self, pod: str) -> tuple[int, ...] | None:
        """The GPUs that a pod holds on its node; None when they are not known."""
        return self._pods.get(pod)

    def _most(self) -> int:
        return FIRST_CALLS if self._turn == 1 else CALLS

    def _read_node(self, key: str, deadline: Deadline) -> NodeReading:
        now = self._clock()
        path = f"/api/v1/nodes/{quote(key, safe='')}/metrics"
        try:
            found, partial = self._measured(path, NODE_METRICS, now, deadline)
        except SchedulerError as error:
            return NodeReading(now, trouble=safe(f"no metrics: {error.answer}"))
        reading = NodeReading(
            now, trouble="the metrics service answered in part" if partial else None
        )
        for series in found:
            index, last = _index(series), _last(series)
            if index is None or last is None:
                continue
            value, at = last
            gpu = reading.gpus.setdefault(index, GpuReading())
            match series.type:
                case "GPU_ALLOCATION_PER_GPU":
                    gpu.allocated_milli = milli(value)
                case "GPU_UTILIZATION_PER_GPU":
                    gpu.util_pct = value if 0 <= value <= 100 else None
                    reading.at = at or reading.at
                case "GPU_MEMORY_USAGE_BYTES_PER_GPU":
                    gpu.mem_used_bytes = round(value) if 0 <= value < 1e15 else None
                case "GPU_IDLE_TIME_SECONDS_PER_GPU":
                    gpu.idle_s = value if 0 <= value < 1e9 else None
        return reading

    def _read_pod(self, workload: str, pod: str, deadline: Deadline) -> tuple[int, ...]:
        path = f"/api/v1/workloads/{quote(workload, safe='')}/pods/{quote(pod, safe='')}/metrics"
        try:
            found, _ = self._measured(path, "GPU_UTILIZATION_PER_GPU", self._clock(), deadline)
        except SchedulerError:
            return ()
        return tuple(sorted({i for series in found if (i := _index(series)) is not None}))

    def _measured(
        self, path: str, types: str, now: datetime, deadline: Deadline
    ) -> tuple[list[Measurement], bool]:
        params = (
            ("metricType", types),
            ("start", _iso(now - LOOK_BACK)),
            ("end", _iso(now)),
            ("numberOfSamples", "10"),
        )
        answer = self._client.read(path, deadline, params)
        try:
            raw, _ = page(answer.body, "measurements")
        except ValueError as error:
            raise Unavailable(f"GET {path}", safe(str(error))) from None
        return items(raw, Measurement)[0], answer.status == 207


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def _index(series: Measurement) -> int | None:
    found = count((series.labels or {}).get("gpu"))
    return found if found is not None and found < MAX_INDEX else None


def _last(series: Measurement) -> tuple[float, datetime | None] | None:
    """The newest sample that is a number; samples come oldest first."""
    for sample in reversed(series.values or []):
        value = number(sample.value)
        if value is not None:
            return value, when(sample.timestamp)
    return None
