"""The errors of the mirror, in words that name the file, what happened and what to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from foundry_tui.estate.text import safe


class MirrorError(Exception):
    """The mirror cannot be read or written. The tracking server can still be asked itself."""


class MirrorDamaged(MirrorError):
    """The file is no mirror, or is damaged; `Mirror.begin_anew` sets it aside."""


_DAMAGED = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
_DO = {
    sqlite3.SQLITE_FULL: "the disk is full: free some space, or set cache_dir",
    sqlite3.SQLITE_BUSY: "another program holds a lock on it: try again",
    sqlite3.SQLITE_READONLY: "it cannot be written: look at the rights of file and folder",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: look at the rights of file and folder",
    sqlite3.SQLITE_IOERR: "the disk refuses: look at the disk, its quota and its space",
}


def from_sqlite(file: Path | None, doing: str, error: sqlite3.Error) -> MirrorError:
    """What SQLite says, as an error of ours; `doing` is what was tried, as in "not read"."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte: without the extension
    if code in _DAMAGED:
        return MirrorDamaged(_line(file, doing, f"it is damaged ({error}); it is begun anew"))
    return MirrorError(_line(file, doing, f"{_DO.get(code, 'SQLite refuses')} ({error})"))


def refused(file: Path | None, doing: str, why: str) -> MirrorError:
    """An error for what is found wrong before SQLite is asked."""
    return MirrorError(_line(file, doing, why))


def _line(file: Path | None, doing: str, why: str) -> str:
    where = "" if file is None else f": {file}"
    return safe(f"copy of the tracked runs {doing}{where}: {why}", max_cells=1000)
