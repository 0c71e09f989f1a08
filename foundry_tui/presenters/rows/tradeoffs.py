"""The live table of a plan's trade-offs, one row per point after the first."""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter

from foundry_tui.estate.filter import Field
from foundry_tui.estate.text import SafeText
from foundry_tui.estate.tradeoff import TradeOff
from foundry_tui.presenters.records.acts import tradeoff_record
from foundry_tui.presenters.rows.model import GridColumn, Rows, Tone, lazy
from foundry_tui.presenters.tradeoffs import POINTS, point_cells

_FIELDS = {
    "moves": Field("number"),
    "gain": Field("number"),
    "cost": Field("number"),
    "net": Field("number"),
    "asks": Field("number"),
    "stops": Field("number"),
    "adds": Field("set"),
}


def _tone(point: TradeOff, _text: SafeText) -> Tone:
    return "warn" if point.disturbed else "good"


TRADEOFF_ROWS: Rows[TradeOff] = Rows(
    noun="trade-off",
    plural="tradeoffs",
    columns=(
        GridColumn(id="moves", column=POINTS[0], order=lambda p, _: p.moves),
        GridColumn(
            id="adds", column=replace(POINTS[1], min_width=4), order=lambda p, _: p.added[-1:]
        ),
        GridColumn(id="gain", column=POINTS[2], order=lambda p, _: p.gain),
        GridColumn(id="cost", column=POINTS[3], order=lambda p, _: p.cost),
        GridColumn(id="net", column=POINTS[4], order=lambda p, _: p.net),
        GridColumn(id="gpus", column=POINTS[5], order=lambda p, _: p.gpus_allocated),
        GridColumn(id="ask", column=POINTS[6], order=lambda p, _: len(p.owners), tone=_tone),
        GridColumn(id="stops", column=POINTS[7], order=lambda p, _: len(p.stopped)),
    ),
    key=lambda point: str(point.moves),
    cells=lambda point, _: point_cells(point),
    glyph=lambda point: "?" if point.gain_unknown else "",
    fields=_FIELDS,
    get=lazy(
        lambda point: str(point.moves),
        _FIELDS,
        {
            "moves": attrgetter("moves"),
            "gain": attrgetter("gain"),
            "cost": attrgetter("cost"),
            "net": attrgetter("net"),
            "asks": lambda p: len(p.owners),
            "stops": lambda p: len(p.stopped),
            "adds": attrgetter("added"),
        },
        {},
    ),
    record=lambda point, _: tradeoff_record(point),
    copied=(("moves", lambda p: " ".join(p.added)),),
)
"""Points of the trade-off; `?` marks one in which the gain of a move is not known."""
