"""The live table of what experiments cost beside what they reached, one row per user."""

from __future__ import annotations

from operator import attrgetter

from foundry_tui.estate.filter import Field
from foundry_tui.estate.text import SafeText
from foundry_tui.experiments.waste import Spent
from foundry_tui.presenters import units
from foundry_tui.presenters.rows.model import GridColumn, Rows, Tone, folded, lazy
from foundry_tui.presenters.table import Column
from foundry_tui.presenters.tracked import metric_text

LITTLE_PCT = 10.0
"""Of measured GPU-hours so little use wants a look."""

_FIELDS = {
    "experiment": Field("text", ("exp",), fuzzy=True),
    "user": Field("text"),
    "runs": Field("number"),
    "live": Field("number"),
    "gpu_hours": Field("number"),
    "util_pct": Field("number", ("util",)),
    "unused_hours": Field("number", ("unused",)),
    "best": Field("number"),
}
CSV = (
    "experiment_id",
    "experiment",
    "user",
    "runs",
    "live",
    "told",
    "gpu_hours",
    "measured_hours",
    "used_hours",
    "energy_kwh",
    "cost",
    "currency",
    "metric",
    "best",
    "best_run",
)


def spent_rows() -> Rows[Spent]:
    """Experiments and users; `!` marks those whose GPUs hardly worked."""
    return Rows(
        noun="experiment's user",
        plural="spent",
        columns=(
            GridColumn(
                id="experiment",
                column=Column("EXPERIMENT", min_width=10, stretch=True),
                order=lambda s, _: folded(s.experiment),
            ),
            GridColumn(
                id="user",
                column=Column("USER", min_width=6, stretch=True),
                order=lambda s, _: folded(s.user),
            ),
            GridColumn(id="runs", column=Column("RUNS", "right"), order=lambda s, _: s.runs),
            GridColumn(
                id="live", column=Column("LIVE", "right", priority=3), order=lambda s, _: s.live
            ),
            GridColumn(
                id="gpu_hours", column=Column("GPU-H", "right"), order=lambda s, _: s.gpu_hours
            ),
            GridColumn(
                id="unused",
                column=Column("UNUSED", "right", priority=1),
                order=lambda s, _: s.unused_hours,
            ),
            GridColumn(
                id="util",
                column=Column("UTIL", "right"),
                order=lambda s, _: s.util_pct,
                tone=_util_tone,
            ),
            GridColumn(
                id="cost", column=Column("COST", "right", priority=4), order=lambda s, _: s.cost
            ),
            GridColumn(
                id="best",
                column=Column("BEST", "right", min_width=8, priority=2, stretch=True),
                order=lambda s, _: s.best,
            ),
        ),
        key=_key,
        cells=lambda s, _: (
            s.experiment,
            s.user or units.UNKNOWN,
            SafeText(str(s.runs)),
            SafeText(str(s.live)),
            units.gpu_hours(s.gpu_hours),
            units.gpu_hours(s.unused_hours),
            units.percent(s.util_pct),
            units.UNKNOWN if s.cost is None else SafeText(f"{float(s.cost):.2f} {s.currency}"),
            units.UNKNOWN if s.best is None else SafeText(f"{s.metric} {metric_text(s.best)}"),
        ),
        glyph=lambda s: "!" if _little(s) else "",
        fields=_FIELDS,
        get=lazy(
            _key,
            _FIELDS,
            {name: attrgetter(name) for name in _FIELDS},
            {},
        ),
        record=lambda s, _: {
            name: float(s.cost) if name == "cost" and s.cost is not None else getattr(s, name)
            for name in CSV
        },
        copied=(("experiment", lambda s: s.experiment),),
        csv=CSV,
    )


def _key(row: Spent) -> str:
    return f"{row.experiment_id}/{row.user or ''}"


def _little(row: Spent) -> bool:
    return row.util_pct is not None and row.util_pct < LITTLE_PCT


def _util_tone(row: Spent, _text: SafeText) -> Tone:
    return "warn" if _little(row) else ""
