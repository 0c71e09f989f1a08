"""The live table of any report: its columns from the report's own, the telling ones first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from foundry_tui.estate import csvtext
from foundry_tui.estate.filter import Field
from foundry_tui.estate.filter import Kind as FieldKind
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.presenters import units
from foundry_tui.presenters.rows.model import (
    GridColumn,
    Rows,
    Tone,
    folded,
    lazy,
    natural,
    state_tone,
)
from foundry_tui.presenters.table import Column as Shape
from foundry_tui.reports.columns import Column, Kind, Row, names

TELLING: Mapping[str, str] = {
    "usage-by-account": (
        "account period_start_utc gpu_type gpu_allocated_hours gpu_active_hours gpu_idle_hours "
        "gpu_unknown_hours telemetry_coverage_pct gpu_util_pct cost_allocated currency jobs_count"
    ),
    "usage-by-user": (
        "user period_start_utc account gpu_type gpu_allocated_hours gpu_active_hours "
        "gpu_idle_hours gpu_unknown_hours telemetry_coverage_pct gpu_util_pct failed_gpu_hours "
        "wait_p50_s wait_p90_s jobs_count"
    ),
    "jobs": (
        "job_id job_name user account state gpus_alloc gpu_hours_in_window gpu_active_hours "
        "gpu_idle_hours gpu_unknown_hours gpu_util_pct elapsed_in_window_s wait_s partition "
        "gpu_type start_utc end_utc"
    ),
    "gpu-health": (
        "node gpu_index period_start_utc model seen_hours allocated_hours busy_hours "
        "idle_while_allocated_hours down_hours util_pct temp_max_c ecc_dbe_count last_xid"
    ),
    "capacity": (
        "cluster partition period_start_utc gpu_type gpus_total_hours allocated_hours idle_hours "
        "drained_hours down_hours unknown_hours stranded_hours fragmentation_pct "
        "pending_gpu_hours wait_p50_s wait_p90_s"
    ),
    "queue-balance": (
        "queue quota_gpus allocated_gpus used_gpus pending_gpus borrowed_gpus lent_gpus "
        "starved_minutes recommended_quota_gpus reason util_pct coverage_pct"
    ),
}
"""Report -> the columns that stand first on the screen; the others follow in the file's order."""

_TITLES = {
    "period_start_utc": "PERIOD",
    "gpu_allocated_hours": "ALLOC H",
    "gpu_hours_in_window": "GPU H",
    "gpu_hours": "GPU H IN ALL",
    "gpu_active_hours": "USED H",
    "gpu_idle_hours": "IDLE H",
    "gpu_unknown_hours": "UNKNOWN H",
    "telemetry_coverage_pct": "SEEN %",
    "gpu_util_pct": "UTIL %",
    "gpus_alloc": "GPUS",
    "job_id": "JOB",
    "job_name": "NAME",
    "partition": "QUEUE",
    "elapsed_in_window_s": "RAN",
    "wait_s": "WAITED",
    "gpu_index": "GPU",
    "last_xid_utc": "LAST XID AT",
    "gpus_total_hours": "TOTAL H",
    "idle_while_allocated_hours": "HELD IDLE H",
    "recommended_quota_gpus": "ADVISED",
}
"""Column -> its title, where its name is too long for one."""

_ENDINGS = (("_hours", " H"), ("_pct", " %"), ("_utc", ""), ("_count", ""), ("_kwh", " KWH"))

_AS_TEXT = (Kind.TEXT, Kind.TIME, Kind.FLAG)
"""Kinds that filters compare as text."""

_TONES: Mapping[str, Tone] = {"gpu_idle_hours": "warn", "gpu_unknown_hours": "dim"}

_PLACES = {Kind.HOURS: 2, Kind.PCT: 1, Kind.MONEY: 2, Kind.ENERGY: 2}
"""Places behind the point on the screen; the file has more."""

_ALIASES = {
    "partition": ("queue", "project"),
    "job_id": ("id", "job"),
    "job_name": ("name",),
    "gpus_alloc": ("gpus", "gpu"),
    "gpu_hours_in_window": ("hours",),
    "gpu_allocated_hours": ("hours", "allocated"),
    "gpu_active_hours": ("used", "active"),
    "gpu_idle_hours": ("idle",),
    "gpu_unknown_hours": ("unknown",),
    "gpu_util_pct": ("util",),
    "telemetry_coverage_pct": ("seen", "coverage"),
    "wait_s": ("wait",),
    "cluster": ("source",),
}
"""Column -> short names of it in filters."""

_WIDTHS = {"gpu_type": 12, "model": 12, "reason": 24}
"""Column -> the cells below which its texts cannot be told apart."""

_COPIED = ("job_id", "job_name", "account", "user", "node", "uuid", "queue", "partition")
"""Columns whose values are copied alone, those that a report has."""


