"""The levers of an administrator on a real Kubernetes with KAI: what each of them really does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.acts import (
    Act,
    Cancel,
    ChangeNode,
    ChangeQueue,
    ChangeRun,
    Hold,
    MoveNode,
    ReceiptStatus,
    Release,
    Resubmit,
    Resume,
    Suspend,
)
from foundry_tui.estate.run import Run, RunState
from foundry_tui.schedulers.kai import actor
from foundry_tui.schedulers.kai.adapter import KaiAdapter
from foundry_tui.schedulers.kai.submit import find_submitted
from tests.lab.daemons import until
from tests.lab.kube.cluster import KubeLab
from tests.schedulers.kai.hands import DONE, HOMES, Hands, group_of, halves_apart, new_token, on

POOL = "kai.scheduler/node-pool"
HOST = "kubernetes.io/hostname"


@pytest.fixture
def alice(kube: KubeLab) -> Hands:
    return Hands(kube, "alice")


@pytest.fixture
def admin(kube: KubeLab) -> Hands:
    return Hands(kube, "admin")


@pytest.fixture
def reader(kube: KubeLab) -> Iterator[KaiAdapter]:
    config = KubernetesConfig(name="lab", kubeconfig=kube.kubeconfig("alice"))
    with closing(KaiAdapter(config)) as adapter:
        yield adapter


def seen(reader: KaiAdapter, uid: str) -> Run:
    return next(r for r in reader.snapshot().runs if r.native_id == uid)


def places(reader: KaiAdapter, uid: str) -> list[tuple[str, tuple[int, ...] | None]]:
    return [(str(p.node), p.gpus) for p in seen(reader, uid).placement]


def test_a_share_that_is_stopped_and_started_again_packs_and_frees_a_gpu(
    kube: KubeLab, alice: Hands, reader: KaiAdapter
) -> None:
    """Two shares alone on a GPU each keep a whole-GPU run waiting; moving one lets it start."""
    left, right = halves_apart(kube, alice)
    waits = alice.submitted("-g", "1", "--priority=build", name="waits")

    def told() -> bool:
        found = seen(reader, waits)
        return found.state is RunState.PENDING and found.reason is not None

    until(told, 90, "a whole GPU is waited for")
    assert sorted(places(reader, left) + places(reader, right)) == [("two", (0,)), ("two", (1,))]
    old = group_of(alice, right)

    assert alice.do(on(Suspend, right), alice.run(right)).after == "suspended"
    until(alice.placed(waits, "Running"), 90, "what waited has the whole GPU")
    assert alice.do(on(Resume, right), alice.run(right, RunState.SUSPENDED)).status is DONE
    until(alice.placed(right, "Running"), 90, "the share runs again")
    until(lambda: group_of(alice, right) == group_of(alice, left) != old, 90, "they share a GPU")
    until(lambda: seen(reader, right).state is RunState.RUNNING, 30, "the reader knows")
    assert places(reader, left) == places(reader, right) != places(reader, waits)
    gpus = [g for g in reader.snapshot().gpus if g.node == "two"]
    assert sorted(g.milli_allocated or 0 for g in gpus) == [1000, 1000]


def test_a_node_goes_to_another_pool_and_back(kube: KubeLab, admin: Hands) -> None:
    stays = admin.submitted("-g", "4", name="stays")
    until(admin.placed(stays, "Running"), 90, "it runs")
    (node,) = {pod["spec"]["nodeName"] for pod in admin.pods(stays)}
    act = MoveNode(source="lab", nodes=(node,), pool="inference")
    preview = admin.preview(act)
    (item,) = preview.items
    assert item.before == "pool default"
    assert "stay until they end" in str(item.warning)
    assert "no node is in pool inference yet" in str(item.warning)
    assert preview.inverse == MoveNode(source="lab", nodes=(node,), pool=None)
    assert POOL not in kube.api.get(f"/api/v1/nodes/{node}")["metadata"]["labels"]
    assert admin.send(preview)[0].status is DONE
    assert kube.api.get(f"/api/v1/nodes/{node}")["metadata"]["labels"][POOL] == "inference"
    assert admin.phases(stays) == ["Running"]
    # The guard: what was previewed before somebody else gave it a pool is not sent over that.
    assert "changed since" in str(admin.send(preview)[0].message)
    assert preview.inverse is not None
    back = admin.preview(preview.inverse)
    assert back.inverse == replace(act, pool="inference")
    assert admin.send(back)[0].status is DONE
    assert POOL not in kube.api.get(f"/api/v1/nodes/{node}")["metadata"]["labels"]
    refused = admin.preview(replace(act, pool="default")).items[0].refusal
    assert refused == "it is in pool default already"


def test_a_pool_has_the_nodes_that_it_is_given(kube: KubeLab, admin: Hands) -> None:
    kube.add_queue("fast", quota=8, pool="fast")
    kube.add_queue("team-fast", "fast", quota=8, pool="fast")
    kube.serve_pool("fast")
    waits = admin.submitted("-g", "8", "--project=team-fast", "--node-pools=fast", name="waits")
    until(admin.placed(waits, "Pending"), 90, "its pool has no node")
    assert admin.do(MoveNode(source="lab", nodes=("gpu00",), pool="fast")).status is DONE
    until(admin.placed(waits, "Running"), 90, "its pool has a node")
    assert {pod["spec"]["nodeName"] for pod in admin.pods(waits)} == {"gpu00"}


def test_a_held_job_is_bound_to_nodes_and_set_free(
    kube: KubeLab, admin: Hands, alice: Hands
) -> None:
    uid = admin.submitted("-g", "9", name="waits")
    until(admin.placed(uid, "Pending"), 90, "no node has nine GPUs: it waits")
    act = ChangeRun(source="lab", runs=(f"lab/{uid}",), fields=(("nodelist", "gpu01"),))
    refused = str(admin.preview(act, admin.run(uid, RunState.PENDING)).items[0].refusal)
    assert "hold it, change it, then release it" in refused
    assert admin.do(on(Hold, uid), admin.run(uid, RunState.PENDING)).status is DONE
    held = admin.run(uid, RunState.PENDING, held=True)
    # It had a start time, which only who may write the status of Jobs takes away.
    assert 'cannot patch resource "jobs/status"' in str(alice.preview(act, held).items[0].refusal)
    for nodes in ("gpu01", "gpu00,gpu01"):
        preview = admin.preview(replace(act, fields=(("nodelist", nodes),)), held)
        assert preview.refused == ()
        before = preview.inverse
        (receipt,) = admin.send(preview)
        assert receipt.status is DONE, receipt
    assert before == replace(act, fields=(("nodelist", "gpu01"),))
    spec = admin.owner(uid)["spec"]["template"]["spec"]
    assert "nodeSelector" not in spec
    terms = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert terms["nodeSelectorTerms"][0]["matchExpressions"][0]["values"] == ["gpu00", "gpu01"]
    free = replace(act, fields=(("nodelist", ""),))
    preview = admin.preview(free, held)
    assert preview.inverse == replace(act, fields=(("nodelist", "gpu00,gpu01"),))
    assert admin.send(preview)[0].status is DONE
    assert "affinity" not in admin.owner(uid)["spec"]["template"]["spec"]
    gone = replace(act, fields=(("nodelist", "nope"),))
    assert "no node nope" in str(admin.preview(gone, held).items[0].refusal)


def test_a_suspended_job_moves_to_the_node_that_it_is_bound_to(admin: Hands) -> None:
    uid = admin.submitted("-g", "1", "--priority=build", name="moves")
    until(admin.placed(uid, "Running"), 90, "it runs")
    (first,) = {pod["spec"]["nodeName"] for pod in admin.pods(uid)}
    (other,) = {"gpu00", "gpu01"} - {first}
    act = ChangeRun(
        source="lab",
        runs=(f"lab/{uid}",),
        fields=(("queue", "team-b"), ("qos", "train"), ("nodelist", other)),
    )
    assert "suspend it" in str(admin.preview(act, admin.run(uid)).items[0].refusal)
    assert admin.do(on(Suspend, uid), admin.run(uid)).status is DONE
    until(admin.placed(uid), 90, "its pods are gone")
    stopped = admin.run(uid, RunState.SUSPENDED)
    preview = admin.preview(act, stopped)
    assert preview.refused == ()
    assert preview.inverse == replace(
        act, fields=(("queue", "team-a"), ("qos", "build"), ("nodelist", ""))
    )
    assert admin.send(preview)[0].status is DONE
    assert admin.do(on(Resume, uid), stopped).status is DONE
    until(admin.placed(uid, "Running"), 90, "it runs again")
    assert {pod["spec"]["nodeName"] for pod in admin.pods(uid)} == {other}
    assert "team-b" in admin.queue_of(uid)


@pytest.mark.parametrize("kind", ["Job", "Pod", "PyTorchJob"])
def test_a_waiting_whole_gpu_is_made_anew_as_a_half(
    alice: Hands, reader: KaiAdapter, kind: str
) -> None:
    old = alice.submitted("-g", "1", "--node-pools=nowhere", kind=kind, name="big")
    until(alice.placed(old, "Pending"), 90, "it waits")
    act = Resubmit(source="lab", runs=(f"lab/{old}",), fields=(("gpu_milli", "500"),))
    token = new_token()
    preview = alice.preview(act, alice.run(old, RunState.PENDING), token=token)
    (item,) = preview.items
    assert item.refusal is None
    assert [item.command[0], item.command[3]] == ["POST", "DELETE"]
    assert "wait anew" in str(item.warning)
    assert preview.inverse is None
    (receipt,) = alice.send(preview)
    assert receipt.status is DONE, receipt
    new = find_submitted(alice.cluster, token, alice.config)
    assert new is not None
    assert (receipt.target, receipt.after) == (f"lab/{old}", f"lab/{new}")
    with pytest.raises(KeyError):
        alice.owner(old)
    until(alice.placed(new, "Pending"), 90, "the new one waits")
    run = seen(reader, new)
    assert (run.name, run.state, run.submit_token) == ("big", RunState.PENDING, token)
    assert (run.request.gpu_count, run.request.gpu_milli) == (1, 500)
    # And back: of the share admission has written into a bare Pod nothing is left.
    back = replace(act, runs=(f"lab/{new}",), fields=(("gpu_milli", "2000"),))
    (receipt,) = alice.send(alice.preview(back, alice.run(new, RunState.PENDING)))
    assert receipt.status is DONE, receipt
    third = str(receipt.after).removeprefix("lab/")
    until(alice.placed(third, "Pending"), 90, "the third one waits")
    (pod,) = alice.pods(third)
    (container,) = pod["spec"]["containers"]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "2"}
    assert not [e for e in container.get("env", ()) if "valueFrom" in e]
    assert not [v for v in pod["spec"].get("volumes", ()) if "shared-gpu" in v["name"]]
    assert "gpu-fraction" not in pod["metadata"]["annotations"]


def test_what_runs_is_not_made_anew(alice: Hands) -> None:
    uid = alice.submitted("-g", "1")
    waiting = alice.run(uid, RunState.PENDING)
    until(alice.placed(uid, "Running"), 90, "it runs")
    act = Resubmit(source="lab", runs=(f"lab/{uid}",), fields=(("gpu_milli", "500"),))
    # Neither by the state that was read, nor where that is older than the start.
    assert "running" in str(alice.preview(act, alice.run(uid)).items[0].refusal)
    assert "has started" in str(alice.preview(act, waiting).items[0].refusal)
    made = alice.owner(uid)["metadata"]["name"]
    pod = alice.pods(uid)[0]["metadata"]
    child = alice.run(uid, RunState.PENDING)
    native = {**(child.native or {}), "kind": "Pod", "workload": pod["name"]}
    inner = replace(child, id=f"lab/{pod['uid']}", native_id=pod["uid"], native=native)
    owned = alice.preview(replace(act, runs=(inner.id,)), inner).items[0].refusal
    assert f"belongs to Job {made}" in str(owned)
    assert len(alice.kube.api.get(HOMES["Job"])["items"]) == 1


def test_who_may_not_is_told_so_beforehand_and_nothing_changes(
    kube: KubeLab, alice: Hands, admin: Hands
) -> None:
    uid = alice.submitted("-g", "1", "--node-pools=nowhere", name="waits")
    until(alice.placed(uid, "Pending"), 90, "it waits")
    run = alice.run(uid, RunState.PENDING)
    at_run: dict[str, Any] = {"source": "lab", "runs": (run.id,)}
    on_cluster: tuple[Act, ...] = (
        MoveNode(source="lab", nodes=("gpu00",), pool="x"),
        ChangeNode(source="lab", nodes=("gpu00",), state="drain", reason="fan"),
        ChangeQueue(source="lab", queue="team-a", fields=(("quota_gpus", "1"),)),
    )
    on_runs: tuple[Act, ...] = (
        Resubmit(**at_run, fields=(("gpu_milli", "500"),)),
        ChangeRun(**at_run, fields=(("queue", "team-b"),)),
        Hold(**at_run),
        Cancel(**at_run),
    )
    watched = ("/api/v1/nodes/gpu00", "/apis/scheduling.run.ai/v2/queues/team-a")

    def state() -> list[Any]:
        return [kube.api.get(path)["spec"] for path in watched] + [alice.owner(uid)["spec"]]

    before = state()
    for user, acts in (
        ("viewer", on_cluster + on_runs),
        ("bob", on_cluster + on_runs),
        ("alice", on_cluster),
    ):
        hands = Hands(kube, user)
        for act in acts:
            preview = hands.preview(act, run)
            (item,) = preview.items
            assert f'User "{user}" cannot' in str(item.refusal), (user, act)
            assert preview.inverse is None or not isinstance(act, MoveNode | ChangeNode)
            (receipt,) = actor.perform(hands.cluster, preview, "")
            assert receipt.status is ReceiptStatus.REFUSED
    assert state() == before
    assert [j["metadata"]["uid"] for j in kube.api.get(HOMES["Job"])["items"]] == [uid]
    assert admin.do(on(Hold, uid), run).status is DONE
    held = admin.run(uid, RunState.PENDING, held=True)
    assert admin.do(on(Release, uid), held).status is DONE
