"""What was measured of many devices at once, summed up over time, so that any time is two looks.

A grid has a row for the end of every period and a column for every device. Each cell holds what
came before it, so that what happened between two moments is one cell taken from another.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from foundry_tui.store.history.values import RESTING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

UNKNOWN = -1
"""Stands for memory that was not measured."""

BLOCK_ROWS = 200_000
"""Rows that are read from the file in one piece, about."""

_UTIL_MOST = 1000
"""Thousandths: the most that a window adds to a sum of utilisation."""

_MEM_MOST = (1 << 31) - 1
"""MiB: more is what no device has and some driver said."""

_COUNT_BITS = 12
_COUNT_MOST = (1 << _COUNT_BITS) - 1
"""A period has at most 3600 windows: the numbers of them share a column with something larger."""

_QUERY = f"""SELECT ts, (gpu << {2 * _COUNT_BITS}) | ({{seen}} << {_COUNT_BITS}) | {{idle}},
  {{util}}, coalesce({{memory}}, {UNKNOWN}), ({{power}} << {_COUNT_BITS}) | {{powered}}
FROM {{table}} WHERE ts > :since AND ts <= :until"""
"""Few columns, since making Python's integers of them is what takes the time."""

_COLUMNS = 5

RAW, UNROLLED = "raw", "unrolled"
"""Minutes as they are, and rolled up in passing to the period of a grid."""

_ROLLED = {
    "seen": "n_seen",
    "idle": "n_idle",
    "util": "sum_util",
    "memory": "max_mem_mib",
    "power": "sum_power_w",
    "powered": "n_power",
}
_QUERIES = {
    RAW: _QUERY.format(
        table="raw",
        seen="(util IS NOT NULL)",
        idle=f"coalesce({RESTING}, 0)",
        util="coalesce(util, 0)",
        memory="mem_mib",
        power="coalesce(power_w, 0)",
        powered="(power_w IS NOT NULL)",
    ),
    UNROLLED: _QUERY.format(
        table=f"""(
  SELECT (ts + :period - 1) / :period * :period AS ts, gpu, count(util) AS n_seen,
    count(CASE WHEN {RESTING} THEN 1 END) AS n_idle, coalesce(sum(util), 0) AS sum_util,
    max(mem_mib) AS max_mem_mib, count(power_w) AS n_power,
    coalesce(sum(power_w), 0) AS sum_power_w
  FROM raw WHERE ts > :since AND ts <= :until GROUP BY 1, gpu)""",
        **_ROLLED,
    ),
    **{table: _QUERY.format(table=table, **_ROLLED) for table in ("quarter", "hour")},
}


@dataclass(frozen=True, slots=True)
class Stays:
    """Devices by their numbers, in rising order, and when each was in the estate (seconds)."""

    gpu: Ints
    since: Ints
    until: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Uses:
    """What devices did in times; arrays of one length. `mem_peak_mib` is UNKNOWN without any."""

    used_s: Ints
    idle_s: Ints
    busy_milli_s: Ints
    energy_j: Ints
    powered_s: Ints
    mem_peak_mib: Ints


