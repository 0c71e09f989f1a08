"""Text files, plain or gzip, as numbered lines and rows: one line in memory at a time."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import TextIO

from scheduler_sim.history.rejects import HistoryError, Tally, Unfit

LONGEST_LINE = 1 << 20
"""Characters; a longer line is no row of any format here, and could fill the memory."""

_GZIP = b"\x1f\x8b"


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """The file as text, unpacked if its first bytes say gzip, bytes that are no UTF-8 replaced.

    Raises:
        HistoryError: it cannot be opened or read to its end, also while the caller reads it.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise HistoryError(
            f"{path.name}: a pipe or a device, which cannot be read twice; save it to a file first"
        )
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == _GZIP
            raw.seek(0)
            data = gzip.GzipFile(fileobj=raw) if packed else raw
            with TextIOWrapper(data, encoding="utf-8-sig", errors="replace") as text:
                yield text
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise HistoryError(f"{path.name}: the gzip data is damaged or cut off ({error})") from None
    except (OSError, ValueError) as error:
        if isinstance(error, HistoryError):
            raise
        what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise HistoryError(f"{path.name}: cannot be read: {what}") from None


def numbered(path: Path) -> Iterator[tuple[int, str]]:
    """Every line that is not blank with its number from 1, without the line's end.

    Raises:
        HistoryError: as `opened`, and for a line longer than `LONGEST_LINE`.
    """
    with opened(path) as stream:
        number = 0
        while line := stream.readline(LONGEST_LINE):
            number += 1
            if len(line) == LONGEST_LINE and not line.endswith("\n"):
                raise HistoryError(f"{path.name} line {number}: longer than {LONGEST_LINE} letters")
            if not line.isspace():
                yield number, line.strip("\r\n")


def cells(line: str, delimiter: str = ",") -> list[str]:
    """The cells of one row; a row is always one line, so a lost quote cannot swallow the next.

    Raises:
        Unfit: the quotes make no sense.
    """
    if '"' not in line or delimiter != ",":
        return line.split(delimiter)
    try:
        return next(csv.reader([line]), [])
    except csv.Error:
        raise Unfit("row", "its quotes make no sense", line) from None


class Table:
    """The rows of a file whose columns have names; rows that are too short or long are rejected.

    Raises:
        HistoryError: the file is empty, or lacks one of the columns `needed`.
    """

    def __init__(
        self,
        path: Path,
        tally: Tally,
        needed: Sequence[str],
        *,
        delimiter: str = ",",
        default: Sequence[str] | None = None,
        hint: str = "",
    ) -> None:
        """`default` names the columns of a file without a header line; `hint` ends the error."""
        self._path, self._tally, self._delimiter = path, tally, delimiter
        self._lines = numbered(path)
        self._unread: tuple[int, str] | None = None
        first = next(self._lines, None)
        if first is None:
            raise HistoryError(f"{path.name}: the file is empty")
        names = [name.strip() for name in first[1].split(delimiter)]
        if default is not None and names[0] != default[0]:
            names, self._unread = list(default), first
        self._width = len(names)
        self._at = {name: place for place, name in enumerate(names)}
        if missing := [name for name in needed if name not in self._at]:
            raise HistoryError(f"{path.name}: the header has no column {', '.join(missing)}{hint}")

    def __contains__(self, column: str) -> bool:
        return column in self._at

    def __getitem__(self, column: str) -> int:
        """The place of a column in a row; -1 when the file has no such column."""
        return self._at.get(column, -1)

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Line number and cells, as many as the header names."""
        lines = self._lines if self._unread is None else chain((self._unread,), self._lines)
        width, delimiter = self._width, self._delimiter
        for number, line in lines:
            try:
                row = cells(line, delimiter)
                if len(row) != width:
                    raise Unfit("row", "has not as many cells as there are columns", len(row))
            except Unfit as unfit:
                self._tally.add(self._path, number, unfit)
            else:
                yield number, row
