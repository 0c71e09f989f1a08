"""Bodies for Run:ai: what pods find and how they come together; the fake takes and shows them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from foundry_tui.estate.acts import ReceiptStatus, Submit
from foundry_tui.schedulers.runai.adapter import RunaiAdapter
from foundry_tui.schedulers.runai.fake import FakeRunai
from foundry_tui.schedulers.runai.request import document
from tests.schedulers.runai.asking import Client, still
from tests.schedulers.runai.harness import SCRIPT, adapter_of, work_of
from tests.schedulers.runai.openapi import judge_asked

INSIDE = (
    *("--env-secret=HF_TOKEN=hf:key", "--existing-pvc=claimname=team,path=/shared"),
    *("--host-path=path=/mnt,mount=/data", "--large-shm", "--working-dir=/shared/ann"),
    *("--termination-grace-period=2m", "--backoff-limit=3"),
)


@pytest.fixture
def fake() -> Iterator[FakeRunai]:
    with still() as found:
        yield found
        assert judge_asked((a.method, a.path, a.query, a.body) for a in found.requests) == []


@pytest.fixture
def adapter(fake: FakeRunai) -> Iterator[RunaiAdapter]:
    with closing(adapter_of(fake)) as found:
        yield found


def body(*options: str, **more: Any) -> Any:
    given = ("--image=python:3.12", *options)
    act = Submit(source="r", script=SCRIPT, script_name="train.sh", options=given, **more)
    return document(act)


def test_secrets_are_references_and_volumes_have_the_words_of_the_api() -> None:
    spec = body(*INSIDE, environment=(("A", "1"),))["spec"]
    assert spec["environmentVariables"] == [
        {"name": "A", "value": "1"},
        {"name": "FOUNDRY_SUBMIT_TOKEN", "value": "made-when-sent"},
        {"name": "HF_TOKEN", "secret": {"name": "hf", "key": "key"}},
    ]
    assert spec["storage"] == {
        "pvc": [
            {"path": "/shared", "existingPvc": True, "claimName": "team", "readOnly": False},
        ],
        "hostPath": [{"path": "/mnt", "mountPath": "/data", "readOnly": True}],
    }
    assert spec["compute"]["largeShmRequest"] is True
    assert (spec["workingDir"], spec["terminationGracePeriodSeconds"]) == ("/shared/ann", 120)
    assert (spec["backoffLimit"], spec["restartPolicy"]) == (3, "Never")
    with pytest.raises(ValueError, match="--env-secret: A has a value"):
        body("--env-secret=A=s:k", environment=(("A", "1"),))


def test_what_is_not_said_is_not_sent() -> None:
    spec = body()["spec"]
    assert not {"storage", "workingDir", "terminationGracePeriodSeconds"} & spec.keys()
    assert "largeShmRequest" not in spec["compute"]


def test_pods_have_a_master_unless_their_number_may_change() -> None:
    two = body("--workers=2", "--backoff-limit=1")
    assert (two["masterSpecSameAsWorker"], two["spec"]["numWorkers"]) == (True, 1)
    assert two["spec"]["restartPolicy"] == "OnFailure"
    elastic = body("--min-replicas=2", "--max-replicas=8")
    assert "masterSpecSameAsWorker" not in elastic
    spec = elastic["spec"]
    assert (spec["numWorkers"], spec["minReplicas"], spec["maxReplicas"]) == (8, 2, 8)
    assert spec["distributedFramework"] == "PyTorch"


def test_mpi_has_a_launcher_without_gpus() -> None:
    made = body("--workers=2", "--framework=mpi", "--slots-per-worker=4", "-g", "4", *INSIDE)
    spec, master = made["spec"], made["masterSpec"]
    assert (spec["distributedFramework"], spec["numWorkers"], spec["slotsPerWorker"]) == (
        "MPI",
        2,
        4,
    )
    assert "command" not in spec
    assert master["command"] == "/bin/sh"
    assert (spec["compute"]["gpuDevicesRequest"], master["compute"]["gpuDevicesRequest"]) == (4, 0)
    assert master["environmentVariables"] == spec["environmentVariables"]
    assert master["storage"] == spec["storage"]


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ("--deadline=1h", "--deadline cannot be used with Run:ai: it ends no run by time"),
        ("--completions=3", "--completions cannot be used with Run:ai"),
        ("--kind=Job", "--kind cannot be used"),
        ("--namespace=a", "--namespace cannot be used"),
    ],
)
def test_what_it_cannot_do_is_refused_by_name(option: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        body(option)


def test_a_body_can_be_shown_without_a_control_plane() -> None:
    shown = body()
    assert (shown["projectId"], shown["clusterId"]) == ("<project id>", "<cluster id>")
    act = Submit(source="r", script=SCRIPT, script_name="a.sh")
    with pytest.raises(ValueError, match="--image is not given"):
        document(act)


@pytest.mark.parametrize(
    ("options", "pods", "path"),
    [
        ((), 1, "trainings"),
        (("--workers=2",), 2, "distributed"),
        (("--min-replicas=1", "--max-replicas=2"), 2, "distributed"),
        (("--workers=2", "--framework=mpi", "--slots-per-worker=1"), 3, "distributed"),
    ],
)
def test_the_control_plane_takes_it_and_shows_it(
    fake: FakeRunai, adapter: RunaiAdapter, options: tuple[str, ...], pods: int, path: str
) -> None:
    act = work_of(adapter, "shown", *INSIDE, *options)
    preview = adapter.preview(act, (), "token-1")
    (item,) = preview.items
    assert item.refusal is None
    assert item.command[1] == f"/api/v1/workloads/{path}"
    (receipt,) = adapter.perform(preview, "token-1")
    assert receipt.status is ReceiptStatus.ACCEPTED
    fake.advance(60)
    asked = json.loads(item.command[2])
    with Client(fake) as client:
        (listed,) = client.ask("GET", "/api/v1/workloads", filterBy="name==shown")["workloads"]
        shown = client.ask("GET", f"/api/v1/workloads/{path}/{listed['id']}")
    assert shown["spec"] == asked["spec"]
    assert shown.get("masterSpec") == asked.get("masterSpec")
    assert listed["requestedPods"]["number"] == pods
    assert listed["environmentVariables"]["HF_TOKEN"] == ""
