"""The fake's scheduler: quota, limits, placement of fractions and gangs, preemption."""

from __future__ import annotations

from typing import Any

from foundry_tui.schedulers.runai.fake import FakeRunai
from tests.schedulers.runai.asking import NLP, UNICODE, VISION, Client, gpus


def _seats(client: Client, key: str) -> list[tuple[str, list[str]]]:
    """Node and GPU indices of each pod."""
    found = []
    for pod in client.ask("GET", f"/api/v1/workloads/{key}/pods")["pods"]:
        told = client.ask(
            "GET",
            f"/api/v1/workloads/{key}/pods/{pod['id']}/metrics",
            metricType="GPU_UTILIZATION_PER_GPU",
            start="2026-11-20T12:00:00Z",
            end=client.fake.now().isoformat(),
            numberOfSamples=1,
        )
        found.append((pod["nodeName"], [m["labels"]["gpu"] for m in told["measurements"]]))
    return found


def test_non_preemptible_has_to_fit_the_deserved_quota(client: Client, fake: FakeRunai) -> None:
    """vision deserves 12 A100 and may use 16; research deserves 18."""
    first = client.create(
        "a", compute=gpus(8), preemptibility="non-preemptible", nodePools=["a100"]
    )
    second = client.create(
        "b", compute=gpus(5), preemptibility="non-preemptible", nodePools=["a100"]
    )
    fake.advance(10)
    assert client.workload(first["workloadId"])["phase"] == "Running"
    told = client.workload(second["workloadId"])
    assert (told["phase"], told["phaseReason"]) == ("Pending", "NonPreemptibleOverQuota")
    (message,) = told["pendingSchedulingMessages"]
    assert (message["nodePool"], message["orgType"]) == ("a100", "PROJECT")
    assert told["phaseMessage"] == message["userMessage"]
    assert "quota of 12 GPUs" in told["phaseMessage"]
    client.ask("DELETE", f"/api/v1/workloads/trainings/{first['workloadId']}", 202)
    fake.advance(10)
    assert client.workload(second["workloadId"])["phase"] == "Running"


def test_preemptible_may_go_over_the_quota_up_to_the_limit(client: Client, fake: FakeRunai) -> None:
    keys = [
        client.create(f"job-{n}", compute=gpus(8), nodePools=["a100"])["workloadId"]
        for n in range(3)
    ]
    fake.advance(10)
    told = [client.workload(key) for key in keys]
    assert [w["phase"] for w in told] == ["Running", "Running", "Pending"]
    assert told[2]["phaseReason"] == "OverLimit"
    assert "limit of 16 GPUs" in told[2]["phaseMessage"]


def test_the_departments_quota_binds_too(client: Client, fake: FakeRunai) -> None:
    """The department research deserves 18 A100; its projects ask for 12 and, raised, 8."""
    pool = client.ask("GET", "/api/v1/node-pools", filterBy="name==a100")["nodepools"][0]["id"]
    change = [{"nodePool": {"id": pool}, "gpu": {"deserved": 8, "limit": None}}]
    client.ask("PATCH", f"/api/v1/org-unit/projects/{UNICODE}/resources", body=change)
    words: dict[str, Any] = {"preemptibility": "non-preemptible", "nodePools": ["a100"]}
    client.create("a", compute=gpus(6), **words)
    client.create("b", compute=gpus(6), **words)
    fake.advance(5)
    key = client.create("c", project=UNICODE, compute=gpus(8), **words)["workloadId"]
    fake.advance(5)
    (message,) = client.workload(key)["pendingSchedulingMessages"]
    assert (message["orgType"], message["phaseReason"]) == ("DEPARTMENT", "NonPreemptibleOverQuota")


def test_a_lack_of_gpus_is_no_matter_of_quota(client: Client, fake: FakeRunai) -> None:
    """No node has 16 GPUs; nothing of the quota forbids it."""
    key = client.create(project=NLP, compute=gpus(16), nodePools=["a100"])["workloadId"]
    fake.advance(10)
    told = client.workload(key)
    assert (told["phaseReason"], told["pendingSchedulingMessages"]) == (None, [])
    assert told["phaseMessage"] == "Not enough resources in the requested nodepool"
    (event,) = client.ask("GET", f"/api/v1/workloads/{key}/events")["events"]
    assert event["reason"] == "Unschedulable"


