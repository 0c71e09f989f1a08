"""What waited for GPUs, by period and place: from the queues' samples, and from accounting."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from foundry_tui.reports import percentiles
from foundry_tui.reports.joining.lines import spread

if TYPE_CHECKING:
    from foundry_tui.estate.usage import UsageRecord
    from foundry_tui.reports.part import Ints
    from foundry_tui.store.history.window.pending import Pending

PERCENTS = (50, 90, 99)
NO_WAITS: tuple[int | None, ...] = (None,) * len(PERCENTS)

PARTITION = "partition"
"""The kind of queue that is also a set of nodes, so that it has a row of its own."""

Place = tuple[int, str, str]
"""A period, a cluster, and a partition of it or nothing for all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What waited in a place in a period: thousandths of GPU-seconds, the most runs at once.

    None where nobody told.
    """

    gpu_ms: int | None
    most_runs: int | None


def by_place(waiting: Sequence[Pending], edges: Sequence[int]) -> dict[Place, Asked]:
    """The demand of each cluster, and of each of its partitions; only what was looked at."""
    groups: dict[tuple[str, str], list[Pending]] = {}
    for queue in waiting:
        groups.setdefault((queue.source, ""), []).append(queue)
        if queue.kind == PARTITION:
            groups.setdefault((queue.source, queue.name), []).append(queue)
    made: dict[Place, Asked] = {}
    for (cluster, partition), queues in groups.items():
        gpu_ms = _gpu_ms(queues, edges)
        runs = _most_runs(queues, edges)
        for period in range(len(edges) - 1):
            asked = Asked(gpu_ms=gpu_ms.get(period), most_runs=runs.get(period))
            if asked.gpu_ms is not None or asked.most_runs is not None:
                made[period, cluster, partition] = asked
    return made


def _gpu_ms(queues: Sequence[Pending], edges: Sequence[int]) -> dict[int, int]:
    """What was asked for, over time, where that was told at all."""
    since, until, milli = _told(queues, "gpu_milli")
    borders = np.asarray(edges, np.int64)
    low = np.searchsorted(borders, since, "right") - 1
    high = np.searchsorted(borders, until, "left")
    owner, within = spread(high - low)
    period = low[owner] + within
    length = np.minimum(until[owner], borders[period + 1]) - np.maximum(
        since[owner], borders[period]
    )
    count = len(borders) - 1
    total = np.bincount(period, length * milli[owner], count).astype(np.int64)
    seen = np.bincount(period, length, count) > 0
    return {p: int(total[p]) for p in np.flatnonzero(seen).tolist()}


def _most_runs(queues: Sequence[Pending], edges: Sequence[int]) -> dict[int, int]:
    """The most runs that waited at once."""
    since, until, runs = _told(queues, "runs")
    inner = np.asarray(edges[1:-1], np.int64)
    times = np.concatenate([since, until, inner])
    count = np.concatenate([runs, -runs, np.zeros(len(inner), np.int64)])
    looked = np.concatenate([np.ones(len(since)), -np.ones(len(until)), np.zeros(len(inner))])
    moments, place = np.unique(times, return_inverse=True)
    level = np.cumsum(np.bincount(place, count, len(moments)))
    seen = np.cumsum(np.bincount(place, looked, len(moments))) > 0
    period = np.searchsorted(np.asarray(edges, np.int64), moments, "right") - 1
    found: dict[int, int] = {}
    for number, most in zip(period[seen].tolist(), level[seen].tolist(), strict=True):
        found[number] = max(found.get(number, 0), round(most))
    return found


def _told(queues: Sequence[Pending], name: str) -> tuple[Ints, Ints, Ints]:
    """The samples of all queues in which an amount is told."""
    amount = np.concatenate([getattr(q, name) for q in queues])
    known = amount >= 0
    since = np.concatenate([q.since for q in queues])[known]
    until = np.concatenate([q.until for q in queues])[known]
    return since, until, amount[known]


class Waits:
    """How long the runs with GPUs waited that started in each period, from accounting.

    Every try counts, in the period in which it started, for its cluster and its partition or node
    pool. What still waits is not in it: nobody knows yet how long that will be.
    """

    def __init__(self, edges: Sequence[int]) -> None:
        self._edges = edges
        self._groups: dict[Place, list[int]] = {}

    def add(self, records: Iterable[UsageRecord]) -> None:
        """Take in a part of the accounting."""
        for record in records:
            if record.started_at is None or record.eligible_at is None or not record.gpus:
                continue
            start = int(record.started_at.timestamp() // 1)
            period = bisect_right(self._edges, start) - 1
            if not 0 <= period < len(self._edges) - 1:
                continue
            wait_s = max(0, start - int(record.eligible_at.timestamp() // 1))
            self._groups.setdefault((period, record.source, ""), []).append(wait_s)
            if partition := record.node_pool or record.queue:
                self._groups.setdefault((period, record.source, partition), []).append(wait_s)

    def percentiles(self) -> Mapping[Place, tuple[int | None, ...]]:
        """The percentiles of each place that had any."""
        return {
            place: tuple(percentiles.nearest_rank(sorted(waits), pct) for pct in PERCENTS)
            for place, waits in self._groups.items()
        }
