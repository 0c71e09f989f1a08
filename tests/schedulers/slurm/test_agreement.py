"""Under a mixed load every field that is shown agrees with what Slurm's own commands print."""

from __future__ import annotations

import re
from typing import Any

import pytest

from foundry_tui.estate.run import RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.process import Completed
from foundry_tui.schedulers.slurm.adapter import SlurmAdapter
from tests.lab.slurm import SlurmLab

HOSTILE = {
    "escape": b"red\x1b[31m",
    "osc52": b"\x1b]52;c;aGk=\x07",
    "forged row": b"x\n999|RUNNING|root\nJobId=998 JobName=y",
    "markup": b"[/]",
    "bidi": "abc\u202ecba".encode(),
    "not utf-8": b"\xff\xfe",
    "long": b"n" * 1024,
}


@pytest.fixture
def adapter(lab: SlurmLab) -> SlurmAdapter:
    return SlurmAdapter("lab", conf=lab.env["SLURM_CONF"])


def column(lab: SlurmLab, *argv: str) -> dict[str, list[str]]:
    """Rows of a command that prints `key|value|…`, by key."""
    lines = lab.run(argv).stdout.decode().splitlines()
    return {line.split("|")[0]: line.split("|")[1:] for line in lines if "|" in line}


@pytest.fixture
def loaded(lab: SlurmLab) -> dict[str, str]:
    """Jobs of every kind, running and waiting; a drained node; a finished job."""
    jobs = {
        "whole": lab.submit("-p", "h100", "--gres=gpu:2", "-J", "whole"),
        "typed": lab.submit("--gres=gpu:h100:3", user="lab_bob"),
        "job gpus": lab.submit("-G", "2", "-p", "a100"),
        "shard": lab.submit("-p", "h100", "--gres=shard:2", user="lab_bob"),
        "second shard": lab.submit("-p", "h100", "--gres=shard:1"),
        "mps": lab.submit("-p", "a100", "--gres=mps:50"),
        "multi": lab.submit("-p", "h100", "-N", "2", "--gres=gpu:1"),
        "array": lab.submit("-p", "h100", "--array=0-19%2", "--gres=gpu:1", user="lab_bob"),
        "held": lab.submit("-H", "-p", "h100", "--gres=gpu:1"),
        "cpu": lab.submit("-p", "cpu", "-c", "4"),
        "finished": lab.submit("-p", "cpu", script=b"#!/bin/sh\nexit 3\n"),
    }
    for name in ("whole", "typed", "job gpus", "shard", "second shard", "mps", "multi", "cpu"):
        lab.wait(jobs[name], "RUNNING")
    lab.wait(jobs["array"], "RUNNING")
    lab.wait(jobs["finished"], "FAILED")
    # Last: its reservation in the backfill plan would keep the others from starting.
    jobs["waiting"] = lab.submit("-p", "h100", "-N", "4", "--gres=gpu:8")
    lab.run(["scontrol", "update", "NodeName=h04", "State=DRAIN", "Reason=bad fan"])
    return jobs


def test_nodes(lab: SlurmLab, adapter: SlurmAdapter, loaded: dict[str, str]) -> None:
    snapshot = adapter.snapshot()
    assert len(snapshot.nodes) == 8
    told = column(lab, "sinfo", "-h", "-N", "-o", "%N|%T|%c|%m|%f")
    for node in snapshot.nodes:
        state, cpus, memory, features = told[node.name]
        assert node.state.value == state.rstrip("*")
        assert node.cpu_milli == 1000 * int(cpus)
        assert node.memory_bytes == int(memory) << 20
        assert node.features == tuple(features.split(","))
        shown = lab.run(["scontrol", "show", "node", node.name]).stdout.decode()
        allocated = re.search(r"CPUAlloc=(\d+)", shown)
        assert allocated and node.cpu_milli_allocated == 1000 * int(allocated[1])
        memory_used = re.search(r"AllocMem=(\d+)", shown)
        assert memory_used and node.memory_bytes_allocated == int(memory_used[1]) << 20
        partitions = re.search(r"Partitions=(\S+)", shown)
        assert partitions and node.queues == tuple(partitions[1].split(","))
        gpus = re.search(r"Gres=gpu:(\w+):(\d+)", shown)
        assert (node.gpu_model, node.gpu_count) == ((gpus[1], int(gpus[2])) if gpus else (None, 0))
    drained = next(n for n in snapshot.nodes if n.name == "h04")
    assert drained.reason == "bad fan"
    assert not drained.placeable


