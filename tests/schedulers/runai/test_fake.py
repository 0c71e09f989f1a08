"""The fake's state machine: phases, batch, refusals."""

from __future__ import annotations

import pytest

from foundry_tui.schedulers.runai.fake import FakeRunai
from tests.schedulers.runai.asking import NLP, Client, gpus, still


def test_a_workload_goes_through_its_phases(client: Client, fake: FakeRunai) -> None:
    key = client.create(args="sleep 60", compute=gpus(1))["workloadId"]
    assert client.names() == []
    client.ask("GET", f"/api/v1/workloads/{key}", 404)
    phases = []
    for seconds in (1, 1, 3, 59, 1):
        fake.advance(seconds)
        phases.append(client.workload(key)["phase"])
    assert phases == ["Creating", "Initializing", "Running", "Running", "Completed"]
    told = client.workload(key)
    assert (told["totalRunningTimeSeconds"], told["completedAt"]) == (
        60,
        "2026-11-20T12:01:05.000Z",
    )
    history = client.ask("GET", f"/api/v1/workloads/{key}/history")["records"]
    updates = [r["spec"]["phaseUpdate"]["phase"] for r in history if "phaseUpdate" in r["spec"]]
    assert updates == ["Creating", "Pending", "Initializing", "Running", "Completed"]


def test_the_state_does_not_depend_on_how_often_it_is_looked_at() -> None:
    ends = []
    for steps in (1, 97):
        with still() as fake, Client(fake) as client:
            for number in range(6):
                client.create(f"job-{number}", args=f"sleep {20 + number}", compute=gpus(8))
            for _ in range(steps):
                fake.advance(97 / steps)
            found = client.ask("GET", "/api/v1/workloads", sortBy="name")["workloads"]
            ends.append([(w["name"], w["phase"], w["completedAt"]) for w in found])
    assert ends[0] == ends[1]
    assert {phase for _, phase, _ in ends[0]} == {"Completed"}


def test_a_failing_script_fails(client: Client, fake: FakeRunai) -> None:
    key = client.create(args="sleep 5; exit 3")["workloadId"]
    fake.advance(30)
    told = client.workload(key)
    assert (told["phase"], told["phaseMessage"]) == ("Failed", "exit code 3")


def test_suspend_gives_the_gpus_away_and_resume_starts_anew(
    client: Client, fake: FakeRunai
) -> None:
    key = client.create(compute=gpus(4))["workloadId"]
    fake.advance(60)
    client.ask("POST", f"/api/v1/workloads/trainings/{key}/suspend", 202)
    assert client.workload(key)["phase"] == "Running"
    fake.advance(1)
    assert client.workload(key)["phase"] == "Stopping"
    assert client.workload(key)["allocatedResources"]["gpu"] == 4
    fake.advance(3)
    told = client.workload(key)
    assert (told["phase"], told["allocatedResources"]["gpu"]) == ("Stopped", 0)
    assert client.ask("GET", f"/api/v1/workloads/trainings/{key}")["desiredPhase"] == "Stopped"
    client.ask("POST", f"/api/v1/workloads/trainings/{key}/resume", 202)
    phases = []
    for seconds in (1, 2, 3):
        fake.advance(seconds)
        phases.append(client.workload(key)["phase"])
    assert phases == ["Resuming", "Initializing", "Running"]
    names = [p["name"] for p in client.ask("GET", f"/api/v1/workloads/{key}/pods")["pods"]]
    assert names == ["job-2-0"]


def test_a_suspend_before_the_first_pod_holds(client: Client, fake: FakeRunai) -> None:
    key = client.create(compute=gpus(1))["workloadId"]
    fake.advance(1.5)
    client.ask("POST", f"/api/v1/workloads/trainings/{key}/suspend", 202)
    fake.advance(60)
    assert client.workload(key)["phase"] == "Stopped"


def test_the_last_order_counts(client: Client, fake: FakeRunai) -> None:
    key = client.create(compute=gpus(1))["workloadId"]
    fake.advance(60)
    for action in ("suspend", "resume"):
        client.ask("POST", f"/api/v1/workloads/trainings/{key}/{action}", 202)
    fake.advance(60)
    assert client.workload(key)["phase"] == "Running"


