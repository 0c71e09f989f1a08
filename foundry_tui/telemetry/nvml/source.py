"""GPU readings of this host, from the NVIDIA driver's own library (NVML).

Every sweep is one child process (`nvml_child.py`) with a deadline, because a call into a sick
driver may never return. What a host has is never an error: without a driver the source is `off`.
`docs/nvml.md` lists the calls, the units and when a value is None.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from foundry_tui.agent.nvml.driver import Code
from foundry_tui.agent.shapes import GpuRound, Round
from foundry_tui.agent.wire import MAX_LINE, decode
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.process import ProcessError, TimedOut, run
from foundry_tui.telemetry.nvml.reading import readings, words
from foundry_tui.telemetry.ports import KIND, Found, Sweep

LIBRARY = "libnvidia-ml.so.1"
TIMEOUT_S = 5.0
"""Seconds for one whole sweep, the child's start included."""
BACK_OFF_S = 600.0
"""Seconds in which a driver that hung is left alone: each try may leave a child that cannot die."""

CONTROL_DEVICE = "/dev/nvidiactl"
DRIVER_SIGNS = (CONTROL_DEVICE, "/proc/driver/nvidia/version", "/dev/dxg")
"""Paths of which one exists where a driver is loaded (`/dev/dxg`: below Windows)."""
LIBRARY_FOLDERS = (
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/lib/wsl/lib",
    "/run/opengl-driver/lib",
)
"""Where distributions put the library: loading it can load a driver that is not loaded yet."""

_FAILURES: Mapping[int, tuple[SourceState, str, str]] = {
    Code.DRIVER_NOT_LOADED: (
        SourceState.OFF,
        f"{LIBRARY} is installed, but no NVIDIA driver is loaded",
        "on a host with GPUs load it (modprobe nvidia) and look at dmesg",
    ),
    Code.GPU_NOT_FOUND: (
        SourceState.OFF,
        "the NVIDIA driver finds no GPU",
        "inside a job ask the scheduler for a GPU; on a host with GPUs look at dmesg",
    ),
    Code.NO_PERMISSION: (
        SourceState.DENIED,
        "the NVIDIA driver refuses this user",
        f"ask an admin for read and write access to {CONTROL_DEVICE} and /dev/nvidia*",
    ),
    Code.LIB_RM_VERSION_MISMATCH: (
        SourceState.DOWN,
        f"{LIBRARY} and the loaded NVIDIA driver are of different versions",
        "reload the nvidia modules or reboot this host",
    ),
}
"""State, reason and next step when NVML as a whole answers with this code."""

_LOOK = "look for NVRM and Xid lines in dmesg; the GPU may need a reset or the host a reboot"


def gpus_here(control_device: str = CONTROL_DEVICE) -> bool:
    """Whether this host, or this container, was given GPUs to work with."""
    return Path(control_device).exists()


@dataclass(frozen=True, slots=True)
class _Verdict:
    """How the source stands: `found` in words, `mend` the next step, None when all is well."""

    state: SourceState
    found: SafeText
    mend: str | None = None


