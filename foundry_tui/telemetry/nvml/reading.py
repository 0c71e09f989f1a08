"""From a round of this host's GPUs to readings: units, holders, faults, and why a value is None."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from foundry_tui.agent.nvml.driver import Code
from foundry_tui.agent.shapes import GpuRound, Instance, ProcessUse, Round
from foundry_tui.estate.reading import Holder, InstanceReading, Reading
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.telemetry import health

_WORDS: Mapping[int, str] = {
    Code.NOT_SUPPORTED: "not supported by this GPU",
    Code.NO_PERMISSION: "no permission",
    Code.FUNCTION_NOT_FOUND: "unknown to this driver",
    Code.GPU_IS_LOST: "the GPU is lost: it has fallen off its bus",
    Code.RESET_REQUIRED: "the GPU must be reset",
    Code.GPU_NOT_FOUND: "the driver no longer lists this GPU",
    Code.UNKNOWN: "NVML 999: unknown error",
}
_FIELDS: Mapping[str, str] = {
    "mig": "mig",
    "gpu_util": "util_pct",
    "fb_used": "mem_used_bytes",
    "power": "power_w",
    "gpu_temp": "temp_c",
    "energy": "energy_mj",
    "sm_clock": "sm_clock_mhz",
    "mem_clock": "mem_clock_mhz",
    "gpm": "sm_active_pct",
    "processes": "holders",
    "sm_util": "holders' sm_util_pct",
    "instances": "instances",
}
"""What a key of a round's `errors` is called in a reading."""
_MAY_LACK = frozenset({"energy", "sm_clock", "mem_clock", "gpm", "processes", "sm_util"})
"""What many sound GPUs do not have: it is a reason only where something else is wrong."""
_NATURE = (Code.NOT_SUPPORTED, Code.FUNCTION_NOT_FOUND)


def readings(found: Round, *, node: str, source: str, read_at: datetime) -> tuple[Reading, ...]:
    """A reading of every GPU of the round, those that could not be read with their reason."""
    by_uuid: dict[str, list[ProcessUse]] = {}
    for use in found.processes or ():
        by_uuid.setdefault(use.uuid, []).append(use)
    return tuple(
        _reading(gpu, by_uuid.get(gpu.device.uuid or "", []), node, source, read_at)
        for gpu in found.gpus
    )


def words(code: int, said: str = "") -> SafeText:
    """NVML's return code in words; for a rare one those of the library, where it `said` any."""
    return safe(_WORDS.get(code, f"NVML {code}: {said}" if said else f"NVML {code}"))


def _reading(
    gpu: GpuRound, uses: list[ProcessUse], node: str, source: str, read_at: datetime
) -> Reading:
    device, values = gpu.device, gpu.values
    reserved_too = "fb_used" in values and "fb_reserved" not in values
    return Reading(
        node=node,
        index=device.index,
        source=source,
        read_at=read_at,
        how="NVML; memory used counts the driver's own" if reserved_too else "NVML",
        uuid=None if device.uuid is None else safe(device.uuid),
        minor=device.minor,
        pci_bus_id=device.pci_bus_id,
        model=None if device.model is None else safe(device.model),
        util_pct=values.get("gpu_util"),
        mem_used_bytes=_whole(values.get("fb_used")),
        mem_total_bytes=device.mem_total_bytes,
        power_w=values.get("power"),
        energy_mj=_whole(values.get("energy")),
        temp_c=values.get("gpu_temp"),
        sm_clock_mhz=_whole(values.get("sm_clock")),
        mem_clock_mhz=_whole(values.get("mem_clock")),
        sm_active_pct=_pct(values.get("sm_active")),
        sm_occupancy_pct=_pct(values.get("sm_occupancy")),
        tensor_active_pct=_pct(values.get("tensor")),
        dram_active_pct=_pct(values.get("dram")),
        mig=device.mig,
        instances=tuple(_instance(one) for one in gpu.instances),
        holders=_holders(gpu, uses),
        faults=health.from_values(
            xid=health.gravest(map(float, gpu.xids)),
            ecc_dbe=values.get("ecc_dbe"),
            rows_pending=values.get("row_pending"),
            rows_failure=values.get("row_failure"),
            throttle=values.get("throttle"),
            lost=gpu.errors.get("device") in (Code.GPU_IS_LOST, Code.GPU_NOT_FOUND),
        ),
        reason=_reason(gpu),
    )


def _instance(one: Instance) -> InstanceReading:
    """The engine's active share stands for utilisation, of which an instance has none."""
    return InstanceReading(
        gi=one.gi,
        profile=one.profile,
        uuid=None if one.uuid is None else safe(one.uuid),
        util_pct=_pct(one.values.get("gr_engine")),
        mem_used_bytes=_whole(one.values.get("fb_used")),
        mem_total_bytes=_whole(one.values.get("fb_total")),
    )


def _holders(gpu: GpuRound, uses: list[ProcessUse]) -> tuple[Holder, ...] | None:
    """The runs on this GPU; None where its processes could not be listed."""
    if gpu.failure is not None or "processes" in gpu.errors:
        return None
    runs: dict[tuple[str, int | None], list[ProcessUse]] = {}
    for use in uses:
        if use.job is not None:
            runs.setdefault((use.job, use.gi), []).append(use)
    return tuple(
        Holder(
            job=job,
            how=own[0].how or "cgroup",
            uid=own[0].uid,
            gi=gi,
            sm_util_pct=_sum([use.sm_util for use in own]),
        )
        for (job, gi), own in sorted(runs.items(), key=lambda run: (run[0][0], run[0][1] or 0))
    )


def _reason(gpu: GpuRound) -> SafeText | None:
    """Why values of this GPU are unknown; None when those that every GPU has are known."""
    if gpu.failure is not None:
        return words(gpu.errors.get("device", Code.UNKNOWN), gpu.failure)
    unknown = [
        f"{name} ({words(gpu.errors[key])})"
        for key, name in _FIELDS.items()
        if key in gpu.errors and not (key in _MAY_LACK and gpu.errors[key] in _NATURE)
    ]
    if gpu.device.mig:
        unknown.insert(0, "util_pct (not measured on a GPU that is cut by MIG)")
    return safe(f"not read: {', '.join(unknown)}") if unknown else None


def _sum(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _pct(ratio: float | None) -> float | None:
    """A ratio in percent. Above 1 is an error of the driver's, seen on MIG: no share is more."""
    return None if ratio is None else min(100.0, round(100 * ratio, 3))
