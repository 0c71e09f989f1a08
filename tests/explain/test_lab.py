"""Wait reasons produced on the real Slurm: each is named, and its smallest change starts the run.

The explanation is asked for as the program does it, the change is carried out by the adapter, and
Slurm itself has the last word: the job runs or it does not.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from foundry_tui.estate.acts import ChangeRun, ReceiptStatus, Release
from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.explain.choose import Explanation, choose
from foundry_tui.explain.diagnosis import diagnose
from foundry_tui.explain.verdict import ADMIN, Deed, Kind
from foundry_tui.schedulers.slurm.adapter import SlurmAdapter
from foundry_tui.schedulers.slurm.rights import read_rights
from tests.explain import waits
from tests.explain.table import WAITS, Wait
from tests.lab.slurm import SlurmLab

SHOWN_S = 15.0
"""Seconds for Slurm to show the reason."""

START_S = 15.0
"""Seconds for Slurm to start the run after the change."""


@pytest.mark.parametrize("wait", WAITS, ids=lambda w: w.make.__name__)
def test_a_wait_reason_is_named_and_its_change_starts_the_run(lab: SlurmLab, wait: Wait) -> None:
    with wait.make(lab) as job:
        adapter = SlurmAdapter("lab", conf=lab.env["SLURM_CONF"])
        run, snapshot = waiting(adapter, job, wait.reason)
        found = explained(adapter, run, snapshot)

        assert found.diagnosis.kind is wait.kind, found.diagnosis
        assert wait.says in found.diagnosis.sentence
        assert found.diagnosis.evidence
        assert found.chosen is not None
        if isinstance(wait.step, Deed):
            assert found.chosen.act is wait.step
        else:
            assert (found.chosen.act, found.chosen.changes) == (Deed.CHANGE, wait.step)
        if wait.starts:
            assert found.starts_at is not None
            assert found.starts_at <= found.diagnosis.at + timedelta(seconds=60)
            carry_out(adapter, run, found)
            lab.wait(started(run), "RUNNING", START_S)


def waiting(adapter: SlurmAdapter, job: str, reason: str) -> tuple[Run, Snapshot]:
    """The waiting run of a job, as soon as Slurm gives this reason for it."""
    deadline = time.monotonic() + SHOWN_S
    while True:
        snapshot = adapter.snapshot()
        for run in snapshot.runs:
            mine = job in (run.native_id, run.array.job_id if run.array else None)
            if mine and run.state is RunState.PENDING and (run.reason or "").startswith(reason):
                return run, snapshot
        shown = [(r.native_id, r.state.value, r.reason) for r in snapshot.runs]
        assert time.monotonic() < deadline, f"no {reason} of job {job} in {shown}"
        time.sleep(0.2)


def explained(adapter: SlurmAdapter, run: Run, snapshot: Snapshot) -> Explanation:
    """The explanation with the starts that Slurm's own what-if gives."""
    diagnosis = diagnose(
        run,
        snapshot,
        details=adapter.details(run),
        rights=read_rights(adapter.commands, run.user),
        now=datetime.now(UTC),
    )
    starts: list[datetime | None] = []
    refused = []
    for i, candidate in enumerate(diagnosis.candidates):
        if not candidate.what_if:
            starts.append(None)
            continue
        answer = adapter.estimate(run, changes=candidate.changes)
        starts.append(answer.starts_at)
        if answer.starts_at is None:
            refused.append(i)
    return choose(diagnosis, starts, refused=refused, how="sbatch --test-only")


def carry_out(adapter: SlurmAdapter, run: Run, found: Explanation) -> None:
    """The chosen change, by the adapter, with its receipt read back."""
    assert found.chosen is not None
    act = (
        Release(source=run.source, runs=(run.id,))
        if found.chosen.act is Deed.RELEASE
        else ChangeRun(source=run.source, runs=(run.id,), fields=found.chosen.changes)
    )
    preview = adapter.preview(act, (run,), "")
    receipts = adapter.read_back(preview, adapter.perform(preview, ""))
    assert [r.status for r in receipts] == [ReceiptStatus.DONE], receipts


