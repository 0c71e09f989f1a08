"""The reader on a real Kubernetes with KAI: what KAI really does is what is shown."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.schedulers.kai import kinds
from foundry_tui.schedulers.kai.adapter import KaiAdapter
from foundry_tui.schedulers.ports import Unavailable
from tests.lab.daemons import until
from tests.lab.kube import objects
from tests.lab.kube.cluster import KubeLab
from tests.schedulers.consistency import assert_consistent

PODS = "/api/v1/namespaces/{}/pods"
GANGS = "/apis/kubeflow.org/v1/namespaces/{}/pytorchjobs"


@pytest.fixture
def adapter(kube: KubeLab) -> Iterator[KaiAdapter]:
    """The administrator's eyes, with the watches running."""
    config = KubernetesConfig(
        name="kai", kubeconfig=kube.kubeconfig(), scheduler_url=kube.scheduler_url
    )
    with closing(KaiAdapter(config)) as found:
        found.snapshot()
        found.snapshot()
        yield found


def adapter_of(kube: KubeLab, user: str, *namespaces: str) -> KaiAdapter:
    config = KubernetesConfig(name="kai", kubeconfig=kube.kubeconfig(user), namespaces=namespaces)
    return KaiAdapter(config)


def create(kube: KubeLab, thing: Any, namespace: str = "team-a") -> None:
    home = GANGS if thing["kind"] == "PyTorchJob" else PODS
    kube.api.create(home.format(namespace), thing)


def half(name: str, **notes: str) -> Any:
    return objects.pod(name, annotations={"gpu-fraction": "0.5", **notes})


def named(estate: Snapshot, name: str) -> Run | None:
    return next((r for r in estate.runs if r.name == name), None)


def seen(adapter: KaiAdapter, name: str, holds: Callable[[Run], object], what: str) -> Run:
    """Wait until a run is shown as wanted, and return it; the estate fits together then."""
    found: list[tuple[Snapshot, Run]] = []

    def so() -> bool:
        estate = adapter.snapshot()
        run = named(estate, name)
        if run is None or not holds(run):
            return False
        found.append((estate, run))
        return True

    until(so, 30, what, 0.05)
    estate, run = found[-1]
    assert_consistent(estate, "kai")
    return run


def running(adapter: KaiAdapter, *names: str) -> list[Run]:
    return [seen(adapter, n, lambda r: r.state is RunState.RUNNING, f"{n} to run") for n in names]


def word(run: Run, key: str) -> str:
    return (run.native or {}).get(key, "")


def gpus_of(adapter: KaiAdapter, run: Run) -> set[tuple[str, int]]:
    return {(g.node, g.index) for g in adapter.snapshot().gpus if run.id in g.runs}


def unknown_gpus(adapter: KaiAdapter) -> list[str]:
    """The nodes of the GPUs whose tenants are not known."""
    return [g.node for g in adapter.snapshot().gpus if g.tenants is None]


def test_two_halves_share_one_gpu(kube: KubeLab, adapter: KaiAdapter) -> None:
    for name in ("half-a", "half-b"):
        create(kube, half(name))
    one, other = running(adapter, "half-a", "half-b")
    assert gpus_of(adapter, one) == gpus_of(adapter, other)
    (gpu,) = [g for g in adapter.snapshot().gpus if one.id in g.runs]
    assert gpu.milli_allocated == 1000
    assert gpu.uuid is not None
    assert gpu.uuid.startswith("GPU-")
    assert {(t.run, t.milli) for t in gpu.tenants or ()} == {(one.id, 500), (other.id, 500)}


def test_a_pod_of_two_halves_counts_as_one_gpu(kube: KubeLab, adapter: KaiAdapter) -> None:
    create(kube, half("two", **{"gpu-fraction-num-devices": "2"}))
    (run,) = running(adapter, "two")
    assert (run.request.gpu_count, run.request.gpu_milli) == (2, 1000)
    assert len(gpus_of(adapter, run)) == 2
    # KAI's own Queue.status.allocated says 500m here.
    team = next(q for q in adapter.snapshot().queues if q.name == "team-a")
    assert team.allocated_gpu_milli == 1000


