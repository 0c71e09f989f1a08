"""Accounting rows from slurmdbd by `sacct`: a window at once, or a long one in parts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import ceil, floor

from foundry_tui.estate.usage import Accounting, UsageRecord, Window
from foundry_tui.process import TooMuch
from foundry_tui.schedulers.ports import SchedulerError, Unavailable
from foundry_tui.schedulers.slurm.accounting import books, doubt, peaks, sacct
from foundry_tui.schedulers.slurm.accounting.allocated import Allocations
from foundry_tui.schedulers.slurm.commands import Commands, NoAnswer
from foundry_tui.schedulers.slurm.nodes import RawNode

SPANS_S = (86_400, 21_600, 3_600)
"""Lengths of a part, from the first to the one that is tried last when `sacct` cannot cope."""

GPU = "gres/gpu"

PART_BYTES = 48 << 20
"""So much may be printed for a part that can be made smaller: some 100,000 tries."""

LAST_BYTES = 256 << 20
"""The same for a part that cannot."""

PART_TIMEOUT_S = 90.0
LAST_TIMEOUT_S = 600.0
"""Seconds for a part that cannot be made smaller."""


_Text = tuple[tuple[bytes, bytes], tuple[bytes, bytes] | None]
"""What `sacct` printed of tries and of steps, each with its mark."""


def read_accounting(
    commands: Commands,
    source: str,
    window: Window,
    allocations: Allocations,
    *,
    users: tuple[str, ...] | None = None,
) -> Accounting:
    """Every try of every job that touches the window.

    Raises:
        Unavailable, Denied: as `Commands.read`.
    """
    whole = _Span.of(window)
    out, mark = sacct.ask(
        commands,
        sacct.COLUMNS,
        *asked(users, whole.start_s, whole.end_s),
        max_bytes=LAST_BYTES,
    )
    records, rejects = sacct.parse(out, mark, source, allocations, whole.kept)
    return Accounting(window=window, records=tuple(records), rejects=tuple(rejects))


@dataclass(frozen=True, slots=True)
class Ledger:
    """The accounting of one cluster as a report reads it: in parts, weighed, and looked into.

    `peaks` is whether slurmdbd keeps the utilisation of GPUs; `notes` say what cannot be told.
    """

    commands: Commands
    source: str
    allocations: Allocations
    judges: bool
    peaks: bool
    notes: tuple[str, ...]

    @classmethod
    def opened(
        cls,
        commands: Commands,
        source: str,
        nodes: Callable[[], tuple[RawNode, ...]],
        private: Callable[[], frozenset[str]],
    ) -> Ledger:
        """Ask once for what holds for every part; a controller that is silent is noted.

        Raises:
            Unavailable, Denied: slurmdbd does not answer.
        """
        kept, notes = books.tracked(commands), []
        if GPU not in kept:
            notes.append(f"slurmdbd keeps no {GPU} (AccountingStorageTRES): GPUs are not known")
        known: tuple[RawNode, ...] = ()
        judges = False
        try:
            known = nodes()
            judges = os.geteuid() == 0 or "jobs" not in private()
            if not judges:
                notes.append(
                    "PrivateData hides the jobs of others: the rows may be yours alone, and tries "
                    "without an end are not looked into"
                )
        except SchedulerError as error:
            notes.append(f"{doubt.UNASKED}, nor what shards and MPS are worth: {error}")
        allocations = Allocations(known, tracked=GPU in kept)
        return cls(commands, source, allocations, judges, peaks.UTIL in kept, tuple(notes))

    def parts(
        self, window: Window, now: datetime, users: tuple[str, ...] | None = None
    ) -> Iterator[Accounting]:
        """The tries that touch the window, day by day, each in exactly one part.

        `sacct` shows a try in every part that it touches; it belongs to the part in which it
        started (or ended, where it never started; waits, to the last one), see `_Span.kept`. Where
        a day is too much for the cap or the deadline, the parts become smaller, to an hour. What
        lies ahead of `now` is no part of its own: what waits in one part would start in the next.

        Raises:
            Unavailable, Denied: as `Commands.read`.
        """
        whole = _Span.of(window)
        if whole.start_s >= whole.end_s:
            yield Accounting(window=window, records=(), notes=self.notes)
            return
        spans, judges = list(SPANS_S), self.judges
        now_s = now.timestamp()
        part: _Span | None = whole.part(whole.start_s, spans[0], now_s)
        coming: Future[_Text] | None = None
        ahead = ThreadPoolExecutor(1, "sacct")  # asks for the next part while one is looked at
        try:
            while part is not None:
                last = len(spans) == 1
                try:
                    text = (coming or ahead.submit(self._ask, part, users, last)).result()
                except Unavailable as error:
                    if last or not _too_large(error):
                        raise
                    del spans[0]
                    part, coming = whole.part(part.at_s, spans[0], now_s), None
                    continue
                after = whole.part(part.until_s, spans[0], now_s)
                coming = None
                if after is not None:
                    coming = ahead.submit(self._ask, after, users, last)
                found = self._part(part, window, text)
                if judges:
                    judged, silent = doubt.judged(self.commands, found.records)
                    found = replace(found, records=tuple(judged), notes=found.notes + silent)
                    judges = not silent  # a controller that is silent is not asked for each part
                yield found
                part = after
        finally:
            ahead.shutdown(wait=False, cancel_futures=True)

    def _ask(self, part: _Span, users: tuple[str, ...] | None, last: bool) -> _Text:
        """What `sacct` prints of a part, and of its steps where these are wanted."""
        options = asked(users, part.at_s, part.until_s)
        timeout_s = LAST_TIMEOUT_S if last else PART_TIMEOUT_S
        most = LAST_BYTES if last else PART_BYTES
        tries = sacct.ask(
            self.commands, sacct.COLUMNS, *options, timeout_s=timeout_s, max_bytes=most
        )
        if not self.peaks or not tries[0]:
            return tries, None
        wanted = peaks.options(options)
        return tries, sacct.ask(
            self.commands, peaks.COLUMNS, *wanted, timeout_s=timeout_s, max_bytes=most
        )

    def _part(self, part: _Span, window: Window, text: _Text) -> Accounting:
        tries, steps = text
        found, rejects = sacct.parse(*tries, self.source, self.allocations, part.kept)
        records: Sequence[UsageRecord] = found
        if steps is not None and records:
            records = peaks.with_peaks(records, peaks.parse(*steps))
        return Accounting(
            window=part.window(window),
            records=tuple(records),
            rejects=tuple(rejects),
            notes=self.notes if part.at_s == part.start_s else (),
        )


def asked(users: tuple[str, ...] | None, start_s: int, end_s: int) -> tuple[str, ...]:
    """The options that ask for the tries of a stretch of time; `-T`, which cuts them, is not one.

    Times are cut to the window later, by whoever adds them up.
    """
    who = ("-u", ",".join(users)) if users else ("-a",)
    return (*who, *sacct.TRIES, "-S", _slurm_time(start_s), "-E", _slurm_time(end_s))


def _slurm_time(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _too_large(error: Unavailable) -> bool:
    return isinstance(error, NoAnswer) or isinstance(error.__cause__, TooMuch)


@dataclass(frozen=True, slots=True)
class _Span:
    """A part of a window, in whole unix seconds: `at` <= t < `until` of `start` <= t < `end`."""

    start_s: int
    end_s: int
    at_s: int
    until_s: int

    @classmethod
    def of(cls, window: Window) -> _Span:
        """A window as its only part."""
        start, end = floor(window.start.timestamp()), ceil(window.end.timestamp())
        return cls(start, end, start, end)

    def part(self, at_s: int, length_s: int, now_s: float) -> _Span | None:
        """The part that begins at a moment, up to the next border; what lies ahead is one.

        None at the end of the window.
        """
        if at_s >= self.end_s:
            return None
        until = min((at_s // length_s + 1) * length_s, self.end_s)
        return _Span(self.start_s, self.end_s, at_s, self.end_s if until > now_s else until)

    def window(self, whole: Window) -> Window:
        """The part as a window, with the very ends of the whole one."""
        at, until = (datetime.fromtimestamp(s, UTC) for s in (self.at_s, self.until_s))
        return Window(
            whole.start if self.at_s == self.start_s else at,
            whole.end if self.until_s == self.end_s else until,
        )

    def kept(self, eligible_s: int | None, start_s: int | None, end_s: int | None) -> bool:
        """Whether a try that touches the window belongs to this part of it.

        `sacct` shows what was eligible before the end of the stretch and did not end before its
        start. So the part must be one that lies within that: the start, but no later than the end
        and no earlier than the eligible time, for clocks jump. A try that is eligible after its
        start cannot be had for the time before it was eligible.
        """
        if end_s is not None and end_s == self.start_s and (start_s or end_s) < end_s:
            return False  # it ended as the window began: the window before has it
        moment_s = start_s if start_s is not None else end_s
        if moment_s is None:
            moment_s = self.end_s
        if eligible_s is not None:
            moment_s = max(moment_s, eligible_s)
        if end_s is not None:
            moment_s = min(moment_s, end_s)
        return self.at_s <= min(max(moment_s, self.start_s), self.end_s - 1) < self.until_s
