"""One sweep over all sources, side by side, under one deadline.

A source that does not answer in time costs the others nothing: its last good data takes its place,
with its age and the reason.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from foundry_tui.collector.backoff import Backoff
from foundry_tui.estate.gpu import Reading
from foundry_tui.estate.merge import merge
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.ports import Denied, SchedulerError, SchedulerReader
from foundry_tui.store.snapshots import Snapshots, StoreError

DEADLINE_S = 14.0
"""A sweep ends after this many seconds, whoever still keeps silent."""

HANGING_S = 2.0
"""After so many seconds it is looked whether a source that missed the deadline has answered."""

BUSY_S = 0.5
"""The same for a source whose deadline is not over."""


@dataclass(slots=True)
class _Kept:
    """What is known of one source: its last good part, its time-table and its last failure."""

    reader: SchedulerReader
    backoff: Backoff
    part: Snapshot | None = None
    error: SchedulerError | None = None
    busy: threading.Thread | None = None
    asked_at: float = 0.0
    hurried: bool = False

    @property
    def hangs(self) -> bool:
        """Whether an answer is still waited for."""
        return self.busy is not None and self.busy.is_alive()


@dataclass(slots=True)
class Collector:
    """Reads the estate. `telemetry` gives the readings of GPUs with the source they come from."""

    readers: Sequence[SchedulerReader]
    clock: Callable[[], datetime]
    store: Snapshots | None = None
    telemetry: Callable[[], tuple[tuple[Reading, ...], Source]] | None = None
    interval_s: float = 30.0
    monotonic: Callable[[], float] = time.monotonic
    _kept: list[_Kept] = field(init=False)
    _answered: threading.Event = field(init=False, default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._kept = [_Kept(r, Backoff(self.interval_s)) for r in self.readers]

    def collect(
        self, deadline_s: float = DEADLINE_S, *, patience_s: float | None = None
    ) -> Snapshot:
        """Ask every source that is due and return the whole estate; never raises for a source.

        With `patience_s` the slower sources hold the estate up for only so long after the first
        answer: what they were last read for stands until they answer.
        """
        started = self.monotonic()
        asked = []
        for kept in self._kept:
            if kept.backoff.due(started) and not kept.hangs:
                kept.hurried, kept.asked_at = False, started
                # A daemon thread: a source that hangs must not keep the program from ending.
                kept.busy = threading.Thread(target=self._ask, args=(kept,), daemon=True)
                kept.busy.start()
                asked.append(kept)
        readings: list[tuple[tuple[Reading, ...], Source]] = []
        measuring = threading.Thread(target=self._measure, args=(readings,), daemon=True)
        measuring.start()
        until = started + deadline_s
        if patience_s is not None and len(asked) > 1:
            self._first(asked, until)
            until = min(until, self.monotonic() + patience_s)
        for thread in [k.busy for k in asked if k.busy] + [measuring]:
            thread.join(max(0.0, until - self.monotonic()))
        now = self.clock()
        whole = merge(
            [self._part(kept, now, patient=patience_s is not None) for kept in self._kept],
            now,
            readings=readings[0][0] if readings else (),
        )
        return replace(whole, sources=(*whole.sources, *(s for _, s in readings)))

    def _first(self, asked: Sequence[_Kept], until: float) -> None:
        """Wait until one of these has answered."""
        while all(k.hangs for k in asked) and (left_s := until - self.monotonic()) > 0:
            self._answered.clear()
            if all(k.hangs for k in asked):
                self._answered.wait(min(left_s, BUSY_S))

    def before(self) -> Snapshot | None:
        """The whole estate as the last process left it, before any source is asked.

        None when nothing was kept. It is stale until a source has answered, and says so.
        """
        now = self.clock()
        parts = []
        for reader in self.readers:
            old = self.store.load(reader.name).snapshot if self.store else None
            if old is not None:
                source = Source(
                    name=reader.name,
                    kind=reader.kind,
                    state=SourceState.STALE,
                    read_at=old.generated_at,
                    reason="from the last time; it is being read now",
                )
                parts.append(replace(old, sources=(source,), generated_at=now))
        return merge(parts, now) if parts else None

    def hurry(self) -> None:
        """Make every source due that answers, at the floor of politeness.

        What is being read just now may be from before the act: it is read once more.
        """
        now = self.monotonic()
        for kept in self._kept:
            kept.hurried = kept.hangs
            kept.backoff.hurry(now)

    def waits_s(self) -> dict[str, float]:
        """Source -> seconds until it is due; one that has not answered yet is looked at then."""
        now = self.monotonic()
        return {
            k.reader.name: max(self._look_s(k, now) if k.hangs else 0.0, k.backoff.due_at - now)
            for k in self._kept
        }

    def _look_s(self, kept: _Kept, now: float) -> float:
        return BUSY_S if now - kept.asked_at < DEADLINE_S else HANGING_S

    def wait_s(self) -> float:
        """Seconds until the next source is due."""
        return min(self.waits_s().values(), default=self.interval_s)

    def _ask(self, kept: _Kept) -> None:
        self._read(kept)
        if kept.hurried:
            kept.backoff.hurry(self.monotonic())
        self._answered.set()

    def _read(self, kept: _Kept) -> None:
        started = self.monotonic()
        try:
            part = kept.reader.snapshot()
        except SchedulerError as error:
            kept.error = error
            kept.backoff.failed(self.monotonic())
            return
        except Exception as error:  # a wrong answer must not take the face down
            kept.error = SchedulerError(
                f"reading {kept.reader.name}", f"an answer that was not understood ({error!r})"
            )
            kept.backoff.failed(self.monotonic())
            return
        kept.part, kept.error = part, None
        kept.backoff.succeeded(self.monotonic(), self.monotonic() - started)
        if self.store is not None:
            # Without a kept copy the next start has nothing to show: no reason to fail this one.
            with suppress(StoreError):
                self.store.save(kept.reader.name, part)

    def _measure(self, into: list[tuple[tuple[Reading, ...], Source]]) -> None:
        if self.telemetry is not None:
            into.append(self.telemetry())

    def _part(self, kept: _Kept, now: datetime, *, patient: bool) -> Snapshot:
        """The source's part as good as it is known, with its state told plainly.

        To the `patient` a source that is still within its deadline is not down.
        """
        hangs = kept.hangs
        if kept.error is None and not hangs and kept.part is not None:
            return kept.part
        waiting = patient and hangs and self.monotonic() - kept.asked_at < DEADLINE_S
        if waiting and kept.error is None and kept.part is not None:
            return kept.part
        unanswered = "it is being read now" if waiting else "no answer before the deadline"
        reason = str(kept.error) if kept.error else unanswered
        state = SourceState.DENIED if isinstance(kept.error, Denied) else SourceState.DOWN
        if waiting and kept.error is None:
            state = SourceState.STALE
        old = kept.part or (self.store.load(kept.reader.name).snapshot if self.store else None)
        source = Source(
            name=kept.reader.name, kind=kept.reader.kind, state=state, reason=safe(reason)
        )
        if old is None:
            return Snapshot(generated_at=now, sources=(source,))
        if not kept.backoff.failures and hangs:
            state = SourceState.STALE
        aged = replace(source, state=state, read_at=old.generated_at)
        return replace(
            old, sources=(aged,), partial=(f"{aged.name}: shown as last read",), generated_at=now
        )
