"""Which two runs may share one GPU without partition (time slices or MPS), and how fast they go.

Measured: 1,388 pairs of 66 training configurations in the colocation table of Lucid (Hu et al.,
"Lucid: A Non-intrusive, Scalable and Interpretable Scheduler for Deep Learning Training Jobs",
ASPLOS 2023); the bands below are our statistics of it. They are a prior: the pair in question was
not measured, one type of GPU was, and code that is bound by the latency of its kernels looks idle
and suffers all the same. So a pair is never advised without a canary.
"""

from __future__ import annotations

from dataclasses import dataclass

from scheduler_sim.fractions.history import Histogram

MOST_GPU_UTIL = 1.0
MOST_MEMORY_UTIL = 0.5
MOST_MEMORY_PCT = 95
MOST_OVER = 0.05
"""Part of the time in which two histories together may ask for more than there is."""

_GPU_BANDS = (
    (0.4, 0.96, 0.91),
    (0.6, 0.96, 0.90),
    (0.8, 0.94, 0.87),
    (1.0, 0.93, 0.84),
    (1.2, 0.89, 0.78),
    (1.4, 0.81, 0.68),
    (1.6, 0.74, 0.61),
    (1.8, 0.66, 0.53),
    (2.0, 0.61, 0.51),
)
"""Up to this sum of GPU utilisations: mean speed of the slower run, and its 10th percentile."""

_MEMORY_BANDS = (
    (0.2, 0.95),
    (0.4, 0.93),
    (0.6, 0.90),
    (0.8, 0.85),
    (1.0, 0.76),
    (1.2, 0.68),
    (2.0, 0.64),
)
"""Up to this sum of memory-controller utilisations: mean speed of the slower run."""

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one run does to a GPU that it has for itself.

    `gpu_util` and `memory_util` are levels of 0..1 that it rarely exceeds, `mem_peak_bytes` the
    most framebuffer it held; None where unknown. The histories are optional and replace the sum
    of levels. `outlier` says that the run is known to be bound by the latency of its kernels, or
    that it has failed a canary.

    Raises:
        ValueError: a level outside 0..1 or a negative peak.
    """

    name: str
    gpu_util: float | None
    memory_util: float | None
    mem_peak_bytes: int | None
    gpu_history: Histogram | None = None
    memory_history: Histogram | None = None
    outlier: bool = False

    def __post_init__(self) -> None:
        for field in ("gpu_util", "memory_util"):
            level = getattr(self, field)
            if level is not None and not 0 <= level <= 1:
                raise ValueError(f"{field}: {self.name}: a utilisation is 0..1, got {level}")
        if self.mem_peak_bytes is not None and self.mem_peak_bytes < 0:
            raise ValueError(f"mem_peak_bytes: {self.name}: below 0, got {self.mem_peak_bytes}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two runs on one GPU: whether they may share, and the prediction.

    Speeds are relative to running alone: `mean_speed` over both, `slower_speed` expected of the
    slower one, `slower_low` what nine of ten slower runs reach. All None where a measurement is
    missing. `allowed` is False then too; `why` says what spoke against it, or for it.
    """

    first: str
    second: str
    allowed: bool
    mean_speed: float | None
    slower_speed: float | None
    slower_low: float | None
    why: tuple[str, ...]

    @property
    def gain(self) -> float:
        """Throughput that the pair makes on one GPU beyond one run alone; 0 where not allowed."""
        return max(0.0, 2 * self.mean_speed - 1) if self.allowed and self.mean_speed else 0.0


def mean_speed(sum_gpu_util: float) -> float:
    """Mean speed of two runs that share, from the sum of their GPU utilisations (0..2).

    A straight line through the measured pairs (R2 = 0.49), at most 1.
    """
    return min(1.0, 1.106 - 0.179 * sum_gpu_util)


