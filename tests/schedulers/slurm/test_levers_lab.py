"""Every lever on a real Slurm: changed, proved, taken back; and what users without rights get."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from foundry_tui.estate.acts import (
    Act,
    ChangeNode,
    ChangeQueue,
    ChangeRun,
    Hold,
    Preview,
    Receipt,
    ReceiptStatus,
    Release,
    Requeue,
)
from foundry_tui.schedulers.slurm import receipts
from foundry_tui.schedulers.slurm.adapter import SlurmAdapter
from foundry_tui.schedulers.slurm.nodechange import read_seen
from foundry_tui.schedulers.slurm.partitionchange import read_partitions
from foundry_tui.schedulers.slurm.present import read_present
from tests.lab.daemons import until
from tests.lab.slurm import SlurmLab

DONE, REFUSED = ReceiptStatus.DONE, ReceiptStatus.REFUSED


@dataclass(frozen=True)
class Hands:
    """The lab in the hands of one unix user; None is root."""

    lab: SlurmLab
    user: str | None = None

    @property
    def adapter(self) -> SlurmAdapter:
        folder = str(self.lab.commands_as(self.user)) if self.user else None
        return SlurmAdapter("lab", conf=str(self.lab.root / "etc/slurm.conf"), folder=folder)

    def preview(self, act: Act) -> Preview:
        adapter = self.adapter
        return adapter.preview(act, adapter.snapshot().runs, "t")

    def do(self, act: Act) -> tuple[Preview, Receipt]:
        adapter = self.adapter
        preview = adapter.preview(act, adapter.snapshot().runs, "t")
        (receipt,) = adapter.read_back(preview, adapter.perform(preview, "t"))
        return preview, receipt

    def change(self, job: str, **fields: str) -> tuple[Preview, Receipt]:
        runs = (f"lab/{job}",)
        return self.do(ChangeRun(source="lab", runs=runs, fields=tuple(fields.items())))


@pytest.fixture
def root(lab: SlurmLab) -> Hands:
    return Hands(lab)


NAMES = (
    *("queue", "time_limit_s", "nodelist", "exclude", "features", "qos", "account", "nodes"),
    *("tasks", "cpus", "memory_per_cpu", "memory_per_node", "dependency", "begin"),
    *("licenses", "nice", "priority", "array_limit", "tres", "per_node", "per_job"),
)


def asks(hands: Hands, job: str) -> dict[str, str]:
    """Everything that a job asks for."""
    (record,) = read_present(hands.adapter.commands, [job], NAMES)[job]
    return {name: record.words[name] for name in NAMES if name in record.words}


ROUNDS: tuple[tuple[tuple[str, ...], dict[str, str]], ...] = (
    (("--gres=gpu:2",), {"queue": "a100,h100", "time_limit_s": "1200", "gpus_per_node": "3"}),
    (("-w", "h01"), {"nodelist": "", "exclude": "h02,h03"}),
    (("-C", "h100"), {"features": "nvlink", "qos": "low", "nice": "7"}),
    (("-x", "h01", "-C", "h100"), {"nodelist": "h02", "exclude": "", "features": ""}),
    (("-n", "2", "--mem-per-cpu=1500"), {"memory_per_node": "3G", "tasks": "4"}),
    (("--mem=2000",), {"memory_per_node": "2500M", "licenses": "cfd:1"}),
    (("-N", "2", "-n", "4"), {"nodes": "3-3"}),
    (("-n", "2"), {"nodes": "2", "begin": "2030-01-02T03:04:05"}),
    (("--gpus=4",), {"gpus": "2"}),
    (("--gres=gpu:h100:4", "-p", "h100"), {"gpus_per_node": "h100:1"}),
    (("--array=0-9%2",), {"array_limit": "5", "time_limit_s": "600", "nice": "3"}),
    (("--dependency=singleton", "-L", "cfd:1"), {"dependency": "", "licenses": ""}),
)


def test_every_field_is_changed_proved_and_taken_back(root: Hands) -> None:
    for options, fields in ROUNDS:
        job = root.lab.submit("--hold", "-t", "30", *options)
        before = asks(root, job)
        preview, receipt = root.change(job, **fields)
        assert (receipt.status, receipt.message) == (DONE, None), (fields, receipt)
        assert asks(root, job) != before
        assert preview.inverse is not None
        _, back = root.do(preview.inverse)
        assert back.status is DONE, (preview.inverse, back)
        assert asks(root, job) == before, fields


def test_what_slurm_would_not_change_or_spoil_is_refused_before_it_is_sent(root: Hands) -> None:
    for options, name, value, why in (
        (("--gres=gpu:h100:4", "-p", "h100"), "gpus_per_node", "a100:2", "another type"),
        (("--gres=gpu:h100:4", "-p", "h100"), "gpus_per_node", "2", "another type"),
        (("--gres=gpu:2",), "gpus_per_node", "h100:1", "another type"),
        (("--gres=gpu:2",), "gpus_per_node", "0", "above 0"),
        (("--gres=gpu:2",), "gpus", "1", "change gpus_per_node"),
        (("--gpus=2",), "gpus_per_node", "1", "change gpus"),
        (("--gpus-per-task=1", "-n", "2"), "gpus_per_node", "1", "per task"),
        (("--gres=shard:2", "-p", "h100"), "gpus_per_node", "1", "not for whole GPUs"),
        ((), "priority", "7", "held"),
    ):
        job = root.lab.submit("--hold", "-t", "30", *options)
        before = asks(root, job)
        preview, receipt = root.change(job, **{name: value})
        assert receipt.status is REFUSED
        assert why in str(receipt.message)
        assert preview.inverse is None
        assert asks(root, job) == before
    for name, value in (("time_limit_s", ""), ("priority", "0"), ("color", "red")):
        with pytest.raises(ValueError, match=name):
            root.change(job, **{name: value})
    with pytest.raises(ValueError, match="alone"):
        root.change(job, priority="7", nice="1")


def test_a_yes_that_changed_nothing_is_no_change(root: Hands, impatient: None) -> None:
    job = root.lab.submit("--hold", "-t", "30", "--gpus=2")
    fields = (("gpus", "3"),)
    preview = root.preview(ChangeRun(source="lab", runs=(f"lab/{job}",), fields=fields))
    # Without the prefix Slurm answers 0, shows `TresPerJob=gpu:3`, and leaves the TRES (22.05)
    command = (*preview.items[0].command[:3], "TresPerJob=gpu:3")
    spoiled = replace(preview, items=(replace(preview.items[0], command=command),))
    adapter = root.adapter
    (receipt,) = adapter.read_back(spoiled, adapter.perform(spoiled, "t"))
    assert receipt.status is not DONE
    assert "gres/gpu=2" in asks(root, job)["tres"]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not come is waited for one second."""
    monkeypatch.setattr(receipts, "SETTLE_S", 1.0)


