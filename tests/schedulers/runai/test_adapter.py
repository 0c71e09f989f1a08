"""Hostile and odd answers, rights by role, and what a constructor may not do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from foundry_tui.estate.acts import Cancel, Hold, Submit, Suspend
from foundry_tui.estate.node import NodeState
from foundry_tui.estate.run import RunState
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.ports import Unavailable
from tests.schedulers.consistency import assert_consistent
from tests.schedulers.runai.plane import CLUSTER, PROJECT, RULES, Plane, reply

OTHER = "00000000-1111-4222-a333-444444444444"
EVIL = "a\x1b]52;c;AAAA\x07b\n9 forged\u202e, c"


def uuid(number: int) -> str:
    return f"00000000-0000-4000-a000-{number:012d}"


def workload(number: int, **more: Any) -> dict[str, Any]:
    base = {
        "id": uuid(number),
        "name": f"w{number}",
        "type": "Training",
        "clusterId": CLUSTER,
        "projectId": 1,  # the document's examples have numbers where its schema has texts
        "projectName": "team-a",
        "submittedBy": "me@x.org",
        "createdAt": "2026-11-20T10:00:00Z",
        "phase": "Running",
        "phaseUpdatedAt": "2026-11-20T11:00:00Z",
        "workloadRequestedResources": {"gpu": {"request": 1}},
        "podsRequestedResources": {"gpu": {"request": 1}},
        "requestedPods": {"number": 1},
        "environmentVariables": {},
    }
    return {**base, **more}


def pod(number: int, node: str = "n1", **more: Any) -> dict[str, Any]:
    base = {
        "id": f"pod-{number}",
        "workloadId": uuid(number),
        "clusterId": CLUSTER,
        "nodeName": node,
        "k8sPhase": "Running",
        "allocatedResources": {"gpu": 1},
    }
    return {**base, **more}


def node(name: str, **more: Any) -> dict[str, Any]:
    base = {"id": f"id-{name}", "name": name, "clusterUuid": CLUSTER, "status": "Ready"}
    return {**base, "nodePool": "a100", "gpuInfo": {"gpuType": "A100", "gpuCount": 1}, **more}


def estate_of(plane: Plane, workloads: list[Any], pods: list[Any], nodes: list[Any]) -> None:
    plane.answers["GET /api/v1/workloads"] = reply({"workloads": workloads})
    plane.answers["GET /api/v1/workloads/pods"] = reply({"pods": pods})
    plane.answers["GET /api/v1/nodes"] = reply({"nodes": nodes})


def role(name: str, scope: str = "project", scope_id: str = "1") -> object:
    rule = {**RULES["accessRules"]["accessRules"][0], "roleName": name}  # type: ignore[index]
    rules = [{**rule, "scopeType": scope, "scopeId": scope_id}]
    return {"accessRules": {"totalRecords": 1, "displayRecords": 1, "accessRules": rules}}


def submit(*options: str, script: bytes = b"#!/bin/sh\ntrue\n") -> Submit:
    return Submit(source="r", script=script, script_name="a.sh", options=options)


def test_making_an_adapter_imports_and_opens_nothing() -> None:
    code = """