def test_gpus_hold_the_runs_that_slurm_put_there(
    lab: SlurmLab, adapter: SlurmAdapter, loaded: dict[str, str]
) -> None:
    snapshot = adapter.snapshot()
    assert len(snapshot.gpus) == 40
    seen: dict[tuple[str, int], set[str]] = {}
    for run in snapshot.runs:
        if run.state is not RunState.RUNNING:
            continue
        native = run.native_id
        shown = lab.run(["scontrol", "-d", "show", "job", native]).stdout.decode()
        for name, indices in _indices(shown).items():
            for index in indices:
                seen.setdefault((name, index), set()).add(run.id)
            placed = next(p for p in run.placement if p.node == name)
            assert placed.gpus == tuple(sorted(indices)), (native, name)
    for gpu in snapshot.gpus:
        assert set(gpu.runs) == seen.get((gpu.node, gpu.index), set()), (gpu.node, gpu.index)
    shards = lab.run(["scontrol", "-o", "show", "nodes"]).stdout.decode()
    for node in snapshot.nodes:
        line = next(li for li in shards.splitlines() if li.startswith(f"NodeName={node.name} "))
        whole, shard, mps = (
            int(m[1]) if (m := re.search(rf"AllocTRES=\S*gres/{word}=(\d+)", line)) else 0
            for word in ("gpu", "shard", "mps")
        )
        assert node.gpu_milli_allocated == 1000 * whole + 250 * shard + 10 * mps
        mine = [g for g in snapshot.gpus if g.node == node.name]
        assert sum(g.milli_allocated or 0 for g in mine) == node.gpu_milli_allocated


def _indices(shown: str) -> dict[str, list[int]]:
    """Node -> device indices, from the readable form of `scontrol -d show job`."""
    found: dict[str, list[int]] = {}
    for nodes, spans in re.findall(
        r"Nodes=(\S+) CPU_IDs=\S+ Mem=\d+ GRES=\w+[^(]*\(IDX:([\d,-]+)\)", shown
    ):
        names = [nodes] if "[" not in nodes else _names(nodes)
        for name in names:
            for span in spans.split(","):
                first, _, last = span.partition("-")
                found.setdefault(name, []).extend(range(int(first), int(last or first) + 1))
    return found


def _names(nodes: str) -> list[str]:
    head, _, inside = nodes.rstrip("]").partition("[")
    first, _, last = inside.partition("-")
    return [f"{head}{n:0{len(first)}d}" for n in range(int(first), int(last or first) + 1)]


