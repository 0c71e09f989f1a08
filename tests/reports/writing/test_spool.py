"""Rows that wait on disk."""

from __future__ import annotations

import tempfile
from decimal import Decimal

import pytest

from foundry_tui.reports.columns import Column, Kind, Value
from foundry_tui.reports.writing.files import ReportError
from foundry_tui.reports.writing.spool import TOLD_ROWS, Spool

COLUMNS = (Column("node", Kind.TEXT, "where"), Column("seen_hours", Kind.HOURS, "how long"))
ROWS: list[tuple[Value, ...]] = [("a,1", Decimal("0.5000")), ("a\u20282", None), ("b", Decimal(1))]


def test_the_lines_come_as_often_as_wanted_and_the_first_rows_are_kept() -> None:
    spool = Spool(COLUMNS, ROWS, 2, lambda _: None)
    lines = list(spool.lines())
    assert lines[:2] == ["node,seen_hours", '"a,1",0.5000']
    assert lines == list(spool.lines())
    assert (len(lines), spool.count, len(spool.kept)) == (4, 3, 2)
    assert spool.kept[0] == {"node": "a,1", "seen_hours": Decimal("0.5000")}


def test_all_rows_are_kept_where_no_number_is_given() -> None:
    assert len(Spool(COLUMNS, ROWS, None, lambda _: None).kept) == 3


def test_it_tells_how_far_it_is() -> None:
    told: list[int] = []
    Spool(COLUMNS, ROWS[:1] * (2 * TOLD_ROWS + 1), 0, told.append)
    assert told == [TOLD_ROWS, 2 * TOLD_ROWS]


def test_no_room_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/proc/self/fdinfo")
    with pytest.raises(ReportError, match="set TMPDIR"):
        Spool(COLUMNS, ROWS, 0, lambda _: None)
