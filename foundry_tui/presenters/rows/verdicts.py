"""The live table of verdicts: plans that were applied, and which of their promises were kept."""

from __future__ import annotations

from datetime import datetime

from foundry_tui.estate.filter import Field
from foundry_tui.estate.text import SafeText
from foundry_tui.estate.verdict import Verdict
from foundry_tui.presenters.records.verdicts import verdict_record
from foundry_tui.presenters.rows.model import GridColumn, Rows, Tone, lazy
from foundry_tui.presenters.verdicts import VERDICT_COLUMNS, broken_words, state, verdict_cells

VERDICT_FIELDS = {
    "plan": Field("text", ("id",)),
    "state": Field("text"),
    "broken": Field("text", fuzzy=True),
}
"""What the filter language sees of a verdict; `broken` are its broken promises, in one text."""

_TONES: dict[str, Tone] = {"open": "warn", "closed": "good", "undone": "dim"}


def _tone(_verdict: Verdict, text: SafeText) -> Tone:
    return _TONES.get(text, "")


def _plan(verdict: Verdict) -> str:
    return verdict.plan


def _share(verdict: Verdict, _now: datetime) -> float | None:
    kept, decided = verdict.counted
    return kept / decided if decided else None


def _broken(verdict: Verdict, _text: SafeText) -> Tone:
    return "bad" if broken_words(verdict) else ""


def _glyph(verdict: Verdict) -> str:
    if verdict.undone:
        return ""
    if any(p.kept is False for p in verdict.promises):
        return "x"
    return "" if verdict.closed else "?"


VERDICT_ROWS: Rows[Verdict] = Rows(
    noun="verdict",
    plural="verdicts",
    columns=(
        GridColumn(id="plan", column=VERDICT_COLUMNS[0], order=lambda v, _: v.plan),
        GridColumn(id="applied", column=VERDICT_COLUMNS[1], order=lambda v, _: v.applied_at),
        GridColumn(id="state", column=VERDICT_COLUMNS[2], order=lambda v, _: state(v), tone=_tone),
        GridColumn(id="moves", column=VERDICT_COLUMNS[3], order=lambda v, _: v.moves_done),
        GridColumn(id="kept", column=VERDICT_COLUMNS[4], order=_share),
        GridColumn(id="open", column=VERDICT_COLUMNS[5], order=lambda v, _: v.still_open),
        GridColumn(
            id="broken",
            column=VERDICT_COLUMNS[6],
            order=lambda v, _: broken_words(v) or None,
            tone=_broken,
        ),
    ),
    key=_plan,
    cells=lambda verdict, _: verdict_cells(verdict),
    glyph=_glyph,
    fields=VERDICT_FIELDS,
    get=lazy(
        _plan,
        VERDICT_FIELDS,
        {"plan": _plan, "state": state, "broken": broken_words},
        {},
    ),
    record=lambda verdict, _: verdict_record(verdict),
    copied=(("plan", _plan),),
)
"""Plans in the order in which they were applied; `x` has a broken promise, `?` is still open."""
