"""Reading tables for a judge: CSV, gzip CSV and Parquet, as much of them as is bounded.

A small file is read whole. Of a large CSV file the first rows are read, and then rows at places
that are spread over the rest; of a Parquet file row groups that are spread over it. What was looked
at is told with the result, so that nobody takes a sample for the whole.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from foundry_tui.jobs.preflight.judge import Finding, Judge
from foundry_tui.jobs.preflight.schema import Schema

FIRST_ROWS = 50_000
"""Rows that are read from the start."""

PLACES = 50
PLACE_ROWS = 1000
"""At how many places of the rest rows are read, and how many at each."""

FIRST_CELLS = 4_000_000
"""Of a table with very many columns fewer rows are read: so many cells from the start."""

MAX_LINE_BYTES = 1 << 20
COUNT_BYTES = 1 << 30
"""Rows are counted by their line ends in at most so many bytes (of a gzip file: unpacked)."""

_CHUNK = 1 << 20
_BLANK = re.compile(rb"\n(?=\r?\n)")
_GZIP = b"\x1f\x8b"
PARQUET = b"PAR1"


class Unreadable(Exception):
    """The file is no table that can be read: says where and why."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What was found; `looked` says at what, `rows` how many there are where that is known."""

    findings: tuple[Finding, ...]
    looked: str
    rows: int | None


def judge_file(path: Path, schema: Schema) -> Judged:
    """A file against a schema.

    Raises:
        Unreadable: it is no CSV and no Parquet, or is broken.
        OSError: it cannot be opened or read.
        ModuleNotFoundError: it is Parquet, and pyarrow is not installed.
    """
    with path.open("rb") as file:
        start = file.read(4)
    if start == PARQUET:
        from foundry_tui.jobs.preflight.parquet import judge_parquet

        return judge_parquet(path, schema)
    if path.suffix.lower() in (".parquet", ".pq"):
        raise Unreadable("no Parquet file, in spite of its name: it does not begin with PAR1")
    return _judge_csv(path, schema, packed=start[:2] == _GZIP)


def _judge_csv(path: Path, schema: Schema, *, packed: bool) -> Judged:
    judge = Judge(schema)
    try:
        with path.open("rb") as raw:
            file = cast("BinaryIO", gzip.GzipFile(fileobj=raw)) if packed else raw
            return _Csv(file, judge, path.stat().st_size, packed=packed).judged()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise Unreadable(f"the gzip file is cut short or broken: {error}") from error


class _Csv:
    """One pass over a CSV file."""

    def __init__(self, file: BinaryIO, judge: Judge, size_bytes: int, *, packed: bool) -> None:
        self._file, self._judge, self._packed = file, judge, packed
        self._size_bytes = size_bytes
        self._dialect = {"delimiter": judge.schema.delimiter or ","}
        self._names: list[str] = []
        self._line = self._blank = 0
        self._read_bytes = 0

    def judged(self) -> Judged:
        rows = self._rows(self._lines())
        header = next(rows, None)
        if header is None:
            self._judge.finding(
                None, "expected a header with the names of the columns, found nothing"
            )
            return Judged(self._judge.findings(0, columns=0), "an empty file", 0)
        self._names = header
        self._judge.header(header)
        count, cells_hold_lines = 0, False
        for cells in rows:
            count += 1
            self._judge.row(("row", count), header, cells)
            cells_hold_lines = cells_hold_lines or self._line > count + 1 + self._blank
            if count >= self._most(FIRST_ROWS) and self._more():
                return self._sampled(count, cells_hold_lines)
        found = self._judge.findings(count, columns=len(header))
        return Judged(found, f"all {count:,} rows", count)

    def _most(self, rows: int) -> int:
        """How many rows of that many are read: all, unless they have very many cells."""
        affordable = rows * FIRST_CELLS // (FIRST_ROWS * max(1, len(self._names)))
        return min(rows, max(1, affordable))

    def _rows(self, lines: Iterator[str]) -> Iterator[list[str]]:
        reader = csv.reader(lines, strict=True, **self._dialect)  # type: ignore[arg-type]
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise Unreadable(f"line {self._line:,}: no CSV: {error}") from error
            if cells:
                yield cells
            else:
                self._blank += 1

    def _lines(self) -> Iterator[str]:
        """The lines as text, one at a time; each may have a megabyte."""
        while raw := self._file.readline(MAX_LINE_BYTES + 1):
            self._line += 1
            self._read_bytes += len(raw)
            if len(raw) > MAX_LINE_BYTES:
                raise Unreadable(f"line {self._line:,} is longer than {MAX_LINE_BYTES >> 10} KiB")
            try:
                yield raw.decode("utf-8-sig" if self._line == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise Unreadable(
                    f"line {self._line:,} is no UTF-8 text (byte {error.start + 1} of it)"
                ) from None

    def _more(self) -> bool:
        """Whether there is another byte."""
        if not self._packed:
            return self._read_bytes < self._size_bytes
        peeked: bytes = self._file.peek(1)  # type: ignore[attr-defined]
        return bool(peeked)

    def _sampled(self, first: int, cells_hold_lines: bool) -> Judged:
        """The first rows are read; now some of the others, and how many there are."""
        looked = f"the first {first:,} rows"
        counted = None
        if self._packed:
            looked += " (a gzip file is not read elsewhere)"
        elif cells_hold_lines:
            looked += " (cells hold line breaks, so a row is not found in the middle)"
        else:
            looked += f" and {self._spread():,} rows at {PLACES} places of the rest"
        if not cells_hold_lines:
            counted = self._counted(first)
        told = "their number was not counted" if counted is None else f"of {counted:,}"
        found = self._judge.findings(counted, columns=len(self._names))
        return Judged(found, f"{looked}, {told}", counted)

    def _spread(self) -> int:
        """Rows at places of the rest of the file; returns how many."""
        start, before = self._read_bytes, self._judge.looked
        step = (self._size_bytes - start) / PLACES
        for place in range(PLACES):
            at = start + int(place * step)
            end = start + int((place + 1) * step)
            self._file.seek(at)
            if place:
                self._file.readline(MAX_LINE_BYTES)  # most likely the rest of a row
            for _ in range(self._most(PLACE_ROWS)):
                offset = self._file.tell()
                raw = self._file.readline(MAX_LINE_BYTES)
                if not raw or offset >= end:
                    break
                self._one_line(offset, raw)
        return self._judge.looked - before

    def _one_line(self, offset: int, raw: bytes) -> None:
        try:
            text = raw.decode()
            cells = next(csv.reader([text], strict=True, **self._dialect), [])  # type: ignore[arg-type]
        except (UnicodeDecodeError, csv.Error) as error:
            raise Unreadable(f"near byte {offset:,}: no CSV in UTF-8: {error}") from error
        if cells:
            self._judge.row(("byte", offset), self._names, cells)

    def _counted(self, first: int) -> int | None:
        """How many rows there are by their line ends; None when there are too many bytes."""
        if not self._packed:
            if self._size_bytes > COUNT_BYTES:
                return None
            self._file.seek(self._read_bytes)
        total, count, tail, blank = 0, first, b"\n", 0
        while chunk := self._file.read(_CHUNK):
            total += len(chunk)
            if total > COUNT_BYTES:
                return None
            count += chunk.count(b"\n")
            whole = tail + chunk
            if b"\n\n" in whole or b"\n\r\n" in whole:
                blank += len(_BLANK.findall(whole))
            tail = whole[-2:] if whole.endswith(b"\r") else whole[-1:]
        return count + (not tail.endswith(b"\n")) - blank
