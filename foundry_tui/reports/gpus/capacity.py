"""The report `capacity`: what the GPUs of the estate were in each period, and what waited for them.

Every second of every GPU is exactly one of allocated, idle, drained, down, in maintenance and
unknown, so that these add up to all of them. Each cluster has a row with an empty partition, in
which every GPU stands once, and a row for each of its partitions (node pools): a node in two
partitions stands in both, so that those are not to be added up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.reports.columns import HOURS_PLACES, Column, Kind, Value, hours, pct
from foundry_tui.reports.gpus import demand
from foundry_tui.store.history.window import pending, spanload
from foundry_tui.store.history.window.spans import IDLE, Rest

if TYPE_CHECKING:
    from foundry_tui.reports.gpus.demand import Waits
    from foundry_tui.reports.part import Ints
    from foundry_tui.store.history import Past
    from foundry_tui.store.history.window.spans import Spans, Steps

NAME = "capacity"

COLUMNS = (
    Column("period_start_utc", Kind.TIME, "begin of the period"),
    Column("period_end_utc", Kind.TIME, "end of the period, which is not part of it"),
    Column("cluster", Kind.TEXT, "the source"),
    Column(
        "partition", Kind.TEXT, "partition or node pool; empty: all of the cluster, each GPU once"
    ),
    Column("gpu_type", Kind.TEXT, "model of the GPUs; empty: not told, or of several models"),
    Column("gpus_total_hours", Kind.HOURS, "hours that GPUs were in the estate"),
    Column("allocated_hours", Kind.HOURS, "held by runs, of shared GPUs the part that is held"),
    Column("idle_hours", Kind.HOURS, "held by nobody, on nodes in service"),
    Column("drained_hours", Kind.HOURS, "held by nobody, on nodes that are drained or draining"),
    Column("down_hours", Kind.HOURS, "on nodes that are down, or lost by the driver and not held"),
    Column("maint_hours", Kind.HOURS, "held by nobody, on nodes in maintenance"),
    Column("unknown_hours", Kind.HOURS, "nobody looked, or nobody told"),
    Column("stranded_hours", Kind.HOURS, "idle, on nodes whose CPU or memory is used up"),
    Column("fragmentation_pct", Kind.PCT, "stranded part of the idle hours"),
    Column("pending_gpu_hours", Kind.HOURS, "GPUs that waiting runs asked for, over time"),
    Column("pending_jobs_count", Kind.COUNT, "the most runs that waited at once"),
    Column("wait_p50_s", Kind.COUNT, "median wait of the runs with GPUs that started"),
    Column("wait_p90_s", Kind.COUNT, "90th percentile of it"),
    Column("wait_p99_s", Kind.COUNT, "99th percentile of it"),
)

DEFINITIONS = (
    "the history tells from its first look to its last: a GPU's time outside of that is in no "
    "row; a GPU whose source was silent meanwhile stays in the total, as unknown",
    "allocated + idle + drained + down + maint + unknown = total, in whole GPU-seconds; "
    "on a node that is down nothing is allocated, on any other what runs hold is; a suspended run "
    "holds its GPUs",
    "a GPU is lost (down) when the driver does not reach it and no run holds it; idle "
    "in a reservation is idle",
    "stranded is idle on a node in service with less than one core or less than 1 GiB "
    "of memory left; where a node tells neither, nothing is said",
    "the row with an empty partition holds each GPU of the cluster once; a node in two "
    "partitions stands in both of their rows: do not add them up",
    "pending is what queues without queues below them asked for while somebody looked; a "
    "run that waits in several partitions counts in each; counted runs may ask for no GPU; waits "
    "are from being eligible to the start, nearest rank; all of these are not known by model and "
    "stand in the one row of their place, or, where it has several models, in one without",
)
"""What the numbers mean, for the sidecar."""

BLOCK_STAYS = 500
"""GPUs whose time is laid out at once."""

_PARTS = ("allocated", "idle", "drained", "down", "maint", "unknown")
_MEASURES = (*_PARTS, "stranded", "judged")

Place = tuple[str, str]
"""A cluster and one of its partitions, empty for all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """One row: thousandths of GPU-seconds; the six parts add up to the total exactly.

    `stranded_ms` is the part of the `judged_ms` of idle time whose node is used up; of the rest
    nobody knows.
    """

    allocated_ms: int = 0
    idle_ms: int = 0
    drained_ms: int = 0
    down_ms: int = 0
    maint_ms: int = 0
    unknown_ms: int = 0
    stranded_ms: int = 0
    judged_ms: int = 0

    @property
    def total_ms(self) -> int:
        """All time of all GPUs."""
        return sum(self.parts())

    def parts(self) -> tuple[int, ...]:
        """The six parts in the order of the columns."""
        return tuple(getattr(self, f"{name}_ms") for name in _PARTS)


Key = tuple[int, str, str, str]
"""Period, cluster, partition, model: what a row is about, in the order of the rows."""


