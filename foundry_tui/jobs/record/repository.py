"""Asking git about one working tree: quietly, under one deadline, and without starting anything.

Nothing that a repository could be set up to start is started: no hooks, no external or
text-converting diffs, no file watcher.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from foundry_tui.deadline import Deadline
from foundry_tui.process import Completed, run

MOST_LIST_BYTES = 8 << 20
"""How much a list of files may take."""

_QUIET = (
    "--no-pager",
    "--literal-pathspecs",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.quotePath=true",
    "-c",
    "core.untrackedCache=false",
    "-c",
    "submodule.recurse=false",
    "-c",
    "diff.external=",
    "-c",
    "diff.noprefix=false",
    "-c",
    "diff.mnemonicPrefix=false",
)
_ENV = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1"}


@dataclass(frozen=True, slots=True)
class Change:
    """A path that differs from the commit; `blob` is what the commit has there, None for new."""

    path: bytes
    blob: str | None
    submodule: str = "N..."


@dataclass(slots=True)
class Repository:
    """One working tree, asked under one deadline."""

    folder: Path
    deadline: Deadline
    env: dict[str, str] = field(default_factory=lambda: dict(_ENV))

    def ask(self, *args: str, stdin: bytes | None = None, most: int | None = None) -> Completed:
        """One command of git. Raises as `process.run`."""
        return run(
            ("git", "-C", str(self.folder), *_QUIET, *args),
            timeout_s=max(0.05, self.deadline.left_s()),
            max_bytes=MOST_LIST_BYTES if most is None else most,
            env=self.env,
            stdin=stdin,
        )
