"""Lines that come in any order and leave sorted: the lines on disk, only their keys in memory.

A month of a large site is a million rows of a third of a kilobyte each. What is kept of a row in
memory is one short `bytes` object (about 100 bytes), which Python sorts in about a second per
million.
"""

from __future__ import annotations

import os
import struct
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

from foundry_tui.reports.writing.files import ReportError

_PLACE = struct.Struct(">QI")
_NUMBER = struct.Struct(">Q")


def number_key(value: int) -> bytes:
    """A whole number of -2**62 <= value < 2**62 as bytes that sort like it."""
    return _NUMBER.pack(value + (1 << 62))


def text_key(value: str) -> bytes:
    """A text as bytes that sort by its code points, and before every longer text."""
    return value.encode("utf-8", "surrogatepass").replace(b"\0", b"\0\1") + b"\0\0"


class Sorted:
    """Lines in the order of their keys; those of equal keys in an order of their contents.

    So the same lines give the same order, whatever order they came in. `folder` is where the
    unnamed temporary file is made; None is the system's folder for them (`TMPDIR`).
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(tempfile.gettempdir())
        self._keys: list[bytes] = []
        self._sorted = True
        self._end = 0
        try:
            self._fd, name = tempfile.mkstemp(dir=self._folder)
        except OSError as error:
            raise self._no_room(error) from error
        self._close = weakref.finalize(self, os.close, self._fd)
        Path(name).unlink()

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, keys: Sequence[bytes], lines: Sequence[str]) -> None:
        """Keep these lines; each key is made of `text_key` and `number_key`.

        Raises:
            ReportError: there is no room for temporary files.
        """
        try:
            with open(self._fd, "wb", buffering=1 << 20, closefd=False) as file:
                for key, line in zip(keys, lines, strict=True):
                    data = line.encode()
                    mark = blake2b(data, digest_size=8).digest()
                    self._keys.append(key + mark + _PLACE.pack(self._end, len(data)))
                    file.write(data)
                    self._end += len(data)
        except OSError as error:
            raise self._no_room(error) from error
        self._sorted = False

    def __iter__(self) -> Iterator[str]:
        """The lines in order; as often as wanted."""
        if not self._sorted:
            self._keys.sort()
            self._sorted = True
        for key in self._keys:
            offset, length = _PLACE.unpack_from(key, len(key) - _PLACE.size)
            yield os.pread(self._fd, length, offset).decode()

    def close(self) -> None:
        """Give the room on disk back; there are no lines afterwards. Otherwise its end does it."""
        self._keys.clear()
        self._close()

    def _no_room(self, error: OSError) -> ReportError:
        return ReportError(
            f"lines cannot be sorted in {self._folder}: {error.strerror}; make room there, or name "
            "another folder with TMPDIR"
        )
