"""Whether a file or folder is the user's own, so that nobody else can have put lies into it."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Collection
from pathlib import Path

OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
"""Mode bits that let group or world write."""

OTHERS_ANY = stat.S_IRWXG | stat.S_IRWXO
"""Mode bits that let group or world do anything."""


def distrust(
    info: os.stat_result, denied: int, owners: Collection[int] | None = None
) -> str | None:
    """Why a file or folder is not the user's own; None when it is.

    `denied` are mode bits that must not be set: `OTHERS_WRITE` or `OTHERS_ANY`. `owners` are the
    uids that are trusted instead of the user's.
    """
    if owners is not None and info.st_uid not in owners:
        trusted = " or ".join(str(uid) for uid in sorted(owners))
        return f"it belongs to uid {info.st_uid}, and only uid {trusted} is trusted here"
    if owners is None and info.st_uid != os.geteuid():
        return f"it belongs to uid {info.st_uid}, not to you (uid {os.geteuid()})"
    if info.st_mode & denied:
        allowed = stat.S_IMODE(info.st_mode) & ~denied
        return f"its mode is {stat.S_IMODE(info.st_mode):04o}, {allowed:04o} or stricter is needed"
    return None


def open_own(
    path: Path,
    denied: int,
    flags: int = os.O_RDONLY,
    *,
    follow: bool = False,
    owners: Collection[int] | None = None,
) -> int:
    """Open a regular file of the user's own; new files get mode 0600.

    `follow` allows a symbolic link as the last part of the path: what counts is its target.
    `owners` is that of `distrust`.

    Raises:
        OSError: as `os.open` does.
        PermissionError: the file is not a regular one, or `distrust` says why not.
    """
    flags |= os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    fd = os.open(path, flags, 0o600)
    info = os.fstat(fd)
    regular = stat.S_ISREG(info.st_mode)
    reason = distrust(info, denied, owners) if regular else "it is not a regular file"
    if reason is not None:
        os.close(fd)
        raise PermissionError(0, reason, str(path))
    return fd


def replace_own(path: Path, data: bytes, *, mode: int = 0o600, sync: bool = False) -> None:
    """Put a file in the place of an older one; a reader sees the one or the other whole.

    `sync` waits until it is safe on disk.

    Raises:
        OSError: the folder cannot be written, or the disk is full; the older file is still there.
    """
    fd, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temp = Path(name)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            if sync:
                os.fsync(file.fileno())
        temp.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temp.unlink()
        raise
