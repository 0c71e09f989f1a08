"""The history's files: whose they are, where they lie, and how they are opened.

SQLite opens files by name and closes descriptors of its own kind only: a descriptor of the
database that this process opened and closed besides would drop the locks of every connection it
has. So what exists is looked at by name; the folder is the user's own, and nobody else can swap
what lies in it.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
from collections.abc import Collection
from pathlib import Path
from urllib.parse import quote

from foundry_tui.config.owned import OTHERS_ANY, OTHERS_WRITE, distrust, open_own
from foundry_tui.store.history.errors import from_sqlite, refused
from foundry_tui.store.history.schema import check_version

FILE = "history.sqlite"
LOCK = "history.lock"
PAGE_BYTES = 8192
LOCK_WAIT_S = 5.0
"""Seconds to wait for another connection's lock, before giving up."""

_MAY_READ = OTHERS_WRITE | stat.S_IRWXO
"""Mode bits that must not be set where a group may read."""


def prepare(folder: Path, *, shared: bool) -> Path:
    """Make folder and file where they are missing, check them, and give the file's path.

    Raises:
        HistoryError: one of them is not the user's own, others may do too much with it, it is a
            symbolic link, or it cannot be made.
    """
    file = folder / FILE
    try:
        if not folder.is_dir():
            folder.mkdir(mode=0o700, parents=True)
            folder.chmod(0o750 if shared else 0o700)
        check(folder, _MAY_READ if shared else OTHERS_ANY)
        if not os.path.lexists(file):
            fd = open_own(file, OTHERS_WRITE, os.O_RDWR | os.O_CREAT | os.O_EXCL)
            os.fchmod(fd, 0o640 if shared else 0o600)
            os.close(fd)
    except OSError as error:
        raise refused(file, "not opened", error.strerror or str(error)) from error
    return file


def check(folder: Path, denied: int, owners: Collection[int] | None = None) -> None:
    """Whether the folder and its files can be trusted; `denied` as in `config.owned.distrust`.

    Raises:
        HistoryError: no, and why.
        OSError: it cannot be looked at.
    """
    info = folder.lstat()
    why = distrust(info, denied, owners)
    if not stat.S_ISDIR(info.st_mode):
        why = "it is not a folder (a symbolic link is refused here)"
    if why is not None:
        raise refused(folder, "not opened", why)
    for suffix in ("", "-wal", "-shm", "-journal"):
        file = folder / (FILE + suffix)
        try:
            info = file.lstat()
        except FileNotFoundError:
            continue
        why = distrust(info, OTHERS_WRITE, owners)
        if not stat.S_ISREG(info.st_mode):
            why = "it is not a regular file (a symbolic link is refused here)"
        if why is not None:
            raise refused(file, "not opened", why)


def only_writer(folder: Path) -> int:
    """Take the lock that says who writes, as a descriptor; it goes with the process.

    Raises:
        HistoryError: another process has it, or it cannot be had.
    """
    lock = folder / LOCK
    try:
        fd = open_own(lock, OTHERS_WRITE, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise refused(lock, "not opened", error.strerror or str(error)) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise refused(
            folder / FILE, "not opened", "another foundry writes it; this one can only read"
        ) from None
    except OSError as error:
        os.close(fd)
        raise refused(lock, "not opened", f"it cannot be locked: {error.strerror}") from error
    return fd


def to_write(file: Path, *, network: bool) -> sqlite3.Connection:
    """A connection that writes; on a `network` file system without WAL, which fails there.

    A file of a newer schema is not touched.

    Raises:
        HistoryError: its schema is newer than any known here.
        sqlite3.Error: the file cannot be opened, is damaged or locked.
    """
    db = sqlite3.connect(file, timeout=LOCK_WAIT_S, isolation_level=None, check_same_thread=False)
    try:
        if not check_version(db, file, "not opened"):  # both only count for an empty file
            db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute(f"PRAGMA journal_mode = {'DELETE' if network else 'WAL'}")
        db.execute(f"PRAGMA synchronous = {'FULL' if network else 'NORMAL'}")
        db.execute("PRAGMA cache_size = -32768")
    except BaseException:
        db.close()
        raise
    return db


def to_read(file: Path) -> sqlite3.Connection:
    """A connection that reads, within one transaction: it sees one moment.

    A file in WAL mode needs its `-shm` file, which a reader without rights on the folder cannot
    make. Where no writer has it open there is no `-wal` file either, and the file cannot change.

    Raises:
        HistoryError: it cannot be read.
    """
    address = f"file:{quote(os.fspath(file.absolute()))}?mode=ro"
    try:
        return _reading(address)
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        unmade = code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
        if unmade and file.with_name(FILE + "-journal").exists():
            why = "its writer died within a change; the next collector that starts mends it"
            raise refused(file, "not read", why) from error
        if not unmade or file.with_name(FILE + "-wal").exists() or not file.exists():
            raise from_sqlite(file, "not read", error) from error
    try:
        return _reading(address + "&immutable=1")
    except sqlite3.Error as error:
        raise from_sqlite(file, "not read", error) from error


def _reading(address: str) -> sqlite3.Connection:
    db = sqlite3.connect(address, uri=True, timeout=LOCK_WAIT_S, isolation_level=None)
    try:
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()  # opens file and -wal
    except BaseException:
        db.close()
        raise
    return db
