"""What NVML costs on this host, and whether its values are those of nvidia-smi.

    python benchmarks/nvml_calls.py [CALLS]

Prints the microseconds of each call that the agent makes (CALLS times per GPU, 200 by default), of
its rounds, of a GPU's minute, and of a whole sweep with its child process; then every value beside
the one that `nvidia-smi --query-gpu` gave in the same second, and the table of `nvidia-smi dmon`
for the eye. Needs foundry_tui, nvidia-ml-py and wcwidth on the PYTHONPATH, nothing else.

Exit codes: 0 all values agree, 1 some differ, 3 no NVML or no nvidia-smi.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import pynvml

from foundry_tui.agent.nvml.fields import HEALTH, MOVING
from foundry_tui.agent.nvml.gpm import LEAST_S, METRICS
from foundry_tui.agent.nvml.reader import Reader
from foundry_tui.agent.shapes import GpuRound
from foundry_tui.process import ProcessError, run
from foundry_tui.telemetry.nvml.source import TIMEOUT_S, Nvml

MIB = 1 << 20
SWEEPS = 3
ROUNDS_A_MINUTE = 6
"""The agent's default: a round every 10 s, one of them with processes."""
BUDGET_MS = 1.0
"""Driver time for one GPU and minute without process lists that the agent promises."""


@dataclass(frozen=True)
class Value:
    """A value with its name for nvidia-smi; `factor` makes nvidia-smi's unit of ours."""

    name: str
    asked: str
    tolerance: float = 0
    factor: float = 1
    hexadecimal: bool = False

    def of(self, gpu: GpuRound) -> str | float | None:
        """Ours, in nvidia-smi's unit."""
        if self.name == "mig":
            return {None: None, True: "Enabled", False: "Disabled"}[gpu.device.mig]
        if self.name in gpu.values:
            return gpu.values[self.name] * self.factor
        known: str | float | None = getattr(gpu.device, self.name, None)
        return known * self.factor if isinstance(known, int | float) else known

    def agrees(self, one: str | float | None, theirs: str, two: str | float | None) -> bool:
        """Whether theirs lies between our two readings, give or take the tolerance."""
        if "N/A" in theirs or "Not Supported" in theirs:
            return one in (None, "Disabled")  # a model that cannot be cut is [N/A] there
        if isinstance(one, str) or isinstance(two, str):
            return one == theirs
        if one is None or two is None:
            return False
        number = float(int(theirs, 16)) if self.hexadecimal else float(theirs)
        return min(one, two) - self.tolerance <= number <= max(one, two) + self.tolerance


VALUES = (
    Value("uuid", "uuid"),
    Value("model", "name"),
    Value("pci_bus_id", "pci.bus_id"),
    Value("gpu_util", "utilization.gpu", 10),
    Value("mem_copy_util", "utilization.memory", 10),
    Value("fb_used", "memory.used", 1, 1 / MIB),
    Value("fb_free", "memory.free", 1, 1 / MIB),
    Value("fb_reserved", "memory.reserved", 1, 1 / MIB),
    Value("mem_total_bytes", "memory.total", 1, 1 / MIB),
    Value("power", "power.draw", 10),
    Value("gpu_temp", "temperature.gpu", 1),
    Value("mem_temp", "temperature.memory", 1),
    Value("sm_clock", "clocks.sm", 30),
    Value("mem_clock", "clocks.mem", 30),
    Value("throttle", "clocks_event_reasons.active", hexadecimal=True),
    Value("ecc_dbe", "ecc.errors.uncorrected.volatile.total"),
    Value("mig", "mig.mode.current"),
)