def test_memory_becomes_the_portion_that_kai_accounts(kube: KubeLab, adapter: KaiAdapter) -> None:
    create(kube, objects.pod("mem", annotations={"gpu-memory": "20000"}))
    (run,) = running(adapter, "mem")
    node = run.placement[0].node
    mib = objects.NODES[node][2]
    assert run.request.gpu_milli == -(-20000 * 100 // mib) * 10
    binds = kube.api.get("/apis/scheduling.run.ai/v1alpha2/bindrequests")["items"]
    portions = [b["spec"]["receivedGPU"]["portion"] for b in binds]
    assert [round(float(p) * 1000) for p in portions] in ([run.request.gpu_milli], [])


def test_a_gang_waits_and_says_why(kube: KubeLab, adapter: KaiAdapter) -> None:
    create(kube, objects.gang("gang", 3, gpus=4, queue="team-a"))
    run = seen(adapter, "gang", lambda r: word(r, "unscheduled_message"), "the gang's reason")
    assert run.state is RunState.PENDING
    assert (run.request.gpu_count, word(run, "min_member")) == (16, "4")
    assert (word(run, "kind"), word(run, "pods_wanted")) == ("PyTorchJob", "4")
    assert "gang scheduling" in word(run, "unscheduled_message")
    assert "nodes" in word(run, "node_fit")
    seen(adapter, "gang", lambda r: word(r, "queue_position") == "1", "the place in the queue")


def test_a_quota_that_is_full_is_told_in_milli(kube: KubeLab, adapter: KaiAdapter) -> None:
    create(kube, objects.pod("firm", gpus=5, priority="build"))
    run = seen(adapter, "firm", lambda r: r.reason == "NonPreemptibleOverQuota", "the quota")
    assert (word(run, "preemptible"), word(run, "priority_class")) == ("false", "build")
    assert (word(run, "unscheduled_queue"), word(run, "unscheduled_deserved")) == ("team-a", "4000")
    assert "unscheduled_limit" not in (run.native or {})


def test_what_is_reclaimed_goes_and_the_owner_runs(kube: KubeLab, adapter: KaiAdapter) -> None:
    for number in range(12):
        create(kube, objects.pod(f"borrower-{number}", gpus=1))
    running(adapter, *(f"borrower-{n}" for n in range(12)))
    estate = adapter.snapshot()
    team = next(q for q in estate.queues if q.name == "team-a")
    assert (team.allocated_gpu_milli, team.quota_gpu_milli) == (12000, 4000)
    assert team.fair_share_gpu_milli == 12000
    create(kube, objects.pod("owner", "team-b", gpus=3), "team-b")
    running(adapter, "owner")
    until(
        lambda: sum(r.name.startswith("borrower") for r in adapter.snapshot().runs) == 9,
        30,
        "three borrowers to be gone",
    )
    shares = {q.name: q.fair_share_gpu_milli for q in adapter.snapshot().queues}
    assert (shares["team-a"], shares["team-b"]) == (9000, 3000)


def test_a_job_that_ends_has_its_code(kube: KubeLab, adapter: KaiAdapter) -> None:
    for name, code in (("good", 0), ("bad", 3), ("oom", 137)):
        create(kube, objects.pod(name, annotations={"foundry.lab/exit": f"{code} after 0.1"}))
    states = {
        name: seen(adapter, name, lambda r: r.exit_code is not None, f"{name} to end")
        for name in ("good", "bad", "oom")
    }
    assert {n: (r.state, r.exit_code) for n, r in states.items()} == {
        "good": (RunState.COMPLETED, 0),
        "bad": (RunState.FAILED, 3),
        "oom": (RunState.OUT_OF_MEMORY, 137),
    }
    assert all(r.ended_at is not None and r.placement == () for r in states.values())


@pytest.mark.parametrize("fraction", ["-1", "NaN", "17", "1e309", "½"])
def test_absurd_fractions_that_got_in_are_no_crash(
    kube: KubeLab, adapter: KaiAdapter, fraction: str
) -> None:
    thing = objects.pod("absurd", scheduler="default-scheduler")
    create(kube, thing)
    # KAI's admission looks at pods when they are made: the annotation comes in afterwards.
    notes = {"metadata": {"annotations": {"gpu-fraction": fraction}}}
    kube.api.patch(f"{PODS.format('team-a')}/absurd", notes)
    run = seen(adapter, "absurd", lambda r: word(r, "amount"), "the amount to be doubted")
    assert run.request.gpu_milli is None


def test_a_reservation_that_loses_its_group_is_no_free_gpu(
    kube: KubeLab, adapter: KaiAdapter
) -> None:
    create(kube, half("sharer"))
    (run,) = running(adapter, "sharer")
    home = PODS.format("kai-resource-reservation")
    (held,) = kube.api.get(home)["items"]
    for daemon in kube.kai.values():
        daemon.kill()
    path = f"{home}/{held['metadata']['name']}"
    kube.api.patch(path, {"metadata": {"labels": {"runai-gpu-group": None}}})
    try:
        until(lambda: bool(unknown_gpus(adapter)), 30, "the GPU to be unknown")
        assert unknown_gpus(adapter) == [run.placement[0].node]
        assert gpus_of(adapter, run)
    finally:
        # KAI would leave it for ever.
        kube.api.delete(path, gracePeriodSeconds="0")


def test_the_api_server_is_killed_and_comes_back(
    kube: KubeLab, adapter: KaiAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kinds, "LOST_S", 0.5)
    create(kube, half("stays"))
    running(adapter, "stays")
    state = adapter._state
    assert state is not None
    lists = [f.table.lists for f in state.followers]
    kube.kill_api()

    def gone() -> bool:
        try:
            adapter.snapshot()
        except Unavailable:
            return True
        return False

    until(gone, 20, "the source to be unavailable")
    monkeypatch.setattr(kinds, "LOST_S", 20.0)
    kube.start_api()
    create(kube, half("comes"))
    until(lambda: not gone(), 30, "the source to be back")
    running(adapter, "stays", "comes")
    # A server that was just started does not know the versions of before: 410, once.
    assert all(f.table.lists - was <= 1 for f, was in zip(state.followers, lists, strict=True))


def test_a_forgotten_version_is_listed_anew(kube: KubeLab, adapter: KaiAdapter) -> None:
    create(kube, objects.pod("before", gpus=1))
    running(adapter, "before")
    state = adapter._state
    assert state is not None
    pods = next(f.table for f in state.followers if f.table.kind is kinds.PODS)
    lists, pods.version = pods.lists, "1"
    kube.compact()
    kube.api.delete(f"{PODS.format('team-a')}/before")
    until(lambda: pods.lists > lists, 30, "the pods to be listed anew")
    until(lambda: named(adapter.snapshot(), "before") is None, 30, "the pod to be gone")


def test_nothing_is_asked_while_nothing_happens(kube: KubeLab, adapter: KaiAdapter) -> None:
    asked: list[str] = []
    real = adapter.cluster.request

    def counted(method: str, path: str, **more: Any) -> bytes:
        asked.append(path)
        return real(method, path, **more)

    adapter.cluster.request = counted  # type: ignore[method-assign]
    for _ in range(20):
        adapter.snapshot()
    assert asked == []


def test_a_user_without_all_namespaces_reads_its_own(kube: KubeLab) -> None:
    create(kube, half("mine"))
    create(kube, objects.pod("theirs", "team-b"), "team-b")
    with closing(adapter_of(kube, "alice", "team-a")) as alice:
        running(alice, "mine")
        estate = alice.snapshot()
    assert named(estate, "theirs") is None
    assert estate.nodes


def test_rights_are_those_of_the_user(kube: KubeLab) -> None:
    rights = adapter_of(kube, "admin").rights()
    assert (rights.admin, rights.may_nodes, rights.may_queues) == (True, True, True)
    for user, spaces in (("alice", {"team-a"}), ("bob", {"team-b"}), ("viewer", set())):
        rights = adapter_of(kube, user, "team-a", "team-b").rights()
        assert (rights.admin, rights.may_nodes, rights.may_queues) == (False, False, False)
        assert {a.account for a in rights.associations or ()} == spaces


def test_a_probe_finds_everything(kube: KubeLab) -> None:
    found = {p.what: p for p in adapter_of(kube, "viewer").probe()}
    assert {p.state for p in found.values()} == {"found"}
    assert "v1.34" in found["api"].found


def test_a_wrong_authority_is_named(kube: KubeLab, tmp_path: Path) -> None:
    told = json.loads(kube.kubeconfig("viewer").read_text())
    other = tmp_path / "other.crt"
    other.write_bytes((kube.certs / "apiserver.crt").read_bytes())
    told["clusters"][0]["cluster"]["certificate-authority"] = str(other)
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(told))
    with pytest.raises(Unavailable, match="certificate") as caught:
        KaiAdapter(KubernetesConfig(name="kai", kubeconfig=path)).snapshot()
    assert "certificate-authority" in caught.value.hint


