"""The kinds of objects that are read, and the collections in which they are kept by uid."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from foundry_tui.schedulers.kai import objects
from foundry_tui.schedulers.ports import SchedulerError

LOST_S = 20.0
"""A collection that was not up to date for so many seconds is old."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object: where it is listed, and whether each namespace has its own."""

    name: str
    prefix: str
    plural: str
    type: type[Any]
    namespaced: bool = True
    needed: bool = False

    def paths(self, namespaces: Sequence[str]) -> tuple[str, ...]:
        """Its collections: one for the whole cluster, or one per namespace."""
        if not self.namespaced or not namespaces:
            return (f"{self.prefix}/{self.plural}",)
        return tuple(f"{self.prefix}/namespaces/{name}/{self.plural}" for name in namespaces)


PODS = Kind("pods", "/api/v1", "pods", objects.Pod, needed=True)
NODES = Kind("nodes", "/api/v1", "nodes", objects.Node, namespaced=False)
QUEUES = Kind("queues", "/apis/scheduling.run.ai/v2", "queues", objects.KaiQueue, namespaced=False)
GROUPS = Kind("podgroups", "/apis/scheduling.run.ai/v2alpha2", "podgroups", objects.PodGroup)
BINDS = Kind(
    "bindrequests", "/apis/scheduling.run.ai/v1alpha2", "bindrequests", objects.BindRequest
)
JOBS = Kind("jobs", "/apis/batch/v1", "jobs", objects.Job)
TRAININGS = Kind("pytorchjobs", "/apis/kubeflow.org/v1", "pytorchjobs", objects.PyTorchJob)
PRIORITIES = Kind(
    "priorityclasses",
    "/apis/scheduling.k8s.io/v1",
    "priorityclasses",
    objects.PriorityClass,
    namespaced=False,
)
KINDS = (PODS, NODES, QUEUES, GROUPS, BINDS, JOBS, TRAININGS, PRIORITIES)


@dataclass(slots=True)
class Table:
    """The objects of one collection by uid, and how well they are followed.

    `unread` are the uids of those that could not be understood. Moments of `time.monotonic`:
    since `lost_at` it is not up to date, since `denied_at` nothing but refusals came.
    """

    kind: Kind
    path: str
    rows: dict[str, Any] = field(default_factory=dict)
    version: str = ""
    changes: int = 0
    lists: int = 0
    watches: int = 0
    unread: set[str] = field(default_factory=set)
    error: SchedulerError | None = None
    lost_at: float | None = None
    denied_at: float | None = None
    absent: bool = False

    @property
    def lost(self) -> bool:
        """Whether it has not been up to date for longer than a short break."""
        return self.lost_at is not None and time.monotonic() - self.lost_at > LOST_S

    @property
    def denied(self) -> bool:
        """Whether it may not be read any more.

        An API server that was just started refuses what is allowed for a moment.
        """
        return self.denied_at is not None and time.monotonic() - self.denied_at > LOST_S
