"""Levers on the fake control plane: a waiting training made anew, quotas guarded, rights told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from foundry_tui.estate.acts import ChangeQueue, MoveNode, Receipt, ReceiptStatus, Resubmit
from foundry_tui.estate.run import Run, RunState
from foundry_tui.schedulers.runai import resubmit
from foundry_tui.schedulers.runai.adapter import RunaiAdapter
from foundry_tui.schedulers.runai.fake import FakeRunai
from tests.schedulers.runai.harness import adapter_of, work_of
from tests.schedulers.runai.openapi import judge_asked

TOO_MANY = "--gpu-devices-request=9"
"""No node has nine: it waits."""


@pytest.fixture
def fake() -> Iterator[FakeRunai]:
    start = datetime(2026, 11, 20, 12, tzinfo=UTC)
    with FakeRunai(clock=lambda: start) as found:
        yield found
        assert judge_asked((a.method, a.path, a.query, a.body) for a in found.requests) == []


@pytest.fixture
def adapter(fake: FakeRunai) -> Iterator[RunaiAdapter]:
    with closing(adapter_of(fake)) as found:
        yield found


def submitted(fake: FakeRunai, adapter: RunaiAdapter, *options: str) -> Run:
    (receipt,) = adapter.perform(
        adapter.preview(work_of(adapter, "old", *options), (), "first"), "first"
    )
    fake.advance(60)
    return seen(adapter, receipt.target)


def seen(adapter: RunaiAdapter, native: str) -> Run:
    return next(r for r in adapter.snapshot().runs if r.native_id == native)


def made_of(run: Run, **fields: str) -> Resubmit:
    return Resubmit(source="runai", runs=(run.id,), fields=tuple(fields.items()))


def test_a_waiting_training_is_made_anew_as_a_half(fake: FakeRunai, adapter: RunaiAdapter) -> None:
    old = submitted(fake, adapter, TOO_MANY, "--cpu-core-request=2")
    assert old.state is RunState.PENDING
    preview = adapter.preview(made_of(old, gpu_milli="500"), (old,), "second")
    (item,) = preview.items
    assert (item.refusal, preview.inverse) == (None, None)
    assert (item.command[0], item.command[3]) == ("POST", "DELETE")
    assert "begins to wait anew" in str(item.warning)
    before = fake.requests[-1]
    assert before.method == "GET"
    (receipt,) = adapter.perform(preview, "second")
    fake.advance(60)
    (receipt,) = adapter.read_back(preview, (receipt,))
    assert receipt.status is ReceiptStatus.DONE, receipt
    native = adapter.find_submitted("second")
    assert receipt.after == f"runai/{native}"
    assert receipt.target == old.id
    new = seen(adapter, native or "")
    assert (new.request.gpu_count, new.request.gpu_milli) == (1, 500)
    assert new.request.cpu_milli == 2000
    assert new.name.startswith("old")
    assert old.id not in {r.id for r in adapter.snapshot().runs if r.state is RunState.PENDING}


def test_what_cannot_be_made_anew_is_refused(fake: FakeRunai, adapter: RunaiAdapter) -> None:
    runs = submitted(fake, adapter, "--name=runs")
    waits = submitted(fake, adapter, TOO_MANY, "--name=waits")
    gang = submitted(fake, adapter, TOO_MANY, "--workers=2", "--name=gang")
    other = replace(waits, user="bo@example.org")
    for run, value, why in (
        (runs, "500", "only a waiting run"),
        (gang, "500", "distributed is not copied"),
        (other, "500", "belongs to bo@example.org"),
        (waits, "9000", "asks for that already"),
        (waits, "1500", "whole GPUs, not 1.5"),
    ):
        (item,) = adapter.preview(made_of(run, gpu_milli=value), (run,), "t").items
        assert why in str(item.refusal)
    for fields, why in (({"image": "x"}, "image"), ({"gpu_milli": "x"}, "gpu_milli"), ({}, "noth")):
        with pytest.raises(ValueError, match=why):
            adapter.preview(made_of(waits, **fields), (waits,), "t")


def test_one_that_was_deleted_or_started_in_between_is_left_alone(
    fake: FakeRunai, adapter: RunaiAdapter
) -> None:
    old = submitted(fake, adapter, TOO_MANY)
    preview = adapter.preview(made_of(old, gpu_milli="500"), (old,), "second")
    fake.control.delete(fake.control.find(old.native_id))
    fake.advance(60)
    (receipt,) = adapter.perform(preview, "second")
    assert receipt.status is ReceiptStatus.REFUSED
    assert adapter.find_submitted("second") is None


def test_a_program_that_ends_between_the_two_leaves_both_and_the_new_one_is_found(
    fake: FakeRunai, adapter: RunaiAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = submitted(fake, adapter, TOO_MANY)
    preview = adapter.preview(made_of(old, gpu_milli="500"), (old,), "second")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(resubmit, "_delete", killed)
        with pytest.raises(KeyboardInterrupt):
            adapter.perform(preview, "second")
    fake.advance(60)
    native = adapter.find_submitted("second")
    assert native not in (None, old.native_id)
    assert seen(adapter, old.native_id).state is RunState.PENDING
    lost = Receipt(target=old.id, status=ReceiptStatus.UNKNOWN)
    (receipt,) = adapter.read_back(preview, (lost,))
    assert (receipt.status, receipt.after) == (ReceiptStatus.UNKNOWN, f"runai/{native}")
    assert "both are there" in str(receipt.message)


def test_a_quota_that_was_changed_since_is_not_overwritten(
    fake: FakeRunai, adapter: RunaiAdapter
) -> None:
    def to(gpus: str) -> ChangeQueue:
        fields = (("quota_gpus", gpus), ("node_pool", "a100"))
        return ChangeQueue(source="runai", queue="vision", fields=fields)

    stale = adapter.preview(to("10"), (), "t")
    other = adapter.preview(to("9"), (), "t")
    adapter.perform(other, "t")
    (receipt,) = adapter.perform(stale, "t")
    assert receipt.status is ReceiptStatus.REFUSED
    assert "changed since it was last read: quota_gpus 9" in str(receipt.message)
    assert "so already" in str(adapter.preview(to("9"), (), "t").items[0].refusal)
    # More than the department has, and more than its own limit, is taken and told beforehand.
    warning = str(adapter.preview(to("17"), (), "t").items[0].warning)
    assert "its limit of 16 GPUs is below its quota" in warning
    assert "deserve 21 GPUs together there, the department itself 18" in warning
    assert adapter.preview(to("0"), (), "t").items[0].warning is None
    unlimited = str(adapter.preview(to("unlimited"), (), "t").items[0].warning)
    assert "no limit to its quota" in unlimited


def test_rights_and_what_the_control_plane_does_not_do(
    fake: FakeRunai, adapter: RunaiAdapter
) -> None:
    rights = adapter.rights()
    assert (rights.may_nodes, rights.may_queues) == (False, True)
    why = str(adapter.supports(MoveNode))
    assert "kubectl label node" in why
    with pytest.raises(ValueError, match="kubectl label node"):
        adapter.preview(MoveNode(source="runai", nodes=("a100-01",), pool="x"), (), "t")
