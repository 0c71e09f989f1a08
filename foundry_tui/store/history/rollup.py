"""Rolling minutes up to quarters of an hour and these to hours, each period exactly once.

A period is rolled up when three windows after it have passed, in one transaction with the mark that
says so. It is computed from what it is made of and replaces what was there, so that doing it again,
after a late reading or a crash, changes nothing that is right.
"""

from __future__ import annotations

import sqlite3

from foundry_tui.store.history.schema import HOUR_S, QUARTER_S, ROLLED
from foundry_tui.store.history.values import RESTING

GRACE_WINDOWS = 3

EXPECTED = "(min(:until, coalesce(d.until, :until)) - max(:since, d.since)) / :step"
"""Windows that end within a period while the device `d` was in the estate."""

_QUARTER = f"""
INSERT OR REPLACE INTO quarter (ts, gpu, {", ".join(ROLLED)})
SELECT :until, r.gpu, {EXPECTED}, count(r.util), coalesce(sum(r.util), 0),
  max(coalesce(r.util_max, (r.util + 9) / 10)),
  count(CASE WHEN coalesce(r.util_max, r.util) = 0 THEN 1 END),
  count(CASE WHEN {RESTING} THEN 1 END), max(r.mem_mib), count(r.power_w),
  coalesce(sum(r.power_w), 0), max(r.temp_c)
FROM raw r JOIN device d ON d.id = r.gpu
WHERE r.ts > :since AND r.ts <= :until GROUP BY r.gpu
"""

_HOUR = f"""
INSERT OR REPLACE INTO hour (ts, gpu, {", ".join(ROLLED)})
SELECT :until, q.gpu, {EXPECTED}, sum(q.n_seen), sum(q.sum_util), max(q.max_util), sum(q.n_zero),
  sum(q.n_idle), max(q.max_mem_mib), sum(q.n_power), sum(q.sum_power_w), max(q.max_temp_c)
FROM quarter q JOIN device d ON d.id = q.gpu
WHERE q.ts > :since AND q.ts <= :until GROUP BY q.gpu
"""

_LEVELS = (
    ("rolled_900", QUARTER_S, "raw", _QUARTER),
    ("rolled_3600", HOUR_S, "quarter", _HOUR),
)


def roll_up(db: sqlite3.Connection, idle_milli: int) -> None:
    """Roll up every period that is complete and was not yet."""
    meta = dict(db.execute("SELECT key, value FROM meta"))
    if "last" not in meta:
        return
    step = meta["step_s"]
    ready = meta["last"] // step * step - GRACE_WINDOWS * step
    for name, period, below, statement in _LEVELS:
        done = max(meta.get(name, 0), meta.get("raw_from", 0))
        while (since := _next(db, below, done, period)) is not None and since + period <= ready:
            values = {"since": since, "until": since + period, "step": step, "limit": idle_milli}
            db.execute("BEGIN IMMEDIATE")
            db.execute(statement, values)
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, since + period))
            db.execute("COMMIT")
            done = since + period
        ready = max(done, ready // period * period)  # in between nothing was measured
        db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, ready))


def _next(db: sqlite3.Connection, table: str, done: int, period: int) -> int | None:
    """The begin of the first period after `done` that holds anything."""
    (first,) = db.execute(f"SELECT min(ts) FROM {table} WHERE ts > ?", (done,)).fetchone()
    return None if first is None else (first - 1) // period * period
