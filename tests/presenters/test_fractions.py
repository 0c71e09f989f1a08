"""Fractions as a page, as lines and as rows: unknown is a dash, and a cost is always named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from foundry_tui.estate.fractions import Fractions
from foundry_tui.estate.text import SafeText, cells
from foundry_tui.presenters.fractions import (
    advice_cells,
    advice_lines,
    cost_cells,
    cost_lines,
    fractions_text,
    reckoned,
    share,
)
from foundry_tui.presenters.page import Style
from foundry_tui.presenters.rows.fractions import COST_ROWS, FRACTION_ROWS
from foundry_tui.presenters.toned import Line
from tests.presenters.estate import NOW, ago
from tests.presenters.test_records import SHARE_ADVICE, SHARE_COST

UNKNOWN = replace(
    SHARE_ADVICE,
    run="lab/22",
    safe_milli=None,
    advised_milli=None,
    basis="none",
    why="not advised: no history, 1 reading",
    evidence=(),
)
FOUND = Fractions(
    generated_at=ago(seconds=4),
    costs=(SHARE_COST,),
    runs=(SHARE_ADVICE, UNKNOWN),
    notes=("costs follow from the 4 live runs that ask for shares",),
)


def text(lines: list[Line]) -> str:
    return "\n".join("".join(part for part, _ in line) for line in lines)


@pytest.mark.parametrize(
    ("milli", "shown"),
    [(810, "0.81"), (500, "0.50"), (125, "0.125"), (1000, "1.00"), (None, "—"), (1, "0.001")],
)
def test_a_share_as_part_of_a_gpu(milli: int | None, shown: str) -> None:
    assert share(milli) == shown


def test_what_was_reckoned_is_in_hundredths() -> None:
    assert (reckoned(333.33), reckoned(1000.0), reckoned(None)) == ("0.33", "1.00", "—")


def test_the_whole_page_at_eighty_columns() -> None:
    page = fractions_text(FOUND, now=NOW, style=Style())
    lines = page.split("\n")
    assert lines[0] == "What a share of a GPU costs here, 4s old"
    assert lines[3].split() == ["0.81", "lab", "4", "1.00", "0.19", "0.23", "0.77", "0.75"]
    assert "  lab: it strands 0.19" in lines
    advised = next(line for line in lines if line.startswith("lab/21"))
    assert advised.split() == [
        "lab/21",
        "bob",
        "running",
        "0.81",
        "1.00",
        "0.60",
        "0.77",
        "measured",
    ]
    unknown = next(line for line in lines if line.startswith("lab/22"))
    assert unknown.split()[-3:] == ["—", "—", "none"]
    assert "Why lab/21: 0.60 is safe" in lines
    assert "  - 500 samples" in lines
    assert "Nothing is advised for 1 run: no history. Advice needs a history" in page
    assert all(cells(SafeText(line)) <= 80 for line in lines)


def test_an_estate_without_shares_has_its_note_alone() -> None:
    page = fractions_text(replace(FOUND, costs=(), runs=()), now=NOW, style=Style())
    assert page.split("\n")[2:] == ["note: costs follow from the 4 live runs that ask for shares"]


def test_a_few_thousandths_are_not_called_stranded() -> None:
    assert cost_cells(replace(SHARE_COST, stranded_milli=3.0))[4] == "0.00"
    assert COST_ROWS.glyph(replace(SHARE_COST, stranded_milli=3.0)) == ""
    assert COST_ROWS.glyph(SHARE_COST) == "!"
    assert COST_ROWS.glyph(replace(SHARE_COST, asked_by=0)) == ""


def test_partners_are_told_by_size_and_number() -> None:
    assert cost_cells(replace(SHARE_COST, partners=((300, 2), (100, 1))))[5] == "2 x 0.30 + 0.10"
    assert cost_cells(replace(SHARE_COST, partners=()))[5] == "nothing"


def test_the_panels_tell_what_to_do_where_nothing_is_known() -> None:
    assert "foundry fractions RUN --gpu-util PCT --memory GIB" in " ".join(
        text(advice_lines(UNKNOWN, 40)).split()
    )
    assert "no history" in text(advice_lines(UNKNOWN, 40))
    known = text(advice_lines(SHARE_ADVICE, 40))
    assert "--gpu-util" not in known
    assert "- 500 samples" in known
    assert "4 live runs ask for it on lab" in text(cost_lines(SHARE_COST, (), 40))
    assert "1 live run asks" in text(cost_lines(replace(SHARE_COST, asked_by=1), (), 40))


def test_rows_of_both_tables_belong_to_their_columns_and_filters() -> None:
    assert len(COST_ROWS.cells(SHARE_COST, NOW)) == len(COST_ROWS.columns)
    assert len(FRACTION_ROWS.cells(SHARE_ADVICE, NOW)) == len(FRACTION_ROWS.columns)
    assert FRACTION_ROWS.cells(SHARE_ADVICE, NOW)[0] == "21"
    assert advice_cells(SHARE_ADVICE)[0] == "lab/21"
    get = FRACTION_ROWS.get(UNKNOWN, NOW)
    assert {name: get(name) for name in FRACTION_ROWS.fields} == {
        "run": "lab/22",
        "user": "bob",
        "state": "running",
        "asks": 810,
        "costs": 1000.0,
        "safe": None,
        "advised": None,
        "basis": "none",
    }
    get = COST_ROWS.get(SHARE_COST, NOW)
    assert {name: get(name) for name in COST_ROWS.fields} == {
        "share": 810,
        "source": "lab",
        "asked": 4,
        "costs": 1000.0,
        "strands": 190.0,
        "instead": 770,
    }
