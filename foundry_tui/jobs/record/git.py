"""Where a folder stands in git: commit, branch, remote, and what is not committed, as a patch.

A tree can hold hundreds of megabytes that are not committed, and git can hang: every question has
a deadline, and a submit never waits longer.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from foundry_tui.deadline import Deadline
from foundry_tui.estate.text import safe
from foundry_tui.jobs.record.patch import patch_of
from foundry_tui.jobs.record.repository import Change, Repository
from foundry_tui.process import Completed, NotFound, ProcessError
from foundry_tui.tracking.link import Commit, without_password

WITHIN_S = 4.0
"""Seconds for all questions to git together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """What git tells of a folder. Without `commit` nothing is known; `notes` say why.

    `patch` is what turns the commit into the files as they are, for `git apply`; None when there is
    nothing to say or it could not be had. `dirty` is None when that is not known.
    """

    commit: Commit | None = None
    dirty: bool | None = None
    patch: bytes | None = None
    notes: tuple[str, ...] = ()


def checkout(
    folder: Path,
    *,
    patched: bool = True,
    without: Collection[Path] = (),
    within_s: float = WITHIN_S,
) -> Checkout:
    """What is checked out in a folder. Never raises; nothing is written into the repository.

    Without `patched` only the commit is asked for. A folder in no repository gives no note. New
    files `without`, or below them, do not count: the record tells of them otherwise.
    """
    found = _within(folder)
    if found is None:
        return Checkout()
    if found == "bare":
        return Checkout(notes=(f"git: {safe(str(folder))} is a bare repository: no working tree",))
    here = Repository(folder, Deadline.after(within_s))
    try:
        return _look(here, patched, without)
    except NotFound:
        return Checkout(notes=("git: not on the PATH here; the commit is not recorded",))
    except (ProcessError, OSError, ValueError) as error:
        words = safe(str(error), max_cells=200)
        return Checkout(notes=(f"git: {words}; the commit is not recorded",))


def _within(folder: Path) -> str | None:
    """Whether a folder stands in a repository, as git looks for one; `bare` for one without files.

    It is asked of the file system: most folders are in none, and git costs 10 ms.
    """
    try:
        whole = folder.resolve()
        for place in (whole, *whole.parents):
            if (place / ".git").exists():
                return "tree"
            if all((place / name).exists() for name in ("HEAD", "objects", "refs")):
                return "bare"
    except (OSError, RuntimeError):
        return None
    return None


def _look(here: Repository, patched: bool, without: Collection[Path]) -> Checkout:
    notes: list[str] = []
    told = here.ask("rev-parse", "--show-toplevel", "--absolute-git-dir", "--git-path", "index")
    if told.code != 0:
        return Checkout(notes=(_refusal(here.folder, told),))
    top, _, index = os.fsdecode(told.out).split("\n")[:3]
    index = str(here.folder / index)  # git names it relative to where it was asked
    here.folder = Path(top)
    listed = _listed(here, notes)
    if listed is None:
        commit = _commit(here, "", None)
        if commit is not None:
            notes.append("git: what is not committed is not recorded, because the list took long")
        return Checkout(commit=commit, notes=tuple(notes))
    oid, branch, changes = listed
    if oid == "(initial)":
        return Checkout(dirty=bool(changes), notes=("git: there is no commit here yet",))
    commit = _commit(here, oid, branch)
    if without:
        changes = _others(here.folder.resolve(), changes, without)
    if not changes or not patched:
        return Checkout(commit=commit, dirty=bool(changes), notes=tuple(notes))
    try:
        patch = patch_of(here, Path(index), changes, notes)
    except (ProcessError, OSError) as error:
        notes.append(f"git: the patch is not recorded: {safe(str(error), max_cells=200)}")
        patch = None
    return Checkout(commit=commit, dirty=True, patch=patch or None, notes=tuple(notes))


