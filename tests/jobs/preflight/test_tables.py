"""Reading CSV: whole, packed, large, broken and hostile; and what is said of how much was read."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Iterable
from pathlib import Path

import pytest

from foundry_tui.jobs.preflight import tables
from foundry_tui.jobs.preflight.schema import Schema, load
from foundry_tui.jobs.preflight.tables import Unreadable, judge_file

ROWS = 1_000_000


def schema(text: str = "columns: {id: int, label: text}") -> Schema:
    return load("s.yaml", text.encode())


def lines(count: int, spoilt: int | None = None) -> Iterable[str]:
    yield "id,label\n"
    for n in range(1, count + 1):
        yield f"{'x' if n == spoilt else n},cat\n"


@pytest.fixture(scope="module")
def million(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "million.csv"
    with path.open("w") as file:
        file.writelines(lines(ROWS))
    return path


def test_of_a_million_rows_a_bounded_part_is_looked_at_and_said(million: Path) -> None:
    found = judge_file(million, schema())
    assert found.findings == ()
    assert found.rows == ROWS
    assert found.looked == (
        "the first 50,000 rows and 50,000 rows at 50 places of the rest, of 1,000,000"
    )


def test_a_large_file_is_never_held_in_memory(
    million: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "FIRST_ROWS", 1000)
    monkeypatch.setattr(tables, "PLACE_ROWS", 20)
    tracemalloc.start()
    try:
        found = judge_file(million, schema())
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (
        found.looked == "the first 1,000 rows and 1,000 rows at 50 places of the rest, of 1,000,000"
    )
    assert peak_bytes < million.stat().st_size // 2


def test_a_wrong_cell_behind_the_first_rows_is_found_by_its_byte(
    million: Path, tmp_path: Path
) -> None:
    path = tmp_path / "spoilt.csv"
    raw = bytearray(million.read_bytes())
    at = raw.index(b"\n900000,") + 1
    for _ in range(40_000):  # wide enough that one of the places lies in it
        raw[at] = ord("x")
        at = raw.index(b"\n", at) + 1
    path.write_bytes(raw)
    (finding,) = judge_file(path, schema()).findings
    assert finding.column == "id"
    assert finding.words.startswith("near byte ")
    offset = int(finding.words.split()[2].rstrip(":").replace(",", ""))
    assert raw[offset : offset + 1] == b"x"


def test_rows_are_counted_in_a_large_file(million: Path) -> None:
    found = judge_file(million, schema("rows: {at_most: 999999}\ncolumns: {id: int}"))
    assert [f.words for f in found.findings] == ["expected at most 999,999 rows, found 1,000,000"]


def test_a_large_gzip_file_is_read_from_its_start_alone(million: Path, tmp_path: Path) -> None:
    path = tmp_path / "million.csv.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(million.read_bytes())
    found = judge_file(path, schema())
    assert found.findings == ()
    assert found.looked == (
        "the first 50,000 rows (a gzip file is not read elsewhere), of 1,000,000"
    )


def test_more_bytes_than_are_counted_leave_the_rows_unknown(
    million: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "COUNT_BYTES", 1 << 20)
    found = judge_file(million, schema("rows: {at_most: 999999}\ncolumns: {id: int}"))
    assert found.rows is None
    assert found.findings == ()
    assert found.looked.endswith(", their number was not counted")


def test_cells_with_line_breaks_are_not_read_from_the_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "FIRST_ROWS", 10)
    path = tmp_path / "broken.csv"
    path.write_text("id,label\n" + "".join(f'{n},"a\n{n},b"\n' for n in range(100)))
    found = judge_file(path, schema())
    assert found.findings == ()
    assert "cells hold line breaks" in found.looked
    assert found.rows is None


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 1 << 20])
def test_blank_lines_are_no_rows_wherever_a_block_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, chunk: int
) -> None:
    monkeypatch.setattr(tables, "FIRST_ROWS", 2)
    monkeypatch.setattr(tables, "_CHUNK", chunk)
    path = tmp_path / "gaps.csv"
    lines = ["id,label", "1,a", "2,b", "", "3,c", "", "", "4,d", "5,e"]
    path.write_text(end.join(lines), newline="")
    assert judge_file(path, schema()).rows == 5
    path.write_text(end.join([*lines, "", ""]), newline="")
    assert judge_file(path, schema()).rows == 5


def test_a_table_with_many_columns_is_read_in_fewer_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "FIRST_CELLS", 2000)
    path = tmp_path / "wide.csv"
    header = ",".join(f"c{n}" for n in range(100))
    path.write_text(f"{header}\n" + f"{','.join('1' * 100)}\n" * 500)
    found = judge_file(path, schema("columns: {c7: int}"))
    assert found.looked.startswith("the first 20 rows and ")
    assert found.rows == 500


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_of_few_rows_is_read_whole(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "few.csv"
    raw = '\ufeffid,label\r\n1,ça\r\n\r\n2,"x,y"'.encode()
    path.write_bytes(gzip.compress(raw) if packed else raw)
    found = judge_file(path, schema("rows: {at_least: 2, at_most: 2}\ncolumns: {id: int}"))
    assert (found.findings, found.looked, found.rows) == ((), "all 2 rows", 2)


def test_another_delimiter_is_that_of_the_schema(tmp_path: Path) -> None:
    path = tmp_path / "semi.csv"
    path.write_text("id;label\n1;a,b\n")
    assert judge_file(path, schema('delimiter: ";"\ncolumns: {id: int}')).findings == ()
    assert judge_file(path, schema()).findings != ()


def test_a_row_with_too_few_cells_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ragged.csv"
    path.write_text("id,label\n1,a\n2\n3,c,d\n")
    (finding,) = judge_file(path, schema()).findings
    assert finding.column is None
    assert finding.words == "row 2: expected 2 cells as in the header, found 1 (and 1 more)"


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"id,label\n1,\xff\xfe\n", "line 2 is no UTF-8 text (byte 3 of it)"),
        (b"id,label\n1,x\n" + b"y" * (2 << 20), "line 3 is longer than 1024 KiB"),
        (b'id,label\n1,"x\n', "line 2: no CSV"),
        (b"id,label\n" + b"1," + b"x" * 200_000 + b"\n", "line 2: no CSV: field larger"),
        (b"\x1f\x8b\x08\x00junk that is no gzip", "the gzip file is cut short or broken"),
        (gzip.compress(b"id,label\n" + b"1,a\n" * 9999, mtime=0)[:-20], "cut short or broken"),
    ],
)
def test_what_is_no_csv_is_said(tmp_path: Path, raw: bytes, words: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(raw)
    with pytest.raises(Unreadable) as caught:
        judge_file(path, schema())
    assert words in str(caught.value)


def test_an_empty_file_has_no_header(tmp_path: Path) -> None:
    path = tmp_path / "empty.csv"
    path.touch()
    (finding,) = judge_file(path, schema()).findings
    assert "expected a header" in finding.words


def test_a_gzip_bomb_is_not_unpacked_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "FIRST_ROWS", 10)
    monkeypatch.setattr(tables, "COUNT_BYTES", 4 << 20)
    path = tmp_path / "bomb.csv"
    path.write_bytes(gzip.compress(b"id,label\n" + b"1,a\n" * (16 << 20), 1))
    found = judge_file(path, schema())
    assert found.rows is None
    assert found.looked.startswith("the first 10 rows (a gzip file")
