"""Slurm's job list, read as text columns, and the runs that its rows stand for.

Measured on 9,017 waiting jobs (22.05.8, CPU of the client): `squeue --json` 1.9 s and 29 MB, then
0.8 s to decode; `squeue -O` with these columns 0.3 s. What only the details know, the device
indices of running jobs, is read apart (`details.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.run import (
    HOLDING,
    ArrayPart,
    Placement,
    Request,
    Run,
    RunState,
    run_id,
)
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.schedulers.slurm.commands import Commands
from foundry_tui.schedulers.slurm.directives import time_limit_s
from foundry_tui.schedulers.slurm.hostlist import expand
from foundry_tui.schedulers.slurm.rows import Held, JobRow, JobTable
from foundry_tui.schedulers.slurm.tres import Worth, count, model, parse_tres, size_bytes

COLUMNS = {
    "job_id": ("jobid", 12),
    "array_job_id": ("arrayjobid", 12),
    "array_task": ("arraytaskid", 128),
    "state": ("state", 16),
    "reason": ("reason", 112),
    "user": ("username", 32),
    "account": ("account", 40),
    "partition": ("partition", 64),
    "qos": ("qos", 32),
    "priority": ("prioritylong", 12),
    "tres": ("tres-alloc", 192),
    "nodelist": ("nodelist", 96),
    "sched_nodes": ("schednodes", 64),
    "required_nodes": ("reqnodes", 64),
    "features": ("feature", 48),
    "dependency": ("dependency", 96),
    "reservation": ("reservation", 32),
    "requeue": ("requeue", 2),
    "submit": ("submittime", 20),
    "eligible": ("eligibletime", 20),
    "start": ("starttime", 20),
    "end": ("endtime", 20),
    "time_limit": ("timelimit", 16),
    "num_nodes": ("numnodes", 10),
    "num_cpus": ("numcpus", 8),
    "exit_code": ("exit_code", 8),
    "comment": ("comment", 96),
    "name": ("name", 160),
}
"""Our name of a column -> (Slurm's name for `squeue -O`, width in bytes)."""

TOKEN_PREFIX = "foundry:"
"""A submit token stands in the job's comment behind this word."""

STATES = {
    "PENDING": RunState.PENDING,
    "CONFIGURING": RunState.RUNNING,
    "RUNNING": RunState.RUNNING,
    "RESIZING": RunState.RUNNING,
    "SIGNALING": RunState.RUNNING,
    "STAGE_OUT": RunState.COMPLETING,
    "COMPLETING": RunState.COMPLETING,
    "SUSPENDED": RunState.SUSPENDED,
    "STOPPED": RunState.SUSPENDED,
    "EXPEDITING": RunState.PENDING,
    "COMPLETED": RunState.COMPLETED,
    "FAILED": RunState.FAILED,
    "BOOT_FAIL": RunState.FAILED,
    "DEADLINE": RunState.FAILED,
    "LAUNCH_FAILED": RunState.FAILED,
    "RECONFIG_FAIL": RunState.FAILED,
    "CANCELLED": RunState.CANCELLED,
    "REVOKED": RunState.CANCELLED,
    "TIMEOUT": RunState.TIMEOUT,
    "PREEMPTED": RunState.PREEMPTED,
    "OUT_OF_MEMORY": RunState.OUT_OF_MEMORY,
    "NODE_FAIL": RunState.NODE_FAIL,
    "REQUEUED": RunState.PENDING,
    "REQUEUE_FED": RunState.PENDING,
    "REQUEUE_HOLD": RunState.PENDING,
    "SPECIAL_EXIT": RunState.PENDING,
    "RESV_DEL_HOLD": RunState.PENDING,
}

TOKEN = re.compile(re.escape(TOKEN_PREFIX) + r"([0-9A-Za-z-]{6,40})")
_TASKS = re.compile(r"(\d+)(?:-(\d+)(?::(\d+))?)?")


def read_jobs(commands: Commands, *args: str) -> JobTable:
    """Every job that `squeue` shows to this user, the recently finished ones too.

    Raises:
        Unavailable, Denied: as `Commands.read`.
    """
    rows, cut = commands.table("squeue", tuple(COLUMNS.values()), "-a", "-t", "all", *args)
    names = tuple(COLUMNS)
    truncated: dict[int, set[str]] = {}
    for row, column in cut:
        truncated.setdefault(row, set()).add(names[column])
    place = names.index("array_task")
    long = [row for row, column in cut if column == place]
    if long:
        whole = _whole_ranges(commands, [rows[row][0] for row in long])
        for row in long:
            if rows[row][0] in whole:
                rows[row][place] = whole[rows[row][0]]
                truncated[row].discard("array_task")
    return JobTable(
        tuple(
            JobRow(
                **dict(zip(names, row, strict=True)),
                truncated=frozenset(truncated.get(i, ())),
            )
            for i, row in enumerate(rows)
        )
    )


def _whole_ranges(commands: Commands, jobs: list[str]) -> dict[str, str]:
    """The waiting ranges that did not fit their column; a cut one would count too few tasks."""
    columns = (("jobid", 12), ("arraytaskid", 1 << 16))
    rows, cut = commands.table("squeue", columns, "-a", "-t", "all", "-j", ",".join(jobs))
    long = {row for row, _ in cut}
    return {job: tasks for i, (job, tasks) in enumerate(rows) if i not in long}


def to_runs(
    table: JobTable, source: str, read_at: datetime, worth: Mapping[str, Worth]
) -> tuple[Run, ...]:
    """Runs from job rows.

    `worth` says per node what a shard and an MPS unit are worth; a waiting share counts with the
    one value that all nodes agree on, and with None where they differ.
    """
    common = _common(worth)
    return tuple(
        _run(row, table.held.get(row.job_id), source, read_at, common) for row in table.rows
    )


def _common(worth: Mapping[str, Worth]) -> Worth:
    shards = {w.shard for w in worth.values() if w.shard is not None}
    mps = {w.mps for w in worth.values() if w.mps is not None}
    return Worth(
        shard=shards.pop() if len(shards) == 1 else None, mps=mps.pop() if len(mps) == 1 else None
    )


def _run(
    row: JobRow, held: tuple[Held, ...] | None, source: str, read_at: datetime, worth: Worth
) -> Run:
    state = STATES.get(row.state.split("+")[0].split(" ")[0], RunState.UNKNOWN)
    array = array_part(row)
    native = native_id(row, array)
    start = moment(row.start)
    pending = state is RunState.PENDING
    token = TOKEN.search(row.comment)
    name = safe(row.name)
    raw = row.name.encode("utf-8", "surrogateescape")
    return Run(
        id=run_id(source, native),
        native_id=native,
        source=source,
        scheduler="slurm",
        name=name,
        name_raw=raw if raw != name.encode() else None,
        state=state,
        user=_word(row.user),
        account=_word(row.account),
        queue=_word(row.partition),
        qos=_word(row.qos),
        reason=safe(row.reason) if row.reason and row.reason != "None" else None,
        priority=_int(row.priority),
        request=request(row, worth),
        placement=_placement(row, held) if state in HOLDING else (),
        submitted_at=moment(row.submit),
        eligible_at=moment(row.eligible),
        started_at=None if pending else start,
        ended_at=moment(row.end) if state not in HOLDING and not pending else None,
        ends_by=moment(row.end) if state in HOLDING else None,
        estimated_start_at=start if pending else None,
        exit_code=_exit_code(row.exit_code) if state not in HOLDING and not pending else None,
        submit_token=token[1] if token else None,
        array=array,
        # The processes of an array's task are known by the job id behind it.
        seen_as=(safe(row.job_id),) if state in HOLDING and row.job_id != native else (),
        held=pending and row.priority == "0",
        native=_native(row, holds=state in HOLDING),
        read_at=read_at,
    )


def _native(row: JobRow, *, holds: bool) -> dict[str, SafeText] | None:
    """The further words of a row. Whether it may be started again (1, 0) is told while it runs."""
    words = {
        "sched_nodes": row.sched_nodes,
        "required_nodes": row.required_nodes,
        "features": row.features,
        "dependency": row.dependency,
        "reservation": row.reservation,
        "requeue": row.requeue if holds else "",
    }
    found = {k: safe(v) for k, v in words.items() if v}
    if row.truncated:
        found["truncated"] = safe(",".join(sorted(row.truncated)))
    return found or None


def native_id(row: JobRow, array: ArrayPart | None = None) -> str:
    """The id as Slurm's users write it: `17`, `18_3`, or `18_[4-9%2]` for a waiting range."""
    if not row.array_task:
        return row.job_id
    waiting = not row.array_task.isdigit()
    return (
        f"{row.array_job_id}_[{row.array_task}]"
        if waiting
        else f"{row.array_job_id}_{row.array_task}"
    )


def array_part(row: JobRow) -> ArrayPart | None:
    """The array a row belongs to, with the number of tasks that the row stands for."""
    if not row.array_task:
        return None
    tasks = row.array_task.partition("%")[0]
    total = 0
    for first, last, step in _TASKS.findall(tasks):
        total += 1 if not last else (int(last) - int(first)) // int(step or 1) + 1
    return ArrayPart(row.array_job_id, row.array_task, max(1, total))


def request(row: JobRow, worth: Worth) -> Request:
    """What the job asks for, from its list of trackable resources."""
    if "tres" in row.truncated:
        return Request(gpu_milli=None, time_limit_s=limit_s(row.time_limit))
    return _request(row.tres, row.num_nodes, row.num_cpus, row.time_limit, worth)


@lru_cache(maxsize=4096)
def _request(tres_text: str, num_nodes: str, num_cpus: str, limit: str, worth: Worth) -> Request:
    """Thousands of jobs ask for the same few things: 0.2 s less for 10,000 rows."""
    tres = parse_tres(tres_text)
    gpus, shards, mps = (count(tres, n) for n in ("gpu", "shard", "mps"))
    milli: int | None = WHOLE_MILLI * gpus
    devices = gpus
    nodes = _int(num_nodes.partition("-")[0]) or 1
    for name, amount in (("shard", shards), ("mps", mps)):
        if amount:
            part = worth.milli(name, amount)
            milli = None if part is None or milli is None else milli + part
            # A share sits on one device of each node.
            devices += nodes
    cpus = _int(tres.get("cpu", "")) or _int(num_cpus)
    return Request(
        gpu_count=devices,
        gpu_milli=milli,
        gpu_model=_word(model(tres) or model(tres, "shard")),
        nodes=nodes,
        cpu_milli=None if cpus is None else 1000 * cpus,
        memory_bytes=size_bytes(tres.get("mem")),
        time_limit_s=limit_s(limit),
    )


def _placement(row: JobRow, held: tuple[Held, ...] | None) -> tuple[Placement, ...]:
    tres = parse_tres(row.tres)
    wants_gpu = "tres" in row.truncated or any(k.startswith("gres/") for k in tres)
    indices: dict[str, list[int] | None] = {}
    for item in held or ():
        known = indices.setdefault(item.node, [])
        if item.indices is None:
            indices[item.node] = None
        elif known is not None:
            known.extend(item.indices)
    nodes = expand(row.nodelist) if "nodelist" not in row.truncated else tuple(indices)
    unknown: tuple[int, ...] | None = None if wants_gpu else ()
    return tuple(
        Placement(
            n, tuple(sorted(set(found))) if (found := indices.get(n)) is not None else unknown
        )
        for n in nodes
    )


def moment(text: str) -> datetime | None:
    """A UTC time as Slurm prints it under TZ=UTC; `Unknown`, `None` and empty give None."""
    if not text or not text[0].isdigit():
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return None


def limit_s(text: str) -> int | None:
    try:
        return time_limit_s(text) if text else None
    except ValueError:
        return None


@lru_cache(maxsize=8192)
def _word(text: str | None) -> SafeText | None:
    """A short word of the job list, safe to show; the same few come again and again."""
    return safe(text) if text else None


def _int(text: str) -> int | None:
    return int(text) if text.isdecimal() and text.isascii() else None


def _exit_code(text: str) -> int | None:
    """`squeue -O exit_code` prints the wait status: the code is in the higher byte."""
    status = _int(text)
    if status is None:
        return None
    return status >> 8 if status > 255 else (128 + (status & 0x7F) if status else 0)
