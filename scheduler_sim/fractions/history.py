"""What was measured of a run: utilisation as histograms with their holes, and peak memory.

A sample that is missing is not a sample of 0: holes are counted, and where they could hide the
answer there is no answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

BINS = 100
"""Bins of a histogram: the percents that NVML reports are kept exactly."""

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often each level of a utilisation was seen.

    `counts[0]` are samples of exactly 0, `counts[k]` those above (k - 1) / n and at most k / n,
    where n is the number of bins after the first; levels are thus never rounded down. `missing`
    are samples that should be there and are not.

    Raises:
        ValueError: fewer than two bins, or a negative count.
    """

    counts: tuple[int, ...]
    missing: int = 0

    def __post_init__(self) -> None:
        if len(self.counts) < 2:
            raise ValueError(f"counts: at least two bins are needed, got {len(self.counts)}")
        if min(self.counts) < 0 or self.missing < 0:
            raise ValueError("counts: a number of samples cannot be negative")

    @classmethod
    def of(cls, samples: Iterable[float | None], bins: int = BINS) -> Histogram:
        """Count samples between 0 and 1; None and NaN are missing.

        Raises:
            ValueError: a sample outside 0..1 (a percentage, perhaps), or no bins.
        """
        if bins < 1:
            raise ValueError(f"bins: at least 1 is needed, got {bins}")
        counts, missing = [0] * (bins + 1), 0
        for sample in samples:
            if sample is None or math.isnan(sample):
                missing += 1
            elif not 0 <= sample <= 1:
                raise ValueError(f"samples: a utilisation is 0..1, got {sample:g}; per cent?")
            else:
                counts[math.ceil(sample * bins - _ROUNDING)] += 1
        return cls(tuple(counts), missing)

    @property
    def seen(self) -> int:
        """Samples that are there."""
        return sum(self.counts)

    @property
    def coverage(self) -> float:
        """Share of the expected samples that are there, 0 without any."""
        total = self.seen + self.missing
        return self.seen / total if total else 0.0

    def percentile(self, pct: int) -> float | None:
        """The level that `pct` percent of all expected samples do not exceed, in 0..1.

        Missing samples are taken as higher than any that was seen; None when the answer would lie
        among them, or when there are none at all.

        Raises:
            ValueError: `pct` is not within 1..100.
        """
        if not 1 <= pct <= 100:
            raise ValueError(f"pct: 1..100, got {pct}")
        rank = -(-pct * (self.seen + self.missing) // 100)
        if not rank:
            return None
        reached = 0
        for level, count in enumerate(self.counts):
            reached += count
            if reached >= rank:
                return level / (len(self.counts) - 1)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The measured history of one run that had whole devices to itself.

    `gpu_util` is the share of time with a kernel running, `memory_util` that of the memory
    controller (both as NVML reports them, 0..1), `mem_peak_bytes` the most framebuffer one device
    held. None means that it was not measured.
    """

    gpu_util: Histogram | None = None
    memory_util: Histogram | None = None
    mem_peak_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.mem_peak_bytes is not None and self.mem_peak_bytes < 0:
            raise ValueError(f"mem_peak_bytes: cannot be below 0, got {self.mem_peak_bytes}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What is assumed of a run that has no history, and `origin`: who or what says so.

    Levels are 0..1, at the percentile that the answer needs.

    Raises:
        ValueError: a level outside 0..1, a negative peak, or no origin.
    """

    gpu_util: float
    memory_util: float | None = None
    mem_peak_bytes: int | None = None
    origin: str

    def __post_init__(self) -> None:
        for field in ("gpu_util", "memory_util"):
            level = getattr(self, field)
            if level is not None and not 0 <= level <= 1:
                raise ValueError(f"{field}: a utilisation is 0..1, got {level}")
        if self.mem_peak_bytes is not None and self.mem_peak_bytes < 0:
            raise ValueError(f"mem_peak_bytes: cannot be below 0, got {self.mem_peak_bytes}")
        if not self.origin.strip():
            raise ValueError("origin: an assumption must say where it comes from")
