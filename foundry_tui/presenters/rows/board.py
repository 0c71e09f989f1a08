"""The live table of the migration board: accounts, how far each is, and what is in the way."""

from __future__ import annotations

from foundry_tui.estate.filter import Field
from foundry_tui.estate.text import SafeText
from foundry_tui.migration.board import Line
from foundry_tui.migration.census import Fate
from foundry_tui.presenters.board import BOARD_COLUMNS, CSV, board_cells, flat_record
from foundry_tui.presenters.rows.model import GridColumn, Rows, Tone, folded, lazy

BOARD_FIELDS = {
    "account": Field("text"),
    "project": Field("text"),
    "source": Field("text"),
    "moved": Field("number"),
    "hours": Field("number"),
    "cannot": Field("number"),
    "blocked": Field("text", fuzzy=True),
}
"""What the filter language sees of an account; `moved` is in percent, `hours` those on Slurm."""


def _key(line: Line) -> str:
    return f"{line.row.source}/{line.row.account or ''}"


def _blocked(line: Line) -> str:
    return " ".join(str(reason.what) for reason in line.row.blocked)


def _moved(line: Line) -> float | None:
    return None if line.moved is None else 100 * line.moved


def _glyph(line: Line) -> str:
    if line.row.fates[Fate.CANNOT].runs:
        return "x"
    if line.row.fates[Fate.HAND].runs:
        return "!"
    return "?" if line.row.fates[Fate.UNSEEN].runs else ""


def _good(_line: Line, text: SafeText) -> Tone:
    return "" if text == "0" else "good"


def _warn(_line: Line, text: SafeText) -> Tone:
    return "" if text == "0" else "warn"


def _bad(_line: Line, text: SafeText) -> Tone:
    return "" if text == "0" else "bad"


BOARD_ROWS: Rows[Line] = Rows(
    noun="account",
    plural="accounts",
    columns=(
        GridColumn(id="account", column=BOARD_COLUMNS[0], order=lambda r, _: folded(r.row.account)),
        GridColumn(id="project", column=BOARD_COLUMNS[1], order=lambda r, _: folded(r.project)),
        GridColumn(id="moved", column=BOARD_COLUMNS[2], order=lambda r, _: r.moved),
        GridColumn(id="slurm", column=BOARD_COLUMNS[3], order=lambda r, _: r.row.total.gpu_hours),
        GridColumn(
            id="there",
            column=BOARD_COLUMNS[4],
            order=lambda r, _: None if r.there is None else r.there.gpu_hours,
        ),
        GridColumn(
            id="clean",
            column=BOARD_COLUMNS[5],
            order=lambda r, _: r.row.fates[Fate.CLEAN].runs,
            tone=_good,
        ),
        GridColumn(
            id="hand",
            column=BOARD_COLUMNS[6],
            order=lambda r, _: r.row.fates[Fate.HAND].runs,
            tone=_warn,
        ),
        GridColumn(
            id="cannot",
            column=BOARD_COLUMNS[7],
            order=lambda r, _: r.row.fates[Fate.CANNOT].runs,
            tone=_bad,
        ),
        GridColumn(
            id="not_seen",
            column=BOARD_COLUMNS[8],
            order=lambda r, _: r.row.fates[Fate.UNSEEN].runs,
        ),
        GridColumn(id="blocked", column=BOARD_COLUMNS[9], order=lambda r, _: _blocked(r) or None),
    ),
    key=_key,
    cells=lambda line, _: board_cells(line),
    glyph=_glyph,
    fields=BOARD_FIELDS,
    get=lazy(
        _key,
        BOARD_FIELDS,
        {
            "account": lambda r: r.row.account or "",
            "project": lambda r: r.project or "",
            "source": lambda r: r.row.source,
            "moved": _moved,
            "hours": lambda r: r.row.total.gpu_hours,
            "cannot": lambda r: r.row.fates[Fate.CANNOT].runs,
            "blocked": _blocked,
        },
        {},
    ),
    record=lambda line, _: flat_record(line),
    copied=(("account", lambda r: r.row.account or ""),),
    csv=CSV,
)
"""Accounts, the largest first; `x` has runs that cannot move, `!` needs a person, `?` is unseen."""
