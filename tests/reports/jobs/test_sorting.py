"""Lines that come in any order and leave sorted, with only their keys in memory."""

from __future__ import annotations

import os
import resource
import tempfile
from ast import literal_eval
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.reports.jobs.sorting import Sorted, number_key, text_key
from foundry_tui.reports.writing.files import ReportError

Row = tuple[str, int, str]
ROW = st.tuples(st.text(max_size=3), st.integers(-9, 9), st.sampled_from("ab"))


def in_order(*parts: list[Row]) -> list[Row]:
    """What comes out when the rows are put in part by part, by text and then by number."""
    rows = Sorted()
    for part in parts:
        rows.add([text_key(text) + number_key(n) for text, n, _ in part], [*map(repr, part)])
    found = [literal_eval(line) for line in rows]
    assert len(rows) == len(found)
    rows.close()
    return found


@given(st.lists(ROW, max_size=20))
def test_rows_are_sorted_by_text_then_number(rows: list[Row]) -> None:
    found = in_order(rows)
    assert [row[:2] for row in found] == sorted(row[:2] for row in rows)
    assert sorted(found) == sorted(rows)


@given(st.lists(ROW, max_size=12), st.randoms(use_true_random=False), st.integers(0, 12))
def test_any_order_of_parts_gives_the_same_order(rows: list[Row], random: Any, cut: int) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert in_order(rows) == in_order(shuffled[:cut], shuffled[cut:])


def test_rows_can_be_read_twice_and_more_can_come_in_between() -> None:
    rows = Sorted()
    rows.add([number_key(2)], ["é"])
    assert list(rows) == list(rows) == ["é"]
    rows.add([number_key(1)], [""])
    assert list(rows) == ["", "é"]
    assert [row for row, _ in zip(rows, range(1), strict=False)] == [""]
    rows.close()


@given(st.lists(st.integers(-(2**62), 2**62 - 1), max_size=9))
def test_number_keys_sort_like_numbers(numbers: list[int]) -> None:
    assert sorted(numbers, key=number_key) == sorted(numbers)


@given(st.text(), st.text())
def test_no_text_is_cut_off_by_what_follows_it(first: str, second: str) -> None:
    assert (text_key(first) < text_key(second)) == (first < second)
    if first != second:
        pair = [text_key(first) + b"\xff", text_key(second) + b"\0"]
        assert (pair[0] < pair[1]) == (first < second)


def test_the_temporary_file_has_no_name(tmp_path: Path) -> None:
    rows = Sorted(tmp_path)
    rows.add([b""], ["x"])
    assert list(rows) == ["x"]
    assert list(tmp_path.iterdir()) == []
    rows.close()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"gone: No such file.*TMPDIR"):
        Sorted(tmp_path / "gone")


def test_no_room_for_temporary_files_is_said() -> None:
    rows = Sorted()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(ReportError, match=f"{tempfile.gettempdir()}.*make room there"):
            for number in range(2000):
                rows.add([number_key(number)], [os.urandom(700).hex()])
            list(rows)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        rows.close()