def test_an_order_for_an_ended_workload_is_accepted_and_does_nothing(
    client: Client, fake: FakeRunai
) -> None:
    key = client.create(args="sleep 1")["workloadId"]
    fake.advance(30)
    client.ask("POST", f"/api/v1/workloads/trainings/{key}/suspend", 202)
    fake.advance(30)
    assert client.workload(key)["phase"] == "Completed"


def test_delete_takes_effect_later(client: Client, fake: FakeRunai) -> None:
    key = client.create(compute=gpus(1))["workloadId"]
    fake.advance(60)
    client.ask("DELETE", f"/api/v1/workloads/trainings/{key}", 202)
    fake.advance(1)
    assert client.workload(key)["phase"] == "Deleting"
    fake.advance(3)
    client.ask("GET", f"/api/v1/workloads/{key}", 404)
    assert client.names() == []
    assert client.names(deleted="true") == ["job"]
    client.ask("DELETE", f"/api/v1/workloads/trainings/{key}", 404)


def test_the_kind_in_the_path_has_to_fit(client: Client) -> None:
    key = client.create()["workloadId"]
    client.ask("DELETE", f"/api/v1/workloads/workspaces/{key}", 404)


def test_a_batch_fails_item_by_item(client: Client, fake: FakeRunai) -> None:
    mine = client.create("mine")["workloadId"]
    theirs = client.create("theirs", project=NLP)["workloadId"]
    served = client.create("served", kind="inferences")["workloadId"]
    nobody = "00000000-0000-4000-8000-000000000000"
    fake.deny("nlp")
    fake.advance(10)
    ids = [mine, theirs, served, nobody]
    told = client.ask("POST", "/api/v1/workloads/batch", body={"ids": ids, "action": "suspend"})
    assert told["succeeded"] == [mine]
    failed = {item["id"]: item["code"] for item in told["failed"]}
    assert failed == {theirs: 403, served: 400, nobody: 404}
    fake.advance(10)
    assert client.workload(mine)["phase"] == "Stopped"


@pytest.mark.parametrize(
    ("compute", "field"),
    [
        ({**gpus(1, 0.5), "gpuPortionRequest": -0.5}, "compute.gpuPortionRequest"),
        (gpus(1, 0.0), "compute.gpuPortionRequest"),
        (gpus(1, 1.5), "compute.gpuPortionRequest"),
        (gpus(-1), "compute.gpuDevicesRequest"),
        ({"gpuDevicesRequest": True}, "compute.gpuDevicesRequest"),
        ({"gpuRequestType": "migProfile"}, "compute.gpuRequestType"),
        ({**gpus(1, 0.5), "gpuPortionLimit": 0.25}, "compute.gpuPortionLimit"),
        ({"cpuMemoryRequest": "much"}, "compute.cpuMemoryRequest"),
    ],
)
def test_a_bad_request_names_the_field(
    client: Client, compute: dict[str, object], field: str
) -> None:
    told = client.create(status=400, compute=compute)
    assert [issue["field"] for issue in told["complianceIssues"]] == [field]
    assert client.names() == []


def test_a_name_is_taken_once_in_a_project(client: Client) -> None:
    client.create("same")
    assert "already exists" in client.create("same", status=409)["message"]
    client.create("same", project=NLP)


def test_denied_means_seen_but_not_changed(client: Client, fake: FakeRunai) -> None:
    key = client.create(project=NLP)["workloadId"]
    fake.advance(10)
    fake.deny("nlp")
    client.create(project=NLP, status=403)
    client.ask("DELETE", f"/api/v1/workloads/trainings/{key}", 403)
    assert client.names() == ["job"]
    told = client.ask("GET", "/api/v1/authorization/me/access-rules")["accessRules"]
    scopes = {rule["scopeName"] for rule in told["accessRules"]}
    assert scopes == {"vision", "größe-日本", "research"}
