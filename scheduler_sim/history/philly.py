"""The Philly trace (Microsoft, 2017): `cluster_job_log`, and `cluster_machine_list` beside it.

The log is one JSON array of jobs: `jobid, user, vc, status, submitted_time, attempts`; an attempt
has `start_time, end_time, detail`, and `detail` lists the machines (`ip`) with the `gpus` used.
Times are local without a zone; `None` stands for a time that was not logged.

A run lasts as long as all its attempts together, and asks for the GPUs of its last attempt. Where
the old scheduler found them, 3 on one machine and 5 on another, says nothing about what was asked
for, so a run takes as few machines as can hold it, with evenly many GPUs on each.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scheduler_sim.cluster import NodeSpec
from scheduler_sim.history.columns import Columns, machine
from scheduler_sim.history.jsonarray import objects
from scheduler_sim.history.lines import Table
from scheduler_sim.history.rejects import Tally, Unfit
from scheduler_sim.history.values import (
    MISSING,
    NEVER_STARTED,
    STILL_RUNNING,
    between_s,
    moment_s,
    whole,
)

WIDEST = 8
"""GPUs of the largest machine, when no machine list says so."""

MACHINE = ("machineId", "number of GPUs", "single GPU mem")


def read(path: Path, columns: Columns, tally: Tally, widest: int = WIDEST) -> tuple[str, ...]:
    """Add the jobs of the log, `widest` the GPUs of the largest machine; notes in words.

    Raises:
        HistoryError: no such file, empty, or no array of JSON objects to its end.
    """
    for line, job in objects(path):
        try:
            _add(job, columns, widest)
        except Unfit as unfit:
            tally.add(path, line, unfit)
    return (
        "a run lasts as long as its attempts together and asks for the GPUs of the last one, "
        f"on as few machines of {widest} as can hold them",
    )


def read_nodes(path: Path, tally: Tally) -> tuple[NodeSpec, ...]:
    """The machines: the memory of a GPU (`24GB`) is the model, CPU and memory are not told.

    Raises:
        HistoryError: no such file, empty, damaged, or a column is missing.
    """
    table = Table(path, tally, MACHINE)
    name, gpus, model = (table[c] for c in MACHINE)
    nodes: dict[str, NodeSpec] = {}
    for line, row in table.rows():
        try:
            machine(nodes, row[name], whole(row[gpus], "number of GPUs"), row[model].strip())
        except Unfit as unfit:
            tally.add(path, line, unfit)
    return tuple(nodes.values())


def _add(job: dict[str, Any], columns: Columns, widest: int) -> None:
    submit_s = moment_s(_text(job, "submitted_time"), "submitted_time")
    attempts = job.get("attempts")
    if not isinstance(attempts, list):
        raise Unfit("attempts", "no list", type(attempts).__name__)
    if not attempts:
        raise Unfit("attempts", NEVER_STARTED)
    duration_s, after_s = 0.0, submit_s
    for attempt in attempts:
        if not isinstance(attempt, dict):
            raise Unfit("attempts", "no JSON object", type(attempt).__name__)
        start, end = _text(attempt, "start_time"), _text(attempt, "end_time")
        if end in MISSING and start not in MISSING and attempt is attempts[-1]:
            raise Unfit("end_time", STILL_RUNNING)
        start_s = moment_s(start, "start_time")
        between_s(after_s, start_s, "start_time")
        after_s = moment_s(end, "end_time")
        duration_s += between_s(start_s, after_s, "end_time")
    gpus = _gpus(attempts[-1])
    nodes = -(-gpus // widest)
    kind = columns.kind(columns.each(gpus, nodes))
    columns.add(
        _text(job, "jobid"),
        submit_s,
        duration_s,
        kind,
        nodes=nodes,
        user=_text(job, "user"),
        account=_text(job, "vc"),
    )


def _gpus(attempt: dict[str, Any]) -> int:
    """How many GPUs an attempt had, over all its machines; at least 1."""
    detail = attempt.get("detail")
    machines = detail if isinstance(detail, list) else []
    lists = [machine.get("gpus") for machine in machines if isinstance(machine, dict)]
    found = sum(len(gpus) for gpus in lists if isinstance(gpus, list))
    if not found:
        raise Unfit("detail", "names no GPU")
    return found


def _text(record: dict[str, Any], key: str) -> str:
    """A field as text, empty for null and for none."""
    value = record.get(key)
    if value is not None and not isinstance(value, str | int):
        raise Unfit(key, "no text", type(value).__name__)
    return "" if value is None else str(value)
