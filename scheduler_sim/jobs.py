"""Runs of the simulated cluster: what is asked for, what became of it, and why it waits."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from scheduler_sim.cluster import Allotment, Request


class State(StrEnum):
    """The state of a run or of one try of it."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"
    NODE_FAIL = "node_fail"
    OUT_OF_MEMORY = "out_of_memory"


LIVE = frozenset({State.PENDING, State.RUNNING})
"""States that a run can still leave."""


class Reason(StrEnum):
    """Why a run waits."""

    NONE = "none"
    PRIORITY = "priority"
    RESOURCES = "resources"
    HELD = "held"
    HELD_BY_ADMIN = "held_by_admin"
    DEPENDENCY = "dependency"
    NEVER = "dependency_never_satisfied"
    USER_LIMIT = "user_limit"
    ACCOUNT_LIMIT = "account_limit"
    QUOTA = "quota"
    TASK_LIMIT = "task_limit"
    TIME_LIMIT = "time_limit"
    NODES_DOWN = "nodes_down"
    QUEUE_CLOSED = "queue_closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """One run as it is submitted.

    `request` holds on each of `nodes` nodes. `queue` may name several, separated by commas.
    `duration_s` is how long it would work, `limit_s` the asked time limit (None: none). `outcome`
    and `exit_code` are how it ends when nothing cuts it short. `util_pct` is its mean GPU
    utilisation until `idle_from_s` seconds after its start, and 0 from then on. `tasks` are the
    task numbers of an array, `throttle` how many may run at once (0: all). `after` is the key of
    the run that must complete first; "previous" means the user's latest live run.
    """

    name: str
    user: str
    account: str
    queue: str
    request: Request
    duration_s: int
    nodes: int = 1
    limit_s: int | None = None
    qos: str = "normal"
    preemptible: bool = True
    util_pct: int = 70
    idle_from_s: int | None = None
    outcome: State = State.COMPLETED
    exit_code: int = 0
    tasks: tuple[int, ...] = ()
    throttle: int = 0
    held: bool = False
    after: str | None = None
    nodelist: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("duration_s", "nodes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: at least 1, got {getattr(self, name)}")
        if self.limit_s is not None and self.limit_s < 1:
            raise ValueError(f"limit_s: at least 1 second, got {self.limit_s}")

    @property
    def total_milli(self) -> int:
        """Thousandths of GPU over all nodes."""
        return self.nodes * self.request.total_milli

    @property
    def queues(self) -> tuple[str, ...]:
        """The queues it may start in, in the order asked."""
        return tuple(self.queue.split(","))


@dataclass(slots=True, eq=False)
class Job:
    """A run in the cluster; times are seconds on the cluster's clock. Equal only to itself.

    `key` is the number as text, `120_3` for a started task of array 120. For an array's waiting
    range `tasks` are the tasks that did not start yet.
    """

    key: str
    number: int
    spec: JobSpec
    submitted_s: int
    rank: int
    state: State = State.PENDING
    reason: Reason = Reason.NONE
    held: bool = False
    held_by_admin: bool = False
    token: str | None = None
    visible_s: int = 0
    tasks: tuple[int, ...] = ()
    array: int | None = None
    task: int | None = None
    after: str | None = None
    started_s: int | None = None
    ended_s: int | None = None
    eligible_s: int | None = None
    exit_code: int | None = None
    queue: str = ""
    restarts: int = 0
    closing: bool = False
    parts: tuple[Allotment, ...] = field(default=())

    @property
    def ends_by_s(self) -> int | None:
        """When the time limit ends it; None while it waits or without a limit."""
        if self.started_s is None or self.spec.limit_s is None:
            return None
        return self.started_s + self.spec.limit_s

    @property
    def count(self) -> int:
        """Tasks this record stands for."""
        return len(self.tasks) or 1


@dataclass(frozen=True, slots=True)
class Try:
    """One stay of a run on nodes, or a run that ended without ever starting: an accounting row."""

    job: Job
    state: State
    started_s: int | None
    ended_s: int
    exit_code: int | None
    nodes: tuple[str, ...]
    model: str | None
    restarts: int
