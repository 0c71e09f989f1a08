"""Accounting: what a finished or running run really held, for reports."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from foundry_tui.estate.run import RunState
from foundry_tui.estate.text import SafeText


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open stretch of time, `start` <= t < `end`, so that adjacent windows add up."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise ValueError(f"window: ends at {self.end} before it starts at {self.start}")

    def overlap_s(self, start: datetime | None, end: datetime | None) -> int:
        """Whole seconds of [start, end) within the window; an open end runs to the window's end."""
        if start is None:
            return 0
        begin, until = max(start, self.start), min(end or self.end, self.end)
        return max(0, int((until - begin).total_seconds()))


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRecord:
    """One accounting row: one try of a run (a requeued run has several).

    `gpu_count` is the number of allocated devices, None when the row names none and does not say
    that there were none. `suspended_s` is taken off the elapsed time.
    """

    source: str
    native_id: str
    raw_id: str
    name: SafeText
    user: str | None
    account: str | None
    queue: str | None
    qos: str | None
    state: RunState
    submitted_at: datetime | None
    eligible_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    nodes: tuple[str, ...] = ()
    gpu_count: int | None = None
    gpu_milli: int | None = None
    gpu_model: str | None = None
    cpu_milli: int | None = None
    memory_bytes: int | None = None
    time_limit_s: int | None = None
    suspended_s: int = 0
    exit_code: int | None = None
    work_dir: str | None = None
    submit_token: str | None = None
    restarts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounting:
    """The rows of a window; `rejects` are rows that could not be read, counted and shown.

    `notes` say what the source cannot tell at all, such as runs that it forgets.
    """

    window: Window
    records: tuple[UsageRecord, ...]
    rejects: tuple[SafeText, ...] = ()
    notes: tuple[str, ...] = ()
