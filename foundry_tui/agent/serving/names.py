"""The metrics of a GPU: our keys, the names that the world reads them by, and their units.

Names, units and types are those of dcgm-exporter (its etc/*.csv files), so that existing boards and
readers work unchanged. The bits of the clocks have two names there; this is the one since DCGM 3.3.
"""

from __future__ import annotations

from dataclasses import dataclass

MEAN, LAST, BITS = "mean", "last", "bits"
"""How a window becomes one value: the mean, the last value, or every bit that was seen."""

MIB = 1.0 / (1 << 20)


@dataclass(frozen=True)
class Metric:
    """One value of a GPU.

    `key` is its name in `GpuRound.values`; value times `factor` is in the unit of `name`. The
    largest sample of a window is told too, in the same unit, where `peak` names a metric for it.
    """

    key: str
    name: str
    words: str
    over: str = MEAN
    type: str = "gauge"
    factor: float = 1.0
    digits: int = 3
    peak: str = ""


METRICS = (
    Metric(
        "gpu_util",
        "DCGM_FI_DEV_GPU_UTIL",
        "GPU utilization (in %).",
        peak="foundry_gpu_util_max_pct",
    ),
    Metric("mem_copy_util", "DCGM_FI_DEV_MEM_COPY_UTIL", "Memory utilization (in %)."),
    Metric(
        "fb_used",
        "DCGM_FI_DEV_FB_USED",
        "Framebuffer memory used (in MiB).",
        factor=MIB,
        peak="foundry_gpu_fb_used_max_mib",
    ),
    Metric(
        "fb_total",
        "DCGM_FI_DEV_FB_TOTAL",
        "Framebuffer memory (in MiB).",
        over=LAST,
        factor=MIB,
    ),
    Metric("fb_free", "DCGM_FI_DEV_FB_FREE", "Framebuffer memory free (in MiB).", factor=MIB),
    Metric(
        "fb_reserved",
        "DCGM_FI_DEV_FB_RESERVED",
        "Framebuffer memory reserved (in MiB).",
        factor=MIB,
    ),
    Metric(
        "power",
        "DCGM_FI_DEV_POWER_USAGE",
        "Power draw (in W).",
        peak="foundry_gpu_power_max_watts",
    ),
    Metric(
        "energy",
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
        "Energy used since the driver was loaded (in mJ).",
        over=LAST,
        type="counter",
    ),
    Metric("gpu_temp", "DCGM_FI_DEV_GPU_TEMP", "GPU temperature (in C)."),
    Metric("mem_temp", "DCGM_FI_DEV_MEMORY_TEMP", "Memory temperature (in C)."),
    Metric("sm_clock", "DCGM_FI_DEV_SM_CLOCK", "SM clock frequency (in MHz)."),
    Metric("mem_clock", "DCGM_FI_DEV_MEM_CLOCK", "Memory clock frequency (in MHz)."),
    Metric(
        "throttle",
        "DCGM_FI_DEV_CLOCKS_EVENT_REASONS",
        "Reasons that held the clocks down, as NVML's bits; all that were seen in the window.",
        over=BITS,
    ),
    Metric("xid", "DCGM_FI_DEV_XID_ERRORS", "Code of the last XID error seen.", over=LAST),
    Metric(
        "ecc_sbe",
        "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL",
        "Corrected (single-bit) ECC errors since the driver was loaded.",
        over=LAST,
        type="counter",
    ),
    Metric(
        "ecc_dbe",
        "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL",
        "Uncorrected (double-bit) ECC errors since the driver was loaded.",
        over=LAST,
        type="counter",
    ),
    Metric(
        "rows_correctable",
        "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS",
        "Rows remapped for correctable errors.",
        over=LAST,
        type="counter",
    ),
    Metric(
        "rows_uncorrectable",
        "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS",
        "Rows remapped for uncorrectable errors.",
        over=LAST,
        type="counter",
    ),
    Metric(
        "row_pending",
        "DCGM_FI_DEV_ROW_REMAP_PENDING",
        "Whether a row waits for a reset of the GPU to be remapped.",
        over=LAST,
    ),
    Metric(
        "row_failure",
        "DCGM_FI_DEV_ROW_REMAP_FAILURE",
        "Whether remapping of rows has failed.",
        over=LAST,
    ),
    Metric(
        "gr_engine",
        "DCGM_FI_PROF_GR_ENGINE_ACTIVE",
        "Share of time the graphics engine was active (0 to 1).",
        digits=6,
        peak="foundry_gpu_gr_engine_active_max_ratio",
    ),
    Metric(
        "sm_active",
        "DCGM_FI_PROF_SM_ACTIVE",
        "Share of time an SM had a warp (0 to 1).",
        digits=6,
    ),
    Metric(
        "sm_occupancy",
        "DCGM_FI_PROF_SM_OCCUPANCY",
        "Share of the warps that SMs could hold (0 to 1).",
        digits=6,
    ),
    Metric(
        "tensor",
        "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE",
        "Share of time the tensor pipes were active (0 to 1).",
        digits=6,
    ),
    Metric(
        "dram",
        "DCGM_FI_PROF_DRAM_ACTIVE",
        "Share of time the memory interface was active (0 to 1).",
        digits=6,
    ),
)

BY_KEY = {metric.key: metric for metric in METRICS}