def test_a_set_priority_is_given_back_by_a_release(root: Hands, impatient: None) -> None:
    root.lab.wait(root.lab.submit("-w", "h01", "--gres=gpu:8"), "RUNNING")
    job = root.lab.submit("-w", "h01", "--gres=gpu:8")
    until(lambda: asks(root, job)["priority"] != "0", 30, "it has a priority", 0.1)
    automatic = int(asks(root, job)["priority"])
    preview, receipt = root.change(job, priority="424242")
    assert receipt.status is DONE
    assert "release" in str(preview.items[0].warning)
    owner, operator = Hands(root.lab, "lab_alice"), Hands(root.lab, "lab_carol")
    # Slurm says that this is refused, and does it all the same where the priority is set already
    _, receipt = owner.change(job, priority="400000")
    assert receipt.status is DONE
    assert "not persistent" in str(receipt.message)
    _, receipt = owner.change(job, priority="")
    assert receipt.status is ReceiptStatus.UNCHANGED, "the release of an owner ends with 0"
    assert asks(root, job)["priority"] == "400000"
    assert preview.inverse is not None
    _, receipt = operator.do(preview.inverse)
    assert receipt.status is DONE
    assert abs(int(asks(root, job)["priority"]) - automatic) < 1000
    _, receipt = owner.change(job, priority="400000")
    assert receipt.status is REFUSED
    assert abs(int(asks(root, job)["priority"]) - automatic) < 1000


