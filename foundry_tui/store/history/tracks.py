"""Intervals, written only when something changes.

A track holds what is true now, key by key, for every source; told what is true at the next look it
closes and opens what differs. Between two looks the first one holds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

Value = tuple[int | str | None, ...]
Key = tuple[int | str, ...]


@dataclass(slots=True)
class _Open:
    """The open intervals of one source: value, row number and begin of each key."""

    values: dict[Key, Value] = field(default_factory=dict)
    rows: dict[Key, tuple[int, int]] = field(default_factory=dict)


class Track:
    """One table of intervals: `keys` columns that say of what, `values` columns that say what.

    `scope` is a query that gives the source of a row, for what is open when the file is opened.
    """

    def __init__(self, table: str, keys: Sequence[str], values: Sequence[str], scope: str) -> None:
        self.table = table
        self._keys = len(keys)
        columns = [*keys, *values]
        self._insert = (
            f"INSERT INTO {table} (id, {', '.join(columns)}, since) "
            f"VALUES (?, {', '.join('?' * len(columns))}, ?)"
        )
        self._load = f"SELECT ({scope}), id, since, {', '.join(columns)} FROM {table}"
        self._open: dict[int, _Open] = {}
        self._next_id = 1

    def load(self, db: sqlite3.Connection) -> None:
        """Take over what is open in the file."""
        self._open = {}
        for source, row, since, *rest in db.execute(f"{self._load} WHERE until IS NULL"):
            held = self._open.setdefault(source, _Open())
            key = tuple(rest[: self._keys])
            held.values[key] = tuple(rest[self._keys :])
            held.rows[key] = (row, since)
        (last,) = db.execute(f"SELECT max(id) FROM {self.table}").fetchone()
        self._next_id = (last or 0) + 1

    def holds(self, source: int) -> Mapping[Key, Value]:
        """What is true now."""
        held = self._open.get(source)
        return held.values if held is not None else {}

    def step(
        self,
        db: sqlite3.Connection,
        source: int,
        now: dict[Key, Value],
        at: int,
        *,
        began: Mapping[Hashable, int] | None = None,
        ended: Mapping[Hashable, int] | None = None,
    ) -> tuple[Key, ...]:
        """Make `now` what is true from `at` on; returns the keys that were opened.

        `began` and `ended` are exact times, by key, of what came and went since the last look.
        """
        held = self._open.setdefault(source, _Open())
        if held.values == now:
            return ()
        gone = [key for key, value in held.values.items() if now.get(key) != value]
        new = [key for key, value in now.items() if held.values.get(key) != value]
        self._close(db, held, [(key, (ended or {}).get(key, at)) for key in gone])
        rows = []
        for key in new:
            since = at if key in held.values else (began or {}).get(key, at)
            rows.append((self._next_id, *key, *now[key], since))
            held.rows[key] = (self._next_id, since)
            self._next_id += 1
        db.executemany(self._insert, rows)
        held.values = now
        return tuple(new)

    def lapse(self, db: sqlite3.Connection, source: int, at: int) -> None:
        """Close everything at `at`, right after the last look: what came then nobody has seen."""
        held = self._open.pop(source, None)
        if held is not None:
            self._close(db, held, [(key, at) for key in held.values])

    def _close(self, db: sqlite3.Connection, held: _Open, gone: Sequence[tuple[Key, int]]) -> None:
        ends = [(until, *held.rows.pop(key)) for key, until in gone]
        db.executemany(
            f"UPDATE {self.table} SET until = ? WHERE id = ?",
            [(until, row) for until, row, since in ends if until > since],
        )
        db.executemany(
            f"DELETE FROM {self.table} WHERE id = ?",
            [(row,) for until, row, since in ends if until <= since],
        )
