"""What NVML costs on this host, and whether its values are those of nvidia-smi.

    python benchmarks/nvml_calls.py [CALLS]

Prints the microseconds of each call that a sweep makes (CALLS times per GPU, 200 by default), the
time of a whole sweep with its child process, and every value beside the one that
`nvidia-smi --query-gpu` gave in the same second. Needs foundry_tui, nvidia-ml-py, msgspec and
wcwidth on the PYTHONPATH, nothing else.

Exit codes: 0 all values agree, 1 some differ, 3 no NVML or no nvidia-smi.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import pynvml

from foundry_tui.estate.gpu import Reading
from foundry_tui.process import ProcessError, run
from foundry_tui.telemetry.nvml import Nvml

FIELDS = (
    "index",
    "uuid",
    "name",
    "utilization.gpu",
    "memory.used",
    "memory.total",
    "power.draw",
    "temperature.gpu",
    "mig.mode.current",
)
MIB = 1 << 20
SWEEPS = 5


def main(calls: int) -> int:
    """Measure, compare, and return the exit code."""
    nvml = Nvml(node=os.uname().nodename.partition(".")[0])
    before, source = nvml.read()
    print(f"source: {source.state}" + (f" ({source.reason})" if source.reason else ""))
    if not before:
        print("no GPU can be read through NVML here: nothing to measure", file=sys.stderr)
        return 3
    _measure(calls)
    walls = [_us(nvml.read) for _ in range(SWEEPS)]
    print(f"{'whole sweep with its child':<34}{statistics.median(walls) / 1e3:>10.1f} ms median\n")
    before, _ = nvml.read()
    try:
        rows = _nvidia_smi()
    except ProcessError as error:
        print(f"nothing to compare with: {error}", file=sys.stderr)
        return 3
    after, _ = nvml.read()
    return 0 if _compare(before, rows, after) else 1


def _measure(calls: int) -> None:
    """Print the cost of each call of a sweep, over all GPUs."""
    print(f"{'call':<34}{'median µs':>12}{'p95 µs':>12}{'first µs':>12}")
    _row("nvmlInit", [_us(pynvml.nvmlInit)])
    _row("nvmlSystemGetDriverVersion", _repeat(calls, pynvml.nvmlSystemGetDriverVersion))
    _row("nvmlDeviceGetCount", _repeat(calls, pynvml.nvmlDeviceGetCount))
    gpus = range(pynvml.nvmlDeviceGetCount())
    by_index = pynvml.nvmlDeviceGetHandleByIndex
    _row("nvmlDeviceGetHandleByIndex", [t for i in gpus for t in _repeat(calls, by_index, i)])
    handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in gpus]
    per_gpu: tuple[tuple[str, Callable[..., object], tuple[object, ...]], ...] = (
        ("nvmlDeviceGetUUID", pynvml.nvmlDeviceGetUUID, ()),
        ("nvmlDeviceGetMinorNumber", pynvml.nvmlDeviceGetMinorNumber, ()),
        ("nvmlDeviceGetName", pynvml.nvmlDeviceGetName, ()),
        ("nvmlDeviceGetMigMode", pynvml.nvmlDeviceGetMigMode, ()),
        ("nvmlDeviceGetUtilizationRates", pynvml.nvmlDeviceGetUtilizationRates, ()),
        ("nvmlDeviceGetMemoryInfo (v2)", pynvml.nvmlDeviceGetMemoryInfo, (pynvml.nvmlMemory_v2,)),
        ("nvmlDeviceGetMemoryInfo (v1)", pynvml.nvmlDeviceGetMemoryInfo, ()),
        ("nvmlDeviceGetPowerUsage", pynvml.nvmlDeviceGetPowerUsage, ()),
        ("nvmlDeviceGetTemperature", pynvml.nvmlDeviceGetTemperature, (0,)),
    )
    for name, call, args in per_gpu:
        _row(name, [t for h in handles for t in _repeat(calls, call, h, *args)])
    _row("nvmlShutdown", [_us(pynvml.nvmlShutdown)])


def _repeat(calls: int, call: Callable[..., object], *args: object) -> list[float]:
    return [_us(call, *args) for _ in range(calls)]


def _us(call: Callable[..., object], *args: object) -> float:
    """Microseconds of one call; a call that the driver refuses costs time too."""
    started = time.perf_counter_ns()
    try:
        call(*args)
    except pynvml.NVMLError as error:
        _refused.add(f"{getattr(call, '__name__', call)}: {error}")
    return (time.perf_counter_ns() - started) / 1e3


_refused: set[str] = set()


def _row(name: str, times_us: list[float]) -> None:
    p95 = sorted(times_us)[int(0.95 * (len(times_us) - 1))]
    print(f"{name:<34}{statistics.median(times_us):>12.1f}{p95:>12.1f}{times_us[0]:>12.1f}")
    for refusal in sorted(_refused):
        print(f"    refused: {refusal}")
    _refused.clear()


def _nvidia_smi() -> dict[int, tuple[str, ...]]:
    """The fields of each GPU by its index, as nvidia-smi prints them.

    Raises:
        ProcessError: nvidia-smi is not there, hangs or fails.
    """
    env = {k: v for k, v in os.environ.items() if k == "LD_LIBRARY_PATH"}
    done = run(
        ("nvidia-smi", f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader,nounits"),
        timeout_s=30,
        env=env,
    )
    if done.code != 0:
        raise ProcessError(f"nvidia-smi ended with {done.code}: {done.out!r} {done.err!r}")
    rows = [tuple(c.strip() for c in line.split(",")) for line in done.out.decode().splitlines()]
    return {int(row[0]): row for row in rows}


def _compare(
    before: tuple[Reading, ...], rows: dict[int, tuple[str, ...]], after: tuple[Reading, ...]
) -> bool:
    """Print each value before, by and after nvidia-smi; whether all agree.

    A value that moves agrees when it lies between the two readings, give or take the tolerance.
    """
    agree = {r.index for r in before} == set(rows)
    if not agree:
        print(f"DIFFERS: NVML lists {[r.index for r in before]}, nvidia-smi {sorted(rows)}")
    print(f"{'gpu':<5}{'value':<18}{'before':>24}{'nvidia-smi':>44}{'after':>24}")
    for first, last in zip(before, after, strict=True):
        row = rows.get(first.index)
        if row is None:
            continue
        for (name, tolerance, one), (_, _, two), theirs in zip(
            _values(first), _values(last), row[1:], strict=True
        ):
            same = _same(one, theirs, two, tolerance)
            agree = agree and same
            mark = "" if same else "  DIFFERS"
            print(f"{first.index:<5}{name:<18}{one!s:>24.24}{theirs:>44}{two!s:>24.24}{mark}")
    return agree


def _values(reading: Reading) -> tuple[tuple[str, float, Any], ...]:
    """Name, tolerance and value in nvidia-smi's units, in the order of `FIELDS`."""
    used, total = reading.mem_used_bytes, reading.mem_total_bytes
    mig = None if reading.mig is None else "Enabled" if reading.mig else "Disabled"
    return (
        ("uuid", 0, reading.uuid),
        ("name", 0, reading.model),
        ("util_pct", 10, reading.util_pct),
        ("mem_used MiB", 1, None if used is None else used / MIB),
        ("mem_total MiB", 1, None if total is None else total / MIB),
        ("power_w", 10, reading.power_w),
        ("temp_c", 1, reading.temp_c),
        ("mig", 0, mig),
    )


def _same(one: Any, theirs: str, two: Any, tolerance: float) -> bool:
    if "N/A" in theirs or "Not Supported" in theirs:
        return one in (None, "Disabled")  # a model that cannot be cut is [N/A] there
    if one is None or two is None:
        return False
    if isinstance(one, str):
        return bool(one == theirs)
    return bool(min(one, two) - tolerance <= float(theirs) <= max(one, two) + tolerance)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