def test_a_waiting_range_is_changed_without_its_running_tasks(root: Hands) -> None:
    job = root.lab.submit("--array=0-3", "-w", "a01", "--gres=gpu:4", "-t", "30")
    root.lab.wait(job, "RUNNING")
    waiting = next(r for r in root.adapter.snapshot().runs if r.native_id == f"{job}_[1-3]")
    fields = (("time_limit_s", "600"),)
    act = ChangeRun(source="lab", runs=(waiting.id,), fields=fields)
    preview, receipt = root.do(act)
    assert preview.items[0].command[2] == f"JobId={job}_[1-3]"
    assert receipt.status is DONE
    limits = {r.native_id: r.request.time_limit_s for r in root.adapter.snapshot().runs}
    assert (limits[waiting.native_id], limits[f"{job}_0"]) == (600, 1800)
    pinned = replace(act, fields=(("nodelist", "a02"),))
    words = ["scontrol", "update", f"JobId={job}_[1-3]", "ReqNodeList=a02"]
    assert b"Invalid job ID" in root.lab.run(words, check=False).stderr
    assert "no node list for an array" in str(root.preview(pinned).items[0].refusal)


def test_a_move_of_a_running_job_starts_without_the_delay_of_a_requeue(root: Hands) -> None:
    job = root.lab.submit("-w", "h01", "--gres=gpu:1", "-t", "30")
    root.lab.wait(job, "RUNNING")
    owner, runs = Hands(root.lab, "lab_alice"), (f"lab/{job}",)
    started = time.monotonic()
    preview, receipt = owner.do(Requeue(source="lab", runs=runs, hold=True))
    assert preview.items[0].command == ("scontrol", "requeuehold", job)
    assert (receipt.status, receipt.after) == (DONE, "held")
    assert preview.inverse is None
    assert asks(root, job)["begin"], "Slurm lets a requeued job wait for two minutes (22.05)"
    preview, receipt = owner.change(job, nodelist="h02", begin="")
    assert receipt.status is DONE
    back = (("nodelist", "h01"), ("begin", ""))
    assert preview.inverse == ChangeRun(source="lab", runs=runs, fields=back)
    _, receipt = owner.do(Release(source="lab", runs=runs))
    assert receipt.status is DONE
    root.lab.wait(job, "RUNNING")
    assert time.monotonic() - started < 60
    (run,) = (r for r in root.adapter.snapshot().runs if r.native_id == job)
    assert [p.node for p in run.placement] == ["h02"]


def drain(*nodes: str, reason: str | None = "bad fan") -> ChangeNode:
    return ChangeNode(source="lab", nodes=nodes, state="drain", reason=reason)


