"""What was seen of an applied plan: who waited when it was applied, and look after look since."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from foundry_tui.estate.run import Placement, Run, RunState, run_id

_TASK = re.compile(r"(.+/\d+)_(?:\d+|\[.*\])")


def family(run: Run) -> str:
    """The id that a run keeps: of an array the job's, since its tasks change their ids."""
    return run.id if run.array is None else run_id(run.source, run.array.job_id)


def family_of(of: str) -> str:
    """The same, told from the id of a run alone: `lab/7_[0-9]` and `lab/7_3` are of `lab/7`."""
    found = _TASK.fullmatch(of)
    return found[1] if found else of


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiter:
    """A run that waited for room when a plan was applied; `count` are its waiting tasks.

    One that the plan puts back into the queue counts from `since`, when it had started: the work
    that it does again is waiting too.
    """

    family: str
    count: int = 1
    user: str | None = None
    account: str | None = None
    queue: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSeen:
    """One run or array task as it was seen; `count` are the tasks that it stands for.

    `placement` is empty while it is not known.
    """

    id: str
    family: str
    state: RunState
    count: int = 1
    held: bool = False
    started_at: datetime | None = None
    ended_at: datetime | None = None
    placement: tuple[Placement, ...] = ()

    @property
    def source(self) -> str:
        """The source that tells of it."""
        return self.id.partition("/")[0]

    @property
    def nodes(self) -> frozenset[str]:
        """The nodes that it is on, or was on when it ended."""
        return frozenset(part.node for part in self.placement)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look at the estate since a plan was applied.

    `runs` are those of the plan, and those that waited then, of which something is new; `gone` are
    the ids that were told of before and are not any more. What neither names is as it was, but for
    the runs of the `silent` sources, which did not answer. Measures are in GPUs, None where a
    source did not tell; `stranded_gpus` is None too where nobody reckoned it. `newer_gpus` are held
    by runs that came or started after the plan was made, and that it does not reckon with.
    """

    at: datetime
    runs: tuple[RunSeen, ...] = ()
    gone: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    gpus_total: float | None = None
    gpus_allocated: float | None = None
    gpus_free: float | None = None
    stranded_gpus: float | None = None
    newer_gpus: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """All that was seen. `waiters` is None where nobody looked when the plan was applied."""

    waiters: tuple[Waiter, ...] | None = None
    looks: tuple[Look, ...] = ()


def known(looks: Iterable[Look]) -> dict[str, RunSeen]:
    """Id -> what the looks last told of it, without what is gone."""
    found: dict[str, RunSeen] = {}
    for look in looks:
        for run in look.gone:
            found.pop(run, None)
        found |= {run.id: run for run in look.runs}
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """A move that was carried out: its first step was sent at `begun_at`, its last at `done_at`.

    `families` are the runs that it is about, of a `Resubmit` the new one. `undone_at` is when it
    was taken back.
    """

    move: str
    begun_at: datetime
    done_at: datetime
    families: tuple[str, ...] = ()
    undone_at: datetime | None = None
