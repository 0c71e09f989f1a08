"""What can be copied of rows, and where a terminal's clipboard ends."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import Any

from foundry_tui.estate.text import safe
from foundry_tui.presenters.csvout import COLUMNS
from foundry_tui.presenters.rows import RUN_ROWS, gpu_rows
from foundry_tui.tui.grid.copying import MOST_BYTES, Copied, copies
from tests.presenters.estate import GPUS, NOW, RUNS
from tests.tui.grid.shown import waiting


def by_title(rows: Any) -> dict[str, Copied]:
    """What can be copied of these runs."""
    return {one.title: one for one in copies(RUN_ROWS, rows, NOW)}


def test_names_stand_one_per_line_without_a_last_line_end() -> None:
    found = by_title(RUNS[:2])
    assert list(found) == ["id", "name", "CSV"]
    assert found["id"].text == "17\n23"
    assert found["name"].text == "train-llama\nnotebook"
    assert found["id"].message == "id: 2 rows copied"
    assert by_title(RUNS[:1])["CSV"].message == "CSV: 1 row copied"


def test_rows_as_csv_are_those_of_an_export() -> None:
    rows = list(csv.DictReader(io.StringIO(by_title(RUNS)["CSV"].text)))
    assert [row["native_id"] for row in rows] == [run.native_id for run in RUNS]
    assert tuple(rows[0]) == COLUMNS["runs"]


def test_no_more_than_a_terminal_takes_and_only_whole_rows() -> None:
    found = by_title(waiting(10_000))
    assert found["id"].message == "id: 10,000 rows copied"
    for title, count in (("name", 6_000), ("CSV", 100)):
        assert len(found[title].text.encode()) <= MOST_BYTES
        lines = found[title].text.split("\n")
        assert count < len(lines) < 10_000
        kept = len(lines) - (title == "CSV")
        assert found[title].message == (
            f"{title}: {kept:,} of 10,000 rows copied, because a terminal takes 74 kB at most; "
            "export writes all of them to a file"
        )
    assert found["name"].text.split("\n")[-1].startswith("train-")


def test_what_is_copied_is_as_safe_as_what_is_shown() -> None:
    bad = replace(RUNS[0], name=safe("a\n$(rm)\x1b]52;c;AAAA\x07"))
    for one in copies(RUN_ROWS, [bad], NOW):
        assert "\x1b" not in one.text
    assert "\n" not in by_title([bad])["name"].text


def test_unknown_names_are_left_out() -> None:
    titles = [one.title for one in copies(gpu_rows(RUNS), GPUS[:1], NOW)]
    assert titles == ["node and index", "CSV"]
    assert copies(RUN_ROWS, (), NOW) == ()
