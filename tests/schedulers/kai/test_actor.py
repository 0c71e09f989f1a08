"""Acts on a cluster: what is asked first, what is sent, and what becomes of every answer."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.acts import (
    Act,
    Cancel,
    ChangeNode,
    ChangeQueue,
    ChangeRun,
    Hold,
    Preview,
    Receipt,
    ReceiptStatus,
    Release,
    Requeue,
    Resume,
    RunAct,
    Suspend,
)
from foundry_tui.estate.run import Request, Run, RunState
from foundry_tui.estate.text import safe
from foundry_tui.process import user_name
from foundry_tui.schedulers.kai import actor
from foundry_tui.schedulers.kai.connect import Unreached
from foundry_tui.schedulers.kai.receipts import read_back
from foundry_tui.schedulers.ports import Unavailable
from tests.schedulers.kai.stub import StubCluster, answer

CONFIG = KubernetesConfig(name="lab")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
JOB = "/apis/batch/v1/namespaces/work/jobs/train"
GROUP = "/apis/scheduling.run.ai/v2alpha2/namespaces/work/podgroups/pg-train"
POD = "/api/v1/namespaces/work/pods/alone"
UID = "0f0e0d0c-0000-4000-8000-0000000000aa"
OTHER = "0f0e0d0c-0000-4000-8000-0000000000bb"


def thing(name: str, uid: str = UID, **more: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": "work", "uid": uid, "labels": {"kai.scheduler/queue": "a"}}
    return {"metadata": meta, "spec": {}, **more}


def job(uid: str = UID, **spec: Any) -> tuple[str, dict[str, Any]]:
    return JOB, {**thing("train", uid), "spec": {"suspend": False, **spec}}


def pod_group(**spec: Any) -> tuple[str, dict[str, Any]]:
    made = thing("pg-train", OTHER)
    made["metadata"]["ownerReferences"] = [{"uid": UID}]
    return GROUP, {**made, "spec": {"queue": "a", "priorityClassName": "train", **spec}}


def queue(name: str, **more: Any) -> tuple[str, dict[str, Any]]:
    return f"/apis/scheduling.run.ai/v2/queues/{name}", {**thing(name), **more}


def run(
    state: RunState = RunState.RUNNING,
    *,
    uid: str = UID,
    kind: str = "Job",
    name: str = "train",
    **more: Any,
) -> Run:
    native = {"kind": safe(kind), "namespace": safe("work"), "workload": safe(name)}
    facts: dict[str, Any] = {
        "user": user_name(),
        "request": Request(gpu_count=2, gpu_milli=2000),
        "started_at": NOW if state is RunState.RUNNING else None,
        "read_at": NOW + timedelta(seconds=30),
        "native": native,
    }
    return Run(
        id=f"lab/{uid}",
        native_id=uid,
        source="lab",
        scheduler="kai",
        name=safe(name),
        state=state,
        **{**facts, **more},
    )


def seen(cluster: StubCluster, act: Act, *runs: Run) -> Preview:
    return actor.preview(cluster, CONFIG, act, runs, "t0ken")  # type: ignore[arg-type]


def sent(cluster: StubCluster, preview: Preview) -> tuple[Receipt, ...]:
    return actor.perform(cluster, preview, "t0ken")  # type: ignore[arg-type]


def settled(
    cluster: StubCluster, preview: Preview, receipts: tuple[Receipt, ...]
) -> tuple[Receipt, ...]:
    return read_back(cluster, preview, receipts)  # type: ignore[arg-type]


def on(act: type[RunAct], *uids: str) -> RunAct:
    return act(source="lab", runs=tuple(f"lab/{u}" for u in uids or (UID,)))  # type: ignore[call-arg]


def failing(method: str, error: Exception) -> Callable[[str, str, bool], None]:
    """Raises for requests of this method that are meant to have an effect."""

    def trouble(asked: str, _path: str, dry: bool) -> None:
        if asked == method and not dry:
            raise error

    return trouble


def test_a_cancel_deletes_the_owner_by_its_uid_and_nothing_of_that_name() -> None:
    cluster = StubCluster(job())
    preview = seen(cluster, on(Cancel), run())
    (item,) = preview.items
    assert item.command[:2] == ("DELETE", JOB)
    assert json.loads(item.command[2]) == {
        "kind": "DeleteOptions",
        "apiVersion": "v1",
        "propagationPolicy": "Background",
        "preconditions": {"uid": UID},
    }
    assert (item.owner, item.before, item.loss_gpu_s) == (user_name(), "running", 60.0)
    assert (item.refusal, item.warning) == (None, None)
    # It was tried, without effect.
    assert [(m, dry) for m, _, _, dry in cluster.asked] == [("GET", False), ("DELETE", True)]
    assert JOB in cluster.things
    receipts = sent(cluster, preview)
    assert [(r.target, r.status) for r in receipts] == [(f"lab/{UID}", ReceiptStatus.ACCEPTED)]
    assert cluster.changes == [("DELETE", JOB, json.loads(item.command[2]))]
    assert settled(cluster, preview, receipts)[0].status is ReceiptStatus.DONE


def test_what_was_deleted_by_someone_else_in_between_is_told() -> None:
    cluster = StubCluster(job())
    preview = seen(cluster, on(Cancel), run())
    del cluster.things[JOB]
    (receipt,) = sent(cluster, preview)
    assert (receipt.status, receipt.message) == (ReceiptStatus.UNCHANGED, "it is gone already")


@pytest.mark.parametrize("act", [Cancel, Suspend])
def test_a_namesake_made_in_between_is_left_alone(act: type[RunAct]) -> None:
    cluster = StubCluster(job())
    preview = seen(cluster, on(act), run())
    cluster.things[JOB]["metadata"]["uid"] = OTHER
    (receipt,) = sent(cluster, preview)
    assert receipt.status is ReceiptStatus.REFUSED
    assert "since" in str(receipt.message)
    assert cluster.things[JOB]["spec"]["suspend"] is False


def test_a_namesake_is_seen_in_the_preview_already() -> None:
    (item,) = seen(StubCluster(job(OTHER)), on(Cancel), run()).items
    assert item.refusal == actor.REPLACED
    (item,) = seen(StubCluster(), on(Cancel), run()).items
    assert item.refusal == actor.GONE


@pytest.mark.parametrize(
    "target", ["", "--all", "1; rm", "a/b/../c", "ALL", UID.upper(), UID + "x"]
)
def test_an_id_that_is_none_is_refused_before_anything_is_asked(target: str) -> None:
    cluster = StubCluster(job())
    preview = seen(cluster, Cancel(source="lab", runs=(target,)))
    (receipt,) = sent(cluster, preview)
    assert receipt.status is ReceiptStatus.REFUSED
    assert cluster.asked == []


def test_a_run_that_was_not_seen_is_refused() -> None:
    cluster = StubCluster(job())
    (receipt,) = sent(cluster, seen(cluster, on(Cancel)))
    assert receipt.status is ReceiptStatus.REFUSED
    assert "last reading" in str(receipt.message)
    assert cluster.asked == []


@pytest.mark.parametrize("native", [{}, {"kind": "Job"}, {"kind": "Deployment"}])
def test_a_workload_that_is_not_ours_to_change_is_refused(native: dict[str, str]) -> None:
    words = {"namespace": safe("work"), "workload": safe("a/../b"), **native}
    (item,) = seen(StubCluster(job()), on(Cancel), run(native=words)).items
    assert "not changed from here" in str(item.refusal)


def test_a_refusal_by_the_server_stands_in_the_preview() -> None:
    cluster = StubCluster(job())

    def forbid(method: str, _path: str, _dry: bool) -> None:
        if method == "DELETE":
            raise answer(403, 'jobs.batch "train" is forbidden: User "viewer" cannot delete')

    cluster.trouble = forbid
    (item,) = seen(cluster, on(Cancel), run()).items
    assert 'User "viewer" cannot delete' in str(item.refusal)
    assert item.command == ()


def test_a_webhook_that_cannot_be_tried_is_a_warning() -> None:
    cluster = StubCluster(job())

    def no_dry_run(_method: str, _path: str, dry: bool) -> None:
        if dry:
            raise answer(400, 'admission webhook "policy.example" does not support dry run')

    cluster.trouble = no_dry_run
    preview = seen(cluster, on(Cancel), run())
    assert preview.items[0].refusal is None
    assert "policy.example" in str(preview.items[0].warning)
    assert sent(cluster, preview)[0].status is ReceiptStatus.ACCEPTED


def test_a_server_that_is_down_makes_refusals_with_the_reason() -> None:
    cluster = StubCluster(job())
    down = Unreached("GET", "the API server of lab is not reached", sent=False)
    cluster.trouble = failing("GET", down)
    preview = seen(cluster, on(Cancel, UID, OTHER), run(), run(uid=OTHER))
    assert ["not reached" in str(i.refusal) for i in preview.items] == [True, True]


def test_nothing_is_sent_to_a_server_that_is_not_reached() -> None:
    cluster = StubCluster(job())
    preview = seen(cluster, on(Cancel), run())
    cluster.trouble = failing("DELETE", Unreached("DELETE", "not reached", sent=False))
    with pytest.raises(Unavailable, match="not reached"):
        sent(cluster, preview)


@pytest.mark.parametrize(
    "lost",
    [
        Unreached("DELETE", "no answer", sent=True),
        answer(500, "etcdserver: request timed out"),
        answer(503, "the server is shutting down"),
    ],
)
def test_a_lost_answer_is_unknown_and_settled_by_looking(lost: Exception) -> None:
    cluster = StubCluster(job())
    preview = seen(cluster, on(Cancel), run())

    def after(method: str, _path: str, dry: bool) -> None:
        if method == "DELETE" and not dry:
            raise lost

    cluster.after = after
    receipts = sent(cluster, preview)
    assert receipts[0].status is ReceiptStatus.UNKNOWN
    assert settled(cluster, preview, receipts)[0].status is ReceiptStatus.DONE


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (401, "Unauthorized"),
        (403, "is forbidden"),
        (409, "conflict"),
        (429, "too many requests"),
        (422, "invalid"),
    ],
)
def test_a_refusal_is_a_receipt_and_no_exception(status: int, text: str) -> None:
    cluster = StubCluster(job())
    preview = seen(cluster, on(Cancel), run())
    cluster.trouble = failing("DELETE", answer(status, text))
    (receipt,) = sent(cluster, preview)
    assert receipt.status is ReceiptStatus.REFUSED
    assert text in str(receipt.message)
    assert len(cluster.changes) == 1


def test_a_batch_has_a_receipt_for_every_item() -> None:
    second = "/apis/batch/v1/namespaces/work/jobs/second"
    cluster = StubCluster(job(), (second, thing("second", OTHER)))
    unknown = UID.replace("aa", "cc")
    act = on(Cancel, UID, unknown, OTHER)
    preview = seen(cluster, act, run(), run(uid=OTHER, name="second"))
    receipts = settled(cluster, preview, sent(cluster, preview))
    assert [r.target for r in receipts] == list(act.runs)
    assert [r.status for r in receipts] == [
        ReceiptStatus.DONE,
        ReceiptStatus.REFUSED,
        ReceiptStatus.DONE,
    ]


def test_no_more_is_sent_to_a_server_that_does_not_answer() -> None:
    second = "/apis/batch/v1/namespaces/work/jobs/second"
    cluster = StubCluster(job(), (second, thing("second", OTHER)))
    preview = seen(cluster, on(Cancel, UID, OTHER), run(), run(uid=OTHER, name="second"))
    cluster.trouble = failing("DELETE", Unreached("DELETE", "no answer", sent=True))
    receipts = sent(cluster, preview)
    assert [r.status for r in receipts] == [ReceiptStatus.UNKNOWN, ReceiptStatus.REFUSED]
    assert receipts[1].message == actor.UNANSWERED
    assert [p for _, p, _ in cluster.changes] == [JOB]


def test_a_loss_that_is_not_known_is_not_zero() -> None:
    (item,) = seen(StubCluster(job()), on(Cancel), run(started_at=None)).items
    assert item.loss_gpu_s is None
    (item,) = seen(StubCluster(job()), on(Cancel), run(RunState.PENDING)).items
    assert item.loss_gpu_s == 0.0


def test_a_suspend_gives_the_gpus_away_and_says_so() -> None:
    cluster = StubCluster(job())
    preview = seen(cluster, on(Suspend), run())
    (item,) = preview.items
    assert json.loads(item.command[2]) == [
        {"op": "test", "path": "/metadata/uid", "value": UID},
        {"op": "add", "path": "/spec/suspend", "value": True},
    ]
    assert "GPUs given away" in str(item.warning)
    assert item.loss_gpu_s == 60.0
    assert preview.inverse == on(Resume)
    receipts = sent(cluster, preview)
    (receipt,) = settled(cluster, preview, receipts)
    assert (receipt.status, receipt.after) == (ReceiptStatus.DONE, "suspended")
    back = seen(cluster, on(Resume), run(RunState.SUSPENDED))
    assert settled(cluster, back, sent(cluster, back))[0].status is ReceiptStatus.DONE
    assert cluster.things[JOB]["spec"]["suspend"] is False


def test_a_suspend_is_not_done_before_its_pods_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foundry_tui.schedulers.kai.receipts.SETTLE_S", 0.0)
    monkeypatch.setattr("foundry_tui.schedulers.kai.receipts.POLL_S", 0.0)
    cluster = StubCluster(job())
    cluster.things[JOB]["status"] = {"active": 1, "terminating": 1}
    preview = seen(cluster, on(Suspend), run())
    (receipt,) = settled(cluster, preview, sent(cluster, preview))
    assert (receipt.status, receipt.after) == (ReceiptStatus.ACCEPTED, "ending")
    assert "2 of its pods" in str(receipt.message)


def test_a_hold_marks_a_waiting_job_and_its_release_takes_the_mark_away() -> None:
    cluster = StubCluster(job())
    preview = seen(cluster, on(Hold), run(RunState.PENDING))
    assert preview.inverse == on(Release)
    assert settled(cluster, preview, sent(cluster, preview))[0].after == "held"
    assert cluster.things[JOB]["metadata"]["annotations"] == {"foundry/held": "true"}
    back = seen(cluster, on(Release), run(RunState.PENDING, held=True))
    assert settled(cluster, back, sent(cluster, back))[0].status is ReceiptStatus.DONE
    assert cluster.things[JOB]["spec"]["suspend"] is False
    assert cluster.things[JOB]["metadata"]["annotations"] == {}


def test_a_pytorch_job_says_it_in_its_run_policy() -> None:
    path = "/apis/kubeflow.org/v1/namespaces/work/pytorchjobs/train"
    cluster = StubCluster((path, thing("train")))
    preview = seen(cluster, on(Suspend), run(kind="PyTorchJob"))
    assert preview.items[0].command[:2] == ("PATCH", path)
    sent(cluster, preview)
    assert cluster.things[path]["spec"] == {"runPolicy": {"suspend": True}}


PENDING, RUNNING, SUSPENDED = RunState.PENDING, RunState.RUNNING, RunState.SUSPENDED


@pytest.mark.parametrize(
    ("act", "one", "why"),
    [
        (Suspend, run(kind="Pod", name="alone"), "a bare Pod cannot be stopped"),
        (Hold, run(PENDING, kind="Pod", name="alone"), "a bare Pod cannot be stopped"),
        (Suspend, run(PENDING), "it waits: hold it"),
        (Suspend, run(SUSPENDED), "suspended already"),
        (Resume, run(), "it is not suspended"),
        (Resume, run(PENDING, held=True), "release it"),
        (Hold, run(), "only a waiting run"),
        (Hold, run(PENDING, held=True), "held already"),
        (Release, run(PENDING), "it is not held"),
        (Cancel, run(RunState.COMPLETED), "ended already (completed)"),
    ],
)
def test_an_act_without_a_meaning_is_refused(act: type[RunAct], one: Run, why: str) -> None:
    cluster = StubCluster(job())
    (item,) = seen(cluster, on(act), one).items
    assert why in str(item.refusal)
    assert cluster.asked == []


def test_a_run_of_somebody_else_is_named_as_such() -> None:
    (item,) = seen(StubCluster(job()), on(Cancel), run(user="someone")).items
    assert item.warning == "belongs to someone"


def test_a_change_of_queue_moves_workload_and_pod_group() -> None:
    cluster = StubCluster(job(), pod_group(), queue("b"))
    act = ChangeRun(source="lab", runs=(f"lab/{UID}",), fields=(("queue", "b"),))
    preview = seen(cluster, act, run(PENDING))
    (item,) = preview.items
    assert item.refusal is None
    assert [item.command[i] for i in (1, 4)] == [JOB, GROUP]
    assert json.loads(item.command[5]) == [
        {"op": "test", "path": "/metadata/uid", "value": OTHER},
        {"op": "test", "path": "/spec/queue", "value": "a"},
        {"op": "add", "path": "/spec/queue", "value": "b"},
        {"op": "add", "path": "/metadata/labels/kai.scheduler~1queue", "value": "b"},
    ]
    assert preview.inverse == dataclasses.replace(act, fields=(("queue", "a"),))
    receipts = settled(cluster, preview, sent(cluster, preview))
    assert receipts[0].status is ReceiptStatus.DONE
    assert cluster.things[GROUP]["spec"]["queue"] == "b"
    assert cluster.things[JOB]["metadata"]["labels"]["kai.scheduler/queue"] == "b"


def test_a_class_that_was_none_is_none_again() -> None:
    cluster = StubCluster(
        job(), ("/apis/scheduling.k8s.io/v1/priorityclasses/build", thing("build"))
    )
    act = ChangeRun(source="lab", runs=(f"lab/{UID}",), fields=(("qos", "build"),))
    preview = seen(cluster, act, run(RunState.PENDING))
    assert preview.inverse == dataclasses.replace(act, fields=(("qos", ""),))
    for one in (act, preview.inverse):
        again = seen(cluster, one, run(RunState.PENDING))
        assert settled(cluster, again, sent(cluster, again))[0].status is ReceiptStatus.DONE
    assert cluster.things[JOB]["metadata"]["labels"] == {"kai.scheduler/queue": "a"}


def test_a_change_that_stops_half_way_says_how_far_it_came() -> None:
    cluster = StubCluster(job(), pod_group(), queue("b"))
    act = ChangeRun(source="lab", runs=(f"lab/{UID}",), fields=(("queue", "b"),))
    preview = seen(cluster, act, run(PENDING))
    cluster.things[GROUP]["spec"]["queue"] = "c"
    (receipt,) = sent(cluster, preview)
    assert receipt.status is ReceiptStatus.REFUSED
    assert str(receipt.message).startswith("1 of 2 changes were made, then: it was changed")


def test_a_change_that_the_cluster_took_back_is_no_success() -> None:
    path = "/apis/scheduling.k8s.io/v1/priorityclasses/build"
    cluster = StubCluster(job(), pod_group(), (path, thing("build")))
    act = ChangeRun(source="lab", runs=(f"lab/{UID}",), fields=(("qos", "build"),))
    preview = seen(cluster, act, run(PENDING))
    receipts = sent(cluster, preview)
    cluster.things[GROUP]["spec"]["priorityClassName"] = "train"
    (receipt,) = settled(cluster, preview, receipts)
    assert receipt.status is ReceiptStatus.UNCHANGED
    assert '"train", not "build"' in str(receipt.message)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ((("queue", "nowhere"),), "there is no queue nowhere"),
        ((("queue", "parent"),), "parent has queues below it"),
        ((("queue", "größe"),), "no name of a queue"),
        ((("qos", "nowhere"),), "there is no priority class nowhere"),
    ],
)
def test_a_queue_or_class_that_is_not_there_is_refused(
    fields: tuple[tuple[str, str], ...], why: str
) -> None:
    parent = queue("parent", status={"childQueues": ["a", "b"]})
    act = ChangeRun(source="lab", runs=(f"lab/{UID}",), fields=fields)
    (item,) = seen(StubCluster(job(), pod_group(), parent), act, run(PENDING)).items
    assert why in str(item.refusal)


def test_a_field_that_cannot_be_changed_is_an_error_that_names_those_that_can() -> None:
    act = ChangeRun(source="lab", runs=(f"lab/{UID}",), fields=(("no_such_field", "1"),))
    with pytest.raises(ValueError, match=r"no_such_field.*queue, qos"):
        seen(StubCluster(), act, run(PENDING))


def test_only_a_waiting_run_is_moved() -> None:
    act = ChangeRun(source="lab", runs=(f"lab/{UID}",), fields=(("queue", "b"),))
    (item,) = seen(StubCluster(job(), queue("b")), act, run()).items
    assert "only a waiting run" in str(item.refusal)


def test_a_requeue_is_not_supported_and_the_reason_is_told() -> None:
    reason = actor.supports(Requeue)
    assert reason is not None
    with pytest.raises(ValueError, match=reason[:20]):
        seen(StubCluster(), on(Requeue), run())


def test_quota_and_limit_of_a_queue_are_changed_and_can_be_put_back() -> None:
    path, found = queue("a")
    found["spec"] = {"priority": 100, "resources": {"gpu": {"quota": 4, "limit": -1}}}
    cluster = StubCluster((path, found))
    fields = (
        *(("quota_gpus", "2.5"), ("limit_gpus", "8")),
        *(("over_quota_weight", "2"), ("priority", "150")),
    )
    act = ChangeQueue(source="lab", queue="a", fields=fields)
    preview = seen(cluster, act)
    (item,) = preview.items
    assert item.refusal is None
    assert preview.inverse == dataclasses.replace(
        act,
        fields=(
            *(("quota_gpus", "4"), ("limit_gpus", "unlimited")),
            *(("over_quota_weight", "0"), ("priority", "100")),
        ),
    )
    assert settled(cluster, preview, sent(cluster, preview))[0].status is ReceiptStatus.DONE
    assert cluster.things[path]["spec"] == {
        "priority": 150,
        "resources": {"gpu": {"quota": 2.5, "limit": 8, "overQuotaWeight": 2}},
    }
    assert preview.inverse is not None
    back = seen(cluster, preview.inverse)
    sent(cluster, back)
    assert cluster.things[path]["spec"]["resources"]["gpu"]["limit"] == -1


def test_a_queue_that_was_changed_since_is_not_overwritten() -> None:
    path, found = queue("a")
    found["spec"] = {"resources": {"gpu": {"quota": 4}}}
    cluster = StubCluster((path, found))
    preview = seen(cluster, ChangeQueue(source="lab", queue="a", fields=(("quota_gpus", "2"),)))
    cluster.things[path]["spec"]["resources"]["gpu"]["quota"] = 6
    (receipt,) = sent(cluster, preview)
    assert receipt.status is ReceiptStatus.REFUSED
    assert "changed since" in str(receipt.message)


@pytest.mark.parametrize("value", ["inf", "nan", "-1", "", "4x", "1e3", "½", "4.1234"])
def test_an_absurd_quota_is_refused_by_name(value: str) -> None:
    act = ChangeQueue(source="lab", queue="a", fields=(("quota_gpus", value),))
    (item,) = seen(StubCluster(queue("a")), act).items
    assert str(item.refusal).startswith("quota_gpus: ")


def test_a_limit_below_the_quota_is_a_warning() -> None:
    path, found = queue("a")
    found["spec"] = {"resources": {"gpu": {"quota": 4, "limit": -1}}}
    act = ChangeQueue(source="lab", queue="a", fields=(("limit_gpus", "2"),))
    assert "below its quota" in str(seen(StubCluster((path, found)), act).items[0].warning)


def test_a_node_is_drained_and_resumed_with_its_reason() -> None:
    path = "/api/v1/nodes/gpu00"
    cluster = StubCluster((path, thing("gpu00")))
    act = ChangeNode(source="lab", nodes=("gpu00", "nope"), state="drain", reason="fan")
    preview = seen(cluster, act)
    assert "those that run stay" in str(preview.items[0].warning)
    assert preview.items[1].refusal == "there is no node nope"
    receipts = settled(cluster, preview, sent(cluster, preview))
    assert [r.status for r in receipts] == [ReceiptStatus.DONE, ReceiptStatus.REFUSED]
    assert cluster.things[path]["spec"]["unschedulable"] is True
    assert cluster.things[path]["metadata"]["annotations"] == {
        "foundry/drain-reason": "fan",
        "foundry/drained-by": user_name(),
    }
    # Nothing is taken back of a node that the act did not change.
    assert preview.inverse == ChangeNode(source="lab", nodes=("gpu00",), state="resume")
    again = seen(cluster, act)
    assert again.items[0].refusal == f"it is drained already: fan [{user_name()}]"
    assert again.inverse is None
    back = seen(cluster, preview.inverse)
    assert back.inverse == ChangeNode(source="lab", nodes=("gpu00",), state="drain", reason="fan")
    assert back.items[0].warning is None
    sent(cluster, back)
    assert cluster.things[path]["spec"] == {}
    assert cluster.things[path]["metadata"]["annotations"] == {}


def test_a_node_has_two_states_that_can_be_set() -> None:
    with pytest.raises(ValueError, match="drain, resume"):
        seen(StubCluster(), ChangeNode(source="lab", nodes=("a",), state="down"))
