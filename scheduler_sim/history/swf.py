"""The Standard Workload Format (version 2.2) of the Parallel Workloads Archive.

Lines that begin with `;` are comments; those at the head say `MaxNodes`, `MaxProcs` and
`UnixStartTime`. Every other line has 18 numbers, -1 where one is not known: 1 job, 2 submission,
3 wait, 4 run time, 5 processors it had, 8 processors it asked for, 9 time it asked for, 11 status,
12 user, 13 group, and others that no replay needs. Times are seconds from the start of the log.

Processors become cores of nodes: `MaxProcs / MaxNodes` cores each where the header has both,
else one. There are no GPUs in this format, and memory is left out: no header says what a node has.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from scheduler_sim.cluster import NodeSpec
from scheduler_sim.history.columns import MOST_NODES, Columns
from scheduler_sim.history.lines import numbered
from scheduler_sim.history.rejects import HistoryError, Tally, Unfit
from scheduler_sim.history.values import NEVER_STARTED, number, whole
from scheduler_sim.queues.jobs import NO_LIMIT_S

FIELDS = 18
_JOB, _SUBMIT, _RUN, _HAD, _ASKED, _LIMIT, _STATUS, _USER, _GROUP = 0, 1, 3, 4, 7, 8, 10, 11, 12
_UNKNOWN = frozenset({"-1", "-1.0", "-1.00"})
_PARTS = frozenset({"2", "3", "4"})
_HEADER = re.compile(r";\s*(MaxNodes|MaxProcs|UnixStartTime):\s*(\d{1,12})")


@dataclass(frozen=True, slots=True)
class Machine:
    """What the header says; None where it does not."""

    nodes: int | None = None
    processors: int | None = None
    start_s: int | None = None

    @property
    def cores(self) -> int:
        """Cores of one node."""
        if not self.nodes or not self.processors:
            return 1
        return max(1, self.processors // self.nodes)

    def specs(self) -> tuple[NodeSpec, ...] | None:
        """The nodes; None when the header does not count them."""
        count = self.nodes or self.processors
        if not count:
            return None
        if count > MOST_NODES:
            raise HistoryError(f"MaxNodes, MaxProcs: {count} nodes cannot be true")
        return tuple(NodeSpec(f"n{i:05d}", 0, "", 1000 * self.cores, 0) for i in range(count))


def read(path: Path, columns: Columns, tally: Tally) -> tuple[Machine, tuple[str, ...]]:
    """Add the jobs of the log; the machine of its header, and what was decided, in words.

    Raises:
        HistoryError: no such file, empty or damaged.
    """
    header: dict[str, int] = {}
    machine = Machine()
    empty = True
    for line, text in numbered(path):
        empty = False
        if text.startswith(";"):
            found = _HEADER.match(text)
            if found:
                header.setdefault(found[1], int(found[2]))
                machine = Machine(
                    header.get("MaxNodes"), header.get("MaxProcs"), header.get("UnixStartTime")
                )
            continue
        try:
            _add(text.split(), columns, machine.cores)
        except Unfit as unfit:
            tally.add(path, line, unfit)
    if empty:
        raise HistoryError(f"{path.name}: the file is empty")
    return machine, (f"processors are cores of nodes with {machine.cores}; memory bounds nothing",)


def _add(row: list[str], columns: Columns, cores: int) -> None:
    if len(row) != FIELDS:
        raise Unfit("row", "a job has 18 fields", len(row))
    if row[_STATUS] in _PARTS:
        raise Unfit("status", "a part of a run that has a line of its own")
    processors = _known(row[_ASKED], "requested processors")
    if processors is None:
        processors = _known(row[_HAD], "allocated processors")
    if not processors:
        raise Unfit("processors", "missing")
    if row[_RUN] in _UNKNOWN:
        raise Unfit("run time", NEVER_STARTED)
    limit = _known(row[_LIMIT], "requested time")
    nodes = -(-processors // cores)
    columns.add(
        row[_JOB],
        number(row[_SUBMIT], "submit time"),
        number(row[_RUN], "run time"),
        columns.kind(0, cpu_milli=1000 * columns.each(processors, nodes)),
        nodes=nodes,
        limit_s=NO_LIMIT_S if limit is None else limit,
        user=_name(row[_USER]),
        account=_name(row[_GROUP]),
    )


def _known(text: str, field: str) -> int | None:
    """A whole number, None for the -1 that stands for unknown."""
    return None if text in _UNKNOWN else whole(text, field)


def _name(text: str) -> str:
    return "" if text in _UNKNOWN else text
