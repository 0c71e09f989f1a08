"""Receipts: what the API shows afterwards decides, and what cannot be looked at is not claimed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from foundry_tui.estate.acts import (
    Act,
    Cancel,
    Preview,
    PreviewItem,
    Receipt,
    ReceiptStatus,
    Resume,
    Submit,
    Suspend,
    refused,
)
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.kai.connect import Unreached
from foundry_tui.schedulers.kai.receipts import read_back
from foundry_tui.schedulers.kai.wire import Change, Request, delete, patch
from tests.schedulers.kai.stub import StubCluster, answer

JOB = "/apis/batch/v1/namespaces/work/jobs/train"
UID = "0f0e0d0c-0000-4000-8000-0000000000aa"
CANCEL = Cancel(source="lab", runs=(f"lab/{UID}",))


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not shown at the first look is not waited for."""
    monkeypatch.setattr("foundry_tui.schedulers.kai.receipts.SETTLE_S", -1.0)


def job(**meta: Any) -> dict[str, Any]:
    return {"metadata": {"name": "train", "uid": UID, **meta}, "spec": {"suspend": False}}


def stopped(found: dict[str, Any], value: bool) -> Request:
    return patch(JOB, found, Change(("spec", "suspend"), value))


def settled(
    cluster: StubCluster,
    act: Act,
    request: Request,
    status: ReceiptStatus = ReceiptStatus.ACCEPTED,
) -> Receipt:
    target = f"lab/{UID}"
    item = PreviewItem(target=target, command=request.words)
    receipt = Receipt(target=target, status=status, before="running")
    (found,) = read_back(cluster, Preview(act=act, items=(item,)), (receipt,))  # type: ignore[arg-type]
    return found


def test_a_job_that_is_still_there_is_not_gone() -> None:
    found = settled(StubCluster((JOB, job())), CANCEL, delete(JOB, UID))
    assert (found.status, found.before) == (ReceiptStatus.ACCEPTED, "running")
    assert "has not begun to delete" in str(found.message)
    ending = job(deletionTimestamp="2026-01-01T00:00:00Z")
    found = settled(StubCluster((JOB, ending)), CANCEL, delete(JOB, UID))
    assert (found.status, found.after) == (ReceiptStatus.ACCEPTED, "ending")


def test_another_job_of_that_name_means_that_the_first_is_gone() -> None:
    cluster = StubCluster((JOB, job(uid="other")))
    assert settled(cluster, CANCEL, delete(JOB, UID)).status is ReceiptStatus.DONE
    resume = Resume(source="lab", runs=CANCEL.runs)
    found = settled(cluster, resume, stopped(job(), True))
    assert found.status is ReceiptStatus.UNCHANGED


def test_a_run_that_vanished_was_not_resumed() -> None:
    found = settled(StubCluster(), Resume(source="lab", runs=CANCEL.runs), stopped(job(), False))
    assert (found.status, found.message) == (ReceiptStatus.UNCHANGED, "it is gone")


def test_what_the_cluster_does_not_show_is_not_done() -> None:
    act = Suspend(source="lab", runs=CANCEL.runs)
    found = settled(StubCluster((JOB, job())), act, stopped(job(), True))
    assert found.status is ReceiptStatus.UNCHANGED
    assert "/spec/suspend false, not true" in str(found.message)


@pytest.mark.parametrize(
    "error",
    [Unreached("GET", "no answer", sent=True), answer(403, "forbidden"), answer(500, "broken")],
)
def test_what_cannot_be_looked_at_is_unknown(error: Exception) -> None:
    cluster = StubCluster((JOB, job()))

    def trouble(*_: object) -> None:
        raise error

    cluster.trouble = trouble
    found = settled(cluster, CANCEL, delete(JOB, UID))
    assert found.status is ReceiptStatus.UNKNOWN
    assert str(found.message).startswith("sent, but not read back: ")


@pytest.mark.parametrize("status", [ReceiptStatus.REFUSED, ReceiptStatus.UNCHANGED])
def test_what_was_not_sent_is_not_looked_for(status: ReceiptStatus) -> None:
    cluster = StubCluster((JOB, job()))
    found = settled(cluster, CANCEL, delete(JOB, UID), status)
    assert (found.status, cluster.asked) == (status, [])


def test_a_submission_of_the_same_name_by_someone_else_is_not_ours() -> None:
    body = {"metadata": {"name": "train", "labels": {"foundry/submit-token": "mine"}}}
    home = JOB.rpartition("/")[0]
    cluster = StubCluster((JOB, job(labels={"foundry/submit-token": "theirs"})))
    act = Submit(source="lab", script=b"true", script_name="a.sh")
    post = Request("POST", home, json.dumps(body))
    found = settled(cluster, act, post, ReceiptStatus.UNKNOWN)
    assert found.status is ReceiptStatus.UNKNOWN


def test_a_long_refusal_is_cut_and_made_safe() -> None:
    item = PreviewItem(target="x", command=(), before="pending")
    found = refused(item, "no\x1b[31m" + "x" * 1000)
    assert (found.status, found.before, found.after) == (
        ReceiptStatus.REFUSED,
        "pending",
        "pending",
    )
    assert found.message == safe(str(found.message), max_cells=400)


def test_a_patch_names_what_it_expects_and_adds_parents_that_are_missing() -> None:
    thing = {"metadata": {"uid": "u"}, "spec": {"queue": "a"}}
    made = patch(
        "/x",
        thing,
        Change(("spec", "queue"), "b", guarded=True),
        Change(("metadata", "labels", "a/b~c"), "1"),
        Change(("metadata", "annotations", "none"), None),
    )
    assert json.loads(made.body) == [
        {"op": "test", "path": "/metadata/uid", "value": "u"},
        {"op": "test", "path": "/spec/queue", "value": "a"},
        {"op": "add", "path": "/spec/queue", "value": "b"},
        {"op": "add", "path": "/metadata/labels", "value": {"a/b~c": "1"}},
    ]
    assert (made.uid, made.guard("/spec/queue")) == ("u", "a")
    shown = {"metadata": {"labels": {"a/b~c": "1", "more": "2"}}, "spec": {"queue": "b"}}
    assert made.not_shown_by(shown) is None
    assert made.not_shown_by(thing) == '/spec/queue "a", not "b"'


def test_two_new_keys_of_a_missing_parent_are_not_written_over_each_other() -> None:
    thing: dict[str, Any] = {"metadata": {"uid": "u"}, "spec": {}}
    made = patch(
        "/x",
        thing,
        Change(("spec", "gpu", "quota"), 1),
        Change(("spec", "gpu", "limit"), 2),
    )
    cluster = StubCluster(("/x", thing))
    cluster.request("PATCH", "/x", body=made.body, content_type="application/json-patch+json")
    assert thing["spec"] == {"gpu": {"quota": 1, "limit": 2}}
