"""The tracked side of a run: status, parameters and latest metrics; and what reconciling did."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from foundry_tui.estate.recorded import EXIT_TAG, REASON_TAG
from foundry_tui.estate.text import SafeText, cells, safe
from foundry_tui.presenters import units
from foundry_tui.presenters.page import Style, finish, wrap
from foundry_tui.presenters.table import Column, draw

LARGEST = 1.797e308
"""From here on a value stands for infinity: a tracking server keeps the largest double instead."""

MOST_PARAMS = 100
"""Parameters that a page spells out; of the rest the number is told."""

SYNC_COLUMNS = (
    Column("RUN"),
    Column("JOB", state=True),
    Column("BEFORE"),
    Column("AFTER"),
    Column("DID"),
    Column("RECORD", priority=2, stretch=True, min_width=8),
    Column("WHY", priority=1, stretch=True, min_width=12),
)


class Value(Protocol):
    """One value of a metric."""

    @property
    def step(self) -> int: ...
    @property
    def at(self) -> datetime: ...
    @property
    def value(self) -> float: ...


class TrackedRecord(Protocol):
    """The run as the tracking server has it."""

    @property
    def status(self) -> str: ...
    @property
    def started_at(self) -> datetime | None: ...
    @property
    def ended_at(self) -> datetime | None: ...
    @property
    def params(self) -> Mapping[str, SafeText]: ...
    @property
    def metrics(self) -> Mapping[str, Value]: ...
    @property
    def tags(self) -> Mapping[str, str]: ...


class TrackedSide(Protocol):
    """What is known of a run's record: without one, `reason` says why."""

    @property
    def server(self) -> str | None: ...
    @property
    def experiment(self) -> SafeText | None: ...
    @property
    def mlflow_run_id(self) -> str | None: ...
    @property
    def address(self) -> str | None: ...
    @property
    def record(self) -> TrackedRecord | None: ...
    @property
    def reason(self) -> SafeText | None: ...
    @property
    def note(self) -> str | None: ...
    @property
    def at_risk(self) -> str | None: ...


class Reconciled(Protocol):
    """What a pass did about one run."""

    @property
    def source(self) -> str: ...
    @property
    def token(self) -> str: ...
    @property
    def native_id(self) -> str | None: ...
    @property
    def mlflow_run_id(self) -> str | None: ...
    @property
    def experiment(self) -> str: ...
    @property
    def state(self) -> str | None: ...
    @property
    def before(self) -> str | None: ...
    @property
    def after(self) -> str | None: ...
    @property
    def did(self) -> str: ...
    @property
    def words(self) -> str: ...


def metric_text(value: float) -> SafeText:
    """A metric to six digits; NaN, ∞ and -∞ by name, also where a server keeps a huge number."""
    if math.isnan(value):
        return SafeText("NaN")
    if abs(value) >= LARGEST:
        return SafeText("∞" if value > 0 else "-∞")
    return SafeText(f"{value:.6g}")


def tracked_pairs(tracked: TrackedSide) -> list[tuple[str, str]]:
    """The record in names and values: where it is, its status, its page."""
    record = tracked.record
    known = [
        ("experiment", tracked.experiment or ""),
        ("record", tracked.mlflow_run_id or ""),
        ("status", record.status if record else ""),
        ("began", units.when(record.started_at) if record and record.started_at else ""),
        ("ended", units.when(record.ended_at) if record and record.ended_at else ""),
        ("reason", safe(record.tags.get(REASON_TAG, "")) if record else ""),
        ("exit code", safe(record.tags.get(EXIT_TAG, "")) if record else ""),
        ("page", tracked.address or ""),
        ("note", tracked.note or ""),
        ("if killed now", tracked.at_risk or ""),
        ("not known", tracked.reason or ""),
    ]
    return [(key, value) for key, value in known if value]


def metric_pairs(record: TrackedRecord) -> list[tuple[str, str]]:
    """The latest value of each metric, with its step."""
    return [
        (key, f"{metric_text(point.value)} (step {point.step}, {units.when(point.at)})")
        for key, point in sorted(record.metrics.items())
    ]


def tracked_lines(tracked: TrackedSide, style: Style) -> list[str]:
    """The record as a part of a run's page."""
    lines = ["In MLflow's words", *_pairs(tracked_pairs(tracked), style)]
    record = tracked.record
    if record is None:
        return lines
    params = sorted(record.params.items())
    if params:
        lines += ["", "Parameters", *_pairs(params[:MOST_PARAMS], style)]
    if len(params) > MOST_PARAMS:
        lines.append(f"  and {len(params) - MOST_PARAMS} more")
    if record.metrics:
        lines += ["", "Latest metrics", *_pairs(metric_pairs(record), style)]
    return lines


def sync_text(items: Sequence[Reconciled], style: Style) -> str:
    """What a pass did, one line per run that it looked at."""
    if not items:
        return finish(wrap("Every linked run is settled: nothing to do.", style.width), style)
    rows = [
        [
            safe(f"{item.source}/{item.native_id}" if item.native_id else item.token),
            SafeText(item.state or units.UNKNOWN),
            SafeText(item.before or units.UNKNOWN),
            SafeText(item.after or units.UNKNOWN),
            SafeText(item.did),
            SafeText(item.mlflow_run_id or units.UNKNOWN),
            safe(item.words, max_cells=400),
        ]
        for item in items
    ]
    return finish(draw(SYNC_COLUMNS, rows, style).lines, style)


def _pairs(pairs: Sequence[tuple[str, str]], style: Style) -> list[str]:
    wide = min(30, max((cells(safe(key)) for key, _ in pairs), default=0))
    lines: list[str] = []
    for key, value in pairs:
        shown = safe(key)
        head = f"  {shown}{' ' * (wide - cells(shown))}  "
        lines += wrap(value, style.width, first=head, rest=" " * (wide + 4))
    return lines
