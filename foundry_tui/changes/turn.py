"""Whose turn it is to apply: two plans must never be carried out at once.

The kernel gives a lock back when its holder dies, however that dies. What the lock's file says of
its holder is for people, and is believed by nobody.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from foundry_tui.config.owned import OTHERS_WRITE, open_own
from foundry_tui.estate.text import safe
from foundry_tui.process import user_name

LOCK = "apply.lock"
MOST_BYTES = 4096


class Busy(Exception):
    """Another process applies or takes back just now; the text says whose it is."""


class Holder(msgspec.Struct, frozen=True):
    """Who holds the lock, and what for."""

    user: str
    host: str
    pid: int
    since: datetime
    what: str


@contextlib.contextmanager
def turn(
    path: Path, what: str, clock: Callable[[], datetime], *, shared: bool = False
) -> Iterator[None]:
    """Hold the lock of a file while something is applied; `what` is told to others.

    A `shared` file belongs to several users: whoever made it, it has to be a regular file.

    Raises:
        Busy: another holds it.
        OSError: the file cannot be made, opened or locked.
    """
    while True:
        fd = _open_shared(path) if shared else open_own(path, OTHERS_WRITE, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            words = _holder(fd)
            os.close(fd)
            raise Busy(f"{words}; nothing was sent. Try again when that has ended") from None
        except OSError:
            os.close(fd)
            raise
        if _in_place(path, fd):
            break
        os.close(fd)  # it was replaced meanwhile: a lock on a file that is gone keeps nobody out
    try:
        me = Holder(user_name(), socket.gethostname(), os.getpid(), clock(), what)
        with contextlib.suppress(OSError):  # a full disk: the lock holds all the same
            os.ftruncate(fd, 0)
            os.pwrite(fd, msgspec.json.encode(me) + b"\n", 0)
        yield
    finally:
        with contextlib.suppress(OSError):
            os.ftruncate(fd, 0)
        os.close(fd)


def _open_shared(path: Path) -> int:
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
    try:
        fd = os.open(path, flags)
    except FileNotFoundError:
        fd = os.open(path, flags | os.O_CREAT, 0o660)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise PermissionError(0, "it is not a regular file", str(path))
    return fd


def _in_place(path: Path, fd: int) -> bool:
    try:
        there, mine = path.lstat(), os.fstat(fd)
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)


def _holder(fd: int) -> str:
    try:
        found = msgspec.json.decode(os.pread(fd, MOST_BYTES, 0), type=Holder)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return "another process applies a plan or takes one back just now"
    return safe(
        f"{found.user} (pid {found.pid} on {found.host}) is at it since "
        f"{found.since:%Y-%m-%d %H:%M:%S} UTC: {found.what}",
        max_cells=400,
    )
