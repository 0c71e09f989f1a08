"""Everything Slurm says about one run, for the detail view and for explanations."""

from __future__ import annotations

import re

from foundry_tui.estate.run import Run
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.schedulers.ports import SchedulerError
from foundry_tui.schedulers.slurm.commands import Commands

COLUMNS = {
    "job_id": ("jobid", 12),
    "state": ("state", 16),
    "reason": ("reason", 160),
    "user": ("username", 32),
    "account": ("account", 40),
    "partition": ("partition", 128),
    "qos": ("qos", 32),
    "priority": ("prioritylong", 12),
    "nice": ("nice", 12),
    "tres": ("tres-alloc", 256),
    "tres_per_node": ("tres-per-node", 96),
    "tres_per_job": ("tres-per-job", 96),
    "tres_per_task": ("tres-per-task", 96),
    "nodes": ("numnodes", 12),
    "tasks": ("numtasks", 10),
    "cpus_per_task": ("cpus-per-task", 10),
    "min_cpus": ("mincpus", 10),
    "min_memory": ("minmemory", 16),
    "nodelist": ("nodelist", 256),
    "sched_nodes": ("schednodes", 256),
    "required_nodes": ("reqnodes", 256),
    "features": ("feature", 128),
    "dependency": ("dependency", 256),
    "licenses": ("licenses", 96),
    "reservation": ("reservation", 64),
    "time_limit": ("timelimit", 16),
    "submit": ("submittime", 20),
    "eligible": ("eligibletime", 20),
    "start": ("starttime", 20),
    "deadline": ("deadline", 20),
    "requeue": ("requeue", 6),
    "restarts": ("restartcnt", 8),
    "work_dir": ("workdir", 512),
    "stdout": ("stdout", 512),
    "stderr": ("stderr", 512),
    "command": ("command", 512),
    "comment": ("comment", 256),
}
"""Our word -> (Slurm's name for `squeue -O`, width in bytes)."""

FORGOTTEN = "Invalid job id"
"""What `squeue -j` says of a job that it does not know, or not any more (MinJobAge)."""

_EXCLUDED = re.compile(r" ExcNodeList=(\S+)")


def native_ids(run: Run) -> str:
    """The id that Slurm's commands take for this run; a waiting range is named by its array."""
    return run.array.job_id if run.array and "[" in run.native_id else run.native_id


def read_raw(commands: Commands, run: Run) -> dict[str, str]:
    """Slurm's words about one run, unset ones left out, exactly as Slurm has them.

    Raises:
        Unavailable, Denied: as `Commands.read`. An id that Slurm has forgotten gives no words.
    """
    try:
        rows, _ = commands.table(
            "squeue", tuple(COLUMNS.values()), "-a", "-t", "all", "-j", native_ids(run)
        )
    except SchedulerError as error:
        if FORGOTTEN in error.answer:
            return {}
        raise
    if not rows:
        return {}
    row = rows[0]
    if run.array and len(rows) > 1:
        waiting = [r for r in rows if r[1] == "PENDING"]
        row = waiting[0] if waiting and "[" in run.native_id else rows[0]
    words = {k: v for k, v in zip(COLUMNS, row, strict=True) if v}
    excluded = _excluded(commands, words.get("job_id", ""))
    if excluded:
        words["excluded_nodes"] = excluded
    return words


def _excluded(commands: Commands, job: str) -> str:
    """The nodes a job refuses: `squeue -O` has no column for them (22.05)."""
    if not job:
        return ""
    try:
        text = commands.read("scontrol", "-o", "show", "job", job).decode("utf-8", "replace")
    except SchedulerError:
        return ""
    found = [name for name in _EXCLUDED.findall(text) if name != "(null)"]
    return found[0] if len(found) == 1 else ""


def read_details(commands: Commands, run: Run) -> dict[str, SafeText]:
    """`read_raw`, safe to show."""
    return {key: safe(value) for key, value in read_raw(commands, run).items()}
