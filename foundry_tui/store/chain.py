"""An append-only file of JSON lines in which each line carries the hash of the one before.

An edited, missing, repeated or moved line breaks the chain, and `verify` names it. The lock file
beside it remembers the last line, so that lines cut off at the end are missed too. The chain shows
accidents and clumsy edits; whoever may write the folder can also forge the whole file anew.

A line is `{"seq":N,"prev":"…",…,"hash":"…"}`: `hash` is the SHA-256 of the line's bytes without
the hash itself, `prev` the hash of the line before. A line that a crash cut short ("torn") does
not count: the next one is written below it and follows the last whole line.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundry_tui.config.owned import OTHERS_WRITE, open_own

FIRST_PREV = "0" * 64
LOCK_TIMEOUT_S = 10.0
"""Seconds to wait for another process that appends, before giving up."""

_TAIL_BYTES = 1 << 16
_HASH = re.compile(rb',"hash":"([0-9a-f]{64})"\}\Z')
_HEAD = re.compile(rb"(\d{1,18}) ([0-9a-f]{64})\n")


@dataclass(frozen=True, slots=True)
class Line:
    """One line: `whole` tells whether its hash fits its bytes."""

    seq: int
    prev: str
    hash: str
    data: dict[str, Any]
    whole: bool


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the file. `kind` is torn, edited, missing or order."""

    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}"


class Chain:
    """The file `NAME.jsonl` in a folder, and its lock `NAME.lock`. Safe among processes."""

    def __init__(self, folder: Path, name: str, *, lock_timeout_s: float = LOCK_TIMEOUT_S) -> None:
        self.file = folder / f"{name}.jsonl"
        self.lock = folder / f"{name}.lock"
        self._lock_timeout_s = lock_timeout_s

    def append(self, data: Mapping[str, object]) -> Line:
        """Add one line and return it when it is safe on disk.

        Raises:
            OSError: it could not be written; nothing was added.
        """
        with self._locked() as lock, _opened(self.file, os.O_RDWR | os.O_APPEND) as fd:
            size = os.fstat(fd).st_size
            last, head = _last_whole(fd, size), _parse_head(os.pread(lock, 128, 0))
            last_seq, prev = head if head[0] > last[0] else last
            raw, line = _encode(last_seq + 1, prev, data)
            torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
            try:
                _write(fd, b"\n" + raw if torn else raw)
                os.fsync(fd)
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(fd, size)  # the caller will not act, so nothing may say it did
                raise
            if size == 0:
                _sync_folder(self.file.parent)
            with contextlib.suppress(OSError):  # only the tail check suffers
                os.pwrite(lock, b"%d %s\n" % (line.seq, line.hash.encode()), 0)
        return line

    def lines(self) -> list[Line]:
        """Every whole line, in the file's order.

        Raises:
            OSError: the file is there and cannot be read, or is not the user's own.
        """
        parsed = (_parse(raw) for raw in _split(self._read(self.file)))
        return [line for line in parsed if line is not None and line.whole]

    def verify(self) -> list[Problem]:
        """What is wrong with the file, by line number from 1; empty when nothing is.

        Raises:
            OSError: the file is there and cannot be read, or is not the user's own.
        """
        with contextlib.ExitStack() as held:
            with contextlib.suppress(OSError):  # a folder that may only be read has no writer
                held.enter_context(self._locked())
            head = _parse_head(self._read(self.lock))
            data = self._read(self.file)
        return check(data, head)

    def _read(self, path: Path) -> bytes:
        try:
            with os.fdopen(open_own(path, OTHERS_WRITE), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return b""

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        """Hold the lock file, as its descriptor; the lock goes with the process."""
        give_up = time.monotonic() + self._lock_timeout_s
        with _opened(self.lock, os.O_RDWR) as fd:
            while True:
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > give_up:
                        waited = f"another foundry has held it for {self._lock_timeout_s:g} s"
                        raise TimeoutError(0, waited, str(self.lock)) from None
                    time.sleep(0.005)
            yield fd


def check(data: bytes, head: tuple[int, str]) -> list[Problem]:
    """The problems of a file's bytes; `head` is number and hash of the last line written."""
    parsed = [_parse(raw) for raw in _split(data)]
    present = {line.seq for line in parsed if line is not None}
    problems: list[Problem] = []
    last_seq, last_hash = 0, FIRST_PREV
    for number, line in enumerate(parsed, 1):
        if line is None:
            problems.append(Problem(number, "torn", "cut short or damaged; it does not count"))
            continue
        if not line.whole:
            problems.append(Problem(number, "edited", "edited: its hash does not fit its text"))
        if line.prev != last_hash:
            problems.append(_break(number, line.seq, last_seq, present))
        elif line.seq == head[0] and line.hash != head[1]:
            problems.append(Problem(number, "edited", "not the line that was written last"))
        last_seq, last_hash = line.seq, line.hash
    if last_seq < head[0] and head[0] not in present:
        gone = _span(last_seq + 1, head[0])
        problems.append(Problem(len(parsed) + 1, "missing", f"{gone} cut off at the end"))
    return problems


def _break(number: int, seq: int, last_seq: int, present: set[int]) -> Problem:
    absent = set(range(last_seq + 1, seq)) - present if seq - last_seq < 1_000_000 else {seq - 1}
    if absent:
        gone = _span(min(absent), max(absent))
        return Problem(number, "missing", f"{gone} missing before this line")
    if seq == last_seq + 1:
        return Problem(number, "edited", "does not follow the line before it: one was replaced")
    return Problem(number, "order", f"out of order: entry {seq} stands after entry {last_seq}")


def _span(first: int, last: int) -> str:
    return f"entry {first} is" if first == last else f"entries {first} to {last} are"


def _encode(seq: int, prev: str, data: Mapping[str, object]) -> tuple[bytes, Line]:
    fields = {"seq": seq, "prev": prev, **data}
    text = json.dumps(fields, separators=(",", ":")).encode("ascii")
    digest = hashlib.sha256(text).hexdigest()
    raw = text[:-1] + b',"hash":"' + digest.encode() + b'"}\n'
    return raw, Line(seq, prev, digest, fields, True)


def _parse(raw: bytes) -> Line | None:
    """A line's bytes as a line; None when that is not what they are."""
    end = _HASH.search(raw)
    if end is None:
        return None
    text = raw[: end.start()] + b"}"
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    seq, prev = data.get("seq"), data.get("prev")
    if type(seq) is not int or not isinstance(prev, str):
        return None
    digest = end[1].decode()
    return Line(seq, prev, digest, data, hashlib.sha256(text).hexdigest() == digest)


def _split(data: bytes) -> list[bytes]:
    lines = data.split(b"\n")
    return lines if lines[-1] else lines[:-1]


def _last_whole(fd: int, size: int) -> tuple[int, str]:
    """Number and hash of the last whole line, read from the end of the file."""
    span = _TAIL_BYTES
    while True:
        start = max(0, size - span)
        lines = os.pread(fd, size - start, start).split(b"\n")
        for raw in reversed(lines[1:] if start else lines):
            line = _parse(raw)
            if line is not None and line.whole:
                return line.seq, line.hash
        if start == 0:
            return 0, FIRST_PREV
        span *= 4


def _parse_head(data: bytes) -> tuple[int, str]:
    match = _HEAD.match(data)
    return (int(match[1]), match[2].decode()) if match else (0, FIRST_PREV)


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    fd = open_own(path, OTHERS_WRITE, flags | os.O_CREAT)
    try:
        yield fd
    finally:
        os.close(fd)


def _write(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
