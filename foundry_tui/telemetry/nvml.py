"""GPU readings of this host, from the NVIDIA driver's own library (NVML).

Every sweep is one child process (`nvml_child.py`) with a deadline, because a call into a sick
driver may never return. What a host has is never an error: without a driver the source is `off`.
`docs/nvml.md` lists the calls, the units and when a value is None.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from foundry_tui.estate.gpu import Reading
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.process import ProcessError, TimedOut, run
from foundry_tui.telemetry.nvml_child import Answer, Code, Device, Failure

KIND = "telemetry"
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

_MAX_BYTES = 1 << 20

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

_WORDS: Mapping[int, str] = {
    Code.NOT_SUPPORTED: "not supported by this GPU",
    Code.NO_PERMISSION: "no permission",
    Code.FUNCTION_NOT_FOUND: "unknown to this driver",
    Code.GPU_IS_LOST: "the GPU is lost: it has fallen off its bus",
    Code.RESET_REQUIRED: "the GPU must be reset",
}
_LOOK = "look for NVRM and Xid lines in dmesg; the GPU may need a reset or the host a reboot"


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

    def read(self) -> tuple[tuple[Reading, ...], Source]:
        """A reading of every GPU that can be listed, and the state of the source. Never raises.

        A GPU that cannot be read has a reading too, with its reason and no values. A driver that
        hung is asked again after `BACK_OFF_S`.
        """
        answer, verdict = self._ask()
        now = self.clock()
        readings = tuple(_reading(d, self.node, self.name, now) for d in answer.devices)
        reason = f"{verdict.found}; {verdict.mend}" if verdict.mend else None
        source = Source(
            name=self.name,
            kind=KIND,
            state=verdict.state,
            read_at=now if verdict.state is SourceState.OK else None,
            reason=reason,
        )
        return readings, source

    def probe(self) -> tuple[str, str, SafeText, str | None]:
        """What was looked for, its state, what was found, and the mend. Never raises."""
        _, verdict = self._ask()
        return f"NVML of {self.node}", verdict.state.value, verdict.found, verdict.mend

    def _ask(self) -> tuple[Answer, _Verdict]:
        sign, library = self._driver_sign(), self._library()
        if sign is None and library is None:
            return Answer(), _Verdict(
                SourceState.OFF,
                safe(f"neither an NVIDIA driver nor {LIBRARY} on this host"),
                "nothing to do on a host without GPUs; else install the NVIDIA driver",
            )
        if self._hung_until is not None and self.monotonic() < self._hung_until:
            return Answer(), self._hung()
        self._hung_until = None
        try:
            done = run(
                (sys.executable, "-P", "-m", "foundry_tui.telemetry.nvml_child"),
                timeout_s=self.timeout_s,
                max_bytes=_MAX_BYTES,
                env=self._child_environ(),
            )
        except TimedOut:
            self._hung_until = self.monotonic() + BACK_OFF_S
            return Answer(), self._hung()
        except ProcessError as error:
            return Answer(), _Verdict(SourceState.DOWN, safe(str(error)), "start foundry again")
        try:
            answer = msgspec.json.decode(done.out, type=Answer)
        except msgspec.MsgspecError:
            said = done.err.strip().rpartition(b"\n")[2] or b"nothing"
            return Answer(), _Verdict(
                SourceState.DOWN,
                safe(b"reading NVML ended with exit code %d and said: %b" % (done.code, said)),
                "run nvidia-smi: if that fails too, reinstall the NVIDIA driver",
            )
        return answer, _verdict(answer, usable=library is not None or sign == CONTROL_DEVICE)

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

    def _hung(self) -> _Verdict:
        return _Verdict(
            SourceState.DOWN,
            safe(f"the driver did not answer within {self.timeout_s:g} s"),
            f"{_LOOK}; it is asked again after {BACK_OFF_S / 60:g} min",
        )


def _verdict(answer: Answer, *, usable: bool) -> _Verdict:
    """What the child's answer says of the source.

    `usable` says whether NVML should work here: its library or the control device is in place. A
    container on a GPU host shows the driver's version but has neither.
    """
    if answer.failure is not None:
        return _failed(answer.failure, usable=usable)
    if not answer.devices:
        return _failed(Failure(Code.GPU_NOT_FOUND, ""), usable=usable)
    total, unread = len(answer.devices), [d for d in answer.devices if d.failure]
    found = f"{total} GPU{'s' if total > 1 else ''}, driver {answer.driver or 'version unknown'}"
    if not unread:
        return _Verdict(SourceState.OK, safe(found))
    named = ", ".join(f"GPU {d.index} ({_words(d.failure)})" for d in unread if d.failure)
    codes = {d.failure.code for d in unread if d.failure}
    denied = codes == {Code.NO_PERMISSION}
    state = SourceState.OK
    if len(unread) == total:
        state = SourceState.DENIED if denied else SourceState.DOWN
    return _Verdict(
        state,
        safe(f"{found}; {len(unread)} of {total} cannot be read: {named}"),
        _FAILURES[Code.NO_PERMISSION][2] if denied else _LOOK,
    )


def _failed(failure: Failure, *, usable: bool) -> _Verdict:
    if failure.code == Code.LIBRARY_NOT_FOUND:
        return _Verdict(
            SourceState.DOWN if usable else SourceState.OFF,
            safe(f"{LIBRARY} cannot be loaded"),
            "install the library of the loaded driver, or give the container the GPUs",
        )
    state, found, mend = _FAILURES.get(
        failure.code, (SourceState.DOWN, f"NVML {failure.code}: {failure.text}", _LOOK)
    )
    return _Verdict(state, safe(found), mend)


def _reading(device: Device, node: str, source: str, read_at: datetime) -> Reading:
    return Reading(
        node=node,
        index=device.index,
        source=source,
        read_at=read_at,
        how="NVML; memory used counts the driver's own" if device.mem_with_reserved else "NVML",
        uuid=None if device.uuid is None else safe(device.uuid),
        minor=device.minor,
        model=None if device.model is None else safe(device.model),
        util_pct=device.util_pct,
        mem_used_bytes=device.mem_used_bytes,
        mem_total_bytes=device.mem_total_bytes,
        power_w=None if device.power_mw is None else device.power_mw / 1000,
        temp_c=device.temp_c,
        mig=device.mig,
        reason=_reason(device),
    )


def _reason(device: Device) -> SafeText | None:
    """Why values of this GPU are unknown; None when all of them are known."""
    if device.failure is not None:
        return _words(device.failure)
    unknown = [f"{name} ({_words(f)})" for name, f in device.missing.items()]
    if device.mig:
        unknown.insert(0, "util_pct (not measured on a GPU that is cut by MIG)")
    return safe(f"not read: {', '.join(unknown)}") if unknown else None


def _words(failure: Failure) -> SafeText:
    return safe(_WORDS.get(failure.code, f"NVML {failure.code}: {failure.text}"))
