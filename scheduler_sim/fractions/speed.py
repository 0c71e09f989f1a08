"""How fast a run goes on a share of a GPU, relative to the whole device, and the reverse.

All rules have Amdahl's form: a part a of the time needs the device and stretches by 1 / f on a
share f, the rest does not.

    speed(f) = 1 / (1 - a + a / f)          f(speed) = a / (1 / speed - 1 + a)

Without bandwidth figures a is the GPU utilisation u, which counts any running kernel and is thus
an upper bound of what the run really needs. With them a = min(1, 0.09 u + 1.57 b), b being the
utilisation of the memory controller: a least-squares fit to the public logs of Li et al., "MISO:
Exploiting Multi-Instance GPU Capability on Multi-Tenant GPU Clusters", SoCC 2022 (7 models, one
type of GPU: mean absolute error 0.042, 5th percentile -0.07). That fit is a prior, not a law.
"""

from __future__ import annotations

CALIBRATED_GPU = 0.09
CALIBRATED_MEMORY = 1.57

SAFETY = 0.07
"""Speed that the calibrated rule promises too much in 5 % of the cases: added before inverting."""

_MEASURED = 1e-12


def needed(gpu_util: float, memory_util: float | None) -> float:
    """The part of the time that stretches on a smaller share, 0..1; levels are 0..1."""
    if memory_util is None:
        return gpu_util
    return min(1.0, CALIBRATED_GPU * gpu_util + CALIBRATED_MEMORY * memory_util)


def speed_on(share: float, gpu_util: float, memory_util: float | None = None) -> float:
    """Predicted speed on `share` (above 0, at most 1) relative to the whole device.

    Raises:
        ValueError: the share is not within (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"share: above 0 and at most 1, got {share}")
    part = needed(gpu_util, memory_util)
    return 1 / (1 - part + part / share)


def share_for(speed: float, gpu_util: float, memory_util: float | None = None) -> float:
    """The smallest share that keeps `speed`, 0..1; with bandwidth figures the safety is added.

    Raises:
        ValueError: the speed is not within (0, 1).
    """
    if not 0 < speed < 1:
        raise ValueError(f"speed: above 0 and below 1, got {speed}")
    part = needed(gpu_util, memory_util)
    if memory_util is not None:
        speed = min(1.0, speed + SAFETY)
    return part / (1 / speed - 1 + part) if part > _MEASURED else 0.0
