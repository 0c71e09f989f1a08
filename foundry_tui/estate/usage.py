"""Accounting: what a finished or running run really held, for reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from foundry_tui.estate.gpu import WHOLE_MILLI, Share
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


@dataclass(frozen=True, slots=True)
class HeldGpus:
    """GPUs of one kind that a try held, on all its nodes together.

    `count` is in the scheduler's own units: devices, MIG instances, shards, MPS per cent. `milli`
    are the thousandths of devices that all of them are worth, None when that is not known. Slurm
    counts a MIG instance as a GPU, so that what it bills (`billed_milli`) is more than its worth.
    """

    gpu_type: str | None
    count: int
    milli: int | None
    share: Share = Share.WHOLE

    @property
    def billed_milli(self) -> int | None:
        """Thousandths of GPUs as the scheduler's accounting counts them."""
        whole = self.share in (Share.WHOLE, Share.MIG)
        return WHOLE_MILLI * self.count if whole else self.milli


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRecord:
    """One accounting row: one try of a run (a requeued run has several).

    `gpu_count` is the number of allocated devices, None when the row names none and does not say
    that there were none; `held` says it kind by kind, where the source tells more than that.
    `suspended_s` is taken off the elapsed time. `node_pool` is where a project's run ran (Run:ai).
    `het_offset` is the place in a heterogeneous job. `doubt` says why the row is not to be billed
    as it stands: a job without an end that the controller does not know any more.
    `gpu_util_peak_pct` is the highest utilisation that the scheduler itself saw: a peak, no mean.
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
    held: tuple[HeldGpus, ...] | None = None
    node_pool: str | None = None
    reservation: str | None = None
    het_offset: int | None = None
    doubt: SafeText | None = None
    gpu_util_peak_pct: float | None = None

    @property
    def gpus(self) -> tuple[HeldGpus, ...] | None:
        """What it held of GPUs, kind by kind; None when that is not told."""
        if self.held is not None:
            return self.held
        if self.gpu_count is None:
            return None
        if self.gpu_count == 0:
            return ()
        whole = self.gpu_milli is None or self.gpu_milli == WHOLE_MILLI * self.gpu_count
        share = Share.WHOLE if whole else Share.FRACTION
        return (HeldGpus(self.gpu_model, self.gpu_count, self.gpu_milli, share),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who is charged: a Slurm account, a Run:ai project; `parent` is the one above it.

    `quota_gpu_milli` are the thousandths of GPUs that it is entitled to at a time, None without.
    `shares` are Slurm's fair-share points among its sisters, None where nobody gave any.
    """

    name: str
    parent: str | None = None
    quota_gpu_milli: int | None = None
    shares: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTotals:
    """The scheduler's own sums of GPU-seconds by account, to compare a report with.

    `window` is what the sums cover, which may be less than was asked for. `by` is the command or
    request they come from; `notes` say what is in them that is no run's, such as reservations.
    """

    window: Window
    gpu_s: Mapping[str, int]
    by: str
    notes: tuple[SafeText, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounting:
    """The rows of a window; `rejects` are rows that could not be read, counted and shown.

    `notes` say what the source cannot tell at all, such as runs that it forgets.
    """

    window: Window
    records: tuple[UsageRecord, ...]
    rejects: tuple[SafeText, ...] = ()
    notes: tuple[str, ...] = ()
