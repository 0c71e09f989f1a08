"""Writing a report: whole or not at all, for its owner only, with a sidecar that vouches for it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

BOM = b"\xef\xbb\xbf"
"""The mark by which Excel knows UTF-8; other readers take it for a part of the first name."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_NO_UNNAMED = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL})
_BLOCK = 1 << 18


class ReportError(OSError):
    """A report that could not be written: which file, why, and what to do."""


def write(
    folder: Path,
    name: str,
    lines: Iterable[str],
    meta: Mapping[str, object],
    *,
    bom: bool = False,
    mode: int = 0o600,
) -> Path:
    """Write `NAME.csv` and `NAME.csv.meta.json` into the folder, which is made if it is missing.

    `lines` come without their ends, the header first, and are written as they come; `meta` is read
    after the last of them. Both files are complete on disk before the first of them takes its
    name, the sidecar last: it carries `meta`, and the length and SHA-256 of the CSV. Until then
    they have no name where the file system allows that (`O_TMPFILE`), so that a writer that is
    killed leaves nothing behind. Gives the path of the CSV.

    Raises:
        ReportError: the folder is full, read-only or none; or a target is a symlink or no
            regular file. What stood there before stands there still.
    """
    target = folder / f"{name}.csv"
    beside = folder / f"{target.name}.meta.json"
    with _together(target, beside) as (table, sidecar):
        digest, size = table.fill(_blocks(lines, bom), mode)
        vouched = {**meta, "csv": target.name, "bytes": size, "sha256": digest}
        text = json.dumps(vouched, indent=2, ensure_ascii=False) + "\n"
        sidecar.fill((text.encode("utf-8", "backslashreplace"),), mode)
    return target


def write_picture(path: Path, data: bytes, *, mode: int = 0o600) -> Path:
    """Write the picture of a report, whole or not at all, over an older one.

    Raises:
        ReportError: as `write`.
    """
    with _together(path) as (picture,):
        picture.fill((data,), mode)
    return path


@contextlib.contextmanager
def _together(*paths: Path) -> Iterator[tuple[_New, ...]]:
    """New files of one folder, that take their names in this order when all of them are filled."""
    folder = paths[0].parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _failed(folder, error) from error
    written: list[_New] = []
    try:
        for path in paths:
            _check(place, path)
        for path in paths:
            written.append(_New(place, path.name))
        yield tuple(written)
        for new in written:
            new.named()
        for new in written:
            new.take_place()
        os.fsync(place)
    except ReportError:
        raise
    except OSError as error:
        raise _failed(paths[0], error) from error
    finally:
        for new in written:
            new.gone()
        os.close(place)


class _New:
    """A file of a folder that has not taken its final name yet."""

    def __init__(self, place: int, final: str) -> None:
        self._place, self._final = place, final
        self._name: str | None = None
        flags = os.O_WRONLY | os.O_CLOEXEC
        try:
            self._fd = os.open(".", flags | os.O_TMPFILE, 0o600, dir_fd=place)
        except OSError as error:
            if error.errno not in _NO_UNNAMED:
                raise
            self._name = self._unused()
            flags |= os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            self._fd = os.open(self._name, flags, 0o600, dir_fd=place)

    def fill(self, blocks: Iterable[bytes], mode: int) -> tuple[str, int]:
        """Write the content to disk; gives its SHA-256 and its length."""
        digest, size = hashlib.sha256(), 0
        with open(self._fd, "wb", closefd=False) as file:
            for block in blocks:
                file.write(block)
                digest.update(block)
                size += len(block)
        os.fchmod(self._fd, mode)
        os.fsync(self._fd)
        return digest.hexdigest(), size

    def named(self) -> None:
        """Give the file a name of its own in the folder: a rename can replace, a link cannot."""
        if self._name is None:
            name = self._unused()
            os.link(f"/proc/self/fd/{self._fd}", name, dst_dir_fd=self._place, follow_symlinks=True)
            self._name = name

    def take_place(self) -> None:
        """Take the final name, from an older file if there is one."""
        if self._name is not None:
            os.rename(self._name, self._final, src_dir_fd=self._place, dst_dir_fd=self._place)
            self._name = None

    def gone(self) -> None:
        """Close the file, and remove it unless it has its final name."""
        os.close(self._fd)
        if self._name is not None:
            try:
                os.unlink(self._name, dir_fd=self._place)
            except OSError:
                return

    def _unused(self) -> str:
        return f".{self._final}.{secrets.token_hex(6)}"


def _blocks(lines: Iterable[str], bom: bool) -> Iterator[bytes]:
    """The lines with their ends, some thousands at a time."""
    if bom:
        yield BOM
    waiting: list[str] = []
    length = 0
    for line in lines:
        waiting.append(line)
        length += len(line)
        if length > _BLOCK:
            yield ("\r\n".join(waiting) + "\r\n").encode()
            waiting, length = [], 0
    if waiting:
        yield ("\r\n".join(waiting) + "\r\n").encode()


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
