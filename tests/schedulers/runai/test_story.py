"""The adapter against the stateful fake: fractions, gangs, quota, rights, and faults between."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from foundry_tui.estate.acts import (
    Cancel,
    ChangeQueue,
    ReceiptStatus,
    Resume,
    Submit,
    Suspend,
)
from foundry_tui.estate.gpu import Share
from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.snapshot import Snapshot, decode, encode
from foundry_tui.estate.usage import Window
from foundry_tui.schedulers.ports import Denied, SchedulerError, Unavailable
from foundry_tui.schedulers.runai.adapter import RunaiAdapter
from foundry_tui.schedulers.runai.fake import FakeRunai
from tests.schedulers.consistency import assert_consistent
from tests.schedulers.runai.harness import adapter_of, work_of
from tests.schedulers.runai.openapi import judge_asked

HALF = {"gpuDevicesRequest": 1, "gpuRequestType": "portion", "gpuPortionRequest": 0.5}
TWO_HALVES = {**HALF, "gpuDevicesRequest": 2}
MEMORY = {"gpuDevicesRequest": 1, "gpuRequestType": "memory", "gpuMemoryRequest": "20Gi"}
UNICODE = "größe-日本"


@pytest.fixture
def fake() -> Iterator[FakeRunai]:
    start = datetime(2026, 11, 20, 12, tzinfo=UTC)
    with FakeRunai(clock=lambda: start) as found:
        yield found
        # Every request of ours has to be one of the published document, where that is present.
        assert judge_asked((a.method, a.path, a.query, a.body) for a in found.requests) == []


@pytest.fixture
def adapter(fake: FakeRunai) -> Iterator[RunaiAdapter]:
    with closing(adapter_of(fake)) as found:
        yield found


def run_of(estate: Snapshot, name: str) -> Run:
    return next(r for r in estate.runs if r.name == name)


def busy(fake: FakeRunai) -> None:
    """A node full of all kinds of pods, and two workloads that wait."""
    for number in range(3):
        fake.submit(f"half-{number}", compute=HALF)
    fake.submit("two-halves", compute=TWO_HALVES)
    fake.submit("memory", "nlp", compute=MEMORY)
    fake.submit("whole", "nlp", compute={"gpuDevicesRequest": 4}, user="bob")
    fake.submit("serve", "nlp", kind="inferences", compute={"gpuDevicesRequest": 1})
    gang: dict[str, Any] = {"numWorkers": 3, "distributedFramework": "PyTorch"}
    gang["nodePools"] = ["a100"]
    fake.submit("gang", UNICODE, kind="distributed", compute={"gpuDevicesRequest": 8}, **gang)
    fake.submit("cpu", compute={"cpuCoreRequest": 2})
    fake.advance(120)


def test_tenants_are_those_that_the_fake_really_placed(
    fake: FakeRunai, adapter: RunaiAdapter
) -> None:
    busy(fake)
    estate = adapter.snapshot()
    assert_consistent(estate, "runai")
    assert decode(encode(estate)) == estate
    truth: dict[tuple[str, int], dict[str, int]] = {}
    for workload in fake.control.workloads.values():
        for seat in workload.seats:
            for index in seat.gpus:
                held = truth.setdefault((seat.node, index), {})
                held[f"runai/{workload.id}"] = held.get(f"runai/{workload.id}", 0) + seat.milli
    told = {
        (g.node, g.index): {t.run: t.milli for t in g.tenants or ()} for g in estate.gpus if g.runs
    }
    assert told == truth
    assert {t.share for g in estate.gpus for t in g.tenants or ()} == {Share.WHOLE, Share.FRACTION}
    assert "share of memory" in (estate.gpus[0].how or "")


def test_what_runs_ask_for_counts_devices_and_thousandths(
    fake: FakeRunai, adapter: RunaiAdapter
) -> None:
    busy(fake)
    estate = adapter.snapshot()
    asked = {str(r.name): (r.request.gpu_count, r.request.gpu_milli) for r in estate.runs}
    assert asked["two-halves"] == (2, 1000)
    assert asked["half-0"] == (1, 500)
    assert asked["gang"] == (24, 24000)
    assert asked["cpu"] == (0, 0)
    assert asked["memory"] == (1, 250)
    memory = run_of(estate, "memory").request
    assert memory.gpu_memory_bytes == 20 << 30
    assert run_of(estate, "whole").user == "bob"


def test_a_refresh_costs_three_calls_when_nothing_changed(
    fake: FakeRunai, adapter: RunaiAdapter
) -> None:
    busy(fake)
    adapter.snapshot()
    before = len(fake.requests)
    adapter.snapshot()
    assert len(fake.requests) - before == 3


def test_queues_are_a_tree_with_quota_limit_and_fair_share(
    fake: FakeRunai, adapter: RunaiAdapter
) -> None:
    busy(fake)
    queues = {q.name: q for q in adapter.snapshot().queues}
    assert {q.name: q.parent for q in queues.values()} == {
        **{"research": None, "product": None},
        **{"vision": "research", UNICODE: "research", "nlp": "product"},
    }
    vision, small = queues["vision"], queues[UNICODE]
    assert (vision.quota_gpu_milli, vision.limit_gpu_milli) == (14000, None)
    assert (small.quota_gpu_milli, small.limit_gpu_milli) == (4000, 6000)
    assert vision.allocated_gpu_milli == vision.fair_share_gpu_milli == 2500
    assert queues["nlp"].allocated_non_preemptible_gpu_milli == 1000
    assert small.requested_gpu_milli == queues["research"].requested_gpu_milli == 24000


def test_a_run_over_its_limit_carries_the_numbers_of_the_pool(
    fake: FakeRunai, adapter: RunaiAdapter
) -> None:
    busy(fake)
    gang = run_of(adapter.snapshot(), "gang")
    native = gang.native or {}
    assert gang.reason == "OverLimit"
    assert {k: v for k, v in native.items() if k.startswith("unscheduled_")} == {
        "unscheduled_reason": "OverLimit",
        "unscheduled_message": native["phase_message"],
        "unscheduled_queue": UNICODE,
        "unscheduled_pool": "a100",
        "unscheduled_requested": "24000",
        "unscheduled_deserved": "4000",
        "unscheduled_allocated": "0",
        "unscheduled_limit": "4000",
    }
    assert (native["pods_wanted"], native["min_member"]) == ("3", "3")
    assert f"--project '{UNICODE}'" in (adapter.logs(gang, tail_lines=9).reason or "")
    estimate = adapter.estimate(gang)
    assert estimate.starts_at is None
    assert "OverLimit" in (estimate.reason or "")


def test_suspend_gives_the_gpus_away_and_resume_takes_it_back(
    fake: FakeRunai, adapter: RunaiAdapter
) -> None:
    busy(fake)
    run = run_of(adapter.snapshot(), "half-0")
    preview = adapter.preview(Suspend(source="runai", runs=(run.id,)), (run,), "t")
    assert "gives the GPUs away" in (preview.items[0].warning or "")
    sent = adapter.perform(preview, "t")
    fake.advance(60)
    (receipt,) = adapter.read_back(preview, sent)
    assert (receipt.status, receipt.after) == (ReceiptStatus.DONE, "stopped")
    estate = adapter.snapshot()
    run = run_of(estate, "half-0")
    assert (run.state, run.placement) == (RunState.SUSPENDED, ())
    vision = next(q for q in estate.queues if q.name == "vision")
    assert vision.allocated_gpu_milli == 2000
    assert isinstance(preview.inverse, Resume)
    back = adapter.preview(preview.inverse, (run,), "t")
    sent = adapter.perform(back, "t")
    fake.advance(60)
    assert adapter.read_back(back, sent)[0].status is ReceiptStatus.DONE
    assert run_of(adapter.snapshot(), "half-0").state is RunState.RUNNING


def test_a_stopped_time_that_is_not_told_is_noted(fake: FakeRunai, adapter: RunaiAdapter) -> None:
    fake.submit("stopped-once", compute=HALF)
    fake.advance(600)
    run = run_of(adapter.snapshot(), "stopped-once")
    for act in (Suspend(source="runai", runs=(run.id,)), Resume(source="runai", runs=(run.id,))):
        adapter.perform(adapter.preview(act, (run,), "t"), "t")
        fake.advance(60)
        run = run_of(adapter.snapshot(), "stopped-once")
    fake.fail_next("GET /api/v1/workloads/.*/history", 404)
    window = Window(fake.now() - timedelta(hours=1), fake.now())
    told = adapter.accounting(window)
    assert len(told.records) == 1
    assert "stopped and resumed" in told.notes[0]


def test_deleted_and_completed_workloads_are_counted(
    fake: FakeRunai, adapter: RunaiAdapter
) -> None:
    fake.submit("done", compute=HALF, args="-c 'sleep 100'")
    native = fake.submit("killed", compute={"gpuDevicesRequest": 2})
    fake.advance(300)
    run = next(r for r in adapter.snapshot().runs if r.native_id == native)
    adapter.perform(adapter.preview(Cancel(source="runai", runs=(run.id,)), (run,), "t"), "t")
    fake.advance(300)
    window = Window(fake.now() - timedelta(hours=1), fake.now())
    found = {str(r.name): r for r in adapter.accounting(window).records}
    assert found["done"].state is RunState.COMPLETED
    held = window.overlap_s(found["done"].started_at, found["done"].ended_at)
    assert held == pytest.approx(100, abs=5)
    assert (found["killed"].state, found["killed"].gpu_milli) == (RunState.CANCELLED, 2000)
    assert window.overlap_s(found["killed"].started_at, found["killed"].ended_at) > 200


def test_a_quota_is_changed_by_whom_it_is_for_and_undone(
    fake: FakeRunai, adapter: RunaiAdapter
) -> None:
    fields = (("quota_gpus", "10"), ("node_pool", "a100"))
    act = ChangeQueue(source="runai", queue="vision", fields=fields)
    preview = adapter.preview(act, (), "t")
    (settled,) = adapter.read_back(preview, adapter.perform(preview, "t"))
    assert settled.status is ReceiptStatus.DONE
    assert (settled.before or "").startswith("quota_gpus 12")
    assert (settled.after or "").startswith("quota_gpus 10")
    quotas = {q.name: q.quota_gpu_milli for q in adapter.snapshot().queues}
    assert quotas["vision"] == 12000
    assert preview.inverse == ChangeQueue(
        source="runai", queue="vision", fields=(("quota_gpus", "12"), ("node_pool", "a100"))
    )
    other = ChangeQueue(source="runai", queue="nlp", fields=fields)
    (item,) = adapter.preview(other, (), "t").items
    assert "nlp is changed by a System or Department administrator" in (item.refusal or "")
    unclear = ChangeQueue(source="runai", queue="vision", fields=fields[:1])
    assert "a100, h100" in (adapter.preview(unclear, (), "t").items[0].refusal or "")
    for wrong in (("gpus", "1"), ("quota_gpus", "-1"), ("quota_gpus", "many")):
        with pytest.raises(ValueError, match=wrong[0]):
            adapter.preview(ChangeQueue(source="runai", queue="vision", fields=(wrong,)), (), "t")


def test_a_fraction_and_a_gang_are_submitted(fake: FakeRunai, adapter: RunaiAdapter) -> None:
    for options, gpus in (
        (("--gpu-portion-request=0.25",), (1, 250)),
        (("--gpu-memory-request=10Gi",), (1, 125)),
        (("--workers=2", "--node-pools=a100"), (2, 2000)),
    ):
        act = work_of(adapter, f"made-{gpus[1]}", *options)
        token = f"token-{gpus[1]}"
        (receipt,) = adapter.perform(adapter.preview(act, (), token), token)
        assert receipt.status is ReceiptStatus.ACCEPTED, receipt
        fake.advance(60)
        run = next(r for r in adapter.snapshot().runs if r.native_id == receipt.target)
        assert (run.request.gpu_count, run.request.gpu_milli) == gpus
        assert (run.state, run.submit_token) == (RunState.RUNNING, token)


def test_an_answer_that_is_lost_is_found_by_its_token(
    fake: FakeRunai, adapter: RunaiAdapter
) -> None:
    fake.drop_answer("POST /api/v1/workloads/trainings")
    preview = adapter.preview(work_of(adapter, "lost"), (), "token-lost")
    (receipt,) = adapter.perform(preview, "token-lost")
    assert receipt.status is ReceiptStatus.UNKNOWN
    assert adapter.read_back(preview, (receipt,)) == (receipt,)
    fake.advance(30)
    with closing(adapter_of(fake)) as later:
        native = later.find_submitted("token-lost")
    assert native is not None
    assert fake.count("POST /api/v1/workloads/trainings") == 1


def test_a_deleted_workload_is_still_found_by_its_token(
    fake: FakeRunai, adapter: RunaiAdapter
) -> None:
    (receipt,) = adapter.perform(adapter.preview(work_of(adapter, "gone"), (), "tok"), "tok")
    fake.advance(30)
    run = run_of(adapter.snapshot(), "gone")
    adapter.perform(adapter.preview(Cancel(source="runai", runs=(run.id,)), (run,), "t"), "t")
    fake.advance(120)
    with closing(adapter_of(fake)) as later:
        assert later.find_submitted("tok") == receipt.target


@pytest.mark.parametrize("status", [500, 503])
def test_a_create_that_fails_is_sent_once(
    fake: FakeRunai, adapter: RunaiAdapter, status: int
) -> None:
    fake.fail_next("POST /api/v1/workloads/trainings", status, times=2)
    preview = adapter.preview(work_of(adapter, "once"), (), "once")
    (receipt,) = adapter.perform(preview, "once")
    assert receipt.status is ReceiptStatus.UNKNOWN
    assert fake.count("POST /api/v1/workloads/trainings") == 1
    assert adapter.find_submitted("once") is None


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, None, "send it again"),
        (403, {"code": 403, "message": "no permission"}, "no permission"),
        (409, {"code": 409, "message": "the name is taken"}, "409 the name is taken"),
        (
            422,
            {
                "code": 422,
                "message": "not compliant",
                "complianceIssues": [{"field": "compute.gpu", "details": "no less than 3"}],
            },
            "422 not compliant; compute.gpu: no less than 3",
        ),
        (400, "\x1b[31mplain", "400 ␛[31mplain"),
        (429, {"code": 429, "message": "slow down"}, "429 slow down"),
    ],
)
def test_a_create_that_is_refused_says_why(
    fake: FakeRunai, adapter: RunaiAdapter, status: int, body: object, words: str
) -> None:
    preview = adapter.preview(work_of(adapter, "no"), (), "no")
    fake.fail_next("POST /api/v1/workloads/trainings", status, body)
    (receipt,) = adapter.perform(preview, "no")
    assert receipt.status is ReceiptStatus.REFUSED
    assert words in (receipt.message or "")
    assert fake.count("POST /api/v1/workloads/trainings") == 1


def test_nothing_is_sent_when_the_control_plane_is_gone() -> None:
    fake = FakeRunai()
    fake.start()
    with closing(adapter_of(fake)) as adapter:
        create = adapter.preview(work_of(adapter, "late"), (), "late")
        act = Cancel(source="runai", runs=(f"runai/{fake.submit('x')}",))
        cancel = adapter.preview(act, (), "t")
        fake.close()
        for preview in (create, cancel):
            with pytest.raises(Unavailable, match="no connection"):
                adapter.perform(preview, "late")
        with pytest.raises(Unavailable):
            adapter.snapshot()
        (probe,) = adapter.probe()
        assert (probe.what, probe.state) == ("control plane", "broken")


def test_somebody_else_deletes_it_between_preview_and_confirm(
    fake: FakeRunai, adapter: RunaiAdapter
) -> None:
    busy(fake)
    estate = adapter.snapshot()
    first, second = run_of(estate, "half-0"), run_of(estate, "half-1")
    act = Cancel(source="runai", runs=(first.id, second.id))
    ours = adapter.preview(act, (first, second), "t")
    stop = adapter.preview(Suspend(source="runai", runs=(first.id,)), (first,), "t")
    with closing(adapter_of(fake)) as other:
        theirs = other.preview(Cancel(source="runai", runs=(first.id,)), (first,), "t")
        other.perform(theirs, "t")
    fake.advance(120)
    gone, kept = adapter.perform(ours, "t")
    assert (gone.status, kept.status) == (ReceiptStatus.UNCHANGED, ReceiptStatus.ACCEPTED)
    assert "somebody else has deleted it" in (gone.message or "")
    (refused,) = adapter.perform(stop, "t")
    assert refused.status is ReceiptStatus.REFUSED
    assert adapter.details(first) == {}


def test_a_batch_whose_answer_is_lost_is_settled_by_looking(
    fake: FakeRunai, adapter: RunaiAdapter
) -> None:
    busy(fake)
    run = run_of(adapter.snapshot(), "half-0")
    preview = adapter.preview(Cancel(source="runai", runs=(run.id,)), (run,), "t")
    fake.drop_answer("POST /api/v1/workloads/batch")
    sent = adapter.perform(preview, "t")
    assert sent[0].status is ReceiptStatus.UNKNOWN
    fake.advance(60)
    assert adapter.read_back(preview, sent)[0].status is ReceiptStatus.DONE


def test_403_on_one_project_is_a_receipt_of_its_own(fake: FakeRunai, adapter: RunaiAdapter) -> None:
    busy(fake)
    estate = adapter.snapshot()
    ours, theirs = run_of(estate, "half-0"), run_of(estate, "memory")
    act = Cancel(source="runai", runs=(theirs.id, ours.id))
    preview = adapter.preview(act, (ours, theirs), "t")
    fake.deny("nlp")
    no, yes = adapter.perform(preview, "t")
    assert (no.status, yes.status) == (ReceiptStatus.REFUSED, ReceiptStatus.ACCEPTED)
    assert "403" in (no.message or "")
    with closing(adapter_of(fake)) as later:
        assert "nlp" not in {a.account for a in later.rights().associations or ()}
        act_there = Submit(
            source="runai",
            script=b"true\n",
            script_name="x.sh",
            options=("-p", "nlp", "-i", "python"),
        )
        (item,) = later.preview(act_there, (), "t").items
        assert "403 you may not submit a training in project nlp" in (item.refusal or "")
        (item,) = later.preview(Cancel(source="runai", runs=(theirs.id,)), (theirs,), "t").items
        assert "no access rule of yours covers it" in (item.refusal or "")


def test_tokens_that_end_are_renewed(fake: FakeRunai, adapter: RunaiAdapter) -> None:
    busy(fake)
    adapter.snapshot()
    fake.expire_tokens()
    assert adapter.snapshot().runs


def test_parts_of_metrics_leave_the_rest_unknown(fake: FakeRunai, adapter: RunaiAdapter) -> None:
    busy(fake)
    fake.partial_metrics()
    estate = adapter.snapshot()
    assert_consistent(estate, "runai")
    assert all("answered in part" in (g.how or "") for g in estate.gpus)
    assert all(g.util_pct is not None and g.idle_since is None for g in estate.gpus)


def test_without_metrics_nobody_is_guessed(fake: FakeRunai, adapter: RunaiAdapter) -> None:
    busy(fake)
    fake.fail_next("/metrics", 403, times=10**6)
    estate = adapter.snapshot()
    assert_consistent(estate, "runai")
    node = next(n for n in estate.nodes if n.name == "a100-01")
    gpus = [g for g in estate.gpus if g.node == node.name]
    assert {g.tenants for g in gpus} == {None}
    assert all("no metrics: 403" in (g.how or "") and g.util_pct is None for g in gpus)
    assert node.gpu_milli_allocated == 7750
    assert run_of(estate, "whole").placement[0].gpus is None


def test_tables_that_may_not_be_read_leave_the_runs(fake: FakeRunai) -> None:
    busy(fake)
    fake.fail_next("GET /api/v1/org-unit/projects", 403, times=10)
    fake.fail_next("GET /api/v1/authorization", 404, times=10)
    with closing(adapter_of(fake)) as adapter:
        estate = adapter.snapshot()
        assert len(estate.runs) == 9
        assert {q.name for q in estate.queues} >= {"vision", "nlp", UNICODE}
        assert len(estate.partial) == 2
        rights = adapter.rights()
        assert rights.associations is None
        assert "404" in (rights.reason or "")


def test_a_workload_that_is_gone_after_the_list_has_no_details(
    fake: FakeRunai, adapter: RunaiAdapter
) -> None:
    busy(fake)
    run = run_of(adapter.snapshot(), "half-0")
    assert adapter.details(run)["phase"] == "Running"
    fake.fail_next(f"/api/v1/workloads/{run.native_id}", 404)
    assert adapter.details(run) == {}


def test_a_cluster_that_is_not_there_is_named(fake: FakeRunai) -> None:
    with (
        closing(adapter_of(fake, cluster="elsewhere")) as adapter,
        pytest.raises(Unavailable, match="it has gpu-cluster"),
    ):
        adapter.snapshot()
    with closing(adapter_of(fake, cluster="gpu-cluster")) as adapter:
        assert len(adapter.snapshot().nodes) == 6


def test_many_threads_may_read_at_once(fake: FakeRunai, adapter: RunaiAdapter) -> None:
    busy(fake)
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(len(adapter.snapshot().runs)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == [9, 9, 9, 9]


def test_errors_are_of_the_ports(fake: FakeRunai) -> None:
    with closing(adapter_of(fake, client_id="nobody")) as adapter:
        with pytest.raises(Denied):
            adapter.snapshot()
        with pytest.raises(SchedulerError):
            adapter.find_submitted("x")
