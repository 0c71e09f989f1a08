"""The metrics that are read of a GPU: their names, units, and the numbers that mean "no value".

Names and units are those of dcgm-exporter's metric files, which `foundry agent` keeps to, and the
older `dcgm_...` ones. Blank values are those of DCGM's `dcgm_structs.h`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MIB = float(1 << 20)


@dataclass(frozen=True, slots=True)
class Metric:
    """One value: where it goes, the names it comes under, and what it can be in their unit.

    `key` is the field of `Reading`, or the word by which faults, memory and instances take it;
    value times `factor` has the unit of the field. A `shared` value is the whole GPU's, even where
    an exporter tells it under the labels of a MIG instance.
    """

    key: str
    names: tuple[str, ...]
    factor: float = 1.0
    most: float = 1e15
    least: float = 0.0
    ratio: bool = False
    shared: bool = False


METRICS = (
    Metric("util_pct", ("DCGM_FI_DEV_GPU_UTIL", "dcgm_gpu_utilization"), most=100.0),
    Metric("util_max_pct", ("foundry_gpu_util_max_pct",), most=100.0),
    Metric("fb_used", ("DCGM_FI_DEV_FB_USED", "dcgm_fb_used"), MIB, most=1e8),
    Metric("fb_free", ("DCGM_FI_DEV_FB_FREE", "dcgm_fb_free"), MIB, most=1e8),
    Metric("fb_reserved", ("DCGM_FI_DEV_FB_RESERVED", "dcgm_fb_reserved"), MIB, most=1e8),
    Metric("fb_total", ("DCGM_FI_DEV_FB_TOTAL", "dcgm_fb_total"), MIB, most=1e8),
    Metric("power_w", ("DCGM_FI_DEV_POWER_USAGE", "dcgm_power_usage"), most=1e5, shared=True),
    Metric(
        "energy_mj",
        ("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "dcgm_total_energy_consumption"),
        shared=True,
    ),
    Metric(
        "temp_c", ("DCGM_FI_DEV_GPU_TEMP", "dcgm_gpu_temp"), most=250.0, least=-100.0, shared=True
    ),
    Metric("sm_clock_mhz", ("DCGM_FI_DEV_SM_CLOCK", "dcgm_sm_clock"), most=1e5, shared=True),
    Metric("mem_clock_mhz", ("DCGM_FI_DEV_MEM_CLOCK", "dcgm_memory_clock"), most=1e5, shared=True),
    Metric("gr_engine_pct", ("DCGM_FI_PROF_GR_ENGINE_ACTIVE",), 100.0, most=1.0, ratio=True),
    Metric("sm_active_pct", ("DCGM_FI_PROF_SM_ACTIVE",), 100.0, most=1.0, ratio=True),
    Metric("sm_occupancy_pct", ("DCGM_FI_PROF_SM_OCCUPANCY",), 100.0, most=1.0, ratio=True),
    Metric("tensor_active_pct", ("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE",), 100.0, most=1.0, ratio=True),
    Metric("dram_active_pct", ("DCGM_FI_PROF_DRAM_ACTIVE",), 100.0, most=1.0, ratio=True),
    Metric("xid", ("DCGM_FI_DEV_XID_ERRORS", "dcgm_xid_errors"), shared=True),
    Metric(
        "ecc_dbe", ("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", "dcgm_ecc_dbe_volatile_total"), shared=True
    ),
    Metric("rows_pending", ("DCGM_FI_DEV_ROW_REMAP_PENDING",), shared=True),
    Metric(
        "rows_failure", ("DCGM_FI_DEV_ROW_REMAP_FAILURE", "dcgm_row_remap_failure"), shared=True
    ),
    Metric(
        "throttle",
        ("DCGM_FI_DEV_CLOCKS_EVENT_REASONS", "DCGM_FI_DEV_CLOCK_THROTTLE_REASONS"),
        shared=True,
    ),
    Metric("samples", ("foundry_gpu_window_samples",)),
)
"""Everything that is read of a GPU, the first of its names the one of today."""

BY_NAME: Mapping[str, Metric] = {name: metric for metric in METRICS for name in metric.names}


NAMES = frozenset(BY_NAME) | {
    "foundry_agent_window_end_timestamp_seconds",
    "foundry_agent_window_seconds",
    "foundry_agent_time_seconds",
    "foundry_agent_problem_info",
    "foundry_agent_processes_known",
    "foundry_gpu_info",
    "foundry_gpu_instance_info",
    "foundry_gpu_failure_info",
    "foundry_gpu_job_info",
    "foundry_gpu_process_sm_util",
    "foundry_gpu_xid_timestamp_seconds",
}
"""Every metric that readings are made of."""

_UNASKED = {"fb_free", "fb_reserved"}
"""Keys that an agent need not tell: it tells the whole memory."""

ASKED = tuple(
    sorted(
        {metric.names[0] for metric in METRICS if metric.key not in _UNASKED}
        | {name for name in NAMES if name.startswith("foundry_")}
    )
)
"""The metrics that an agent is asked for."""

LEAST_BLANK = 2147483632


def blank(value: float) -> bool:
    """Whether DCGM means "no value" by this number (its 32 and 64 bit integers, and doubles)."""
    return (
        LEAST_BLANK <= value <= 2147483647
        or 140737488355328 <= value <= 140737488355343
        or value >= 9.2e18
    )
