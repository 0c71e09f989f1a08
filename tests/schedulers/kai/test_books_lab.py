"""The books of a real Kubernetes with KAI: failed pods, evicted ones, and what is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.run import RunState
from foundry_tui.estate.usage import UsageRecord, Window
from foundry_tui.reports.joining.remembered import with_remembered
from foundry_tui.schedulers.kai.adapter import KaiAdapter
from foundry_tui.store.history import History, Past
from tests.lab.daemons import until
from tests.lab.kube import objects
from tests.lab.kube.cluster import KubeLab
from tests.lab.kube.kubelet import EXIT

pytestmark = pytest.mark.kubernetes

PODS = "/api/v1/namespaces/team-a/pods"
JOBS = "/apis/batch/v1/namespaces/team-a/jobs"


@pytest.fixture
def adapter(kube: KubeLab) -> Iterator[KaiAdapter]:
    config = KubernetesConfig(
        name="kai", kubeconfig=kube.kubeconfig(), scheduler_url=kube.scheduler_url
    )
    with closing(KaiAdapter(config)) as found:
        found.snapshot()
        yield found


def pods_of(kube: KubeLab, name: str) -> list[Any]:
    """The Job's pods as the API server tells them, those that began, by their begin."""
    found = [
        pod
        for pod in kube.api.get(PODS)["items"]
        if pod["metadata"]["name"].startswith(f"{name}-") and "startTime" in pod["status"]
    ]
    return sorted(found, key=lambda pod: str(pod["status"]["startTime"]))


def records(adapter: KaiAdapter, name: str) -> list[UsageRecord]:
    return [r for r in adapter.accounting(lately()).records if r.name == name]


def lately() -> Window:
    now = datetime.now(UTC)
    return Window(now - timedelta(hours=1), now)


def test_r16_a_real_pod_that_fails_and_is_replaced_is_two_tries(
    kube: KubeLab, adapter: KaiAdapter
) -> None:
    wanted = objects.job("flaky", 1, gpus=2, annotations={EXIT: "3 after 2"})
    wanted["spec"]["backoffLimit"] = 1
    kube.api.create(JOBS, wanted)

    def failed() -> bool:
        return [p["status"]["phase"] for p in pods_of(kube, "flaky")] == ["Failed", "Failed"]

    until(failed, 60, "both pods to fail", 0.5)
    until(lambda: len(records(adapter, "flaky")) == 2, 30, "both tries to be seen", 0.2)
    until(
        lambda: records(adapter, "flaky")[-1].state is RunState.FAILED, 30, "the Job to fail", 0.2
    )
    found = records(adapter, "flaky")
    assert [(r.state, r.exit_code, r.restarts) for r in found] == [
        (RunState.REQUEUED, 3, 0),
        (RunState.FAILED, 3, 1),
    ]
    truth = 0
    for pod in pods_of(kube, "flaky"):
        (container,) = pod["status"]["containerStatuses"]
        end = datetime.fromisoformat(container["state"]["terminated"]["finishedAt"])
        start = datetime.fromisoformat(pod["status"]["startTime"])
        truth += 2 * int((end - start).total_seconds())
    told = sum(
        (r.gpu_milli or 0) * lately().overlap_s(r.started_at, r.ended_at) // 1000 for r in found
    )
    assert told == truth
    assert truth > 0


def test_what_a_real_cluster_forgot_comes_back_from_the_history(
    kube: KubeLab, adapter: KaiAdapter, tmp_path: Path
) -> None:
    with closing(History.open(tmp_path, clock=lambda: datetime.now(UTC))) as history:

        def look() -> list[UsageRecord]:
            # Windows of a minute: after three without a look all that was held begins anew, and on
            # a busy machine three seconds pass between two looks.
            history.record(adapter.snapshot())
            return records(adapter, "evicted")

        def runs(tries: int) -> bool:
            past = Past.open(tmp_path)
            assert past is not None
            told = look()
            whole = with_remembered(past, adapter.accounting(lately()), "kai").records
            mine = [r for r in whole if r.name == "evicted"]
            # One more where a look saw the pod on its node before its kubelet said that it began.
            return len(told) == 1 and told[0].ended_at is None and len(mine) >= tries

        look()
        wanted = objects.job("evicted", 1, gpus=1)
        wanted["spec"]["backoffLimit"] = 3
        kube.api.create(JOBS, wanted)
        until(lambda: runs(1), 30, "the Job to run", 0.5)
        (first,) = pods_of(kube, "evicted")
        kube.api.delete(f"{PODS}/{first['metadata']['name']}")
        until(lambda: runs(2), 60, "another pod to run in its place", 0.5)
        look()  # the cluster was asked after the history: what only it knew would be gone with it
        (now,) = records(adapter, "evicted")
        kube.api.delete(f"{JOBS}/evicted", propagationPolicy="Background")
        until(lambda: not look(), 60, "the cluster to forget the Job", 0.5)
        past = Past.open(tmp_path)
    assert past is not None
    told = with_remembered(past, adapter.accounting(lately()), "kai")
    mine = [r for r in told.records if r.name == "evicted"]
    assert [r.restarts for r in mine] == [0, 1]
    assert {r.native_id for r in mine} == {now.native_id}
    assert {r.gpu_milli for r in mine} == {1000}
    assert {r.queue for r in mine} == {"team-a"}
    begun = datetime.fromisoformat(first["status"]["startTime"])
    assert mine[0].started_at is not None
    assert abs((mine[0].started_at - begun).total_seconds()) <= 15
    assert mine[0].ended_at is not None
    assert now.started_at is not None
    assert begun < mine[0].ended_at <= now.started_at + timedelta(seconds=2)
    assert any("come from the site's history" in note for note in told.notes)
