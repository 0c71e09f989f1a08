"""What an MLflow record should say, given what the scheduler says of its job. Pure.

A job that is ended from outside (cancelled, out of time, out of memory, its node lost) cannot tell
MLflow: its record says RUNNING for ever. The scheduler is the truth about how a job ended; what a
job has said of itself before it ended is left as it is.

| scheduler | record | becomes |
|---|---|---|
| waits, or is suspended | RUNNING | SCHEDULED; a new attempt when it had begun |
| waits after it had begun | ended | SCHEDULED, a new attempt |
| runs | SCHEDULED | RUNNING |
| completed | SCHEDULED, RUNNING | FINISHED |
| failed, out of memory, node failure | SCHEDULED, RUNNING | FAILED |
| cancelled, out of time, preempted | SCHEDULED, RUNNING | KILLED |
| anything | ended | left; the reason and exit code are added where they tell more |
| unknown to job list and accounting | not ended | orphaned after `ORPHAN_S`: a tag alone |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from foundry_tui.estate.recorded import ATTEMPT_TAG, EXIT_TAG, ORPHAN_TAG, REASON_TAG, SOURCE_TAG
from foundry_tui.estate.run import LIVE, RunState
from foundry_tui.estate.tracked import ENDED, TrackStatus

ORPHAN_S = 6 * 3600.0
"""Seconds for which neither the job list nor the accounting may know a job before it is lost."""

_FAILED = frozenset({RunState.FAILED, RunState.OUT_OF_MEMORY, RunState.NODE_FAIL})
_KILLED = frozenset({RunState.CANCELLED, RunState.TIMEOUT, RunState.PREEMPTED})
_RUNS = frozenset({RunState.RUNNING, RunState.COMPLETING})


class Kind(StrEnum):
    """What is done about a record."""

    WRITE = "write"
    LEAVE = "leave"
    ORPHANED = "orphaned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job, or a task of an array, as the scheduler tells of it now."""

    state: RunState
    ended_at: datetime | None = None
    exit_code: int | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do about one record. `over` tells that nothing more will come of this pair."""

    kind: Kind
    words: str
    status: TrackStatus | None = None
    ended_at: datetime | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    attempt: int = 1
    over: bool = False


def whole(parts: Sequence[Job]) -> Job:
    """The tasks of an array as one job: it runs while one runs, and is only as good as its worst.

    Raises:
        ValueError: there are no parts.
    """
    if len(parts) == 1:
        return parts[0]
    if not parts:
        raise ValueError("parts: a job has at least one")
    live = [p for p in parts if p.state in LIVE]
    if live:
        begun = len(live) < len(parts) or any(p.state in _RUNS for p in live)
        waits = all(p.state is RunState.SUSPENDED for p in live)
        state = RunState.SUSPENDED if waits else RunState.RUNNING if begun else RunState.PENDING
        return Job(state=state)
    ends = [p.ended_at for p in parts if p.ended_at is not None]
    bad = [p for p in parts if p.state in _FAILED] or [p for p in parts if p.state in _KILLED]
    worst = max(bad or parts, key=lambda p: p.exit_code or 0)
    words = f"{len(bad)} of {len(parts)} tasks" if bad else None
    return Job(
        state=worst.state,
        ended_at=max(ends, default=None),
        exit_code=worst.exit_code,
        reason=words,
    )


def decide(
    job: Job | None,
    status: TrackStatus,
    tags: Mapping[str, str],
    *,
    begun: bool = False,
    attempt: int = 1,
    missing_s: float | None = None,
) -> Decision:
    """What to do about the record of a job.

    Args:
        job: the job now; None when neither the job list nor the accounting knows it.
        status, tags: the record as it is.
        begun: whether the job has been seen running before.
        attempt: which try of the job this was.
        missing_s: seconds since the job was first not known any more.
    """
    if job is None:
        return _lost(status, attempt, missing_s)
    if job.state in _RUNS:
        return _runs(status, attempt)
    if job.state in LIVE:
        return _waits(job, status, begun=begun, attempt=attempt)
    wanted = expected(job.state)
    if wanted is None:
        return _leave(f"the scheduler's state is {job.state.value}", attempt)
    told = _told(job, wanted)
    if status not in ENDED:
        return Decision(
            kind=Kind.WRITE,
            words=f"{status} -> {wanted}: the job is {_reason(job)}",
            status=wanted,
            ended_at=job.ended_at,
            tags={SOURCE_TAG: "scheduler", **told},
            attempt=attempt,
            over=True,
        )
    same = status is wanted
    words = f"it ended itself as {status}"
    if not same:
        words += f"; the two disagree: the job is {_reason(job)}"
    more = {
        k: v for k, v in told.items() if tags.get(k) != v and wanted is not TrackStatus.FINISHED
    }
    kind = Kind.WRITE if more else Kind.LEAVE
    return Decision(kind=kind, words=words, tags=more, attempt=attempt, over=True)


def _lost(status: TrackStatus, attempt: int, missing_s: float | None) -> Decision:
    if missing_s is None or missing_s < ORPHAN_S:
        return _leave("neither the job list nor the accounting knows the job", attempt)
    if status in ENDED:
        return Decision(
            kind=Kind.LEAVE, words=f"it ended itself as {status}", attempt=attempt, over=True
        )
    words = "orphaned: neither the job list nor the accounting knows the job"
    return Decision(
        kind=Kind.ORPHANED,
        words=f"{words}; the status {status} is left as it is",
        tags={ORPHAN_TAG: "true", REASON_TAG: words},
        attempt=attempt,
        over=True,
    )


def _runs(status: TrackStatus, attempt: int) -> Decision:
    if status is TrackStatus.SCHEDULED:
        return Decision(
            kind=Kind.WRITE,
            words="SCHEDULED -> RUNNING: the job runs",
            status=TrackStatus.RUNNING,
            attempt=attempt,
        )
    if status in ENDED:
        return _leave(f"tracking ended ({status}), the job still runs", attempt)
    return _leave("both run", attempt)


def _waits(job: Job, status: TrackStatus, *, begun: bool, attempt: int) -> Decision:
    if status is TrackStatus.SCHEDULED:
        return _leave("both wait", attempt)
    if status in ENDED and not begun:
        return _leave(f"tracking ended ({status}), the job still waits", attempt)
    again = begun and job.state is RunState.PENDING
    attempt += again
    return Decision(
        kind=Kind.WRITE,
        words=f"{status} -> SCHEDULED: the job {'waits again' if again else job.state.value}",
        status=TrackStatus.SCHEDULED,
        tags={ATTEMPT_TAG: str(attempt)} if again else {},
        attempt=attempt,
    )


def _leave(words: str, attempt: int) -> Decision:
    return Decision(kind=Kind.LEAVE, words=words, attempt=attempt)


def expected(state: RunState) -> TrackStatus | None:
    """What the record of a job in this state should say; None for a state that is not known."""
    if state in LIVE:
        return TrackStatus.RUNNING if state in _RUNS else TrackStatus.SCHEDULED
    if state is RunState.COMPLETED:
        return TrackStatus.FINISHED
    if state in _FAILED:
        return TrackStatus.FAILED
    return TrackStatus.KILLED if state in _KILLED else None


def _told(job: Job, wanted: TrackStatus) -> dict[str, str]:
    """The tags that say how the job ended."""
    told = {} if wanted is TrackStatus.FINISHED else {REASON_TAG: _reason(job)}
    # Of a job that was ended from outside, 0 is no code of its own: Slurm tells it of a time-out.
    none = job.exit_code is None or (job.exit_code == 0 and wanted is TrackStatus.KILLED)
    return told if none else {**told, EXIT_TAG: str(job.exit_code)}


def _reason(job: Job) -> str:
    return job.state.value + (f" ({job.reason})" if job.reason else "")
