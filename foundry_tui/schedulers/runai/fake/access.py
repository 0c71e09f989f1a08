"""Who may do what in the fake: access rules are a role on a scope."""

from __future__ import annotations

from dataclasses import dataclass

from foundry_tui.schedulers.runai.fake.cluster import CLUSTER_ID, TENANT_ID, Cluster, Project
from foundry_tui.schedulers.runai.fake.requests import Rejected
from foundry_tui.schedulers.runai.fake.tokens import CLIENT_ID
from foundry_tui.schedulers.runai.fake.workload_json import Json

RESEARCHER, DEPARTMENT_ADMIN = "L1 researcher", "Department administrator"
_ROLE_IDS = {RESEARCHER: 7, DEPARTMENT_ADMIN: 4}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the fake's user."""

    role: str
    scope_type: str
    scope_id: str
    scope_name: str


def rules(cluster: Cluster) -> list[Rule]:
    """The user is a researcher in each project not denied, and administers the first department."""
    first = cluster.departments[0]
    return [
        *(Rule(RESEARCHER, "project", p.id, p.name) for p in cluster.projects if not p.denied),
        Rule(DEPARTMENT_ADMIN, "department", first.id, first.name),
    ]


def rules_json(found: list[Rule]) -> list[Json]:
    """The rules in the API's shape."""
    return [
        {
            "id": number,
            "tenantId": TENANT_ID,
            "clusterId": CLUSTER_ID,
            "subjectId": CLIENT_ID,
            "subjectType": "service-account",
            "roleId": _ROLE_IDS[rule.role],
            "roleName": rule.role,
            "scopeType": rule.scope_type,
            "scopeId": rule.scope_id,
            "scopeName": rule.scope_name,
        }
        for number, rule in enumerate(found, 1)
    ]


def may_work(project: Project) -> None:
    """Raises `Rejected` with 403 where the user may not create or change workloads."""
    if project.denied:
        raise Rejected(403, f"No access rule permits this action in project {project.name}")


def may_change_quota(cluster: Cluster, department: str, project: Project | None = None) -> None:
    """Raises `Rejected` with 403 where the user does not administer the department."""
    denied = project is not None and project.denied
    if denied or department != cluster.departments[0].name:
        raise Rejected(403, f"No access rule permits this action in department {department}")
