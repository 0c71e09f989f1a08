"""What a run would lose if it were killed now: the work since its newest checkpoint."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

MOST_ENTRIES = 20_000
"""How many files and folders are looked at: a shared file system answers each with a request."""

MAX_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Newest:
    """When the newest file below a path was written; `why` there is none, or not surely this one.

    `at` None with `why`: nothing is known, or nothing is there yet.
    """

    at: datetime | None
    why: str | None = None


def newest(path: Path, *, most_entries: int = MOST_ENTRIES) -> Newest:
    """The newest file below a checkpoint path, which may itself be a file.

    Links are not followed, and what lies deeper than eight folders is not looked at.
    """
    try:
        told = path.stat()
    except OSError as error:
        return Newest(None, f"{path}: {error.strerror or error}")
    if path.is_file():
        return Newest(_at(told.st_mtime))
    times: list[float] = []
    waiting, left, why = [(path, 1)], most_entries, None
    while waiting:
        folder, depth = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    left -= 1
                    if left < 0:
                        why = f"{path} has more than {most_entries} entries; not all were looked at"
                        return Newest(_at(max(times)) if times else None, why)
                    if entry.is_dir(follow_symlinks=False):
                        if depth < MAX_DEPTH:
                            waiting.append((Path(entry.path), depth + 1))
                    elif entry.is_file(follow_symlinks=False):
                        times.append(entry.stat(follow_symlinks=False).st_mtime)
        except OSError as error:
            why = f"{folder}: {error.strerror or error}"
    if not times:
        return Newest(None, why or f"no file below {path} yet")
    return Newest(_at(max(times)), why)


def at_risk(
    run_started: datetime | None,
    newest_checkpoint: datetime | None,
    now: datetime,
    gpu_milli: int | None,
) -> float | None:
    """GPU-hours of work that no checkpoint holds; None while the run has not started.

    Without a checkpoint of this attempt all of it counts; one that is dated later than now (the
    clock of a file server) leaves nothing to lose. `gpu_milli` are thousandths of GPUs that the run
    holds, None when that is not known.
    """
    if run_started is None or gpu_milli is None:
        return None
    since = run_started
    if newest_checkpoint is not None and newest_checkpoint > run_started:
        since = newest_checkpoint
    lost_s = max(0.0, (now - since).total_seconds())
    return lost_s / 3600 * gpu_milli / 1000


def _at(mtime_s: float) -> datetime:
    return datetime.fromtimestamp(mtime_s, UTC)
