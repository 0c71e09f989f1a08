"""What the API answers about workloads and their pods, and what it does with them."""

from __future__ import annotations

from foundry_tui.schedulers.runai.fake import access, listing, metrics, workload_json
from foundry_tui.schedulers.runai.fake.control import NOT_FOUND
from foundry_tui.schedulers.runai.fake.requests import Rejected, body_of
from foundry_tui.schedulers.runai.fake.routes import Answer, Call, Table, metrics_answer
from foundry_tui.schedulers.runai.fake.work import KINDS, Workload
from foundry_tui.schedulers.runai.fake.workload_json import Json

BATCH_ACTIONS = ("delete", "suspend", "resume")

WORKLOADS = Table()


@WORKLOADS.route("GET", "/api/v1/workloads")
def _workloads(call: Call) -> Answer:
    return 200, listing.page("workloads", _listed(call), call.query)


@WORKLOADS.route("GET", "/api/v1/workloads/count")
def _workload_count(call: Call) -> Answer:
    return 200, {"count": len(listing.filtered(_listed(call), call.query))}


@WORKLOADS.route("GET", "/api/v1/workloads/pods")
def _pods(call: Call) -> Answer:
    """The pods of all workloads; names of workload and project with `verbosity=full` alone."""
    control, wanted = call.control, call.query.get("completed")
    found = [pod for w in control.listed() for pod in workload_json.pods(w, control.cluster)]
    if wanted in ("true", "false"):
        found = [pod for pod in found if (pod["completedAt"] is not None) is (wanted == "true")]
    if call.query.get("verbosity") != "full":
        for pod in found:
            del pod["workloadName"], pod["projectName"]
    return 200, listing.page("pods", found, call.query)


@WORKLOADS.route("POST", "/api/v1/workloads/batch")
def _batch(call: Call) -> Answer:
    body = body_of(call.body)
    ids, action = body.get("ids"), body.get("action")
    if not isinstance(ids, list) or not ids or action not in BATCH_ACTIONS:
        raise Rejected(400, f"ids must be a list and action one of {', '.join(BATCH_ACTIONS)}")
    succeeded: list[object] = []
    failed: list[Json] = []
    for key in ids:
        try:
            _act(call, call.control.find(str(key)), str(action))
            succeeded.append(key)
        except Rejected as error:
            failed.append({"id": key, "code": error.status, "message": error.message})
    parts = {"succeeded": succeeded, "failed": failed}
    return 200, {"id": call.control.new_id("batch"), **{k: v for k, v in parts.items() if v}}


@WORKLOADS.route("GET", "/api/v1/workloads/{key}")
def _workload(call: Call, key: str) -> Answer:
    control = call.control
    return 200, workload_json.detailed(_shown(call, key), control.cluster, control.now)


@WORKLOADS.route("GET", "/api/v1/workloads/{key}/pods")
def _workload_pods(call: Call, key: str) -> Answer:
    found = workload_json.pods(_shown(call, key), call.control.cluster)
    return 200, listing.page("pods", found, call.query)


@WORKLOADS.route("GET", "/api/v1/workloads/{key}/events")
def _events(call: Call, key: str) -> Answer:
    found = workload_json.events(_shown(call, key))
    if call.query.get("sortOrder", "desc") == "desc":
        found.reverse()
    return 200, listing.page("events", found, call.query)


@WORKLOADS.route("GET", "/api/v1/workloads/{key}/history")
def _history(call: Call, key: str) -> Answer:
    found = workload_json.history(_shown(call, key))
    return 200, listing.page("records", found, call.query)


@WORKLOADS.route("GET", "/api/v1/workloads/{key}/metrics")
def _workload_metrics(call: Call, key: str) -> Answer:
    workload = _shown(call, key)
    return metrics_answer(call, metrics.of_workload(workload, _gpu_memory_bytes(call, workload)))


@WORKLOADS.route("GET", "/api/v1/workloads/{key}/pods/{pod}/metrics")
def _pod_metrics(call: Call, key: str, pod: str) -> Answer:
    workload = _shown(call, key)
    ids = [workload.pod_id(index) for index in range(len(workload.pods))]
    if pod not in ids:
        raise Rejected(404, NOT_FOUND)
    memory = _gpu_memory_bytes(call, workload)
    return metrics_answer(call, metrics.of_pod(workload, ids.index(pod), memory))


@WORKLOADS.route("POST", "/api/v1/workloads/{path}")
def _create(call: Call, path: str) -> Answer:
    if path not in KINDS:
        raise Rejected(404, f"There is no type of workload {path}")
    access.may_work(call.control.project_of(body_of(call.body)))
    workload = call.control.create(KINDS[path], call.body, call.user)
    return 202, workload_json.typed(workload, call.control.cluster)


@WORKLOADS.route("GET", "/api/v1/workloads/{path}/{key}")
def _typed(call: Call, path: str, key: str) -> Answer:
    return 200, workload_json.typed(_of_kind(call, path, key), call.control.cluster)


@WORKLOADS.route("DELETE", "/api/v1/workloads/{path}/{key}")
def _delete(call: Call, path: str, key: str) -> Answer:
    return _act(call, _of_kind(call, path, key), "delete")


@WORKLOADS.route("POST", "/api/v1/workloads/{path}/{key}/{action}")
def _suspend_or_resume(call: Call, path: str, key: str, action: str) -> Answer:
    if action not in ("suspend", "resume"):
        raise Rejected(404, f"There is no action {action}")
    return _act(call, _of_kind(call, path, key), action)


def _act(call: Call, workload: Workload, action: str) -> Answer:
    access.may_work(workload.project)
    {
        "delete": call.control.delete,
        "suspend": call.control.suspend,
        "resume": call.control.resume,
    }[action](workload)
    return 202, {"code": 202, "message": "Request has been accepted."}


def _listed(call: Call) -> list[Json]:
    control = call.control
    deleted = call.query.get("deleted") == "true"
    found = control.deleted() if deleted else control.listed()
    return [workload_json.listed(w, control.cluster, control.now) for w in found]


def _shown(call: Call, key: str) -> Workload:
    """The workload, once the list shows it too. Raises `Rejected`."""
    found = call.control.find(key)
    if found not in call.control.listed():
        raise Rejected(404, NOT_FOUND)
    return found


def _of_kind(call: Call, path: str, key: str) -> Workload:
    if path not in KINDS:
        raise Rejected(404, f"There is no type of workload {path}")
    return call.control.find(key, KINDS[path])


def _gpu_memory_bytes(call: Call, workload: Workload) -> int:
    nodes = call.control.cluster.nodes
    names = {seat.node for seat in workload.seats}
    return next((n for n in nodes if n.name in names), nodes[0]).gpu_memory_bytes
