"""What is not committed, as a patch that `git apply` takes.

The changed files are listed already. Large ones, and those that look like keys, are left out and
named; the index is used as a copy, because it is the user's.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from foundry_tui.estate.text import safe
from foundry_tui.jobs.record.keys import holds_key, looks_like_key
from foundry_tui.jobs.record.repository import Change, Repository
from foundry_tui.process import ProcessError, TooMuch

MOST_PATCH_BYTES = 5 << 20
MOST_FILE_BYTES = 8 << 20
"""A changed file that is larger, now or in the commit, is left out of the patch."""

MOST_READ_BYTES = 64 << 20
"""How much is compared at most; the small files first."""

MOST_FILES = 1000
"""Git compares each name that it is given with each file of the tree."""

MOST_OF_FOLDER = 100
"""Where more than `MOST_FILES` are new, a folder with more new ones than this holds data."""

NAMED = 5
"""How many of the files that are left out a note names."""

_ARGUMENTS = 64_000
"""Bytes of paths that one command is given; the system refuses more than some 2 MB."""

_DIFF = (
    "diff",
    "--binary",
    "--full-index",
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--no-renames",
    "--no-relative",
    "--ignore-submodules=dirty",
    "--src-prefix=a/",
    "--dst-prefix=b/",
    "-U3",
    "HEAD",
    "--",
)
_SECTION = re.compile(rb"^(?=diff --git )", re.MULTILINE)


def patch_of(here: Repository, index: Path, changes: Sequence[Change], notes: list[str]) -> bytes:
    """The differences of the chosen files; what is left out is added to `notes`.

    Raises:
        ProcessError, OSError: git, or the index, cannot be used.
    """
    chosen = _chosen(here, changes, notes)
    if not chosen:
        return b""
    with tempfile.TemporaryDirectory(prefix="foundry-git-") as folder:
        copy = Path(folder) / "index"
        if index.exists():
            # With its time: by it git knows which files were changed too soon to be told apart.
            when = index.stat().st_mtime_ns
            copy.write_bytes(index.read_bytes())
            os.utime(copy, ns=(when, when))
        here.env = {**here.env, "GIT_INDEX_FILE": str(copy)}
        new = b"\0".join(change.path for change, _ in chosen if change.blob is None)
        if new:
            # Only then `git diff` shows them. Nothing of their content is read or stored.
            add = ("add", "--intent-to-add", "--force", "--ignore-errors")
            here.ask(*add, "--pathspec-from-file=-", "--pathspec-file-nul", stdin=new)
        patch = _differences(here, chosen, notes)
    return _without_keys(patch, notes)


def _chosen(
    here: Repository, changes: Sequence[Change], notes: list[str]
) -> list[tuple[Change, int]]:
    """What goes into the patch, and how much of it has to be read: the tracked, then small ones."""
    before = _sizes(here, [c.blob for c in changes if c.blob and c.submodule[:1] != "S"])
    left: dict[str, list[bytes]] = {}
    chosen = []
    changes, folders = _without_masses(changes)
    if folders:
        left["folders with very many new files"] = folders
    for change in changes:
        if change.submodule[:1] == "S":
            if change.submodule[2:] != "..":
                left.setdefault("changes inside submodules", []).append(change.path)
            if change.submodule[1:2] == "C":
                chosen.append((change, 0))
            continue
        why, size = _weighed(here.folder, change, before)
        if why:
            left.setdefault(why, []).append(change.path)
        else:
            chosen.append((change, size))
    chosen.sort(key=lambda pair: (pair[0].blob is None, pair[1]))
    total = 0
    kept: list[tuple[Change, int]] = []
    for change, size in chosen:
        total += size
        if total > MOST_READ_BYTES or len(kept) >= MOST_FILES:
            left.setdefault("too much in all", []).append(change.path)
        else:
            kept.append((change, size))
    notes += [f"not in the patch ({why}): {_names(paths)}" for why, paths in left.items()]
    return kept


def _without_masses(changes: Sequence[Change]) -> tuple[Sequence[Change], list[bytes]]:
    """The changes without the new files of folders that are full of them, and these folders."""
    new = Counter(change.path.rpartition(b"/")[0] for change in changes if change.blob is None)
    if new.total() <= MOST_FILES:
        return changes, []
    full = {folder for folder, count in new.items() if count > MOST_OF_FOLDER}
    kept = [c for c in changes if c.blob is not None or c.path.rpartition(b"/")[0] not in full]
    return kept, [folder + b"/" for folder in sorted(full)]


def _weighed(folder: Path, change: Change, before: dict[str, int]) -> tuple[str, int]:
    """Why a file is left out, or an empty word; and how many bytes comparing it reads."""
    if change.path.endswith(b"/"):
        return "a repository of its own", 0
    if looks_like_key(change.path):
        return "looks like a key", 0
    size = before.get(change.blob or "", 0)
    path = os.path.join(os.fsencode(folder), change.path)  # noqa: PTH118  (names are bytes)
    try:
        info = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        pass  # it was deleted
    except OSError:
        return "cannot be read", 0
    else:
        if stat.S_ISREG(info.st_mode):
            size += info.st_size
            if not os.access(path, os.R_OK):
                return "cannot be read", 0
        elif not (stat.S_ISLNK(info.st_mode) or stat.S_ISDIR(info.st_mode)):
            return "no regular file", 0
    if size > MOST_FILE_BYTES:
        return f"larger than {MOST_FILE_BYTES >> 20} MiB", 0
    return "", size


def _sizes(here: Repository, blobs: Sequence[str]) -> dict[str, int]:
    """How large the committed files are, without reading them."""
    if not blobs:
        return {}
    asked = "\n".join(dict.fromkeys(blobs)).encode() + b"\n"
    told = here.ask("cat-file", "--batch-check=%(objectname) %(objectsize)", stdin=asked)
    words = (line.split(" ") for line in told.out.decode("ascii", "replace").splitlines())
    return {one[0]: int(one[1]) for one in words if len(one) == 2 and one[1].isdigit()}


def _differences(here: Repository, chosen: Sequence[tuple[Change, int]], notes: list[str]) -> bytes:
    """The patch of all; where that is too large, of the files that surely fit."""
    try:
        return _diff(here, [change.path for change, _ in chosen])
    except TooMuch:
        pass
    total = 0
    fits: list[bytes] = []
    left: list[bytes] = []
    for change, size in chosen:
        total += size
        (fits if total <= MOST_PATCH_BYTES // 2 else left).append(change.path)
    notes.append(f"not in the patch (above {MOST_PATCH_BYTES >> 20} MiB in all): {_names(left)}")
    return _diff(here, fits)


def _diff(here: Repository, paths: Sequence[bytes]) -> bytes:
    """The differences of these files. Raises TooMuch above the cap."""
    parts, size = [], 0
    for some in _batches(paths):
        told = here.ask(*_DIFF, *(os.fsdecode(path) for path in some), most=MOST_PATCH_BYTES)
        if told.code != 0:
            raise ProcessError(told.err.decode("utf-8", "replace").strip().partition("\n")[0])
        parts.append(told.out)
        size += len(told.out)
        if size > MOST_PATCH_BYTES:
            raise TooMuch(f"the patch has more than {MOST_PATCH_BYTES} bytes")
    return b"".join(parts)


def _batches(paths: Iterable[bytes]) -> Iterable[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for path in paths:
        if batch and size + len(path) > _ARGUMENTS:
            yield batch
            batch, size = [], 0
        batch.append(path)
        size += len(path) + 1
    if batch:
        yield batch


def _without_keys(patch: bytes, notes: list[str]) -> bytes:
    """The patch without the files that hold a private key."""
    if not holds_key(patch):
        return patch
    sections = _SECTION.split(patch)
    bad = [s for s in sections if holds_key(s)]
    names = [s.partition(b"\n")[0].rpartition(b" b/")[2] for s in bad]
    notes.append(f"not in the patch (holds a private key): {_names(names)}")
    return b"".join(s for s in sections if not holds_key(s))


def _names(paths: Sequence[bytes]) -> str:
    shown = ", ".join(str(safe(path, max_cells=60)) for path in paths[:NAMED])
    return shown + (f" and {len(paths) - NAMED} more" if len(paths) > NAMED else "")
