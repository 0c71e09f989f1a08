"""The acts on the simulated estate, in a file, so that several processes see one estate.

The file is append-only: a header line with the moment at which the simulated clock started, then
one JSON line per act. Its order decides, and replaying it gives every process the same estate.
Lines that make no sense are passed over, and a file without a good header is started afresh. Where
nothing can be written, the acts last as long as the process.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import RLock

import msgspec

from scheduler_sim.jobs import JobSpec

SCHEMA = "foundry.simulated/1"
FRESH_FOR = timedelta(hours=3)
"""An estate older than this is started afresh: replaying it costs time, and it drifts away."""

MAX_BYTES = 4 << 20
"""A file that is larger than this is started afresh."""

FILE = "acts.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One act on one run or project, `at_s` simulated seconds after the estate's start.

    `do` is submit, cancel, hold, release, requeue or change; `key` the simulator's key of the run.
    With `quota` the key is a project, which then has `quota_milli` and `weight` (None: as before);
    with drain and resume it is a node, with `queue` a queue. `text` is the reason of a drain, the
    state of a queue, and `hold` of a requeue that comes back held.
    """

    id: str
    at_s: int
    source: str
    do: str
    key: str = ""
    spec: JobSpec | None = None
    token: str | None = None
    delay_s: int = 0
    quota_milli: int | None = None
    weight: float | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class _Head:
    schema: str
    epoch: datetime


class ActsLog:
    """The acts so far in `entries`, and the start of the simulated clock in `epoch`.

    `generation` changes when the file was started afresh, by this process or another one.
    `memory_only` says why acts are not kept, None when they are.
    """

    def __init__(self, folder: Path | None, now: datetime) -> None:
        self.epoch = now.astimezone(UTC).replace(microsecond=0)
        self.entries: list[Entry] = []
        self.generation = 0
        self.turn = RLock()
        self.memory_only: str | None = None if folder else "no folder was given to keep acts in"
        self._path = folder / FILE if folder else None
        self._identity: tuple[int, int] | None = None
        self._offset = 0
        if folder is not None:
            self._open(folder, now)

    @property
    def path(self) -> Path | None:
        """The file, None when acts are not kept."""
        return self._path

    def append(self, entry: Entry) -> None:
        """Add an act. It takes effect in `entries` after the next `refresh`."""
        if self._path is not None:
            # A line that another process could not finish must not swallow this one.
            line = b"\n" + msgspec.json.encode(entry) + b"\n"
            try:
                # Without O_CREAT: a file that was removed must not come back without its header.
                handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
                try:
                    os.write(handle, line)
                finally:
                    os.close(handle)
            except OSError as error:
                self._keep_in_memory(error)
            else:
                return
        self.entries.append(entry)

    def refresh(self) -> None:
        """Read what was added since, by any process."""
        if self._path is None:
            return
        try:
            with self._path.open("rb") as file:
                status = os.fstat(file.fileno())
                identity = (status.st_dev, status.st_ino)
                if identity != self._identity or status.st_size < self._offset:
                    self._identity = identity
                    self._load(file.read(MAX_BYTES))
                    return
                file.seek(self._offset)
                self._read(file.read(MAX_BYTES))
        except OSError as error:
            self._keep_in_memory(error)

    def _open(self, folder: Path, now: datetime) -> None:
        assert self._path is not None
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._usable(self._path, now):
                self._start(self._path, replace=True)
        except OSError as error:
            self._keep_in_memory(error)
        self.refresh()

    def _usable(self, path: Path, now: datetime) -> bool:
        """Whether the file is there, with a good header of an estate that is not too old."""
        try:
            status = path.stat()
            with path.open("rb") as file:
                head = _decode_head(file.readline(4096))
        except FileNotFoundError:
            self._start(path, replace=False)
            return True
        if head is None or status.st_size > MAX_BYTES:
            return False
        return timedelta(minutes=-1) < now - head.epoch < FRESH_FOR

    def _start(self, path: Path, *, replace: bool) -> None:
        """Write a new file in one step, so that nobody ever reads half a header."""
        fresh = path.with_name(f".{FILE}.{secrets.token_hex(4)}")
        fresh.write_bytes(msgspec.json.encode(_Head(SCHEMA, self.epoch)) + b"\n")
        try:
            if replace:
                fresh.replace(path)
            else:
                with contextlib.suppress(FileExistsError):
                    os.link(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)

    def _load(self, data: bytes) -> None:
        head = _decode_head(data.partition(b"\n")[0])
        if head is not None:
            self.epoch = head.epoch
        self.entries, self._offset = [], 0
        self.generation += 1
        self._read(data)

    def _read(self, data: bytes) -> None:
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.split(b"\n"):
            if line.startswith(b"{"):
                with contextlib.suppress(msgspec.MsgspecError):
                    self.entries.append(msgspec.json.decode(line, type=Entry))

    def _keep_in_memory(self, error: OSError) -> None:
        self.memory_only = f"acts are not kept: {self._path}: {error.strerror or error}"
        self._path = None


def _decode_head(line: bytes) -> _Head | None:
    try:
        head = msgspec.json.decode(line, type=_Head)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return head if head.schema == SCHEMA and head.epoch.tzinfo is not None else None
