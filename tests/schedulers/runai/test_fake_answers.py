"""The fake's lists, metrics and tokens."""

from __future__ import annotations

from typing import Any

import pytest

from foundry_tui.schedulers.runai.fake import FakeRunai
from tests.schedulers.runai.asking import CREDENTIALS, NLP, VISION, Client, gpus
from tests.schedulers.runai.openapi import judge, judge_request


def test_the_list_comes_in_pages(client: Client, fake: FakeRunai) -> None:
    for number in range(7):
        fake.submit(f"job-{number}")
    fake.advance(10)
    names, offset = [], 0
    while True:
        told = client.ask("GET", "/api/v1/workloads", limit=3, offset=offset, sortBy="name")
        names += [w["name"] for w in told["workloads"]]
        if "next" not in told:
            break
        offset = told["next"]
    assert names == [f"job-{number}" for number in range(7)]
    assert offset == 6
    assert client.ask("GET", "/api/v1/workloads/count")["count"] == 7


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"filterBy": "projectName==nlp"}, ["c"]),
        ({"filterBy": "projectName!=nlp"}, ["a", "b"]),
        ({"filterBy": "phase==Running,allocatedGPU>=2"}, ["b", "c"]),
        ({"filterBy": "name=^a"}, ["a"]),
        ({"filterBy": "nodepool==h100"}, ["c"]),
        ({"filterBy": "createdAt<=2026-11-20T12:00:00Z"}, ["a", "b", "c"]),
        ({"filterBy": "createdAt>=2026-11-20T12:00:01Z"}, []),
        ({"search": "NLP"}, ["c"]),
        ({"sortBy": "allocatedGPU", "sortOrder": "desc"}, ["c", "b", "a"]),
    ],
)
def test_the_list_is_filtered_and_sorted(
    client: Client, fake: FakeRunai, query: dict[str, str], names: list[str]
) -> None:
    fake.submit("a", compute=gpus(1), nodePools=["a100"])
    fake.submit("b", compute=gpus(2), nodePools=["a100"])
    fake.submit("c", "nlp", compute=gpus(3), nodePools=["h100"])
    fake.advance(10)
    assert client.names(**query) == names


@pytest.mark.parametrize(
    "query",
    [{"limit": 501}, {"limit": "x"}, {"offset": -1}, {"filterBy": "phase"}, {"filterBy": "x==1"}],
)
def test_a_bad_query_is_refused(client: Client, fake: FakeRunai, query: dict[str, Any]) -> None:
    fake.submit("a")
    fake.advance(10)
    client.ask("GET", "/api/v1/workloads", 400, **query)


def test_every_list_answers(client: Client) -> None:
    clusters = client.ask("GET", "/api/v1/clusters")
    assert [cluster["uuid"] for cluster in clusters] == [client.fake.cluster_id]
    nodes = client.ask("GET", "/api/v1/nodes")["nodes"]
    inside = client.ask("GET", f"/api/v1/clusters/{client.fake.cluster_id}/nodes")["nodes"]
    assert inside == nodes
    assert sum(node["gpuInfo"]["gpuCount"] for node in nodes) == 40
    assert client.ask("GET", "/api/v1/nodes/count")["count"] == 6
    assert len(client.ask("GET", "/api/v1/node-pools")["nodepools"]) == 2
    projects = client.ask("GET", "/api/v1/org-unit/projects")["projects"]
    assert [p["name"] for p in projects] == ["vision", "nlp", "größe-日本"]
    assert projects[2]["parent"]["name"] == "research"
    priorities = client.ask("GET", "/api/v1/workload-priorities")["priorities"]
    assert {p["name"]: p["value"] for p in priorities}["very-high"] == 150


def test_pods_of_all_workloads(client: Client, fake: FakeRunai) -> None:
    short = fake.submit("short", args="sleep 5", compute=gpus(1), nodePools=["h100"])
    long = fake.submit("long", compute=gpus(2))
    fake.advance(60)
    path = "/api/v1/workloads/pods"
    pods = {pod["workloadId"]: pod for pod in client.ask("GET", path)["pods"]}
    assert set(pods) == {short, long}
    assert "workloadName" not in pods[long]
    assert (pods[short]["k8sPhase"], pods[short]["currentNodePool"]) == ("Succeeded", "h100")
    assert pods[short]["nodeName"].startswith("h100")
    assert pods[short]["allocatedResources"]["gpu"] == 0
    live = client.ask("GET", path, completed="false", verbosity="full")["pods"]
    assert [pod["workloadName"] for pod in live] == ["long"]


