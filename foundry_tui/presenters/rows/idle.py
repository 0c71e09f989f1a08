"""The live table of runs that hold GPUs without using them."""

from __future__ import annotations

from datetime import datetime
from operator import attrgetter

from foundry_tui.estate.filter import Field
from foundry_tui.estate.text import safe
from foundry_tui.estate.waste import Idle
from foundry_tui.presenters import units
from foundry_tui.presenters.records import Record
from foundry_tui.presenters.records.nouns import placement
from foundry_tui.presenters.rows.model import GridColumn, Rows, folded, natural
from foundry_tui.presenters.table import Column
from foundry_tui.presenters.tables import Cells, placement_text, short_id, text

_FIELDS = {
    "run": Field("text", fuzzy=True),
    "user": Field("text", ("owner",)),
    "gpus": Field("number"),
    "idle_s": Field("duration_s", ("idle",)),
    "gpu_hours": Field("number", ("wasted",)),
    "node": Field("set"),
}


def _native(idle: Idle) -> str:
    return idle.run.partition("/")[2]


def _cells(idle: Idle, now: datetime) -> Cells:
    return (
        safe(short_id(_native(idle))),
        text(idle.user),
        units.gpus(idle.milli),
        units.duration(units.since_s(idle.since, now)),
        units.gpu_hours(idle.gpu_hours),
        placement_text(idle.placement),
    )


def _record(idle: Idle, now: datetime) -> Record:
    return {
        "run": idle.run,
        "user": idle.user,
        "gpu_milli": idle.milli,
        "idle_since": idle.since,
        "gpu_hours_idle": round(idle.gpu_hours, 2),
        "placement": placement(idle.placement),
    }


def _fields(idle: Idle, now: datetime) -> dict[str, object]:
    return {
        "run": idle.run,
        "user": idle.user,
        "gpus": idle.milli / 1000,
        "idle_s": units.since_s(idle.since, now),
        "gpu_hours": idle.gpu_hours,
        "node": tuple(part.node for part in idle.placement),
    }


IDLE_ROWS: Rows[Idle] = Rows(
    noun="idle run",
    plural="idle",
    columns=(
        GridColumn(
            id="run",
            column=Column("RUN", min_width=6, stretch=True),
            order=lambda i, _: natural(i.run),
        ),
        GridColumn(
            id="user",
            column=Column("USER", min_width=5, stretch=True),
            order=lambda i, _: folded(i.user),
        ),
        GridColumn(id="gpus", column=Column("GPUS", "right"), order=lambda i, _: i.milli),
        GridColumn(
            id="idle",
            column=Column("IDLE", "right"),
            order=lambda i, now: units.since_s(i.since, now),
            typical=6,
        ),
        GridColumn(
            id="gpuh",
            column=Column("GPU-H", "right"),
            order=lambda i, _: i.gpu_hours,
            tone=lambda _i, _t: "warn",
        ),
        GridColumn(
            id="where",
            column=Column("WHERE", min_width=8, priority=1, stretch=True),
            order=lambda i, _: natural(placement_text(i.placement)),
        ),
    ),
    key=attrgetter("run"),
    cells=_cells,
    glyph=lambda _: "!",
    fields=_FIELDS,
    get=lambda idle, now: _fields(idle, now).get,
    record=_record,
    copied=(("id", attrgetter("run")),),
)