@dataclass(slots=True, kw_only=True)
class Nvml:
    """The GPUs of this host as one source.

    `node` is the host's short name, as the scheduler calls it. `driver_signs`, `library_folders`
    and `environ` say where the driver is looked for.
    """

    node: str
    name: str = "nvml"
    timeout_s: float = TIMEOUT_S
    driver_signs: tuple[str, ...] = DRIVER_SIGNS
    library_folders: tuple[str, ...] = LIBRARY_FOLDERS
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic
    _hung_until: float | None = field(default=None, init=False)
    _hung_after_s: float = field(default=TIMEOUT_S, init=False)

    def read(self, nodes: Sequence[str], deadline_s: float) -> Sweep:
        """A reading of every GPU that can be listed, and the state of the source. Never raises.

        `nodes` does not matter: it is this host that is read. A GPU that cannot be read has a
        reading too, with its reason and no values. A driver that hung is asked again after
        `BACK_OFF_S`.
        """
        found, verdict = self._ask(min(deadline_s, self.timeout_s))
        now = self.clock()
        reason = f"{verdict.found}; {verdict.mend}" if verdict.mend else None
        state = verdict.state
        source = Source(
            name=self.name,
            kind=KIND,
            state=state,
            read_at=now if state is SourceState.OK else None,
            reason=reason,
        )
        silent = {} if state in (SourceState.OK, SourceState.OFF) else {self.node: verdict.found}
        return Sweep(
            readings=readings(found, node=self.node, source=self.name, read_at=now),
            source=source,
            asked=1,
            silent=silent,
        )

    def probe(self, nodes: Sequence[str]) -> tuple[Found, ...]:
        """What was looked for on this host, its state, what was found, and the mend."""
        _, verdict = self._ask(self.timeout_s)
        what = f"NVML of {self.node}"
        return (Found(what=what, state=verdict.state, found=verdict.found, mend=verdict.mend),)

    def close(self) -> None:
        """Nothing is kept open between two sweeps."""

    def _ask(self, timeout_s: float) -> tuple[Round, _Verdict]:
        sign, library = self._driver_sign(), self._library()
        nothing = Round(at=0.0)
        if sign is None and library is None:
            return nothing, _Verdict(
                SourceState.OFF,
                safe(f"neither an NVIDIA driver nor {LIBRARY} on this host"),
                "nothing to do on a host without GPUs; else install the NVIDIA driver",
            )
        if self._hung_until is not None and self.monotonic() < self._hung_until:
            return nothing, self._hung()
        self._hung_until = None
        try:
            done = run(
                (sys.executable, "-P", "-m", "foundry_tui.telemetry.nvml.child"),
                timeout_s=timeout_s,
                max_bytes=MAX_LINE,
                env=self._child_environ(),
            )
        except TimedOut:
            self._hung_until = self.monotonic() + BACK_OFF_S
            return nothing, self._hung(timeout_s)
        except ProcessError as error:
            return nothing, _Verdict(SourceState.DOWN, safe(str(error)), "start foundry again")
        try:  # the library may print too, but not after the round
            found = decode(done.out.strip().rpartition(b"\n")[2])
        except ValueError:
            said = done.err.strip().rpartition(b"\n")[2] or b"nothing"
            return nothing, _Verdict(
                SourceState.DOWN,
                safe(b"reading NVML ended with exit code %d and said: %b" % (done.code, said)),
                "run nvidia-smi: if that fails too, reinstall the NVIDIA driver",
            )
        return found, _verdict(found, usable=library is not None or sign == CONTROL_DEVICE)

    def _driver_sign(self) -> str | None:
        return next((p for p in self.driver_signs if Path(p).exists()), None)

    def _library(self) -> str | None:
        """Where the library's file is, without `find_library`, which starts programs."""
        listed = (f for f in self.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if f)
        folders = (*listed, *self.library_folders)
        return next((f for f in folders if Path(f, LIBRARY).exists()), None)

    def _child_environ(self) -> dict[str, str]:
        """The child finds the modules and the library that this process would find."""
        env = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        if "LD_LIBRARY_PATH" in self.environ:
            env["LD_LIBRARY_PATH"] = self.environ["LD_LIBRARY_PATH"]
        return env

    def _hung(self, timeout_s: float | None = None) -> _Verdict:
        if timeout_s is not None:
            self._hung_after_s = timeout_s
        return _Verdict(
            SourceState.DOWN,
            safe(f"the driver did not answer within {self._hung_after_s:g} s"),
            f"{_LOOK}; it is asked again after {BACK_OFF_S / 60:g} min",
        )


def _verdict(found: Round, *, usable: bool) -> _Verdict:
    """What the child's round says of the source.

    `usable` says whether NVML should work here: its library or the control device is in place. A
    container on a GPU host shows the driver's version but has neither.
    """
    if found.failure_code is not None:
        return _failed(found.failure_code, found.failure or "", usable=usable)
    if not found.gpus:
        return _failed(Code.GPU_NOT_FOUND, "", usable=usable)
    total, unread = len(found.gpus), [gpu for gpu in found.gpus if gpu.failure is not None]
    summary = f"{total} GPU{'s' if total > 1 else ''}, driver {found.driver or 'version unknown'}"
    if not unread:
        return _Verdict(SourceState.OK, safe(summary))
    named = ", ".join(f"GPU {gpu.device.index} ({_why(gpu)})" for gpu in unread)
    denied = {gpu.errors.get("device") for gpu in unread} == {Code.NO_PERMISSION}
    state = SourceState.OK
    if len(unread) == total:
        state = SourceState.DENIED if denied else SourceState.DOWN
    return _Verdict(
        state,
        safe(f"{summary}; {len(unread)} of {total} cannot be read: {named}"),
        _FAILURES[Code.NO_PERMISSION][2] if denied else _LOOK,
    )


def _why(gpu: GpuRound) -> SafeText:
    return words(gpu.errors.get("device", Code.UNKNOWN), gpu.failure or "")


def _failed(code: int, said: str, *, usable: bool) -> _Verdict:
    if code == Code.LIBRARY_NOT_FOUND:
        return _Verdict(
            SourceState.DOWN if usable else SourceState.OFF,
            safe(f"{LIBRARY} cannot be loaded"),
            "install the library of the loaded driver, or give the container the GPUs",
        )
    state, found, mend = _FAILURES.get(code, (SourceState.DOWN, f"NVML {code}: {said}", _LOOK))
    return _Verdict(state, safe(found), mend)
