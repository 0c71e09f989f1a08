"""Accounting of KAI from the pods that the API server still lists."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.gpu import Share
from foundry_tui.estate.run import RunState
from foundry_tui.estate.usage import Account, HeldGpus, UsageRecord, Window
from foundry_tui.schedulers.kai.adapter import KaiAdapter
from foundry_tui.schedulers.kai.tries import Stay, pieces
from tests.schedulers.kai.things import (
    GROUPS,
    JOBS,
    NODES,
    PODS,
    QUEUES,
    as_pod,
    group,
    job,
    node,
    pod,
    queue,
    reservation,
    shared,
)
from tests.schedulers.kai.tiny import TinyApi

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
DAY = Window(NOW - timedelta(days=1), NOW)
MODEL = "NVIDIA-A100-SXM4-80GB"


def at(minute: float) -> datetime:
    return datetime(2026, 11, 1, 9, tzinfo=UTC) + timedelta(minutes=minute)


def iso(minute: float) -> str:
    return at(minute).isoformat(timespec="seconds").replace("+00:00", "Z")


def worked(
    name: str, start: float, end: float | None = None, *, code: int = 0, gpus: int = 1, **more: Any
) -> dict[str, Any]:
    """A pod of the Job `train` that began and ended in these minutes after nine."""
    status: dict[str, Any] = {"startTime": iso(start)}
    phase = None
    if end is not None:
        told = {"exitCode": code, "finishedAt": iso(end)}
        status["containerStatuses"] = [{"state": {"terminated": told}}]
        phase = "Failed" if code else "Succeeded"
    notes = {"pod-group-name": "pg-train"}
    told_more: dict[str, Any] = {"owner": ("Job", "train"), "notes": notes, **more}
    return pod(name, "gpu00", phase=phase, gpus=gpus, status=status, **told_more)


def accounted(
    api: TinyApi, config: KubernetesConfig, *pods: dict[str, Any], window: Window = DAY
) -> list[UsageRecord]:
    """The records of a Job with these pods."""
    api.put(NODES, node("gpu00", 8))
    for thing in (queue("research", quota=12), queue("team-a", "research", quota=4)):
        api.put(QUEUES, thing)
    api.put(JOBS, job("train", len(pods)))
    api.put(GROUPS, group("pg-train", queue="team-a", minMember=1))
    for one in pods:
        api.put(PODS, one)
    with closing(KaiAdapter(config, clock=lambda: NOW)) as adapter:
        (part,) = adapter.usage(window)
    assert part == adapter.accounting(window)
    assert part.rejects == ()
    return [r for r in part.records if r.name == "train"]


def times(records: Sequence[UsageRecord]) -> list[tuple[datetime | None, datetime | None, int]]:
    return [(r.started_at, r.ended_at, r.gpu_count or 0) for r in records]


def test_r16_a_failed_pod_that_is_replaced_is_a_new_try(
    api: TinyApi, config: KubernetesConfig
) -> None:
    again = worked("b", 20, creationTimestamp=iso(11))
    found = accounted(api, config, worked("a", 0, 10, code=7), again)
    assert times(found) == [(at(0), at(10), 1), (at(20), None, 1)]
    assert [r.state for r in found] == [RunState.REQUEUED, RunState.RUNNING]
    assert [r.restarts for r in found] == [0, 1]
    assert [r.exit_code for r in found] == [7, None]
    assert found[1].eligible_at == at(11)
    assert {r.native_id for r in found} == {"uid-train"}


def test_a_gang_whose_pods_start_some_seconds_apart_is_one_try(
    api: TinyApi, config: KubernetesConfig
) -> None:
    found = accounted(api, config, *(worked(f"p{i}", i / 10, gpus=2) for i in range(4)))
    assert times(found) == [(at(0), None, 8)]


def test_pods_that_end_one_after_another_hold_what_they_held(
    api: TinyApi, config: KubernetesConfig
) -> None:
    found = accounted(api, config, worked("a", 0, 30), worked("b", 0, 40, code=1), worked("c", 0))
    assert times(found) == [(at(0), at(30), 3), (at(30), at(40), 2), (at(40), None, 1)]
    assert [r.state for r in found] == [RunState.COMPLETED, RunState.REQUEUED, RunState.RUNNING]
    assert [r.eligible_at is None for r in found] == [False, True, True]


def test_an_end_that_nobody_told_stays_unknown(api: TinyApi, config: KubernetesConfig) -> None:
    lost = pod("lost", "gpu00", phase="Failed", gpus=1, owner=("Job", "train"),
               notes={"pod-group-name": "pg-train"})  # fmt: skip
    (record,) = accounted(api, config, lost)
    assert (record.state, record.started_at, record.ended_at) == (RunState.FAILED, at(0), None)


def test_r02_half_open_windows_take_what_has_time_in_them(
    api: TinyApi, config: KubernetesConfig
) -> None:
    pods = (worked("a", 0, 10, code=7), worked("b", 20, 30))
    assert times(accounted(api, config, *pods, window=Window(at(10), at(20)))) == []
    assert len(accounted(api, config, *pods, window=Window(at(9), at(21)))) == 2


def test_r09_shares_and_instances_have_their_worth(api: TinyApi, config: KubernetesConfig) -> None:
    api.put(PODS, reservation("g", "gpu00", "GPU-1"))
    half = shared("half", "gpu00", "0.5", "g")
    mig = pod("mig", "gpu00")
    limits = {"nvidia.com/mig-1g.10gb": "2"}
    mig["spec"]["containers"][0]["resources"]["limits"] = limits
    api.put(PODS, half)
    api.put(PODS, mig)
    accounted(api, config, worked("a", 0, gpus=3))
    with closing(KaiAdapter(config, clock=lambda: NOW)) as adapter:
        found = {str(r.name): r for r in adapter.accounting(DAY).records}
        assert adapter.own_totals(DAY) is None
        assert adapter.accounts() == (
            Account(name="research", quota_gpu_milli=12_000),
            Account(name="team-a", parent="research", quota_gpu_milli=4000),
        )
    assert found["half"].gpus == (HeldGpus(MODEL, 1, 500, Share.FRACTION),)
    assert found["mig"].gpus == (HeldGpus("1g.10gb", 2, 285, Share.MIG),)
    assert found["train"].gpus == (HeldGpus(MODEL, 3, 3000, Share.WHOLE),)
    assert {r.node_pool for r in found.values()} == {"default"}
    assert {r.queue for r in found.values()} == {"team-a"}


SPAN = st.tuples(st.integers(0, 40), st.none() | st.integers(1, 40))


@given(st.lists(SPAN, max_size=8))
def test_pieces_are_apart_and_hold_what_each_pod_held(spans: list[tuple[int, int | None]]) -> None:
    """Minutes of pods, minute by minute; all begin on whole minutes, so that none is moved."""
    stays = sorted(
        (
            Stay(as_pod(pod(f"p{n}", "gpu00")), at(2 * start), None if run is None else
                 at(2 * (start + run)))
            for n, (start, run) in enumerate(spans)
        ),
        key=lambda s: s.start,
    )  # fmt: skip
    truth: Counter[tuple[int, str]] = Counter()
    for stay in stays:
        for minute in range(200):
            if stay.start <= at(minute) and (stay.end is None or at(minute) < stay.end):
                truth[minute, stay.pod.metadata.name] += 1
    told: Counter[tuple[int, str]] = Counter()
    for piece in pieces(stays):
        for minute in range(200):
            if piece.start <= at(minute) and (piece.end is None or at(minute) < piece.end):
                told.update((minute, p.metadata.name) for p in piece.pods)
    assert told == truth
    made = pieces(stays)
    assert all(a.end is not None and a.end <= b.start for a, b in itertools.pairwise(made))
