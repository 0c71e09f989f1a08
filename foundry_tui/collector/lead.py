"""Who of a user's processes collects: the one that holds a lock on local disk.

The kernel gives a lock back when its holder dies, however that dies, so that nothing has to be
cleaned up and nobody is elected twice. What the lock's file says of its holder is for people.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from foundry_tui.config.owned import OTHERS_WRITE, open_own
from foundry_tui.config.places import MOUNTINFO, network_fs
from foundry_tui.estate.text import safe
from foundry_tui.process import user_name

LOCK = "collector.lock"
MAX_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Leader:
    """The process that collects: whose it is, where, and since when."""

    user: str
    host: str
    pid: int
    since: datetime


class Lead:
    """The lock of one folder. `problem` says why it cannot be used here; None while it can."""

    def __init__(
        self, folder: Path, clock: Callable[[], datetime], *, mountinfo: Path = MOUNTINFO
    ) -> None:
        self.path = folder / LOCK
        self.problem: str | None = None
        self.me: Leader | None = None
        self._clock = clock
        self._fd: int | None = None
        if (network := network_fs(folder, mountinfo)) is not None:
            self.problem = f"{folder} is on {network}, where locks cannot be relied on"

    @property
    def held(self) -> bool:
        """Whether this process leads.

        A lock on a file that was deleted or replaced keeps nobody out: then it is given up.
        """
        if self._fd is not None and not self._in_place(self._fd):
            self.release()
        return self._fd is not None

    def take(self) -> bool:
        """Whether this process leads now, having tried to; never waits."""
        if self.held:
            return True
        if self.problem is not None:
            return False
        try:
            fd = open_own(self.path, OTHERS_WRITE, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            self.problem = safe(f"{self.path}: {error.strerror or error}", max_cells=400)
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        except OSError as error:
            os.close(fd)
            self.problem = safe(f"{self.path} cannot be locked: {error.strerror}", max_cells=400)
            return False
        if not self._in_place(fd):
            os.close(fd)
            return False
        self._fd = fd
        self.me = Leader(
            user=user_name(), host=socket.gethostname(), pid=os.getpid(), since=self._clock()
        )
        self._sign(fd, self.me)
        return True

    def release(self) -> None:
        """Let another process lead."""
        if self._fd is not None:
            with contextlib.suppress(OSError):
                os.close(self._fd)
        self._fd = self.me = None

    def holder(self) -> Leader | None:
        """Who leads, as the file says; None when nobody does, or when it does not say."""
        import msgspec

        try:
            with os.fdopen(open_own(self.path, OTHERS_WRITE), "rb") as file:
                if not _locked(file.fileno()):
                    return None
                found = msgspec.json.decode(file.read(MAX_BYTES), type=Leader)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None
        return Leader(
            user=safe(found.user), host=safe(found.host), pid=found.pid, since=found.since
        )

    def _in_place(self, fd: int) -> bool:
        """Whether the open file is still the one that others would lock."""
        try:
            there, mine = self.path.lstat(), os.fstat(fd)
        except OSError:
            return False
        return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)

    def _sign(self, fd: int, me: Leader) -> None:
        import msgspec

        with contextlib.suppress(OSError):  # a full disk: the lock holds all the same
            os.ftruncate(fd, 0)
            os.pwrite(fd, msgspec.json.encode(me) + b"\n", 0)


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    fcntl.flock(fd, fcntl.LOCK_UN)
    return False