def test_runs(lab: SlurmLab, adapter: SlurmAdapter, loaded: dict[str, str]) -> None:
    asked = ("squeue", "-h", "-a", "-t", "all", "-o", "%i|%T|%u|%a|%P|%q|%Q|%D|%C|%l|%V|%r")
    before, told = None, column(lab, *asked)
    while told != before:  # the scheduler looks at waiting jobs anew every few seconds
        before, snapshot = told, adapter.snapshot()
        told = column(lab, *asked)
    runs = {r.native_id: r for r in snapshot.runs}
    # parts of heterogeneous jobs of other tests stand in our list by their own numbers
    told = {job: words for job, words in told.items() if "+" not in job}
    assert set(told) <= set(runs)
    for native, words in told.items():
        run = runs[native]
        state, user, account, partition, qos, priority, nodes, cpus, _limit, submit, reason = words
        assert run.state.value == state.lower(), native
        assert (run.user, run.account, run.queue, run.qos) == (user, account, partition, qos)
        assert run.priority == int(priority)
        assert run.request.nodes == int(nodes.partition("-")[0])
        assert run.request.cpu_milli == 1000 * int(cpus)
        assert run.submitted_at is not None
        assert run.submitted_at.strftime("%Y-%m-%dT%H:%M:%S") == submit
        assert (run.reason or "None") == reason
    array = next(
        r for r in snapshot.runs if r.array and r.array.job_id == loaded["array"] and r.count > 1
    )
    assert (array.count, array.state) == (18, RunState.PENDING)
    finished = runs[loaded["finished"]]
    assert (finished.state, finished.exit_code) == (RunState.FAILED, 3)
    assert runs[loaded["held"]].held
    assert runs[loaded["shard"]].request.gpu_milli == 500
    assert runs[loaded["mps"]].request.gpu_milli == 500
    assert runs[loaded["multi"]].request.gpu_milli == 2000
    assert runs[loaded["typed"]].request.gpu_model == "h100"


def test_queues(lab: SlurmLab, adapter: SlurmAdapter, loaded: dict[str, str]) -> None:
    snapshot = adapter.snapshot()
    for queue in snapshot.queues:
        pending = lab.run(["squeue", "-h", "-r", "-t", "PD", "-p", queue.name]).stdout
        running = lab.run(["squeue", "-h", "-r", "-t", "R", "-p", queue.name]).stdout
        assert queue.waiting == len(pending.splitlines()), queue.name
        assert queue.running == len(running.splitlines()), queue.name
    assert {q.name for q in snapshot.queues if q.default} == {"gpu"}
    h100 = next(q for q in snapshot.queues if q.name == "h100")
    assert h100.total_gpu_milli == 32_000
    # 2 whole, 2 + 1 shards, 2 of the multi-node run, 2 array tasks
    assert h100.allocated_gpu_milli == 2000 + 500 + 250 + 2000 + 2000


def test_a_second_refresh_costs_two_calls(
    lab: SlurmLab, adapter: SlurmAdapter, loaded: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter.snapshot()
    calls: list[str] = []
    run = type(adapter.commands).run

    def counted(self: object, name: str, *args: str, **options: Any) -> Completed:
        calls.append(name)
        return run(adapter.commands, name, *args, **options)

    monkeypatch.setattr(type(adapter.commands), "run", counted)
    adapter.snapshot()
    assert len(calls) == 2, calls
    job = lab.submit("-p", "a100", "--gres=gpu:1")
    lab.wait(job, "RUNNING")
    calls.clear()
    snapshot = adapter.snapshot()
    assert len(calls) == 2, calls
    assert next(r for r in snapshot.runs if r.native_id == job).placement[0].gpus


@pytest.mark.parametrize("reader", ["text", "json"])
def test_hostile_names(lab: SlurmLab, reader: str) -> None:
    jobs = {
        lab.submit(
            "-p", "h100", "--gres=gpu:1", "-J", name.decode("utf-8", "surrogateescape")
        ): name
        for name in HOSTILE.values()
    }
    for job in jobs:
        lab.wait(job, "RUNNING")
    snapshot = SlurmAdapter("lab", conf=lab.env["SLURM_CONF"], read=reader).snapshot()
    live = [r for r in snapshot.runs if r.state is RunState.RUNNING]
    assert {r.native_id for r in live} == set(jobs), "no row was forged and none was lost"
    for run in live:
        raw = run.name_raw or run.name.encode()
        assert jobs[run.native_id].startswith(raw)
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202e]", run.name), run.native_id
        assert run.placement[0].gpus, f"{run.native_id}: the device is known despite its name"
    assert _held_once(snapshot)


def _held_once(snapshot: Snapshot) -> bool:
    return all((g.milli_allocated or 0) <= 1000 for g in snapshot.gpus)
