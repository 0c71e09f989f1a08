"""Recording the history beside the collecting: in a thread of its own, at low priority.

The face hands every reading in; one a minute is written. What goes wrong here (a full disk, a
damaged file) is told once and never stops the collecting.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from foundry_tui.collector.publish import IdleMark
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import safe

STEP_S = 60
COMPACT_S = 900.0
"""Between two roll-ups there are so many seconds; the first comes one such span after the start."""

PATIENT_S = 75.0
"""Without a new sweep a window is recorded after so many seconds all the same."""

WAITING = 8
"""Readings that may wait while a roll-up is at work; the oldest is dropped after that."""

CLOSE_S = 1.0
"""So long it is waited for the last window when the collecting ends."""

NICE = 10


class Writer(Protocol):
    """The history, as far as it is written."""

    def record(self, snapshot: Snapshot, *, step_s: int = STEP_S) -> None: ...

    def compact(self) -> None: ...

    def idle(self) -> Mapping[tuple[str, str, int], datetime]: ...

    def close(self) -> None: ...


@dataclass(slots=True)
class Recorder:
    """Writes what it is offered.

    `make` opens the history, and `missed` gives what was not recorded while nobody collected, as
    of the first reading; it is written while no other waits. Both are called in the recorder's
    thread. `problem` says why nothing is recorded now, once it was `tried`; `idle` are the marks as
    of the last window.
    """

    make: Callable[[], Writer]
    missed: Callable[[Snapshot], Iterator[Snapshot]] | None = None
    monotonic: Callable[[], float] = time.monotonic
    problem: str | None = None
    tried: bool = False
    idle: tuple[IdleMark, ...] = ()
    _queue: deque[Snapshot] = field(init=False, default_factory=lambda: deque(maxlen=WAITING))
    _ready: threading.Condition = field(init=False, default_factory=threading.Condition)
    _thread: threading.Thread | None = field(init=False, default=None)
    _over: threading.Event = field(init=False, default_factory=threading.Event)
    _last: tuple[datetime, int] | None = field(init=False, default=None)

    def offer(self, snapshot: Snapshot, sweeps: int) -> bool:
        """Take a reading, at most one a minute; whether it was taken.

        `sweeps` counts those that have ended: a window waits for its own, but not for long.
        """
        at = snapshot.generated_at
        if self._last is not None:
            before, counted = self._last
            gone_s = (at - before).total_seconds()
            windows = {int(moment.timestamp() // STEP_S) for moment in (at, before)}
            if len(windows) == 1 and gone_s >= 0:
                return False
            if sweeps == counted and 0 <= gone_s < PATIENT_S:
                return False
        self._last = (at, sweeps)
        with self._ready:
            self._queue.append(snapshot)
            self._ready.notify()
        if self._thread is None:
            self._over = threading.Event()
            self._thread = threading.Thread(
                target=self._loop, args=(self._over,), name="history", daemon=True
            )
            self._thread.start()
        return True

    def close(self) -> None:
        """Write what waits and close the history; may be offered readings again later."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        with self._ready:
            self._over.set()
            self._ready.notify_all()
        thread.join(CLOSE_S)

    def _loop(self, over: threading.Event) -> None:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        writer: Writer | None = None
        missed: Iterator[Snapshot] | None = None
        begun = False
        compact_at = self.monotonic() + COMPACT_S
        while (snapshot := self._next(over, wait=missed is None)) is not None or missed is not None:
            try:
                if writer is None:
                    writer = self.make()
                if snapshot is None:
                    assert missed is not None
                    if over.is_set() or (snapshot := next(missed, None)) is None:
                        missed = None
                        continue
                elif not begun and self.missed is not None:
                    # Before the first record: it hides how long nobody has recorded.
                    begun = True
                    missed = self.missed(snapshot)
                writer.record(snapshot, step_s=STEP_S)
                idle = writer.idle().items()
                self.idle = tuple(
                    IdleMark(source=s, node=n, index=i, since=at) for (s, n, i), at in idle
                )
                if self.monotonic() >= compact_at:
                    compact_at = self.monotonic() + COMPACT_S
                    writer.compact()
                self.problem = None
            except Exception as error:  # whatever it is, the collecting goes on
                self.problem = safe(f"the history is not kept: {error}", max_cells=400)
                missed = None
                _closed(writer)
                writer = None
            self.tried = True
        _closed(writer)

    def _next(self, over: threading.Event, *, wait: bool) -> Snapshot | None:
        """What is to be written next; None when there is nothing, or when it is over."""
        with self._ready:
            while wait and not self._queue and not over.is_set():
                self._ready.wait()
            return self._queue.popleft() if self._queue else None


def _closed(writer: Writer | None) -> None:
    if writer is not None:
        with contextlib.suppress(Exception):  # it is what has just failed
            writer.close()
