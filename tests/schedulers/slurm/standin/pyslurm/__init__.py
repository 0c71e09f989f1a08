"""A stand-in for pyslurm 25.11.2: the part of its surface that was seen on a real Slurm 25.11.5.

The file that SLURM_CONF names says how it behaves: `normal`, or one of the faults below (`rpc` with
an error number). Like the original it writes to the file descriptors themselves, takes its
configuration at import, and gives None as the id of an array's task 0.
"""

from __future__ import annotations

import os
import signal
from collections.abc import ValuesView
from pathlib import Path
from typing import Any

__version__ = "25.11.2"

_CONF = os.environ.get("SLURM_CONF", "")
_MODE, *_ARGUMENTS = Path(_CONF).read_text().split() if _CONF else ["normal"]

NOW = 1795221084


class PyslurmError(Exception):
    """Base of pyslurm's errors."""


class RPCError(PyslurmError):
    """A refused or failed call, with Slurm's error number."""

    def __init__(self, errno: int, msg: str) -> None:
        super().__init__(msg)
        self.errno, self.msg = errno, msg


if _MODE == "mismatch":
    raise ImportError("libslurm.so.44: cannot open shared object file: No such file or directory")
if _MODE == "fatal" and "PYSLURM_DISABLE_AUTO_INIT" not in os.environ:
    os.write(2, b"pyslurm: error: fetch_config: DNS SRV lookup failed\n")
    os.write(2, b"pyslurm: fatal: Could not establish a configuration source\n")
    os._exit(1)


class Tres:
    """One trackable resource: `type_and_name` is `cpu`, `gres/gpu` or `gres/gpu:h100`."""

    def __init__(self, type_and_name: str, count: int) -> None:
        self.type_and_name, self.count = type_and_name, count
        self.name = type_and_name.partition("/")[2] or type_and_name


class TrackableResources:
    """All of one job; what was not asked for is None."""

    def __init__(self, cpu: int, mem: int, **gres: int) -> None:
        self.cpu: Tres | None = Tres("cpu", cpu)
        self.mem: Tres | None = Tres("mem", mem)
        self.node: Tres | None = None
        self.billing: Tres | None = Tres("billing", cpu)
        names = {key.replace("__", ":"): count for key, count in gres.items()}
        self.gres = {name: Tres(f"gres/{name}", count) for name, count in names.items()}


class Job:
    """A job with the attributes of the original; a raw name may be no UTF-8."""

    def __init__(self, job_id: int, **known: Any) -> None:
        self.id = job_id
        self.raw_name: bytes = b"train"
        self.state, self.state_reason = "RUNNING", None
        self.user_name, self.account, self.partition = "ada", "ml", "gpu"
        self.qos, self.priority = "normal", 4000
        self.array_id: int | None = None
        self.array_task_id: int | None = None
        self.array_tasks_waiting: str | None = None
        self.array_tasks_parallel: int | None = None
        self.allocated_nodes: str | None = None
        self.scheduled_nodes: str | None = None
        self.required_nodes: str | None = None
        self.constraints: list[str] = []
        self.dependencies: dict[str, Any] | None = None
        self.reservation, self.comment = None, None
        self.submit_time: int | None = NOW - 60
        self.eligible_time: int | None = NOW - 60
        self.start_time: int | None = None
        self.end_time: int | None = None
        self.time_limit: int | None = 60
        self.num_nodes, self.cpus = 1, 1
        self.tres_per_node = self.tres_per_job = None
        self.requested_tres: TrackableResources | None = None
        self.allocated_tres: TrackableResources | None = None
        for name, value in known.items():
            setattr(self, name, value)
        if _MODE == "old":
            del self.allocated_tres

    @property
    def name(self) -> str:
        return self.raw_name.decode()


def _running(job_id: int, **known: Any) -> Job:
    return Job(job_id, start_time=NOW, end_time=NOW + 3600, **known)


_DEPENDENCIES = {
    "after": [],
    "afterany": [],
    "afterok": [101, "105(unfulfilled)"],
    "singleton": True,
    "satisfy": "all",
}
_JOBS = {
    job.id: job
    for job in (
        _running(
            101,
            allocated_nodes="h[1-2]",
            num_nodes=2,
            cpus=4,
            constraints=["nvlink", "big"],
            requested_tres=TrackableResources(4, 8000, gpu=3),
            allocated_tres=TrackableResources(4, 8000, gpu=3, gpu__h100=3),
        ),
        Job(
            102,
            raw_name=b"bad\xff\xfe\nname",
            state="PENDING",
            state_reason="JobHeldUser",
            priority=0,
            time_limit=None,
            eligible_time=None,
            comment="foundry:0a1b2c3d",
            dependencies=_DEPENDENCIES,
            requested_tres=TrackableResources(1, 1000, gpu=1),
        ),
        _running(
            105,
            raw_name=b"sweep",
            array_id=103,
            allocated_nodes="h1",
            requested_tres=TrackableResources(1, 1000, shard=2),
            allocated_tres=TrackableResources(1, 1000, shard=2),
        ),
        _running(106, raw_name=b"sweep", array_id=103, array_task_id=1, allocated_nodes="h1"),
        Job(
            103,
            raw_name=b"sweep",
            state="PENDING",
            state_reason="JobArrayTaskLimit",
            array_id=103,
            array_tasks_waiting="2-9",
            array_tasks_parallel=2,
            scheduled_nodes="h2",
            start_time=NOW + 7200,
            requested_tres=TrackableResources(1, 1000, shard=2),
        ),
    )
}


class Jobs:
    """All jobs by id."""

    @staticmethod
    def load() -> Jobs:
        os.write(1, b"pyslurm: debug: said by C on standard output\n")
        if _MODE == "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        if _MODE == "hang":
            signal.pause()
        if _MODE == "rpc":
            raise RPCError(int(_ARGUMENTS[0]), "said the controller")
        return Jobs()

    def values(self) -> ValuesView[Job]:
        return _JOBS.values()
