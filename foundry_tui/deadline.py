"""A moment until which an exchange may last, whoever waits for it."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadline:
    """`within_s` seconds from the moment it is made."""

    within_s: float
    at: float

    @classmethod
    def after(cls, within_s: float) -> Deadline:
        """The deadline that many seconds from now."""
        return cls(within_s, time.monotonic() + within_s)

    def left_s(self) -> float:
        """Seconds until then; 0 after it."""
        return max(0.0, self.at - time.monotonic())
