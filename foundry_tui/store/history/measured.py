"""Reading what was measured of one GPU: minutes while they are kept, then quarters, then hours.

Rows lie in the order of time, all GPUs of a minute together. One GPU is therefore read by asking
for each of its minutes, which is as quick with ten thousand GPUs as with one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from foundry_tui.store.history.schema import HOUR_S, QUARTER_S
from foundry_tui.store.history.values import RESTING


@dataclass(frozen=True, slots=True)
class Piece:
    """A minute or a period, `since < t <= until`, and what was seen in it.

    It is no longer than its GPU was in the estate.
    `used_s` and `idle_s` are seconds, `busy_milli_s` thousandths of a second; `util_max` is in per
    cent, `energy_j` what the `power_s` seconds with a known power used.
    """

    since: int
    until: int
    used_s: int
    idle_s: int
    busy_milli_s: int
    util_max: int | None
    mem_mib: int | None
    energy_j: int
    power_s: int

    @property
    def seen_s(self) -> int:
        """Seconds with a utilisation."""
        return self.used_s + self.idle_s


_TIMES = (
    "WITH RECURSIVE t(ts) AS (SELECT :first UNION ALL "
    "SELECT ts + :period FROM t WHERE ts + :period <= :final) "
)

_MINUTES = f"""SELECT r.ts, r.util IS NOT NULL, {RESTING}, coalesce(r.util, 0),
  coalesce(r.util_max, (r.util + 9) / 10), r.mem_mib, r.power_w IS NOT NULL,
  coalesce(r.power_w, 0)
FROM t CROSS JOIN raw r ON r.ts = t.ts AND r.gpu = :gpu"""

_ROLLED = """SELECT r.ts, r.n_seen, r.n_idle, r.sum_util, r.max_util, r.max_mem_mib,
  r.n_power, r.sum_power_w
FROM t CROSS JOIN {table} r ON r.ts = t.ts AND r.gpu = :gpu"""


@dataclass(frozen=True, slots=True)
class Stay:
    """A device by its number, and when it was in the estate: still, without `until`."""

    gpu: int
    since: int
    until: int | None


class Measured:
    """What was measured, in one read transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.meta: Mapping[str, int] = dict(db.execute("SELECT key, value FROM meta"))
        self.step = self.meta.get("step_s", 60)
        self._idle_milli = self.meta.get("idle_milli", 0)
        self.raw_from = self.meta.get("raw_from", 0)
        self.quarter_from = self.meta.get("quarter_from", 0)

    def finest(self, stay: Stay, since: int, until: int) -> Iterator[Piece]:
        """Every piece that holds a moment of `since <= t < until`, the finest that is kept."""
        marks = (self.quarter_from, self.raw_from)
        yield from self._table("hour", HOUR_S, stay, since, min(until, marks[0]))
        yield from self._table(
            "quarter", QUARTER_S, stay, max(since, marks[0]), min(until, marks[1])
        )
        yield from self._table("raw", self.step, stay, max(since, marks[1]), until)

    def by(self, period: int, stay: Stay, since: int, until: int) -> Iterator[Piece]:
        """Every piece in a time, of a period or finer where that was not rolled up yet."""
        quarters = self.meta.get("rolled_900", 0) if period >= QUARTER_S else 0
        hours = min(quarters, self.meta.get("rolled_3600", 0)) if period >= HOUR_S else 0
        yield from self._table("hour", HOUR_S, stay, since, min(until, hours))
        yield from self._table("quarter", QUARTER_S, stay, max(since, hours), min(until, quarters))
        yield from self._table("raw", self.step, stay, max(since, quarters), until)

    def _table(
        self, table: str, period: int, stay: Stay, since: int, until: int
    ) -> Iterator[Piece]:
        if until <= since:
            return
        minutes = table == "raw"
        values = {
            "first": since // period * period + period,
            "final": -(-until // period) * period,
            "period": period,
            "gpu": stay.gpu,
            "limit": self._idle_milli,
        }
        query = _TIMES + (_MINUTES if minutes else _ROLLED.format(table=table))
        for ts, seen, idle, util, util_max, mem, powered, power in self.db.execute(query, values):
            idle_s = (idle or 0) * self.step
            yield Piece(
                since=max(ts - period, stay.since),
                until=ts if stay.until is None else min(ts, stay.until),
                used_s=seen * self.step - idle_s,
                idle_s=idle_s,
                busy_milli_s=util * self.step,
                util_max=util_max,
                mem_mib=mem,
                energy_j=power * self.step,
                power_s=powered * self.step,
            )


def stays(
    db: sqlite3.Connection, source: str, node: str, index: int, since: int, until: int
) -> Sequence[Stay]:
    """The devices that were at a place in a time."""
    rows = db.execute(
        "SELECT d.id, d.since, d.until FROM device d JOIN source s ON s.id = d.source "
        "WHERE s.name = ? AND d.node = ? AND d.idx = ? AND d.since < ? "
        "AND (d.until IS NULL OR d.until > ?) ORDER BY d.since",
        (source, node, index, until, since),
    )
    return [Stay(*row) for row in rows]
