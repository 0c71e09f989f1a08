"""Writing a report: whole or not at all, for its owner only, with a sidecar that vouches for it."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


class ReportError(OSError):
    """A report that could not be written: which file, why, and what to do."""


def write(folder: Path, name: str, data: bytes, meta: Mapping[str, object]) -> Path:
    """Write `NAME.csv` and `NAME.csv.meta.json` into the folder, which is made if it is missing.

    Both files are complete on disk before the first of them takes its name, the sidecar last. It
    carries `meta` and the SHA-256 of the CSV. Gives the path of the CSV.

    Raises:
        ReportError: the folder is full, read-only or none; or a target is a symlink or no
            regular file. What stood there before stands there still.
    """
    target = folder / f"{name}.csv"
    vouched = {**meta, "csv": target.name, "sha256": hashlib.sha256(data).hexdigest()}
    sidecar = json.dumps(vouched, indent=2, ensure_ascii=False).encode() + b"\n"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise _failed(folder, error) from error
    written: dict[str, str] = {}  # temporary name -> final name
    try:
        for final, content in ((target.name, data), (f"{target.name}.meta.json", sidecar)):
            _check(place, folder / final)
            temporary = f".{final}.{secrets.token_hex(6)}"
            written[temporary] = final
            _write(place, temporary, content)
        for temporary, final in tuple(written.items()):
            os.rename(temporary, final, src_dir_fd=place, dst_dir_fd=place)
            del written[temporary]
        os.fsync(place)
    except ReportError:
        raise
    except OSError as error:
        raise _failed(target, error) from error
    finally:
        for temporary in written:
            _remove(place, temporary)
        os.close(place)
    return target


def _check(place: int, path: Path) -> None:
    """A name that is taken must belong to a regular file."""
    try:
        mode = os.stat(path.name, dir_fd=place, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISLNK(mode):
        raise ReportError(f"{path} is a symlink: nothing is written through it; remove it first")
    if not stat.S_ISREG(mode):
        raise ReportError(f"{path} is no regular file: name another folder")


def _write(place: int, name: str, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, 0o600, dir_fd=place), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _remove(place: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=place)
    except OSError:
        return


def _failed(path: Path, error: OSError) -> ReportError:
    if error.errno in _FULL:
        advice = "there is no room; free some, or name another folder"
    elif error.errno in _READ_ONLY:
        advice = "this folder may not be written; name another one"
    elif error.errno in (errno.ENOTDIR, errno.EEXIST):
        advice = "a file stands where the folder should be; name another one"
    else:
        advice = "name another folder"
    return ReportError(f"{path} cannot be written: {error.strerror}; {advice}")