def rows(
    past: Past, edges: Sequence[int], waits: Waits | None = None
) -> Iterator[tuple[Value, ...]]:
    """The rows in the order of `COLUMNS`, sorted by period, cluster, partition and model.

    Args:
        edges: the borders of the periods in unix seconds.
        waits: of the runs that started, where accounting was read.

    Raises:
        HistoryError: the history cannot be read.
    """
    if len(edges) < 2:
        return
    with past.reading() as found:
        if found is None:
            return
        spans = spanload.load(found, edges[0], edges[-1])
        waiting = pending.load(found, edges[0], edges[-1])
    held = sums(spans, edges)
    asked = demand.by_place(waiting, edges)
    waited = waits.percentiles() if waits is not None else {}
    models: dict[tuple[int, str, str], list[str]] = {}
    for period, cluster, partition, model in held:
        models.setdefault((period, cluster, partition), []).append(model)
    about: dict[Key, tuple[demand.Asked | None, tuple[int | None, ...]]] = {}
    partitions = {place[1:] for place in models.keys() | asked.keys()}
    for place in asked.keys() | waited.keys():
        here, wanted = models.get(place, ()), asked.get(place)
        if place[1:] not in partitions or not (here or place in waited or _any(wanted)):
            continue  # a queue that is no set of nodes, or a partition without GPUs
        model = here[0] if len(here) == 1 else ""
        about[*place, model] = (wanted, waited.get(place, demand.NO_WAITS))
    for key in sorted(held.keys() | about.keys()):
        pending_, percentiles = about.get(key, (None, demand.NO_WAITS))
        period, *words = key
        yield (
            datetime.fromtimestamp(edges[period], UTC),
            datetime.fromtimestamp(edges[period + 1], UTC),
            *(word or None for word in words),
            *_hours(held.get(key)),
            None if pending_ is None else hours(pending_.gpu_ms),
            None if pending_ is None else pending_.most_runs,
            *percentiles,
        )


def _any(wanted: demand.Asked | None) -> bool:
    return wanted is not None and bool(wanted.gpu_ms)


def _hours(row: Capacity | None) -> tuple[Value, ...]:
    """Total, parts, stranded and its share.

    Cells are whole GPU-seconds, cut so that they add up: of shared GPUs a part may be less than a
    second off.
    """
    if row is None:
        return (None,) * (len(_PARTS) + 3)
    seconds, upto = [], 0
    for part in row.parts():
        seconds.append((upto + part) // WHOLE_MILLI - upto // WHOLE_MILLI)
        upto += part
    total, cells = _parted(seconds)
    stranded: Decimal | None = cells[1]
    if row.stranded_ms < row.idle_ms:
        told = hours(row.stranded_ms // WHOLE_MILLI * WHOLE_MILLI)
        stranded = min(told, cells[1]) if told is not None and row.judged_ms else None
    return total, *cells, stranded, pct(row.stranded_ms, row.judged_ms)


def _parted(seconds: Sequence[int]) -> tuple[Decimal, list[Decimal]]:
    """Hours of the sum and of its parts, so rounded that these add up to it.

    Each is rounded up or down, those with the largest rest up. That is less than 0.36 s, so that
    hours times 3600, rounded, give the seconds again.
    """
    units, rests = zip(*(divmod(25 * s, 9) for s in seconds), strict=True)
    whole = hours(WHOLE_MILLI * sum(seconds)) or Decimal()
    up = int(whole.scaleb(HOURS_PLACES)) - sum(units)
    first = sorted(range(len(seconds)), key=lambda i: -rests[i])[:up]
    return whole, [Decimal(u + (i in first)).scaleb(-HOURS_PLACES) for i, u in enumerate(units)]


def sums(spans: Spans, edges: Sequence[int]) -> dict[Key, Capacity]:
    """Of each period, place and model what its GPUs were; those without any time are left out."""
    periods = len(edges) - 1
    cells: dict[tuple[str, str, int], Mapping[str, Ints]] = {}
    for first, last in spans.blocks(BLOCK_STAYS):
        steps = spans.steps(first, last, edges)
        _add(cells, spans, steps, periods)
    made: dict[Key, dict[str, int]] = {}
    for (cluster, model, kind), amounts in cells.items():
        told = spans.kinds[kind]
        model = model or told.gpu_model or ""
        for period in np.flatnonzero(sum(amounts[name] for name in _PARTS)).tolist():
            for partition in ("", *told.queues):
                row = made.setdefault((period, cluster, partition, model), {})
                for name in _MEASURES:
                    row[name] = row.get(name, 0) + int(amounts[name][period])
    return {
        key: Capacity(**{f"{name}_ms": amount for name, amount in row.items()})
        for key, row in made.items()
    }


def _add(
    cells: dict[tuple[str, str, int], Mapping[str, Ints]], spans: Spans, steps: Steps, periods: int
) -> None:
    """Add stretches up by cluster, model of the GPU itself and kind of its node."""
    names: dict[tuple[str, str], int] = {}
    by_stay = np.array([names.setdefault((s.source, s.model or ""), len(names))
                        for s in spans.stays], np.int64)  # fmt: skip
    group = by_stay[steps.stay] * len(spans.kinds) + steps.kind
    labels, place = np.unique(group, return_inverse=True)
    cell = place * periods + steps.period
    duration = steps.until - steps.since
    free = (WHOLE_MILLI - steps.held_milli) * duration
    idle = np.isin(steps.rest, IDLE)
    amounts = {
        "allocated": steps.held_milli * duration,
        "idle": np.where(idle, free, 0),
        "drained": np.where(steps.rest == Rest.DRAINED, free, 0),
        "down": np.where(steps.rest == Rest.DOWN, free, 0),
        "maint": np.where(steps.rest == Rest.MAINT, free, 0),
        "unknown": np.where(steps.rest == Rest.UNKNOWN, free, 0),
        "stranded": np.where(steps.rest == Rest.STRANDED, free, 0),
        "judged": np.where(idle & (steps.rest != Rest.UNJUDGED), free, 0),
    }
    clusters = list(names)
    for name, amount in amounts.items():
        # sums stay below 2**53, so that floats hold them exactly
        total = np.bincount(cell, amount, len(labels) * periods).astype(np.int64)
        by_label = total.reshape(len(labels), periods)
        for number, label in enumerate(labels.tolist()):
            stay, kind = divmod(label, len(spans.kinds))
            into = cells.setdefault((*clusters[stay], kind), {
                n: np.zeros(periods, np.int64) for n in _MEASURES
            })  # fmt: skip
            into[name][:] += by_label[number]
