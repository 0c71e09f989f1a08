"""The mirror's files: one database for each server, its lock, and how they are opened.

Folder and files are the user's own, 0700 and 0600. Many processes may read while one writes: WAL on
a local disk, a rollback journal on a network file system, where WAL fails.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from foundry_tui.config.owned import OTHERS_ANY, OTHERS_WRITE, distrust, open_own
from foundry_tui.config.places import MOUNTINFO, network_fs
from foundry_tui.store.mirror.errors import refused

LOCK_WAIT_S = 5.0
PAGE_BYTES = 8192
CACHE_KIB = 2048
"""Memory of one connection for pages of the file: what is read, is read from end to end."""

UNUSED_S = 30 * 86_400.0
"""Age in seconds at which the mirror of another server, not written since, is taken away."""

SIDE_FILES = ("", "-wal", "-shm", "-journal")
_POLL_S = 0.05


def prepare(folder: Path, url: str) -> Path:
    """Make the folder, look whether it can be trusted, and give the database's path.

    Raises:
        MirrorError: folder or file is not the user's own, or it cannot be made.
    """
    file = folder / f"{hashlib.sha256(url.encode('utf-8', 'replace')).hexdigest()[:24]}.sqlite"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        check(folder, file)
    except OSError as error:
        raise refused(file, "not opened", error.strerror or str(error)) from error
    return file


def check(folder: Path, file: Path) -> None:
    """Whether folder and files can be trusted.

    Raises:
        MirrorError: no, and why.
        OSError: they cannot be looked at.
    """
    info = folder.lstat()
    why = distrust(info, OTHERS_ANY) if stat.S_ISDIR(info.st_mode) else "it is not a folder"
    if why is not None:
        raise refused(folder, "not opened", why)
    for suffix in SIDE_FILES:
        path = Path(f"{file}{suffix}")
        try:
            info = path.lstat()
        except FileNotFoundError:
            continue
        regular = stat.S_ISREG(info.st_mode)
        why = distrust(info, OTHERS_WRITE) if regular else "it is not a regular file"
        if why is not None:
            raise refused(path, "not opened", why)


@contextlib.contextmanager
def only_writer(file: Path, wait_s: float) -> Iterator[bool]:
    """Hold the lock of the one writer; False when another process keeps it for `wait_s`.

    Raises:
        MirrorError: the lock file cannot be made.
    """
    lock = file.with_suffix(".lock")
    try:
        fd = open_own(lock, OTHERS_WRITE, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise refused(lock, "not opened", error.strerror or str(error)) from error
    give_up = time.monotonic() + wait_s
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() >= give_up:
                    yield False
                    return
                time.sleep(_POLL_S)
                continue
            yield True
            return
    finally:
        os.close(fd)


def to_write(file: Path, *, mountinfo: Path = MOUNTINFO) -> sqlite3.Connection:
    """A connection that writes; the file is made when missing.

    Raises:
        sqlite3.Error: it cannot be opened, or is damaged.
        OSError: it cannot be made.
    """
    with contextlib.suppress(FileExistsError):
        os.close(open_own(file, OTHERS_WRITE, os.O_RDWR | os.O_CREAT | os.O_EXCL))
    network = network_fs(file.parent, mountinfo) is not None
    db = sqlite3.connect(file, timeout=LOCK_WAIT_S, isolation_level=None, check_same_thread=False)
    try:
        db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        db.execute(f"PRAGMA journal_mode = {'DELETE' if network else 'WAL'}")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    except BaseException:
        db.close()
        raise
    return db


def to_read(file: Path) -> sqlite3.Connection:
    """A connection that reads within one transaction, and so sees one moment.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    address = f"file:{quote(os.fspath(file.absolute()))}?mode=ro"
    db = sqlite3.connect(
        address, uri=True, timeout=LOCK_WAIT_S, isolation_level=None, check_same_thread=False
    )
    try:
        db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        db.execute("BEGIN")
    except BaseException:
        db.close()
        raise
    return db


def set_aside(file: Path) -> None:
    """Move what lies there to `damaged-…`, in place of what was set aside before.

    Raises:
        OSError: it cannot be moved.
    """
    for suffix in reversed(SIDE_FILES):
        path = Path(f"{file}{suffix}")
        with contextlib.suppress(FileNotFoundError):
            if suffix:
                path.unlink()
            else:
                path.replace(path.with_name(f"damaged-{path.name}"))


def sweep(folder: Path, mine: Path) -> None:
    """Take away the mirrors of servers that were not asked for a month. Never raises."""
    with contextlib.suppress(OSError):
        for path in folder.glob("*.sqlite"):
            if path != mine and time.time() - path.stat().st_mtime > UNUSED_S:
                for suffix in SIDE_FILES:
                    Path(f"{path}{suffix}").unlink(missing_ok=True)
                path.with_suffix(".lock").unlink(missing_ok=True)
