"""A history of any known format as runs for a replay; the content tells the format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from scheduler_sim.cluster import NodeSpec
from scheduler_sim.history import helios, openb, pai, philly, sacct, swf
from scheduler_sim.history.columns import Columns
from scheduler_sim.history.lines import numbered, opened
from scheduler_sim.history.rejects import HistoryError, Rejects, Tally
from scheduler_sim.queues.jobs import Jobs

FORMATS = ("helios", "openb", "pai", "philly", "sacct", "swf")
"""The formats by name, in the order in which they are offered."""

_KNOWN = (
    "philly (cluster_job_log), helios (cluster_log.csv), pai (pai_task_table.csv), "
    "openb (openb_pod_list_*.csv), swf, or sacct between vertical bars"
)
_COMMENTS = 1000
_STATES = frozenset({"Terminated", "Failed", "Running", "Waiting"})
_DATED = frozenset({"helios", "philly", "sacct"})

Nodes = tuple[NodeSpec, ...]
Notes = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class History:
    """What was read: the runs, the nodes where the history tells them, and how it was read.

    `rejects` are the rows that are not among the runs; `notes` say in words what was decided.
    """

    format: str
    jobs: Jobs
    nodes: Nodes | None
    rejects: Rejects
    notes: Notes


def read_history(path: Path | str, format: str = "auto") -> History:
    """The runs of a file, plain or gzip; machines and users come from the files beside it.

    Those are, by the names they are published under, `cluster_machine_list` for Philly,
    `cluster_gpu_number.csv` for Helios, `pai_job_table.csv` and `pai_machine_spec.csv` for PAI.

    Raises:
        HistoryError: unknown format, not readable, empty, or not one row can be replayed.
    """
    path = Path(path)
    if format == "auto":
        format = sniff(path)
    if format not in FORMATS:
        raise HistoryError(f"format: {format!r} is none of {', '.join(FORMATS)}, auto")
    columns, tally = Columns(), Tally()
    nodes, notes = _READERS[format](path, columns, tally)
    rejects = tally.done()
    if not len(columns):
        first = f"; the first: {rejects.first[0]}" if rejects.first else ""
        raise HistoryError(
            f"{path.name}: no run of {rejects.count} can be replayed as {format}{first}"
        )
    jobs, first_s = columns.jobs()
    zero = f"second {first_s:.0f} of the file"
    if format in _DATED:
        zero = datetime.fromtimestamp(first_s, UTC).strftime("%Y-%m-%d %H:%M:%S as written")
    notes = (f"second 0 is the first submission, {zero}", *notes, *columns.notes())
    return History(format, jobs, nodes, rejects, notes)


def sniff(path: Path | str) -> str:
    """The format of a file by its first lines: one of `FORMATS`.

    Raises:
        HistoryError: not readable, empty, or none of them; names what is known.
    """
    path = Path(path)
    with opened(path) as stream:
        head = stream.read(4096)
    if not head.strip():
        raise HistoryError(f"{path.name}: the file is empty")
    if head.lstrip()[0] == "[":
        return "philly"
    for _, line in islice(numbered(path), _COMMENTS):
        if line.startswith(";"):
            continue
        if (found := _by_row(line)) is not None:
            return found
        break
    else:
        if head.startswith(";"):
            return "swf"
    raise HistoryError(f"{path.name}: the format is not known. Known are: {_KNOWN}")


def _by_row(line: str) -> str | None:
    """The format by the first line that is no comment; None when it is like none of them."""
    barred = set(line.split("|"))
    if {"JobIDRaw", "Submit"} <= barred:
        return "sacct"
    cells = [cell.strip() for cell in line.split(",")]
    for name, columns in (
        ("openb", openb.COLUMNS),
        ("helios", helios.COLUMNS),
        ("pai", pai.TASK),
    ):
        if set(columns) <= set(cells):
            return name
    if len(cells) == len(pai.TASK) and cells[3] in _STATES:
        return "pai"
    words = line.split()
    if len(words) == swf.FIELDS and all(_is_number(word) for word in words):
        return "swf"
    return None


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _beside(path: Path, *names: str) -> Path | None:
    """The first of these files in the same folder, plain or gzip."""
    files = (path.with_name(name + end) for name in names for end in ("", ".gz"))
    return next((file for file in files if file.is_file()), None)


def _philly(path: Path, columns: Columns, tally: Tally) -> tuple[Nodes | None, Notes]:
    machines = _beside(path, "cluster_machine_list", "cluster_machine_list.csv")
    if machines is None:
        return None, philly.read(path, columns, tally)
    nodes = philly.read_nodes(machines, tally)
    widest = max((node.gpus for node in nodes), default=0)
    if not widest:
        raise HistoryError(f"{machines.name}: no machine has a GPU")
    return nodes, philly.read(path, columns, tally, widest)


def _helios(path: Path, columns: Columns, tally: Tally) -> tuple[Nodes | None, Notes]:
    notes = helios.read(path, columns, tally)
    numbers = _beside(path, "cluster_gpu_number.csv")
    if numbers is None:
        return None, notes
    nodes, more = helios.read_nodes(numbers, tally)
    return nodes, notes + more


def _pai(path: Path, columns: Columns, tally: Tally) -> tuple[Nodes | None, Notes]:
    jobs = _beside(path, "pai_job_table.csv")
    notes = pai.read(path, columns, tally, pai.read_jobs(jobs, tally) if jobs else None)
    machines = _beside(path, "pai_machine_spec.csv")
    return (pai.read_nodes(machines, tally) or None) if machines else None, notes


def _swf(path: Path, columns: Columns, tally: Tally) -> tuple[Nodes | None, Notes]:
    machine, notes = swf.read(path, columns, tally)
    return machine.specs(), notes


def _openb(path: Path, columns: Columns, tally: Tally) -> tuple[Nodes | None, Notes]:
    return None, openb.read(path, columns, tally)


def _sacct(path: Path, columns: Columns, tally: Tally) -> tuple[Nodes | None, Notes]:
    return None, sacct.read(path, columns, tally)


_READERS: dict[str, Callable[[Path, Columns, Tally], tuple[Nodes | None, Notes]]] = {
    "helios": _helios,
    "openb": _openb,
    "pai": _pai,
    "philly": _philly,
    "sacct": _sacct,
    "swf": _swf,
}
