"""Slurm's job list through pyslurm, the optional third way, always in a worker process.

pyslurm is an extra (`slurm`): it is GPL-2.0-only, and it must match the site's libslurm exactly.
Debian has no such pair (libslurm 22.05, 24.11 and 26.05; pyslurm 25.11 wants 25.11), so the tests
run this reader against a stand-in module with the surface that was seen working on a real Slurm
25.11.5, pyslurm 25.11.2. Releases before 25.11 lack `allocated_tres` and are refused.

What pyslurm cannot tell is left empty: exit codes (it takes 128 off those from 128 on, so 72 may
have been 200), whether a time limit is unset or infinite, and texts that read "None". It gives
None as the task id of task 0 of an array; a task with neither an id nor waiting tasks is that one.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from foundry_tui.estate.text import SafeText, safe
from foundry_tui.process import Completed, ProcessError, run
from foundry_tui.schedulers.ports import Denied, SchedulerError, Unavailable
from foundry_tui.schedulers.slurm.dialects import utc_text
from foundry_tui.schedulers.slurm.rows import JobRow, JobTable

ASKED = "pyslurm"
WORKER = Path(__file__).with_name("pyslurm_worker.py")
NOT_ALLOWED = frozenset({2002, 2010})
"""Slurm's error numbers for "access denied" and "invalid user"."""

OTHER_VERSION = 1005
"""Slurm's error number for a controller that speaks another version of the protocol."""

_HINT = "let this source be read by Slurm's own commands"


class NotUsable(Unavailable):
    """pyslurm is not installed, or does not fit this site's Slurm."""


def available(timeout_s: float = 10.0) -> str | None:
    """None when pyslurm is installed and loads here, else the reason why it does not.

    Slurm's configuration is not looked at, and the controller is not asked.
    """
    try:
        _ask({"want": "version"}, {"PYSLURM_DISABLE_AUTO_INIT": "1"}, timeout_s)
    except SchedulerError as error:
        return error.answer
    return None


def read_jobs(conf: str | None, timeout_s: float) -> JobTable:
    """Every job that the controller lists; the devices that they hold are read elsewhere.

    Args:
        conf: configuration file of the cluster; None lets libslurm find it.
        timeout_s: seconds for all of it.

    Raises:
        NotUsable: pyslurm is not installed or does not fit the site's libslurm.
        Unavailable: no answer in time, or the worker or the controller failed.
        Denied: the controller refuses this user.
    """
    # With a missing file `import pyslurm` tries for 60 s before it ends the process.
    if conf is not None and not Path(conf).is_file():
        raise Unavailable(
            ASKED, f"the configuration file {safe(conf)} does not exist", "set `conf`"
        )
    answer = _ask({"want": "jobs"}, {"SLURM_CONF": conf} if conf else {}, timeout_s)
    try:
        return JobTable(tuple(_row(job) for job in answer["jobs"]))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        words = safe(f"the worker's answer has an unknown shape: {error!r}")
        raise Unavailable(ASKED, words, _HINT) from error


def _ask(request: dict[str, Any], env: dict[str, str], timeout_s: float) -> dict[str, Any]:
    if path := os.environ.get("PYTHONPATH"):
        env = {**env, "PYTHONPATH": path}
    # -P keeps the worker's folder off the module path: a module there is called `inspect`.
    argv = (sys.executable, "-P", str(WORKER))
    try:
        done = run(argv, timeout_s=timeout_s, env=env, stdin=json.dumps(request).encode())
    except ProcessError as error:
        raise Unavailable(ASKED, f"the worker did not finish: {error}", _HINT) from error
    try:
        answer: dict[str, Any] = json.loads(done.out)
    except ValueError as error:
        raise Unavailable(ASKED, _death(done), _HINT) from error
    if "error" in answer:
        raise _failure(answer)
    return answer


def _death(done: Completed) -> SafeText:
    """Why a worker left no answer: its signal or exit code, and its last words."""
    how = f"exit code {done.code}"
    if done.code < 0:
        how = f"signal {-done.code} ({signal.strsignal(-done.code)})"
    lines = done.err.decode("utf-8", "surrogateescape").strip().splitlines()
    return safe(f"the worker died with {how}" + (f": {lines[-1]}" if lines else ""))


def _failure(answer: dict[str, Any]) -> SchedulerError:
    kind, errno = answer["error"], answer.get("errno")
    words = safe(str(answer["message"]))
    if kind == "missing":
        hint = "pip install 'foundry-tui[slurm]', or " + _HINT
        return NotUsable(ASKED, "pyslurm is not installed (extra `slurm`)", hint)
    if kind == "mismatch" or errno == OTHER_VERSION:
        return NotUsable(ASKED, f"pyslurm does not fit this site's Slurm: {words}", _HINT)
    if errno in NOT_ALLOWED:
        return Denied(ASKED, words, "ask a Slurm administrator or coordinator for the right")
    return Unavailable(ASKED, words, "try `scontrol ping`" if kind == "rpc" else _HINT)


def _row(job: dict[str, Any]) -> JobRow:
    return JobRow(
        job_id=str(job["id"]),
        array_job_id=_text(job["array_id"]),
        array_task=_task(job),
        state=_text(job["state"]),
        reason=_text(job["state_reason"]),
        user=_text(job["user_name"]),
        account=_text(job["account"]),
        partition=_text(job["partition"]),
        qos=_text(job["qos"]),
        priority=_text(job["priority"]),
        tres=job["tres"],
        nodelist=_text(job["allocated_nodes"]),
        sched_nodes=_text(job["scheduled_nodes"]),
        required_nodes=_text(job["required_nodes"]),
        features=",".join(job["constraints"] or ()),
        dependency=job["dependency"],
        reservation=_text(job["reservation"]),
        requeue=job["requeue"],
        submit=utc_text(job["submit_time"] or 0),
        eligible=utc_text(job["eligible_time"] or 0),
        start=utc_text(job["start_time"] or 0),
        end=utc_text(job["end_time"] or 0),
        time_limit=_text(job["time_limit"]),
        num_nodes=_text(job["num_nodes"]),
        num_cpus=_text(job["cpus"]),
        comment=_text(job["comment"]),
        name=_text(job["name"]),
    )


def _text(value: str | int | None) -> str:
    return "" if value is None else str(value)


def _task(job: dict[str, Any]) -> str:
    if job["array_id"] is None:
        return ""
    if job["array_task_id"] is not None:
        return str(job["array_task_id"])
    waiting, parallel = job["array_tasks_waiting"], job["array_tasks_parallel"]
    if waiting is None:
        return "0"
    return f"{waiting}%{parallel}" if parallel else str(waiting)
