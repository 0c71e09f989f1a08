"""Submitting: tried first, sent once, found by its token."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.acts import Preview, Receipt, ReceiptStatus, Submit
from foundry_tui.schedulers.kai import actor
from foundry_tui.schedulers.kai.connect import Unreached
from foundry_tui.schedulers.kai.receipts import read_back
from foundry_tui.schedulers.kai.submit import find_submitted
from foundry_tui.schedulers.ports import Denied, Unavailable
from tests.schedulers.kai.stub import StubCluster, answer

CONFIG = KubernetesConfig(name="lab")
TOKEN = "0123456789abcdef"
JOBS = "/apis/batch/v1/namespaces/default/jobs"
QUEUE = ("/apis/scheduling.run.ai/v2/queues/team-a", {"metadata": {"name": "team-a"}})
TRAINING = ("/apis/kubeflow.org/v1", {"resources": [{"name": "pytorchjobs"}]})


def work(*options: str) -> Submit:
    enough = ("--project=team-a", "--image=python:3.12", *options)
    return Submit(source="lab", script=b"true", script_name="train.sh", options=enough)


def seen(
    cluster: StubCluster, act: Submit, token: str = TOKEN, config: KubernetesConfig = CONFIG
) -> Preview:
    return actor.preview(cluster, config, act, (), token)  # type: ignore[arg-type]


def sent(cluster: StubCluster, preview: Preview) -> Receipt:
    (receipt,) = actor.perform(cluster, preview, TOKEN)  # type: ignore[arg-type]
    return receipt


def settled(cluster: StubCluster, preview: Preview, receipt: Receipt) -> Receipt:
    (found,) = read_back(cluster, preview, (receipt,))  # type: ignore[arg-type]
    return found


def found(
    cluster: StubCluster, config: KubernetesConfig = CONFIG, token: str = TOKEN
) -> str | None:
    return find_submitted(cluster, TOKEN, config)  # type: ignore[arg-type]


def at_post(error: Exception, *, dry: bool, kind: str = "") -> Callable[[str, str, bool], None]:
    """Raises for the creating of things, tried or meant."""

    def trouble(method: str, path: str, is_dry: bool) -> None:
        if (method, is_dry) == ("POST", dry) and path.endswith(kind):
            raise error

    return trouble


@pytest.mark.parametrize(
    ("options", "namespaces", "context", "where"),
    [
        ((), (), None, "default"),
        ((), (), "mine", "mine"),
        ((), ("first", "second"), "mine", "first"),
        (("--namespace=second",), ("first", "second"), "mine", "second"),
        (("--namespace=other",), (), "mine", "other"),
    ],
)
def test_where_it_goes(
    options: tuple[str, ...], namespaces: tuple[str, ...], context: str | None, where: str
) -> None:
    cluster = StubCluster(QUEUE)
    cluster.namespace = context
    config = KubernetesConfig(name="lab", namespaces=namespaces)
    (item,) = seen(cluster, work(*options), config=config).items
    assert (item.refusal, item.command[1]) == (None, f"/apis/batch/v1/namespaces/{where}/jobs")


def test_a_submission_is_tried_with_its_pod_and_then_sent_once() -> None:
    cluster = StubCluster(QUEUE)
    preview = seen(cluster, work())
    (item,) = preview.items
    assert (item.target, item.refusal, item.warning) == ("train.sh", None, None)
    assert item.command[:2] == ("POST", JOBS)
    assert TOKEN in item.command[2]
    tried = [(p, dry) for m, p, _, dry in cluster.asked if m == "POST"]
    assert tried == [(JOBS, True), ("/api/v1/namespaces/default/pods", True)]
    assert cluster.things == dict([QUEUE])
    assert found(cluster) is None
    receipt = sent(cluster, preview)
    assert receipt.status is ReceiptStatus.ACCEPTED
    assert receipt.message == "Job default/train-9f9f51"
    assert cluster.changes == [("POST", JOBS, json.loads(item.command[2]))]
    assert found(cluster) == receipt.target
    done = settled(cluster, preview, receipt)
    assert (done.status, done.target) == (ReceiptStatus.DONE, receipt.target)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--project=nowhere",), "there is no queue nowhere"),
        (("--priority=nowhere",), "there is no priority class nowhere"),
        (("--gpu-portion-request=1.5",), "--gpu-portion-request"),
        (("--no-such-option=1",), "--no-such-option"),
        (("--namespace=other",), "not among those that lab reads (default)"),
    ],
)
def test_what_cannot_be_is_refused_before_it_is_sent(options: tuple[str, ...], why: str) -> None:
    cluster = StubCluster(QUEUE)
    config = KubernetesConfig(name="lab", namespaces=("default",))
    preview = seen(cluster, work(*options), config=config)
    assert why in str(preview.items[0].refusal)
    assert sent(cluster, preview).status is ReceiptStatus.REFUSED
    assert cluster.changes == []


@pytest.mark.parametrize(
    ("status", "text", "told"),
    [
        (403, 'jobs.batch is forbidden: User "viewer" cannot create resource "jobs"', "viewer"),
        (403, "exceeded quota: jobs", "exceeded quota"),
        (422, "spec.template: Invalid value", "Invalid value"),
        (500, 'Internal error: failed calling webhook "a.b": refused', "failed calling webhook"),
    ],
)
def test_what_the_server_would_refuse_stands_in_the_preview(
    status: int, text: str, told: str
) -> None:
    cluster = StubCluster(QUEUE)
    cluster.trouble = at_post(answer(status, text), dry=True, kind="/jobs")
    (item,) = seen(cluster, work()).items
    assert told in str(item.refusal)


@pytest.mark.parametrize(
    ("text", "refusal", "warning"),
    [
        ("denied the request: GPU sharing is disabled", "its pods would be refused: 403", ""),
        ('User "alice" cannot create resource "pods"', "", ""),
        ("exceeded quota: gpus", "", "not made before the namespace has quota"),
        ('admission webhook "a.b" does not support dry run', "", "not tried: webhook a.b"),
    ],
)
def test_what_would_become_of_the_pods_is_told(text: str, refusal: str, warning: str) -> None:
    cluster = StubCluster(QUEUE)
    cluster.trouble = at_post(answer(403, text), dry=True, kind="/pods")
    (item,) = seen(cluster, work()).items
    assert refusal in str(item.refusal or "") and bool(item.refusal) == bool(refusal)
    assert warning in str(item.warning or "") and bool(item.warning) == bool(warning)


def test_a_preview_is_exact_even_when_the_server_is_down() -> None:
    cluster = StubCluster(QUEUE)

    def down(*_: object) -> None:
        raise Unreached("GET", "the API server of lab is not reached", sent=False)

    cluster.trouble = down
    (item,) = seen(cluster, work()).items
    assert item.refusal == "the API server of lab is not reached"
    assert item.command[:2] == ("POST", JOBS)


def test_pods_that_start_together_are_a_pytorch_job_where_there_is_one() -> None:
    (item,) = seen(StubCluster(QUEUE, TRAINING), work("--workers=2")).items
    assert json.loads(item.command[2])["kind"] == "PyTorchJob"
    assert item.warning is None
    (item,) = seen(StubCluster(QUEUE), work("--workers=2")).items
    assert json.loads(item.command[2])["kind"] == "Job"
    assert "starts the pods of a Job one by one" in str(item.warning)


def test_without_a_training_operator_there_is_no_pytorch_job() -> None:
    cluster = StubCluster(QUEUE)
    cluster.trouble = at_post(answer(404, "404 page not found"), dry=True)
    (item,) = seen(cluster, work("--kind=PyTorchJob")).items
    assert "use --kind Job" in str(item.refusal)
    cluster.trouble = at_post(answer(404, 'namespaces "x" not found'), dry=True)
    (item,) = seen(cluster, work("--namespace=x")).items
    assert item.refusal == '404 namespaces "x" not found'


def test_a_bare_pod_is_warned_of() -> None:
    (item,) = seen(StubCluster(QUEUE), work("--kind=Pod")).items
    assert "not started again" in str(item.warning)


def test_who_may_not_read_queues_may_still_submit() -> None:
    cluster = StubCluster()

    def forbid(_method: str, path: str, _dry: bool) -> None:
        if "/queues/" in path or "/priorityclasses/" in path:
            raise answer(403, "queues is forbidden")

    cluster.trouble = forbid
    assert seen(cluster, work("--priority=build")).refused == ()


def test_a_lost_answer_is_never_followed_by_a_second_create() -> None:
    cluster = StubCluster(QUEUE)
    preview = seen(cluster, work())

    def lose(method: str, _path: str, dry: bool) -> None:
        if method == "POST" and not dry:
            raise Unreached("POST", "no answer", sent=True)

    cluster.after = lose
    receipt = sent(cluster, preview)
    assert receipt.status is ReceiptStatus.UNKNOWN
    assert len(cluster.changes) == 1
    native = found(cluster)
    done = settled(cluster, preview, receipt)
    assert (done.status, done.target) == (ReceiptStatus.DONE, native)
    # A create that arrives twice all the same makes nothing new.
    cluster.after = lambda *_: None
    again = sent(cluster, preview)
    assert (again.status, again.target) == (ReceiptStatus.ACCEPTED, native)
    assert len([p for p in cluster.things if p.startswith(JOBS)]) == 1


def test_a_lost_request_that_did_not_arrive_stays_unknown() -> None:
    cluster = StubCluster(QUEUE)
    preview = seen(cluster, work())
    cluster.trouble = at_post(Unreached("POST", "no answer", sent=True), dry=False)
    receipt = sent(cluster, preview)
    assert settled(cluster, preview, receipt) == receipt
    assert receipt.status is ReceiptStatus.UNKNOWN


def test_the_name_of_somebody_elses_work_is_refused() -> None:
    cluster = StubCluster(QUEUE)
    preview = seen(cluster, work())
    stranger: dict[str, Any] = {"metadata": {"uid": "x", "labels": {}}}
    cluster.things[f"{JOBS}/train-9f9f51"] = stranger
    receipt = sent(cluster, preview)
    assert receipt.status is ReceiptStatus.REFUSED
    assert "already exists" in str(receipt.message)


def test_a_server_that_is_not_reached_got_nothing() -> None:
    cluster = StubCluster(QUEUE)
    preview = seen(cluster, work())
    cluster.trouble = at_post(Unreached("POST", "not reached", sent=False), dry=False)
    with pytest.raises(Unavailable, match="not reached"):
        sent(cluster, preview)


def test_what_was_made_and_deleted_at_once_is_done_and_gone() -> None:
    cluster = StubCluster(QUEUE)
    preview = seen(cluster, work())
    receipt = sent(cluster, preview)
    del cluster.things[f"{JOBS}/train-9f9f51"]
    done = settled(cluster, preview, receipt)
    assert (done.status, done.after) == (ReceiptStatus.DONE, "gone")


def test_a_token_is_looked_for_in_the_namespaces_that_are_read() -> None:
    cluster = StubCluster(QUEUE)
    config = KubernetesConfig(name="lab", namespaces=("x", "y"))
    preview = seen(cluster, work("--namespace=y"), config=config)
    receipt = sent(cluster, preview)
    assert found(cluster, config) == receipt.target
    cluster.trouble = at_get(answer(403, "pods is forbidden"))
    with pytest.raises(Denied, match="namespaces that you may read"):
        found(cluster, config)
    cluster.trouble = at_get(answer(503, "shutting down"))
    with pytest.raises(Unavailable, match="shutting down"):
        found(cluster, config)


def test_the_pods_of_a_job_are_not_the_run() -> None:
    labels = {"foundry/submit-token": TOKEN}
    pod = {"metadata": {"uid": "p", "labels": labels, "ownerReferences": [{"uid": "j"}]}}
    cluster = StubCluster(("/api/v1/namespaces/default/pods/a", pod))
    assert found(cluster) is None
    del pod["metadata"]["ownerReferences"]
    assert found(cluster) == "p"


def at_get(error: Exception) -> Callable[[str, str, bool], None]:
    def trouble(method: str, _path: str, _dry: bool) -> None:
        if method == "GET":
            raise error

    return trouble
