"""Everything that was measured in a time, in memory, to be asked for millions of stretches of it.

`Past.use` asks the file for one GPU and one time, and takes a millisecond. A report asks for every
GPU of every run, so it reads the time once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from foundry_tui.store.history.measured import Measured
from foundry_tui.store.history.rollup import GRACE_WINDOWS
from foundry_tui.store.history.schema import HOUR_S, IDLE_LIMIT, QUARTER_S
from foundry_tui.store.history.window.grid import RAW, UNKNOWN, UNROLLED, Grid, Stays, Uses

if TYPE_CHECKING:
    from foundry_tui.store.history.window.grid import Ints

__all__ = ["UNKNOWN", "Readings", "Uses", "load"]

CHUNK = 1 << 16
"""Times that are asked for in one go: what is needed meanwhile stays small."""

_ADDED = ("used_s", "idle_s", "busy_milli_s", "energy_j", "powered_s")

_TABLES = {QUARTER_S: "quarter", HOUR_S: "hour"}

_FOREVER = 1 << 40
"""Later than any time: until when a device is there that is still there."""

_STAYS = (
    f"SELECT id, since, coalesce(until, {_FOREVER}) FROM device "
    "WHERE since < :end AND (until IS NULL OR until > :start) ORDER BY id"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """What was measured in `start <= t < end` (whole seconds), by devices as the history counts.

    `resolution_s` is the length of the periods that are known at most as wholes: within one, what
    was seen lies evenly. What is too young to be rolled up is finer. `idle_pct` is the utilisation
    up to which a minute counts as idle; what is rolled up was judged by that of its day.
    """

    start: int
    end: int
    resolution_s: int
    idle_pct: float
    stays: Stays
    grids: tuple[Grid, ...]

    def use(self, device: Ints, since: Ints, until: Ints) -> Uses:
        """What devices did in `since <= t < until`: arrays of one length, as is what comes back.

        What is neither used nor idle is unknown; so is all of a device that was not measured, of a
        time outside of its stay in the estate, and of a time outside of these readings. Adjacent
        times add up exactly, in every sum. A memory peak counts the periods that lie whole in the
        time, since of the others nobody knows whose it was.
        """
        total = Uses(**{name: np.zeros(device.size, dtype=np.int64) for name in Uses.__slots__})
        total.mem_peak_mib.fill(UNKNOWN)
        for first in range(0, device.size, CHUNK):
            part = slice(first, first + CHUNK)
            self._add(total, part, device[part], since[part], until[part])
        return total

    def _add(self, total: Uses, part: slice, device: Ints, since: Ints, until: Ints) -> None:
        """Put a part of what was asked into its part of the whole."""
        if not self.stays.gpu.size:
            return
        column = np.minimum(np.searchsorted(self.stays.gpu, device), self.stays.gpu.size - 1)
        known = self.stays.gpu[column] == device
        low = np.clip(since, self.start, self.end)
        high = np.where(known, np.clip(until, self.start, self.end), low)
        for grid in self.grids:
            found = grid.between(column, low, high)
            np.maximum(total.mem_peak_mib[part], found.mem_peak_mib, out=total.mem_peak_mib[part])
            for name in _ADDED:
                getattr(total, name)[part] += getattr(found, name)


def load(found: Measured, start: int, end: int, most_rows: int) -> Readings:
    """Read everything that was measured in `start <= t < end`.

    At the finest resolution that is kept for all of it and has at most `most_rows` cells; hours
    are taken in any case.
    """
    values = {"start": start, "end": end}
    rows = np.array(found.db.execute(_STAYS, values).fetchall(), dtype=np.int64).reshape(-1, 3)
    stays = Stays(*(np.ascontiguousarray(column) for column in rows.T))
    first = max(start, int(stays.since.min(initial=end)))
    last = min(end, found.meta.get("last", start))
    resolution = _resolution(found, first, last, most_rows // max(1, stays.gpu.size))
    grids = tuple(
        Grid(
            found.db,
            table,
            period,
            span,
            stays,
            step=found.step,
            idle_milli=found.meta.get(IDLE_LIMIT, 0),
        )
        for table, period, span in _spans(found, resolution, first, last)
        if stays.gpu.size
    )
    return Readings(
        start=start,
        end=end,
        resolution_s=resolution,
        idle_pct=found.meta.get(IDLE_LIMIT, 0) / 10,
        stays=stays,
        grids=grids,
    )


def _resolution(found: Measured, first: int, last: int, most_periods: int) -> int:
    """The finest period that is kept from `first` on, and not too often in the time."""
    for period, kept_from in ((found.step, found.raw_from), (QUARTER_S, found.quarter_from)):
        if first >= kept_from and (last - first) // period <= most_periods:
            return period
    return HOUR_S


def _spans(
    found: Measured, resolution: int, first: int, last: int
) -> list[tuple[str, int, tuple[int, int]]]:
    """Which table tells of what time, without overlap.

    Periods that are complete and not rolled up are rolled up in passing, so that it makes no
    difference when the collector does it; what comes after them is read minute by minute.
    """
    step = found.step
    done = complete = 0
    if resolution > step:
        done = found.meta.get("rolled_900", 0)
        if resolution == HOUR_S:
            done = min(done, found.meta.get("rolled_3600", 0)) // HOUR_S * HOUR_S
        ready = (found.meta.get("last", 0) // step - GRACE_WINDOWS) * step
        complete = max(done, ready // resolution * resolution)
    end = -(-last // step) * step
    return [
        (table, period, (low, high))
        for table, period, begin, until in (
            (_TABLES.get(resolution, RAW), resolution, 0, done),
            (UNROLLED, resolution, done, complete),
            (RAW, step, complete, end),
        )
        if (low := max(begin, first // period * period))
        < (high := min(until, -(-last // period) * period))
    ]
