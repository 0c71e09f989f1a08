"""Pod lists of the openb trace (Alibaba GPU cluster trace v2023) with their times.

Columns: `name, cpu_milli, memory_mib, num_gpu, gpu_milli, gpu_spec, qos, pod_phase, creation_time,
deletion_time, scheduled_time`; seconds since the start of the trace, `gpu_milli` per GPU,
`gpu_spec` the models that will do, parted by `|`.

A pod is submitted when it was created and lasts from `scheduled_time` to `deletion_time`. A pod
that was never scheduled (Pending) waited until it was taken back: how long it would have worked
nobody knows, so it is rejected, and counted as such. A pod without a deletion lives to the last
moment that the file knows.
"""

from __future__ import annotations

from array import array
from pathlib import Path

from scheduler_sim.cluster import WHOLE_MILLI
from scheduler_sim.history.columns import Columns
from scheduler_sim.history.lines import Table
from scheduler_sim.history.rejects import Tally, Unfit
from scheduler_sim.history.values import MISSING, NEVER_STARTED, between_s, number, whole

COLUMNS = (
    "name",
    "cpu_milli",
    "memory_mib",
    "num_gpu",
    "gpu_milli",
    "creation_time",
    "deletion_time",
    "scheduled_time",
)


def read(path: Path, columns: Columns, tally: Tally) -> tuple[str, ...]:
    """Add the pods of the list; what was decided on the way, in words.

    Raises:
        HistoryError: no such file, empty, damaged, or without the times.
    """
    table = Table(path, tally, COLUMNS)
    name, cpu, memory, gpus, milli, created, deleted, scheduled = (table[c] for c in COLUMNS)
    spec, phase = table["gpu_spec"], table["pod_phase"]
    last_s = 0.0
    endless, endless_start_s = array("q"), array("d")
    for line, row in table.rows():
        try:
            submit_s = number(row[created], "creation_time")
            if row[scheduled] in MISSING:
                waited = phase >= 0 and row[phase] == "Pending"
                raise Unfit("scheduled_time", NEVER_STARTED if waited else "missing")
            start_s = number(row[scheduled], "scheduled_time")
            between_s(submit_s, start_s, "scheduled_time")
            lives = row[deleted] in MISSING
            end_s = start_s if lives else number(row[deleted], "deletion_time")
            count = whole(row[gpus], "num_gpu")
            columns.add(
                row[name],
                submit_s,
                between_s(start_s, end_s, "deletion_time"),
                columns.kind(
                    count,
                    whole(row[milli], "gpu_milli") if count else WHOLE_MILLI,
                    whole(row[cpu], "cpu_milli"),
                    whole(row[memory], "memory_mib"),
                    tuple(row[spec].split("|")) if spec >= 0 and row[spec] else (),
                ),
            )
        except Unfit as unfit:
            tally.add(path, line, unfit)
            continue
        last_s = max(last_s, end_s)
        if lives:
            endless.append(len(columns) - 1)
            endless_start_s.append(start_s)
    for run, start_s in zip(endless, endless_start_s, strict=True):
        columns.set_duration(run, last_s - start_s)
    notes = ["a pod lasts from scheduled_time to deletion_time"]
    if endless:
        notes.append(
            f"{len(endless)} pods without a deletion live to second {last_s:.0f}, the last"
        )
    return tuple(notes)