def test_put_empties_what_patch_leaves(client: Client) -> None:
    pool = client.ask("GET", "/api/v1/node-pools", filterBy="name==a100")["nodepools"][0]["id"]
    path = f"/api/v1/org-unit/projects/{VISION}/resources"
    body = [{"nodePool": {"id": pool}, "gpu": {"deserved": 10}}]
    told = client.ask("PATCH", path, body=body)
    assert told[0]["gpu"] == {"deserved": 10, "limit": 16, "overQuotaWeight": 2}
    told = client.ask("PUT", path, body=body)
    assert told[0]["gpu"] == {"deserved": 10, "limit": None, "overQuotaWeight": 1}
    assert told[1]["gpu"]["deserved"] == 2
    for bad in ([{"nodePool": {"id": pool}, "gpu": {"deserved": -1}}], {"gpu": 1}):
        client.ask("PUT", path, 400, body=bad)


def test_telemetry_tells_what_the_nodes_do_not(client: Client, fake: FakeRunai) -> None:
    fake.submit("a", compute=gpus(8), nodePools=["a100"])
    fake.advance(10)

    def numbers(kind: str, group: str) -> dict[str, float]:
        told = client.ask("GET", "/api/v1/nodes/telemetry", telemetryType=kind, groupBy=group)
        return {v["groups"][0]["value"]: float(v["value"]) for v in told["values"]}

    assert numbers("TOTAL_GPU_MEMORY_BYTES", "Node")["h100-01"] == 4 * 80 * 2**30
    assert numbers("TOTAL_CPU_CORES", "Node")["a100-01"] == 128
    assert numbers("FREE_GPUS", "Nodepool") == {"a100": 24, "h100": 8}


def test_metrics_are_strings_and_missing_is_not_zero(client: Client, fake: FakeRunai) -> None:
    key = fake.submit("a", compute=gpus(2, 0.5))
    fake.advance(100)
    window: dict[str, Any] = {"start": "2026-11-20T11:58:20Z", "end": "2026-11-20T12:01:40Z"}
    names = ["GPU_UTILIZATION", "GPU_ALLOCATION", "GPU_MEMORY_USAGE_BYTES"]
    path = f"/api/v1/workloads/{key}/metrics"
    told = client.ask("GET", path, metricType=",".join(names), numberOfSamples=100, **window)
    assert [m["type"] for m in told["measurements"]] == names
    values = told["measurements"][1]["values"]
    assert {v["value"] for v in values} == {"1"}
    assert len(values) == 50, "the fake is 100 s old, and knows nothing of the time before"
    assert values[0]["timestamp"] == "2026-11-20T12:00:02.000Z"
    assert all(float(v["value"]) >= 55 for v in told["measurements"][0]["values"])
    again = client.ask("GET", path, metricType=",".join(names), numberOfSamples=100, **window)
    assert again == told


def test_a_metric_that_nobody_measures_has_no_values(client: Client, fake: FakeRunai) -> None:
    key = fake.submit("a", compute=gpus(1))
    fake.advance(60)
    told = client.ask(
        "GET",
        f"/api/v1/workloads/{key}/metrics",
        metricType="NVLINK_BANDWIDTH_TOTAL",
        start="2026-11-20T12:00:00Z",
        end="2026-11-20T12:01:00Z",
    )
    assert [(m["type"], m["values"]) for m in told["measurements"]] == [
        ("NVLINK_BANDWIDTH_TOTAL", [])
    ]


def test_metrics_may_come_in_part(client: Client, fake: FakeRunai) -> None:
    key = fake.submit("a", compute=gpus(1))
    fake.advance(60)
    fake.partial_metrics()
    told = client.ask(
        "GET",
        f"/api/v1/workloads/{key}/metrics",
        207,
        metricType="GPU_UTILIZATION,GPU_ALLOCATION",
        start="2026-11-20T12:00:00Z",
        end="2026-11-20T12:01:00Z",
    )
    first, last = told["measurements"]
    assert first["values"]
    assert last["values"] is None


