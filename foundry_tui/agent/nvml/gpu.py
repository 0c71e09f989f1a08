"""One GPU: what stands still is asked once, what moves in every round.

The calls are those that are cheap and take no rights. Fans and PCIe throughput are not read: they
cost the driver up to 20 ms a GPU, and it holds the lock that jobs need meanwhile.
"""

from __future__ import annotations

from typing import Any

from foundry_tui.agent.nvml import mig
from foundry_tui.agent.nvml.driver import Code, Driver, Refused
from foundry_tui.agent.nvml.fields import HEALTH, INSTEAD, MILLI, MOVING, ROWS, value_of
from foundry_tui.agent.nvml.gpm import Gpm
from foundry_tui.agent.shapes import Device, GpuRound, Instance

FATAL = (Code.UNINITIALIZED, Code.DRIVER_NOT_LOADED, Code.GPU_IS_LOST)
"""Answers after which this GPU, or every GPU, need not be asked on in this round."""
NEVER = (Code.NOT_SUPPORTED, Code.FUNCTION_NOT_FOUND, Code.ARGUMENT_VERSION_MISMATCH)
"""Answers that stay the same until the GPU is cut differently or the driver is loaded anew."""

RATIO_MOST = 16.0
"""Counters of MIG instances are known to pass 1, where the driver divides by the slice."""
MOST = {
    "gpu_util": 100.0,
    "mem_copy_util": 100.0,
    "power": 1e5,
    "gpu_temp": 250.0,
    "mem_temp": 250.0,
    "sm_clock": 1e5,
    "mem_clock": 1e5,
    "rows_correctable": 1e6,
    "rows_uncorrectable": 1e6,
    "row_pending": 1.0,
    "row_failure": 1.0,
    **dict.fromkeys(("gr_engine", "sm_active", "sm_occupancy", "tensor", "dram"), RATIO_MOST),
}
"""The largest value that is believed. Drivers have answered all ones, and sums that wrapped round,
with a success."""
MOST_OF_ALL = float(1 << 53)

SENSOR_CORE = 0
CLOCK_SM, CLOCK_MEM = 1, 2


