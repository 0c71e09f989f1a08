"""The fake's state machine: workloads go from phase to phase as its clock goes on.

Nothing runs in the background: `settle` plays, in order of time, everything that was due until
now, and lets the scheduler place what waits after each of these moments. The same requests at the
same times therefore always give the same state.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from foundry_tui.schedulers.runai.fake.cluster import CLUSTER_ID, Cluster, Project, stable_uuid
from foundry_tui.schedulers.runai.fake.requests import (
    Rejected,
    body_of,
    name_of,
    pods_of,
    priority_of,
    spec_of,
    work_of,
)
from foundry_tui.schedulers.runai.fake.turns import Turn
from foundry_tui.schedulers.runai.fake.work import ENDED, HAS_PODS, Kind, Phase, Workload

KEPT = ("spec", "masterSpec", "masterSpecSameAsWorker")
"""Parts of a create request that answers tell again."""

_ORDERS = {Phase.STOPPING: "Stopped", Phase.RESUMING: "Running", Phase.DELETING: "Deleted"}
"""Phases that begin by an order of the user, with the phase that is then desired."""

NOT_FOUND = "Resource id not found."


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds that the steps take."""

    listed_s: float = 1.0
    """From the create's answer until the list of workloads shows it."""
    creating_s: float = 2.0
    initializing_s: float = 3.0
    accepted_s: float = 1.0
    """From the 202 of suspend, resume and delete until the phase changes."""
    stopping_s: float = 3.0


