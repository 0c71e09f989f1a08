"""Accounting added up for a census: kinds of runs, and the GPUs that accounts held hour by hour.

Pure. It is fed part by part, so that a long window costs no more memory than its kinds of runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from typing import NamedTuple

from foundry_tui.estate.gpu import WHOLE_MILLI, Share
from foundry_tui.estate.run import LIVE, RunState
from foundry_tui.estate.usage import UsageRecord, Window

HOUR_S = 3600

MOST_GROUPS = 50_000
"""Groups that are kept apart: a kilobyte each, and some sites give every run a name of its own."""


class Group(NamedTuple):
    """Runs that are taken to have one script: of a user, under one name and account.

    `name` None stands for all further names of a user, of whose scripts nothing can be said.
    """

    source: str
    account: str | None
    user: str | None
    name: str | None


class What(NamedTuple):
    """A kind of runs: their group, and what accounting shows of how they ran."""

    group: Group
    queue: str | None
    qos: str | None
    reservation: str | None
    heterogeneous: bool
    shares: frozenset[Share]

    @property
    def source(self) -> str:
        return self.group.source

    @property
    def account(self) -> str | None:
        return self.group.account

    @property
    def user(self) -> str | None:
        return self.group.user


@dataclass(slots=True)
class Sums:
    """Runs and the GPU-seconds that they held; of `unknown` runs nobody knows how much."""

    runs: int = 0
    gpu_s: float = 0.0
    unknown: int = 0

    def add(self, other: Sums) -> None:
        """Add what others held."""
        self.runs += other.runs
        self.gpu_s += other.gpu_s
        self.unknown += other.unknown

    @property
    def gpu_hours(self) -> float | None:
        """None where runs held GPUs and of none of them is known how many."""
        return None if self.unknown and not self.gpu_s else self.gpu_s / HOUR_S

    def part_of(self, whole: Sums) -> float | None:
        """Its part 0..1 of the GPU-seconds, of the runs where there are none; None of nothing."""
        if whole.gpu_s:
            return self.gpu_s / whole.gpu_s
        return self.runs / whole.runs if whole.runs else None


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest run of a group that is live, and the newest that is over, by their raw ids.

    `token` is the submit token of the newest that foundry itself has sent.
    """

    live: str | None = None
    ended: str | None = None
    token: str | None = None


@dataclass(slots=True)
class Hours:
    """GPU-seconds of an account in each hour of a window; `unknown` are hours without an answer."""

    gpu_s: list[float]
    unknown: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Tally:
    """What was counted in a window. `doubtful` tries are left out: their ends are not believed.

    `first` is when the first try began that touches the window: before it the books may be empty
    because nobody kept any. `folded` tries came under a name beyond the first `MOST_GROUPS`.
    """

    window: Window
    now: datetime
    kinds: dict[What, Sums] = field(default_factory=dict)
    groups: dict[Group, Sums] = field(default_factory=dict)
    latest: dict[Group, Latest] = field(default_factory=dict)
    hours: dict[tuple[str, str | None], Hours] = field(default_factory=dict)
    doubtful: int = 0
    folded: int = 0
    first: datetime | None = None

    @property
    def begins_at(self) -> int:
        """The hour of the window in which the first try began, from 0."""
        if self.first is None:
            return 0
        return max(0, int((self.first - self.window.start).total_seconds() // HOUR_S))

    @property
    def until(self) -> datetime:
        """The end of what can be told: that of the window, and not what is yet to come."""
        return min(self.window.end, max(self.now, self.window.start))

    @property
    def lengths_s(self) -> list[float]:
        """The lengths of the hours; the last may be cut off."""
        whole = (self.until - self.window.start).total_seconds()
        return [min(HOUR_S, whole - at * HOUR_S) for at in range(ceil(whole / HOUR_S))]

    def add(self, records: Iterable[UsageRecord]) -> None:
        """Count tries. A requeued one adds GPU-hours to a run that is counted by its last try."""
        count = len(self.lengths_s)
        for record in records:
            if record.doubt is not None:
                self.doubtful += 1
                continue
            group = self._group(record)
            sums = Sums(int(record.state is not RunState.REQUEUED))
            gpu_s = held_gpu_s(record, self.window, self.until)
            if gpu_s is None:
                sums.unknown = 1
            else:
                sums.gpu_s = gpu_s
            self.kinds.setdefault(_what(record, group), Sums()).add(sums)
            self.groups.setdefault(group, Sums()).add(sums)
            self._remember(group, record)
            self._spread(record, gpu_s, count)

    def _group(self, record: UsageRecord) -> Group:
        group = Group(record.source, record.account, record.user, str(record.name))
        if group in self.groups or len(self.groups) < MOST_GROUPS:
            return group
        self.folded += 1
        return group._replace(name=None)

    def _remember(self, group: Group, record: UsageRecord) -> None:
        if group.name is None:
            return
        known = self.latest.get(group, Latest())
        token = record.submit_token or known.token
        if record.state in LIVE:
            self.latest[group] = Latest(record.raw_id, known.ended, token)
        else:
            self.latest[group] = Latest(known.live, record.raw_id, token)

    def _spread(self, record: UsageRecord, gpu_s: float | None, count: int) -> None:
        """What a try held over the hours; suspended time is taken off evenly."""
        key = (record.source, record.account)
        hours = self.hours.setdefault(key, Hours([0.0] * count))
        if record.started_at is None:
            return
        if self.first is None or record.started_at < self.first:
            self.first = record.started_at
        if gpu_s == 0.0:
            return
        start = (record.started_at - self.window.start).total_seconds()
        end = ((record.ended_at or self.until) - self.window.start).total_seconds()
        length = (self.until - self.window.start).total_seconds()
        start, end = max(0.0, start), min(end, length)
        if start >= end:
            return
        for at in range(int(start // HOUR_S), min(count, ceil(end / HOUR_S))):
            inside = min(end, (at + 1) * HOUR_S) - max(start, at * HOUR_S)
            if gpu_s is None:
                hours.unknown.add(at)
            else:
                hours.gpu_s[at] += gpu_s * inside / (end - start)


def held_gpu_s(record: UsageRecord, window: Window, until: datetime) -> float | None:
    """GPU-seconds that a try held within a window; None where its GPUs are not known.

    Suspended seconds are taken off in proportion to what lies within the window.
    """
    if record.started_at is None:
        return 0.0
    ended = record.ended_at or until
    inside_s = Window(window.start, max(window.start, until)).overlap_s(record.started_at, ended)
    if not inside_s or record.gpus == ():
        return 0.0
    milli = held_milli(record)
    if milli is None:
        return None
    whole_s = max(1.0, (ended - record.started_at).total_seconds())
    worked = max(0.0, 1.0 - record.suspended_s / whole_s)
    return inside_s * worked * milli / WHOLE_MILLI


def held_milli(record: UsageRecord) -> int | None:
    """Thousandths of GPUs that a try held; None where that is not known of all of them."""
    parts = None if record.gpus is None else [held.milli for held in record.gpus]
    if parts is None or None in parts:
        return None
    return sum(part or 0 for part in parts)


def _what(record: UsageRecord, group: Group) -> What:
    shares = frozenset(held.share for held in record.gpus or ())
    return What(
        group=group,
        queue=record.queue,
        qos=record.qos,
        reservation=record.reservation,
        heterogeneous=record.het_offset is not None,
        shares=shares,
    )
