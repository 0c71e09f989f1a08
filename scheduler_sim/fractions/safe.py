"""The smallest share of a GPU on which a run still fits and keeps its promised speed.

Memory is hard: 1.1 times the peak plus 0.5 GB of context per process must fit. Speed is a
prediction (`scheduler_sim.fractions.speed`), so every share below a whole device asks for a canary.
Code whose kernels wait for each other (recurrent nets, long chains of small kernels) is an outlier
that no utilisation shows: who knows of it says so, and gets no advice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from scheduler_sim.cluster import WHOLE_MILLI
from scheduler_sim.fractions.history import Histogram, Prior, Usage
from scheduler_sim.fractions.speed import share_for

MEMORY_MARGIN_PCT = 110
CONTEXT_BYTES = 500_000_000
"""Device memory of one CUDA context."""

PROMISE = 0.9
"""Speed relative to the whole device that a smaller share must keep."""

LATENCY_PCT = 95
BATCH_PCT = 75
MIN_COVERAGE = 0.8
MIN_SAMPLES = 100

_ROUNDING = 1e-9


class Basis(StrEnum):
    """What the speed part of an answer rests on."""

    CALIBRATED = "calibrated"
    CONSERVATIVE = "conservative"
    PRIOR = "prior"


@dataclass(frozen=True, slots=True, kw_only=True)
class SafeShare:
    """The smallest safe share in thousandths, or None and the `reason` why there is none.

    `memory_milli` and `speed_milli` are what each of the two asks for, None where unknown.
    `promise` is the relative speed that is kept. `canary` says that the step time has to be
    measured before and after. `evidence` tells a person what was used.
    """

    milli: int | None
    memory_milli: int | None = None
    speed_milli: int | None = None
    basis: Basis | None = None
    promise: float
    canary: bool = True
    evidence: tuple[str, ...] = ()
    reason: str | None = None


def memory_need_bytes(mem_peak_bytes: int, processes: int = 1) -> int:
    """Device memory a run must be given: 1.1 times its peak and a context per process.

    Raises:
        ValueError: a negative peak, or fewer than one process.
    """
    if mem_peak_bytes < 0:
        raise ValueError(f"mem_peak_bytes: cannot be below 0, got {mem_peak_bytes}")
    if processes < 1:
        raise ValueError(f"processes: at least 1 runs on the device, got {processes}")
    return -(-mem_peak_bytes * MEMORY_MARGIN_PCT // 100) + CONTEXT_BYTES * processes


def smallest_safe(
    known: Usage | Prior,
    device_bytes: int,
    *,
    promise: float = PROMISE,
    latency_bound: bool = False,
    outlier: bool = False,
    processes: int = 1,
) -> SafeShare:
    """The smallest safe share of a device with `device_bytes` of memory.

    `latency_bound` takes the 95th percentile of the utilisation instead of the 75th that batch
    work gets. `outlier` marks code that is known to be bound by the latency of its kernels.

    Raises:
        ValueError: a promise outside (0, 1), no device memory, fewer than one process, or a peak
            above the device's memory.
    """
    if not 0 < promise < 1:
        raise ValueError(f"promise: a speed above 0 and below 1, got {promise}")
    if device_bytes <= 0:
        raise ValueError(f"device_bytes: the memory of the device, got {device_bytes}")
    if outlier:
        return SafeShare(
            milli=None,
            promise=promise,
            reason="bound by the latency of its kernels: utilisation does not tell what a smaller "
            "share would cost",
        )
    memory = _memory(known, device_bytes, processes)
    speed = _speed(known, promise, LATENCY_PCT if latency_bound else BATCH_PCT)
    milli = reason = None
    if memory.milli is None or speed.milli is None:
        reason = "; ".join(part.words for part in (memory, speed) if part.milli is None)
    else:
        milli = max(1, memory.milli, speed.milli)
    return SafeShare(
        milli=milli,
        memory_milli=memory.milli,
        speed_milli=speed.milli,
        basis=speed.basis,
        promise=promise,
        canary=milli != WHOLE_MILLI,
        evidence=(memory.words, speed.words),
        reason=reason,
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """What one of the two rules asks for, None where unknown, and why in words."""

    milli: int | None
    words: str
    basis: Basis | None = None


def _memory(known: Usage | Prior, device_bytes: int, processes: int) -> _Part:
    peak = known.mem_peak_bytes
    if peak is None:
        return _Part(None, "memory: the peak is not known")
    if peak > device_bytes:
        raise ValueError(
            f"mem_peak_bytes: {peak / 1e9:.1f} GB on a device of {device_bytes / 1e9:.1f} GB"
        )
    holes = _holes(known.gpu_util) if isinstance(known, Usage) else None
    if holes is not None:
        return _Part(None, f"memory: a higher peak may have gone unseen: {holes}")
    need = memory_need_bytes(peak, processes)
    milli = min(WHOLE_MILLI, -(-need * WHOLE_MILLI // device_bytes))
    words = (
        f"memory: 1.1 x {peak / 1e9:.1f} GB peak + {CONTEXT_BYTES * processes / 1e9:.1f} GB of "
        f"context = {need / 1e9:.1f} of {device_bytes / 1e9:.1f} GB: at least {_share(milli)}"
    )
    return _Part(milli, words)


def _speed(known: Usage | Prior, promise: float, pct: int) -> _Part:
    if isinstance(known, Prior):
        milli = _milli(share_for(promise, known.gpu_util, known.memory_util))
        words = (
            f"speed: no history; assumed from {known.origin}: "
            f"{_levels(known.gpu_util, known.memory_util)}: at least {_share(milli)}"
        )
        return _Part(milli, words, Basis.PRIOR)
    gpu = known.gpu_util
    holes = _holes(gpu)
    if gpu is None or holes is not None:
        return _Part(None, f"speed: {holes}")
    gpu_util = gpu.percentile(pct)
    if gpu_util is None:
        words = (
            f"speed: the {pct}th percentile may lie among the samples that are missing "
            f"({_missing_pct(gpu)})"
        )
        return _Part(None, words)
    thin = _holes(known.memory_util) is not None
    memory_util = None if thin or not known.memory_util else known.memory_util.percentile(pct)
    basis = Basis.CONSERVATIVE if memory_util is None else Basis.CALIBRATED
    milli = _milli(share_for(promise, gpu_util, memory_util))
    words = (
        f"speed: {pct}th percentile of {gpu.seen:,} samples ({_missing_pct(gpu)} missing): "
        f"{_levels(gpu_util, memory_util)}; {basis} rule for {promise:g} of full speed: "
        f"at least {_share(milli)}"
    )
    return _Part(milli, words if gpu_util else f"{words}; no work was seen at all", basis)


def _holes(histogram: Histogram | None) -> str | None:
    """Why a history is too thin to say anything, None when it will do."""
    if histogram is None:
        return "utilisation was not measured"
    if histogram.seen < MIN_SAMPLES:
        noun = "sample" if histogram.seen == 1 else "samples"
        return f"{histogram.seen} {noun} of utilisation, {MIN_SAMPLES} are needed"
    if histogram.coverage < MIN_COVERAGE:
        return (
            f"{_missing_pct(histogram)} of the samples of utilisation are missing, at most "
            f"{100 * (1 - MIN_COVERAGE):.0f} % may"
        )
    return None


def _missing_pct(histogram: Histogram) -> str:
    return f"{100 * (1 - histogram.coverage):.0f} %"


def _levels(gpu_util: float, memory_util: float | None) -> str:
    memory = "no bandwidth data" if memory_util is None else f"memory {100 * memory_util:.0f} %"
    return f"GPU {100 * gpu_util:.0f} % busy, {memory}"


def _milli(share: float) -> int:
    return min(WHOLE_MILLI, math.ceil(share * WHOLE_MILLI - _ROUNDING))


def _share(milli: int) -> str:
    return f"{milli / WHOLE_MILLI:.3f} GPU"
