"""The accounting of a Slurm site, as `sacct` prints it between vertical bars: see `COMMAND`.

`-a`: all users; `-X`: no steps; `TZ=UTC`: no hour that summer time doubles. The columns may stand
in any order and others may be among them; needed are JobIDRaw, Submit, Start, End, NNodes and one
of AllocTRES and ReqTRES. Times are ISO 8601 or seconds since 1970. ElapsedRaw, where it is there,
is the duration: it leaves out the time a run was suspended.

What a run held (AllocTRES) is what it takes in a replay, shared out evenly over its nodes; a GPU
model binds it where the run asked for one (ReqTRES), or, without that column, where it had one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from scheduler_sim.cluster import WHOLE_MILLI
from scheduler_sim.history.columns import Columns, printable
from scheduler_sim.history.lines import Table
from scheduler_sim.history.rejects import HistoryError, Tally, Unfit
from scheduler_sim.history.values import (
    MISSING,
    NEVER_STARTED,
    STILL_RUNNING,
    between_s,
    moment_s,
    number,
    whole,
)
from scheduler_sim.queues.jobs import NO_LIMIT_S

COMMAND = (
    "TZ=UTC sacct -a -X -P -S 2026-01-01 -E now -o JobIDRaw,User,Account,Partition,Priority,"
    "Submit,Start,End,ElapsedRaw,TimelimitRaw,NNodes,ReqTRES,AllocTRES,State"
)
"""What a site runs to make a dump; `-S` is where its history begins."""

NEEDED = ("JobIDRaw", "Submit", "Start", "End", "NNodes")

_KIB = {"K": 1, "M": 1 << 10, "G": 1 << 20, "T": 1 << 30, "P": 1 << 40}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)([KMGTP])[nc]?")
_CLOCK = re.compile(r"(?:(\d{1,5})-)?(?:(\d{1,3}):)?(\d{1,4}):(\d\d)(?:\.\d+)?")
_MIG = re.compile(r"\d+g\.\d+gb")
_ENDLESS = frozenset({"UNLIMITED", "Partition_Limit", "INVALID"})


def read(path: Path, columns: Columns, tally: Tally) -> tuple[str, ...]:
    """Add the runs of the dump; what was decided on the way, in words.

    Raises:
        HistoryError: no such file, empty, damaged, or a column is missing.
    """
    hint = f"; make the dump with: {COMMAND}"
    table = Table(path, tally, NEEDED, delimiter="|", hint=hint)
    if "AllocTRES" not in table and "ReqTRES" not in table:
        raise HistoryError(f"{path.name}: the header has no column AllocTRES or ReqTRES{hint}")
    row_of = _Rows(table, columns)
    for line, row in table.rows():
        try:
            row_of.add(row)
        except Unfit as unfit:
            tally.add(path, line, unfit)
    return (
        "a run takes what it had (AllocTRES), shared out evenly over its nodes",
        "a dump tells no nodes: give the node list of the site",
    )


class _Rows:
    """The columns of this dump, and how a row of them becomes a run."""

    def __init__(self, table: Table, columns: Columns) -> None:
        self._columns = columns
        self._kinds: dict[tuple[str, str, int], tuple[int, int]] = {}
        self._job, self._submit, self._start, self._end, self._nodes = (table[c] for c in NEEDED)
        self._elapsed = table["ElapsedRaw"]
        self._held, self._asked = table["AllocTRES"], table["ReqTRES"]
        self._minutes, self._clock = table["TimelimitRaw"], table["Timelimit"]
        self._user, self._account = table["User"], table["Account"]
        self._priority = table["Priority"]

    def add(self, row: Sequence[str]) -> None:
        """One row."""
        job = row[self._job]
        if not job.isdecimal():
            raise Unfit("JobIDRaw", "a step, or no number; dump with -X" if job else "missing", job)
        submit_s = moment_s(row[self._submit], "Submit")
        if row[self._start] in MISSING:
            raise Unfit("Start", NEVER_STARTED)
        start_s = moment_s(row[self._start], "Start")
        between_s(submit_s, start_s, "Start")
        nodes = whole(row[self._nodes], "NNodes")
        if not nodes:
            raise Unfit("NNodes", "not at least 1", nodes)
        self._columns.add(
            job,
            submit_s,
            self._duration_s(row, start_s),
            self._kind(row, nodes),
            nodes=nodes,
            limit_s=self._limit_s(row),
            user=_cell(row, self._user),
            account=_cell(row, self._account),
            priority=self._rank(row),
        )

    def _duration_s(self, row: Sequence[str], start_s: float) -> float:
        if row[self._end] in MISSING:
            raise Unfit("End", STILL_RUNNING)
        lasted_s = between_s(start_s, moment_s(row[self._end], "End"), "End")
        return lasted_s if self._elapsed < 0 else number(row[self._elapsed], "ElapsedRaw")

    def _rank(self, row: Sequence[str]) -> int:
        text = _cell(row, self._priority)
        return 0 if text in MISSING else whole(text, "Priority")

    def _limit_s(self, row: Sequence[str]) -> int | None:
        """Seconds; None where the dump has no such column."""
        if self._minutes >= 0:
            text = row[self._minutes]
            return NO_LIMIT_S if text in _ENDLESS else 60 * whole(text, "TimelimitRaw")
        if self._clock < 0:
            return None
        text = row[self._clock]
        if text in _ENDLESS:
            return NO_LIMIT_S
        clock = _CLOCK.fullmatch(text)
        if clock is None:
            raise Unfit("Timelimit", "missing" if text in MISSING else "no time limit", text)
        days, hours, minutes, seconds = (int(part or 0) for part in clock.groups())
        return 86_400 * days + 3600 * hours + 60 * minutes + seconds

    def _kind(self, row: Sequence[str], nodes: int) -> int:
        held, asked = _cell(row, self._held), _cell(row, self._asked)
        key = (held, asked, nodes)
        if key in self._kinds:
            kind, uneven = self._kinds[key]
            self._columns.shares_rounded_up += uneven
            return kind
        before = self._columns.shares_rounded_up
        kind = self._of(held or asked, asked if self._asked >= 0 else held, nodes)
        self._kinds[key] = kind, self._columns.shares_rounded_up - before
        return kind

    def _of(self, held: str, asked: str, nodes: int) -> int:
        field = "AllocTRES" if self._held >= 0 else "ReqTRES"
        tres = _tres(held, field)
        if not tres:
            raise Unfit(field, "missing")
        for name in ("gres/shard", "gres/mps"):
            if tres.get(name, "0") != "0":
                raise Unfit(field, f"{name}: a dump does not tell what part of a GPU it is", held)
        gpus, models = _gpus(tres, field)
        each = self._columns.each
        return self._columns.kind(
            each(gpus, nodes),
            WHOLE_MILLI,
            1000 * each(whole(tres.get("cpu", "0"), f"{field} cpu"), nodes),
            each(_memory_mib(tres.get("mem", "0"), f"{field} mem"), nodes),
            models if asked == held else _gpus(_tres(asked, "ReqTRES"), "ReqTRES")[1],
        )


def _cell(row: Sequence[str], place: int) -> str:
    return row[place] if place >= 0 else ""


def _tres(text: str, field: str) -> dict[str, str]:
    """`cpu=14,gres/gpu:h100=1,mem=120000M,node=1` as a mapping."""
    pairs = [item.partition("=") for item in text.split(",") if item]
    if any(not equals for _, equals, _ in pairs):
        raise Unfit(field, "no list of name=count", text)
    return {name: count for name, _, count in pairs}


def _gpus(tres: dict[str, str], field: str) -> tuple[int, tuple[str, ...]]:
    """How many GPUs, and the models that are named. `gres/gpu` is the sum of the typed ones."""
    typed = {
        name.removeprefix("gres/gpu:"): count
        for name, count in tres.items()
        if name.startswith("gres/gpu:") and count != "0"
    }
    if slices := [model for model in typed if _MIG.search(model)]:
        raise Unfit(field, "a slice of a GPU (MIG), not a whole one", slices[0])
    total = tres.get("gres/gpu")
    counts = [total] if total is not None else list(typed.values())
    return sum(whole(c, f"{field} gres/gpu") for c in counts), tuple(map(printable, typed))


def _memory_mib(text: str, field: str) -> int:
    """`120000M` in MiB, rounded up; a bare number is in MiB, as Slurm counts."""
    if text.isdecimal():
        return whole(text, field)
    size = _SIZE.fullmatch(text)
    if size is None:
        raise Unfit(field, "no size in K, M, G, T or P", text)
    return -int(-number(size[1], field) * _KIB[size[2]] // 1024)
