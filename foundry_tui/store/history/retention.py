"""Forgetting what is too old, and giving its space back to the disk.

Only what was rolled up is forgotten, and always whole hours, so that a period is either kept minute
by minute or not at all. Each step is a transaction of its own and short: readers see no difference
and a crash leaves the rest for the next time.
"""

from __future__ import annotations

import sqlite3

from foundry_tui.store.history.schema import HOUR_S
from foundry_tui.store.history.shapes import Keep

DAY_S = 86400
CHUNK_ROWS = 100_000
"""Rows that are deleted in one transaction, about."""

CHUNK_PAGES = 1000
"""Pages that are given back in one step: 8 MB."""

FREE_SHARE = 0.1
"""Part of the file that may be free; what is freed in a day is filled again in the next."""

_SLOW = (
    "allocation",
    "presence",
    "fault",
    "layout",
    "node_facts",
    "node_state",
    "queue_facts",
    "source_state",
)
"""Intervals that are kept as long as the hours."""


def forget(db: sqlite3.Connection, keep: Keep) -> None:
    """Delete what is older than is kept, as far as it was rolled up."""
    meta = dict(db.execute("SELECT key, value FROM meta"))
    if "last" not in meta:
        return
    last = meta["last"]
    raw = min(_cut(last, keep.raw_hours * HOUR_S), meta.get("rolled_3600", 0))
    quarter = min(_cut(last, keep.quarter_days * DAY_S), raw)
    hour = min(_cut(last, keep.hourly_days * DAY_S), quarter)
    for table, name, cut in (
        ("raw", "raw_from", raw),
        ("quarter", "quarter_from", quarter),
        ("hour", "hour_from", hour),
    ):
        before = meta.get(name, 0)
        if cut > before:  # before the first row goes: what is left may be incomplete
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, cut))
        _delete(db, table, max(cut, before))
    db.execute("DELETE FROM queue_sample WHERE until <= ?", (quarter,))
    gone = sum(
        db.execute(f"DELETE FROM {table} WHERE until <= ?", (hour,)).rowcount for table in _SLOW
    )
    if gone:
        db.execute("DELETE FROM run WHERE id NOT IN (SELECT run FROM allocation)")


def _cut(last: int, keep_s: float) -> int:
    return int(last - keep_s) // HOUR_S * HOUR_S


def _delete(db: sqlite3.Connection, table: str, cut: int) -> None:
    """Delete all rows up to a time, some windows of all GPUs at once."""
    while True:
        rows = db.execute(
            f"SELECT ts FROM {table} WHERE ts <= ? ORDER BY ts LIMIT 1 OFFSET ?",
            (cut, CHUNK_ROWS),
        ).fetchone()
        upto = cut if rows is None else rows[0]
        db.execute(f"DELETE FROM {table} WHERE ts <= ?", (upto,))
        if rows is None:
            return


def give_back(db: sqlite3.Connection) -> None:
    """Give free pages and the log's space back to the disk, where there is much of it."""
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    (free,) = db.execute("PRAGMA freelist_count").fetchone()
    for _ in range(0, free - int(pages * FREE_SHARE), CHUNK_PAGES):
        # it works page by page, one for each step; `execute` would take one step only
        db.executescript(f"PRAGMA incremental_vacuum({CHUNK_PAGES})")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
