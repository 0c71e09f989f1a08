"""Quotas on the simulated Run:ai: changed, proven, taken back, and refused as by the real one."""

from __future__ import annotations

import json

import pytest

from foundry_tui.estate.acts import Cancel, ChangeQueue, MoveNode, ReceiptStatus, Resubmit
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.run import LIVE
from foundry_tui.schedulers.simulated import build
from foundry_tui.schedulers.simulated.runai import RunaiManners
from tests.schedulers.simulated.conftest import Clock


def change(runai: RunaiManners, queue: str, **fields: str) -> ChangeQueue:
    return ChangeQueue(source=runai.name, queue=queue, fields=tuple(fields.items()))


def queue(runai: RunaiManners, name: str) -> Queue:
    return next(q for q in runai.snapshot().queues if q.name == name)


def test_a_quota_is_changed_proven_and_taken_back(runai: RunaiManners) -> None:
    before = queue(runai, "vision")
    preview = runai.preview(
        change(runai, "vision", quota_gpus="4.5", over_quota_weight="3"), (), "t"
    )
    (item,) = preview.items
    assert item.command[:2] == ("PATCH", "/api/v1/org-unit/projects/vision/resources")
    assert json.loads(item.command[2])[0]["gpu"] == {"deserved": 4.5, "overQuotaWeight": 3.0}
    assert item.before == "quota_gpus 12, over_quota_weight 2"
    assert preview.inverse == change(runai, "vision", quota_gpus="12", over_quota_weight="2")
    assert queue(runai, "vision") == before
    (receipt,) = runai.read_back(preview, runai.perform(preview, "t"))
    assert (receipt.status, receipt.after) == (
        ReceiptStatus.DONE,
        "quota_gpus 4.5, over_quota_weight 3",
    )
    now = queue(runai, "vision")
    assert (now.quota_gpu_milli, now.over_quota_weight) == (4500, 3.0)
    assert queue(runai, "research").quota_gpu_milli == 12_500
    # What was previewed before the change is not sent over it.
    assert "changed since" in str(runai.perform(preview, "t")[0].message)
    assert preview.inverse is not None
    back = runai.preview(preview.inverse, (), "t")
    assert runai.read_back(back, runai.perform(back, "t"))[0].status is ReceiptStatus.DONE
    assert queue(runai, "vision") == before


def test_another_process_sees_the_same_quota(clock: Clock, tmp_path: object) -> None:
    first, second = build(tmp_path, clock)[1], build(tmp_path, clock)[1]  # type: ignore[arg-type]
    preview = first.preview(change(first, "speech", quota_gpus="0"), (), "t")
    first.perform(preview, "t")
    assert queue(second, "speech").quota_gpu_milli == 0


def test_what_cannot_be_changed_is_refused_with_the_reason(runai: RunaiManners) -> None:
    for name, words in (
        ("genomics", "403 the quota of genomics is changed by"),
        ("nowhere", "404 there is no project"),
    ):
        preview = runai.preview(change(runai, name, quota_gpus="1"), (), "t")
        assert str(preview.items[0].refusal).startswith(words)
        assert preview.inverse is None
        assert runai.perform(preview, "t")[0].status is ReceiptStatus.REFUSED
    for fields in ({"priority": "1"}, {"quota_gpus": "-1"}, {"quota_gpus": "nan"}, {}):
        with pytest.raises(ValueError, match=next(iter(fields), "nothing to change")):
            runai.preview(change(runai, "vision", **fields), (), "t")
    rights = runai.rights()
    assert (rights.admin, rights.may_nodes, rights.may_queues) == (False, False, True)


def test_an_administrator_changes_every_quota(clock: Clock) -> None:
    runai = build(None, clock, admin=True)[1]
    preview = runai.preview(change(runai, "genomics", quota_gpus="1"), (), "t")
    assert runai.read_back(preview, runai.perform(preview, "t"))[0].status is ReceiptStatus.DONE
    assert queue(runai, "genomics").quota_gpu_milli == 1000
    assert runai.rights().admin
    theirs = next(r for r in runai.snapshot().runs if r.user == "bo" and r.state in LIVE)
    act = Cancel(source=runai.name, runs=(theirs.id,))
    (receipt,) = runai.perform(runai.preview(act, (theirs,), "t"), "t")
    assert receipt.status in (ReceiptStatus.ACCEPTED, ReceiptStatus.REFUSED)
    assert "403" not in str(receipt.message)


def test_nodes_and_requests_are_changed_elsewhere(runai: RunaiManners) -> None:
    assert "kubectl label node" in str(runai.supports(MoveNode))
    with pytest.raises(ValueError, match="kubectl label node"):
        runai.preview(MoveNode(source=runai.name, nodes=("dgx-h01",), pool="x"), (), "t")
    assert runai.supports(Resubmit)
