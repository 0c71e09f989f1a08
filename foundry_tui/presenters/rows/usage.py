"""The live table of the report `jobs`: one row per try of a run, as the CSV file has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from foundry_tui.estate.filter import Field
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.presenters import units
from foundry_tui.presenters.rows.model import GridColumn, Rows, folded, natural, state_tone
from foundry_tui.presenters.table import Column

Usage = Mapping[str, Any]
"""One row of the report by column; None is unknown."""

USAGE_FIELDS = {
    "id": Field("text"),
    "name": Field("text", fuzzy=True),
    "user": Field("text"),
    "account": Field("text"),
    "queue": Field("text", ("partition", "project")),
    "state": Field("text"),
    "gpu_hours": Field("number", ("hours",)),
    "gpus": Field("number", ("gpu",)),
    "wait_s": Field("duration_s", ("wait",)),
}
"""What the filter language sees of a row."""

_FIELD_COLUMNS = {
    "id": "job_id",
    "name": "job_name",
    "user": "user",
    "account": "account",
    "queue": "partition",
    "state": "state",
    "gpu_hours": "gpu_hours_in_window",
    "gpus": "gpus_alloc",
    "wait_s": "wait_s",
}


def _number(row: Usage, column: str) -> float | None:
    value = row.get(column)
    return None if value is None or value == "" else float(value)


def _text(row: Usage, column: str) -> str:
    return str(row.get(column) or "")


def usage_cells(row: Usage, _now: datetime) -> tuple[SafeText, ...]:
    """The cells of one row, in the order of the columns."""
    return (
        safe(_text(row, "job_id")),
        safe(_text(row, "job_name")),
        safe(_text(row, "user")),
        safe(_text(row, "account")),
        safe(_text(row, "partition")),
        safe(_text(row, "state")),
        units.number(_number(row, "gpus_alloc")),
        units.number(_number(row, "gpu_hours_in_window")),
        units.duration(_number(row, "elapsed_in_window_s")),
        units.duration(_number(row, "wait_s")),
        units.percent(_number(row, "gpu_util_pct")),
        safe(_text(row, "cluster")),
    )


def _words(
    column_id: str, title: str, column: str, width: int, priority: int = 0
) -> GridColumn[Usage]:
    return GridColumn(
        id=column_id,
        column=Column(title, min_width=width, stretch=True, priority=priority),
        order=lambda row, _: folded(_text(row, column)),
    )


def _measure(column_id: str, title: str, column: str, priority: int = 0) -> GridColumn[Usage]:
    return GridColumn(
        id=column_id,
        column=Column(title, "right", priority=priority),
        order=lambda row, _: _number(row, column),
    )


def _key(row: Usage) -> str:
    return "/".join((_text(row, "cluster"), _text(row, "job_id_raw"), _text(row, "run")))


def _getter(name: str) -> Callable[[Usage], object]:
    column = _FIELD_COLUMNS[name]
    if USAGE_FIELDS[name].kind == "text":
        return lambda row: row.get(column)
    return lambda row: _number(row, column)


USAGE_ROWS: Rows[Usage] = Rows(
    noun="row",
    plural="rows",
    columns=(
        GridColumn(
            id="job",
            column=Column("JOB", min_width=9, stretch=True),
            order=lambda row, _: natural(_text(row, "job_id")),
        ),
        _words("name", "NAME", "job_name", 8),
        _words("user", "USER", "user", 6),
        _words("account", "ACCOUNT", "account", 7, priority=3),
        _words("queue", "QUEUE", "partition", 5, priority=4),
        GridColumn(
            id="state",
            column=Column("STATE", state=True),
            order=lambda row, _: _text(row, "state"),
            tone=state_tone,
        ),
        _measure("gpus", "GPUS", "gpus_alloc"),
        _measure("hours", "GPUH", "gpu_hours_in_window"),
        _measure("ran", "RAN", "elapsed_in_window_s", 1),
        _measure("waited", "WAITED", "wait_s", 2),
        _measure("util", "UTIL", "gpu_util_pct", 5),
        _words("source", "SOURCE", "cluster", 6, priority=6),
    ),
    key=_key,
    cells=usage_cells,
    glyph=lambda row: (
        "x" if _text(row, "state") in ("failed", "node_fail", "out_of_memory") else ""
    ),
    fields=USAGE_FIELDS,
    get=lambda row, _: (
        lambda name: (
            _number(row, _FIELD_COLUMNS[name])
            if USAGE_FIELDS[name].kind != "text"
            else row.get(_FIELD_COLUMNS.get(name, name))
        )
    ),
    record=lambda row, _: dict(row),
    copied=(
        ("job", lambda row: _text(row, "job_id")),
        ("name", lambda row: _text(row, "job_name")),
    ),
)
"""Rows of the report, in the order of the file."""
