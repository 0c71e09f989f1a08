"""Which data a run reads: a digest for each entry of `data`, from whatever versions it.

In this order: the version that the user states, a `.dvc` file, a pointer of git-LFS, the log of a
Delta table, else what lies there. Small data is hashed whole; of large data the names, sizes and
times of change are, which costs one look at each file and changes when they are copied.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from foundry_tui.deadline import Deadline
from foundry_tui.estate.text import safe
from foundry_tui.estate.tracked import DataInput
from foundry_tui.jobs.spec import Data

WITHIN_S = 4.0
"""Seconds for all data together: it may lie on a file system that is slow or gone."""

GRACE_S = 0.5
"""Seconds in which a look that has seen the deadline comes back."""

MOST_CHARS = 36
"""MLflow takes no longer digest."""

CONTENT_BYTES = 64 << 20
"""Data up to this size is hashed whole."""

MOST_FILES = 100_000
_POINTER_BYTES = 1024
_DVC_BYTES = 1 << 20
_CHUNK = 1 << 20

_LFS = re.compile(
    rb"\Aversion https://git-lfs\.github\.com/spec/v1\n(?:.*\n)*?oid sha256:([0-9a-f]{64})\n"
)
_DVC_OUT = re.compile(r"^\s*(-\s+)?(md5|path|size):\s*(.+?)\s*$", re.MULTILINE)
_DELTA = re.compile(r"(\d{20})\.(?:json|checkpoint(?:\.[\w.-]+)?\.parquet)")


class _Unknown(Exception):
    """No digest could be had; the words say why."""


def inputs(
    data: Sequence[Data], folder: Path, *, within_s: float = WITHIN_S
) -> tuple[tuple[DataInput, ...], tuple[str, ...]]:
    """The inputs whose digest could be had, and notes on the others. Never raises.

    Paths are taken from `folder`, where the program starts. Two entries of one name and digest are
    one.
    """
    deadline = Deadline.after(within_s)
    told: list[DataInput | str] = []

    def look() -> None:
        for one in data:
            told.append(_looked_at(one, folder, deadline))

    # A file server that is gone holds whoever asks it for ever: only this thread.
    worker = threading.Thread(target=look, name="data", daemon=True)
    worker.start()
    worker.join(deadline.left_s() + GRACE_S)
    known = told.copy()
    known += [_note(one, f"{one.path} gave no answer in time") for one in data[len(known) :]]
    found = tuple(one for one in known if isinstance(one, DataInput))
    return tuple(dict.fromkeys(found)), tuple(one for one in known if isinstance(one, str))


def _looked_at(one: Data, folder: Path, deadline: Deadline) -> DataInput | str:
    try:
        kind, digest = _digest(one, folder, deadline)
    except _Unknown as error:
        return _note(one, str(error))
    except (OSError, ValueError, RuntimeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return _note(one, f"{one.path}: {why}")
    return DataInput(name=one.name, digest=digest, path=one.path, kind=kind)


def _note(one: Data, why: str) -> str:
    words = safe(f"data {one.name}: {why}", max_cells=300)
    return f"{words}; its record has no digest of it (`version` states one)"


def shortened(algorithm: str, digest: str) -> str:
    """A digest with the name of its algorithm, cut to what MLflow takes."""
    return f"{algorithm}:{digest}"[:MOST_CHARS]


def _digest(one: Data, folder: Path, deadline: Deadline) -> tuple[str, str]:
    """The kind and the digest. Raises `_Unknown`, or as the file system does."""
    if one.version not in (None, "auto"):
        return "stated", _stated(one.version or "")
    if "://" in one.path:
        raise _Unknown(f"{one.path} is no path of a file system")
    path = folder / Path(one.path).expanduser()
    if (md5 := _dvc(path)) is not None:
        return "dvc", shortened("md5", md5)
    if not path.exists():
        raise _Unknown(f"{one.path} is not visible from this host")
    if path.is_file():
        return _of_file(path, deadline)
    if not path.is_dir():
        raise _Unknown(f"{one.path} is neither a file nor a folder")
    if (path / "_delta_log").is_dir():
        return "delta", f"delta:{_delta(path / '_delta_log')}"
    return _of_folder(path, deadline)


def _stated(version: str) -> str:
    """What the user states, or its hash where that is longer than MLflow takes."""
    text = version.encode("utf-8", "replace")
    return version if len(version) <= MOST_CHARS else _sha(hashlib.sha256(text).hexdigest())


def _sha(digest: str) -> str:
    return shortened("sha256", digest)


def _dvc(path: Path) -> str | None:
    """The MD5 that DVC keeps of the data; None where it keeps none, or the data is another now.

    https://dvc.org/doc/user-guide/project-structure/dvc-files
    """
    pointer = path if path.suffix == ".dvc" else path.with_name(f"{path.name}.dvc")
    if not path.name or not pointer.is_file() or pointer.stat().st_size > _DVC_BYTES:
        return None
    outs: list[dict[str, str]] = []
    listed = pointer.read_text("utf-8", "replace").partition("outs:")[2]
    for dash, key, value in _DVC_OUT.findall(listed):
        if dash or not outs:
            outs.append({})
        outs[-1][key] = value.strip("'\"")
    named = [out for out in outs if out.get("path") == pointer.stem] or outs[:1]
    md5 = named[0].get("md5", "").removesuffix(".dir") if named else ""
    if not re.fullmatch(r"[0-9a-f]{32}", md5):
        return None
    size, data = named[0].get("size", ""), pointer.with_name(pointer.stem)
    if size.isdigit() and data.is_file() and data.stat().st_size != int(size):
        return None
    return md5


def _delta(log: Path) -> int:
    versions = [int(m[1]) for name in _names(log) if (m := _DELTA.fullmatch(name))]
    if not versions:
        raise _Unknown(f"{log} holds no version of a Delta table")
    return max(versions)


def _names(folder: Path) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for number, entry in enumerate(entries):
            if number >= MOST_FILES:
                raise _Unknown(f"{folder} holds more than {MOST_FILES:,} files")
            yield entry.name


def _of_file(path: Path, deadline: Deadline) -> tuple[str, str]:
    size = path.stat().st_size
    if size <= _POINTER_BYTES and (pointer := _LFS.match(path.read_bytes())):
        return "lfs", _sha(pointer[1].decode())
    if size <= CONTENT_BYTES and (content := _content(path, deadline)) is not None:
        return "content", _sha(content)
    info = path.stat()
    line = f"{path.name}\0{info.st_size}\0{info.st_mtime_ns}\n"
    return "manifest", _manifest([line.encode("utf-8", "surrogateescape")])


def _content(path: Path, deadline: Deadline) -> str | None:
    """The SHA-256 of a file; None when there is no time for it."""
    made = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(_CHUNK):
            if deadline.left_s() <= 0:
                return None
            made.update(part)
    return made.hexdigest()


def _of_folder(folder: Path, deadline: Deadline) -> tuple[str, str]:
    """Names and contents where they are few and small, else names, sizes and times."""
    files = sorted(_walk(folder, deadline))
    if sum(size for _, size, _ in files) <= CONTENT_BYTES:
        lines = []
        for name, _, _ in files:
            path = folder / os.fsdecode(name)
            if path.is_symlink():
                lines.append(name + b"\0-> " + os.fsencode(path.readlink()))
                continue
            content = _content(path, deadline)
            if content is None:
                break
            lines.append(name + b"\0" + content.encode())
        else:
            return "content", _sha(hashlib.sha256(b"\n".join(lines)).hexdigest())
    return "manifest", _manifest(
        [name + f"\0{size}\0{mtime}\n".encode() for name, size, mtime in files]
    )


def _manifest(lines: Sequence[bytes]) -> str:
    return shortened("manifest", hashlib.sha256(b"".join(lines)).hexdigest())


def _walk(folder: Path, deadline: Deadline) -> Iterator[tuple[bytes, int, int]]:
    """Name below the folder, size and time of change of each file; links are not followed."""
    waiting, seen = [os.fsencode(folder)], 0
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                seen += 1
                if seen > MOST_FILES:
                    raise _Unknown(f"{folder} holds more than {MOST_FILES:,} files")
                if deadline.left_s() <= 0:
                    raise _Unknown(f"{folder} took longer than {deadline.within_s:g} s to list")
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                    continue
                info = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(info.st_mode) or stat.S_ISLNK(info.st_mode):
                    name = os.path.relpath(entry.path, os.fsencode(folder))
                    yield name, info.st_size, info.st_mtime_ns
