"""Acts on a real Kubernetes with KAI: what they say before, and what becomes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from foundry_tui.estate.acts import (
    Cancel,
    ChangeNode,
    ChangeQueue,
    ChangeRun,
    Hold,
    ReceiptStatus,
    Release,
    Resume,
    Suspend,
)
from foundry_tui.estate.run import RunState
from foundry_tui.schedulers.kai import actor
from foundry_tui.schedulers.kai.submit import find_submitted
from foundry_tui.schedulers.ports import Unavailable
from tests.lab.daemons import until
from tests.lab.kube.cluster import KubeLab
from tests.schedulers.kai.hands import DONE, HOMES, REFUSED, Hands, new_token, on, work


@pytest.fixture
def alice(kube: KubeLab) -> Iterator[Hands]:
    yield Hands(kube, "alice")


def test_half_a_gpu_is_placed_by_kai_and_a_second_half_beside_it(alice: Hands) -> None:
    token = new_token()
    preview = alice.preview(work("--gpu-portion-request=0.5", "--name=half"), token=token)
    assert preview.refused == ()
    assert find_submitted(alice.cluster, token, alice.config) is None
    assert alice.pods("") == []
    (receipt,) = alice.send(preview)
    assert receipt.status is DONE
    assert find_submitted(alice.cluster, token, alice.config) == receipt.target
    second = alice.submitted("--gpu-portion-request=0.5", name="other-half")
    for uid in (receipt.target, second):
        until(alice.placed(uid, "Running"), 90, "both halves run")
    groups = {p["metadata"]["labels"]["runai-gpu-group"] for p in alice.pods(receipt.target)}
    groups |= {p["metadata"]["labels"]["runai-gpu-group"] for p in alice.pods(second)}
    assert len(groups) == 1


@pytest.mark.parametrize("kind", ["Job", "Pod", "PyTorchJob"])
def test_each_kind_runs_on_a_whole_gpu_and_is_cancelled(alice: Hands, kind: str) -> None:
    uid = alice.submitted("-g", "1", kind=kind)
    until(alice.placed(uid, "Running"), 90, f"a {kind} runs")
    receipt = alice.do(on(Cancel, uid), alice.run(uid))
    assert (receipt.status, receipt.after) == (DONE, "gone")
    until(alice.placed(uid), 90, "its pods go")


def test_a_gang_starts_whole_or_not_at_all(alice: Hands) -> None:
    alice.submitted("-g", "8", name="block")
    preview = alice.preview(work("--workers=3", "-g", "2", "--name=gang"))
    assert '"kind":"PyTorchJob"' in preview.items[0].command[2]
    (receipt,) = alice.send(preview)
    uid = receipt.target
    until(alice.placed(uid, *["Pending"] * 3), 90, "all three wait, although two would fit")
    blocked = next(j for j in alice.kube.api.get(HOMES["Job"])["items"])
    alice.do(on(Cancel, blocked["metadata"]["uid"]), alice.run(blocked["metadata"]["uid"]))
    until(alice.placed(uid, *["Running"] * 3), 90, "all three run")


def test_a_suspended_job_gives_its_gpus_away_and_comes_back(alice: Hands) -> None:
    for kind in ("Job", "PyTorchJob"):
        uid = alice.submitted("-g", "4", kind=kind, name=kind.lower())
        until(alice.placed(uid, "Running"), 90, "it runs")
        (first,) = alice.pods(uid)
        receipt = alice.do(on(Suspend, uid), alice.run(uid))
        assert (receipt.status, receipt.after) == (DONE, "suspended"), receipt
        until(alice.placed(uid), 90, "its pods are gone")
        receipt = alice.do(on(Resume, uid), alice.run(uid, RunState.SUSPENDED))
        assert receipt.status is DONE
        until(alice.placed(uid, "Running"), 90, "it runs again")
        assert alice.pods(uid)[0]["metadata"]["uid"] != first["metadata"]["uid"]
        alice.do(on(Cancel, uid), alice.run(uid))


def test_a_held_job_does_not_start_when_there_is_room(alice: Hands) -> None:
    block = alice.submitted("-g", "8", name="block")
    until(alice.placed(block, "Running"), 90, "the node is full")
    uid = alice.submitted("-g", "8", name="waits")
    until(alice.placed(uid, "Pending"), 90, "it waits")
    waiting = alice.run(uid, RunState.PENDING)
    assert alice.do(on(Hold, uid), waiting).after == "held"
    assert alice.owner(uid)["metadata"]["annotations"]["foundry/held"] == "true"
    alice.do(on(Cancel, block), alice.run(block))
    until(alice.placed(block), 90, "there is room")
    assert alice.placed(uid)()
    held = alice.run(uid, RunState.PENDING, held=True)
    assert alice.do(on(Release, uid), held).status is DONE
    until(alice.placed(uid, "Running"), 90, "it runs")
    assert "foundry/held" not in alice.owner(uid)["metadata"]["annotations"]


def test_a_waiting_run_starts_in_another_queue(alice: Hands) -> None:
    alice.kube.add_queue("narrow", "research", quota=0, limit=0)
    uid = alice.submitted("-g", "1", "--project=narrow")
    until(alice.placed(uid, "Pending"), 90, "it waits")
    until(lambda: alice.queue_of(uid) == {"narrow"}, 90, "KAI knows it")
    act = ChangeRun(source="lab", runs=(f"lab/{uid}",), fields=(("queue", "team-a"),))
    preview = alice.preview(act, alice.run(uid, RunState.PENDING))
    assert preview.inverse == ChangeRun(source="lab", runs=act.runs, fields=(("queue", "narrow"),))
    (receipt,) = alice.send(preview)
    assert receipt.status is DONE, receipt
    until(alice.placed(uid, "Running"), 90, "it runs")
    assert alice.queue_of(uid) == {"team-a"}


def test_a_waiting_run_starts_with_a_class_that_may_go_over_quota(alice: Hands) -> None:
    uid = alice.submitted("-g", "5", "--priority=build")
    until(alice.placed(uid, "Pending"), 90, "it waits: its queue deserves four")
    until(lambda: alice.queue_of(uid) == {"team-a"}, 90, "KAI knows it")
    act = ChangeRun(source="lab", runs=(f"lab/{uid}",), fields=(("qos", "train"),))
    receipt = alice.do(act, alice.run(uid, RunState.PENDING))
    assert receipt.status is DONE, receipt
    until(alice.placed(uid, "Running"), 90, "it runs")


def test_what_somebody_else_deleted_before_the_key_is_told(alice: Hands) -> None:
    uid = alice.submitted("--name=soon-gone")
    run = alice.run(uid)
    cancel, suspend = alice.preview(on(Cancel, uid), run), alice.preview(on(Suspend, uid), run)
    body = alice.owner(uid)
    home = f"{HOMES['Job']}/{body['metadata']['name']}"
    alice.kube.api.delete(home, propagationPolicy="Background")
    until(alice.placed(uid), 90, "it is gone")
    (receipt,) = alice.send(cancel)
    assert (receipt.status, receipt.message) == (ReceiptStatus.UNCHANGED, "it is gone already")
    # A namesake of the same name and another uid is not touched by what meant the first one.
    again = {k: body[k] for k in ("apiVersion", "kind") if k in body}
    spec = {"template": body["spec"]["template"], "suspend": False}
    for label in list(spec["template"]["metadata"]["labels"]):
        if "controller-uid" in label or "job-name" in label:
            del spec["template"]["metadata"]["labels"][label]
    meta = {"name": body["metadata"]["name"]}
    made = alice.kube.api.create(
        HOMES["Job"], {**again, "apiVersion": "batch/v1", "metadata": meta, "spec": spec}
    )
    for preview in (cancel, suspend):
        (receipt,) = alice.send(preview)
        assert receipt.status is REFUSED
        assert "since" in str(receipt.message)
    found = alice.kube.api.get(home)
    assert found["metadata"]["uid"] == made["metadata"]["uid"]
    assert found["spec"]["suspend"] is False
    (item,) = alice.preview(on(Cancel, uid), run).items
    assert item.refusal == actor.REPLACED


def test_the_servers_refusal_stands_in_the_preview(kube: KubeLab, alice: Hands) -> None:
    viewer = Hands(kube, "viewer")
    (item,) = viewer.preview(work("-g", "1")).items
    assert 'User "viewer" cannot create resource "jobs"' in str(item.refusal)
    uid = alice.submitted("-g", "1")
    for act in (Cancel, Suspend):
        (item,) = viewer.preview(on(act, uid), alice.run(uid)).items
        assert 'User "viewer" cannot' in str(item.refusal)
        assert viewer.send(viewer.preview(on(act, uid), alice.run(uid)))[0].status is REFUSED
    for options, why in (
        (("--project=nowhere",), "there is no queue nowhere"),
        (("--project=research",), "research has queues below it"),
        (("--priority=nowhere",), "there is no priority class nowhere"),
    ):
        (item,) = alice.preview(work(*options)).items
        assert why in str(item.refusal)
    # Nothing of all this had an effect.
    until(alice.placed(uid, "Running"), 90, "it runs on")
    assert len(alice.kube.api.get(HOMES["Job"])["items"]) == 1
    assert "deletionTimestamp" not in alice.owner(uid)["metadata"]


def test_admission_and_quota_of_the_pods_are_asked_too(kube: KubeLab, alice: Hands) -> None:
    home = "/api/v1/namespaces/team-a/resourcequotas"
    most, none = {"requests.nvidia.com/gpu": "1"}, {"requests.nvidia.com/gpu": "0"}
    body = {"metadata": {"name": "few"}, "spec": {"hard": most}}
    kube.api.create(home, body)
    # The lab runs no controller that counts.
    kube.api.patch(f"{home}/few/status", {"status": {"hard": most, "used": none}})
    try:
        until(lambda: over_quota(alice), 30, "the quota is known to admission")
        (item,) = alice.preview(work("-g", "2")).items
        assert "exceeded quota: few" in str(item.warning)
        (item,) = alice.preview(work("-g", "2", "--kind=Pod")).items
        assert "exceeded quota: few" in str(item.refusal)
    finally:
        kube.api.delete(f"{home}/few")
    kube.admission.kill()
    (item,) = alice.preview(work("--gpu-portion-request=0.5")).items
    assert "failed calling webhook" in str(item.refusal)


def test_a_server_that_is_down_got_nothing(kube: KubeLab, alice: Hands) -> None:
    uid = alice.submitted("-g", "1")
    run = alice.run(uid)
    ready = alice.preview(on(Cancel, uid), run)
    submit = alice.preview(work("-g", "1"))
    kube.kill_api()
    (item,) = alice.preview(on(Cancel, uid), run).items
    assert "not reached" in str(item.refusal)
    (item,) = alice.preview(work("-g", "1")).items
    assert "not reached" in str(item.refusal)
    for preview in (ready, submit):
        with pytest.raises(Unavailable, match="not reached"):
            actor.perform(alice.cluster, preview, "")
    kube.start_api()
    assert alice.owner(uid)["metadata"]["uid"] == uid
    (receipt,) = alice.send(ready)
    assert receipt.status is DONE


def test_quota_is_changed_by_an_administrator_and_put_back(kube: KubeLab, alice: Hands) -> None:
    act = ChangeQueue(
        source="lab",
        queue="team-a",
        fields=(
            *(("quota_gpus", "2.5"), ("limit_gpus", "6")),
            ("priority", "150"),
        ),
    )
    (item,) = alice.preview(act).items
    assert 'User "alice" cannot patch resource "queues"' in str(item.refusal)
    admin = Hands(kube, "admin")
    preview = admin.preview(act)
    assert preview.inverse is not None
    assert admin.send(preview)[0].status is DONE
    path = "/apis/scheduling.run.ai/v2/queues/team-a"
    spec = kube.api.get(path)["spec"]
    assert (spec["resources"]["gpu"]["quota"], spec["priority"]) == (2.5, 150)
    assert admin.do(preview.inverse).status is DONE
    spec = kube.api.get(path)["spec"]
    assert spec["resources"]["gpu"] == {"quota": 4, "limit": -1, "overQuotaWeight": 1}


def test_a_drained_node_keeps_its_pods_and_takes_no_new_ones(kube: KubeLab) -> None:
    admin = Hands(kube, "admin")
    runs = admin.submitted("-g", "8", name="stays")
    until(admin.placed(runs, "Running"), 90, "it runs")
    receipt = admin.do(ChangeNode(source="lab", nodes=("gpu00",), state="drain", reason="fan"))
    assert receipt.status is DONE
    node = kube.api.get("/api/v1/nodes/gpu00")
    assert (node["spec"]["unschedulable"], admin.phases(runs)) == (True, ["Running"])
    assert node["metadata"]["annotations"]["foundry/drain-reason"] == "fan"
    admin.do(on(Cancel, runs), admin.run(runs))
    waits = admin.submitted("-g", "8", name="waits")
    until(admin.placed(waits, "Pending"), 90, "it waits")
    until(lambda: told(admin.pods(waits)[0]), 90, "KAI has looked at it")
    assert admin.phases(waits) == ["Pending"]
    receipt = admin.do(ChangeNode(source="lab", nodes=("gpu00",), state="resume"))
    assert receipt.status is DONE
    until(admin.placed(waits, "Running"), 90, "it runs")


def over_quota(hands: Hands) -> bool:
    return "exceeded quota" in str(hands.preview(work("-g", "2")).items[0].warning)


def told(pod: Any) -> bool:
    """Whether the scheduler has said why a pod waits."""
    conditions = pod["status"].get("conditions", [])
    return any(c["type"] == "PodScheduled" and c["status"] == "False" for c in conditions)


def test_a_job_that_another_queue_takes_its_gpus_back_from_waits_again(
    kube: KubeLab, alice: Hands
) -> None:
    """KAI's reclaim deletes its pods; the Job makes new ones that wait."""
    borrows = alice.submitted("-g", "8", name="borrows")
    until(alice.placed(borrows, "Running"), 90, "it runs on more than its queue deserves")
    other = alice.submitted("-g", "4", name="borrows-too")
    until(alice.placed(other, "Running"), 90, "every GPU is taken")
    owed = alice.submitted("-g", "4", "--project=team-b", name="owed")
    until(alice.placed(owed, "Running"), 60, "the other queue has what it deserves")
    taken = {uid for uid in (borrows, other) if alice.phases(uid) != ["Running"]}
    assert len(taken) == 1
    until(lambda: all(alice.phases(u) == ["Pending"] for u in taken), 60, "it waits again")


def test_a_script_that_fails_is_not_run_again(kube: KubeLab, alice: Hands) -> None:
    (item,) = alice.preview(work("-g", "1")).items
    body = json.loads(item.command[2])
    body["spec"]["template"]["metadata"]["annotations"]["foundry.lab/exit"] = "1 after 0.5"
    uid = kube.api.create(HOMES["Job"], body)["metadata"]["uid"]

    def reasons() -> set[str]:
        return {c["reason"] for c in alice.owner(uid)["status"].get("conditions", [])}

    def counted() -> bool:
        # The condition that it will fail comes before the failed pod is counted.
        return bool(alice.owner(uid)["status"].get("failed"))

    until(lambda: "PodFailurePolicy" in reasons() and counted(), 90, "the Job has failed")
    assert alice.owner(uid)["status"]["failed"] == 1
    assert len(alice.pods(uid)) <= 1
