"""The lab's accounting with something in it: jobs of every kind, and what slurmdbd says of them.

A young cluster's `sreport` is empty, because slurmdbd rolls an hour up when it is over. Two things
help: `sacctmgr rollup START END` does it at once, and `Books.fill` moves its rows two days back,
with the border of an hour in the middle of the jobs, so that windows of whole hours cut them in
two. Times are seconds since 1970.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.lab.daemons import LabError, until
from tests.lab.slurm import SlurmLab

HOUR_S = 3600
BACK_S = 48 * HOUR_S
_OTHER = 1 << 32
HOSTILE = {
    "pipe": "a|b|9999|gres/gpu=64",
    "newline": "line\n999|alice|ml|COMPLETED",
    "formula": "=cmd|' /C calc'!A0",
    "at": "@SUM(A1:A9)",
    "bytes": "\udcff\udcfe\x1b]52;c;eA==\x07",
}
"""Job names that have broken readers of `sacct`; surrogates stand for bytes that are no UTF-8."""


def sql(lab: SlurmLab, statement: str) -> list[list[str]]:
    """Run a statement in the accounting database; its rows."""
    argv = ["mariadb", "--no-defaults", "--batch", "--skip-column-names", "--user=root"]
    argv += [f"--socket={lab.root}/db/mariadbd.socket", "slurm_acct_db"]
    out = lab.run(argv, input=statement.encode()).stdout.decode(errors="replace")
    return [line.split("\t") for line in out.splitlines()]


def moment(at_s: int) -> str:
    """A time as Slurm's commands take it; the lab's clock is UTC where `TZ` says so."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def sreport(lab: SlurmLab, start: int, end: int) -> dict[str, int]:
    """GPU-seconds by account as `sreport` has them, of whole hours that are rolled up.

    Rows with a user only: those of an account hold the same seconds once more.
    """
    asked = ["cluster", "AccountUtilizationByUser", "-T", "gres/gpu", "-t", "Seconds"]
    window = [f"start={moment(start)}", f"end={moment(end)}"]
    out = lab.run(["env", "TZ=UTC", "sreport", "-nP", *asked, *window]).stdout.decode()
    sums: dict[str, int] = {}
    for line in out.splitlines():
        _, account, user, _, _, used_s = line.split("|")
        if user:
            sums[account] = sums.get(account, 0) + int(used_s)
    return sums


@dataclass(frozen=True, slots=True)
class Books:
    """Accounting rows of real jobs. `jobs` are their ids by what was done to them.

    The jobs ran within `start` and `end`; `border` is a whole hour in UTC that lies between, when
    most of them were running.
    """

    lab: SlurmLab
    jobs: Mapping[str, str]
    start: int
    border: int
    end: int

    @classmethod
    def fill(cls, lab: SlurmLab) -> Books:
        """Run jobs of every kind on a fresh lab, for less than a minute, and move them."""
        began = int(time.time())
        jobs, middle = _run_all(lab)
        jobs["runaway"] = _forgotten(lab)
        border = middle // HOUR_S * HOUR_S - BACK_S
        _move(lab, began, middle - border)
        out_of_memory = f"id_job={jobs['out of memory']} AND time_submit>={border - HOUR_S}"
        sql(lab, f"UPDATE lab_job_table SET state=11, exit_code=125 WHERE {out_of_memory};")
        hours = (moment(border - HOUR_S), moment(border + HOUR_S))
        lab.run(["env", "TZ=UTC", "sacctmgr", "--immediate", "rollup", *hours])
        # the controller gives the id of the job that it forgot once more: nobody is to get it
        lab.run(["scancel", lab.submit("--hold")])
        return cls(lab, jobs, began - (middle - border), border, border + HOUR_S)


def _run_all(lab: SlurmLab) -> tuple[dict[str, str], int]:
    """Submit, disturb and end the jobs; their ids, and a time at which many were running."""
    bob, carol = "lab_bob", "lab_carol"
    brief = b"#!/bin/sh\nexec sleep 1\n"
    jobs = {
        "two kinds": lab.submit("-w", "h04,a01", "-N2", "--gres=gpu:2", "-A", "bio", user=bob),
    }
    # what needs nodes of two partitions waits for all that waits in both, and keeps that waiting
    _all_run(lab, jobs)
    jobs |= {
        "array": lab.submit("-p", "h100", "-w", "h01", "--gres=gpu:1", "--array=0-2"),
        "requeued": lab.submit("-p", "h100", "-w", "h01", "--gres=gpu:h100:2", "--requeue"),
        "failed": lab.submit("-w", "h01", "--gres=gpu:1", script=b"#!/bin/sh\nsleep 2\nexit 3\n"),
        "cancelled": lab.submit("-w", "h01", "--gres=gpu:1", user=bob),
        "out of memory": lab.submit("-w", "h01", "--gres=gpu:1"),
        "timed out": lab.submit("-w", "h02", "--gres=gpu:2", user=carol),
        "shards": lab.submit("-p", "h100", "-w", "h02", "--gres=shard:4"),
        "resized": lab.submit("-p", "h100", "-w", "h02,h04", "--gres=gpu:1"),
        "preempted": lab.submit("-w", "h03", "--gres=gpu:8", "--qos=low", "--requeue"),
        "suspended": lab.submit("-p", "h100", "-w", "h04", "--gres=gpu:2", user=carol),
        "whole": lab.submit("-w", "h04", "--gres=gpu:1", user=carol),
        "mps": lab.submit("-p", "a100", "-w", "a01", "--gres=mps:50", user=bob),
        "dead node": lab.submit("-w", "a02", "--gres=gpu:2", "--no-requeue", user=bob),
    }
    _all_run(lab, jobs)
    jobs["heterogeneous"] = lab.submit(
        *("-p", "h100", "-w", "h04", "--gres=gpu:1", ":"),
        *("-p", "a100", "-w", "a01", "--gres=gpu:a100:1"),
    )
    _all_run(lab, jobs)
    for what, name in HOSTILE.items():
        jobs[what] = lab.submit("-w", "h02", "--gres=gpu:1", "-J", name, script=brief)
    jobs["held"] = lab.submit("--hold", "--gres=gpu:1")
    lab.kill_node("a02")
    _disturb(lab, jobs)
    middle = int(time.time()) + 2
    until(lambda: time.time() > middle + 2, 10, "the border to be over", 0.2)
    lab.wait(jobs["dead node"], "NODE_FAIL", 60)
    for what in ("timed out", *HOSTILE):
        lab.wait(jobs[what], "TIMEOUT" if what == "timed out" else "COMPLETED", 60)
    lab.start_node("a02")
    lab.reset()
    return jobs, middle


