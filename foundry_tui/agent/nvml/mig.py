"""MIG: the GPU instances (GI) that one GPU is cut into now.

NVML lists MIG devices, one per *compute* instance, and those of one GPU instance share its memory
and counters. They are enumerated anew in every round, since an admin can cut a GPU differently at
any moment and a kept handle would then speak for another instance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from foundry_tui.agent.nvml.driver import Code, Driver, Refused

MIB = 1 << 20
GIB = 1 << 30
EIGHTHS = 8


@dataclass
class Cut:
    """One GPU instance: `handles` are its MIG devices, one per compute instance."""

    gi: int
    handles: list[Any] = field(default_factory=list)
    slices: int | None = None
    mem_bytes: int | None = None


def cuts(driver: Driver, parent: Any, most: int) -> list[Cut]:
    """The GPU instances of a device that has room for `most` MIG devices, by their number.

    Raises:
        Refused: the driver does not enumerate MIG devices, or the GPU is lost.
    """
    found: dict[int, Cut] = {}
    for handle in _devices(driver, parent, most):
        gi = driver.ask("nvmlDeviceGetGpuInstanceId", handle)
        cut = found.setdefault(gi, Cut(gi))
        if not cut.handles:
            attributes = driver.ask("nvmlDeviceGetAttributes_v2", handle)
            cut.slices = attributes.gpuInstanceSliceCount
            cut.mem_bytes = attributes.memorySizeMB * MIB
        cut.handles.append(handle)
    return [found[gi] for gi in sorted(found)]


def _devices(driver: Driver, parent: Any, most: int) -> Iterator[Any]:
    for place in range(most):
        try:
            yield driver.ask("nvmlDeviceGetMigDeviceHandleByIndex", parent, place)
        except Refused as refused:
            if refused.code not in (Code.NOT_FOUND, Code.INVALID_ARGUMENT):
                raise  # a hole in the numbering is no end of it


def profile(cut: Cut, total_bytes: int | None) -> str | None:
    """The name as nvidia-smi gives it, such as 1g.10gb; None where it cannot be told.

    The gigabytes are eighths of the device's memory, not those of the instance: a 1g.18gb of a
    141 GB device holds 16 GiB. Formula of go-nvlib (`getMigMemorySizeGB`).
    """
    if not cut.slices or not cut.mem_bytes or not total_bytes:
        return None
    eighths = math.ceil(cut.mem_bytes / total_bytes * EIGHTHS) / EIGHTHS
    whole_gb = math.ceil(total_bytes / GIB)
    return f"{cut.slices}g.{int(eighths * whole_gb + 0.5)}gb"