def main(calls: int) -> int:
    """Measure, compare, and return the exit code."""
    nvml = Nvml(node=os.uname().nodename.partition(".")[0])
    sweep = nvml.read((), TIMEOUT_S)
    reason = f" ({sweep.source.reason})" if sweep.source.reason else ""
    print(f"source: {sweep.source.state}{reason}")
    if not sweep.readings:
        print("no GPU can be read through NVML here: nothing to measure", file=sys.stderr)
        return 3
    _measure(calls)
    reader = Reader(pynvml)
    _rounds(reader)
    walls = [_us(nvml.read, (), TIMEOUT_S) for _ in range(SWEEPS)]
    print(f"{'whole sweep with its child':<44}{statistics.median(walls) / 1e3:>10.1f} ms median\n")
    before = reader.read(time.time(), processes=True).gpus
    try:
        rows = _nvidia_smi()
    except ProcessError as error:
        print(f"nothing to compare with: {error}", file=sys.stderr)
        return 3
    after = reader.read(time.time(), processes=True).gpus
    agree = _compare(before, rows, after)
    _counters(reader)
    reader.close()
    return 0 if agree else 1


def _measure(calls: int) -> None:
    """Print the cost of each call of a round, over all GPUs."""
    print(f"{'call':<44}{'median µs':>12}{'p95 µs':>12}{'first µs':>12}")
    _row("nvmlInit", [_us(pynvml.nvmlInit)])
    handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
    events = pynvml.nvmlEventSetCreate()
    _row("nvmlEventSetWait_v2", _repeat(calls, pynvml.nvmlEventSetWait_v2, events, 0))
    moving, both = list(MOVING.values()), [*MOVING.values(), *HEALTH.values()]
    per_gpu: tuple[tuple[str, Callable[..., object], tuple[object, ...]], ...] = (
        ("nvmlDeviceGetMigMode", pynvml.nvmlDeviceGetMigMode, ()),
        ("nvmlDeviceGetUtilizationRates", pynvml.nvmlDeviceGetUtilizationRates, ()),
        ("nvmlDeviceGetMemoryInfo (v2)", pynvml.nvmlDeviceGetMemoryInfo, (pynvml.nvmlMemory_v2,)),
        ("nvmlDeviceGetFieldValues (moving)", pynvml.nvmlDeviceGetFieldValues, (moving,)),
        ("nvmlDeviceGetFieldValues (with health)", pynvml.nvmlDeviceGetFieldValues, (both,)),
        ("nvmlDeviceGetPowerUsage", pynvml.nvmlDeviceGetPowerUsage, ()),
        ("nvmlDeviceGetTemperature", pynvml.nvmlDeviceGetTemperature, (0,)),
        ("nvmlDeviceGetClockInfo (SM)", pynvml.nvmlDeviceGetClockInfo, (1,)),
        ("nvmlDeviceGetClockInfo (memory)", pynvml.nvmlDeviceGetClockInfo, (2,)),
        (
            "nvmlDeviceGetCurrentClocksEventReasons",
            pynvml.nvmlDeviceGetCurrentClocksEventReasons,
            (),
        ),
        (
            "nvmlDeviceGetComputeRunningProcesses_v3",
            pynvml.nvmlDeviceGetComputeRunningProcesses_v3,
            (),
        ),
        ("nvmlDeviceGetProcessUtilization", pynvml.nvmlDeviceGetProcessUtilization, (0,)),
    )
    for name, call, args in per_gpu:
        _row(name, [t for h in handles for t in _repeat(calls, call, h, *args)])
    pynvml.nvmlEventSetFree(events)
    _row("nvmlShutdown", [_us(pynvml.nvmlShutdown)])


def _rounds(reader: Reader) -> None:
    """Print the time of whole rounds in the driver and what a GPU costs in a minute."""
    started = _us(reader.read, time.time(), processes=False)
    time.sleep(1.1 * LEAST_S)
    gpus = len(reader.read(time.time(), processes=False).gpus)
    short, long = [], []
    for _ in range(SWEEPS):
        time.sleep(1.1 * LEAST_S)
        short.append(_us(reader.read, time.time(), processes=False))
        time.sleep(1.1 * LEAST_S)
        long.append(_us(reader.read, time.time(), processes=True))
    _row("first round, the library's start included", [started])
    _row("round", short)
    _row("round with processes and health", long)
    minute_ms = ROUNDS_A_MINUTE * statistics.median(short) / gpus / 1e3
    kept = "within" if minute_ms <= BUDGET_MS else "OVER"
    print(f"one GPU's minute without process lists: {minute_ms:.2f} ms, {kept} {BUDGET_MS:g} ms")