def share(first: Load, second: Load, device_bytes: int, *, promise: float | None = None) -> Pair:
    """Whether two runs may share a GPU with `device_bytes` of memory.

    The sum of GPU utilisations must stay within 1, that of the memory controller within 0.5, and
    the peaks within 95 % of the memory. With histories the first two may be exceeded 5 % of the
    time instead. A `promise` is a speed that the slower run must reach in nine of ten pairs.

    Raises:
        ValueError: no device memory, or a promise outside (0, 1).
    """
    if device_bytes <= 0:
        raise ValueError(f"device_bytes: the memory of the device, got {device_bytes}")
    if promise is not None and not 0 < promise < 1:
        raise ValueError(f"promise: a speed above 0 and below 1, got {promise}")
    against = [f"{load.name} is an outlier" for load in (first, second) if load.outlier]
    against += [
        f"{load.name}: {what} is not known"
        for load in (first, second)
        for what, value in (
            ("GPU utilisation", load.gpu_util),
            ("memory bandwidth", load.memory_util),
            ("peak memory", load.mem_peak_bytes),
        )
        if value is None
    ]
    gpu = _sum(first.gpu_util, second.gpu_util)
    bandwidth = _sum(first.memory_util, second.memory_util)
    memory = _sum(first.mem_peak_bytes, second.mem_peak_bytes)
    against += _over("GPU utilisation", gpu, first.gpu_history, second.gpu_history, MOST_GPU_UTIL)
    against += _over(
        "memory bandwidth",
        bandwidth,
        first.memory_history,
        second.memory_history,
        MOST_MEMORY_UTIL,
    )
    if memory is not None and 100 * memory > MOST_MEMORY_PCT * device_bytes:
        against.append(
            f"memory: {memory / 1e9:.1f} GB of peaks, {MOST_MEMORY_PCT} % of "
            f"{device_bytes / 1e9:.1f} GB may be used"
        )
    slower, low = _slower(gpu, bandwidth)
    if promise is not None and low is not None and low < promise - _ROUNDING:
        against.append(f"the slower run may go at {low:.2f}, {promise:g} was promised")
    known = gpu is not None and bandwidth is not None
    return Pair(
        first=first.name,
        second=second.name,
        allowed=not against,
        mean_speed=mean_speed(gpu) if gpu is not None and known else None,
        slower_speed=slower,
        slower_low=low,
        why=tuple(against) or (_for(gpu, bandwidth),),
    )


def over(first: Histogram, second: Histogram, limit: float) -> float | None:
    """How likely two independent histories together exceed `limit` at one moment, 0..1.

    The histograms are convolved; missing samples count as above any limit. None when either has
    no samples or they have different bins.
    """
    if not first.seen or not second.seen or len(first.counts) != len(second.counts):
        return None
    bins = len(first.counts) - 1
    total = (first.seen + first.missing) * (second.seen + second.missing)
    within, reached = 0, 0
    below = [0]
    for count in second.counts:
        reached += count
        below.append(reached)
    for level, count in enumerate(first.counts):
        room = int(limit * bins + _ROUNDING) - level
        if room >= 0:
            within += count * below[min(room, bins) + 1]
    return 1 - within / total


def _sum(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first + second


def _over(
    what: str,
    total: float | None,
    first: Histogram | None,
    second: Histogram | None,
    limit: float,
) -> list[str]:
    """What speaks against the sum of one utilisation: its histories decide where there are any."""
    likely = over(first, second, limit) if first is not None and second is not None else None
    if likely is not None:
        if likely <= MOST_OVER:
            return []
        return [f"{what}: above {limit:g} together {100 * likely:.0f} % of the time"]
    if total is None or total <= limit + _ROUNDING:
        return []
    return [f"{what}: {total:.2f} together, at most {limit:g}"]


def _slower(gpu: float | None, bandwidth: float | None) -> tuple[float | None, float | None]:
    """Expected speed of the slower run and its 10th percentile: the worse of the two bands."""
    if gpu is None or bandwidth is None:
        return None, None
    speed, low = next((s, p10) for most, s, p10 in _GPU_BANDS if gpu <= most + _ROUNDING)
    by_memory = next(s for most, s in _MEMORY_BANDS if bandwidth <= most + _ROUNDING)
    return min(speed, by_memory), min(low, by_memory)


def _for(gpu: float | None, bandwidth: float | None) -> str:
    return (
        f"together {gpu:.2f} of the GPU and {bandwidth:.2f} of its memory bandwidth; a prediction "
        "from other pairs, so measure the step time before and after"
    )
