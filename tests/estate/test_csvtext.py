"""CSV: what a spreadsheet, a script and RFC 4180 expect of it."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.csvtext import line, rfc3339, text, write
from foundry_tui.estate.run import RunState

PAYLOADS = (
    "=1+1",
    "=cmd|' /C calc'!A0",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "\0=1",
    "＝1+1",
    "＋1",
    "－1",
    "＠SUM(A1)",
    '=HYPERLINK("http://x","y")',
)


def cells(value: object) -> list[list[str]]:
    """The file with one value, read back by the standard library's reader."""
    data = write([{"a": value, "b": "end"}], ("a", "b")).decode()
    return list(csv.reader(io.StringIO(data, newline=""), strict=True))


def test_lines_end_with_cr_lf_and_the_header_is_always_there() -> None:
    assert write([], ("a", "b")) == b"a,b\r\n"
    assert write([{"a": 1, "b": "x"}], ("a", "b")) == b"a,b\r\n1,x\r\n"


def test_there_is_no_byte_order_mark_and_text_is_utf_8() -> None:
    assert write([{"a": "é"}], ("a",)) == "a\r\né\r\n".encode()


def test_missing_is_an_empty_field_and_never_zero() -> None:
    assert write([{"a": None, "c": 0}], ("a", "b", "c")) == b"a,b,c\r\n,,0\r\n"
    assert cells(float("nan"))[1] == ["", "end"]
    assert cells(Decimal("NaN"))[1] == ["", "end"]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (True, "true"),
        (False, "false"),
        (-5, "-5"),
        (-0.5, "-0.5"),
        (Decimal("-1.5000"), "-1.5000"),
        (Decimal("0E-4"), "0.0000"),
        (RunState.OUT_OF_MEMORY, "out_of_memory"),
        (datetime(2026, 1, 2, 3, 4, 5, 999_999, tzinfo=UTC), "2026-01-02T03:04:05Z"),
    ],
)
def test_each_kind_of_value_has_its_form(value: object, written: str) -> None:
    assert cells(value)[1][0] == written


def test_times_of_other_zones_become_utc() -> None:
    zone = timezone(timedelta(hours=2))
    assert rfc3339(datetime(2026, 1, 1, 1, 30, tzinfo=zone)) == "2025-12-31T23:30:00Z"


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_formula_gets_an_apostrophe(payload: str) -> None:
    read = cells(payload)
    assert len(read) == 2, "the payload must not make rows"
    assert read[1][1] == "end", "the payload must not make cells"
    assert read[1][0].startswith("'")


def test_what_is_no_formula_keeps_its_first_letter() -> None:
    assert cells("a=1")[1][0] == "a=1"
    assert cells("17_[1-9]")[1][0] == "17_[1-9]"


def test_separators_and_quotes_stay_inside_their_cell() -> None:
    assert write([{"a": 'x,"y";=1'}], ("a",)) == b'a\r\n"x,""y"";=1"\r\n'


def test_a_list_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="a list"):
        write([{"a": ["x"]}], ("a",))


@given(st.text(), st.text())
def test_any_text_is_one_cell_that_starts_no_formula(first: str, second: str) -> None:
    data = write([{"a": first, "b": second}], ("a", "b"))
    read = list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))
    assert len(read) == 2
    assert len(read[1]) == 2
    assert data.count(b"\r") == data.count(b"\n") == 2
    for cell in read[1]:
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋"))


TEXTS = st.text().filter(lambda text: ";" not in text)


@given(st.lists(TEXTS, min_size=2, max_size=5))
def test_what_the_standard_library_reads_it_writes_to_the_same_bytes(texts: list[str]) -> None:
    written = line(texts)
    (read,) = csv.reader([written], strict=True)
    assert len(read) == len(texts)
    again = io.StringIO(newline="")
    csv.writer(again).writerow(read)
    assert again.getvalue() == written + "\r\n"


@given(st.text())
def test_what_was_read_from_a_file_is_written_the_same(value: str) -> None:
    (read,) = csv.reader([line((value, "end"))], strict=True)
    assert line(read) == line((value, "end"))


@pytest.mark.parametrize("payload", [*PAYLOADS, "'=1", "a", "ä,b", ""])
def test_a_text_alone_has_the_same_field_as_in_a_line(payload: str) -> None:
    assert text(payload) == line((payload,))


@given(st.lists(st.integers(-(10**12), 10**12)))
def test_numbers_are_read_back_as_they_were(values: list[int]) -> None:
    data = write([{"n": value} for value in values], ("n",)).decode()
    assert [int(line) for line in data.split("\r\n")[1:-1]] == values
