"""One reading of all sources, side by side, under one deadline.

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
from foundry_tui.collector.join import Join
from foundry_tui.collector.publish import IdleMark, Measured
from foundry_tui.collector.sweep import Sweeps
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.ports import Denied, SchedulerError, SchedulerReader
from foundry_tui.store.snapshots import Snapshots, StoreError

DEADLINE_S = 14.0
"""A reading ends after this many seconds, whoever still keeps silent."""

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
    """Reads the estate. `sweeps` give the readings of its GPUs, `join` joins them to it.

    `idle` gives the marks of the history; `measured` is what the last estate was joined with, from
    so many sweeps as `swept` says.
    """

    readers: Sequence[SchedulerReader]
    clock: Callable[[], datetime]
    store: Snapshots | None = None
    sweeps: Sweeps | None = None
    join: Join = field(default_factory=Join)
    interval_s: float = 30.0
    monotonic: Callable[[], float] = time.monotonic
    idle: Callable[[], tuple[IdleMark, ...]] = tuple
    measured: Measured = field(init=False, default_factory=Measured)
    swept: int = field(init=False, default=0)
    _kept: list[_Kept] = field(init=False)
    _answered: threading.Event = field(init=False, default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._kept = [_Kept(r, Backoff(self.interval_s)) for r in self.readers]

    def collect(
        self,
        deadline_s: float = DEADLINE_S,
        *,
        patience_s: float | None = None,
        given: Measured | None = None,
    ) -> Snapshot:
        """Ask every source that is due and return the whole estate; never raises for a source.

        With `patience_s` the slower sources hold the estate up for only so long after the first
        answer: what they were last read for stands until they answer. Readings that are `given`
        take the place of sweeps.
        """
        started = self.monotonic()
        until = started + deadline_s
        sweeps = self.sweeps if given is None else None
        asked = self._start(started)
        if sweeps is not None:
            sweeps.start(self.nodes)
        if patience_s is not None and len(asked) > 1:
            self._first(asked, until)
            until = min(until, self.monotonic() + patience_s)
        for kept in asked:
            if kept.busy is not None:
                kept.busy.join(max(0.0, until - self.monotonic()))
        if sweeps is not None:
            sweeps.start(self.nodes)  # those that had to wait for the names of nodes
            if patience_s is not None:
                until = min(until, self.monotonic() + patience_s)
            sweeps.wait(until)
        if sweeps is not None:
            self.swept = sweeps.ended
        swept = sweeps.measured() if sweeps is not None else given or Measured()
        self.measured = replace(swept, idle=swept.idle or self.idle())
        now = self.clock()
        parts = [self._part(kept, now, patient=patience_s is not None) for kept in self._kept]
        return self.join.whole(parts, now, self.measured)

    def read(self, deadline_s: float = DEADLINE_S) -> None:
        """Ask every source that is due, and wait for its answer."""
        until = self.monotonic() + deadline_s
        for kept in self._start(self.monotonic()):
            if kept.busy is not None:
                kept.busy.join(max(0.0, until - self.monotonic()))

    def last(self, source: str) -> Snapshot | None:
        """What this process itself last read of a source; None when it has not."""
        return next((k.part for k in self._kept if k.reader.name == source), None)

    def nodes(self) -> tuple[str, ...] | None:
        """The names of all nodes, as last read or kept; None while a source may still tell them."""
        parts = [k.part or self._stored(k) for k in self._kept]
        known = [part for part in parts if part is not None]
        now = self.monotonic()
        if not known and any(k.hangs and now - k.asked_at < DEADLINE_S for k in self._kept):
            return None
        return tuple(dict.fromkeys(node.name for part in known for node in part.nodes))

    def _stored(self, kept: _Kept) -> Snapshot | None:
        return self.store.load(kept.reader.name).snapshot if self.store else None

    def _start(self, now: float) -> list[_Kept]:
        """Begin to ask every source that is due; those that are asked."""
        asked = []
        for kept in self._kept:
            if kept.backoff.due(now) and not kept.hangs:
                kept.hurried, kept.asked_at = False, now
                # A daemon thread: a source that hangs must not keep the program from ending.
                kept.busy = threading.Thread(target=self._ask, args=(kept,), daemon=True)
                kept.busy.start()
                asked.append(kept)
        return asked

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
        return self.join.whole(parts, now, Measured()) if parts else None

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
        """Seconds until the next source or sweep is due."""
        wait_s = min(self.waits_s().values(), default=self.interval_s)
        return wait_s if self.sweeps is None else min(wait_s, self.sweeps.wait_s())

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
        old = kept.part or self._stored(kept)
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
