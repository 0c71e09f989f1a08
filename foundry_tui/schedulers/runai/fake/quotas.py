"""Quota: what org units hold and ask for in a node pool, and what forbids a workload to start."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from foundry_tui.schedulers.runai.fake.cluster import Cluster, Project, Quota
from foundry_tui.schedulers.runai.fake.work import Refusal, Workload, whole

OVER_QUOTA = "NonPreemptibleOverQuota"
OVER_LIMIT = "OverLimit"

_NOTHING = Quota(deserved_milli=0)


@dataclass(frozen=True, slots=True)
class Use:
    """Thousandths of a GPU that an org unit holds, without preemption, and asks for in all."""

    allocated_milli: int
    non_preemptible_milli: int
    requested_milli: int
    cpu_milli: int
    memory_bytes: int


def use(workloads: Iterable[Workload], projects: Iterable[Project], pool: str | None) -> Use:
    """The use of projects in a node pool; None: in all of them.

    A pending workload asks in the first of its node pools.
    """
    names = {project.name for project in projects}
    ours = [w for w in workloads if w.project.name in names]
    here = [w for w in ours if w.seats and pool in (None, w.pool)]
    waits = [w for w in ours if w.waits and pool in (None, w.pools[0])]
    allocated = sum(w.allocated_milli() for w in here)
    return Use(
        allocated_milli=allocated,
        non_preemptible_milli=sum(w.allocated_milli() for w in here if not w.preemptible),
        requested_milli=allocated + sum(w.gpu_milli for w in waits),
        cpu_milli=sum(seat.cpu_milli for w in here for seat in w.seats),
        memory_bytes=sum(seat.memory_bytes for w in here for seat in w.seats),
    )


class Books:
    """What projects hold in node pools, kept up while one turn of the scheduler goes on."""

    def __init__(self, cluster: Cluster, workloads: Iterable[Workload]) -> None:
        self._cluster = cluster
        self._held_milli: dict[tuple[str, str, bool], int] = defaultdict(int)
        for workload in workloads:
            self.add(workload)

    def add(self, workload: Workload, sign: int = 1) -> None:
        """Book what a workload holds; with `sign` -1 take it off."""
        if workload.pool is not None:
            key = workload.project.name, workload.pool, workload.preemptible
            self._held_milli[key] += sign * workload.allocated_milli()

    def forbidden(self, workload: Workload, pool: str) -> Refusal | None:
        """What of the project or its department forbids the workload to start in the pool."""
        project = workload.project
        department = self._cluster.department(project.department)
        siblings = [p.name for p in self._cluster.projects if p.department == department.name]
        units = (
            ("PROJECT", project.name, project.quotas, [project.name]),
            ("DEPARTMENT", department.name, department.quotas, siblings),
        )
        for org_type, name, quotas, projects in units:
            quota, asked = quotas.get(pool, _NOTHING), workload.gpu_milli
            firm = sum(self._held_milli[p, pool, False] for p in projects)
            held = firm + sum(self._held_milli[p, pool, True] for p in projects)
            unit = f"The {org_type.lower()} {name} would exceed its"
            if quota.limit_milli is not None and held + asked > quota.limit_milli:
                words = f"limit of {whole(quota.limit_milli):g} GPUs in node pool {pool}"
                return Refusal(OVER_LIMIT, org_type, pool, f"{unit} {words}")
            if not workload.preemptible and firm + asked > quota.deserved_milli:
                words = f"quota of {whole(quota.deserved_milli):g} GPUs in node pool {pool}"
                text = f"{unit} {words} with non-preemptible workloads"
                return Refusal(OVER_QUOTA, org_type, pool, text)
        return None

    def over_quota_milli(self, project: Project, pool: str) -> int:
        """By how much a project holds more than it deserves in the pool; negative: less."""
        held = sum(self._held_milli[project.name, pool, p] for p in (True, False))
        return held - project.quotas.get(pool, _NOTHING).deserved_milli
