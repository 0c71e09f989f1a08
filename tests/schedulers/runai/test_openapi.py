"""The judge finds what is wrong, so that its silence means something."""

from __future__ import annotations

import pytest

from tests.schedulers.runai.openapi import judge, judge_asked, judge_request, missing

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))

BATCH = "/api/v1/workloads/batch"
KEY = "8b0c1d9e-1111-4222-8333-444455556666"


def test_a_good_answer_passes() -> None:
    assert judge("POST", BATCH, 200, {"id": KEY, "succeeded": [KEY]}) == []
    assert judge("GET", "/api/v1/workloads/count", 200, {"count": 3}) == []
    assert judge("DELETE", f"/api/v1/workloads/trainings/{KEY}", 202, _accepted()) == []


@pytest.mark.parametrize(
    ("method", "path", "status", "body", "fault"),
    [
        ("POST", BATCH, 200, {"succeeded": [KEY]}, "id: is required"),
        ("POST", BATCH, 200, {"id": "no"}, "is no uuid"),
        ("POST", BATCH, 200, {"id": KEY, "done": []}, "done: not in the document"),
        ("POST", BATCH, 200, None, "null is not allowed"),
        ("POST", BATCH, 418, {"id": KEY}, "code: is required"),
        ("POST", BATCH, 299, {"id": KEY}, "answer 299 is not documented"),
        ("GET", "/api/v1/workloads/count", 200, {"count": "3"}, "'3' is no integer"),
        ("GET", "/api/v1/workloads/count", 200, {"count": 2**70}, "is not in"),
        ("GET", "/api/v1/workload", 200, {}, "not in the document"),
    ],
)
def test_a_bad_answer_is_told(
    method: str, path: str, status: int, body: object, fault: str
) -> None:
    found = judge(method, path, status, body)
    assert len([text for text in found if fault in text]) == 1, found


def test_faults_deep_in_an_answer_are_found() -> None:
    workload = {"phase": "Sleeping", "priority": None, "createdAt": "2026-11-20T12:00:00"}
    found = " ".join(judge("GET", "/api/v1/workloads", 200, {"workloads": [workload]}))
    assert "workloads[0].phase: 'Sleeping' is not one of" in found
    assert "workloads[0].createdAt: '2026-11-20T12:00:00' is no date-time" in found
    assert "workloads[0].id: is required" in found
    assert "priority: null" not in found


def test_requests_are_judged() -> None:
    path = "/api/v1/workloads/trainings"
    body = {"name": "a", "projectId": "1", "clusterId": KEY}
    assert judge_request("POST", path, {**body, "spec": {"image": "x"}}) == []
    found = judge_request("POST", path, {**body, "spec": {"imagee": "x", "compute": {"gpus": 1}}})
    assert len(found) == 2
    compute = {"gpuRequestType": "migProfile", "gpuPortionRequest": -1}
    assert len(judge_request("POST", path, {**body, "spec": {"compute": compute}})) == 2


def test_queries_are_judged() -> None:
    path = "/api/v1/workloads"
    assert judge_request("GET", path, None, "limit=500&filterBy=phase%3D%3DRunning") == []
    assert "999 is not in 1..500" in judge_request("GET", path, None, "limit=999")[0]
    assert "not in the document" in judge_request("GET", path, None, "sort=name")[0]
    assert "does not fit" in judge_request("GET", path, None, "filterBy=colour%3D%3Dred")[0]
    assert len(judge_request("GET", f"{path}/{KEY}/metrics", None)) == 3


def test_noted_requests_are_judged() -> None:
    good = ("POST", "/api/v2/token", "", b"grant_type=client_credentials&client_id=a")
    bad = ("POST", BATCH, "", b'{"ids": [], "action": "hold"}')
    assert judge_asked([good]) == []
    assert "'hold' is not one of" in " ".join(judge_asked([good, bad]))


def _accepted() -> dict[str, object]:
    return {"code": 202, "message": "Request has been accepted."}
