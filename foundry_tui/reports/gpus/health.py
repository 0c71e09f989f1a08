"""The report `gpu-health`: what each GPU did and suffered in each period, one row per device."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.reading import FaultKind
from foundry_tui.reports.columns import PLACES, Column, Kind, Value
from foundry_tui.store.history.window import condition, spanload
from foundry_tui.store.history.window.spans import Rest

if TYPE_CHECKING:
    from foundry_tui.reports.part import Ints
    from foundry_tui.store.history import Past
    from foundry_tui.store.history.window.condition import FaultSpan, LayoutSpan
    from foundry_tui.store.history.window.readings import Readings
    from foundry_tui.store.history.window.spans import Spans, Stay

NAME = "gpu-health"

COLUMNS = (
    Column("cluster", Kind.TEXT, "the source"),
    Column("node", Kind.TEXT, "the node"),
    Column("gpu_index", Kind.COUNT, "the GPU's place on its node"),
    Column("minor", Kind.COUNT, "number of its device file, where telemetry told it"),
    Column("pci_bus_id", Kind.TEXT, "always empty: the history does not keep it"),
    Column("uuid", Kind.TEXT, "its own number, where telemetry told it: a swapped GPU is another"),
    Column("model", Kind.TEXT, "its model"),
    Column("mig_profile", Kind.TEXT, "the MIG instances that it was last cut into in the period"),
    Column("period_start_utc", Kind.TIME, "begin of the period"),
    Column("period_end_utc", Kind.TIME, "end of the period, which is not part of it"),
    Column("seen_hours", Kind.HOURS, "its utilisation was measured"),
    Column("allocated_hours", Kind.HOURS, "held by runs; of a shared GPU the part that is held"),
    Column("busy_hours", Kind.HOURS, "measured above the idle threshold"),
    Column("idle_while_allocated_hours", Kind.HOURS, "of what is allocated: measured idle"),
    Column("down_hours", Kind.HOURS, "its node was down, or the driver had lost it"),
    Column("util_pct", Kind.PCT, "mean of what was measured; empty below 5 % of the time"),
    Column("power_avg_w", Kind.PCT, "mean power while it was measured"),
    Column("energy_kwh", Kind.ENERGY, "energy used while power was measured"),
    Column("temp_max_c", Kind.COUNT, "highest temperature"),
    Column("throttle_thermal_s", Kind.COUNT, "seconds throttled by heat"),
    Column("throttle_power_s", Kind.COUNT, "seconds throttled by a power brake"),
    Column("ecc_dbe_count", Kind.COUNT, "most uncorrectable ECC errors told since the driver came"),
    Column("row_remap_failure", Kind.FLAG, "a memory row could not be remapped"),
    Column("last_xid", Kind.COUNT, "the last XID code told that is no program's own fault"),
    Column("last_xid_utc", Kind.TIME, "when it was first told"),
)

DEFINITIONS = (
    "allocated and down hours are those of the report capacity; hours are of a time "
    "in which somebody looked, the rest is in none of them",
    "throttling, ECC errors and row remapping are 0 or false where the GPU was "
    "measured and its telemetry told no such fault, empty where it was not measured; throttling "
    "lasts from one look to the next; a hardware slowdown without a cause counts as neither",
)
"""What the numbers mean, for the sidecar."""

BLOCK_STAYS = 500
"""GPUs whose time is laid out at once."""

_LEAST_COVERAGE = 20  # a twentieth: below it a utilisation would be told of what nobody saw
_NO_TEMP = -300
_MS_PER_PLACE = 360  # the fourth decimal of an hour
_J_PER_PLACE = 360  # and of a kWh
_XID = re.compile(r"XID (\d+)")
_ERRORS = re.compile(r"(\d+) uncorrectable")
_UNREMAPPED = "could not be remapped"
_HEAT, _POWER = "heat", "power brake"


@dataclass(frozen=True, slots=True)
class Health:
    """One device in one period, whole seconds and thousandths of GPU-seconds.

    `here_s` is how long it was in its place.
    """

    here_s: int
    allocated_ms: int
    idle_held_ms: int
    down_ms: int
    used_s: int
    idle_s: int
    busy_milli_s: int
    energy_j: int
    powered_s: int


@dataclass(frozen=True, slots=True)
class _Told:
    """What is told of the devices beside their time; temperatures by stay and period."""

    faults: Mapping[int, Sequence[FaultSpan]]
    layouts: Mapping[int, Sequence[LayoutSpan]]
    temps: Ints


def rows(past: Past, readings: Readings, edges: Sequence[int]) -> Iterator[tuple[Value, ...]]:
    """The rows in the order of `COLUMNS`, sorted by cluster, node, index, device and period.

    Args:
        readings: what was measured in the window.
        edges: the borders of the periods in unix seconds.

    Raises:
        HistoryError: the history cannot be read.
    """
    if len(edges) < 2:
        return
    with past.reading() as found:
        if found is None:
            return
        spans = spanload.load(found, edges[0], edges[-1])
        place = {stay.gpu: number for number, stay in enumerate(spans.stays)}
        temps = np.full((len(place), len(edges) - 1), _NO_TEMP, np.int64)
        for period, gpu, temp_c in condition.hottest(found, edges):
            if gpu in place:
                temps[place[gpu], period] = temp_c
        told = _Told(
            condition.faults(found, edges[0], edges[-1]),
            condition.layouts(found, edges[0], edges[-1]),
            temps,
        )
    times = [datetime.fromtimestamp(edge, UTC) for edge in edges]
    for stays, period, did in measured(spans, readings, edges):
        mine = [spans.stays[number] for number in stays]
        temp_c = int(max(told.temps[number, period] for number in stays))
        stay = mine[-1]
        since, until = edges[period], edges[period + 1]
        yield (
            stay.source,
            stay.node,
            stay.index,
            stay.minor,
            None,
            stay.uuid,
            stay.model,
            _profiles(told, mine, since, until),
            times[period],
            times[period + 1],
            *_did(did),
            None if temp_c == _NO_TEMP else temp_c,
            *_suffered(told, mine, since, until, bool(did.used_s + did.idle_s)),
        )


def measured(
    spans: Spans, readings: Readings, edges: Sequence[int]
) -> Iterator[tuple[Sequence[int], int, Health]]:
    """Device by device and period by period: the places of its stays, the period, what it did.

    A device that left its place and came back has several stays there.
    """
    periods = len(edges) - 1
    for first, last in _blocks(spans.stays):
        cards = _cards(spans.stays, first, last)
        of = np.empty(last - first, np.int64)
        for number, card in enumerate(cards):
            of[np.array(card) - first] = number
        cells = _cells(spans, readings, edges, first, last, of, len(cards))
        for number, card in enumerate(cards):
            for period in range(periods):
                did = Health(*cells[number * periods + period])
                if did.here_s:
                    yield card, period, did


def _blocks(stays: Sequence[Stay]) -> Iterator[tuple[int, int]]:
    """Some stays at a time, those of one place together."""
    first = 0
    while first < len(stays):
        last = min(first + BLOCK_STAYS, len(stays))
        while last < len(stays) and _place(stays[last]) == _place(stays[last - 1]):
            last += 1
        yield first, last
        first = last


def _place(stay: Stay) -> tuple[str, str, int]:
    return stay.source, stay.node, stay.index


def _cards(stays: Sequence[Stay], first: int, last: int) -> list[list[int]]:
    """The places of the stays of each device, in the order of place and of first coming."""
    found: dict[tuple[object, ...], list[int]] = {}
    for number in range(first, last):
        found.setdefault((*_place(stays[number]), stays[number].uuid), []).append(number)
    return list(found.values())


def _cells(
    spans: Spans,
    readings: Readings,
    edges: Sequence[int],
    first: int,
    last: int,
    card: Ints,
    cards: int,
) -> list[tuple[int, ...]]:
    """The fields of `Health` by device and period of a block; sums are exact below 2**53."""
    count = len(edges) - 1
    size = cards * count
    mine = spans.stays[first:last]
    gpus = np.array([s.gpu for s in mine], np.int64)
    steps = spans.steps(first, last, edges)
    cell = card[steps.stay - first] * count + steps.period
    duration = steps.until - steps.since
    down = np.where(steps.rest == Rest.DOWN, WHOLE_MILLI - steps.held_milli, 0)

    def summed(where: Ints, amount: Ints) -> list[int]:
        total: list[int] = np.bincount(where, amount, size).astype(np.int64).tolist()
        return total

    held = steps.held_milli > 0
    at = steps.stay[held] - first
    idle = readings.use(gpus[at], steps.since[held], steps.until[held]).idle_s
    borders = np.asarray(edges, np.int64)
    since = np.maximum.outer(np.array([s.since for s in mine], np.int64), borders[:-1])
    until = np.minimum.outer(np.array([s.until for s in mine], np.int64), borders[1:])
    until = np.maximum(since, until)
    uses = readings.use(np.repeat(gpus, count), since.ravel(), until.ravel())
    by_stay = (card[:, None] * count + np.arange(count)).ravel()
    columns = (
        summed(by_stay, (until - since).ravel()),
        summed(cell, steps.held_milli * duration),
        summed(cell[held], idle * steps.held_milli[held]),
        summed(cell, down * duration),
        summed(by_stay, uses.used_s),
        summed(by_stay, uses.idle_s),
        summed(by_stay, uses.busy_milli_s),
        summed(by_stay, uses.energy_j),
        summed(by_stay, uses.powered_s),
    )
    return list(zip(*columns, strict=True))


def _did(did: Health) -> tuple[Value, ...]:
    """The columns from the hours seen to the energy."""
    seen_s = did.used_s + did.idle_s
    util: Decimal | None = None
    if seen_s and seen_s * _LEAST_COVERAGE >= did.here_s:
        util = _fixed(10 * did.busy_milli_s, seen_s, Kind.PCT)
    powered_s, energy_j = did.powered_s, did.energy_j
    return (
        _hours(WHOLE_MILLI * seen_s),
        _hours(did.allocated_ms),
        _hours(WHOLE_MILLI * did.used_s) if seen_s else None,
        _hours(did.idle_held_ms) if seen_s else None,
        _hours(did.down_ms),
        util,
        _fixed(100 * energy_j, powered_s, Kind.PCT) if powered_s else None,
        _fixed(energy_j, _J_PER_PLACE, Kind.ENERGY) if powered_s else None,
    )


def _hours(milli_s: int) -> Decimal:
    return _fixed(milli_s, _MS_PER_PLACE, Kind.HOURS)


def _fixed(amount: int, unit: int, kind: Kind) -> Decimal:
    """How many units an amount is, half to even, each one in the last place of a kind.

    `columns.rounded` does the same with fractions, which takes ten times as long: here are
    hundreds of thousands of rows.
    """
    whole, rest = divmod(amount, unit)
    whole += 2 * rest > unit or (2 * rest == unit and whole % 2)
    return Decimal(whole).scaleb(-PLACES[kind])


def _profiles(told: _Told, stays: Sequence[Stay], start: int, end: int) -> str | None:
    """`1g.18gb x4 + 3g.71gb`: the last layout that the device had in a period."""
    here = [
        layout
        for stay in stays
        for layout in told.layouts.get(stay.gpu, ())
        if layout.since < end and layout.until > start
    ]
    if not here:
        return None
    counts = Counter(max(here, key=lambda layout: layout.since).profiles)
    return " + ".join(f"{name} x{n}" if n > 1 else name for name, n in counts.items())


def _suffered(
    told: _Told, stays: Sequence[Stay], start: int, end: int, known: bool
) -> tuple[Value, ...]:
    """The columns from throttling to the last XID."""
    here = [
        fault
        for stay in stays
        for fault in told.faults.get(stay.gpu, ())
        if fault.since < end and fault.until > start
    ]
    known = known or bool(here)

    def of(kind: FaultKind) -> list[FaultSpan]:
        return [fault for fault in here if fault.kind is kind]

    slow = of(FaultKind.THROTTLED)
    errors = [int(n[1]) for f in of(FaultKind.ECC) if (n := _ERRORS.search(f.words))]
    xids = [(f.since, int(n[1])) for f in of(FaultKind.XID) if (n := _XID.search(f.words))]
    last = max(xids, default=None)
    unremapped = any(_UNREMAPPED in f.words for f in of(FaultKind.ROW_REMAP))
    return (
        _lasted([f for f in slow if _HEAT in f.words], start, end) if known else None,
        _lasted([f for f in slow if _POWER in f.words], start, end) if known else None,
        max(errors, default=0) if known else None,
        unremapped if known else None,
        None if last is None else last[1],
        None if last is None else datetime.fromtimestamp(last[0], UTC),
    )


def _lasted(faults: Sequence[FaultSpan], start: int, end: int) -> int:
    """Seconds within a period in which any of the faults was told."""
    total, upto = 0, start
    for fault in sorted(faults, key=lambda f: f.since):
        since, until = max(fault.since, upto), min(fault.until, end)
        total += max(0, until - since)
        upto = max(upto, until)
    return total
