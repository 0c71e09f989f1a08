"""What the collector process tells the serving process: plain records that travel as JSON lines.

Written for Python 3.9, the system Python of many compute nodes. A value that could not be read is
absent from `values`, never 0; why stands in `errors`.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Device:
    """What does not change while the driver runs: the keys by which a GPU is joined to a job.

    `index` counts as NVML does (by PCI bus), `minor` is the N of /dev/nvidiaN.
    """

    index: int
    uuid: str | None = None
    minor: int | None = None
    pci_bus_id: str | None = None
    model: str | None = None
    mig: bool | None = None
    mem_total_bytes: int | None = None


@dataclass
class Instance:
    """One MIG GPU instance (GI) of a device; `profile` as nvidia-smi names it (`1g.10gb`).

    Keys of `values`: fb_used, fb_free, fb_reserved, fb_total (bytes) and the ratios from GPM, which
    are the instance's own.
    """

    gi: int
    profile: str | None = None
    uuid: str | None = None
    values: dict[str, float] = field(default_factory=dict)


@dataclass
class GpuRound:
    """One GPU in one round.

    Keys of `values` and their units: gpu_util, mem_copy_util (percent); fb_used, fb_free,
    fb_reserved (bytes); power (W); energy (mJ since the driver was loaded); gpu_temp, mem_temp
    (degrees Celsius); sm_clock, mem_clock (MHz); throttle (bits of the clocks event reasons);
    gr_engine, sm_active, sm_occupancy, tensor, dram (ratios 0 to 1, from GPM; more is kept as it
    came); xid (the last code, only after one). Only in rounds with processes: ecc_sbe, ecc_dbe
    (volatile counts); rows_correctable, rows_uncorrectable (counts), row_pending, row_failure
    (0 or 1). fb_reserved is absent where an old driver counts it into fb_used.

    `errors` has NVML's return code by the key that could not be read, or by mig, instances,
    processes, sm_util, gpm; 3 and 13 (not supported, no such function) are this GPU's or driver's
    nature. `failure` says why the GPU as a whole could not be read (to its end), with the code in
    `errors["device"]`. `xids` has the unix time of the last event of each XID since this process
    started, the last one last.
    """

    device: Device
    values: dict[str, float] = field(default_factory=dict)
    instances: list[Instance] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)
    failure: str | None = None
    xids: dict[str, float] = field(default_factory=dict)


@dataclass
class ProcessUse:
    """One process on a GPU. `(pid, started)` names it: a pid alone comes round again.

    `started` is in clock ticks since boot (proc_pid_stat(5), field 22), None where /proc does not
    show the process. `job` is the scheduler's id of the run (a Slurm job id, or a pod's uid), found
    `how`: cgroup, environ or pod. `gi` is the MIG GPU instance. `sm_util` is in percent, since the
    round with processes before.
    """

    uuid: str
    pid: int
    started: int | None = None
    gi: int | None = None
    uid: int | None = None
    job: str | None = None
    how: str | None = None
    sm_util: float | None = None
    mem_bytes: int | None = None


@dataclass
class Round:
    """One reading of the host at unix time `at`, which took `took_s` in the driver.

    `processes` is None in the rounds between two process lists. `failure` is why there is no GPU to
    read at all, with NVML's code in `failure_code`.
    """

    at: float
    took_s: float = 0.0
    driver: str | None = None
    gpus: list[GpuRound] = field(default_factory=list)
    processes: list[ProcessUse] | None = None
    failure: str | None = None
    failure_code: int | None = None
