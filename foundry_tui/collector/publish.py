"""What the process that collects tells the others: files that are replaced as a whole.

Beside the snapshot of each source (`store.snapshots`) there are three: how the sources stand,
written every few seconds as a sign of life; the readings of the last sweep; and the whole estate
with the readings joined to it, so that this is done once and not by everybody who looks. A reader
believes only files of the uids it trusts, of this schema, of this boot of this host, and not from
the future.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from foundry_tui.collector.lead import Leader
from foundry_tui.config.owned import OTHERS_WRITE, open_own, replace_own
from foundry_tui.estate.reading import Reading
from foundry_tui.estate.snapshot import Snapshot, decode, encode, safe_tree, suspect
from foundry_tui.estate.source import Source
from foundry_tui.estate.text import safe
from foundry_tui.store.snapshots import Snapshots

STANDING, READINGS, ESTATE = "collector.json", "readings.json", "estate.json"
STANDING_SCHEMA, READINGS_SCHEMA = "foundry.collector/1", "foundry.readings/1"
MAX_STANDING_BYTES = 1 << 20
MAX_READINGS_BYTES = MAX_ESTATE_BYTES = 64 << 20
"""A reading takes some 600 bytes: those of 10,000 GPUs 6 MB."""

READINGS_S = 60.0
"""Readings that stay the same are written again after so many seconds."""

AHEAD_S = 5.0
"""What is from so many seconds ahead of this host's clock was not written here, or before a jump of
the clock: it is not believed."""

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A sign of life, and how every source stands.

    `boot` and `monotonic_s` give its age whatever the clock of the host does. `estate` tells what
    is collected: another process believes it only when it would collect the same. `shared` are the
    sources whose snapshots are published too, `where` tells what some of the sources are read by
    (a Slurm's configuration file), `history` is why there is no history, if there is none.
    """

    schema: str = STANDING_SCHEMA
    at: datetime
    boot: str
    monotonic_s: float
    leader: Leader
    estate: str
    sources: tuple[Source, ...] = ()
    shared: tuple[str, ...] = ()
    where: Mapping[str, str] = field(default_factory=dict)
    history: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleMark:
    """Since when a GPU has shown no work, whoever held it."""

    source: str
    node: str
    index: int
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The readings that hold now, the sources they come from, and what the history says."""

    readings: tuple[Reading, ...] = ()
    sources: tuple[Source, ...] = ()
    idle: tuple[IdleMark, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Readings:
    schema: str = READINGS_SCHEMA
    at: datetime
    measured: Measured


class Untrusted(Exception):
    """Something is published that is not believed; the message says why."""


@dataclass(slots=True)
class Board:
    """The published files of one folder.

    `owners` are the uids that are believed, None for the user's own; `mode` is that of new files.
    What has not changed on disk is not read again.
    """

    folder: Path
    clock: Callable[[], datetime]
    owners: Collection[int] | None = None
    mode: int = 0o600
    monotonic: Callable[[], float] = time.monotonic
    _known: dict[Path, tuple[tuple[int, ...], Any]] = field(init=False, default_factory=dict)
    _written: tuple[float, Measured] | None = field(init=False, default=None)

    @property
    def snapshots(self) -> Snapshots:
        """The published snapshot of each source."""
        return Snapshots(self.folder, owners=self.owners, mode=self.mode)

    def sweep(self) -> None:
        """Take away what a collector that was killed has left half written."""
        for name in (STANDING, READINGS, ESTATE):
            for temp in self.folder.glob(f".{name}.*"):
                with suppress(OSError):
                    temp.unlink()

    def publish(
        self,
        standing: Standing,
        measured: Measured | None = None,
        estate: Snapshot | None = None,
    ) -> None:
        """Tell how the sources stand; readings are written when they are others, or get old.

        Raises:
            OSError: the folder is full or closed; the files from before are still there.
        """
        import msgspec

        if measured is not None and self._news(measured, standing.monotonic_s):
            told = _Readings(at=standing.at, measured=measured)
            replace_own(self.folder / READINGS, msgspec.json.encode(told), mode=self.mode)
            self._written = (standing.monotonic_s, measured)
        if estate is not None:
            replace_own(self.folder / ESTATE, encode(estate), mode=self.mode)
        replace_own(self.folder / STANDING, msgspec.json.encode(standing), mode=self.mode)

    def _news(self, measured: Measured, now: float) -> bool:
        if self._written is None:
            return True
        at, before = self._written
        return now - at >= READINGS_S or measured != before

    def standing(self) -> Standing | None:
        """How the sources stand; None when nothing was published since this host was started.

        Raises:
            Untrusted: what is there is not believed.
        """
        found = self._read(STANDING, MAX_STANDING_BYTES, _standing)
        if found is None or found.boot != boot_id():
            return None
        self._not_ahead(STANDING, found.at)
        return found

    def age_s(self, standing: Standing) -> float:
        """Seconds since this was written, whatever the clock has done since."""
        return max(0.0, self.monotonic() - standing.monotonic_s)

    def measured(self, most_s: float) -> Measured | None:
        """The readings of the last sweep; None when there are none, or only older ones.

        Raises:
            Untrusted: what is there is not believed.
        """
        found = self._read(READINGS, MAX_READINGS_BYTES, _readings)
        if found is None:
            return None
        self._not_ahead(READINGS, found.at)
        return found.measured if self.clock() - found.at <= timedelta(seconds=most_s) else None

    def estate(self) -> Snapshot | None:
        """The whole estate as it was last collected; None when there is none to believe."""
        try:
            found = self._read(ESTATE, MAX_ESTATE_BYTES, decode)
        except Untrusted:
            return None
        return None if found is None or found.generated_at > self._latest() else found

    def part(self, source: str) -> Snapshot | None:
        """The published snapshot of a source; None when there is none that can be believed."""
        path = self.snapshots.path(source)
        if (stamp := _stamp(path)) is None:
            return None
        if (known := self._known.get(path)) is None or known[0] != stamp:
            self._known[path] = (stamp, self.snapshots.load(source).snapshot)
        part: Snapshot | None = self._known[path][1]
        ahead = part is not None and part.generated_at > self._latest()
        return None if ahead else part

    def stamp(self, sources: Collection[str]) -> tuple[object, ...]:
        """Changes when something else is published; a sign of life alone is nothing else."""
        paths = [self.folder / ESTATE, *(self.snapshots.path(s) for s in sources)]
        return tuple(_stamp(path) for path in paths)

    def _latest(self) -> datetime:
        return self.clock() + timedelta(seconds=AHEAD_S)

    def _not_ahead(self, name: str, at: datetime) -> None:
        if at > self._latest():
            raise Untrusted(f"{self.folder / name} is from the future: {at.isoformat()}")

    def _read(self, name: str, most_bytes: int, made: Callable[[bytes], T]) -> T | None:
        path = self.folder / name
        stamp = _stamp(path)
        if stamp is None:
            return None
        if (known := self._known.get(path)) is None or known[0] != stamp:
            self._known[path] = (stamp, self._decoded(path, most_bytes, made))
        value = self._known[path][1]
        if isinstance(value, Untrusted):
            raise value
        return value  # type: ignore[no-any-return]

    def _decoded(
        self, path: Path, most_bytes: int, made: Callable[[bytes], T]
    ) -> T | Untrusted | None:
        try:
            with os.fdopen(open_own(path, OTHERS_WRITE, owners=self.owners), "rb") as file:
                data = file.read(most_bytes + 1)
            if len(data) > most_bytes:
                raise ValueError(f"it is larger than {most_bytes} bytes")
            return made(data)
        except FileNotFoundError:
            return None
        except OSError as error:
            return _untrusted(path, error.strerror or str(error))
        except (ValueError, RecursionError) as error:
            return _untrusted(path, str(error))


def _untrusted(path: Path, why: str) -> Untrusted:
    return Untrusted(safe(f"{path} is not believed: {why}", max_cells=400))


def _made(data: bytes, kind: type[T]) -> T:
    """A record out of JSON, with text that is safe to draw."""
    import msgspec

    if suspect(data):
        return msgspec.convert(safe_tree(msgspec.json.decode(data)), kind)
    return msgspec.json.decode(data, type=kind)


def _standing(data: bytes) -> Standing:
    """Refuse another schema, and times from which no age could be told."""
    found = _made(data, Standing)
    _check_schema(found.schema, STANDING_SCHEMA)
    times = [("at", found.at), ("leader.since", found.leader.since)]
    _check_zones(times, found.sources)
    return found


def _readings(data: bytes) -> _Readings:
    found = _made(data, _Readings)
    _check_schema(found.schema, READINGS_SCHEMA)
    times = [("at", found.at)]
    times += [("readings.read_at", r.read_at) for r in found.measured.readings]
    times += [("idle.since", m.since) for m in found.measured.idle]
    _check_zones(times, found.measured.sources)
    return found


def _check_schema(found: str, wanted: str) -> None:
    if found != wanted:
        raise ValueError(f"schema: {wanted} is read here, the file says {found!r}")


def _check_zones(times: list[tuple[str, datetime]], sources: tuple[Source, ...]) -> None:
    read = [("sources.read_at", s.read_at) for s in sources if s.read_at is not None]
    for name, time_ in (*times, *read):
        if time_.tzinfo is None:
            raise ValueError(f"{name}: {time_.isoformat()} has no time zone")


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        info = path.lstat()
    except OSError:
        return None
    return (info.st_ino, info.st_mtime_ns, info.st_size, info.st_uid, info.st_mode)


@cache
def boot_id() -> str:
    """What differs from one start of this host to the next; empty where it is not told."""
    try:
        return BOOT_ID.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