import sys
from foundry_tui.config.sources import RunaiConfig
from foundry_tui.schedulers.runai.adapter import RunaiAdapter
RunaiAdapter(RunaiConfig(name="r", url="https://nowhere.invalid"), env={})
print([m for m in ("httpx", "kubernetes", "msgspec", "ssl") if m in sys.modules])
"""
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_hostile_names_are_made_safe_and_stay_apart(tmp_path: Path) -> None:
    plane = Plane()
    projects = [
        {**PROJECT, "name": EVIL},
        {**PROJECT, "id": "2", "name": EVIL},
        {**PROJECT, "id": "3", "name": "group", "parentId": "9"},
    ]
    plane.answers["GET /api/v1/org-unit/projects"] = reply({"projects": projects})
    roofs = {"departments": [{"id": "9", "name": "group", "clusterId": CLUSTER}]}
    plane.answers["GET /api/v1/org-unit/departments"] = reply(roofs)
    estate_of(
        plane,
        [workload(1, name=EVIL, submittedBy=EVIL, phaseMessage=EVIL), workload(2, projectId="2")],
        [pod(1, EVIL), pod(2, "n1")],
        [node(EVIL), node("n1", nodePool=EVIL)],
    )
    estate = plane.adapter(tmp_path).snapshot()
    assert_consistent(estate, "r")
    first, second = estate.runs
    assert first.name == safe(EVIL)
    assert first.name_raw == EVIL.encode()
    assert first.queue != second.queue
    assert len({q.name for q in estate.queues}) == 4
    assert {(q.name, q.parent) for q in estate.queues if q.kind == "department"} == {
        ("group", None)
    }
    assert all(q.name.isprintable() and "," not in q.name for q in estate.queues)
    assert first.placement[0].node == safe(EVIL)


def test_nodes_of_one_name_in_two_clusters_stay_apart(tmp_path: Path) -> None:
    plane = Plane()
    pods = [pod(1), pod(2, clusterId=OTHER)]
    nodes = [node("n1"), node("n1", clusterUuid=OTHER)]
    estate_of(plane, [workload(1), workload(2, clusterId=OTHER)], pods, nodes)
    estate = plane.adapter(tmp_path).snapshot()
    assert [n.name for n in estate.nodes] == ["n1", f"n1@{OTHER}"]
    assert [n.gpu_milli_allocated for n in estate.nodes] == [1000, 1000]
    one = plane.adapter(tmp_path, cluster="gpu").snapshot()
    assert [(len(one.nodes), r.native_id) for r in one.runs] == [(1, uuid(1))]


@pytest.mark.parametrize(
    ("more", "state"),
    [
        ({}, NodeState.IDLE),
        ({"status": "NotReady"}, NodeState.DOWN),
        ({"status": "Puzzled"}, NodeState.UNKNOWN),
        (
            {"taints": [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]},
            NodeState.DRAINED,
        ),
        ({"taints": [{"key": "team", "effect": "NoSchedule"}]}, NodeState.IDLE),
        ({"gpuInfo": None}, NodeState.IDLE),
        ({"gpuInfo": {"gpuCount": 10**12}}, NodeState.IDLE),
    ],
)
def test_states_of_nodes(tmp_path: Path, more: dict[str, Any], state: NodeState) -> None:
    plane = Plane()
    estate_of(plane, [], [], [node("n1", **more)])
    (found,) = plane.adapter(tmp_path).snapshot().nodes
    assert found.state is state
    assert found.gpu_count <= 64


@pytest.mark.parametrize(
    ("phase", "state"),
    [
        ("Creating", RunState.PENDING),
        ("Initializing", RunState.RUNNING),
        ("Degraded", RunState.RUNNING),
        ("Stopped", RunState.SUSPENDED),
        ("Deleting", RunState.COMPLETING),
        ("Failed", RunState.FAILED),
        ("Levitating", RunState.UNKNOWN),
        (None, RunState.UNKNOWN),
    ],
)
def test_phases(tmp_path: Path, phase: str | None, state: RunState) -> None:
    plane = Plane()
    estate_of(plane, [workload(1, phase=phase)], [pod(1)], [node("n1")])
    assert plane.adapter(tmp_path).snapshot().runs[0].state is state


@pytest.mark.parametrize(
    ("name", "scope", "scope_id", "why"),
    [
        ("L1 researcher", "project", "1", None),
        ("Our own role", "cluster", CLUSTER, None),
        ("System administrator", "tenant", "1001", None),
        ("Department administrator", "department", "9", None),
        ("Viewer", "project", "1", "your role there is Viewer"),
        ("ML engineer", "tenant", "1001", "your role there is ML engineer"),
        ("L1 researcher", "project", "2", "no access rule of yours covers it"),
    ],
)
def test_what_a_role_does_not_allow_is_said_before(
    tmp_path: Path, name: str, scope: str, scope_id: str, why: str | None
) -> None:
    plane = Plane()
    rules = reply(role(name, scope, scope_id))
    plane.answers["GET /api/v1/authorization/me/access-rules"] = rules
    adapter = plane.adapter(tmp_path)
    (item,) = adapter.preview(submit("-p", "team-a", "-i", "img"), (), "t").items
    assert (item.refusal is None) if why is None else why in (item.refusal or "")
    rights = adapter.rights()
    assert rights.user == "me@x.org"
    assert rights.admin is (name == "System administrator")
    assert rights.queues_of(None) == (("team-a",) if why is None else ())
    assert adapter.user() == "me@x.org"
    assert adapter.rights("somebody").associations is None


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("-p", "nowhere", "-i", "img"), "no project 'nowhere'; projects: team-a"),
        (("-p", "team-a"), "--image"),
        (("-i", "img", "--name", "Big Name"), "--name"),
        (("-i", "img", "--kind", "Job"), "--kind"),
        (("-i", "img", "--namespace", "ns"), "--namespace"),
        (("-i", "img", "--time=60"), "--time"),
        (("-i", "img", "-g", "many"), "--gpu-devices-request"),
    ],
)
def test_what_cannot_be_submitted_names_the_option(
    tmp_path: Path, options: tuple[str, ...], why: str
) -> None:
    (item,) = Plane().adapter(tmp_path).preview(submit(*options), (), "t").items
    assert why in (item.refusal or "")
    assert item.command == ()


def test_the_request_is_what_is_sent(tmp_path: Path) -> None:
    plane = Plane()
    answer = {"workloadId": uuid(7), "name": "a"}
    plane.answers["POST /api/v1/workloads/trainings"] = reply(answer, 202)
    adapter = plane.adapter(tmp_path)
    act = Submit(
        source="r",
        script=b"#!/bin/bash\necho '$1 \xc3\xa9'\n",
        script_name="a.sh",
        options=("-i", "img", "--gpu-portion-request=0.5", "--cpu-memory-request=8Gi"),
        script_args=("x y",),
        environment=(("SEED", "1"),),
        work_dir="/data",
    )
    preview = adapter.preview(act, (), "token-7")
    (receipt,) = adapter.perform(preview, "token-7")
    assert receipt.target == uuid(7)
    sent = next(r for r in plane.asked if r.method == "POST")
    assert preview.items[0].command == ("POST", sent.url.path, sent.content.decode())
    body = json.loads(sent.content)
    assert (body["projectId"], body["clusterId"]) == ("1", CLUSTER)
    spec = body["spec"]
    assert spec["compute"] == {
        "gpuDevicesRequest": 1,
        "gpuRequestType": "portion",
        "gpuPortionRequest": 0.5,
        "gpuPortionLimit": 0.5,
        "cpuMemoryRequest": "8Gi",
    }
    assert {"name": "foundry/submit-token", "value": "token-7"} in spec["annotations"]
    assert {"name": "SEED", "value": "1"} in spec["environmentVariables"]
    assert (spec["command"], spec["workingDir"]) == ("/bin/sh", "/data")
    assert spec["args"].endswith("a.sh 'x y'")
    assert "#!/bin/bash is not looked at" in (preview.items[0].warning or "")


def test_a_batch_answers_for_each_of_its_items(tmp_path: Path) -> None:
    plane = Plane()
    answer = {
        "id": uuid(0),
        "succeeded": [uuid(1)],
        "failed": [{"id": uuid(2), "code": 403, "message": "not yours"}],
    }
    plane.answers["POST /api/v1/workloads/batch"] = reply(answer)
    adapter = plane.adapter(tmp_path)
    act = Cancel(source="r", runs=tuple(f"r/{uuid(n)}" for n in (1, 2, 3)))
    receipts = adapter.perform(adapter.preview(act, (), "t"), "t")
    assert [r.status for r in receipts] == ["accepted", "refused", "unknown"]
    assert "403 not yours" in (receipts[1].message or "")
    assert plane.count("POST", "/api/v1/workloads/batch") == 1


def test_what_a_workload_does_not_take_is_refused_before(tmp_path: Path) -> None:
    plane = Plane()
    fixed = {"actionsSupport": {"delete": False, "suspend": False}}
    estate_of(plane, [workload(1, **fixed), workload(2, phase="Completed")], [], [node("n1")])
    adapter = plane.adapter(tmp_path)
    runs = adapter.snapshot().runs
    ids = tuple(r.id for r in runs)
    cancel = Cancel(source="r", runs=ids)
    told = [i.refusal or "" for i in adapter.preview(cancel, runs, "t").items]
    assert "actionsSupport.delete" in told[0]
    assert "ended already" in told[1]
    (item, _) = adapter.preview(Suspend(source="r", runs=ids), runs, "t").items
    assert "actionsSupport.suspend" in (item.refusal or "")
    with pytest.raises(ValueError, match="cannot hold"):
        adapter.preview(Hold(source="r", runs=ids), runs, "t")


def test_a_token_is_looked_for_among_the_newest_only(tmp_path: Path) -> None:
    plane = Plane()
    many = [workload(n) for n in range(500)]
    listed = reply({"workloads": many, "next": 500})
    plane.answers["GET /api/v1/workloads"] = listed
    assert plane.adapter(tmp_path).find_submitted("nobody") is None
    asked = [r for r in plane.asked if r.url.path == "/api/v1/workloads"]
    assert [r.url.params["deleted"] for r in asked] == ["false", "true"]
    assert {r.url.params["sortBy"] for r in asked} == {"createdAt"}


def test_a_token_in_an_annotation_is_found(tmp_path: Path) -> None:
    plane = Plane()
    silent = workload(1)
    del silent["environmentVariables"]
    plane.answers["GET /api/v1/workloads"] = reply({"workloads": [silent]})
    note = {"name": "foundry/submit-token", "value": "tok"}
    record = reply({"workloadId": uuid(1), "spec": {"annotations": [note]}})
    plane.answers[f"GET /api/v1/workloads/trainings/{uuid(1)}"] = record
    assert plane.adapter(tmp_path).find_submitted("tok") == uuid(1)


def test_a_search_that_fails_is_not_a_no(tmp_path: Path) -> None:
    plane = Plane()
    plane.answers["GET /api/v1/workloads"] = reply({"code": 503, "message": "later"}, 503)
    with pytest.raises(Unavailable, match="503 later"):
        plane.adapter(tmp_path).find_submitted("tok")