def test_a_token_that_is_not_known_is_denied(kube: KubeLab, tmp_path: Path) -> None:
    told = json.loads(kube.kubeconfig("viewer").read_text())
    told["users"][0]["user"] = {"token": "expired"}
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(told))
    adapter = KaiAdapter(KubernetesConfig(name="kai", kubeconfig=path))
    (line,) = adapter.probe()
    assert line.state == "denied"
    assert "log in again" in line.found


def test_queues_of_any_name_are_shown(kube: KubeLab, adapter: KaiAdapter) -> None:
    kube.add_queue("group-1", "research", quota=2, limit=3, weight=2.5, priority=200)
    until(lambda: "group-1" in {q.name for q in adapter.snapshot().queues}, 30, "the queue")
    found = next(q for q in adapter.snapshot().queues if q.name == "group-1")
    assert (found.quota_gpu_milli, found.limit_gpu_milli) == (2000, 3000)
    assert (found.over_quota_weight, found.priority, found.parent) == (2.5, 200, "research")


def test_the_watches_end_when_the_adapter_is_closed(kube: KubeLab) -> None:
    with closing(adapter_of(kube, "admin")) as adapter:
        adapter.snapshot()
        adapter.snapshot()
        state = adapter._state
        assert state is not None
        threads = [t for t in threading.enumerate() if t.name.startswith("watch-")]
        assert threads
    # Each ends with its next event: a pod wakes those of the pods.
    create(kube, objects.pod("wakes"))
    mine = [t for t in state._threads if t.name == "watch-pods"]
    until(lambda: not any(t.is_alive() for t in mine), 20, "the watch of the pods to end")
