"""The objects of a JSON array in a file, one at a time in memory."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from scheduler_sim.history.lines import opened
from scheduler_sim.history.rejects import HistoryError

LARGEST = 1 << 24
"""Characters; a larger object is a damaged file, and is not waited for."""

_CHUNK = 1 << 18
_BLANK = re.compile(r"[ \t\r\n]*")


def objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The line each object begins on, and the object.

    Raises:
        HistoryError: no such file, empty, or no JSON array of objects to its end; names the line.
    """
    with opened(path) as stream:
        text = _Text(path, stream)
        if not text.next():
            raise HistoryError(f"{path.name}: the file is empty")
        text.take("[")
        if text.next() == "]":
            return
        while True:
            text.next()
            yield text.line, text.object()
            if text.next() == "]":
                return
            text.take(",")


class _Text:
    """The part of the file that is in memory, and the place up to which it has been read."""

    def __init__(self, path: Path, stream: TextIO) -> None:
        self._path, self._stream = path, stream
        self._text, self._at = "", 0
        self._parse = json.JSONDecoder().raw_decode
        self._line, self._counted = 1, 0

    @property
    def line(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def next(self) -> str:
        """The next character that is no blank, not taken; empty at the end of the file."""
        while True:
            match = _BLANK.match(self._text, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def take(self, mark: str) -> None:
        """Step over one character, which has to be `mark`."""
        if self.next() != mark:
            raise self._broken(f"{mark!r} is missing")
        self._at += 1

    def object(self) -> dict[str, Any]:
        """Step over one object."""
        if self.next() != "{":
            raise self._broken("a job is a JSON object")
        while True:
            try:
                found, self._at = self._parse(self._text, self._at)
            except (ValueError, RecursionError) as error:
                if len(self._text) - self._at > LARGEST or not self._more():
                    raise self._broken(str(error).partition(":")[0]) from None
            else:
                return dict(found)

    def _more(self) -> bool:
        """Read on, twice as much as is left, and forget what was taken."""
        _ = self.line
        rest = self._text[self._at :]
        chunk = self._stream.read(max(_CHUNK, len(rest)))
        self._text, self._at, self._counted = rest + chunk, 0, 0
        return bool(chunk)

    def _broken(self, what: str) -> HistoryError:
        return HistoryError(f"{self._path.name} line {self.line}: no JSON array of jobs: {what}")
