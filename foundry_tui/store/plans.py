"""The plans that were applied: each file as it was agreed to, for the verdict and for resuming.

A plan is kept before the first of its steps is sent. The name of the file is the id of the plan,
which `changes.planfile` has checked; what else is asked for is not there.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from foundry_tui.config.owned import OTHERS_WRITE, open_own, replace_own

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_END = ".json"


class Plans:
    """The folder of applied plans, mode 0700; its files are the user's own, mode 0600."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, plan_id: str, data: bytes) -> None:
        """Keep a plan, whole and safely on disk, in the place of an older one of its id.

        Raises:
            OSError: the folder cannot be written, or is full.
            ValueError: an id that is no name of a file.
        """
        self.folder.mkdir(mode=0o700, exist_ok=True)
        replace_own(self._path(plan_id), data, sync=True)

    def load(self, plan_id: str) -> bytes | None:
        """A plan as it was kept; None where there is none of this id.

        Raises:
            OSError: it is there and cannot be read, or is not the user's own.
        """
        if not _ID.fullmatch(plan_id):
            return None
        try:
            with os.fdopen(open_own(self._path(plan_id), OTHERS_WRITE), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def ids(self) -> tuple[str, ...]:
        """The ids of the plans that are kept, the one that was kept last at the end."""
        found = []
        with suppress(FileNotFoundError):
            for path in self.folder.iterdir():
                if path.name.endswith(_END) and _ID.fullmatch(path.name.removesuffix(_END)):
                    found.append((path.stat().st_mtime_ns, path.name.removesuffix(_END)))
        return tuple(name for _, name in sorted(found))

    def _path(self, plan_id: str) -> Path:
        if not _ID.fullmatch(plan_id):
            raise ValueError(f"plan: {ascii(plan_id)[:80]} is no id of a plan")
        return self.folder / f"{plan_id}{_END}"
