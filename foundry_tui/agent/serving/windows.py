"""Fixed windows of a minute that end on whole minutes of UTC, so that all who ask see the same.

Every value becomes its mean, its largest and how often it was read; counters keep the last value.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

from foundry_tui.agent.serving.names import BITS, BY_KEY, LAST, MEAN
from foundry_tui.agent.shapes import GpuRound, ProcessUse, Round

WINDOW_S = 60
FRESH_S = 2 * WINDOW_S
"""Seconds after which values are no longer told: what was then is not what is now."""

Place = tuple[str, Optional[int], Optional[str]]
"""A GPU, or the MIG instance `gi` on it, cut by `profile`."""


def place(gpu: GpuRound, gi: int | None = None, profile: str | None = None) -> Place:
    """The key of a GPU: its UUID; its index only where the driver did not tell one."""
    return gpu.device.uuid or f"index {gpu.device.index}", gi, profile


@dataclass
class Stat:
    """The samples of one value in one window."""

    n: int = 0
    total: float = 0.0
    largest: float = 0.0
    last: float = 0.0
    bits: int = 0

    def add(self, value: float) -> None:
        self.largest = value if self.n == 0 else max(self.largest, value)
        self.n += 1
        self.total += value
        self.last = value
        self.bits |= int(value)

    def value(self, over: str) -> float:
        """What stands for the window: its mean, the last value, or all bits."""
        return {MEAN: self.total / self.n, LAST: self.last, BITS: float(self.bits)}[over]


@dataclass
class Window:
    """The rounds from `end - WINDOW_S` to before `end` (unix times)."""

    end: int
    first_at: float
    last_at: float = 0.0
    values: dict[Place, dict[str, Stat]] = field(default_factory=dict)
    samples: dict[Place, int] = field(default_factory=dict)
    processes: list[ProcessUse] | None = None

    def add(self, round_: Round) -> None:
        self.last_at = round_.at
        if round_.processes is not None:
            self.processes = round_.processes
        for gpu in round_.gpus:
            if gpu.failure is not None:
                continue
            self._add(place(gpu), gpu.values)
            for instance in gpu.instances:
                self._add(place(gpu, instance.gi, instance.profile), instance.values)

    def _add(self, at: Place, values: dict[str, float]) -> None:
        self.samples[at] = self.samples.get(at, 0) + 1
        stats = self.values.setdefault(at, {})
        for key, value in values.items():
            if key in BY_KEY:
                stats.setdefault(key, Stat()).add(value)


class Windows:
    """The window that fills and the last one that is full."""

    def __init__(self) -> None:
        self._open: Window | None = None
        self._closed: Window | None = None
        self._told = 0

    def add(self, round_: Round) -> None:
        """Take a round in. A clock that was set back begins anew: no window ends in the future."""
        end = int(round_.at // WINDOW_S) * WINDOW_S + WINDOW_S
        if end == self._told:  # too late: somebody has seen this window as full
            return
        if self._open is None or end != self._open.end:
            back = self._open is not None and end < self._open.end
            self._closed = None if back else self._open
            self._told = 0
            self._open = Window(end, round_.at)
        self._open.add(round_)

    def served(self, now: float) -> Window | None:
        """The last closed window at unix time `now`; before there is one, the window so far.

        None when nothing was read for `FRESH_S`, also where the clock was set back since.
        """
        if self._open is None:
            return None
        if self._open.end <= now:
            window = self._open
            self._told = window.end
        elif self._closed is not None and 0 <= now - self._closed.end < WINDOW_S:
            window = self._closed
        else:
            window = self._open
        return window if abs(now - window.last_at) < FRESH_S else None