class Gpu:
    """One device of this host and what is kept of it between rounds."""

    def __init__(self, driver: Driver, handle: Any, device: Device) -> None:
        self.handle = handle
        self.device = device
        self.cuts: list[mig.Cut] = []
        self.last_seen_us = 0
        self._driver = driver
        self._never: dict[tuple[str, str, int], int] = {}
        self._no_field: dict[str, int] = {}
        self._no_counters = False
        self._gpms: dict[tuple[int, int | None] | None, Gpm] = {}

    @property
    def counting(self) -> bool:
        """Whether hardware counters have begun: the next round has their ratios."""
        return bool(self._gpms)

    def read(self, now_s: float, *, health: bool) -> GpuRound:
        """This GPU in this round. `now_s` is of a monotonic clock.

        Raises:
            Refused: with a code of `FATAL`, for `Reader` to judge.
        """
        found = GpuRound(self.device)
        self._look_for_mig(found)
        self._read_utilisation(found)
        self._read_memory(found)
        self._read_fields(found, {**MOVING, **HEALTH} if health else MOVING)
        self._one(found, "gpu_temp", "nvmlDeviceGetTemperature", SENSOR_CORE)
        self._one(found, "sm_clock", "nvmlDeviceGetClockInfo", CLOCK_SM)
        self._one(found, "mem_clock", "nvmlDeviceGetClockInfo", CLOCK_MEM)
        self._read_throttle(found)
        self._read_instances(found, now_s)
        if not self.device.mig:
            self._read_counters(found, found.values, None, now_s)
        for values in (found.values, *(instance.values for instance in found.instances)):
            for key in [key for key in values if not _believed(key, values[key])]:
                del values[key]
                found.errors[key] = Code.UNKNOWN
        return found

    def close(self) -> None:
        """Give the samples of the hardware counters back."""
        for gpm in self._gpms.values():
            gpm.close()
        self._gpms = {}

    def ask(self, found: GpuRound, key: str, call: str, *args: Any, of: Any = None) -> Any:
        """The one guarded door: the answer, or None with NVML's code under `key` in `errors`.

        A call that this GPU does not support is not made again.

        Raises:
            Refused: with a code of `FATAL`.
        """
        call_and_form = (call, key, len(args))
        code = self._never.get(call_and_form)
        if code is None:
            try:
                return self._driver.ask(call, self.handle if of is None else of, *args)
            except Refused as refused:
                code = refused.code
                if code in FATAL:
                    raise
                if code in NEVER:
                    self._never[call_and_form] = code
        found.errors[key] = code
        return None

    def _one(self, found: GpuRound, key: str, call: str, *args: Any) -> None:
        value = self.ask(found, key, call, *args)
        if value is not None:
            found.values[key] = float(value)

    def _look_for_mig(self, found: GpuRound) -> None:
        """Whether the device is cut up now; a change makes every capability open again."""
        mode = self.ask(found, "mig", "nvmlDeviceGetMigMode")
        now = self.device.mig
        if mode is not None:
            now = mode[0] == 1
        elif found.errors["mig"] == Code.NOT_SUPPORTED:  # a model that cannot be cut
            del found.errors["mig"]
            now = False
        if self.device.mig is not None and now != self.device.mig:
            self.close()
            self._never, self._no_field, self._no_counters = {}, {}, False
        self.device.mig = now

    def _read_utilisation(self, found: GpuRound) -> None:
        if self.device.mig:
            return  # there is no utilisation of a device that is cut up
        rates = self.ask(found, "gpu_util", "nvmlDeviceGetUtilizationRates")
        if rates is not None:
            found.values["gpu_util"] = float(rates.gpu)
            found.values["mem_copy_util"] = float(rates.memory)

    def _read_memory(self, found: GpuRound) -> None:
        memory = self._memory(found, "fb_used")
        if memory is not None:
            found.values.update(_framebuffer(memory))
            if _believed("fb_total", memory.total):
                self.device.mem_total_bytes = int(memory.total)

    def _memory(self, found: GpuRound, key: str, of: Any = None) -> Any:
        """Drivers before 510 know the first version only, which counts their own as used."""
        call = "nvmlDeviceGetMemoryInfo"
        memory = self.ask(found, key, call, self._driver.nvml.nvmlMemory_v2, of=of)
        if memory is None and found.errors[key] in NEVER:
            del found.errors[key]
            memory = self.ask(found, key, call, of=of)
        return memory

    def _read_fields(self, found: GpuRound, fields: dict[str, int]) -> None:
        """Several values in one call; each has a return code of its own."""
        batch = {key: number for key, number in fields.items() if key not in self._no_field}
        answers: Any = None
        if batch:
            answers = self.ask(found, "fields", "nvmlDeviceGetFieldValues", list(batch.values()))
        code = found.errors.pop("fields", Code.NOT_SUPPORTED)
        for key in fields:
            found.errors[key] = self._no_field.get(key, code)
        for key, answer in zip(batch, answers or ()):
            code = answer.nvmlReturn
            if code == Code.GPU_IS_LOST:
                raise Refused(code, "GPU is lost")
            value = value_of(answer)
            if value is not None:
                found.values[key] = value / MILLI.get(key, 1.0)
                del found.errors[key]
                continue
            found.errors[key] = code or Code.UNKNOWN
            if code in (*NEVER, Code.INVALID_ARGUMENT):
                self._no_field[key] = code
        self._read_instead(found, [key for key in fields if key in found.errors])

    def _read_instead(self, found: GpuRound, keys: list[str]) -> None:
        """By calls of their own what the batch does not have."""
        for key in keys:
            if key not in INSTEAD or found.errors[key] == Code.NO_PERMISSION:
                continue
            call, args = INSTEAD[key]
            value = self.ask(found, key, call, *args)
            if value is not None:
                found.values[key] = value / MILLI.get(key, 1.0)
                del found.errors[key]
        if "row_failure" in keys:
            rows = self.ask(found, "row_failure", "nvmlDeviceGetRemappedRows")
            for key, value in zip(ROWS, rows or ()):
                found.values[key] = float(value)
                found.errors.pop(key, None)

    def _read_throttle(self, found: GpuRound) -> None:
        """Named clocks event reasons since driver 535, throttle reasons before."""
        key = "throttle"
        self._one(found, key, "nvmlDeviceGetCurrentClocksEventReasons")
        if found.errors.get(key) == Code.FUNCTION_NOT_FOUND:
            self._one(found, key, "nvmlDeviceGetCurrentClocksThrottleReasons")
            if key in found.values:
                del found.errors[key]

    def _read_instances(self, found: GpuRound, now_s: float) -> None:
        self.cuts = []
        if not self.device.mig:
            return
        most = self.ask(found, "instances", "nvmlDeviceGetMaxMigDeviceCount")
        try:
            self.cuts = mig.cuts(self._driver, self.handle, most or 0)
        except Refused as refused:  # also where an instance went away while we looked
            if refused.code in FATAL:
                raise
            found.errors["instances"] = refused.code
        for cut in self.cuts:
            instance = Instance(cut.gi, mig.profile(cut, self.device.mem_total_bytes))
            instance.uuid = self.ask(found, "instances", "nvmlDeviceGetUUID", of=cut.handles[0])
            memory = self._memory(found, "instances", of=cut.handles[0])
            if memory is not None:
                instance.values.update(_framebuffer(memory), fb_total=float(memory.total))
            self._read_counters(found, instance.values, cut, now_s)
            found.instances.append(instance)
        kept = {(cut.gi, cut.slices) for cut in self.cuts}
        for gone in [key for key in self._gpms if key not in kept]:
            self._gpms.pop(gone).close()

    def _read_counters(
        self, found: GpuRound, values: dict[str, float], cut: mig.Cut | None, now_s: float
    ) -> None:
        """Ratios of the hardware counters: of the device, or of each instance where it is cut."""
        if self._no_counters:
            return
        key = None if cut is None else (cut.gi, cut.slices)
        gpm = self._gpms.get(key)
        if gpm is None:
            support = self.ask(found, "gpm", "nvmlGpmQueryDeviceSupport")
            if support is None or not support.isSupportedDevice:
                self._no_counters = found.errors.pop("gpm", Code.NOT_SUPPORTED) in NEVER
                return
            gpm = self._gpms[key] = Gpm(self._driver, self.handle, None if cut is None else cut.gi)
        try:
            values.update(gpm.read(now_s))
        except Refused as refused:
            if refused.code in FATAL:
                raise
            found.errors["gpm"] = refused.code
            gpm.close()


def _believed(key: str, value: float) -> bool:
    return 0 <= value <= MOST.get(key, MOST_OF_ALL)


def _framebuffer(memory: Any) -> dict[str, float]:
    values = {"fb_used": float(memory.used), "fb_free": float(memory.free)}
    if hasattr(memory, "reserved"):
        values["fb_reserved"] = float(memory.reserved)
    return values
