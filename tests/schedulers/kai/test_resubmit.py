"""A waiting run made anew: what is copied, what is refused, and what a broken-off try leaves."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.acts import Preview, Receipt, ReceiptStatus, Resubmit
from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.text import safe
from foundry_tui.process import user_name
from foundry_tui.schedulers.kai import actor, templates
from foundry_tui.schedulers.kai.connect import Unreached
from foundry_tui.schedulers.kai.receipts import read_back
from foundry_tui.schedulers.kai.submit import find_submitted
from foundry_tui.schedulers.kai.wire import Wrong
from tests.schedulers.kai.stub import StubCluster, answer

CONFIG = KubernetesConfig(name="lab", namespaces=("work",))
HOME = "/apis/batch/v1/namespaces/work/jobs"
POD = "/api/v1/namespaces/work/pods/train-x1"
UID = "0f0e0d0c-0000-4000-8000-0000000000aa"
HALF = (("gpu_milli", "500"),)


def job(**more: Any) -> dict[str, Any]:
    """A Job as the API server shows it, with what the cluster has put into it."""
    ours = {"controller-uid": UID, "job-name": "train", "app": "x"}
    container = {"name": "main", "image": "a", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    return {
        "metadata": {
            "name": "train",
            "namespace": "work",
            "uid": UID,
            "resourceVersion": "7",
            "generation": 3,
            "managedFields": [{}],
            "labels": {"kai.scheduler/queue": "a"},
            "annotations": {"foundry/user": "bob", "batch.kubernetes.io/job-tracking": ""},
            **more.pop("metadata", {}),
        },
        "spec": {
            "selector": {"matchLabels": {"controller-uid": UID}},
            "suspend": False,
            "template": {
                "metadata": {"labels": ours, "creationTimestamp": None},
                "spec": {"containers": [container]},
            },
            **more.pop("spec", {}),
        },
        "status": {"active": 1, "startTime": "2026-01-01T00:00:00Z", **more.pop("status", {})},
    }


def waiting(uid: str = UID, kind: str = "Job", name: str = "train") -> Run:
    native = {"kind": safe(kind), "namespace": safe("work"), "workload": safe(name)}
    return Run(
        id=f"lab/{uid}",
        native_id=uid,
        source="lab",
        scheduler="kai",
        name=safe(name),
        state=RunState.PENDING,
        user=user_name(),
        native=native,
    )


def act(fields: tuple[tuple[str, str], ...] = HALF, *more: str) -> Resubmit:
    return Resubmit(source="lab", runs=(f"lab/{UID}", *more), fields=fields)


def seen(cluster: StubCluster, asked: Resubmit | None = None, token: str = "t0ken") -> Preview:
    return actor.preview(cluster, CONFIG, asked or act(), (waiting(),), token)  # type: ignore[arg-type]


def sent(cluster: StubCluster, preview: Preview) -> Receipt:
    (receipt,) = actor.perform(cluster, preview, "t0ken")  # type: ignore[arg-type]
    return receipt


def settled(cluster: StubCluster, preview: Preview, receipt: Receipt) -> Receipt:
    (found,) = read_back(cluster, preview, (receipt,))  # type: ignore[arg-type]
    return found


def found(cluster: StubCluster, token: str = "t0ken") -> str | None:
    return find_submitted(cluster, token, CONFIG)  # type: ignore[arg-type]


def test_the_copy_has_what_the_user_wrote_and_nothing_of_the_cluster() -> None:
    cluster = StubCluster((f"{HOME}/train", job()))
    (item,) = seen(cluster).items
    assert item.refusal is None
    made = json.loads(item.command[2])
    name = made["metadata"].pop("name")
    assert name.startswith("train-")
    assert made == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "namespace": "work",
            "labels": {"kai.scheduler/queue": "a", "foundry/submit-token": "t0ken"},
            "annotations": {
                "foundry/user": "bob",
                "foundry/name": "train",
                "foundry/submit-token": "t0ken",
                "foundry/resubmits": UID,
            },
        },
        "spec": {
            "suspend": False,
            "template": {
                "metadata": {"labels": {"app": "x"}, "annotations": {"gpu-fraction": "0.5"}},
                "spec": {
                    "containers": [{"name": "main", "image": "a", "resources": {"limits": {}}}]
                },
            },
        },
    }
    assert (item.command[3], item.command[4]) == ("DELETE", f"{HOME}/train")
    assert json.loads(item.command[5])["preconditions"] == {"uid": UID}
    # Both were tried, with a pod of the new one, and nothing was done.
    dry = [(method, path.rpartition("/")[2]) for method, path, _, dry in cluster.asked if dry]
    assert dry == [("POST", "jobs"), ("POST", "pods"), ("DELETE", "train")]
    assert cluster.changes == []


@pytest.mark.parametrize(
    ("thing", "fields", "why"),
    [
        (job(status={"ready": 1}), HALF, "it has started"),
        (job(status={"failed": 1}), HALF, "it has started"),
        (job(metadata={"ownerReferences": [{"kind": "JobSet", "name": "s"}]}), HALF, "JobSet s"),
        (job(metadata={"deletionTimestamp": "now"}), HALF, "being deleted"),
        (job(metadata={"finalizers": ["kueue.x-k8s.io/x"]}), HALF, "finalizer"),
        (job(spec={"manualSelector": True}), HALF, "manualSelector"),
        (job(), (("gpu_milli", "1000"),), "asks for that already"),
        (job(), (("gpu_milli", "1500"),), "whole GPUs, not 1.5"),
        (job(), (("gpu_milli", "0"),), "whole GPUs, not 0"),
        (job(spec={"parallelism": 3}), HALF, "same share for each of its 3 pods"),
        (job(), (("queue", "nowhere"),), "no queue nowhere"),
        (job(), (("qos", "nowhere"),), "no priority class nowhere"),
        (job(), (("nodelist", "nowhere"),), "no node nowhere"),
    ],
)
def test_what_cannot_be_made_anew_is_refused_with_the_reason(
    thing: dict[str, Any], fields: tuple[tuple[str, str], ...], why: str
) -> None:
    cluster = StubCluster((f"{HOME}/train", thing))
    (item,) = seen(cluster, act(fields)).items
    assert why in str(item.refusal)
    assert cluster.changes == []


def test_fields_that_a_new_run_cannot_have_are_errors() -> None:
    cluster = StubCluster((f"{HOME}/train", job()))
    for fields, why in (
        ((("image", "b"),), "image"),
        ((("gpu_milli", "half"),), "gpu_milli"),
        ((), "nothing to change"),
    ):
        with pytest.raises(ValueError, match=why):
            seen(cluster, act(fields))
    assert "submit token" in str(seen(cluster, token="").items[0].refusal)


def test_a_program_that_ends_between_the_two_leaves_both_and_the_new_one_is_found() -> None:
    cluster = StubCluster((f"{HOME}/train", job()))
    preview = seen(cluster)

    def killed(method: str, _path: str, dry: bool) -> None:
        if method == "DELETE" and not dry:
            raise KeyboardInterrupt

    cluster.trouble = killed
    with pytest.raises(KeyboardInterrupt):
        sent(cluster, preview)
    new = found(cluster)
    assert new not in (None, UID)
    assert [p for p in cluster.things if p.startswith(HOME)] != [f"{HOME}/train"]
    assert f"{HOME}/train" in cluster.things
    # The same try again makes no third one, and ends the old one.
    cluster.trouble = lambda *_: None
    receipt = settled(cluster, preview, sent(cluster, preview))
    assert (receipt.status, receipt.after) == (ReceiptStatus.DONE, f"lab/{new}")
    assert [t["metadata"]["uid"] for t in cluster.things.values()] == [new]


def test_a_lost_answer_is_settled_by_looking() -> None:
    lost = Unreached("asked", "no answer", sent=True)
    for method, status in (("POST", ReceiptStatus.UNKNOWN), ("DELETE", ReceiptStatus.DONE)):
        cluster = StubCluster((f"{HOME}/train", job()))
        preview = seen(cluster)

        def after(asked: str, _path: str, dry: bool, method: str = method) -> None:
            if asked == method and not dry:
                raise lost

        cluster.after = after
        receipt = sent(cluster, preview)
        assert receipt.status is ReceiptStatus.UNKNOWN
        cluster.after = lambda *_: None
        receipt = settled(cluster, preview, receipt)
        assert receipt.status is status
        assert receipt.after == f"lab/{found(cluster)}"
        assert ("both are there" in str(receipt.message)) is (method == "POST")


def test_a_creation_that_is_refused_leaves_the_old_one() -> None:
    cluster = StubCluster((f"{HOME}/train", job()))
    preview = seen(cluster)

    def trouble(method: str, _path: str, dry: bool) -> None:
        if method == "POST" and not dry:
            raise answer(403, "exceeded quota")

    cluster.trouble = trouble
    receipt = sent(cluster, preview)
    assert (receipt.status, list(cluster.things)) == (ReceiptStatus.REFUSED, [f"{HOME}/train"])


def test_a_run_that_starts_in_between_goes_on_alone() -> None:
    # Before anything is sent ...
    cluster = StubCluster((f"{HOME}/train", job()))
    preview = seen(cluster)
    cluster.things[f"{HOME}/train"]["status"]["ready"] = 1
    receipt = sent(cluster, preview)
    assert "started since" in str(receipt.message)
    assert cluster.changes == []
    # ... and when the new one is made already, which is taken back.
    cluster = StubCluster((f"{HOME}/train", job()))
    preview = seen(cluster)

    def starts(method: str, path: str, dry: bool) -> None:
        if (method, path, dry) == ("POST", HOME, False):
            cluster.things[f"{HOME}/train"]["status"]["ready"] = 1

    cluster.after = starts
    receipt = sent(cluster, preview)
    assert (receipt.status, list(cluster.things)) == (ReceiptStatus.REFUSED, [f"{HOME}/train"])
    assert "goes on" in str(receipt.message)


def test_each_run_of_one_act_has_a_token_of_its_own() -> None:
    other = "0f0e0d0c-0000-4000-8000-0000000000bb"
    second = copy.deepcopy(job())
    second["metadata"] |= {"name": "other", "uid": other}
    cluster = StubCluster((f"{HOME}/train", job()), (f"{HOME}/other", second))
    runs = (waiting(), waiting(other, name="other"))
    preview = actor.preview(cluster, CONFIG, act(HALF, f"lab/{other}"), runs, "t0ken")  # type: ignore[arg-type]
    receipts = actor.perform(cluster, preview, "t0ken")  # type: ignore[arg-type]
    receipts = read_back(cluster, preview, receipts)  # type: ignore[arg-type]
    assert [r.status for r in receipts] == [ReceiptStatus.DONE] * 2
    assert [r.after for r in receipts] == [
        f"lab/{found(cluster)}",
        f"lab/{found(cluster, 't0ken-2')}",
    ]


def container(name: str, **limits: str) -> dict[str, Any]:
    return {
        "name": name,
        "resources": {"limits": {k.replace("_", "/"): v for k, v in limits.items()}},
    }


def test_the_container_that_had_the_gpus_keeps_them() -> None:
    template: dict[str, Any] = {
        "spec": {"containers": [container("side"), container("main", **{"nvidia.com_gpu": "2"})]}
    }
    templates.ask(template, 250)
    assert template["metadata"]["annotations"] == {
        "gpu-fraction": "0.25",
        "gpu-fraction-container-name": "main",
    }
    templates.ask(template, 3000)
    assert template["metadata"]["annotations"] == {}
    limits = [c["resources"]["limits"] for c in template["spec"]["containers"]]
    assert limits == [{}, {"nvidia.com/gpu": "3"}]


@pytest.mark.parametrize(
    ("containers", "why"),
    [
        ([container("a", **{"nvidia.com_mig-1g.5gb": "1"})], "MIG"),
        ([container(n, **{"nvidia.com_gpu": "1"}) for n in "ab"], "several"),
    ],
)
def test_gpus_that_are_no_share_of_one_are_refused(
    containers: list[dict[str, Any]], why: str
) -> None:
    with pytest.raises(Wrong, match=why):
        templates.ask({"spec": {"containers": containers}}, 500)
