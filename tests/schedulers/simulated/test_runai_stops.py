"""Workloads of the simulated Run:ai, stopped and started again."""

from __future__ import annotations

from foundry_tui.estate.acts import Act, Receipt, ReceiptStatus, Resume, Suspend
from foundry_tui.estate.run import Run, RunState
from foundry_tui.schedulers.simulated.runai import RunaiManners
from tests.schedulers.consistency import assert_consistent
from tests.schedulers.simulated.conftest import Clock


def sent(runai: RunaiManners, act: Act, run: Run) -> Receipt:
    preview = runai.preview(act, (run,), "t")
    return runai.read_back(preview, runai.perform(preview, "t"))[0]


def seen(runai: RunaiManners, run: Run) -> Run:
    return next(r for r in runai.snapshot().runs if r.id == run.id)


def test_a_stopped_workload_gives_its_gpus_away_and_comes_back(
    runai: RunaiManners, clock: Clock
) -> None:
    run = next(
        r
        for r in runai.snapshot().runs
        if (r.user, r.state) == ("ada", RunState.RUNNING) and not r.name.startswith("serve")
    )
    stop, start = (a(source=runai.name, runs=(run.id,)) for a in (Suspend, Resume))
    preview = runai.preview(stop, (run,), "t")
    assert preview.inverse == start
    assert preview.items[0].command[2] == f'{{"ids":["{run.native_id}"],"action":"suspend"}}'
    assert "gives the GPUs away" in str(preview.items[0].warning)
    assert seen(runai, run).state is RunState.RUNNING
    receipt = sent(runai, stop, run)
    assert (receipt.status, receipt.after) == (ReceiptStatus.DONE, "suspended")
    estate = runai.snapshot()
    assert_consistent(estate, runai.name)
    found = seen(runai, run)
    assert (found.state, found.placement) == (RunState.SUSPENDED, ())
    assert (found.native or {})["phase"] == "Stopped"
    assert not [g for g in estate.gpus if run.id in g.runs]
    assert "suspended already" in str(sent(runai, stop, found).message)
    assert sent(runai, start, found).status is ReceiptStatus.DONE
    for _ in range(400):
        if seen(runai, run).state is RunState.RUNNING:
            break
        clock.pass_simulated(300)
    assert seen(runai, run).state is RunState.RUNNING
    assert "only a suspended" in str(sent(runai, start, seen(runai, run)).message)


def test_workloads_of_others_are_not_stopped(runai: RunaiManners) -> None:
    theirs = next(r for r in runai.snapshot().runs if (r.user, r.state) == ("bo", RunState.RUNNING))
    receipt = sent(runai, Suspend(source=runai.name, runs=(theirs.id,)), theirs)
    assert (receipt.status, str(receipt.message)[:3]) == (ReceiptStatus.REFUSED, "403")
    assert seen(runai, theirs).state is RunState.RUNNING
