"""What the API answers about nodes, org units, clusters and rights."""

from __future__ import annotations

from foundry_tui.schedulers.runai.fake import access, estate_json, listing, metrics, quota_json
from foundry_tui.schedulers.runai.fake.cluster import CLUSTER_ID
from foundry_tui.schedulers.runai.fake.control import NOT_FOUND
from foundry_tui.schedulers.runai.fake.requests import Rejected
from foundry_tui.schedulers.runai.fake.routes import Answer, Call, Table, metrics_answer
from foundry_tui.schedulers.runai.fake.workload_json import Json

ESTATE = Table()


@ESTATE.route("GET", "/api/v1/nodes")
@ESTATE.route("GET", "/api/v1/clusters/{cluster}/nodes")
def _nodes(call: Call, cluster: str = CLUSTER_ID) -> Answer:
    _known_cluster(cluster)
    control = call.control
    found = [estate_json.node_json(node, control.started_at) for node in control.cluster.nodes]
    return 200, listing.page("nodes", found, call.query)


@ESTATE.route("GET", "/api/v1/nodes/count")
def _node_count(call: Call) -> Answer:
    found = [estate_json.node_json(n, call.control.started_at) for n in call.control.cluster.nodes]
    return 200, {"count": len(listing.filtered(found, call.query))}


@ESTATE.route("GET", "/api/v1/nodes/telemetry")
def _node_telemetry(call: Call) -> Answer:
    groups = tuple(word for word in call.query.get("groupBy", "").split(",") if word)
    pool = call.query.get("nodepoolName")
    nodes = [n for n in call.control.cluster.nodes if pool in (None, n.pool)]
    kind = call.query.get("telemetryType", "")
    return 200, estate_json.telemetry(kind, groups, nodes, call.control.now)


@ESTATE.route("GET", "/api/v1/nodes/{key}/metrics")
def _node_metrics(call: Call, key: str) -> Answer:
    node = next((n for n in call.control.cluster.nodes if n.id == key), None)
    if node is None:
        raise Rejected(404, NOT_FOUND)
    return metrics_answer(call, metrics.of_node(node, list(call.control.workloads.values())))


@ESTATE.route("GET", "/api/v1/node-pools")
def _node_pools(call: Call) -> Answer:
    cluster = call.control.cluster
    found = [estate_json.pool_json(p, cluster, call.control.started_at) for p in cluster.pools]
    return 200, listing.page("nodepools", found, call.query)


@ESTATE.route("GET", "/api/v1/org-unit/projects")
def _projects(call: Call) -> Answer:
    return 200, listing.page("projects", _all_projects(call), call.query)


@ESTATE.route("GET", "/api/v1/org-unit/projects/{key}")
def _project(call: Call, key: str) -> Answer:
    found = next((p for p in _all_projects(call) if p["id"] == key), None)
    if found is None:
        raise Rejected(404, NOT_FOUND)
    return 200, found


@ESTATE.route("GET", "/api/v1/org-unit/departments")
def _departments(call: Call) -> Answer:
    control = call.control
    workloads = list(control.workloads.values())
    found = [
        quota_json.department_json(d, control.cluster, workloads, control.started_at)
        for d in control.cluster.departments
    ]
    return 200, listing.page("departments", found, call.query)


@ESTATE.route("PUT", "/api/v1/org-unit/projects/{key}/resources")
def _replace_project_resources(call: Call, key: str) -> Answer:
    return _project_resources(call, key, replace=True)


@ESTATE.route("PATCH", "/api/v1/org-unit/projects/{key}/resources")
def _project_resources(call: Call, key: str, replace: bool = False) -> Answer:
    cluster = call.control.cluster
    project = next((p for p in cluster.projects if p.id == key), None)
    if project is None:
        raise Rejected(404, NOT_FOUND)
    access.may_change_quota(cluster, project.department, project)
    quota_json.change_resources(project.quotas, cluster, call.body, replace=replace)
    call.control.touch()
    return 200, quota_json.resources_json(project.quotas, cluster)


@ESTATE.route("PUT", "/api/v1/org-unit/departments/{key}/resources")
def _replace_department_resources(call: Call, key: str) -> Answer:
    return _department_resources(call, key, replace=True)


@ESTATE.route("PATCH", "/api/v1/org-unit/departments/{key}/resources")
def _department_resources(call: Call, key: str, replace: bool = False) -> Answer:
    cluster = call.control.cluster
    department = next((d for d in cluster.departments if d.id == key), None)
    if department is None:
        raise Rejected(404, NOT_FOUND)
    access.may_change_quota(cluster, department.name)
    quota_json.change_resources(department.quotas, cluster, call.body, replace=replace)
    call.control.touch()
    return 200, quota_json.resources_json(department.quotas, cluster)


@ESTATE.route("GET", "/api/v1/clusters")
def _clusters(call: Call) -> Answer:
    return 200, [estate_json.cluster_json(call.control.started_at, call.control.now)]


@ESTATE.route("GET", "/api/v1/clusters/{cluster}")
def _cluster(call: Call, cluster: str) -> Answer:
    _known_cluster(cluster)
    return 200, estate_json.cluster_json(call.control.started_at, call.control.now)


@ESTATE.route("GET", "/api/v1/workload-priorities")
def _priorities(call: Call) -> Answer:
    found = estate_json.priorities_json(call.control.started_at)
    return 200, listing.page("priorities", found, call.query, paged=False)


@ESTATE.route("GET", "/api/v1/authorization/me/access-rules")
def _my_rules(call: Call) -> Answer:
    found = access.rules_json(access.rules(call.control.cluster))
    shown = listing.page("accessRules", found, call.query)["accessRules"]
    parts = {"totalRecords": len(found), "displayRecords": len(shown), "accessRules": shown}
    return 200, {"accessRules": parts}


def _all_projects(call: Call) -> list[Json]:
    control = call.control
    workloads = list(control.workloads.values())
    return [
        quota_json.project_json(p, control.cluster, workloads, control.started_at)
        for p in control.cluster.projects
    ]


def _known_cluster(key: str) -> None:
    if key != CLUSTER_ID:
        raise Rejected(404, f"Cluster {key} was not found")
