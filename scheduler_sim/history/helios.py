"""The Helios traces (SenseTime, 2020): `cluster_log.csv`, and `cluster_gpu_number.csv` beside it.

Columns: `job_id, user, vc, gpu_num, cpu_num, node_num, state, submit_time, start_time, end_time,
duration, queue`; GPUs and CPUs are totals over the nodes of a job, times are local without a zone.
The virtual cluster (`vc`) becomes the account. The other file has one row a day with the GPUs of
each virtual cluster and their `total`; every node of Helios has 8 GPUs.
"""

from __future__ import annotations

from pathlib import Path

from scheduler_sim.cluster import NodeSpec
from scheduler_sim.history.columns import MOST_NODES, Columns
from scheduler_sim.history.lines import Table
from scheduler_sim.history.rejects import HistoryError, Tally, Unfit
from scheduler_sim.history.values import (
    MISSING,
    NEVER_STARTED,
    STILL_RUNNING,
    between_s,
    moment_s,
    whole,
)

COLUMNS = (
    "job_id",
    "user",
    "vc",
    "gpu_num",
    "cpu_num",
    "node_num",
    "submit_time",
    "start_time",
    "end_time",
)

GPUS_PER_NODE = 8
UNBOUNDED = 10**9
"""CPU thousandths and MiB of a node whose size nobody published: never what a run waits for."""


def read(path: Path, columns: Columns, tally: Tally) -> tuple[str, ...]:
    """Add the jobs of the log; what was decided on the way, in words.

    Raises:
        HistoryError: no such file, empty, damaged, or a column is missing.
    """
    table = Table(path, tally, COLUMNS)
    job, user, vc, gpus, cpus, nodes, submit, start, end = (table[c] for c in COLUMNS)
    for line, row in table.rows():
        try:
            submit_s = moment_s(row[submit], "submit_time")
            if row[start] in MISSING:
                raise Unfit("start_time", NEVER_STARTED)
            if row[end] in MISSING:
                raise Unfit("end_time", STILL_RUNNING)
            start_s = moment_s(row[start], "start_time")
            between_s(submit_s, start_s, "start_time")
            gang = whole(row[nodes], "node_num")
            if not gang:
                raise Unfit("node_num", "not at least 1", row[nodes])
            columns.add(
                row[job],
                submit_s,
                between_s(start_s, moment_s(row[end], "end_time"), "end_time"),
                columns.kind(
                    columns.each(whole(row[gpus], "gpu_num"), gang),
                    cpu_milli=1000 * columns.each(whole(row[cpus], "cpu_num"), gang),
                ),
                nodes=gang,
                user=row[user],
                account=row[vc],
            )
        except Unfit as unfit:
            tally.add(path, line, unfit)
    return ("GPUs and CPUs of a job are shared out evenly over its nodes",)


def read_nodes(path: Path, tally: Tally) -> tuple[tuple[NodeSpec, ...], tuple[str, ...]]:
    """The nodes of the day with the most GPUs, without bounds on CPU and memory, and notes.

    Raises:
        HistoryError: no such file, empty, damaged, without `date` and `total`, or with totals
            that cannot be.
    """
    table = Table(path, tally, ("date", "total"))
    most = 0
    for line, row in table.rows():
        try:
            most = max(most, whole(row[table["total"]], "total"))
        except Unfit as unfit:
            tally.add(path, line, unfit)
    count = -(-most // GPUS_PER_NODE)
    if not 1 <= count <= MOST_NODES:
        raise HistoryError(f"{path.name}: total: {most} GPUs cannot be true")
    nodes = (
        NodeSpec(f"helios-{i:04d}", GPUS_PER_NODE, "", UNBOUNDED, UNBOUNDED) for i in range(count)
    )
    note = (
        f"{count} nodes of {GPUS_PER_NODE} GPUs, from the day with the most; CPU and memory are "
        "not told and bound nothing; virtual clusters share all nodes"
    )
    return tuple(nodes), (note,)