def test_a_raised_quota_starts_what_waited(client: Client, fake: FakeRunai) -> None:
    words: dict[str, Any] = {"preemptibility": "non-preemptible", "nodePools": ["a100"]}
    key = client.create(project=UNICODE, compute=gpus(6), **words)["workloadId"]
    fake.advance(10)
    assert client.workload(key)["phase"] == "Pending"
    pool = client.ask("GET", "/api/v1/node-pools", filterBy="name==a100")["nodepools"][0]["id"]
    change = [{"nodePool": {"id": pool}, "gpu": {"deserved": 6, "limit": None}}]
    told = client.ask("PATCH", f"/api/v1/org-unit/projects/{UNICODE}/resources", body=change)
    assert told[0]["gpu"] == {"deserved": 6, "limit": None, "overQuotaWeight": 1}
    fake.advance(10)
    assert client.workload(key)["phase"] == "Running"


def test_fractions_share_a_gpu_and_never_span_two(client: Client, fake: FakeRunai) -> None:
    keys = [client.create(f"f-{n}", compute=gpus(1, 0.4))["workloadId"] for n in range(3)]
    fake.advance(20)
    seats = [_seats(client, key)[0] for key in keys]
    assert seats[0] == seats[1]
    assert seats[2][0] == seats[0][0]
    assert seats[2][1] != seats[0][1]
    node = client.ask("GET", "/api/v1/nodes", filterBy=f"name=={seats[0][0]}")["nodes"][0]
    told = client.ask(
        "GET",
        f"/api/v1/nodes/{node['id']}/metrics",
        metricType="GPU_ALLOCATION_PER_GPU",
        start="2026-11-20T12:00:00Z",
        end="2026-11-20T12:00:20Z",
        numberOfSamples=1,
    )["measurements"]
    assert {m["labels"]["gpu"]: m["values"][0]["value"] for m in told} == {
        **{str(gpu): "0" for gpu in range(len(told))},
        seats[0][1][0]: "0.8",
        seats[2][1][0]: "0.4",
    }


def test_a_fraction_of_several_devices_sits_on_one_node(client: Client, fake: FakeRunai) -> None:
    key = client.create(compute=gpus(4, 0.5))["workloadId"]
    fake.advance(20)
    ((_, indices),) = _seats(client, key)
    assert len(set(indices)) == 4
    told = client.workload(key)
    assert told["workloadRequestedResources"]["gpu"]["request"] == 2
    assert told["allocatedResources"] == {
        "gpu": 2,
        "gpuMemory": "160Gi",
        "cpu": 0,
        "cpuMemory": "0",
        "extendedResources": [],
    }


def test_a_request_of_gpu_memory_takes_its_part_of_a_gpu(client: Client, fake: FakeRunai) -> None:
    compute = {"gpuDevicesRequest": 1, "gpuRequestType": "memory", "gpuMemoryRequest": "20Gi"}
    key = client.create(compute=compute)["workloadId"]
    fake.advance(20)
    told = client.workload(key)
    assert told["workloadRequestedResources"]["gpuMemory"]["request"] == "20Gi"
    assert told["workloadRequestedResources"]["gpu"]["request"] is None
    assert told["allocatedResources"]["gpu"] == 0.25


def test_a_gang_starts_whole_or_not_at_all(client: Client, fake: FakeRunai) -> None:
    """5 pods of 8 A100 do not fit on 4 nodes, so none of them starts; 4 do."""
    words: dict[str, Any] = {"project": NLP, "kind": "distributed", "nodePools": ["a100"]}
    big = client.create("big", numWorkers=5, compute=gpus(8), **words)["workloadId"]
    fake.advance(10)
    assert client.workload(big)["allocatedResources"]["gpu"] == 0
    small = client.create("small", numWorkers=4, compute=gpus(8), **words)["workloadId"]
    fake.advance(10)
    told = client.workload(small)
    assert (told["phase"], told["runningPods"]) == ("Running", 4)
    assert told["requestedPods"]["number"] == 4
    assert len({node for node, _ in _seats(client, small)}) == 4