def test_a_node_is_drained_and_resumed_and_nobody_elses_drain_is_touched(root: Hands) -> None:
    job = root.lab.submit("-w", "a01", "--gres=gpu:3")
    root.lab.wait(job, "RUNNING")
    root.lab.run(["scontrol", "update", "NodeName=c02", "State=DRAIN", "Reason=mine"])
    preview = root.preview(drain("a01", "c01", "c02", "nope", "ALL", "h[01-02]"))
    assert [bool(i.refusal) for i in preview.items] == [False, False, True, True, True, True]
    assert preview.items[0].warning == (
        "4 GPUs get no new runs; 1 run goes on there with 3 GPUs until they end"
    )
    assert "mine (set by root at " in str(preview.items[2].refusal)
    adapter = root.adapter
    sent = adapter.read_back(preview, adapter.perform(preview, "t"))
    assert [r.status for r in sent] == [DONE, DONE, *(REFUSED,) * 4]
    seen = read_seen(adapter.commands)
    assert {n for n, node in seen.items() if node.drained} == {"a01", "c01", "c02"}
    assert preview.inverse == ChangeNode(
        source="lab", nodes=("a01", "c01"), state="resume", reason="bad fan"
    )
    # c01 is drained anew by somebody for another reason: that is left alone
    root.lab.run(["scontrol", "update", "NodeName=c01", "State=DRAIN", "Reason=disk"])
    back = root.preview(preview.inverse)
    assert "another reason since: disk" in str(back.items[1].refusal)
    sent = adapter.read_back(back, adapter.perform(back, "t"))
    assert [r.status for r in sent] == [DONE, REFUSED]
    seen = read_seen(adapter.commands)
    assert {n: v.reason for n, v in seen.items() if v.drained} == {"c01": "disk", "c02": "mine"}
    # a resume is taken back by a drain with the old reason
    preview, receipt = root.do(ChangeNode(source="lab", nodes=("c02",), state="resume"))
    assert (receipt.status, receipt.after) == (DONE, "idle")
    assert preview.inverse == drain("c02", reason="mine")
    assert root.do(preview.inverse)[1].status is DONE
    assert read_seen(adapter.commands)["c02"].reason == "mine"
    # a reason of Slurm's own holds what no record of an act takes: its resume has no undo
    root.lab.run(["scontrol", "update", "NodeName=c02", "Reason=Low RealMemory (1 < 2)"])
    preview = root.preview(ChangeNode(source="lab", nodes=("c02",), state="resume"))
    assert preview.inverse is None
    preview = root.preview(drain("h04", reason="fan #3"))
    assert preview.inverse == ChangeNode(source="lab", nodes=("h04",), state="resume")


@pytest.fixture
def partition(root: Hands) -> Iterator[Hands]:
    """The lab with its partitions as slurm.conf has them, afterwards."""
    yield root
    root.lab.run(["scontrol", "reconfigure"])


def queue(**fields: str) -> ChangeQueue:
    return ChangeQueue(source="lab", queue="short", fields=tuple(fields.items()))


def test_a_partition_is_changed_taken_back_and_lost_at_a_reconfigure(partition: Hands) -> None:
    commands = partition.adapter.commands
    before = read_partitions(commands)["short"]
    for fields in (
        {"state": "drain", "max_time_s": "600", "priority_tier": "5"},
        {"nodes": "h01,a01", "max_nodes": "2", "priority_factor": "3"},
        {"allow_qos": "high,normal", "allow_accounts": "ml"},
        {"deny_accounts": "bio"},
        {"state": "inactive", "max_time_s": "unlimited"},
    ):
        preview, receipt = partition.do(queue(**fields))
        assert receipt.status is DONE, receipt
        assert "slurm.conf: PartitionName=short" in str(preview.items[0].warning)
        assert preview.inverse is not None
        assert read_partitions(commands)["short"] != before
        assert partition.do(preview.inverse)[1].status is DONE
        assert read_partitions(commands)["short"] == before, fields
    preview, _ = partition.do(queue(nodes="h01", default_time_s="600"))
    assert "taken out: a01,a02,h02,h03,h04" in str(preview.items[0].warning)
    assert "NONE" in str(preview.items[0].warning)
    adapter = partition.adapter
    adapter.snapshot()
    closed = adapter.preview(queue(state="down"), (), "t")
    adapter.read_back(closed, adapter.perform(closed, "t"))
    assert {q.name: q.state for q in adapter.snapshot().queues}["short"] == "down"
    partition.lab.run(["scontrol", "reconfigure"])
    assert read_partitions(commands)["short"] == before


def test_what_a_partition_would_take_and_not_mean_is_refused(root: Hands) -> None:
    before = read_partitions(root.adapter.commands)
    for fields, why in (
        ({"allow_qos": "nonesuch"}, "no qos nonesuch"),
        ({"deny_accounts": "nobody"}, "no account nobody"),
        ({"nodes": ""}, "whole list"),
        ({"nodes": "ALL"}, "whole list"),
        ({"max_time_s": "0"}, "above 0"),
        ({"state": "bogus"}, "inactive"),
        ({"nodes": "nope"}, "empty the partition"),
    ):
        _, receipt = root.do(queue(**fields))
        assert receipt.status is REFUSED
        assert why in str(receipt.message)
    for name in ("ALL", "nowhere", "short,gpu"):
        _, receipt = root.do(ChangeQueue(source="lab", queue=name, fields=(("state", "down"),)))
        assert receipt.status is REFUSED
    with pytest.raises(ValueError, match="color"):
        root.preview(queue(color="red"))
    assert read_partitions(root.adapter.commands) == before


