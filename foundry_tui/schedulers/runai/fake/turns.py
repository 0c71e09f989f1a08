"""One turn of the fake's scheduler: who starts, where, and who has to give way for it."""

from __future__ import annotations

from datetime import datetime

from foundry_tui.schedulers.runai.fake.cluster import Cluster, Seat
from foundry_tui.schedulers.runai.fake.placing import seats_for
from foundry_tui.schedulers.runai.fake.quotas import Books
from foundry_tui.schedulers.runai.fake.work import (
    HAS_PODS,
    NOT_ENOUGH,
    Phase,
    Record,
    Refusal,
    Workload,
)


class Turn:
    """One turn. The order: higher priority first, then the older.

    Real Run:ai orders projects by fair share first; the fake does not.
    """

    def __init__(self, cluster: Cluster, workloads: list[Workload], now: datetime) -> None:
        self._cluster, self._workloads, self._now = cluster, workloads, now
        self._books = Books(cluster, workloads)

    def start(self) -> list[Workload]:
        """Place pending workloads; returns those that now initialize."""
        waiting = [w for w in self._workloads if w.waits]
        waiting.sort(key=lambda w: (-w.priority, w.created_at))
        return [workload for workload in waiting if self._place(workload)]

    def _place(self, workload: Workload) -> bool:
        refusals: list[Refusal] = []
        for pool in workload.pools:
            refusal = self._books.forbidden(workload, pool)
            if refusal is not None:
                refusals.append(refusal)
                continue
            seats = seats_for(self._cluster, workload.pods, pool)
            if seats is None:
                seats = self._made_room(workload, pool)
            if seats is not None:
                self._sit(workload, seats, pool)
                return True
        self._waits_on(workload, tuple(refusals))
        return False

    def _sit(self, workload: Workload, seats: tuple[Seat, ...], pool: str) -> None:
        workload.enter(Phase.INITIALIZING, self._now)
        workload.sit(seats, pool, self._now)
        self._lift(workload, 1)
        self._books.add(workload)

    def _waits_on(self, workload: Workload, refusals: tuple[Refusal, ...]) -> None:
        """Tell why it waits, once per reason."""
        message = refusals[0].message if len(refusals) == len(workload.pools) else NOT_ENOUGH
        workload.refusals = refusals
        if message != workload.message:
            workload.message = message
            workload.records.append(Record(self._now, None, "Unschedulable", message))

    def _made_room(self, workload: Workload, pool: str) -> tuple[Seat, ...] | None:
        """Seats that become free when others give way; None where even that does not do.

        A project that stays within what it deserves takes back from preemptible workloads of
        projects beyond theirs; within a project, the higher priority from the lower.
        """
        project, books = workload.project, self._books
        within = books.over_quota_milli(project, pool) + workload.gpu_milli <= 0
        candidates = [
            w
            for w in self._workloads
            if w.pool == pool
            and w.preemptible
            and w.phase in HAS_PODS
            and (w.priority < workload.priority if w.project is project else within)
        ]
        candidates.sort(key=lambda w: (w.priority, -w.phase_at.timestamp()))
        victims: list[Workload] = []
        seats = None
        for victim in candidates:
            others = victim.project is not project
            if others and books.over_quota_milli(victim.project, pool) <= 0:
                continue
            victims.append(victim)
            self._lift(victim, -1)
            books.add(victim, -1)
            seats = seats_for(self._cluster, workload.pods, pool)
            if seats is not None:
                break
        for victim in victims:
            if seats is None:
                self._lift(victim, 1)
                books.add(victim)
            else:
                self._preempt(victim, workload)
        return seats

    def _lift(self, workload: Workload, sign: int) -> None:
        for seat in workload.seats:
            self._cluster.node(seat.node).take(seat, sign)

    def _preempt(self, victim: Workload, winner: Workload) -> None:
        text = f"Preempted by workload {winner.name} of project {winner.project.name}"
        victim.leave(self._now)
        victim.enter(Phase.PENDING, self._now, text)
        victim.records.append(Record(self._now, None, "Preempted", text))
