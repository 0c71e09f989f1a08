"""Accounting of Run:ai: tries, node pools, kinds of GPU, and who is charged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from foundry_tui.estate.acts import Cancel, Resume, Suspend
from foundry_tui.estate.gpu import Share
from foundry_tui.estate.run import RunState
from foundry_tui.estate.usage import HeldGpus, UsageRecord, Window
from foundry_tui.schedulers.runai.adapter import RunaiAdapter
from foundry_tui.schedulers.runai.fake import FakeRunai
from foundry_tui.schedulers.runai.tries import MOST, Try, stopped_between, tries
from foundry_tui.schedulers.runai.wire import (
    HistoryMeta,
    HistoryRecord,
    HistorySpec,
    PhaseUpdate,
    Workload,
)
from tests.schedulers.runai.harness import adapter_of
from tests.schedulers.runai.openapi import judge_asked
from tests.schedulers.runai.plane import CLUSTER, NOW, Plane, reply

HALF = {"gpuDevicesRequest": 1, "gpuRequestType": "portion", "gpuPortionRequest": 0.5}
PACE_S = 10
"""What the fake needs between two phases, at most."""


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


def stopped_for(fake: FakeRunai, adapter: RunaiAdapter, native: str, seconds: float) -> None:
    """Stop a workload for a while."""
    run = next(r for r in adapter.snapshot().runs if r.native_id == native)
    for act in (Suspend(source="runai", runs=(run.id,)), Resume(source="runai", runs=(run.id,))):
        adapter.perform(adapter.preview(act, (run,), "t"), "t")
        fake.advance(seconds)
        run = next(r for r in adapter.snapshot().runs if r.native_id == native)


def records(fake: FakeRunai, adapter: RunaiAdapter) -> list[UsageRecord]:
    window = Window(fake.now() - timedelta(hours=5), fake.now())
    told = adapter.accounting(window)
    assert (told.rejects, told.notes) == ((), ())
    return sorted(told.records, key=lambda r: (r.name, r.restarts))


def assert_like_the_seats(found: list[UsageRecord], fake: FakeRunai, native: str) -> None:
    """The tries are the times in which the fake's workload really had its seats."""
    spans = fake.control.workloads[native].spans
    assert len(found) == len(spans)
    for record, span in zip(found, spans, strict=True):
        assert record.started_at is not None
        assert abs((record.started_at - span.started_at).total_seconds()) <= PACE_S
        if span.ended_at is None or record.ended_at is None:
            assert (span.ended_at, record.ended_at) == (None, None)
        else:
            assert abs((record.ended_at - span.ended_at).total_seconds()) <= PACE_S


def test_r16_a_restart_is_a_new_try(fake: FakeRunai, adapter: RunaiAdapter) -> None:
    native = fake.submit("twice", compute=HALF)
    fake.advance(600)
    stopped_for(fake, adapter, native, 1200)
    found = records(fake, adapter)
    assert_like_the_seats(found, fake, native)
    assert [r.state for r in found] == [RunState.REQUEUED, RunState.RUNNING]
    assert [r.restarts for r in found] == [0, 1]
    assert found[1].eligible_at is not None
    assert found[1].started_at is not None
    assert found[1].started_at - found[1].eligible_at <= timedelta(seconds=PACE_S)


def test_a_deleted_workload_that_was_stopped_counts_as_one_piece(
    fake: FakeRunai, adapter: RunaiAdapter
) -> None:
    native = fake.submit("gone", compute=HALF)
    fake.advance(600)
    stopped_for(fake, adapter, native, 1200)
    run = next(r for r in adapter.snapshot().runs if r.native_id == native)
    adapter.perform(adapter.preview(Cancel(source="runai", runs=(run.id,)), (run,), "t"), "t")
    fake.advance(300)
    window = Window(fake.now() - timedelta(hours=5), fake.now())
    told = adapter.accounting(window)
    (record,) = told.records  # no history is kept of what is deleted
    assert "counts as one piece up to its end" in told.notes[0]
    assert record.started_at is not None
    assert record.ended_at is not None
    ran_s = (record.ended_at - record.started_at).total_seconds()
    assert ran_s == pytest.approx(1800, abs=3 * PACE_S)
    assert record.eligible_at is None


def test_r16_allocation_is_what_was_given_whatever_the_gpus_did(
    fake: FakeRunai, adapter: RunaiAdapter
) -> None:
    for number in range(2):
        native = fake.submit(f"job-{number}", compute={"gpuDevicesRequest": 2})
        fake.control.workloads[native].gpu_util_pct = 100 * number
    fake.advance(600)
    idle, busy = records(fake, adapter)
    assert (idle.gpu_milli, idle.gpus) == (busy.gpu_milli, busy.gpus)
    assert idle.gpu_milli == 2000
    assert fake.count("/metrics") == 0


def test_a_record_says_node_pool_model_and_share(fake: FakeRunai, adapter: RunaiAdapter) -> None:
    fake.submit("half", compute=HALF, nodePools=["a100"])
    fake.submit("whole", compute={"gpuDevicesRequest": 2}, nodePools=["h100"])
    fake.submit("cpu", compute={"cpuCoreRequest": 2}, nodePools=["a100"])
    fake.advance(600)
    cpu, half, whole = records(fake, adapter)
    models = {n.pool: n.gpu_type for n in fake.control.cluster.nodes}
    assert (half.node_pool, whole.node_pool) == ("a100", "h100")
    assert half.gpus == (HeldGpus(models["a100"], 1, 500, Share.FRACTION),)
    assert whole.gpus == (HeldGpus(models["h100"], 2, 2000, Share.WHOLE),)
    assert cpu.gpus == ()


