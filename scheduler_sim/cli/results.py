"""One results file of a sweep: a row per cell, appended whole, and what is there is not run again.

JSON lines (`.jsonl`) or CSV (`.csv`). A row is one write and is on the disk before the next; a row
that a crash cut short is dropped when the file is opened again. One sweep at a time may write it.
"""

from __future__ import annotations

import csv
import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from scheduler_sim.cli.errors import WRONG_USE, SimError
from scheduler_sim.cli.output import as_csv, as_json, narrate

KEY = ("trace", "inputs", "policy", "seed", "inflate", "max_migrations", "max_cut")
"""What tells one cell from another; `inputs` is a digest of the bytes of both lists."""

Key = tuple[str, ...]


def key_of(row: Mapping[str, Any]) -> Key:
    """The cell of a row, the same from CSV, JSON and memory."""
    return tuple(str(row[name]) for name in KEY)


class Results:
    """The open results file; `present` are the cells that it has.

    Raises:
        SimError: neither .jsonl nor .csv, another sweep writes it, or it holds something else.
        OSError: it cannot be opened or written.
    """

    def __init__(self, path: Path, columns: tuple[str, ...]) -> None:
        if path.suffix not in (".jsonl", ".csv"):
            raise SimError(f"--output {path}: name it .jsonl or .csv", WRONG_USE)
        self._path, self._columns = path, columns
        self._csv = path.suffix == ".csv"
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            self._lock()
            self.present = self._read()
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> Results:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._file)

    def append(self, row: Mapping[str, Any]) -> None:
        """Add one row, whole or not at all.

        Raises:
            OSError: it cannot be written, for example because the disk is full.
        """
        size = os.fstat(self._file).st_size
        if self._csv:
            line = as_csv(self._columns, [row], header=size == 0)
        else:
            line = as_json({name: row.get(name) for name in self._columns}) + "\n"
        data = line.encode()
        try:
            written = os.write(self._file, data)
            if written != len(data):
                raise OSError(28, "no room for a whole row", str(self._path))
            os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, size)
            raise OSError(error.errno, error.strerror, str(self._path)) from error
        self.present.add(key_of(row))

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SimError(
                f"--output {self._path}: another sweep is writing it; wait, or name another file"
            ) from None

    def _read(self) -> set[Key]:
        data = self._path.read_bytes()
        whole = data.rfind(b"\n") + 1
        try:
            lines = data[:whole].decode().splitlines()
        except UnicodeDecodeError:
            raise self._foreign(1) from None
        keys = self._csv_keys(lines) if self._csv else self._json_keys(lines)
        if rest := data[whole:]:
            ours = (",".join(self._columns) if self._csv else f'{{"{KEY[0]}": ').encode()
            if not lines and rest[: len(ours)] != ours[: len(rest)]:
                raise self._foreign(1)
            narrate(f"{self._path}: the last row was cut short; it is dropped and run again")
            os.ftruncate(self._file, whole)
        return keys

    def _json_keys(self, lines: list[str]) -> set[Key]:
        keys = set()
        for number, line in enumerate(lines, 1):
            try:
                keys.add(key_of(json.loads(line)))
            except (ValueError, KeyError, TypeError, IndexError):
                raise self._foreign(number) from None
        return keys

    def _csv_keys(self, lines: list[str]) -> set[Key]:
        if not lines:
            return set()
        reader = csv.DictReader(lines)
        if tuple(reader.fieldnames or ()) != self._columns:
            raise self._foreign(1)
        keys = set()
        for row in reader:
            if None in row or None in row.values():
                raise self._foreign(reader.line_num)
            keys.add(key_of(row))
        return keys

    def _foreign(self, line: int) -> SimError:
        return SimError(
            f"--output {self._path}, line {line}: this is no row of a sweep; name another file"
        )
