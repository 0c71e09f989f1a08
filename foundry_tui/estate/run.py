"""A run: one Slurm job or array task, or one Run:ai workload."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from foundry_tui.estate.text import SafeText


class RunState(StrEnum):
    """The state of a run in words that hold for every scheduler.

    requeued: the end of one try of a run that went back to the queue; accounting alone tells it.
    """

    PENDING = "pending"
    RUNNING = "running"
    COMPLETING = "completing"
    SUSPENDED = "suspended"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"
    PREEMPTED = "preempted"
    OUT_OF_MEMORY = "out_of_memory"
    NODE_FAIL = "node_fail"
    REQUEUED = "requeued"
    UNKNOWN = "unknown"


class Attribution(StrEnum):
    """How the work of one run was told from that of the others on its GPUs.

    whole: it holds its devices or MIG instances alone, the device's figure is its own; process: by
    its processes; joint: the device's figure, split by what each run holds, since nobody told more.
    """

    WHOLE = "whole"
    PROCESS = "process"
    JOINT = "joint"


HOLDING = frozenset({RunState.RUNNING, RunState.COMPLETING, RunState.SUSPENDED})
"""States in which a run may hold GPUs."""

LIVE = HOLDING | {RunState.PENDING}
"""States that a run can still leave."""

GOES_ON = LIVE | {RunState.REQUEUED}
"""States of a try after which the run is not over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a run asks for, as totals over all its nodes.

    `gpu_count` is the number of devices and `gpu_milli` the total thousandths over them: four
    whole GPUs are (4, 4000), one of four shards of a GPU is (1, 250). `gpu_milli` is None when
    the share of one device is not known. `gpu_memory_bytes` is asked for per device (Run:ai).
    `cpu_milli` and `memory_bytes` are totals. `time_limit_s` None means no limit.
    """

    gpu_count: int = 0
    gpu_milli: int | None = 0
    gpu_model: str | None = None
    gpu_memory_bytes: int | None = None
    mig_profile: str | None = None
    nodes: int = 1
    cpu_milli: int | None = None
    memory_bytes: int | None = None
    time_limit_s: int | None = None

    @property
    def milli_per_gpu(self) -> int | None:
        """Thousandths asked of each device; None without GPUs or when the share is unknown."""
        if not self.gpu_count or self.gpu_milli is None:
            return None
        return -(-self.gpu_milli // self.gpu_count)


@dataclass(frozen=True, slots=True)
class Placement:
    """The part of a run on one node: the indices of its GPUs there.

    `gpus` is None when the run holds GPUs whose indices are unknown, empty when it holds none.
    """

    node: str
    gpus: tuple[int, ...] | None = ()


@dataclass(frozen=True, slots=True)
class ArrayPart:
    """Membership of a job array: `tasks` as the scheduler writes them, `count` tasks stand here.

    A range of waiting tasks is one run with its count; started tasks are runs of their own.
    """

    job_id: str
    tasks: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One job or workload.

    `id` is `source/native_id` and is unique in the estate. `name` is safe to show; `name_raw`
    keeps the exact bytes where they differ. `queue` is the partition or the project; several
    partitions stand separated by commas, as asked. `reason` is the scheduler's own word for why a
    run waits. `native` holds the scheduler's own words that only explanations and the detail
    view need (QOS, dependency, features, wanted nodes, folders). `gpu_util_pct` is the mean over
    its GPUs, in percent of a device (of an instance where it holds MIG instances); `gpu_util_how`
    says how the work was told to be this run's, None where the scheduler itself gave the figure.
    `seen_as` are further names by which its processes are known on the nodes: the job id behind an
    array task, the uids of its pods.
    """

    id: str
    native_id: str
    source: str
    scheduler: str
    name: SafeText
    state: RunState
    name_raw: bytes | None = None
    user: str | None = None
    account: str | None = None
    queue: str | None = None
    qos: str | None = None
    reason: SafeText | None = None
    priority: int | None = None
    request: Request = Request()
    placement: tuple[Placement, ...] = ()
    submitted_at: datetime | None = None
    eligible_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    ends_by: datetime | None = None
    estimated_start_at: datetime | None = None
    exit_code: int | None = None
    gpu_util_pct: float | None = None
    gpu_util_how: Attribution | None = None
    seen_as: tuple[str, ...] = ()
    mlflow_run_id: str | None = None
    submit_token: str | None = None
    array: ArrayPart | None = None
    held: bool = False
    native: dict[str, SafeText] | None = None
    read_at: datetime | None = None

    @property
    def count(self) -> int:
        """How many tasks this record stands for."""
        return self.array.count if self.array else 1

    @property
    def queues(self) -> tuple[str, ...]:
        """The partitions or projects the run may start in, in the order asked."""
        return tuple(self.queue.split(",")) if self.queue else ()

    def wait_s(self, now: datetime) -> float | None:
        """Seconds from submission to start, or to `now` while it waits; None if unknown."""
        if self.submitted_at is None:
            return None
        until = self.started_at or (now if self.state is RunState.PENDING else self.ended_at)
        return None if until is None else max(0.0, (until - self.submitted_at).total_seconds())


def run_id(source: str, native_id: str) -> str:
    """The estate-wide id of a run: the source's name, a slash, the scheduler's own id."""
    return f"{source}/{native_id}"
