"""The processes on the GPUs, each with its user and run.

Compute processes only: the list of graphics processes is the dearest call of all (4.5 ms on one
driver), and on a compute node it holds the display server at most.
"""

from __future__ import annotations

import os
import time
from typing import Any

from foundry_tui.agent.nvml.driver import Code
from foundry_tui.agent.nvml.gpu import Gpu
from foundry_tui.agent.nvml.owner import Owner, identify, start_ticks
from foundry_tui.agent.shapes import GpuRound, ProcessUse

TRIES = 3
"""Processes may begin between asking for the length of the list and for the list."""
LISTS = ("nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses_v2")


def boot_ticks() -> int:
    """Now, as /proc counts the start of a process: clock ticks since boot."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))


class Looked:
    """The owners of one round: a process on eight GPUs is looked up once."""

    def __init__(self, proc: str) -> None:
        self._proc = proc
        self._owners: dict[tuple[int, int], Owner] = {}

    def owner(self, pid: int, asked_ticks: int) -> Owner | None:
        """Whose `pid` was at `asked_ticks`; None when a later process has taken its number."""
        started = start_ticks(pid, self._proc)
        if started is None:
            return Owner()
        if started > asked_ticks:
            return None
        if (pid, started) not in self._owners:
            self._owners[pid, started] = identify(pid, self._proc)
        owner = self._owners[pid, started]
        return owner if owner.started == started else None


def on_gpu(gpu: Gpu, found: GpuRound, looked: Looked) -> list[ProcessUse]:
    """The processes of one GPU; a list that cannot be had stands in `found.errors`.

    Raises:
        Refused: with a code of `FATAL`.
    """
    asked_ticks = boot_ticks()
    places: list[tuple[int | None, Any]] = [(None, gpu.handle)]
    if gpu.device.mig:  # of the whole device only privileged users are told
        places = [(cut.gi, handle) for cut in gpu.cuts for handle in cut.handles]
    seen = {
        (process.pid, gi, process.computeInstanceId): process.usedGpuMemory
        for gi, handle in places
        for process in _running(gpu, found, handle)
    }
    mem: dict[tuple[int, int | None], int | None] = {}
    for (pid, gi, _), used in seen.items():
        known = mem.get((pid, gi))
        mem[pid, gi] = used if known is None else known + (used or 0)
    sm_utils = _sm_utils(gpu, found) if mem and not gpu.device.mig else None
    uses = []
    for (pid, gi), mem_bytes in mem.items():
        owner = looked.owner(pid, asked_ticks)
        if owner is None:
            continue
        uses.append(
            ProcessUse(
                uuid=gpu.device.uuid or "",
                pid=pid,
                started=owner.started,
                gi=gi,
                uid=owner.uid,
                job=owner.job,
                how=owner.how,
                sm_util=None if sm_utils is None else sm_utils.get(pid, 0.0),
                mem_bytes=mem_bytes,
            )
        )
    return uses


def _running(gpu: Gpu, found: GpuRound, handle: Any) -> list[Any]:
    """By the call of drivers since 510, else by the one before it.

    Not by the bindings' call without a version: it hides a missing function behind an error of
    another kind.
    """
    for call in LISTS:
        for _ in range(TRIES):
            listed = gpu.ask(found, "processes", call, of=handle)
            if listed is not None:
                found.errors.pop("processes", None)
                return list(listed)
            if found.errors["processes"] != Code.INSUFFICIENT_SIZE:
                break
        if found.errors["processes"] != Code.FUNCTION_NOT_FOUND:
            break
    return []


def _sm_utils(gpu: Gpu, found: GpuRound) -> dict[int, float | None] | None:
    """Percent of the SMs' time by pid since the call before; None where the driver cannot tell.

    In the first call, and after the clock was set back, since what the driver still remembers. No
    sample means no activity: the bindings raise an empty success, older drivers find nothing. Some
    drivers answer samples that nobody took, with any pid, time and share.
    """
    now_us = time.time_ns() // 1000
    since_us = gpu.last_seen_us if gpu.last_seen_us <= now_us else 0
    samples = gpu.ask(found, "sm_util", "nvmlDeviceGetProcessUtilization", since_us)
    if samples is None:
        if found.errors["sm_util"] not in (Code.SUCCESS, Code.NOT_FOUND):
            return None
        del found.errors["sm_util"]
        return {}
    newest: dict[int, Any] = {}
    for sample in samples:
        if sample.timeStamp > now_us:
            continue
        if sample.pid not in newest or sample.timeStamp > newest[sample.pid].timeStamp:
            newest[sample.pid] = sample
    gpu.last_seen_us = max([since_us, *(s.timeStamp for s in newest.values())])
    return {pid: float(s.smUtil) if s.smUtil <= 100 else None for pid, s in newest.items()}
