"""Sweeps of GPU readings on a time-table of their own, beside the schedulers and never before them.

Sources that speak in windows of a minute are asked once a minute, some seconds after it has ended;
the GPUs of this host at every refresh. Each is asked in a thread of its own.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from foundry_tui.collector.publish import Measured
from foundry_tui.estate.reading import Reading
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.estate.text import safe
from foundry_tui.telemetry.ports import KIND, Sweep, TelemetrySource

STEP_S = 60.0
"""Length of the windows in which readings are made; they end on whole minutes."""

SETTLE_S = 4.0
"""So many seconds after the end of a window everybody has closed it."""

SPREAD_S = 6.0
"""Collectors on many hosts ask within so many seconds of each other, not all at once."""

SWEEP_DEADLINE_S = 20.0
"""A sweep of every node has this long."""

KEPT_S = 180.0
"""The readings of the last good sweep hold for so many seconds."""


Recall = Callable[[datetime, datetime, int], Iterator[tuple[datetime, tuple[Reading, ...]]]]
"""From, until, step in seconds -> the readings of every step, oldest first."""


@dataclass(frozen=True, slots=True)
class Meter:
    """A source of readings and its time-table: `local` ones are asked at every refresh.

    Only a source that is not local is told which nodes there are. `recall` gives what it knows of
    the time before, where it keeps that.
    """

    source: TelemetrySource
    local: bool = False
    recall: Recall | None = None


@dataclass(slots=True)
class _Swept:
    """What is known of one source: its last sweep, its last good one, and when it is due."""

    meter: Meter
    due_at: float = 0.0
    asked_at: float = 0.0
    last: Sweep | None = None
    good: Sweep | None = None
    good_at: float = float("-inf")
    busy: threading.Thread | None = None

    @property
    def hangs(self) -> bool:
        return self.busy is not None and self.busy.is_alive()


@dataclass(slots=True)
class Sweeps:
    """The sources of readings. `every_s` is the refresh of the local ones.

    `ended` counts the sweeps that have come to their end.
    """

    meters: Sequence[Meter]
    clock: Callable[[], datetime]
    every_s: float = 30.0
    monotonic: Callable[[], float] = time.monotonic
    deadline_s: float = SWEEP_DEADLINE_S
    random: random.Random = field(default_factory=random.Random)
    ended: int = field(init=False, default=0)
    _all: list[_Swept] = field(init=False)
    _settle_s: float = field(init=False)

    def __post_init__(self) -> None:
        self._all = [_Swept(meter) for meter in self.meters]
        self._settle_s = SETTLE_S + self.random.uniform(0.0, SPREAD_S)

    def start(self, nodes: Callable[[], Sequence[str] | None]) -> None:
        """Begin to ask every source that is due; only local ones while `nodes` gives None."""
        now = self.monotonic()
        for one in self._all:
            if one.hangs or now < one.due_at:
                continue
            asked = () if one.meter.local else nodes()
            if asked is None:
                continue
            one.asked_at, one.due_at = now, now + self._next_s(local=one.meter.local)
            # A daemon thread: a source that hangs must not keep the program from ending.
            one.busy = threading.Thread(
                target=self._ask, args=(one, tuple(asked)), name="sweep", daemon=True
            )
            one.busy.start()

    def wait(self, until: float) -> None:
        """Wait for the sweeps at work, at most until this moment of the monotonic clock."""
        for one in self._all:
            if one.busy is not None:
                one.busy.join(max(0.0, until - self.monotonic()))

    def measured(self) -> Measured:
        """The readings that hold now; a source that is silent keeps its last ones for a while."""
        now = self.monotonic()
        readings: list[Reading] = []
        sources = []
        for one in self._all:
            kept = one.good if now - one.good_at <= KEPT_S else None
            sources.append(self._standing(one, now))
            readings += kept.readings if kept is not None else ()
        return Measured(readings=tuple(readings), sources=tuple(sources))

    def wait_s(self) -> float:
        """Seconds until a source is due; for ever without any."""
        now = self.monotonic()
        waits = (max(0.0, one.due_at - now) for one in self._all if not one.hangs)
        return min(waits, default=math.inf)

    def close(self) -> None:
        """Give connections back."""
        for one in self._all:
            one.meter.source.close()

    def _next_s(self, *, local: bool) -> float:
        """Seconds until the source is due again: for windows, shortly after the next one's end."""
        if local:
            return self.every_s
        since_s = (self.clock().timestamp() - self._settle_s) % STEP_S
        return STEP_S - since_s

    def _ask(self, one: _Swept, nodes: tuple[str, ...]) -> None:
        try:
            sweep = one.meter.source.read(nodes, self.deadline_s)
        except Exception as error:  # a wrong answer must not take the face down
            reason = safe(f"an answer that was not understood ({error!r})", max_cells=400)
            sweep = Sweep(source=self._source(one, SourceState.DOWN, reason))
        one.last = sweep
        self.ended += 1
        if sweep.readings:
            one.good, one.good_at = sweep, self.monotonic()

    def _standing(self, one: _Swept, now: float) -> Source:
        if one.hangs and now - one.asked_at >= self.deadline_s:
            reason = f"no answer within {self.deadline_s:.0f} s"
            return self._source(one, SourceState.DOWN, reason)
        if one.last is None:
            return self._source(one, SourceState.STALE, "it is being read now")
        last = one.last.source
        if last.read_at is None and one.good is not None:
            last = replace(last, read_at=one.good.source.read_at)
        return last

    def _source(self, one: _Swept, state: SourceState, reason: str) -> Source:
        read_at = None if one.good is None else one.good.source.read_at
        return Source(
            name=one.meter.source.name, kind=KIND, state=state, read_at=read_at, reason=reason
        )
