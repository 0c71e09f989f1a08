"""Every way in which a job can end, and its MLflow record before and after `foundry sync`.

The programs are real: each imports MLflow, attaches to the record of its job and logs; then it ends
by itself, or is ended. `docs/endings.md` holds the table, and is held to it here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lab.daemons import until
from tests.lab.mlflow import MlflowLab
from tests.lab.slurm import SlurmLab
from tests.stories.conftest import Foundry
from tests.stories.test_tracking import items, record

TABLE = Path(__file__).parents[2] / "docs" / "endings.md"
LOGGED_S = 120.0
"""Importing MLflow takes 3 s alone, and a dozen programs do it on few cores."""

PROGRAM = """\
import os, signal, sys, time
import mlflow
with mlflow.start_run():
    mlflow.log_metric("loss", 0.5, step=1)
    open({mark!r}, "w").close()
    {body}
"""

WAITS = "time.sleep(600)"


@dataclass(frozen=True, slots=True)
class Way:
    """One way to end: what the program does, how it is submitted, and what is done to it.

    `state` is the scheduler's word to wait for; `before` and `after` are the record's status.
    """

    name: str
    state: str
    before: str
    after: str
    body: str = WAITS
    options: tuple[str, ...] = ("-p", "cpu")
    disturb: Callable[[SlurmLab, str], object] | None = None
    tags: tuple[tuple[str, str], ...] = ()
    logs: bool = True


def _scancel(lab: SlurmLab, job: str) -> None:
    lab.run(["scancel", job])


def _scontrol(*words: str) -> Callable[[SlurmLab, str], None]:
    def disturb(lab: SlurmLab, job: str) -> None:
        lab.run(["scontrol", *words, job])

    return disturb


def _out_of_time(lab: SlurmLab, job: str) -> None:
    soon = time.strftime("%FT%T", time.localtime(time.time() + 2))
    lab.run(["scontrol", "update", f"JobId={job}", f"EndTime={soon}"])


def _outbid(lab: SlurmLab, job: str) -> None:
    lab.submit("-w", "h03", "--gres=gpu:8", "--qos=high", script=b"#!/bin/sh\nsleep 30\n")


SECOND = (("foundry.attempt", "2"),)

WAYS = (
    Way("ends by itself", "COMPLETED", "FINISHED", "FINISHED", body="pass"),
    Way("exits with 3", "FAILED", "FAILED", "FAILED", body="sys.exit(3)"),
    Way("an exception", "FAILED", "FAILED", "FAILED", body="raise ValueError('no')"),
    Way("leaves without goodbye (os._exit)", "COMPLETED", "RUNNING", "FINISHED", "os._exit(0)"),
    Way("SIGKILL, as by the kernel", "FAILED", "RUNNING", "FAILED",
        "os.kill(os.getpid(), signal.SIGKILL)", tags=(("foundry.exit_code", "137"),)),
    Way("SIGTERM to itself", "FAILED", "RUNNING", "FAILED",
        "os.kill(os.getpid(), signal.SIGTERM)", tags=(("foundry.exit_code", "143"),)),
    Way("scancel", "CANCELLED", "RUNNING", "KILLED", disturb=_scancel),
    Way("out of time", "TIMEOUT", "RUNNING", "KILLED", disturb=_out_of_time),
    Way("its node dies, --no-requeue", "NODE_FAIL", "RUNNING", "FAILED",
        options=("-p", "a100", "-w", "a02", "--gres=gpu:1", "--no-requeue")),
    Way("its node dies, --requeue", "PENDING", "RUNNING", "SCHEDULED",
        options=("-p", "a100", "-w", "a02", "--gres=gpu:1", "--requeue"), tags=SECOND),
    Way("scontrol requeue", "PENDING", "RUNNING", "SCHEDULED",
        options=("-p", "cpu", "--requeue"), disturb=_scontrol("requeue"), tags=SECOND),
    Way("preempted and queued again", "PENDING", "RUNNING", "SCHEDULED",
        options=("-p", "h100", "-w", "h03", "--gres=gpu:8", "--qos=low", "--requeue"),
        disturb=_outbid, tags=SECOND),
    Way("suspended", "SUSPENDED", "RUNNING", "SCHEDULED", disturb=_scontrol("suspend")),
    Way("cancelled while it waits", "CANCELLED", "SCHEDULED", "KILLED",
        options=("-p", "cpu", "--hold"), disturb=_scancel, logs=False),
    Way("the first of two ranks ends the record", "RUNNING", "FINISHED", "FINISHED",
        "mlflow.end_run(); open({ended!r}, 'w').close(); time.sleep(600)"),
)  # fmt: skip
"""The record of a job that runs on after its end is left; `foundry inspect` says so."""


@pytest.fixture(scope="module")
def endings(
    slurm_lab: SlurmLab, mlflow_server: MlflowLab, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """All ways at once: way -> `before`, `after` and `tags` of its record."""
    home = tmp_path_factory.mktemp("endings")
    slurm_lab.reset()
    foundry = Foundry(home, {"SLURM_CONF": slurm_lab.env["SLURM_CONF"]})
    foundry.env["MLFLOW_TRACKING_URI"] = mlflow_server.url
    jobs = {way: _submitted(foundry, mlflow_server, way, number) for number, way in enumerate(WAYS)}
    for way, (_, _, mark) in jobs.items():
        if way.logs:
            until(mark.exists, LOGGED_S, f"{way.name} to have logged", 0.2)
            if "mlflow.end_run" in way.body:
                until(mark.with_suffix(".ended").exists, LOGGED_S, "the record to be ended", 0.2)
    alone = {way for way in WAYS if way.body != WAITS}
    found: dict[str, dict[str, Any]] = {}
    for way in alone:
        slurm_lab.wait(jobs[way][0], way.state, 90)
        found[way.name] = {"before": record(mlflow_server, jobs[way][1])[0]["status"]}
    items(foundry)
    for way, (job, _, _) in jobs.items():
        if way.disturb is not None:
            way.disturb(slurm_lab, job)
    slurm_lab.kill_node("a02")
    for way, (job, run_id, _) in jobs.items():
        if way not in alone:
            slurm_lab.wait(job, way.state, 90)
            found[way.name] = {"before": record(mlflow_server, run_id)[0]["status"]}
    items(foundry)
    for way, (_, run_id, _) in jobs.items():
        info, tags = record(mlflow_server, run_id)
        found[way.name] |= {"after": info["status"], "tags": tags}
    again = [item for item in items(foundry) if item["did"] not in ("left", "waits")]
    assert again == [], "what is right already is not written again"
    slurm_lab.start_node("a02")
    slurm_lab.reset()
    return found


def _submitted(foundry: Foundry, server: MlflowLab, way: Way, number: int) -> tuple[str, str, Path]:
    """Submit the program of a way; its job, its record, and the file that it makes once it logs."""
    mark = foundry.home / f"{number}.logged"
    program = foundry.home / f"{number}.py"
    body = way.body.format(ended=str(mark.with_suffix(".ended")))
    program.write_text(PROGRAM.format(mark=str(mark), body=body))
    batch = foundry.home / f"{number}.sh"
    batch.write_text(
        f"#!/bin/sh\n#SBATCH --output={foundry.home}/%j.out\nexec {server.python} {program}\n"
    )
    answer = foundry("submit", *way.options, "--json", str(batch))
    assert answer.code == 0, answer.err
    run = answer.json["run"]
    return run["native_id"], run["mlflow_run_id"], mark


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_before_and_after(endings: dict[str, dict[str, Any]], way: Way) -> None:
    found = endings[way.name]
    assert (found["before"], found["after"]) == (way.before, way.after), found
    assert found["tags"].items() >= dict(way.tags).items(), found["tags"]


def test_the_table_of_the_documentation(endings: dict[str, dict[str, Any]]) -> None:
    shown = TABLE.read_text()
    for way in WAYS:
        found = endings[way.name]
        row = f"| {way.name} | {way.state} | {found['before']} | {found['after']} |"
        assert row in shown, f"docs/endings.md lacks: {row}"