def _others(top: Path, changes: Sequence[Change], without: Collection[Path]) -> tuple[Change, ...]:
    """The changes but for new files that are one of these, or lie below one of them."""
    # The place itself: what a link leads to may lie anywhere.
    known = {os.fsencode(Path(os.path.realpath(one.parent)) / one.name) for one in without}

    def named(change: Change) -> bool:
        path = os.path.join(os.fsencode(top), change.path.rstrip(b"/"))  # noqa: PTH118  (bytes)
        while len(path) > len(os.fsencode(top)):
            if path in known:
                return True
            path = os.path.dirname(path)  # noqa: PTH120
        return False

    return tuple(c for c in changes if c.blob or not named(c))


def _refusal(folder: Path, told: Completed) -> str:
    words = told.err.decode("utf-8", "replace").strip()
    shown = safe(str(folder), max_cells=120)
    if "dubious ownership" in words:
        return (
            f"git: {shown} belongs to another user, and git refuses it; the commit is not recorded "
            f"(git config --global --add safe.directory {shown})"
        )
    first = safe(words.partition("\n")[0], max_cells=200)
    return f"git: {shown}: {first}; the commit is not recorded"


def _commit(here: Repository, oid: str, branch: str | None) -> Commit | None:
    if not oid:
        told = here.ask("rev-parse", "HEAD")
        if told.code != 0:
            return None
        oid = told.out.decode("ascii", "replace").strip()
    remote = here.ask("config", "--get", "remote.origin.url")
    address = os.fsdecode(remote.out).strip() if remote.code == 0 else ""
    return Commit(commit=oid, branch=branch, remote=without_password(address) if address else None)


def _listed(
    here: Repository, notes: list[str]
) -> tuple[str, str | None, tuple[Change, ...]] | None:
    """The commit, the branch and what differs; None when git needs too long even for less."""
    whole = here.deadline
    args = ("status", "--porcelain=v2", "--branch", "-z", "--no-renames")
    for untracked, part in (("all", 0.5), ("no", 0.6)):
        # A tree with a million new files must leave time for the questions that follow.
        here.deadline = Deadline.after(part * whole.left_s())
        try:
            told = here.ask(*args, f"--untracked-files={untracked}", "--ignore-submodules=none")
        except ProcessError:
            continue
        finally:
            here.deadline = whole
        if told.code != 0:
            raise ProcessError(told.err.decode("utf-8", "replace").strip().partition("\n")[0])
        if untracked == "no":
            notes.append("git: new files are not recorded, because there are too many")
        return _parsed(told.out)
    return None


def _parsed(out: bytes) -> tuple[str, str | None, tuple[Change, ...]]:
    """`git status --porcelain=v2 -z` in its parts. https://git-scm.com/docs/git-status"""
    oid, branch, changes = "", None, []
    lines = iter(out.split(b"\0"))
    for line in lines:
        kind = line[:2]
        if kind == b"# ":
            _, key, value = (*line.split(b" ", 2), b"")[:3]
            if key == b"branch.oid":
                oid = value.decode("ascii", "replace")
            elif key == b"branch.head" and value != b"(detached)":
                branch = os.fsdecode(value)
        elif kind == b"? ":
            changes.append(Change(line[2:], None))
        elif kind in (b"1 ", b"2 "):
            fields = _fields(line, 9 if kind == b"1 " else 10)
            if kind == b"2 ":
                next(lines, None)  # the name before a rename, which was not asked for
            new = not fields[6].strip(b"0")
            blob = None if new else fields[6].decode("ascii", "replace")
            changes.append(Change(fields[-1], blob, fields[2].decode("ascii", "replace")))
        elif kind == b"u ":
            fields = _fields(line, 11)
            changes.append(Change(fields[-1], None, fields[2].decode("ascii", "replace")))
    # A file taken out of the index that still lies there stands in the list twice.
    known: dict[bytes, Change] = {}
    for change in changes:
        if change.path not in known or known[change.path].blob is None:
            known[change.path] = change
    return oid, branch, tuple(known.values())


def _fields(line: bytes, count: int) -> list[bytes]:
    fields = line.split(b" ", count - 1)
    if len(fields) != count:
        raise ProcessError(f"git status told {safe(line, max_cells=80)}, which is not understood")
    return fields