def report_rows(name: str, columns: Sequence[Column], *, cut: bool = True) -> Rows[Row]:
    """What the table needs to know of the rows of one report; `cut` into periods, or not."""
    placed = _ordered(name, columns, cut)
    fields = {c.name: Field(_filtered(c), _ALIASES.get(c.name, ())) for c in columns}
    key = _key(columns)
    have = names(columns)
    stands = "partition" if name == "capacity" else ""
    return Rows(
        noun="row",
        plural="rows",
        columns=tuple(_column(c, first=n == 0, place=n) for n, c in enumerate(placed)),
        key=key,
        cells=lambda row, _: [_cell(c, row.get(c.name), stands) for c in placed],
        glyph=_glyph,
        fields=fields,
        get=lazy(key, fields, {c.name: _getter(c) for c in columns}, {}),
        record=lambda row, _: {one: row.get(one) for one in have},
        copied=tuple((one.replace("_", " "), _text_of(one)) for one in _COPIED if one in have),
        csv=have,
    )


def _ordered(name: str, columns: Sequence[Column], cut: bool) -> list[Column]:
    """The telling columns first; a period that all rows have is none of them."""
    known = {c.name: c for c in columns if cut or c.name != "period_start_utc"}
    first = [known[one] for one in TELLING.get(name, "").split() if one in known]
    return [*first, *(column for column in columns if column not in first)]


def title(column: str) -> str:
    """The title of a column of the file."""
    if column in _TITLES:
        return _TITLES[column]
    words = column.removeprefix("gpu_")
    for ending, unit in _ENDINGS:
        if words.endswith(ending):
            return words.removesuffix(ending).replace("_", " ").upper() + unit
    return words.removesuffix("_s").replace("_", " ").upper()


def _column(column: Column, *, first: bool, place: int) -> GridColumn[Row]:
    text = column.kind in (Kind.TEXT, Kind.FLAG)
    head = title(column.name)
    shape = Shape(
        head,
        "left" if text or column.kind is Kind.TIME else "right",
        min_width=_WIDTHS.get(column.name, max(6, min(9, len(head)))),
        stretch=text and column.name != "state",
        priority=0 if first else place,
        state=column.name == "state",
    )
    return GridColumn(
        id=column.name, column=shape, order=_order(column), tone=_tone_of(column.name)
    )


def _tone_of(name: str) -> Callable[[Row, SafeText], Tone] | None:
    if name == "state":
        return state_tone
    if name not in _TONES:
        return None
    return lambda _, text: "" if text in (units.UNKNOWN, "0.00") else _TONES[name]


def _order(column: Column) -> Callable[[Row, datetime], Any]:
    name = column.name
    if column.kind is not Kind.TEXT:
        return lambda row, _: row.get(name)
    if name.endswith(("_id", "_id_raw")) or name == "node":
        return lambda row, _: natural(str(row[name])) if row.get(name) else None
    return lambda row, _: folded(str(row.get(name) or ""))


def _cell(column: Column, value: object, all_where_empty: str) -> SafeText:
    """A value for reading: durations in the two largest units, fewer places than the file.

    Where the column `all_where_empty` is empty, the row is of all there are.
    """
    if value is None or value == "":
        return SafeText("(all)") if column.name == all_where_empty else units.UNKNOWN
    if isinstance(value, datetime):
        return units.when(value)
    if isinstance(value, bool):
        return SafeText("yes" if value else "no")
    if isinstance(value, Decimal):
        places = _PLACES.get(column.kind)
        return units.number(float(value)) if places is None else SafeText(f"{value:.{places}f}")
    if isinstance(value, int):
        return units.duration(value) if column.name.endswith("_s") else SafeText(str(value))
    return safe(str(value))


def _filtered(column: Column) -> FieldKind:
    if column.kind in _AS_TEXT:
        return "text"
    return "duration_s" if column.name.endswith("_s") else "number"


def _getter(column: Column) -> Callable[[Row], object]:
    name = column.name

    def get(row: Row) -> object:
        value = row.get(name)
        if isinstance(value, datetime):
            return csvtext.rfc3339(value)
        if isinstance(value, bool):
            return "true" if value else "false"
        return float(value) if isinstance(value, Decimal) else value

    return get


def _text_of(name: str) -> Callable[[Row], str]:
    return lambda row: str(row.get(name) or "")


def _key(columns: Sequence[Column]) -> Callable[[Row], str]:
    """What tells rows apart: all that is no measure, which differs between any two rows."""
    telling = [c.name for c in columns if c.kind in (Kind.TEXT, Kind.TIME) or c.name in _NUMBERED]
    return lambda row: "\x1f".join([str(row.get(one)) for one in telling])


_NUMBERED = frozenset({"run", "het_offset", "array_task_id", "gpu_index", "minor"})


def _glyph(row: Row) -> str:
    """`x` of a run that failed, `?` where nothing is known of what the GPUs did."""
    if row.get("state") in ("failed", "node_fail", "out_of_memory"):
        return "x"
    whole = row.get("gpu_allocated_hours", row.get("gpu_hours_in_window"))
    return "?" if whole and row.get("gpu_unknown_hours") == whole else ""


NOTHING_YET: Rows[Row] = report_rows("", (Column("report", Kind.TEXT, "its rows"),))
"""Stands in the table until a report is made."""
