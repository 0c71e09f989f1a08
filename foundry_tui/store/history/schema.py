"""The tables of the history, and how an older file becomes a newer one.

Times are whole seconds since 1970 (UTC). A minute is known by its end: the row `ts` tells of
`ts - 60 < t <= ts`. What changes rarely is kept as intervals `since <= t < until`, where an open
one has no `until` and is true as far as its source was last seen.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foundry_tui.store.history.errors import refused

if TYPE_CHECKING:
    from sqlite_utils import Database

QUARTER_S = 900
HOUR_S = 3600
IDLE_LIMIT = "idle_milli"
"""Name of the idle threshold in thousandths, as the writer was told."""

ROLLED = (
    "n_expected", "n_seen", "sum_util", "max_util", "n_zero", "n_idle", "max_mem_mib", "n_power",
    "sum_power_w", "max_temp_c",
)  # fmt: skip
"""Columns of the roll-ups after ts and gpu.

Of the minutes that end within the period: how many there were while the GPU was in the estate and
how many have a utilisation; its sum in thousandths, its highest in per cent; how many without any
work, and how many at or below the idle threshold; the most memory; how many have a power, and the
sum in W; the highest temperature.
"""

_TRACKS: dict[str, dict[str, Any]] = {
    "source_state": {"source": int, "state": str, "reason": str},
    "node_facts": {
        "node": int,
        "gpu_model": str,
        "gpu_count": int,
        "cpu_milli": int,
        "memory_bytes": int,
        "features": str,
        "queues": str,
    },
    "node_state": {
        "node": int,
        "state": str,
        "reason": str,
        "reason_since": int,
        "gpu_milli": int,
        "cpu_milli": int,
        "memory_bytes": int,
    },
    "queue_facts": {"queue": int, "facts": str},
    "queue_sample": {
        "queue": int,
        "allocated_gpu_milli": int,
        "requested_gpu_milli": int,
        "fair_share_gpu_milli": int,
        "non_preemptible_gpu_milli": int,
        "running": int,
        "waiting": int,
        "oldest": int,
    },
    "allocation": {"gpu": int, "run": int, "milli": int, "share": str, "suspended": int},
    "presence": {"gpu": int},
    "layout": {"gpu": int, "slices": str},
    "fault": {"gpu": int, "kind": str, "words": str, "grave": int},
}
"""Tables of intervals, with the columns that stand before `since` and `until`."""


def tables(db: Database) -> None:
    """Schema 1: everything."""
    db.table("meta").create({"key": str, "value": int}, pk="key", not_null={"value"})
    db.table("source").create({"id": int, "name": str, "kind": str, "seen": int}, pk="id")
    db.table("node").create({"id": int, "source": int, "name": str}, pk="id")
    db.table("queue").create({"id": int, "source": int, "kind": str, "name": str}, pk="id")
    db.table("device").create(
        {"id": int, "source": int, "node": str, "idx": int, "uuid": str, "model": str,
         "minor": int, "mem_mib": int, "since": int, "until": int},
        pk="id",
        not_null={"source", "node", "idx", "since"},
    )  # fmt: skip
    db.table("device").create_index(["source", "node", "idx"])
    db.table("run").create(
        {"id": int, "run": str, "source": int, "native_id": str, "scheduler": str, "name": str,
         "user": str, "account": str, "queue": str, "qos": str, "gpu_model": str,
         "gpu_count": int, "gpu_milli": int, "nodes": int, "cpu_milli": int,
         "memory_bytes": int, "time_limit_s": int, "submitted": int, "started": int},
        pk="id",
    )  # fmt: skip
    db.table("run").create_index(["run"], unique=True)
    db.table("idle").create({"gpu": int, "since": int}, pk="gpu", not_null={"since"})
    for name, track in _TRACKS.items():
        db.table(name).create(
            {"id": int, **track, "since": int, "until": int}, pk="id", not_null={"since"}
        )
        db.table(name).create_index(["until", "since"])
    db.table("allocation").create_index(["run"])
    db.table("allocation").create_index(["gpu", "since"])
    # what is written every minute has the time first and no row number: a page is filled once
    db.execute(
        "CREATE TABLE raw (ts INTEGER, gpu INTEGER, util INTEGER, util_max INTEGER, "
        "mem_mib INTEGER, power_w INTEGER, temp_c INTEGER, PRIMARY KEY (ts, gpu)) WITHOUT ROWID"
    )
    columns = ", ".join(f"{name} INTEGER" for name in ROLLED)
    for level in ("quarter", "hour"):
        db.execute(
            f"CREATE TABLE {level} (ts INTEGER, gpu INTEGER, {columns}, PRIMARY KEY (ts, gpu)) "
            "WITHOUT ROWID"
        )


MIGRATIONS: Sequence[Callable[[Database], None]] = (tables,)
"""Step n makes schema n + 1 of schema n; an empty file is schema 0."""


def version(db: sqlite3.Connection) -> int:
    """The schema of a file."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def check_version(db: sqlite3.Connection, file: Path, doing: str) -> int:
    """The schema of a file that this program knows.

    Raises:
        HistoryError: it is newer.
        sqlite3.Error: it cannot be read.
    """
    found = version(db)
    if found > len(MIGRATIONS):
        raise refused(
            file,
            doing,
            f"its schema is {found}, written by a newer foundry; this one knows up to "
            f"{len(MIGRATIONS)}: update it, or set another folder in [collector]",
        )
    return found


def migrate(db: sqlite3.Connection, file: Path) -> None:
    """Bring a file to the newest schema, each step with its number in one transaction.

    Raises:
        HistoryError: the file's schema is newer than any known here.
        sqlite3.Error: a step failed, and the file is as it was before that step.
    """
    found = check_version(db, file, "not opened")
    if found == len(MIGRATIONS):
        return
    from sqlite_utils import Database  # imported in a quarter of a second, and rarely needed

    tool = Database(db, execute_plugins=False)
    for number in range(found, len(MIGRATIONS)):
        with tool.atomic():
            MIGRATIONS[number](tool)
            db.execute(f"PRAGMA user_version = {number + 1}")