class Grid:
    """One table of the history between two times, which are whole periods.

    Counts are in windows of `step` seconds, in 32 bits where the largest sum fits: a month of ten
    thousand devices by hours is seven million cells.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        table: str,
        period: int,
        span: tuple[int, int],
        stays: Stays,
        *,
        step: int,
        idle_milli: int,
    ) -> None:
        self.since, self.until = span
        self.period = period
        self._step = step
        self._stays = stays
        self._periods = (self.until - self.since) // period
        shape = (self._periods + 1, stays.gpu.size)
        windows = (self.until - self.since) // step
        small = np.int32 if windows * _UTIL_MOST < 1 << 31 else np.int64
        self._seen, self._idle, self._util, self._powered = (
            np.zeros(shape, dtype=small) for _ in range(4)
        )
        self._power = np.zeros(shape, dtype=np.int64)
        # of each device its periods in a row, and one more cell, where the last one ends
        self._mem = np.full(stays.gpu.size * self._periods + 1, UNKNOWN, dtype=np.int32)
        for rows in self._rows(db, table, idle_milli):
            self._put(rows)
        for sums in (self._seen, self._idle, self._util, self._powered, self._power):
            np.cumsum(sums, axis=0, out=sums)

    def _rows(self, db: sqlite3.Connection, table: str, idle_milli: int) -> Iterator[Ints]:
        times = max(1, BLOCK_ROWS // max(1, self._stays.gpu.size)) * self.period
        for since in range(self.since, self.until, times):
            values = {
                "since": since,
                "until": min(since + times, self.until),
                "limit": idle_milli,
                "period": self.period,
            }
            found = chain.from_iterable(db.execute(_QUERIES[table], values))
            yield np.fromiter(found, dtype=np.int64).reshape(-1, _COLUMNS)

    def _put(self, rows: Ints) -> None:
        """Take in rows; those of other devices, and those outside of the stays, are left out."""
        ts, gpu = rows[:, 0], rows[:, 1] >> 2 * _COUNT_BITS
        column = np.searchsorted(self._stays.gpu, gpu)
        column[column == self._stays.gpu.size] = 0
        good = (
            (self._stays.gpu[column] == gpu)
            & (self._stays.until[column] > ts - self.period)
            & (self._stays.since[column] < ts)
        )
        if not good.all():
            rows, column, ts = rows[good], column[good], ts[good]
        cell = (ts - self.since) // self.period
        for sums, values in (
            (self._seen, rows[:, 1] >> _COUNT_BITS & _COUNT_MOST),
            (self._idle, rows[:, 1] & _COUNT_MOST),
            (self._util, rows[:, 2]),
            (self._powered, rows[:, 4] & _COUNT_MOST),
            (self._power, rows[:, 4] >> _COUNT_BITS),
        ):
            sums[cell, column] = values
        self._mem[column * self._periods + cell - 1] = np.minimum(rows[:, 3], _MEM_MOST)

    def between(self, column: Ints, since: Ints, until: Ints) -> Uses:
        """What these devices, by their columns, did in `since <= t < until`, each in its time."""
        low, high = np.clip(since, self.since, self.until), np.clip(until, self.since, self.until)
        high = np.maximum(low, high)
        before, upto = self._before(column, low), self._before(column, high)
        used, idle, busy, energy, powered = (
            after - so_far for after, so_far in zip(upto, before, strict=True)
        )
        return Uses(
            used_s=used,
            idle_s=idle,
            busy_milli_s=busy,
            energy_j=energy,
            powered_s=powered,
            mem_peak_mib=self._peak(column, low, high),
        )

    def _before(self, column: Ints, at: Ints) -> tuple[Ints, Ints, Ints, Ints, Ints]:
        """Used, idle, busy, energy and powered before a moment, as `Uses` has them.

        Of the period in which it lies its part, rounded down: what was measured lies evenly over
        that part of the period in which the device was in the estate. The used seconds are the
        rounded-down part of the known ones, so that both sums only grow.
        """
        cell = np.minimum((at - self.since) // self.period, self._periods - 1)
        begin = self.since + cell * self.period
        first = np.maximum(begin, self._stays.since[column])
        length = np.minimum(begin + self.period, self._stays.until[column]) - first
        gone = np.clip(at - first, 0, np.maximum(length, 0))
        length = np.maximum(length, 1)  # no stay, nothing measured
        place = cell * self._stays.gpu.size + column
        seen, idle, util, powered, power = (
            self._cell(sums, place)
            for sums in (self._seen, self._idle, self._util, self._powered, self._power)
        )
        known = seen[1] * gone // length
        used = (seen[1] - idle[1]) * known // np.maximum(seen[1], 1)
        return (
            seen[0] - idle[0] + used,
            idle[0] + known - used,
            util[0] + util[1] * gone // length,
            power[0] + power[1] * gone // length,
            powered[0] + powered[1] * gone // length,
        )

    def _cell(self, sums: NDArray[np.int32] | NDArray[np.int64], place: Ints) -> tuple[Ints, Ints]:
        """What came before periods, and what came in them, in seconds times the unit."""
        before = sums.take(place).astype(np.int64)
        return before * self._step, (sums.take(place + self._stays.gpu.size) - before) * self._step

    def _peak(self, column: Ints, since: Ints, until: Ints) -> Ints:
        """The most memory in the periods that lie whole in times; those cut may be another's.

        Whole is as much of a period as the device was in the estate.
        """
        came, went = self._stays.since[column], self._stays.until[column]
        since = np.where(since <= came, np.minimum(came // self.period * self.period, since), since)
        until = np.where(until >= went, -(-went // self.period) * self.period, until)
        first = -(-(np.maximum(since, self.since) - self.since) // self.period)
        last = (np.minimum(until, self.until) - self.since) // self.period
        found = np.full(column.size, UNKNOWN, dtype=np.int64)
        some = np.flatnonzero(last > first)
        if not some.size:
            return found
        begin = column[some] * self._periods
        some = some[np.argsort(begin + first[some], kind="stable")]  # little lies in between
        begin = column[some] * self._periods
        edges = np.stack([begin + first[some], begin + last[some]], axis=1)
        found[some] = np.maximum.reduceat(self._mem, edges.ravel())[::2]
        return found