def test_who_stays_within_the_quota_takes_back_from_who_does_not(
    client: Client, fake: FakeRunai
) -> None:
    """nlp holds all 32 A100 and deserves 12; vision deserves 12 of them."""
    pool = ["a100"]
    borrowed = [
        client.create(f"n-{n}", project=NLP, compute=gpus(8), nodePools=pool)["workloadId"]
        for n in range(4)
    ]
    fake.advance(10)
    key = client.create("v", compute=gpus(8), nodePools=pool)["workloadId"]
    fake.advance(10)
    assert client.workload(key)["phase"] == "Running"
    phases = [client.workload(k)["phase"] for k in borrowed]
    assert sorted(phases) == ["Pending", "Running", "Running", "Running"]
    victim = borrowed[phases.index("Pending")]
    reasons = [
        e["reason"] for e in client.ask("GET", f"/api/v1/workloads/{victim}/events")["events"]
    ]
    assert "Preempted" in reasons
    again = client.create("w", compute=gpus(8), nodePools=pool)["workloadId"]
    fake.advance(10)
    assert client.workload(again)["phase"] == "Pending", "16 is beyond the 12 that vision deserves"


def test_a_higher_priority_takes_from_a_lower_within_a_project(
    client: Client, fake: FakeRunai
) -> None:
    words: dict[str, Any] = {"project": NLP, "nodePools": ["h100"], "compute": gpus(4)}
    low = client.create("low-one", priorityClass="low", **words)["workloadId"]
    fake.advance(10)
    younger = client.create("low-two", priorityClass="low", **words)["workloadId"]
    fake.advance(10)
    high = client.create("high-one", priorityClass="medium", **words)["workloadId"]
    fake.advance(10)
    phases = [client.workload(key)["phase"] for key in (low, younger, high)]
    assert phases == ["Running", "Pending", "Running"]
    same = client.create("high-two", priorityClass="medium", **words)["workloadId"]
    fake.advance(10)
    phases = [client.workload(key)["phase"] for key in (low, high, same)]
    assert phases == ["Pending", "Running", "Running"]


def test_the_quota_shows_what_is_used(client: Client, fake: FakeRunai) -> None:
    client.create("a", compute=gpus(8), nodePools=["a100"])
    client.create("b", compute=gpus(1, 0.5), kind="workspaces", nodePools=["h100"])
    client.create("c", compute=gpus(12), nodePools=["a100"])
    fake.advance(10)
    vision = client.ask("GET", f"/api/v1/org-unit/projects/{VISION}")
    status = vision["status"]
    assert status["quotaStatus"]["allocated"]["gpu"] == 8.5
    assert status["quotaStatus"]["allocatedNonPreemptible"]["gpu"] == 0.5
    assert status["quotaStatus"]["requested"]["gpu"] == 20.5
    by_pool = {p["nodePoolName"]: p["allocated"]["gpu"] for p in status["nodePoolQuotaStatuses"]}
    assert by_pool == {"a100": 8, "h100": 0.5}
    limits = {r["nodePool"]["name"]: r["gpu"]["limit"] for r in vision["resources"]}
    assert limits == {"a100": 16, "h100": -1}
    departments = client.ask("GET", "/api/v1/org-unit/departments")["departments"]
    allocated = {d["name"]: d["status"]["quotaStatus"]["allocated"]["gpu"] for d in departments}
    assert allocated == {"research": 8.5, "product": 0}


def test_quota_is_changed_in_the_users_own_department_only(client: Client) -> None:
    body = [{"nodePool": {"id": "1"}, "gpu": {"deserved": 1}}]
    client.ask("PATCH", f"/api/v1/org-unit/projects/{NLP}/resources", 403, body=body)
    client.ask("PATCH", f"/api/v1/org-unit/projects/{VISION}/resources", 404, body=body)
