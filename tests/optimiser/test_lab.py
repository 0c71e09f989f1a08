"""Advice on a real, loaded Slurm: Slurm itself agrees with every proposed start."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from foundry_tui.estate.plan import Plan
from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.optimiser.advise import advise
from foundry_tui.optimiser.result import Refused
from foundry_tui.optimiser.verify import checked, refusals, what_if
from foundry_tui.schedulers.slurm.adapter import SlurmAdapter
from tests.lab.daemons import until
from tests.lab.slurm import SlurmLab

SOON = timedelta(seconds=60)


def _load(lab: SlurmLab) -> dict[str, str]:
    """A drained node, busy GPUs of every kind, and runs that wait though there is room elsewhere.

    All that waits for something else than a person waits in the partition `a100`: of the others'
    queues nothing comes first, so that Slurm's estimate for a free place there is now.
    """
    lab.run(["scontrol", "update", "NodeName=h04", "State=DRAIN", "Reason=Xid 79"])
    small = ("--mem=1G", "--time=30")
    busy = [
        lab.submit("-p", "a100", "--gres=gpu:4", "-w", "a01", *small),
        lab.submit("-p", "a100", "--gres=gpu:4", "-w", "a02", *small, user="lab_bob"),
        lab.submit("-p", "h100", "--gres=gpu:1", "-w", "h01", *small),
        lab.submit("-p", "h100", "--gres=gpu:h100:2", "-w", "h02", "-c", "20", *small),
        lab.submit("-p", "h100", "--gres=shard:1", "-w", "h03", *small),
    ]
    for job in busy:
        lab.wait(job, "RUNNING")
    waits = {
        "two": lab.submit("-p", "a100", "--gres=gpu:2", *small),
        "typed": lab.submit("-p", "a100", "--gres=gpu:a100:1", *small),
        "gang": lab.submit("-p", "a100", "--gres=gpu:2", "-N", "2", *small, user="lab_carol"),
        "wide": lab.submit("-p", "a100", "--gres=gpu:1", "-c", "16", "--mem=120G", "--time=60"),
        "array": lab.submit("-p", "a100", "--gres=gpu:1", "--array=0-4%3", *small),
        "features": lab.submit("-p", "a100", "--gres=gpu:2", "-C", "pcie", *small),
        "later": lab.submit("-p", "a100", "--gres=gpu:1", "--begin=now+2hours", *small),
        "after": lab.submit(
            "-p", "a100", "--gres=gpu:1", f"--dependency=afterok:{busy[0]}", *small
        ),
        "held": lab.submit("-p", "h100", "--gres=gpu:1", "--hold", *small),
    }
    # These would start at once; the tests look at them as if they were released.
    for name, options in {
        "released": ("-p", "gpu", "--gres=gpu:3"),
        "share": ("-p", "h100", "--gres=shard:2"),
        "pair": ("-p", "h100", "--gres=gpu:1", "-N", "2", "--ntasks-per-node=1"),
        "cores": ("-p", "cpu", "-c", "8"),
        "either": ("-p", "h100,short", "--gres=gpu:1", "-C", "nvlink"),
    }.items():
        waits[name] = lab.submit("--hold", *options, *small)
    for name in ("two", "typed", "gang", "wide", "features"):
        lab.wait(waits[name], "PENDING")
    return waits


RELEASED = ("released", "share", "pair", "cores", "either")


def _seen(adapter: SlurmAdapter, jobs: dict[str, str]) -> Snapshot:
    """The estate with what is running known to the last GPU, some held runs seen as released."""

    def looked_at() -> bool:
        snapshot = adapter.snapshot()
        known = all(g.tenants is not None for g in snapshot.gpus)
        waiting = [r for r in snapshot.runs if r.state is RunState.PENDING]
        return known and all(r.reason not in (None, "None") for r in waiting)

    until(looked_at, 20, "every GPU and every reason to be known", 0.5)
    snapshot = adapter.snapshot()
    free = {jobs[name] for name in RELEASED}

    def released(run: Run) -> Run:
        return replace(run, held=False, reason=None) if run.native_id in free else run

    return replace(snapshot, runs=tuple(released(r) for r in snapshot.runs))


def _plan(
    adapter: SlurmAdapter, snapshot: Snapshot, policy: str, refused: Refused | None = None
) -> Plan:
    return advise(
        snapshot,
        rights_by_source={adapter.name: adapter.rights()},
        now=datetime.now(UTC),
        policy=policy,
        refused=refused or {},
        idle_util_pct=5.0,
        idle_after_s=1800.0,
        # Slurm cannot be asked about nodes that are not free yet.
        room=False,
    )


def _asked(
    adapter: SlurmAdapter, plan: Plan, runs: dict[str, Run]
) -> dict[str, datetime | str | None]:
    """What Slurm says to each move."""
    answers: dict[str, datetime | str | None] = {}
    for move in plan.moves:
        changes = what_if(move)
        assert changes is not None
        answer = adapter.estimate(runs[move.target.id], changes=changes)
        answers[move.id] = answer.starts_at or answer.reason
        if answer.starts_at is not None:
            assert {p.node for p in answer.placement} == {p.node for p in move.placement}
    return answers


@pytest.mark.parametrize("policy", ["fgd", "best_fit"])
def test_slurm_itself_would_start_every_proposed_run_where_it_is_proposed(
    lab: SlurmLab, policy: str
) -> None:
    jobs = _load(lab)
    adapter = SlurmAdapter("lab", conf=lab.env["SLURM_CONF"])
    snapshot = _seen(adapter, jobs)
    plan = _plan(adapter, snapshot, policy)
    runs = {r.id: r for r in snapshot.runs}
    answers = _asked(adapter, plan, runs)
    for move in plan.moves:
        answer = answers[move.id]
        assert isinstance(answer, datetime), (move, answer)
        assert answer <= datetime.now(UTC) + SOON, (move, answer)
    assert checked(plan, answers).not_proposed == plan.not_proposed

    moved = {m.target.id.removeprefix("lab/").partition("_")[0]: m for m in plan.moves}
    names = {name: moved.get(job) for name, job in jobs.items()}
    proposed = {name for name, move in names.items() if move is not None}
    # Packed by best fit, the GPUs that stay can all be on one node, and what comes last may fit
    # only on one that is kept whole for a run before it.
    said = {n.target.id.removeprefix("lab/"): n.why for n in plan.not_proposed}
    if "either" not in proposed:
        assert "would delay" in said[jobs["either"]]
    assert proposed | {"pair", "either"} == {"two", "gang", "wide", "array", *RELEASED}
    changed = {name for name, move in names.items() if move is not None and move.queue is not None}
    assert changed == {"two", "gang", "wide", "array"}
    assert all("owner must agree" in m.why for m in plan.moves if m.queue is not None)
    assert "h04" not in {p.node for m in plan.moves for p in m.placement}
    assert "at the earliest" in said[jobs["typed"]]
    assert "at the earliest" in said[jobs["features"]]
    assert "may not begin before" in said[jobs["later"]]
    assert jobs["held"] in said
    assert "other runs" in said[jobs["after"]]


def test_all_moves_together_start_where_they_were_proposed(lab: SlurmLab) -> None:
    jobs = _load(lab)
    adapter = SlurmAdapter("lab", conf=lab.env["SLURM_CONF"])
    plan = _plan(adapter, _seen(adapter, jobs), "fgd")
    done: dict[str, set[str]] = {}
    for move in plan.moves:
        job = move.target.id.removeprefix("lab/")
        if "_" in job:
            continue
        nodes = sorted({p.node for p in move.placement})
        queue = [f"Partition={move.queue}"] if move.queue is not None else []
        lab.run(["scontrol", "update", f"JobId={job}", *queue, f"ReqNodeList={','.join(nodes)}"])
        lab.run(["scontrol", "release", job], check=False)
        done[job] = set(nodes)
    assert len(done) >= 8
    for job in done:
        lab.wait(job, "RUNNING", timeout_s=30)
    snapshot = adapter.snapshot()
    for run in snapshot.runs:
        if run.native_id in done:
            assert {p.node for p in run.placement} == done[run.native_id]


def test_what_slurm_refuses_is_looked_for_elsewhere(lab: SlurmLab) -> None:
    """Best fit sends a shard to the smallest nodes, and only Slurm knows that they offer none."""
    job = lab.submit("-p", "gpu", "--gres=shard:1", "--time=30", "--hold")
    adapter = SlurmAdapter("lab", conf=lab.env["SLURM_CONF"])
    snapshot = adapter.snapshot()
    (run,) = (r for r in snapshot.runs if r.native_id == job)
    snapshot = replace(snapshot, runs=(replace(run, held=False, reason=None),))
    refused: Refused = {}
    for _ in range(3):
        plan = _plan(adapter, snapshot, "best_fit", refused)
        answers = _asked(adapter, plan, {run.id: run})
        refused = refusals(plan, answers, refused)
    assert refused == {f"lab/{job}": ("a01", "a02")}
    (move,) = checked(plan, answers).moves
    assert move.placement[0].node.startswith("h")