def started(run: Run) -> str:
    """The job, or the next task of an array, that must run after the change."""
    if run.array is None:
        return run.native_id
    return f"{run.array.job_id}_{run.array.tasks.partition('-')[0]}"


def test_only_an_administrator_can_release_what_one_has_held(lab: SlurmLab) -> None:
    with waits.held_by_admin(lab) as job:
        adapter = SlurmAdapter("lab", conf=lab.env["SLURM_CONF"])
        run, snapshot = waiting(adapter, job, "JobHeldAdmin")
        found = explained(adapter, run, snapshot)
        assert found.chosen is not None
        assert found.chosen.owner == ADMIN
        answer = lab.run(["scontrol", "release", job], user="lab_alice", check=False)
        assert answer.returncode != 0


def test_what_stands_behind_a_hold_is_told_before_the_release(lab: SlurmLab) -> None:
    job = lab.submit("--hold", "--partition=h100", "--nodes=5", user="lab_alice")
    adapter = SlurmAdapter("lab", conf=lab.env["SLURM_CONF"])
    run, snapshot = waiting(adapter, job, "JobHeldUser")
    found = explained(adapter, run, snapshot)
    assert found.diagnosis.kind is Kind.HELD_BY_USER
    assert "even then: it can never start in queue h100" in found.diagnosis.evidence[-1]
    assert "not enough" in found.sentence


def test_nodes_for_which_others_wait_are_not_offered(lab: SlurmLab) -> None:
    """The a100 nodes are in queue gpu too, but Slurm keeps them for the run that is ahead."""
    whole = ("--partition=a100", "--nodes=2", "--gres=gpu:a100:3", "--time=20", "--qos=high")
    waits.running(lab, *whole)
    waits.job_of(lab, *whole, user="lab_bob")
    job = lab.submit("--partition=a100", "--gres=gpu:a100:1", "--time=60", user="lab_alice")
    adapter = SlurmAdapter("lab", conf=lab.env["SLURM_CONF"])
    run, snapshot = waiting(adapter, job, "Priority")
    found = explained(adapter, run, snapshot)
    assert found.diagnosis.kind is Kind.PRIORITY
    assert (("queue", "gpu"),) not in [c.changes for c in found.diagnosis.candidates]
    other = next(c for c in found.diagnosis.candidates if c.act is Deed.RESUBMIT)
    assert ("gpus_per_node", "h100:1") in other.changes


def test_a_rule_is_found_before_slurm_has_looked(lab: SlurmLab) -> None:
    """Behind a waiting run Slurm shows Priority for a run whose queue has just been shut to it."""
    with waits.priority(lab) as job:
        adapter = SlurmAdapter("lab", conf=lab.env["SLURM_CONF"])
        waiting(adapter, job, "Priority")
        with waits.partition(lab, "a100", "MaxTime=45", "MaxTime=7-0"):
            adapter = SlurmAdapter("lab", conf=lab.env["SLURM_CONF"])
            snapshot = adapter.snapshot()
            run = next(r for r in snapshot.runs if r.native_id == job)
            found = explained(adapter, run, snapshot)
            assert found.diagnosis.kind is Kind.PARTITION_TIME_LIMIT
            assert "allows 45 min per run" in found.diagnosis.sentence


def test_the_what_if_asks_for_the_memory_of_the_run_and_no_more(lab: SlurmLab) -> None:
    """200 GiB on one node with four tasks: per CPU it would be 800, which no node has."""
    job = lab.submit("--hold", "--mem=200G", "--ntasks=4", "--nodes=1", user="lab_alice")
    adapter = SlurmAdapter("lab", conf=lab.env["SLURM_CONF"])
    run, _ = waiting(adapter, job, "JobHeldUser")
    answer = adapter.estimate(run)
    assert answer.reason is None
    assert answer.starts_at is not None
