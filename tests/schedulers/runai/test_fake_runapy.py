"""The official client works against the fake as it does against the real control plane."""

from __future__ import annotations

from typing import Any

import pytest

from foundry_tui.schedulers.runai.fake import FakeRunai
from tests.lab import runapy
from tests.lab.components import require
from tests.schedulers.runai.asking import VISION

pytestmark = pytest.mark.runapy

SPEED = 50
"""The fake's seconds per real one, so that its phases do not have to be waited for."""

SCRIPT = """
import datetime, json, sys, time
from runai.api import MeApi
from runai.api_client import ApiClient
from runai.configuration import Configuration
from runai.exceptions import ApiException
from runai.runai_client import RunaiClient
from runai import models

url, cluster, project = sys.argv[1:]
client = RunaiClient(ApiClient(Configuration(
    client_id="foundry", client_secret="secret", runai_base_url=url, verify_ssl=False)))
told = {}

def until(key, phase):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            seen = client.workloads.workloads.get_workload(key).data["phase"]
        except ApiException as error:
            seen = error.status
        if seen == phase:
            return seen
        time.sleep(0.05)
    return seen

def create(name):
    return client.workloads.trainings.create_training1(models.TrainingCreationRequest(
        name=name, projectId=project, clusterId=cluster, spec=models.TrainingSpecSpec(
            image="python:3.12", command="sleep", args="100000",
            compute=models.SupersetSpecAllOfCompute(
                gpuDevicesRequest=1, gpuRequestType="portion", gpuPortionRequest=0.5)))).data

made = create("from-the-client")
key = made["workloadId"]
told["actual_phase"] = made["actualPhase"]
told["running"] = until(key, "Running")

listed = client.workloads.workloads.get_workloads(
    filter_by=["projectName==vision", "phase==Running"], sort_by="name", limit=10).data
told["listed"] = [w["name"] for w in listed["workloads"]]
told["model"] = models.Workload.from_dict(listed["workloads"][0]).allocated_resources.gpu
pods = client.workloads.pods.get_workload_pods(key).data["pods"]
told["pods"] = [models.Pod1.from_dict(pod).name for pod in pods]
events = client.workloads.events.get_workload_events(key).data["events"]
told["events"] = [models.Event2.from_dict(event).reason for event in events]

now = datetime.datetime.fromisoformat(listed["workloads"][0]["phaseUpdatedAt"])
metrics = client.workloads.workloads.get_workload_metrics(
    key, metric_type=["GPU_ALLOCATION", "GPU_UTILIZATION"], number_of_samples=5,
    start=now - datetime.timedelta(seconds=2), end=now).data
told["metrics"] = {m["type"]: m["values"][-1]["value"] for m in metrics["measurements"]}

nodes = client.organizations.nodes.get_tenant_nodes(filter_by=["nodePool==h100"]).data["nodes"]
told["nodes"] = [models.Node.from_dict(node).name for node in nodes]
projects = client.organizations.projects.get_projects(search="größe").data["projects"]
told["projects"] = [p["name"] for p in projects]  # it has no model of these
departments = client.organizations.departments.get_departments().data["departments"]
told["departments"] = [models.DepartmentForList.from_dict(d).name for d in departments]
pools = client.organizations.node_pools.get_nodepools().data["nodepools"]
told["pools"] = [models.Nodepool.from_dict(pool).name for pool in pools]
rules = MeApi(client.workloads.api_client).get_me_access_rules().data["accessRules"]
told["rules"] = len(rules["accessRules"])

client.workloads.trainings.suspend_training(key)
told["suspended"] = until(key, "Stopped")
client.workloads.trainings.resume_training(key)
told["resumed"] = until(key, "Running")
client.workloads.trainings.delete_training(key)
told["deleted"] = until(key, 404)

second = create("second")["workloadId"]
until(second, "Running")
gone = "00000000-0000-4000-8000-000000000000"
batch = client.workloads.workloads_batch.batch_workloads(
    models.WorkloadBatch(ids=[second, gone], action="delete")).data
told["batch"] = [batch["succeeded"] == [second], [f["code"] for f in batch["failed"]]]
told["second"] = until(second, 404)
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told() -> Any:
    """What the official client saw."""
    require("runapy", runapy.missing())
    with FakeRunai(speed=SPEED) as fake:
        return runapy.run(SCRIPT, fake.url, fake.cluster_id, VISION)


def test_it_submits_and_lists(told: Any) -> None:
    assert told["actual_phase"] == "Creating"
    assert told["running"] == "Running"
    assert told["listed"] == ["from-the-client"]
    assert told["model"] == 0.5
    assert told["pods"] == ["from-the-client-1-0"]
    assert told["events"] == ["Scheduled"]


def test_it_reads_metrics(told: Any) -> None:
    assert told["metrics"]["GPU_ALLOCATION"] == "0.5"
    assert float(told["metrics"]["GPU_UTILIZATION"]) >= 55


def test_it_reads_the_estate(told: Any) -> None:
    assert told["nodes"] == ["h100-01", "h100-02"]
    assert told["projects"] == ["größe-日本"]
    assert told["departments"] == ["research", "product"]
    assert told["pools"] == ["a100", "h100"]
    assert told["rules"] == 4


def test_it_suspends_resumes_and_deletes(told: Any) -> None:
    assert told["suspended"] == "Stopped"
    assert told["resumed"] == "Running"
    assert told["deleted"] == 404


def test_a_batch_fails_in_parts(told: Any) -> None:
    assert told["batch"] == [True, [404]]
    assert told["second"] == 404
