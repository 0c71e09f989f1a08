"""The report `jobs`: one row per try of each run, what it held, for how long, and what it did.

A month of a large site is a million rows. They are computed a part at a time in columns, wait on
disk as lines, and come out sorted.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from foundry_tui.estate.usage import HeldGpus, UsageRecord, Window
from foundry_tui.reports.columns import PLACES, Column, Kind, Value, line, names
from foundry_tui.reports.jobs import stored
from foundry_tui.reports.jobs.columns import COLUMNS
from foundry_tui.reports.jobs.sorting import Sorted, number_key, text_key
from foundry_tui.reports.jobs.sums import TrySums, costs
from foundry_tui.reports.joining.elapsed import Spans, second
from foundry_tui.reports.part import Part
from foundry_tui.reports.prices import Prices

SCHEMA_VERSION = 1

LEAST_COVERAGE_PCT = 5
"""Utilisation is left empty where less of the allocated time was seen."""

_AT = {column.name: place for place, column in enumerate(COLUMNS)}
_RUN, _SUBMIT = COLUMNS[_AT["run"]], COLUMNS[_AT["submit_utc"]]
_HEAD, _TAIL = COLUMNS[: _AT["run"]], COLUMNS[_AT["run"] + 1 : -1]
_ARRAY = re.compile(r"(\d+)_(\d+|\[[^\]]*\])")
_BATCH = 4096

Gpus = tuple[HeldGpus, ...] | None
"""What a try held, kind by kind; None where that is not told."""


class Jobs:
    """The rows of `jobs`, part by part; a run that still runs is counted up to `now`.

    `run` counts the tries of one job in the order of their start, as far as this window shows
    them. Rows are sorted by cluster, number and text of the raw id, submission and start. `folder`
    is where they wait to be sorted, None the system's folder for temporary files.
    """

    columns: Sequence[Column] = COLUMNS

    def __init__(
        self,
        window: Window,
        now: datetime,
        prices: Prices | None = None,
        *,
        folder: Path | None = None,
    ) -> None:
        self._window, self._now, self._prices = window, now, prices
        self._sorted = Sorted(folder)
        self._written = 0

    @property
    def written_hours(self) -> Decimal:
        """The sum of gpu_hours_in_window as the rows have it."""
        return Decimal(self._written).scaleb(-PLACES[Kind.HOURS])

    def __len__(self) -> int:
        return len(self._sorted)

    def add(self, part: Part) -> None:
        """The tries of one part.

        Raises:
            ReportError: there is no room for temporary files.
        """
        records = part.records
        if not records:
            return
        kinds = [record.gpus for record in records]
        columns = _said(records, kinds) | self._measured(part, kinds)
        self._written += sum(
            places for places in columns["gpu_hours_in_window"] if isinstance(places, int)
        )
        columns["window_start_utc"] = [second(self._window.start)] * len(records)
        columns["window_end_utc"] = [second(self._window.end)] * len(records)
        keys = _keys(columns)
        for begin in range(0, len(records), _BATCH):
            some = slice(begin, begin + _BATCH)
            self._sorted.add(keys[some], _kept({n: v[some] for n, v in columns.items()}))

    def rows(self) -> Iterator[Sequence[Value]]:
        """The rows of the file as values, as often as wanted; text stands as it does there."""
        kinds = [column.kind for column in COLUMNS]
        for fields in csv.reader(islice(self.lines(), 1, None), strict=True):
            yield [stored.value(kind, field) for kind, field in zip(kinds, fields, strict=True)]

    def lines(self) -> Iterator[str]:
        """The CSV file line by line, without the ends, as often as wanted: the header first.

        Each row gets the number of its try and the first submission of its run here.
        """
        yield line(names(COLUMNS))
        before, nth, first_submit = None, 0, ""
        for kept in self._sorted:
            head, run, tail = kept.split("\n")
            told, _, submit = run.partition(",")
            if head != before:
                before, nth, first_submit = head, 0, submit if told == "1" else ""
            nth = max(nth + 1, int(told))
            yield f"{head},{nth},{tail},{first_submit}"

    def close(self) -> None:
        """Give back the room on disk."""
        self._sorted.close()

    def _measured(self, part: Part, kinds: Sequence[Gpus]) -> dict[str, Sequence[str | int | None]]:
        """The columns of what the tries held and did."""
        records = part.records
        spans = Spans.of(records, self._now)
        doubtless = np.array([record.doubt is None for record in records], bool)
        timed = spans.known.astype(bool) & doubtless
        in_window = spans.elapsed_s(self._window)
        gpus = [_billed_milli(held) for held in kinds]
        told = np.array([milli is not None for milli in gpus], bool)
        milli = np.array([milli or 0 for milli in gpus], np.int64)
        sums = TrySums.of(part)
        allocated, seen = sums.allocated, sums.used + sums.idle
        # what no line stands for is nothing where that is sure: no GPU, or no time
        sure = timed & (sums.lined | told | (in_window == 0))
        some = sure & (seen > 0)
        enough = some & (100 * seen >= LEAST_COVERAGE_PCT * allocated)
        used, idle, unknown = stored.parted_hours(sums.used, sums.idle, sums.unknown)
        cost, currency = costs(part, self._prices)
        return {
            "elapsed_s": stored.where(timed, spans.work_s),
            "elapsed_in_window_s": stored.where(timed, in_window),
            "gpus_alloc": gpus,
            "gpu_hours": stored.where(
                timed & (told | (spans.work_s == 0)), stored.hours(milli * spans.work_s)
            ),
            "gpu_hours_in_window": stored.where(sure, stored.hours(allocated)),
            "gpu_util_pct": stored.where(enough, stored.pct(sums.busy, seen)),
            "gpu_mem_peak_mib": stored.where(sums.mem_peak_mib >= 0, sums.mem_peak_mib),
            "gpu_active_hours": stored.where(some, used),
            "gpu_idle_hours": stored.where(some, idle),
            "gpu_unknown_hours": stored.where(sure, unknown),
            "gpu_busy_equiv_hours": stored.where(some, stored.hours(sums.busy)),
            "energy_kwh": stored.where(sums.powered > 0, stored.kwh(sums.energy_j)),
            "telemetry_coverage_pct": stored.where(
                sure & (allocated > 0), stored.pct(seen, allocated)
            ),
            "attribution": [
                None if not ms else "none" if not known else "joint" if joint else "whole"
                for ms, known, joint in zip(
                    allocated.tolist(), seen.tolist(), sums.joint.tolist(), strict=True
                )
            ],
            "cost": cost,
            "currency": currency,
        }


def _kept(columns: Mapping[str, Sequence[str | int | None]]) -> list[str]:
    """Rows as they wait to be sorted: what stands before the number of the try, that and the time
    of submission, and what follows; with line ends between these, which no field has.
    """
    heads, tries, tails = (
        map(",".join, zip(*(stored.written(c.kind, columns[c.name]) for c in some), strict=True))
        for some in (_HEAD, (_RUN, _SUBMIT), _TAIL)
    )
    return list(map("\n".join, zip(heads, tries, tails, strict=True)))


def _said(
    records: Sequence[UsageRecord], kinds: Sequence[Gpus]
) -> dict[str, Sequence[str | int | None]]:
    """The columns that accounting tells as they stand."""
    arrays = [_ARRAY.fullmatch(record.native_id) for record in records]
    start = [_second(record.started_at) for record in records]
    eligible = [_second(record.eligible_at) for record in records]
    return {
        "cluster": [record.source for record in records],
        "job_id": [record.native_id for record in records],
        "job_id_raw": [record.raw_id for record in records],
        "sluid": [None] * len(records),
        "run": [record.restarts + 1 for record in records],
        "array_job_id": [array[1] if array else None for array in arrays],
        "array_task_id": [array[2] if array else None for array in arrays],
        "het_offset": [record.het_offset for record in records],
        "user": [record.user for record in records],
        "account": [record.account for record in records],
        "partition": [record.queue for record in records],
        "qos": [record.qos for record in records],
        "reservation": [record.reservation for record in records],
        "job_name": [record.name for record in records],
        "state": [record.state.value for record in records],
        "exit_code": [record.exit_code for record in records],
        "submit_utc": [_second(record.submitted_at) for record in records],
        "eligible_utc": eligible,
        "start_utc": start,
        "end_utc": [_second(record.ended_at) for record in records],
        "suspended_s": [record.suspended_s for record in records],
        "wait_s": [
            None if began is None or could is None else max(0, began - could)
            for began, could in zip(start, eligible, strict=True)
        ],
        "nodes_count": [len(record.nodes) for record in records],
        "gpu_type": [_types(held) for held in kinds],
        "gpu_util_peak_pct_slurm": [
            None if record.gpu_util_peak_pct is None else round(record.gpu_util_peak_pct * 100)
            for record in records
        ],
    }


def _second(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() // 1)


def _billed_milli(kinds: Gpus) -> int | None:
    """Thousandths of GPUs as billed, None where a part of them has no weight."""
    if kinds is None:
        return None
    total = 0
    for held in kinds:
        billed = held.billed_milli
        if billed is None or held.milli is None:
            return None
        total += billed
    return total


def _types(kinds: Gpus) -> str | None:
    """The kinds of GPUs, each once, in the order of the alphabet, with semicolons between them."""
    if not kinds:
        return None
    if len(kinds) == 1:
        return kinds[0].gpu_type
    return ";".join(sorted({held.gpu_type for held in kinds if held.gpu_type})) or None


def _keys(columns: Mapping[str, Sequence[Any]]) -> list[bytes]:
    """Numeric ids sort by their number, other ids before them by their text."""
    names_ = ("cluster", "job_id_raw", "submit_utc", "start_utc")
    return [
        text_key(cluster)
        + number_key(int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 19 else -1)
        + text_key(raw)
        + number_key(submit or 0)
        + number_key(start or 0)
        for cluster, raw, submit, start in zip(*map(columns.__getitem__, names_), strict=True)
    ]
