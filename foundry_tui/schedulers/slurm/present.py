"""What waiting jobs ask for now, in the words of `fields.FIELDS`: the old values and the proof.

Everything comes from columns of `squeue` that nobody can forge. Two facts have no column: whether
memory is meant per CPU or per node, and whether a number of nodes is a range (22.05). They come
from `scontrol show job`, between words that a job's name cannot stand between.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from foundry_tui.schedulers.ports import SchedulerError, Unavailable
from foundry_tui.schedulers.slurm.commands import Commands
from foundry_tui.schedulers.slurm.directives import time_limit_s
from foundry_tui.schedulers.slurm.fields import UNLIMITED
from foundry_tui.schedulers.slurm.inspect import FORGOTTEN
from foundry_tui.schedulers.slurm.jobs import native_id
from foundry_tui.schedulers.slurm.rows import JobRow

COLUMNS = {
    "job_id": ("jobid", 12),
    "array_job_id": ("arrayjobid", 12),
    "array_task": ("arraytaskid", 128),
    "state": ("state", 16),
    "reason": ("reason", 160),
    "queue": ("partition", 256),
    "time_limit_s": ("timelimit", 16),
    "nodelist": ("reqnodes", 512),
    "features": ("feature", 256),
    "qos": ("qos", 64),
    "account": ("account", 64),
    "nodes": ("numnodes", 12),
    "tasks": ("numtasks", 12),
    "cpus": ("numcpus", 12),
    "tres": ("tres-alloc", 512),
    "per_node": ("tres-per-node", 256),
    "per_job": ("tres-per-job", 256),
    "per_task": ("tres-per-task", 256),
    "dependency": ("dependency", 1024),
    "begin": ("eligibletime", 20),
    "restarts": ("restartcnt", 8),
    "reservation": ("reservation", 128),
    "licenses": ("licenses", 256),
    "nice": ("nice", 12),
    "priority": ("prioritylong", 12),
}
"""Our word -> (Slurm's name for `squeue -O`, width in bytes)."""

CHUNK = 500
"""Ids in one call: a command line has an end."""

REQUEUE_DELAY = timedelta(seconds=130)

EXACT = frozenset({"nodes", "memory_per_cpu", "memory_per_node"})
"""Fields that only `scontrol show job` tells exactly."""

_NODES = re.compile(r" NumNodes=(\S+)")
_MEMORY = re.compile(r" MinMemory(CPU|Node)=(\S+)")
_MET = re.compile(r"\([^()]*\)")


@dataclass(frozen=True, slots=True)
class Present:
    """What one record of the job list asks for; `words` has an unknown one not at all."""

    job_id: str
    native: str
    state: str
    reason: str
    words: Mapping[str, str]

    @property
    def held(self) -> bool:
        return self.state == "PENDING" and self.words.get("priority") == "0"

    @property
    def delayed(self) -> bool:
        """Whether it begins later only because it was requeued, and not because somebody said so.

        Slurm sets the begin of what it puts back 120 s ahead, over any older one (22.05).
        """
        text = self.words.get("begin", "")
        if not text or self.words.get("restarts", "0") in ("", "0"):
            return False
        ahead = datetime.fromisoformat(text).replace(tzinfo=UTC) - datetime.now(UTC)
        return ahead <= REQUEUE_DELAY


def read_present(
    commands: Commands, natives: Iterable[str], names: Iterable[str]
) -> dict[str, list[Present]]:
    """Per asked id its records; `names` are the fields that will be looked at.

    A waiting range of an array is named by its array's number and brackets, and gives the records
    of its waiting tasks. An id that Slurm does not know has none.

    Raises:
        Unavailable, Denied: as `Commands.read`.
    """
    wanted, asked = frozenset(names), {n: n.partition("[")[0].rstrip("_") for n in natives}
    ids = list(dict.fromkeys(asked.values()))
    rows: list[dict[str, str]] = []
    for start in range(0, len(ids), CHUNK):
        rows += _table(commands, ",".join(ids[start : start + CHUNK]), wanted)
    if wanted & EXACT:
        _add_exact(commands, rows)
    by_id: dict[str, dict[str, Present]] = {}
    for row in rows:
        found = _present(row)
        for key in (found.native, row["job_id"], row["array_job_id"]):
            by_id.setdefault(key, {})[found.job_id] = found
    answer = {native: list(by_id.get(job, {}).values()) for native, job in asked.items()}
    for native, records in answer.items():
        if "[" in native:
            answer[native] = [r for r in records if r.state == "PENDING"] or records
    return answer


def _table(commands: Commands, ids: str, wanted: frozenset[str]) -> list[dict[str, str]]:
    try:
        rows, cut = commands.table("squeue", tuple(COLUMNS.values()), "-a", "-t", "all", "-j", ids)
    except SchedulerError as error:
        if FORGOTTEN in error.answer:
            return []
        raise
    names = tuple(COLUMNS)
    found = [dict(zip(names, row, strict=True)) for row in rows]
    for row, column in cut:
        if names[column] not in ("job_id", "array_job_id", "array_task", "state", "reason"):
            del found[row][names[column]]
    if "exclude" in wanted:
        excluded = _excluded(commands, ids)
        for words in found:
            if words["job_id"] in excluded:
                words["exclude"] = excluded[words["job_id"]]
    return found


def _excluded(commands: Commands, ids: str) -> dict[str, str]:
    """The nodes that jobs refuse: a letter of `squeue -o`, which `-O` has no column for."""
    out = commands.read("squeue", "-h", "-a", "-t", "all", "-j", ids, "-o", "%A|%x")
    lines = out.decode("utf-8", "surrogateescape").splitlines()
    return {job: nodes for job, bar, nodes in (line.partition("|") for line in lines) if bar}


def _add_exact(commands: Commands, rows: list[dict[str, str]]) -> None:
    with ThreadPoolExecutor(max_workers=4) as pool:
        texts = pool.map(lambda row: _shown(commands, row["job_id"]), rows)
    for row, text in zip(rows, texts, strict=True):
        row.pop("nodes", None)
        if nodes := _NODES.search(text):
            row["nodes"] = nodes[1]
        if memory := _MEMORY.search(text):
            each = "" if memory[2] == "0" else memory[2]
            per_cpu = memory[1] == "CPU"
            row["memory_per_cpu"] = each if per_cpu else ""
            row["memory_per_node"] = "" if per_cpu else memory[2]


def _shown(commands: Commands, job: str) -> str:
    """The part of `scontrol show job` that the job's own texts cannot imitate; else nothing."""
    try:
        text = commands.read("scontrol", "-o", "show", "job", job).decode("utf-8", "replace")
    except Unavailable:
        return ""
    lines = [line for line in text.split("\n") if line.startswith(f"JobId={job} ")]
    if len(lines) != 1 or lines[0].count(" UserId=") != 1:
        return ""
    return lines[0].partition(" UserId=")[2].partition(" Command=")[0]


def _present(row: dict[str, str]) -> Present:
    words = {k: v for k, v in row.items() if k not in ("state", "reason")}
    if "time_limit_s" in words:
        words["time_limit_s"] = _limit(words["time_limit_s"])
    if "dependency" in words:
        words["dependency"] = _MET.sub("", words["dependency"])
    if "begin" in words:
        words["begin"] = _future(words["begin"])
    words["array_limit"] = row["array_task"].partition("%")[2] or "0"
    return Present(
        job_id=row["job_id"],
        native=native_id(
            JobRow(
                job_id=row["job_id"],
                array_job_id=row["array_job_id"],
                array_task=row["array_task"],
            )
        ),
        state=row["state"],
        reason=row["reason"],
        words={k: v for k, v in words.items() if k != "time_limit_s" or v},
    )


def _limit(text: str) -> str:
    with suppress(ValueError):
        limit = time_limit_s(text)
        return UNLIMITED if limit is None else str(limit)
    return ""


def _future(text: str) -> str:
    """A time at which a job begins to wait; empty for one that is past or not set."""
    with suppress(ValueError):
        moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
        return text if moment > datetime.now(UTC) else ""
    return ""
