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


@dataclass(slots=True)
class Backoff:
    """The time-table of one source. `due_at` is on the caller's monotonic clock, in seconds."""

    interval_s: float
    due_at: float = 0.0
    failures: int = 0
    random: random.Random = field(default_factory=random.Random)

    def due(self, now: float) -> bool:
        """Whether the source is to be asked at this moment."""
        return now >= self.due_at

    def succeeded(self, now: float, took_s: float) -> None:
        """Plan the next call after an answer that took `took_s`."""
        self.failures = 0
        self.due_at = now + self._stretched(max(self.interval_s, COST_FACTOR * took_s))

    def failed(self, now: float) -> None:
        """Plan the next call after a failure: twice as late each time, up to ten minutes."""
        self.failures += 1
        wait = self.interval_s * 2.0 ** min(self.failures, 16)
        self.due_at = now + self._stretched(min(LONGEST_S, wait))

    def _stretched(self, wait_s: float) -> float:
        return wait_s * (1.0 + self.random.uniform(-JITTER, JITTER))
