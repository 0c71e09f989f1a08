"""When a source is asked again: its interval while it answers, doubling with jitter while not."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

LONGEST_S = 600.0
"""A source that stays silent is still asked this often."""

JITTER = 0.2
"""Each wait is stretched or shrunk by up to this share: many viewers must not march in step."""

COST_FACTOR = 20.0
"""A source that takes long is asked less often: at most one part in twenty of the time."""

SOONEST_S = 2.0
"""Even when the user asks or has just acted, a source has this many seconds between two calls."""


@dataclass(slots=True)
class Backoff:
    """The time-table of one source. `due_at` is on the caller's monotonic clock, in seconds."""

    interval_s: float
    due_at: float = 0.0
    failures: int = 0
    asked_at: float = float("-inf")
    random: random.Random = field(default_factory=random.Random)

    def due(self, now: float) -> bool:
        """Whether the source is to be asked at this moment."""
        return now >= self.due_at

    def succeeded(self, now: float, took_s: float) -> None:
        """Plan the next call after an answer that took `took_s`."""
        self.failures, self.asked_at = 0, now
        self.due_at = now + self._stretched(max(self.interval_s, COST_FACTOR * took_s))

    def failed(self, now: float) -> None:
        """Plan the next call after a failure: twice as late each time, up to ten minutes."""
        self.failures, self.asked_at = self.failures + 1, now
        wait = self.interval_s * 2.0 ** min(self.failures, 16)
        self.due_at = now + self._stretched(min(LONGEST_S, wait))

    def hurry(self, now: float) -> None:
        """Bring the next call forward: `SOONEST_S` after the last one, doubled per failure."""
        soonest = self.asked_at + SOONEST_S * 2.0 ** min(self.failures, 16)
        self.due_at = min(self.due_at, max(now, soonest))

    def _stretched(self, wait_s: float) -> float:
        return wait_s * (1.0 + self.random.uniform(-JITTER, JITTER))
