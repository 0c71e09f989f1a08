"""Since when a GPU does nothing: the begin of the unbroken time without work, kept over restarts.

More than three windows without a sample break it, since what happened then is unknown.
"""

from __future__ import annotations

import sqlite3

from foundry_tui.store.history.values import resting

GAP_WINDOWS = 3

LATEST = "SELECT gpu, max(ts) FROM raw WHERE ts >= ? AND util IS NOT NULL GROUP BY gpu"
"""The last sample of each GPU from a time on."""


class Idle:
    """The marks of the GPUs by their numbers. `last` is the last window recorded of each."""

    def __init__(self, limit: int) -> None:
        self.since: dict[int, int] = {}
        self.last: dict[int, int] = {}
        self._limit = limit
        self._sampled: dict[int, int] = {}
        self._changed: set[int] = set()

    def load(self, db: sqlite3.Connection, last_ts: int | None, step: int) -> None:
        """Take over what is in the file."""
        self.since = dict(db.execute("SELECT gpu, since FROM idle"))
        oldest = (last_ts or 0) - GAP_WINDOWS * step
        self._sampled = dict(db.execute(LATEST, (oldest,)))
        self.last = dict(
            db.execute("SELECT gpu, max(ts) FROM raw WHERE ts >= ? GROUP BY gpu", (oldest,))
        )

    def add(self, gpu: int, ts: int, util: int | None, util_max: int | None, step: int) -> None:
        """Take in a sample; without a utilisation it tells nothing."""
        self.last[gpu] = ts
        if util is None:
            return
        begun = self.since.get(gpu)
        if not resting(util, util_max, self._limit):
            if begun is not None:
                del self.since[gpu]
                self._changed.add(gpu)
        elif begun is None or ts - self._sampled.get(gpu, 0) > GAP_WINDOWS * step:
            self.since[gpu] = ts - step
            self._changed.add(gpu)
        self._sampled[gpu] = ts

    def forget(self, gpu: int) -> None:
        """A GPU left the estate."""
        self.last.pop(gpu, None)
        self._sampled.pop(gpu, None)
        if self.since.pop(gpu, None) is not None:
            self._changed.add(gpu)

    def save(self, db: sqlite3.Connection) -> None:
        """Write what changed."""
        marks = [(gpu, self.since[gpu]) for gpu in self._changed if gpu in self.since]
        gone = [(gpu,) for gpu in self._changed if gpu not in self.since]
        db.executemany("INSERT OR REPLACE INTO idle VALUES (?, ?)", marks)
        db.executemany("DELETE FROM idle WHERE gpu = ?", gone)
        self._changed.clear()

    def marks(self, last_ts: int, step: int) -> dict[int, int]:
        """Since when, by GPU; without those of which nothing was heard lately."""
        oldest = last_ts - GAP_WINDOWS * step
        return {g: s for g, s in self.since.items() if self._sampled.get(g, 0) >= oldest}
