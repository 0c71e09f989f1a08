"""A canary: share for a few steps, measure, and go back if the promised speed is not kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a canary found. `keep` is None when it could not tell; `speed` is after over before."""

    keep: bool | None
    speed: float | None
    why: str


@dataclass(frozen=True, slots=True)
class Canary:
    """The plan: `steps` steps alone, `warm_up` steps that do not count, `steps` on the share.

    The run goes back to what it had when the median step is slower than `promise` allows.

    Raises:
        ValueError: a promise outside (0, 1), or fewer than three steps to measure.
    """

    promise: float = 0.9
    steps: int = 100
    warm_up: int = 20

    def __post_init__(self) -> None:
        if not 0 < self.promise < 1:
            raise ValueError(f"promise: a speed above 0 and below 1, got {self.promise}")
        if self.steps < 3 or self.warm_up < 0:
            raise ValueError(f"steps: at least 3, warm_up: at least 0, got {self.steps}")

    @property
    def words(self) -> str:
        """The plan for a person."""
        return (
            f"measure {self.steps} steps now, change, skip {self.warm_up}, measure {self.steps} "
            f"again; go back if the median step takes over {1 / self.promise:.2f} times as long"
        )

    def verdict(self, before_s: Sequence[float], after_s: Sequence[float]) -> Verdict:
        """Keep or go back, from the step times in seconds; those of the warm-up stand first."""
        for name, times in (("before", before_s), ("after", after_s[self.warm_up :])):
            if any(not math.isfinite(t) or t <= 0 for t in times):
                return Verdict(None, None, f"{name}: a step time is not a positive number")
            if len(times) < self.steps:
                return Verdict(None, None, f"{name}: {len(times)} steps of {self.steps} measured")
        before, after = median(before_s), median(after_s[self.warm_up :])
        speed = before / after
        keep = speed >= self.promise
        return Verdict(
            keep,
            speed,
            f"{after:.3g} s a step, {before:.3g} s before: speed {speed:.2f}, "
            f"{self.promise:g} promised: {'keep' if keep else 'go back'}",
        )
