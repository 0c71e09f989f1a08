"""Alibaba's PAI trace of 2020: `pai_task_table.csv`, and the job table and machines beside it.

The published tables have no header line; one is accepted. Task table: `job_name, task_name,
inst_num, status, start_time, end_time, plan_cpu, plan_mem, plan_gpu, gpu_type`; plans are per
instance, CPU and GPU in percent of one, memory in GiB; times are seconds. A task with its instances
is a run of so many nodes, because all of them work at once.

`pai_job_table.csv` (`job_name, inst_id, user, status, start_time, end_time`) gives the user and
the submission of each job; without it a task counts as submitted when it started.
`pai_machine_spec.csv` (`machine, gpu_type, cap_cpu, cap_mem, cap_gpu`) gives the nodes, in cores,
GiB and GPUs.
"""

from __future__ import annotations

from array import array
from pathlib import Path

from scheduler_sim.cluster import WHOLE_MILLI, NodeSpec
from scheduler_sim.history.columns import Columns, machine, printable
from scheduler_sim.history.lines import Table
from scheduler_sim.history.rejects import Tally, Unfit
from scheduler_sim.history.values import (
    MISSING,
    NEVER_STARTED,
    STILL_RUNNING,
    between_s,
    number,
    whole,
)

TASK = (
    "job_name",
    "task_name",
    "inst_num",
    "status",
    "start_time",
    "end_time",
    "plan_cpu",
    "plan_mem",
    "plan_gpu",
    "gpu_type",
)
JOB = ("job_name", "inst_id", "user", "status", "start_time", "end_time")
MACHINE = ("machine", "gpu_type", "cap_cpu", "cap_mem", "cap_gpu")


class Submissions:
    """Who submitted each job of the job table and when; compact for a million jobs."""

    def __init__(self) -> None:
        self._row: dict[str, int] = {}
        self._submit_s = array("d")
        self._user = array("q")
        self._users: dict[str, int] = {}
        self._user_names: list[str] = []

    def __len__(self) -> int:
        return len(self._row)

    def add(self, job: str, user: str, submit_s: float) -> None:
        """One job; of two with one name the first counts."""
        if job in self._row:
            raise Unfit("job_name", "is there twice", job)
        self._row[job] = len(self._submit_s)
        self._submit_s.append(submit_s)
        if user not in self._users:
            self._users[user] = len(self._user_names)
            self._user_names.append(user)
        self._user.append(self._users[user])

    def of(self, job: str) -> tuple[str, float] | None:
        """User and second of submission; None for a job the table does not have."""
        row = self._row.get(job)
        return None if row is None else (self._user_names[self._user[row]], self._submit_s[row])


def read_jobs(path: Path, tally: Tally) -> Submissions:
    """The job table.

    Raises:
        HistoryError: no such file, empty, damaged, or a column is missing.
    """
    table = Table(path, tally, JOB, default=JOB)
    name, _, user, _, start, _ = (table[c] for c in JOB)
    found = Submissions()
    for line, row in table.rows():
        try:
            found.add(row[name], row[user], number(row[start], "start_time"))
        except Unfit as unfit:
            tally.add(path, line, unfit)
    return found


def read(
    path: Path, columns: Columns, tally: Tally, submissions: Submissions | None = None
) -> tuple[str, ...]:
    """Add the tasks of the table; what was decided on the way, in words.

    Raises:
        HistoryError: no such file, empty, damaged, or a column is missing.
    """
    table = Table(path, tally, TASK, default=TASK)
    job, task, instances, _, start, end, cpu, memory, gpu, model = (table[c] for c in TASK)
    orphans = rounded = 0
    for line, row in table.rows():
        try:
            if row[start] in MISSING:
                raise Unfit("start_time", NEVER_STARTED)
            if row[end] in MISSING:
                raise Unfit("end_time", STILL_RUNNING)
            start_s = number(row[start], "start_time")
            user, submit_s = "", start_s
            known = submissions.of(row[job]) if submissions else None
            if known is not None:
                user, submit_s = known
                between_s(submit_s, start_s, "start_time")
            gpus, milli, up = _gpus(row[gpu])
            columns.add(
                f"{row[job]}/{row[task]}",
                submit_s,
                between_s(start_s, number(row[end], "end_time"), "end_time"),
                columns.kind(
                    gpus,
                    milli,
                    round(10 * _none_is_0(row[cpu], "plan_cpu")),
                    round(1024 * _none_is_0(row[memory], "plan_mem")),
                    (printable(row[model]),) if gpus and row[model] not in MISSING else (),
                ),
                nodes=whole(row[instances], "inst_num"),
                user=user,
            )
        except Unfit as unfit:
            tally.add(path, line, unfit)
        else:
            orphans += submissions is not None and known is None
            rounded += up
    notes = [
        "each task is a run of inst_num nodes, and takes the GPU model it had: "
        "its duration was measured on that"
    ]
    if submissions is None:
        notes.append("no job table: a task counts as submitted when it started, waits are unknown")
    if orphans:
        notes.append(f"{orphans} tasks are of no job in the job table: submitted at their start")
    if rounded:
        notes.append(f"{rounded} tasks asked for more than one GPU and a part: rounded up")
    return tuple(notes)


def read_nodes(path: Path, tally: Tally) -> tuple[NodeSpec, ...]:
    """The machines.

    Raises:
        HistoryError: no such file, empty, damaged, or a column is missing.
    """
    table = Table(path, tally, MACHINE, default=MACHINE)
    name, model, cpu, memory, gpu = (table[c] for c in MACHINE)
    nodes: dict[str, NodeSpec] = {}
    for line, row in table.rows():
        try:
            machine(
                nodes,
                row[name],
                whole(row[gpu], "cap_gpu"),
                row[model],
                round(1000 * number(row[cpu], "cap_cpu")),
                round(1024 * number(row[memory], "cap_mem")),
            )
        except Unfit as unfit:
            tally.add(path, line, unfit)
    return tuple(nodes.values())


def _gpus(text: str) -> tuple[int, int, bool]:
    """Devices, thousandths of each, and whether that is more than was asked for."""
    percent = _none_is_0(text, "plan_gpu")
    if percent == 0:
        return 0, WHOLE_MILLI, False
    if percent < 100:
        return 1, max(1, round(10 * percent)), False
    return -int(-percent // 100), WHOLE_MILLI, percent % 100 != 0


def _none_is_0(text: str, field: str) -> float:
    """A plan left empty asks for nothing: this is how the tables write it."""
    return 0.0 if text in MISSING else number(text, field)