def test_an_idle_workload_is_told_as_idle(client: Client, fake: FakeRunai) -> None:
    note = [{"name": "foundry.fake/gpu-util-pct", "value": "0"}]
    key = fake.submit("a", compute=gpus(2), annotations=note)
    fake.advance(600)
    told = client.workload(key)
    assert (told["idleGpus"], told["idleAllocatedGpus"]) == (2, 2)
    node = client.ask("GET", f"/api/v1/workloads/{key}/pods")["pods"][0]["nodeName"]
    node_id = client.ask("GET", "/api/v1/nodes", filterBy=f"name=={node}")["nodes"][0]["id"]
    measured = client.ask(
        "GET",
        f"/api/v1/nodes/{node_id}/metrics",
        metricType="GPU_UTILIZATION_PER_GPU,GPU_ALLOCATION_PER_GPU,GPU_IDLE_TIME_SECONDS_PER_GPU",
        start="2026-11-20T12:05:00Z",
        end="2026-11-20T12:10:00Z",
        numberOfSamples=1,
    )["measurements"]
    busy = [m["values"][0]["value"] for m in measured if m["type"] == "GPU_UTILIZATION_PER_GPU"]
    held = [m["values"][0]["value"] for m in measured if m["type"] == "GPU_ALLOCATION_PER_GPU"]
    assert set(busy) == {"0"}
    assert held.count("1") == 2


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"start": "yesterday"},
        {"metricType": "COLOUR"},
        {"numberOfSamples": "1001"},
        {"end": "2026-11-20T11:00:00Z"},
    ],
)
def test_a_bad_question_for_metrics_is_refused(
    client: Client, fake: FakeRunai, query: dict[str, str]
) -> None:
    key = fake.submit("a")
    fake.advance(10)
    good = {
        "metricType": "GPU_ALLOCATION",
        "start": "2026-11-20T12:00:00Z",
        "end": "2026-11-20T12:00:10Z",
    }
    words = {**good, **query} if query else {}
    client.ask("GET", f"/api/v1/workloads/{key}/metrics", 400, **words)


def test_tokens_expire_and_are_refreshed(client: Client, fake: FakeRunai) -> None:
    refresh = client.ask("POST", "/api/v1/token", body=CREDENTIALS)["refreshToken"]
    client.names()
    fake.advance(3599)
    client.names()
    fake.advance(1)
    assert client.ask("GET", "/api/v1/workloads", 401)["message"] == "Token is expired"
    words = {"grantType": "refresh_token", "refreshToken": refresh, "clientID": "foundry"}
    token = client.ask("POST", "/api/v1/token", body=words)["accessToken"]
    client.http.headers["Authorization"] = f"Bearer {token}"
    client.names()
    fake.expire_tokens()
    client.ask("GET", "/api/v1/workloads", 401)
    client.login()
    client.names()


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ({"grantType": "app_token", "AppId": "foundry", "AppSecret": "secret"}, 200),
        ({"grantType": "app_token", "appID": "foundry", "appSecret": "secret"}, 200),
        ({**CREDENTIALS, "clientSecret": "wrong"}, 401),
        ({"grantType": "refresh_token", "refreshToken": "wrong"}, 401),
        ({"grantType": "password", "username": "a", "password": "b"}, 400),
    ],
)
def test_grants_of_the_first_endpoint(client: Client, words: dict[str, str], status: int) -> None:
    answer = client.http.post("/api/v1/token", json=words)
    assert answer.status_code == status
    assert judge("POST", "/api/v1/token", status, answer.json()) == []


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"grant_type": "client_credentials", "client_secret": "secret"}, 200, None),
        ({"grant_type": "client_credentials", "client_secret": "wrong"}, 401, "invalid_client"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, 400, "invalid_grant"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
def test_grants_of_the_second_endpoint(
    client: Client, form: dict[str, str], status: int, error: str | None
) -> None:
    form = {"client_id": "foundry", **form}
    assert judge_request("POST", "/api/v2/token", form) == []
    answer = client.http.post("/api/v2/token", data=form)
    assert answer.status_code == status
    assert judge("POST", "/api/v2/token", status, answer.json()) == []
    assert answer.json().get("error") == error


def test_without_a_token_nothing_is_told(client: Client) -> None:
    del client.http.headers["Authorization"]
    assert client.ask("GET", "/api/v1/nodes", 401)["message"] == "Issuer is not familiar."
    assert client.http.get("/no/such/path").status_code == 401


@pytest.mark.parametrize("body", ["", "[]", "nonsense", '{"name": 5}', '{"name": "a", "spec": 3}'])
def test_nonsense_is_refused(client: Client, body: str) -> None:
    for path in ("trainings", "batch"):
        answer = client.http.post(f"/api/v1/workloads/{path}", content=body)
        assert answer.status_code in (400, 404)
        assert answer.json()["message"]
    assert client.create("fine", project=NLP)["name"] == "fine"