def test_projects_are_charged_below_their_departments(
    fake: FakeRunai, adapter: RunaiAdapter
) -> None:
    fake.submit("half", compute=HALF)
    fake.advance(60)
    accounts = {a.name: a for a in adapter.accounts()}
    cluster = fake.control.cluster
    for project in cluster.projects:
        assert accounts[project.name].parent == project.department
    (record,) = records(fake, adapter)
    assert record.account is None
    assert record.queue is not None
    assert accounts[record.queue].quota_gpu_milli is not None


def told_plane(**workload: Any) -> Plane:
    plane = Plane()
    base = {
        "id": "11111111-2222-4333-8444-555555555555",
        "name": "mig",
        "clusterId": CLUSTER,
        "projectId": "1",
        "createdAt": "2026-11-20T08:00:00Z",
        "completedAt": "2026-11-20T10:00:00Z",
        "phase": "Completed",
        "totalRunningTimeSeconds": 3600,
    }
    plane.answers["GET /api/v1/workloads"] = [
        reply({"workloads": [{**base, **workload}]}),
        reply({"workloads": []}),
    ]
    return plane


def test_r09_mig_instances_have_their_worth(tmp_path: Path) -> None:
    wanted = {"extendedResources": [{"resource": "nvidia.com/mig-1g.10gb", "quantity": "2"}]}
    plane = told_plane(podsRequestedResources=wanted, requestedPods={"number": 3})
    with closing(plane.adapter(tmp_path)) as adapter:
        (record,) = adapter.accounting(Window(NOW - timedelta(hours=6), NOW)).records
    assert record.gpus == (HeldGpus("1g.10gb", 6, 857, Share.MIG),)


def test_nodes_that_may_not_be_listed_cost_the_models_alone(tmp_path: Path) -> None:
    plane = told_plane(workloadRequestedResources={"gpu": {"request": 2}})
    plane.answers["GET /api/v1/nodes"] = reply({"code": 403, "message": "no"}, 403)
    with closing(plane.adapter(tmp_path)) as adapter:
        (record,) = adapter.accounting(Window(NOW - timedelta(hours=6), NOW)).records
    assert record.gpus == (HeldGpus(None, 2, 2000, Share.WHOLE),)


# -- the pieces


def at(minute: int) -> datetime:
    return datetime(2026, 11, 20, 12, tzinfo=UTC) + timedelta(minutes=minute)


def history(*changes: tuple[int, str]) -> list[HistoryRecord]:
    return [
        HistoryRecord(
            meta=HistoryMeta(creation_timestamp=at(minute).isoformat()),
            spec=HistorySpec(phase_update=PhaseUpdate(phase=phase)),
        )
        for minute, phase in changes
    ]


def test_tries_lie_between_phases_at_work_and_the_next_that_are_not() -> None:
    told = history(
        (0, "Creating"), (1, "Pending"), (5, "Running"), (7, "Degraded"), (9, "Running"),
        (20, "Stopping"), (21, "Stopped"), (30, "Resuming"), (31, "Pending"), (40, "Running"),
    )  # fmt: skip
    assert tries(reversed(told)) == [Try(at(0), at(5), at(21)), Try(at(30), at(40), None)]
    assert tries(history((0, "Running"), (3, "Completed"))) == [Try(None, at(0), at(3))]
    assert tries(history((0, "Pending"), (3, "Failed"))) == []
    broken = [HistoryRecord(), HistoryRecord(meta=HistoryMeta(creation_timestamp="never"))]
    assert tries([*broken, *history((0, "Running"))]) == [Try(None, at(0), None)]


@pytest.mark.parametrize(
    ("ran_s", "pending_s", "start", "end", "stopped"),
    [
        (1800, 1800, 30, 60, False),  # it waited half an hour, then ran half an hour
        (1800, 1799, 30, 60, False),
        (1800, 600, 30, 60, True),  # and of the rest nothing is told: it was stopped
        (1800, None, 30, 60, False),
        (1800, 0, 30, None, False),  # by now it ran for half an hour
        (3600, 0, 30, None, True),
        (None, 0, 30, None, False),
    ],
)
def test_only_what_does_not_fit_one_piece_is_asked_for(
    ran_s: int | None, pending_s: int | None, start: int, end: int | None, stopped: bool
) -> None:
    workload = Workload(
        created_at=at(0).isoformat(),
        total_running_time_seconds=ran_s,
        total_pending_time_seconds=pending_s,
    )
    ended = None if end is None else at(end)
    assert stopped_between(workload, at(start), ended, at(60)) is stopped


def test_histories_are_asked_for_the_stopped_ones_alone(
    fake: FakeRunai, adapter: RunaiAdapter
) -> None:
    assert MOST >= 100
    for number in range(4):
        fake.submit(f"steady-{number}", compute=HALF, args="-c 'sleep 100'")
    native = fake.submit("twice", compute=HALF)
    fake.advance(600)
    stopped_for(fake, adapter, native, 300)
    before = fake.count("/history")
    records(fake, adapter)
    assert fake.count("/history") - before == 1
