"""The live table of a plan's moves, in the order in which the plan proposes them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from operator import attrgetter

from foundry_tui.estate.filter import Field
from foundry_tui.estate.plan import Move
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.presenters.plan import MOVES, move_cells
from foundry_tui.presenters.records.acts import move_record
from foundry_tui.presenters.rows.model import GridColumn, Rows, Tone, folded, lazy, natural

MOVE_FIELDS = {
    "id": Field("text"),
    "action": Field("text"),
    "target": Field("text", ("run", "node"), fuzzy=True),
    "risk": Field("text"),
    "owner": Field("text", ("user",)),
    "gain": Field("number"),
    "cost": Field("number"),
}
"""What the filter language sees of a move; gain and cost are GPU-hours."""

_RISKS = ("low", "medium", "high")


def _risk_tone(move: Move, _text: SafeText) -> Tone:
    return {"low": "good", "high": "bad"}.get(move.risk, "warn")  # type: ignore[return-value]


def _starts(move: Move, _now: datetime) -> datetime | None:
    return move.starts_at


def _cells(move: Move, _now: datetime) -> tuple[SafeText, ...]:
    """As `move_cells`, with the target by its own scheduler's id: the source's name takes room."""
    cells = move_cells(move)
    return (*cells[:2], safe(move.target.id.partition("/")[2] or move.target.id), *cells[3:])


MOVE_ROWS: Rows[Move] = Rows(
    noun="move",
    plural="moves",
    columns=(
        GridColumn(id="move", column=MOVES[0], order=lambda m, _: natural(m.id)),
        GridColumn(id="action", column=MOVES[1], order=lambda m, _: m.action),
        GridColumn(
            id="target",
            column=replace(MOVES[2], min_width=8, stretch=True),
            order=lambda m, _: natural(m.target.id),
        ),
        GridColumn(id="to", column=MOVES[3], order=lambda m, _: folded(move_cells(m)[3])),
        GridColumn(id="gpus", column=MOVES[4], order=lambda m, _: m.gpu_milli),
        GridColumn(id="gain", column=MOVES[5], order=lambda m, _: m.gain),
        GridColumn(id="cost", column=MOVES[6], order=lambda m, _: m.cost),
        GridColumn(
            id="risk",
            column=MOVES[7],
            order=lambda m, _: _RISKS.index(m.risk) if m.risk in _RISKS else None,
            tone=_risk_tone,
        ),
        GridColumn(id="owner", column=MOVES[8], order=lambda m, _: folded(m.owner)),
        GridColumn(id="starts", column=MOVES[9], order=_starts),
    ),
    key=attrgetter("id"),
    cells=_cells,
    glyph=lambda move: "!" if move.owner else "",
    fields=MOVE_FIELDS,
    get=lazy(
        attrgetter("id"),
        MOVE_FIELDS,
        {
            "id": attrgetter("id"),
            "action": attrgetter("action"),
            "target": attrgetter("target.id"),
            "risk": attrgetter("risk"),
            "owner": attrgetter("owner"),
            "gain": attrgetter("gain"),
            "cost": attrgetter("cost"),
        },
        {},
    ),
    record=lambda move, _: move_record(move),
    copied=(("target", lambda m: str(m.target.id)),),
)
"""Moves; `!` marks one that somebody else must agree to."""