def _repeat(calls: int, call: Callable[..., object], *args: object) -> list[float]:
    return [_us(call, *args) for _ in range(calls)]


def _us(call: Callable[..., object], *args: object, **named: object) -> float:
    """Microseconds of one call; a call that the driver refuses costs time too."""
    started = time.perf_counter_ns()
    try:
        call(*args, **named)
    except pynvml.NVMLError as error:
        if error.value not in (pynvml.NVML_SUCCESS, pynvml.NVML_ERROR_TIMEOUT):
            _refused.add(f"{getattr(call, '__name__', call)}: {error}")
    return (time.perf_counter_ns() - started) / 1e3


_refused: set[str] = set()


def _row(name: str, times_us: list[float]) -> None:
    p95 = sorted(times_us)[int(0.95 * (len(times_us) - 1))]
    print(f"{name:<44}{statistics.median(times_us):>12.1f}{p95:>12.1f}{times_us[0]:>12.1f}")
    for refusal in sorted(_refused):
        print(f"    refused: {refusal}")
    _refused.clear()


def _smi(*args: str) -> bytes:
    """What nvidia-smi prints.

    Raises:
        ProcessError: it is not there, hangs or fails.
    """
    env = {k: v for k, v in os.environ.items() if k == "LD_LIBRARY_PATH"}
    done = run(("nvidia-smi", *args), timeout_s=30, env=env)
    if done.code != 0:
        raise ProcessError(f"nvidia-smi ended with {done.code}: {done.out!r} {done.err!r}")
    return done.out


def _nvidia_smi() -> dict[int, tuple[str, ...]]:
    """The values of each GPU by its index. Raises `ProcessError` as `_smi` does."""
    asked = ",".join(("index", *(value.asked for value in VALUES)))
    said = _smi(f"--query-gpu={asked}", "--format=csv,noheader,nounits").decode()
    rows = [tuple(cell.strip() for cell in line.split(",")) for line in said.splitlines()]
    return {int(row[0]): row[1:] for row in rows}


def _compare(
    before: list[GpuRound], rows: dict[int, tuple[str, ...]], after: list[GpuRound]
) -> bool:
    """Print each value before, by and after nvidia-smi; whether all agree."""
    agree = {gpu.device.index for gpu in before} == set(rows)
    if not agree:
        print(f"DIFFERS: NVML has {[g.device.index for g in before]}, nvidia-smi {sorted(rows)}")
    print(f"{'gpu':<5}{'value':<18}{'before':>24}{'nvidia-smi':>44}{'after':>24}")
    for first, last in zip(before, after, strict=True):
        index = first.device.index
        for value, theirs in zip(VALUES, rows.get(index, ()), strict=False):
            one, two = value.of(first), value.of(last)
            same = value.agrees(one, theirs, two)
            agree = agree and same
            mark = "" if same else "  DIFFERS"
            print(f"{index:<5}{value.name:<18}{one!s:>24.24}{theirs:>44}{two!s:>24.24}{mark}")
    return agree


def _counters(reader: Reader) -> None:
    """Print the hardware counters beside nvidia-smi's own, which move too fast to be judged."""
    if not reader.counting:
        print("\nno hardware counters (GPM) on these GPUs")
        return
    try:
        table = _smi("dmon", "--count", "1", "--gpm-metrics", "1,2,3,5,10")
        said = table.decode("utf-8", "replace")
    except ProcessError as error:
        said = str(error)
    print(f"\nnvidia-smi dmon:\n{said}")
    time.sleep(1.1 * LEAST_S)
    for gpu in reader.read(time.time(), processes=False).gpus:
        for values in (gpu.values, *(one.values for one in gpu.instances)):
            shares = {key: values[key] for key in METRICS.values() if key in values}
            print(f"GPU {gpu.device.index}: {shares}")


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