class ControlPlane:
    """Workloads on a cluster."""

    def __init__(self, cluster: Cluster, clock: Callable[[], datetime], pace: Pace) -> None:
        self.cluster, self.clock, self.pace = cluster, clock, pace
        self.started_at = self.now = clock()
        self.workloads: dict[str, Workload] = {}
        self._due: list[tuple[datetime, int, str, int, Phase]] = []
        self._count = 0

    def settle(self) -> None:
        """Play what was due until now."""
        until = self.clock()
        while self._due and self._due[0][0] <= until:
            self.now = self._due[0][0]
            while self._due and self._due[0][0] == self.now:
                _, _, key, turn, phase = heapq.heappop(self._due)
                workload = self.workloads[key]
                if _ordered(workload, phase) if phase in _ORDERS else workload.turn == turn:
                    self._enter(workload, phase)
            self._schedule()
        self.now = max(until, self.now)

    def listed(self) -> list[Workload]:
        """What the list of workloads shows: what was created a moment ago is not there yet."""
        return [
            w
            for w in self.workloads.values()
            if w.phase is not Phase.DELETED and self._age_s(w) >= self.pace.listed_s
        ]

    def deleted(self) -> list[Workload]:
        """What was deleted."""
        return [w for w in self.workloads.values() if w.phase is Phase.DELETED]

    def find(self, key: str, kind: Kind | None = None) -> Workload:
        """The workload of this uuid (and kind). Raises `Rejected` with 404."""
        found = self.workloads.get(key)
        if found is None or found.phase is Phase.DELETED or kind not in (None, found.kind):
            raise Rejected(404, NOT_FOUND)
        return found

    def create(self, kind: Kind, request: object, user: str) -> Workload:
        """Accept a workload. Raises `Rejected`."""
        body = body_of(request)
        requested = name_of(body)
        project = self.project_of(body)
        spec = spec_of(body)
        priority_class, preemptible = priority_of(kind, spec)
        duration_s, exit_code, util = work_of(kind, spec)
        name = requested
        if body.get("useGivenNameAsPrefix"):
            name = f"{requested}-{self.new_id('name')[:5]}"
        if any(
            w.name == name and w.project is project and w.phase is not Phase.DELETED
            for w in self.workloads.values()
        ):
            raise Rejected(409, f"A workload with the name {name} already exists in the project")
        workload = Workload(
            id=self.new_id("workload"),
            kind=kind,
            name=name,
            requested_name=requested,
            project=project,
            user=user,
            created_at=self.now,
            phase_at=self.now,
            body={key: body[key] for key in KEPT if key in body},
            pods=pods_of(kind, body),
            pools=self._pools_of(spec, project),
            priority_class=priority_class,
            preemptible=preemptible,
            duration_s=duration_s,
            exit_code=exit_code,
            gpu_util_pct=util,
        )
        self.workloads[workload.id] = workload
        workload.enter(Phase.CREATING, self.now)
        self._plan(workload, Phase.PENDING, self.pace.creating_s)
        return workload

    def suspend(self, workload: Workload) -> None:
        """Stop its pods, a moment later. Raises `Rejected` where its kind cannot be stopped."""
        self._suspendable(workload)
        if workload.phase not in ENDED and workload.desired == "Running":
            self._order(workload, Phase.STOPPING)

    def resume(self, workload: Workload) -> None:
        """Start it anew, a moment later. Raises `Rejected` as `suspend` does."""
        self._suspendable(workload)
        if workload.phase not in ENDED and workload.desired == "Stopped":
            self._order(workload, Phase.RESUMING)

    def delete(self, workload: Workload) -> None:
        """Take it away, a moment later."""
        if workload.desired != "Deleted":
            self._order(workload, Phase.DELETING)

    def project_of(self, body: dict[str, Any]) -> Project:
        """The project that a request names. Raises `Rejected`."""
        project = self.cluster.project(str(body.get("projectId")))
        if project is None or project.id != body.get("projectId"):
            raise Rejected(404, f"Project {body.get('projectId')} was not found")
        if body.get("clusterId") != CLUSTER_ID:
            raise Rejected(404, f"Cluster {body.get('clusterId')} was not found")
        return project

    def new_id(self, what: str) -> str:
        """A uuid that was not given before."""
        self._count += 1
        return stable_uuid(what, self._count)

    def touch(self) -> None:
        """Let the scheduler look again, after a quota has changed."""
        self._schedule()

    def _suspendable(self, workload: Workload) -> None:
        if not workload.kind.can_suspend:
            raise Rejected(400, f"A workload of type {workload.kind.type} cannot be suspended")

    def _pools_of(self, spec: dict[str, Any], project: Project) -> tuple[str, ...]:
        named = spec.get("nodePools") or list(project.quotas)
        if unknown := [name for name in named if name not in self.cluster.pools]:
            raise Rejected(400, f"Node pool {unknown[0]} was not found")
        return tuple(named)

    def _age_s(self, workload: Workload) -> float:
        return (self.now - workload.created_at).total_seconds()

    def _order(self, workload: Workload, phase: Phase) -> None:
        workload.desired = _ORDERS[phase]
        self._plan(workload, phase, self.pace.accepted_s)

    def _plan(self, workload: Workload, phase: Phase, after_s: float) -> None:
        self._count += 1
        at = self.now + timedelta(seconds=after_s)
        heapq.heappush(self._due, (at, self._count, workload.id, workload.turn, phase))

    def _enter(self, workload: Workload, phase: Phase) -> None:
        pace, had_pods = self.pace, bool(workload.seats)
        code = workload.exit_code
        failed = phase is Phase.COMPLETED and code
        workload.enter(
            Phase.FAILED if failed else phase, self.now, f"exit code {code}" if failed else ""
        )
        if phase not in HAS_PODS and phase not in (Phase.STOPPING, Phase.DELETING):
            self._free(workload)
        if phase is Phase.RUNNING and workload.duration_s is not None:
            self._plan(workload, Phase.COMPLETED, workload.duration_s)
        elif phase is Phase.COMPLETED:
            workload.ended_at = self.now
        elif phase is Phase.STOPPING:
            self._plan(workload, Phase.STOPPED, pace.stopping_s if had_pods else 0)
        elif phase is Phase.DELETING:
            self._plan(workload, Phase.DELETED, pace.stopping_s if had_pods else 0)
        elif phase is Phase.DELETED:
            workload.deleted_at = self.now
        elif phase is Phase.RESUMING:
            self._plan(workload, Phase.PENDING, pace.creating_s)

    def _free(self, workload: Workload) -> None:
        for seat in workload.seats:
            self.cluster.node(seat.node).take(seat, -1)
        workload.leave(self.now)

    def _schedule(self) -> None:
        """Place what can be placed; who was preempted waits again."""
        workloads = list(self.workloads.values())
        while started := Turn(self.cluster, workloads, self.now).start():
            for workload in started:
                self._plan(workload, Phase.RUNNING, self.pace.initializing_s)


def _ordered(workload: Workload, phase: Phase) -> bool:
    """Whether an order of the user still stands when its moment comes."""
    if phase is Phase.RESUMING and workload.phase not in (Phase.STOPPING, Phase.STOPPED):
        return False
    gone = workload.phase is Phase.DELETED or (
        workload.phase in ENDED and phase is not Phase.DELETING
    )
    return workload.desired == _ORDERS[phase] and not gone
