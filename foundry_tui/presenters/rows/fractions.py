"""The live tables of shares with what they cost, and of runs with what they could ask for."""

from __future__ import annotations

from datetime import datetime
from operator import attrgetter

from foundry_tui.estate.filter import Field
from foundry_tui.estate.fractions import ShareAdvice, ShareCost
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.presenters.fractions import (
    ADVICE,
    COSTS,
    LEAST_STRANDED_MILLI,
    advice_cells,
    cost_cells,
)
from foundry_tui.presenters.records.fractions import advice_record, cost_record
from foundry_tui.presenters.rows.model import (
    GridColumn,
    Rows,
    Tone,
    folded,
    lazy,
    natural,
    state_tone,
)

_FIELDS = {
    "run": Field("text", fuzzy=True),
    "user": Field("text", ("owner",)),
    "state": Field("text"),
    "asks": Field("number"),
    "costs": Field("number"),
    "safe": Field("number"),
    "advised": Field("number"),
    "basis": Field("text"),
}
"""What the filter language sees; shares are thousandths of a GPU."""

_COST_FIELDS = {
    "share": Field("number"),
    "source": Field("text"),
    "asked": Field("number"),
    "costs": Field("number"),
    "strands": Field("number"),
    "instead": Field("number"),
}


def _strands(cost: ShareCost) -> bool:
    return cost.stranded_milli >= LEAST_STRANDED_MILLI


def _cost_key(cost: ShareCost) -> str:
    return f"{cost.source}/{cost.milli}"


COST_ROWS: Rows[ShareCost] = Rows(
    noun="share",
    plural="shares",
    columns=(
        GridColumn(id="share", column=COSTS[0], order=lambda c, _: c.milli),
        GridColumn(id="source", column=COSTS[1], order=lambda c, _: natural(c.source)),
        GridColumn(id="asked", column=COSTS[2], order=lambda c, _: c.asked_by),
        GridColumn(id="costs", column=COSTS[3], order=lambda c, _: c.effective_milli),
        GridColumn(
            id="strands",
            column=COSTS[4],
            order=lambda c, _: c.stranded_milli,
            tone=lambda c, _: "warn" if _strands(c) else "good",
        ),
        GridColumn(id="beside", column=COSTS[5], order=lambda c, _: c.partners),
        GridColumn(id="instead", column=COSTS[6], order=lambda c, _: c.instead_milli),
        GridColumn(
            id="instead_costs", column=COSTS[7], order=lambda c, _: c.instead_effective_milli
        ),
    ),
    key=_cost_key,
    cells=lambda cost, _: cost_cells(cost),
    glyph=lambda cost: "!" if _strands(cost) and cost.asked_by else "",
    fields=_COST_FIELDS,
    get=lazy(
        _cost_key,
        _COST_FIELDS,
        {
            "share": attrgetter("milli"),
            "source": attrgetter("source"),
            "asked": attrgetter("asked_by"),
            "costs": attrgetter("effective_milli"),
            "strands": attrgetter("stranded_milli"),
            "instead": attrgetter("instead_milli"),
        },
        {},
    ),
    record=lambda cost, _: cost_record(cost),
    copied=(("why", lambda c: c.why),),
)
"""Shares; `!` marks one that strands a part of its GPU and is asked for."""


def _cells(advice: ShareAdvice, _now: datetime) -> tuple[SafeText, ...]:
    """As `advice_cells`, with the run by its own scheduler's id."""
    return (safe(advice.run.partition("/")[2] or advice.run), *advice_cells(advice)[1:])


def _dear(advice: ShareAdvice) -> bool:
    return advice.effective_milli - advice.asked_milli >= LEAST_STRANDED_MILLI


def _costs_tone(advice: ShareAdvice, _text: SafeText) -> Tone:
    return "warn" if _dear(advice) else ""


FRACTION_ROWS: Rows[ShareAdvice] = Rows(
    noun="run with a share",
    plural="fractions",
    columns=(
        GridColumn(id="run", column=ADVICE[0], order=lambda a, _: natural(a.run)),
        GridColumn(id="user", column=ADVICE[1], order=lambda a, _: folded(a.user)),
        GridColumn(id="state", column=ADVICE[2], order=lambda a, _: a.state, tone=state_tone),
        GridColumn(id="asks", column=ADVICE[3], order=lambda a, _: a.asked_milli),
        GridColumn(
            id="costs",
            column=ADVICE[4],
            order=lambda a, _: a.effective_milli,
            tone=_costs_tone,
        ),
        GridColumn(id="safe", column=ADVICE[5], order=lambda a, _: a.safe_milli),
        GridColumn(
            id="advised",
            column=ADVICE[6],
            order=lambda a, _: a.advised_milli,
            tone=lambda a, _: "good" if a.advised_milli is not None else "dim",
        ),
        GridColumn(id="basis", column=ADVICE[7], order=lambda a, _: a.basis),
    ),
    key=attrgetter("run"),
    cells=_cells,
    glyph=lambda a: "!" if _dear(a) else "",
    fields=_FIELDS,
    get=lazy(
        attrgetter("run"),
        _FIELDS,
        {
            "run": attrgetter("run"),
            "user": attrgetter("user"),
            "state": attrgetter("state"),
            "asks": attrgetter("asked_milli"),
            "costs": attrgetter("effective_milli"),
            "safe": attrgetter("safe_milli"),
            "advised": attrgetter("advised_milli"),
            "basis": attrgetter("basis"),
        },
        {},
    ),
    record=lambda advice, _: advice_record(advice),
    copied=(("run", lambda a: str(a.run)),),
)
"""Runs with shares; `!` marks one whose share strands a part of its GPU."""
