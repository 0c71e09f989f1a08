"""The child that talks to the NVIDIA driver: reads every GPU once, prints one JSON object, ends.

A call into NVML can hang for ever when the driver is sick, and the vendor's library can crash the
process that loaded it. So the calls happen here and `nvml.py` waits with a deadline. The child
imports as little as it can, because it is started once a sweep; `nvml.py` imports it for the shape
of the answer, which is why the bindings are imported in `main`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from typing import Any

import msgspec


class Code(IntEnum):
    """Return codes of NVML that are treated apart (`nvmlReturn_t` of the NVML reference)."""

    NOT_SUPPORTED = 3
    NO_PERMISSION = 4
    DRIVER_NOT_LOADED = 9
    LIBRARY_NOT_FOUND = 12
    FUNCTION_NOT_FOUND = 13
    GPU_IS_LOST = 15
    RESET_REQUIRED = 16
    LIB_RM_VERSION_MISMATCH = 18
    ARGUMENT_VERSION_MISMATCH = 25
    GPU_NOT_FOUND = 28


class Failure(msgspec.Struct, frozen=True):
    """A call that did not succeed: NVML's return code and its own words for it."""

    code: int
    text: str


class Device(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One GPU as NVML gave it; what could not be read is None and stands in `missing`.

    `failure` is why the device as a whole could not be read (to its end). Text is as the driver
    gave it, with bytes that are not UTF-8 as backslash escapes: it is not safe to draw.
    """

    index: int
    uuid: str | None = None
    minor: int | None = None
    model: str | None = None
    mig: bool | None = None
    util_pct: int | None = None
    mem_used_bytes: int | None = None
    mem_total_bytes: int | None = None
    mem_with_reserved: bool = False
    power_mw: int | None = None
    temp_c: int | None = None
    missing: dict[str, Failure] = {}
    failure: Failure | None = None


class Answer(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What the child prints. `failure` is why no GPU could be listed at all."""

    driver: str | None = None
    devices: list[Device] = []
    failure: Failure | None = None


_SUPERSEDED = (
    Code.FUNCTION_NOT_FOUND,
    Code.NOT_SUPPORTED,
    Code.ARGUMENT_VERSION_MISMATCH,
)
"""Answers of a driver that does not know the second version of the memory call."""


def read_all(nvml: Any) -> Answer:
    """Every GPU that the driver shows this process. `nvml` is the bindings' module, `pynvml`."""
    answer = Answer()
    try:
        nvml.nvmlInit()
        with suppress(nvml.NVMLError, UnicodeDecodeError):
            answer.driver = nvml.nvmlSystemGetDriverVersion()
        answer.devices = [_read(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]
    except nvml.NVMLError as error:
        answer.failure = Failure(error.value, str(error))
    with suppress(nvml.NVMLError):
        nvml.nvmlShutdown()
    return answer


def _read(nvml: Any, index: int) -> Device:
    """One GPU. A call that fails costs its own value only; a lost GPU is not asked on."""
    device = Device(index=index)

    def get(field: str, call: Callable[..., Any], *args: Any) -> Any:
        """The one guarded door to the driver: the value, or None with its reason noted."""
        try:
            return call(*args)
        except UnicodeDecodeError as error:  # the bindings decode strictly; the bytes are in here
            return error.object.decode("utf-8", "backslashreplace")
        except nvml.NVMLError as error:
            if error.value == Code.GPU_IS_LOST:
                raise
            device.missing[field] = Failure(error.value, str(error))
            return None

    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        device.uuid = get("uuid", nvml.nvmlDeviceGetUUID, handle)
        device.minor = get("minor", nvml.nvmlDeviceGetMinorNumber, handle)
        device.model = get("model", nvml.nvmlDeviceGetName, handle)
        mode = get("mig", nvml.nvmlDeviceGetMigMode, handle)
        if mode is not None:
            device.mig = mode[0] == nvml.NVML_DEVICE_MIG_ENABLE
        elif device.missing["mig"].code == Code.NOT_SUPPORTED:  # a model that cannot be cut
            del device.missing["mig"]
            device.mig = False
        if not device.mig:  # there is no utilisation of a device that is cut up
            rates = get("util_pct", nvml.nvmlDeviceGetUtilizationRates, handle)
            device.util_pct = None if rates is None else rates.gpu
        _read_memory(nvml, handle, device, get)
        device.power_mw = get("power_w", nvml.nvmlDeviceGetPowerUsage, handle)
        device.temp_c = get(
            "temp_c", nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU
        )
    except nvml.NVMLError as error:
        device.failure = Failure(error.value, str(error))
    return device


def _read_memory(nvml: Any, handle: Any, device: Device, get: Callable[..., Any]) -> None:
    """Memory in bytes. The first version of the call counts what the driver reserves as used."""
    memory = get("mem_used_bytes", nvml.nvmlDeviceGetMemoryInfo, handle, nvml.nvmlMemory_v2)
    if memory is None and device.missing["mem_used_bytes"].code in _SUPERSEDED:
        del device.missing["mem_used_bytes"]
        memory = get("mem_used_bytes", nvml.nvmlDeviceGetMemoryInfo, handle)
        device.mem_with_reserved = memory is not None
    if memory is not None:
        device.mem_used_bytes, device.mem_total_bytes = memory.used, memory.total


def main() -> None:
    """Print the answer as one JSON object on standard output."""
    import pynvml

    sys.stdout.buffer.write(msgspec.json.encode(read_all(pynvml)) + b"\n")


if __name__ == "__main__":
    main()
