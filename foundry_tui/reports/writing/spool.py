"""Rows that are made once and may be too many to hold: the file waits on disk, some are kept."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence

from foundry_tui.reports.columns import Column, Row, Value, line, names
from foundry_tui.reports.writing.files import ReportError

TOLD_ROWS = 10_000
"""`tick` is called after so many rows."""


class Spool:
    """The rows of a report as lines of its file, in the order in which they came.

    `kept` are the first `most` of them by column, all of them without `most`.

    Raises:
        ReportError: there is no room for a temporary file.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        rows: Iterable[Sequence[Value]],
        most: int | None,
        tick: Callable[[int], None],
    ) -> None:
        header = names(columns)
        self.count = 0
        self.kept: list[Row] = []
        try:
            self._file = tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n")  # noqa: SIM115
            weakref.finalize(self, self._file.close)
            self._file.write(line(header) + "\n")
            for values in rows:
                self._file.write(line(values) + "\n")
                if most is None or self.count < most:
                    self.kept.append(dict(zip(header, values, strict=True)))
                self.count += 1
                if self.count % TOLD_ROWS == 0:
                    tick(self.count)
            self._file.flush()
        except OSError as error:
            raise ReportError(
                f"no room for {self.count} rows: {error.strerror}; set TMPDIR to a folder with room"
            ) from error

    def lines(self) -> Iterator[str]:
        """The CSV file line by line, without line ends; as often as wanted, one at a time."""
        self._file.seek(0)
        for words in self._file:
            yield words[:-1]
