"""Whose a process is: its start, its user and the run it belongs to, from /proc.

A pid comes round again, so every look begins and ends with the process' start time: what was found
counts only when both are the same. The control group is looked at first because the scheduler
writes it; the environment is the process' own and can say anything.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

SLURM_V2 = re.compile(
    r"^\d+::[^\n]*?/system\.slice/(?:[^/\n]+_)?slurmstepd\.scope/job_(\d+)(?:/|$)", re.M
)
"""Control groups of version 2; on a node with several slurmd the scope begins with its name."""
SLURM_V1 = re.compile(
    r"^\d+:[^:\n]+:(?:/[^/\n]+)*?/slurm(?:_[^/\n]+)?/uid_\d+/job_(\d+)(?:/|$)", re.M
)
POD = re.compile(
    r"kubepods[^\n]*?[/-]pod([0-9a-f]{8}(?:[-_]?[0-9a-f]{4}){3}[-_]?[0-9a-f]{12})(?![0-9a-f])"
)
USERS_OWN = re.compile(r"/user\.slice/|/user@\d+\.service/")
"""Below these a user makes control groups of any name."""
ENVIRON = re.compile(rb"(?:^|\0)SLURM_JOB_ID=(\d{1,19})(?:\0|$)")
MOST_BYTES = 1 << 18


class Owner(NamedTuple):
    """`started` in clock ticks since boot, None where the process is not to be seen."""

    started: int | None = None
    uid: int | None = None
    job: str | None = None
    how: str | None = None


def identify(pid: int, proc: str = "/proc") -> Owner:
    """Whose the process `pid` is now, `Owner()` when it ended or is hidden. Never raises.

    `job` is a Slurm job id, of an array or a heterogeneous job that of the task or component
    itself (SLURM_JOB_ID), or a pod's uid; `how` is cgroup, environ or pod.
    """
    folder = Path(proc, str(pid))
    started = start_ticks(pid, proc)
    if started is None:
        return Owner()
    uid = _uid(folder)
    job, how = _run(folder)
    if start_ticks(pid, proc) != started:
        return Owner()
    return Owner(started, uid, job, how)


def start_ticks(pid: int, proc: str) -> int | None:
    """When a process began, in clock ticks since boot; None where it is not to be seen.

    Field 22 of proc_pid_stat(5), counted from the last `)`: a program's name can hold anything.
    """
    fields = _read(Path(proc, str(pid)), "stat").rpartition(b")")[2].split()
    try:
        return int(fields[19])
    except (IndexError, ValueError):
        return None


def _uid(folder: Path) -> int | None:
    try:
        return folder.stat().st_uid
    except OSError:
        return None


def _run(folder: Path) -> tuple[str | None, str | None]:
    group = _read(folder, "cgroup").decode("utf-8", "replace")
    lines = "\n".join(line for line in group.splitlines() if not USERS_OWN.search(line))
    for pattern in (SLURM_V2, SLURM_V1):
        slurm = pattern.search(lines)
        if slurm:
            return slurm.group(1), "cgroup"
    pod = POD.search(lines)
    if pod:
        return pod.group(1).replace("_", "-"), "pod"
    environ = ENVIRON.search(_read(folder, "environ"))
    if environ:
        return environ.group(1).decode(), "environ"
    return None, None


def _read(folder: Path, name: str) -> bytes:
    """The beginning of a file; empty where it is gone or may not be read (another's environ)."""
    try:
        with (folder / name).open("rb") as file:
            return file.read(MOST_BYTES)
    except OSError:
        return b""
