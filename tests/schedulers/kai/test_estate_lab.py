"""What is shown of a real Kubernetes with KAI is what its API server has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.acts import ReceiptStatus, Submit
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.schedulers.kai import kinds, order
from foundry_tui.schedulers.kai.adapter import KaiAdapter
from foundry_tui.schedulers.ports import SchedulerError
from tests.lab.daemons import until
from tests.lab.kube import objects
from tests.lab.kube.cluster import QUEUES, KubeLab
from tests.lab.kube.kubelet import GPU_UUID
from tests.schedulers.consistency import assert_consistent

PODS = "/api/v1/namespaces/{}/pods"
JOBS = "/apis/batch/v1/namespaces/team-a/jobs"

Reader = Callable[..., KaiAdapter]


@pytest.fixture
def reader(kube: KubeLab) -> Iterator[Reader]:
    """Makes the adapter of a user; its watches end with the test."""
    with ExitStack() as every:

        def make(user: str = "alice", **more: Any) -> KaiAdapter:
            config = KubernetesConfig(name="kai", kubeconfig=kube.kubeconfig(user), **more)
            return every.enter_context(closing(KaiAdapter(config)))

        yield make


def create(kube: KubeLab, body: Any, namespace: str = "team-a") -> None:
    kube.api.create(PODS.format(namespace), body)


def run(estate: Snapshot, name: str) -> Run:
    return next(r for r in estate.runs if r.name == name)


def queue(adapter: KaiAdapter, name: str) -> Queue:
    return next(q for q in adapter.snapshot().queues if q.name == name)


def until_state(adapter: KaiAdapter, name: str, state: RunState, timeout_s: float = 30) -> Run:
    """Wait until a run is seen in a state."""

    def seen() -> bool:
        return [r.state for r in adapter.snapshot().runs if r.name == name] == [state]

    until(seen, timeout_s, f"{name} to be seen {state}", 0.1)
    return run(adapter.snapshot(), name)


def test_the_estate_is_that_of_the_api_server(kube: KubeLab, reader: Reader) -> None:
    adapter = reader()
    create(kube, objects.pod("whole", gpus=2))
    create(kube, objects.pod("half", annotations={"gpu-fraction": "0.5"}))
    create(kube, objects.pod("theirs", "team-b", gpus=1), "team-b")
    for name in ("whole", "half", "theirs"):
        until_state(adapter, name, RunState.RUNNING)
    estate = adapter.snapshot()
    assert_consistent(estate, "kai")
    assert estate.partial == ()
    assert {(n.name, n.gpu_count, n.gpu_model) for n in estate.nodes} == {
        (name, gpus, product) for name, (gpus, product, _) in objects.NODES.items()
    }
    pods = [p for team in objects.NAMESPACES for p in kube.api.get(PODS.format(team))["items"]]
    assert {r.native_id: (r.name, r.placement[0].node, r.queue) for r in estate.runs} == {
        p["metadata"]["uid"]: (
            p["metadata"]["name"],
            p["spec"]["nodeName"],
            p["metadata"]["labels"][objects.QUEUE_LABEL],
        )
        for p in pods
    }
    assert {(q.name, q.parent, q.quota_gpu_milli) for q in estate.queues} == {
        (
            q["metadata"]["name"],
            q["spec"].get("parentQueue"),
            1000 * q["spec"]["resources"]["gpu"]["quota"],
        )
        for q in kube.api.get(QUEUES)["items"]
    }
    held = kube.api.get(PODS.format("kai-resource-reservation"))["items"]
    assert {g.uuid for g in estate.gpus if g.uuid} == {
        p["metadata"]["annotations"][GPU_UUID] for p in held
    }
    assert sum(g.milli_allocated or 0 for g in estate.gpus) == 3500


def test_kai_itself_counts_two_halves_as_one(kube: KubeLab, reader: Reader) -> None:
    adapter = reader()
    notes = {"gpu-fraction": "0.5", "gpu-fraction-num-devices": "2"}
    create(kube, objects.pod("double", annotations=notes))
    until_state(adapter, "double", RunState.RUNNING)

    def kais_own() -> bool:
        status = kube.api.get(f"{QUEUES}/team-a").get("status", {})
        return bool(status.get("allocated", {}).get("nvidia.com/gpu") == "500m")

    until(kais_own, 30, "KAI to count the pod as one half", 0.2)
    assert queue(adapter, "team-a").allocated_gpu_milli == 1000
    assert queue(adapter, "research").allocated_gpu_milli == 1000


def test_a_job_that_runs_in_part_holds_that_part(kube: KubeLab, reader: Reader) -> None:
    adapter = reader()
    job = objects.job("borrower", 14, gpus=1)
    job["spec"]["backoffLimit"] = 100
    kube.api.create(JOBS, job)

    def use() -> tuple[int | None, int | None]:
        team = queue(adapter, "team-a")
        return team.allocated_gpu_milli, team.requested_gpu_milli

    until(lambda: use() == (12000, 2000), 60, "twelve to run and two to wait", 0.2)
    create(kube, objects.pod("owner", "team-b", gpus=3), "team-b")
    until_state(adapter, "owner", RunState.RUNNING, 60)
    until(lambda: use()[0] == 9000, 30, "three to be taken back", 0.2)
    estate = adapter.snapshot()
    found = run(estate, "borrower")
    assert (found.state, found.request.gpu_milli) == (RunState.RUNNING, 14000)
    assert len([g for g in estate.gpus if found.id in g.runs]) == 9
    assert queue(adapter, "research").allocated_gpu_milli == 12000


def test_a_suspended_job_holds_nothing(kube: KubeLab, reader: Reader) -> None:
    adapter = reader()
    kube.api.create(JOBS, objects.job("pausing", 1, gpus=4))
    first = until_state(adapter, "pausing", RunState.RUNNING)
    assert queue(adapter, "team-a").allocated_gpu_milli == 4000
    kube.api.patch(f"{JOBS}/pausing", {"spec": {"suspend": True}})
    found = until_state(adapter, "pausing", RunState.SUSPENDED)
    assert (found.id, found.placement) == (first.id, ())
    assert all(g.milli_allocated == 0 for g in adapter.snapshot().gpus)
    assert queue(adapter, "team-a").allocated_gpu_milli == 0
    kube.api.patch(f"{JOBS}/pausing", {"spec": {"suspend": False}})
    assert until_state(adapter, "pausing", RunState.RUNNING).id == first.id


def test_a_pod_without_labels_is_seen(kube: KubeLab, reader: Reader) -> None:
    adapter = reader()
    create(kube, objects.pod("bare", None, gpus=1))
    create(kube, objects.pod("elsewhere", None, scheduler="default-scheduler"))
    until_state(adapter, "bare", RunState.PENDING)
    estate = adapter.snapshot()
    assert "queue_label" not in (run(estate, "bare").native or {})
    assert "elsewhere" not in {r.name for r in estate.runs}


def test_a_long_outage_costs_one_list_at_most(
    kube: KubeLab, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kinds, "LOST_S", 2.0)
    adapter = reader()
    create(kube, objects.pod("stays", gpus=1))
    until_state(adapter, "stays", RunState.RUNNING)
    state = adapter._state
    assert state is not None
    tables = [f.table for f in state.followers]

    def standing() -> bool:
        return all(t.lost_at is None and t.watches for t in tables)

    until(standing, 30, "every watch to stand")
    lists = [t.lists for t in tables]
    kube.kill_api()

    def down() -> bool:
        try:
            adapter.snapshot()
        except SchedulerError:
            return True
        return False

    until(down, 30, "the source to be down", 0.1)
    kube.start_api()
    # It refuses alice for a moment: her rights are not read yet.
    until(lambda: standing() and not down(), 60, "the source to be back", 0.1)
    create(kube, objects.pod("comes", gpus=1))
    until_state(adapter, "comes", RunState.RUNNING)
    assert run(adapter.snapshot(), "stays").state is RunState.RUNNING
    # The watch cache of the new server may begin later than our versions: that is a 410.
    assert all(t.lists - before <= 1 for t, before in zip(tables, lists, strict=True))


def test_a_shared_gpu_is_known_where_only_one_namespace_is_read(
    kube: KubeLab, reader: Reader
) -> None:
    adapter = reader(namespaces=("team-a",))
    create(kube, objects.pod("mine", annotations={"gpu-fraction": "0.5"}))
    create(kube, objects.pod("theirs", "team-b", gpus=1), "team-b")
    kube.wait_phase("theirs", "Running", "team-b")
    until_state(adapter, "mine", RunState.RUNNING)

    def told() -> bool:
        estate = adapter.snapshot()
        (gpu,) = [g for g in estate.gpus if run(estate, "mine").id in g.runs]
        return gpu.uuid is not None

    until(told, 30, "the reservation to be seen")
    assert [r.name for r in adapter.snapshot().runs] == ["mine"]


def test_a_viewer_sees_everything_and_may_nothing(kube: KubeLab, reader: Reader) -> None:
    create(kube, objects.pod("theirs", gpus=1))
    viewer = reader("viewer")
    until_state(viewer, "theirs", RunState.RUNNING)
    rights = viewer.rights()
    assert (rights.admin, rights.associations) == (False, ())
    options = ("--name=no", "--project=team-a", "--namespace=team-a", "--image=x", "-g", "1")
    act = Submit(source="kai", script=b"true", script_name="no.sh", options=options)
    preview = viewer.preview(act, (), "0123456789abcdef")
    (item,) = preview.items
    assert "forbidden" in (item.refusal or "")
    (receipt,) = viewer.perform(preview, "0123456789abcdef")
    assert receipt.status is ReceiptStatus.REFUSED


def test_the_namespace_of_the_context_is_where_a_submission_goes(
    kube: KubeLab, reader: Reader
) -> None:
    path = kube.kubeconfig("bob")
    told = path.read_text().replace('"user": "bob"}', '"user": "bob", "namespace": "team-b"}')
    mine = kube.root / "bob-team-b.kubeconfig"
    mine.write_text(told)
    options = ("--name=here", "--project=team-b", "--image=lab/none", "-g", "1")
    act = Submit(source="kai", script=b"sleep 600", script_name="t.sh", options=options)
    with closing(KaiAdapter(KubernetesConfig(name="kai", kubeconfig=mine))) as adapter:
        adapter.snapshot()
        preview = adapter.preview(act, (), "fedcba9876543210")
        assert preview.refused == ()
        (receipt,) = adapter.perform(preview, "fedcba9876543210")
        assert receipt.status is ReceiptStatus.ACCEPTED
        found = until_state(adapter, "here", RunState.RUNNING)
    assert (found.native or {})["namespace"] == "team-b"


def test_the_scheduler_tells_events_and_the_place_in_the_queue(
    kube: KubeLab, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order, "EVERY_S", 0.0)
    adapter = reader(scheduler_url=kube.scheduler_url)
    create(kube, objects.pod("too-large", gpus=16))

    def placed() -> bool:
        found = [r for r in adapter.snapshot().runs if r.name == "too-large"]
        return [(r.native or {}).get("queue_position") for r in found] == ["1"]

    until(placed, 30, "the place of the pod", 0.2)
    found = run(adapter.snapshot(), "too-large")
    until(lambda: "event_1" in adapter.details(found), 30, "an event of the pod", 0.2)
    assert adapter.logs(found, tail_lines=5).lines == ()