@pytest.fixture
def coordinator(root: Hands) -> Iterator[Hands]:
    """lab_bob as coordinator of the account of lab_alice."""
    root.lab.run(["sacctmgr", "-i", "add", "coordinator", "account=ml", "names=lab_bob"])
    yield Hands(root.lab, "lab_bob")
    root.lab.run(["sacctmgr", "-i", "delete", "coordinator", "account=ml", "names=lab_bob"])


@pytest.fixture
def administrator(root: Hands) -> Iterator[Hands]:
    """lab_dave with the highest admin level, and without anything else."""
    user = ["user", "lab_dave"]
    root.lab.run(["sacctmgr", "-i", "add", *user, "account=ml", "adminlevel=Administrator"])
    yield Hands(root.lab, "lab_dave")
    root.lab.run(["sacctmgr", "-i", "delete", *user])


def test_an_administrator_of_slurm_needs_no_root(root: Hands, administrator: Hands) -> None:
    rights = administrator.adapter.rights("lab_dave")
    assert (rights.admin, rights.may_nodes, rights.may_queues) == (True, True, True)
    for act in (drain("c01"), queue(state="inactive")):
        preview, receipt = administrator.do(act)
        assert receipt.status is DONE, receipt
        assert preview.inverse is not None
        assert administrator.do(preview.inverse)[1].status is DONE


def test_nothing_is_reported_done_that_a_user_may_not_do(root: Hands, coordinator: Hands) -> None:
    lab = root.lab
    owner, operator, nobody = (Hands(lab, u) for u in ("lab_alice", "lab_carol", "lab_dave"))
    rights = {h.user: h.adapter.rights(h.user) for h in (owner, operator, nobody, coordinator)}
    assert {u: r.may_change("lab_alice", "ml") for u, r in rights.items()} == {
        "lab_alice": True,
        "lab_bob": True,
        "lab_carol": True,
        "lab_dave": False,
    }
    assert rights["lab_bob"].coordinates == ("ml",)
    assert {(r.may_nodes, r.may_queues) for r in rights.values()} == {(False, False)}
    assert root.adapter.rights("root").may_nodes
    waits = lab.submit("-t", "30", "--begin=now+1hour", "--nice=3")
    runs = (f"lab/{waits}",)
    rules: tuple[Act, ...] = (drain("c01"), queue(state="down"))
    before = asks(root, waits), read_partitions(root.adapter.commands)
    for hands in (nobody, operator, coordinator, owner):
        for act in rules:
            _, receipt = hands.do(act)
            assert receipt.status is REFUSED, (hands.user, receipt)
            assert "administrator" in str(receipt.message)
    changes: tuple[Act, ...] = (
        Hold(source="lab", runs=runs),
        ChangeRun(source="lab", runs=runs, fields=(("nodelist", "h01"),)),
        ChangeRun(source="lab", runs=runs, fields=(("nice", "0"), ("queue", "short"))),
    )
    for act in changes:
        _, receipt = nobody.do(act)
        assert receipt.status is REFUSED, receipt
        assert "belongs to lab_alice" in str(receipt.message)
    assert (asks(root, waits), read_partitions(root.adapter.commands)) == before
    assert not any(n.drained for n in read_seen(root.adapter.commands).values())
    for hands in (owner, operator, coordinator):
        preview, receipt = hands.change(waits, nodelist="h01")
        assert receipt.status is DONE, (hands.user, receipt)
        assert preview.inverse is not None
        assert hands.do(preview.inverse)[1].status is DONE
    assert asks(root, waits) == before[0]
