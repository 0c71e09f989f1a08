"""A reading: what one GPU does, as one source measured it, before anybody says whose GPU it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from foundry_tui.estate.text import SafeText


class FaultKind(StrEnum):
    """What is wrong with a GPU."""

    LOST = "lost"
    UNRESPONSIVE = "unresponsive"
    XID = "xid"
    ECC = "ecc"
    ROW_REMAP = "row_remap"
    THROTTLED = "throttled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something wrong with a GPU, in words. A `grave` one needs an admin, others a look."""

    kind: FaultKind
    words: SafeText
    grave: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceReading:
    """One MIG GPU instance: `gi` is the driver's number of it on its GPU."""

    gi: int
    profile: str | None = None
    uuid: str | None = None
    util_pct: float | None = None
    mem_used_bytes: int | None = None
    mem_total_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who was seen working on a GPU: one run, by its processes.

    `job` is the scheduler's native id (or a pod's uid), found `how` (cgroup, environ, prolog, pod).
    `sm_util_pct` is the sum over its processes, None where the driver does not tell it.
    """

    job: str
    how: str
    uid: int | None = None
    gi: int | None = None
    sm_util_pct: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One measurement of one GPU, with where it came from and when.

    `index` is the device's index on `node` as NVML counts; every value that could not be read is
    None, and `reason` says why when the device as a whole could not be read. Means over `window_s`
    seconds of `samples` samples where the source has windows (`read_at` is then the window's end),
    else one sample. The `..._active_pct` are shares of time from hardware counters. `holders` is
    None where the source knows no processes.
    """

    node: str
    index: int
    source: str
    read_at: datetime
    how: str
    uuid: str | None = None
    minor: int | None = None
    pci_bus_id: str | None = None
    model: str | None = None
    util_pct: float | None = None
    util_max_pct: float | None = None
    mem_used_bytes: int | None = None
    mem_total_bytes: int | None = None
    power_w: float | None = None
    energy_mj: int | None = None
    temp_c: float | None = None
    sm_clock_mhz: int | None = None
    mem_clock_mhz: int | None = None
    sm_active_pct: float | None = None
    sm_occupancy_pct: float | None = None
    tensor_active_pct: float | None = None
    dram_active_pct: float | None = None
    mig: bool | None = None
    instances: tuple[InstanceReading, ...] = ()
    holders: tuple[Holder, ...] | None = None
    faults: tuple[Fault, ...] = ()
    window_s: float | None = None
    samples: int | None = None
    reason: str | None = None