def _all_run(lab: SlurmLab, jobs: Mapping[str, str]) -> None:
    """Wait until each of these jobs runs, or has run."""
    begun = {"RUNNING", "COMPLETED", "FAILED"}
    for what, job in jobs.items():
        until(lambda: bool(lab.states(job) & begun), 30, f"{what} ({job}) to run", 0.1)  # noqa: B023


def _disturb(lab: SlurmLab, jobs: Mapping[str, str]) -> None:
    """What users, administrators and the scheduler do to jobs that run."""

    def update(what: str, *words: str) -> None:
        lab.run(["scontrol", "update", f"JobId={jobs[what]}", *words])

    lab.run(["scontrol", "suspend", jobs["suspended"]])
    lab.run(["scancel", jobs["cancelled"]])
    lab.run(["scontrol", "requeue", jobs["requeued"]])
    update("timed out", f"EndTime={time.strftime('%FT%T', time.localtime(time.time() + 2))}")
    update("resized", "NumNodes=1")
    high = lab.submit("-w", "h03", "--gres=gpu:8", "--qos=high", script=b"#!/bin/sh\nsleep 2\n")
    lab.wait(high, "COMPLETED")
    lab.run(["scontrol", "resume", jobs["suspended"]])
    for what in ("requeued", "preempted"):
        lab.wait(jobs[what], "PENDING")
        update(what, "StartTime=now")
        lab.wait(jobs[what], "RUNNING")


def _forgotten(lab: SlurmLab) -> str:
    """A job without an end: the controller comes back with a state from before it.

    As after a failover to a stale copy of StateSaveLocation. `sacct` says that it runs, for ever.
    """
    kept, state = lab.root / "job_state.kept", lab.root / "state/job_state"
    lab.stop_controller()
    shutil.copy2(state, kept)
    lab.start_controller()
    until(lambda: set(lab.node_states().values()) == {"idle"}, 40, "every node to be idle", 0.2)
    job = lab.submit("-p", "h100", "-w", "h01", "--gres=gpu:2", user="lab_carol")

    def booked() -> bool:
        argv = ["sacct", "-XnP", "-j", job, "-o", "State,Start"]
        return b"RUNNING|" in lab.run(argv).stdout

    until(booked, 30, f"job {job} to be booked as running", 0.2)
    lab.stop_controller()
    shutil.copyfile(kept, state)
    state.with_name("job_state.old").unlink(missing_ok=True)
    lab.start_controller()
    until(lambda: set(lab.node_states().values()) == {"idle"}, 60, "every node to be idle", 0.2)
    if lab.run(["squeue", "-hj", job], check=False).stdout:
        raise LabError(f"the controller still knows job {job}")
    return job


def _move(lab: SlurmLab, since: int, by_s: int) -> None:
    """Move all that was submitted since a time into the past, and before it the cluster's birth.

    They get other numbers too, or the controller would write their ends once more when it is
    started again. `sreport` shows no account of hours in which the cluster was not yet registered.
    """
    jobs = f"time_submit>={since}"
    steps = f"job_db_inx IN (SELECT job_db_inx FROM lab_job_table WHERE {jobs})"
    moved = {
        "lab_step_table": ("time_start", "time_end", steps),
        "lab_suspend_table": ("time_start", "time_end", steps),
        "lab_job_table": ("time_eligible", "time_start", "time_end", "time_submit", jobs),
    }
    for table, (*columns, which) in moved.items():
        new = ", ".join(f"{column}=IF({column}, {column}-{by_s}, 0)" for column in columns)
        number = f"job_db_inx=job_db_inx+{_OTHER}"
        sql(lab, f"UPDATE {table} SET {number}, {new} WHERE {which};")
    born = since - by_s - 2 * HOUR_S
    first = "node_name='' AND state=0 ORDER BY time_start LIMIT 1"
    sql(lab, f"UPDATE lab_event_table SET time_start={born} WHERE {first};")
