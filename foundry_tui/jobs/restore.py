"""The code of a run as it was: a commit in a folder of its own, and its uncommitted changes."""

from __future__ import annotations

import re
from pathlib import Path

from foundry_tui.estate.text import safe
from foundry_tui.process import ProcessError, run

TIMEOUT_S = 300.0
"""A worktree of a large repository on a network file system takes minutes."""

ASK_S = 10.0

_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_QUIET = ("--no-pager", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false")
_ENV = {"GIT_TERMINAL_PROMPT": "0"}


class RestoreError(ValueError):
    """The code cannot be had; the message says what is missing and what to do."""


def repository(folder: Path) -> Path | None:
    """The top of the working tree that a folder lies in; None where it lies in none."""
    told = _git(folder, "rev-parse", "--show-toplevel")
    return Path(told.strip()) if told is not None and told.strip() else None


def holds(root: Path, commit: str) -> bool:
    """Whether the repository has the commit, without asking any other."""
    return bool(_COMMIT.fullmatch(commit)) and (
        _git(root, "cat-file", "-e", f"{commit}^{{commit}}") is not None
    )


def has_file(root: Path, commit: str, path: str) -> bool:
    """Whether a commit holds a regular file at a path from its top."""
    if not _COMMIT.fullmatch(commit):
        return False
    kind = _git(root, "cat-file", "-t", f"{commit}:{path}")
    return kind is not None and kind.strip() == "blob"


def restore(root: Path, commit: str, patch: bytes | None, target: Path) -> None:
    """Put a commit and a patch into the new folder `target`, a worktree of the repository `root`.

    The patch is one that `git diff --binary` made. What is there already is never touched, and a
    patch that does not fit takes the folder away again.

    Raises:
        RestoreError: the folder is there, the commit is not, or the patch does not fit.
    """
    if not _COMMIT.fullmatch(commit):
        raise RestoreError(f"{safe(commit)!r} is no commit")
    if target.exists() or target.is_symlink():
        raise RestoreError(f"{safe(str(target))} is there already; name another folder")
    if not holds(root, commit):
        raise RestoreError(
            f"{safe(str(root))} does not have the commit {commit[:12]}; fetch it, and try again"
        )
    _must(root, ("worktree", "add", "--quiet", "--detach", str(target.absolute()), commit))
    if patch:
        try:
            _must(target, ("apply", "--binary", "--whitespace=nowarn", "-"), patch)
        except RestoreError:
            _git(root, "worktree", "remove", "--force", str(target.absolute()))
            raise


def _must(folder: Path, args: tuple[str, ...], stdin: bytes | None = None) -> None:
    asked = f"git {args[0]} in {safe(str(folder))}"
    try:
        done = run(
            ("git", "-C", str(folder), *_QUIET, *args), timeout_s=TIMEOUT_S, env=_ENV, stdin=stdin
        )
    except ProcessError as error:
        raise RestoreError(f"{asked}: {error}") from error
    if done.code != 0:
        said = done.err.decode("utf-8", "replace").strip().partition("\n")[0]
        raise RestoreError(f"{asked}: {safe(said, max_cells=300)}")


def _git(folder: Path, *args: str) -> str | None:
    """What git prints; None where it refuses, is not there or takes too long."""
    try:
        done = run(("git", "-C", str(folder), *_QUIET, *args), timeout_s=ASK_S, env=_ENV)
    except ProcessError:
        return None
    return done.out.decode("utf-8", "surrogateescape") if done.code == 0 else None
