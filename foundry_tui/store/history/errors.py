"""The one error of the history, in words that name the file, what happened and what to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from foundry_tui.estate.text import safe


class HistoryError(Exception):
    """The history cannot be written or read. Everything else goes on without it."""


_DO = {
    sqlite3.SQLITE_FULL: ("the disk is full", "free some space, or set folder in [collector]"),
    sqlite3.SQLITE_BUSY: (
        "another program holds a lock on it",
        "end that program; the next minute is tried again",
    ),
    sqlite3.SQLITE_NOTADB: ("it is not a database", "move it away and a new one is begun"),
    sqlite3.SQLITE_CORRUPT: ("it is damaged", "move it away and a new one is begun"),
    sqlite3.SQLITE_READONLY: (
        "it cannot be written",
        "look at the rights of the file and its folder",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "it cannot be opened",
        "look at the rights of the file and its folder",
    ),
    sqlite3.SQLITE_IOERR: ("the disk refuses", "look at the disk, its quota and its space"),
}


def from_sqlite(file: Path, doing: str, error: sqlite3.Error) -> HistoryError:
    """What SQLite says as a `HistoryError`; `doing` is what was tried, as in "not recorded"."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte: without the extension
    what, mend = _DO.get(code, ("SQLite refuses", "move it away if this goes on"))
    return HistoryError(safe(f"history {doing}: {file}: {what} ({error}); {mend}", max_cells=1000))


def refused(file: Path, doing: str, why: str) -> HistoryError:
    """A `HistoryError` for what is found wrong before SQLite is asked."""
    return HistoryError(safe(f"history {doing}: {file}: {why}", max_cells=1000))
