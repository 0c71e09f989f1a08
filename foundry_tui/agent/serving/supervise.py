"""The serving process's side of the collector: its child, what it told, and what is known now."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from foundry_tui.agent.log import narrate
from foundry_tui.agent.nvml.driver import Code
from foundry_tui.agent.serving.page import Known
from foundry_tui.agent.serving.watch import FIRST_S, GRACE_S, Do, Watch
from foundry_tui.agent.serving.windows import FRESH_S, Windows
from foundry_tui.agent.shapes import GpuRound, Round
from foundry_tui.agent.wire import MAX_LINE, decode

TICK_S = 0.25
END_S = 1.0
"""Seconds that the child is given to end with this process; it ends by itself soon after."""

ABSENT = (Code.NOT_SUPPORTED, Code.FUNCTION_NOT_FOUND)
"""What this GPU or this driver cannot do is no error."""

MENDS = {
    Code.NO_PERMISSION: "this user needs read and write access to /dev/nvidiactl and /dev/nvidia*",
    Code.DRIVER_NOT_LOADED: "load the driver (modprobe nvidia) and look at dmesg",
    Code.LIBRARY_NOT_FOUND: "install the NVIDIA driver with its library libnvidia-ml.so.1, or give "
    "the container the GPUs",
    Code.LIB_RM_VERSION_MISMATCH: "reload the nvidia modules or reboot: the driver was replaced",
    Code.GPU_NOT_FOUND: "the driver finds no GPU; look at dmesg",
}
LOOK = "run nvidia-smi, and look for NVRM and Xid lines in dmesg"


def mend(code: int | None) -> str:
    """What to do about this return code of NVML."""
    return MENDS.get(code or 0, LOOK)


def command(*args: str) -> tuple[list[str], dict[str, str]]:
    """How the collector is started, from an archive or from a folder, and its environment."""
    root = Path(__file__).parents[3]
    if root.is_file():
        return [sys.executable, "-I", str(root), "--collect", *args], dict(os.environ)
    path = os.pathsep.join(filter(None, sys.path))
    argv = [sys.executable, "-m", "foundry_tui.agent", "--collect", *args]
    return argv, {**os.environ, "PYTHONPATH": path}


class Supervisor:
    """Keeps one collector alive as `Watch` says, and knows what it told.

    `interval_s` is the time between two rounds; `clock` tells unix time, `monotonic` never steps.
    `first_s` is how long the first round of a collector may take.
    """

    def __init__(
        self,
        interval_s: float,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        first_s: float = FIRST_S,
    ) -> None:
        self._interval_s = interval_s
        self._clock = clock
        self._monotonic = monotonic
        self._watch = Watch(interval_s + GRACE_S, first_s)
        self._windows = Windows()
        self._errors: Counter[tuple[str, int]] = Counter()
        self._xids: dict[str | None, dict[str, float]] = {}
        self._latest: Round | None = None
        self._heard: float | None = None
        self._child: Process | None = None

    async def run(self) -> None:
        """Start, watch and restart the collector until cancelled; the child ends then, too."""
        tasks: set[asyncio.Task[None]] = set()
        told: str | None = "starting"
        try:
            while True:
                problem, reason = self._problem()
                if problem != told:
                    narrate(reason if problem else "the driver answers")
                    told = problem
                do = self._watch.step(self._monotonic())
                if do is Do.START:
                    task = asyncio.create_task(self._live())
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
                elif do is not Do.NOTHING and self._child is not None:
                    with contextlib.suppress(ProcessLookupError):
                        if do is Do.TERMINATE:
                            self._child.terminate()
                        else:
                            self._child.kill()
                await asyncio.sleep(TICK_S)
        finally:
            await self._end()

    async def few(self, rounds: int) -> None:
        """Read a few rounds at once, and wait for them as long as for the first."""
        self._watch.step(self._monotonic())
        try:
            await asyncio.wait_for(self._live(rounds), self._watch.allowed_s)
            if self._latest is not None:
                self._watch.crashes = 0  # it ended as it was told
        except asyncio.TimeoutError:
            self._watch.hung = self._monotonic()
        finally:
            await self._end()

    def known(self) -> Known:
        """What is known now. Values vanish when nothing was read for `FRESH_S`."""
        age_s = None if self._heard is None else self._monotonic() - self._heard
        problem, reason = self._problem()
        fresh = age_s is not None and age_s < FRESH_S
        return Known(
            latest=self._latest,
            window=self._windows.served(self._clock()) if fresh else None,
            age_s=age_s,
            problem=problem,
            reason=reason,
            errors=self._errors,
        )

    def _problem(self) -> tuple[str | None, str]:
        watch = self._watch
        if watch.problem == "unresponsive":
            return watch.problem, f"the driver gave no answer within {watch.allowed_s:g} s; {LOOK}"
        if self._latest is not None and self._latest.failure is not None:
            return "nvml", f"{self._latest.failure}; {mend(self._latest.failure_code)}"
        if watch.problem == "crashed":
            return watch.problem, "the collector ended; its last words are in the log of the agent"
        if self._latest is None:
            return "starting", "the driver was not read yet"
        return None, ""

    async def _live(self, rounds: int | None = None) -> None:
        """One child from its start to its end."""
        argv, environ = command(f"{self._interval_s:g}", *([] if rounds is None else [f"{rounds}"]))
        try:
            # a session of its own: what ends this process at a terminal must not reach the child
            child = await asyncio.create_subprocess_exec(
                *argv,
                stdin=PIPE,
                stdout=PIPE,
                limit=MAX_LINE,
                cwd="/",
                env=environ,
                start_new_session=True,
            )
        except OSError as error:
            narrate(f"the collector cannot be started: {error}")
            self._watch.ended(self._monotonic())
            return
        self._child = child
        assert child.stdout is not None
        try:
            async for line in child.stdout:
                self.take(line)
        except ValueError:  # a line longer than any round: not our collector's words
            self._errors["line", 0] += 1
            with contextlib.suppress(ProcessLookupError):
                child.terminate()
        await child.wait()
        self._child = None
        self._watch.ended(self._monotonic())

    def take(self, line: bytes) -> None:
        """A line of the child's."""
        try:
            round_ = decode(line)
        except ValueError:
            self._errors["line", 0] += 1
            return
        self._heard = self._monotonic()
        self._watch.round_came(self._heard)
        for gpu in round_.gpus:
            self._remember_xids(gpu)
        self._latest = round_
        self._windows.add(round_)
        if round_.failure_code is not None:
            self._errors["nvmlInit", round_.failure_code] += 1
        for gpu in round_.gpus:
            self._errors.update(e for e in gpu.errors.items() if e[1] not in ABSENT)

    def _remember_xids(self, gpu: GpuRound) -> None:
        """An XID outlives the collector that saw it: a driver that fails hangs next."""
        seen = self._xids.setdefault(gpu.device.uuid, {})
        for xid in gpu.xids:
            seen.pop(xid, None)  # the last one stands last
        seen.update(gpu.xids)
        gpu.xids = dict(seen)
        if seen:
            gpu.values["xid"] = float(list(seen)[-1])

    async def _end(self) -> None:
        child = self._child
        if child is None:
            return
        assert child.stdin is not None
        child.stdin.close()  # the child ends at that, even where it shrugs off the signal
        with contextlib.suppress(ProcessLookupError):
            child.terminate()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(child.wait(), END_S)
