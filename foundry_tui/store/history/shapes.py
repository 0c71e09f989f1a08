"""What goes into the history and comes out of it, as plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

Clock = Callable[[], datetime]
"""The time now, with a time zone."""

GpuKey = tuple[str, str, int]
"""Which GPU: its source, its node, its index there."""


@dataclass(frozen=True, slots=True)
class Keep:
    """How long what is kept: minutes for hours, quarters of an hour and hours for days."""

    raw_hours: float = 48.0
    quarter_days: float = 35.0
    hourly_days: float = 400.0


@dataclass(frozen=True, slots=True)
class Span:
    """The time that the history covers: its first and its last look at the estate.

    Every minute is kept after `minutes_since`; before it there are only roll-ups.
    """

    first: datetime
    last: datetime
    minutes_since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One GPU over time: a regular grid of steps, each ended by its time in `times`.

    A step of which nothing is known holds None everywhere: a gap stays one. `util_pct` and
    `power_w` are means over what was seen of a step, `util_max_pct` and `mem_used_bytes` the most
    that was seen in it, and `seen` is the share of the step that was seen, in 0..1.
    """

    step_s: int
    times: tuple[datetime, ...]
    util_pct: tuple[float | None, ...]
    util_max_pct: tuple[float | None, ...]
    mem_used_bytes: tuple[int | None, ...]
    power_w: tuple[float | None, ...]
    seen: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Use:
    """What a GPU did in a time: `used_s + idle_s + unknown_s` is that time, in whole seconds.

    A minute is used when its highest utilisation was above the idle threshold of its day, idle
    when it was not, and unknown without a sample. `busy_s` is the sum of utilisation over the
    seconds that were seen: 60 s at 50 % are 30. `energy_j` is what was used in the `power_s`
    seconds of which the power is known.
    """

    used_s: int
    idle_s: int
    unknown_s: int
    busy_s: float
    energy_j: float
    power_s: float

    @property
    def coverage(self) -> float | None:
        """Share of the time that was seen, in 0..1; None for no time at all."""
        total = self.used_s + self.idle_s + self.unknown_s
        return (self.used_s + self.idle_s) / total if total else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHistory:
    """What was recorded of one run between `since` and `until`.

    The `..._gpu_s` are GPU-seconds: seconds times the part of the GPU that the run held; used,
    idle and unknown make up the allocated ones. They are those of the whole device: on a shared
    GPU (`shared`) nobody knows whose work it was.

    The samples are minutes in which the run had its GPUs to itself and of which every minute is
    still kept: `util_counts[0]` are those of exactly 0, `util_counts[k]` those above k - 1 and at
    most k per cent, `util_missing` those that should be there and are not. `mem_peak_bytes` is the
    most that one of its GPUs held in these minutes, None when that was not measured.
    `mem_total_bytes` is the smallest of its GPUs.
    """

    run: str
    since: datetime
    until: datetime
    gpus: int
    gpu_model: str | None
    shared: bool
    allocated_gpu_s: float
    used_gpu_s: float
    idle_gpu_s: float
    unknown_gpu_s: float
    util_counts: tuple[int, ...]
    util_missing: int
    mem_peak_bytes: int | None
    mem_total_bytes: int | None
