"""Projects and departments with quota and use, in the shapes of the API; changes of quota."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from foundry_tui.schedulers.runai.fake.cluster import (
    CLUSTER_ID,
    Cluster,
    Department,
    Project,
    Quota,
)
from foundry_tui.schedulers.runai.fake.estate_json import BORN, pool_id
from foundry_tui.schedulers.runai.fake.quotas import Use, use
from foundry_tui.schedulers.runai.fake.requests import Rejected
from foundry_tui.schedulers.runai.fake.work import Workload, whole
from foundry_tui.schedulers.runai.fake.workload_json import Json, iso

UNLIMITED = -1
"""What some tenants tell in place of null for a limit that is not set."""
_BYTES_PER_MB = 10**6


def project_json(
    project: Project, cluster: Cluster, workloads: list[Workload], started_at: datetime
) -> Json:
    """One project, with quota and use per node pool."""
    department = cluster.department(project.department)
    pools = [
        {"nodePoolName": p, "nodePoolId": pool_id(p), **_status(use(workloads, [project], p))}
        for p in cluster.pools
    ]
    total = use(workloads, [project], None)
    return {
        "id": project.id,
        "name": project.name,
        "description": "",
        "clusterId": CLUSTER_ID,
        "parentId": department.id,
        "parent": {"id": department.id, "name": department.name},
        "requestedNamespace": None,
        "enforceRunaiScheduler": True,
        "defaultNodePools": list(cluster.pools),
        "schedulingRules": None,
        "nodeTypes": {"training": [], "workspace": []},
        "effective": {"defaultNodePools": list(cluster.pools), "schedulingRules": None},
        "status": {
            "namespace": project.namespace,
            "phase": "Ready",
            "phaseMessage": "",
            "lastUpdatedTime": iso(started_at),
            "quotaStatus": _status(total),
            "nodePoolQuotaStatuses": pools,
        },
        "totalResources": _total(project.quotas),
        "resources": resources_json(project.quotas, cluster),
        "overtimeData": _overtime(total, started_at),
        "createdAt": iso(started_at - BORN),
        "updatedAt": iso(started_at),
        "createdBy": "admin",
        "updatedBy": "admin",
    }


def department_json(
    department: Department, cluster: Cluster, workloads: list[Workload], started_at: datetime
) -> Json:
    """One department: the use of all its projects. The API tells no use per node pool here."""
    projects = [p for p in cluster.projects if p.department == department.name]
    total = use(workloads, projects, None)
    return {
        "id": department.id,
        "name": department.name,
        "description": "",
        "clusterId": CLUSTER_ID,
        "schedulingRules": None,
        "defaultNodePools": list(cluster.pools),
        "status": {"quotaStatus": _status(total)},
        "totalResources": _total(department.quotas),
        "resources": resources_json(department.quotas, cluster),
        "overtimeData": _overtime(total, started_at),
        "createdAt": iso(started_at - BORN),
        "updatedAt": iso(started_at),
        "createdBy": "admin",
        "updatedBy": "admin",
    }


def resources_json(quotas: Mapping[str, Quota], cluster: Cluster) -> list[Json]:
    """The quotas of an org unit. A limit that is not set is null in one pool and -1 in another."""
    found = []
    for number, pool in enumerate(cluster.pools):
        quota = quotas.get(pool, Quota(deserved_milli=0))
        unlimited = UNLIMITED if number else None
        limit = unlimited if quota.limit_milli is None else whole(quota.limit_milli)
        unset = {"deserved": None, "limit": None, "overQuotaWeight": None}
        found.append(
            {
                "nodePool": {"id": pool_id(pool), "name": pool},
                "gpu": {
                    "deserved": whole(quota.deserved_milli),
                    "limit": limit,
                    "overQuotaWeight": quota.over_quota_weight,
                },
                "cpu": unset,
                "memory": {**unset, "units": "Mib"},
                "priority": "Normal",
            }
        )
    return found


def change_resources(
    quotas: dict[str, Quota], cluster: Cluster, request: object, *, replace: bool
) -> None:
    """Apply a PUT (`replace`) or PATCH of resources; node pools that are not named stay.

    In a named one the fields that are not named stay with a PATCH and are emptied by a PUT.

    Raises:
        Rejected: 400 or 404, and nothing is changed.
    """
    if not isinstance(request, list):
        raise Rejected(400, "The request body is not a list of resources")
    changed: dict[str, Quota] = {}
    for item in request:
        told = item.get("nodePool") if isinstance(item, dict) else None
        key = told.get("id") if isinstance(told, dict) else None
        pool = next((p for p in cluster.pools if pool_id(p) == key), None)
        if pool is None:
            raise Rejected(404, f"Node pool {key} was not found")
        empty = Quota(deserved_milli=0)
        old, gpu = empty if replace else quotas.get(pool, empty), item.get("gpu") or {}
        for name in ("deserved", "limit", "overQuotaWeight"):
            value = gpu.get(name)
            least = UNLIMITED if name == "limit" else 0
            if value is not None and not (isinstance(value, int | float) and value >= least):
                raise Rejected(400, f"gpu.{name} must be a number that is no less than {least}")
        limit = gpu.get("limit", None if old.limit_milli is None else whole(old.limit_milli))
        weight = gpu.get("overQuotaWeight")
        changed[pool] = Quota(
            deserved_milli=round(1000 * gpu.get("deserved", whole(old.deserved_milli))),
            limit_milli=None if limit in (None, UNLIMITED) else round(1000 * limit),
            over_quota_weight=old.over_quota_weight if weight is None else float(weight),
        )
    quotas.update(changed)


def _status(told: Use) -> Json:
    return {
        "allocated": {
            "gpu": whole(told.allocated_milli),
            "cpu": told.cpu_milli,
            "memory": told.memory_bytes / _BYTES_PER_MB,
        },
        "allocatedNonPreemptible": {"gpu": whole(told.non_preemptible_milli)},
        "requested": {"gpu": whole(told.requested_milli)},
    }


def _total(quotas: Mapping[str, Quota]) -> Json:
    gpus = whole(sum(quota.deserved_milli for quota in quotas.values()))
    return {"gpuQuota": gpus, "cpuQuota": None, "memoryQuota": None}


def _overtime(told: Use, started_at: datetime) -> Json:
    """The averages, which the fake does not keep: the use of now."""
    mean = whole(told.allocated_milli)
    data = {"averageGpuAllocation": mean, "averageGpuUtilization": 0, "updatedAt": iso(started_at)}
    return dict.fromkeys(("range24hData", "range7dData", "range30dData"), data)
