"""One workload of the fake: what was asked, and everything that happened to it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from foundry_tui.schedulers.runai.fake.cluster import WHOLE_MILLI, Need, Project, Seat, stable_uuid


class Phase(StrEnum):
    """The phases of the API that the fake goes through."""

    CREATING = "Creating"
    PENDING = "Pending"
    INITIALIZING = "Initializing"
    RUNNING = "Running"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    RESUMING = "Resuming"
    DELETING = "Deleting"
    DELETED = "Deleted"
    """Not a phase of the API: gone from its lists."""


ENDED = frozenset({Phase.COMPLETED, Phase.FAILED})
HAS_PODS = frozenset({Phase.INITIALIZING, Phase.RUNNING})

NOT_ENOUGH = "Not enough resources in the requested nodepool"

PRIORITIES = {
    "very-low": 25,
    "low": 40,
    "medium-low": 65,
    "medium": 80,
    "medium-high": 90,
    "high": 125,
    "very-high": 150,
}


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of workload: its word in paths, name, category, default priority, framework."""

    path: str
    type: str
    category: str
    priority: str
    can_suspend: bool = True


KINDS = {
    kind.path: kind
    for kind in (
        Kind("trainings", "Training", "Train", "low"),
        Kind("distributed", "Distributed", "Train", "low"),
        Kind("workspaces", "Workspace", "Build", "high"),
        Kind("inferences", "Inference", "Deploy", "very-high", can_suspend=False),
    )
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a pending workload may not start: the reason's word, the org unit that blocks, words."""

    reason: str
    org_type: str
    pool: str
    message: str


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which the workload had pods, and where; `ended_at` None: it still has."""

    started_at: datetime
    ended_at: datetime | None
    pool: str
    seats: tuple[Seat, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the history: a change of phase, or an event of Kubernetes."""

    at: datetime
    phase: Phase | None
    reason: str
    message: str


@dataclass(slots=True, kw_only=True)
class Workload:
    """A workload. Mutable: the controller moves it from phase to phase."""

    id: str
    kind: Kind
    name: str
    requested_name: str
    project: Project
    user: str
    created_at: datetime
    body: dict[str, Any]
    """The parts of the request that the answer tells again: spec, masterSpec …"""
    pods: tuple[Need, ...]
    pools: tuple[str, ...]
    priority_class: str
    preemptible: bool
    duration_s: float | None
    """How long it works; None: until it is stopped."""
    exit_code: int = 0
    gpu_util_pct: int | None = None
    """What its GPUs are said to do; None: the fake makes it up."""

    phase: Phase = Phase.CREATING
    message: str = ""
    phase_at: datetime
    desired: str = "Running"
    refusals: tuple[Refusal, ...] = ()
    pool: str | None = None
    seats: tuple[Seat, ...] = ()
    spans: list[Span] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    worked_s: float = 0.0
    pending_s: float = 0.0
    ended_at: datetime | None = None
    deleted_at: datetime | None = None
    turn: int = 0
    """Raised at each change of phase, so that what was planned before it falls away."""
    starts: int = 0

    @property
    def priority(self) -> int:
        """The priority class as a number."""
        return PRIORITIES[self.priority_class]

    @property
    def gpu_milli(self) -> int:
        """What all its pods ask for; a request of GPU memory counts as asked on an 80 GiB GPU."""
        return sum(need.devices * need.milli for need in self.pods)

    @property
    def spec(self) -> dict[str, Any]:
        """The spec of the request."""
        spec = self.body.get("spec")
        return spec if isinstance(spec, dict) else {}

    @property
    def waits(self) -> bool:
        """Whether it waits for a place."""
        return self.phase is Phase.PENDING

    def pod_name(self, index: int) -> str:
        """The name of its pod of this number; a restart makes a new pod."""
        if self.kind.path == "distributed":
            role = "worker" if "masterSpec" not in self.body or index else "master"
            return f"{self.name}-{role}-{index}"
        return f"{self.name}-{self.starts}-{index}"

    def pod_id(self, index: int) -> str:
        """The uuid of its pod of this number."""
        return stable_uuid("pod", self.id, self.starts, index)

    def allocated_milli(self) -> int:
        """What its pods hold now, in thousandths of a GPU."""
        return sum(seat.gpu_milli for seat in self.seats)

    def enter(self, phase: Phase, at: datetime, message: str = "") -> None:
        """Change the phase, count the time spent in the last one, and write it down."""
        spent_s = (at - self.phase_at).total_seconds()
        if self.phase is Phase.PENDING:
            self.pending_s += spent_s
        if self.phase is Phase.RUNNING:
            self.worked_s += spent_s
        self.phase, self.phase_at, self.message = phase, at, message
        self.refusals = ()
        self.turn += 1
        self.records.append(Record(at, phase, phase.value, message))

    def sit(self, seats: tuple[Seat, ...], pool: str, at: datetime) -> None:
        """Take the seats that were booked for its pods."""
        self.seats, self.pool = seats, pool
        self.starts += 1
        self.spans.append(Span(at, None, pool, seats))
        for index, seat in enumerate(seats):
            pod = self.pod_name(index)
            text = f"Successfully assigned pod {self.project.namespace}/{pod} to node {seat.node}"
            self.records.append(Record(at, None, "Scheduled", text))

    def leave(self, at: datetime) -> None:
        """Give the seats back."""
        if self.seats:
            last = self.spans[-1]
            self.spans[-1] = replace(last, ended_at=at)
        self.seats, self.pool = (), None


def whole(milli: int) -> float:
    """Thousandths of a GPU as GPUs."""
    return milli / WHOLE_MILLI
