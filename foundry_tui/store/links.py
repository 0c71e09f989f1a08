"""Which run of a scheduler belongs to which run of a tracking server: one small file per pair.

The file is on disk before either side is asked for anything, so that a pair that broke off in the
middle is found and repaired. Open pairs lie apart from settled ones: a pass over what is still
moving never reads the thousands that are done. A file is written beside its place and renamed, so
that a reader, also one on another host of the same network folder, sees a whole one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import socket
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from foundry_tui.config.owned import OTHERS_WRITE, open_own
from foundry_tui.estate.text import SafeText, safe

MAX_BYTES = 1 << 16
SCHEMA = "foundry.link/1"
STALE_TEMP_S = 3600.0
"""Age in seconds at which a temporary file is the rest of a process that died."""

_TOKEN = re.compile(r"[0-9A-Za-z-]{6,40}")


class LinkError(Exception):
    """A pair could not be written down; then nothing may be created for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One pair.

    `token` is the submit token that both sides carry. `sent_at` is set before the job is sent,
    `native_id` when its id is known and on the record too. `status` is the record's status as last
    written or seen, `missing_since` the first time that no scheduler knew the job. `host` and `pid`
    are the program that is making the pair.
    """

    token: str
    source: str
    server: str
    experiment: str
    created_at: datetime
    host: str
    pid: int
    mlflow_run_id: str | None = None
    sent_at: datetime | None = None
    native_id: str | None = None
    status: str | None = None
    attempt: int = 1
    missing_since: datetime | None = None
    settled: bool = False

    @classmethod
    def begin(cls, *, token: str, source: str, server: str, experiment: str, now: datetime) -> Link:
        """A pair that this process is about to make."""
        return cls(
            token=token,
            source=source,
            server=server,
            experiment=experiment,
            created_at=now,
            host=socket.gethostname(),
            pid=os.getpid(),
        )


class Links:
    """The pairs of one user in a folder; files have mode 0600."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open, self._settled = folder / "open", folder / "settled"
        self._lock, self._passed = folder / "lock", folder / "passed"
        self._names: dict[Path, tuple[int, frozenset[str]]] = {}
        self._read: dict[str, tuple[tuple[int, int, int], Link]] = {}

    def save(self, link: Link) -> None:
        """Write a pair down; returns when it is safe on disk.

        Raises:
            LinkError: the disk is full or closed, or the token is none.
        """
        if not _TOKEN.fullmatch(link.token):
            raise LinkError(f"the link of {safe(link.source)}: {safe(link.token)!r} is no token")
        place = self._settled if link.settled else self._open
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            _replace(place / _file(link.token), _encode(link))
            if link.settled:
                (self._open / _file(link.token)).unlink(missing_ok=True)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            words = f"the link to the tracking server is not kept: {place}: {reason}"
            raise LinkError(safe(words, max_cells=1000)) from error

    def find(self, token: str) -> Link | None:
        """The pair of this token; None when there is none, or none that can be read."""
        return self.of((token,)).get(token)

    def of(self, tokens: Iterable[str]) -> dict[str, Link]:
        """The pairs of these tokens, by token. Cheap when asked again; never raises."""
        settled, open_ = self._listed(self._settled), self._listed(self._open)
        found = {}
        for token in tokens:
            for place, names in ((self._settled, settled), (self._open, open_)):
                if token not in found and _file(token) in names:
                    with contextlib.suppress(OSError, ValueError):
                        found[token] = self._cached(place / _file(token))
        return found

    def still_open(self) -> tuple[tuple[Link, ...], tuple[SafeText, ...]]:
        """The pairs that are not settled, oldest first, and what was found damaged.

        A damaged file is set aside, so that it is told once and never again.
        """
        links, problems = [], []
        try:
            paths = sorted(self._open.iterdir())
        except FileNotFoundError:
            return (), ()
        except OSError as error:
            words = f"{self._open}: the links cannot be read: {error.strerror}"
            return (), (safe(words, max_cells=1000),)
        for path in paths:
            if path.suffix != ".json" or path.name.startswith("."):
                _sweep(path)
                continue
            try:
                link = self._cached(path)
            except FileNotFoundError:  # settled by another process just now
                continue
            except (OSError, ValueError) as error:
                problems.append(self._set_aside(path, error))
                continue
            if (self._settled / path.name).exists():
                # The process that settled it died before it could take this one away.
                with contextlib.suppress(OSError):
                    path.unlink()
                continue
            links.append(link)
        return tuple(sorted(links, key=lambda link: link.created_at)), tuple(problems)

    @contextlib.contextmanager
    def writer(self, *, wait_s: float) -> Iterator[bool]:
        """Hold the lock of the one writer; False when another process keeps it for `wait_s`.

        Raises:
            LinkError: the lock file cannot be made.
        """
        give_up = time.monotonic() + wait_s
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = open_own(self._lock, OTHERS_WRITE, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise LinkError(safe(f"{self._lock}: {error.strerror}", max_cells=1000)) from error
        try:
            while True:
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    if time.monotonic() < give_up:
                        time.sleep(0.02)
                        continue
                    yield False
                    return
                yield True
                return
        finally:
            os.close(fd)

    def since_pass_s(self) -> float | None:
        """Seconds since the last pass of any process of this user; None when there was none."""
        try:
            return max(0.0, time.time() - self._passed.stat().st_mtime)
        except OSError:
            return None

    def passed(self) -> None:
        """Note that a pass begins now."""
        with contextlib.suppress(OSError):
            os.close(open_own(self._passed, OTHERS_WRITE, os.O_WRONLY | os.O_CREAT))
            os.utime(self._passed, (time.time(), time.time()))

    def _listed(self, place: Path) -> frozenset[str]:
        """The file names of a folder, listed anew when the folder has changed."""
        try:
            changed = place.stat().st_mtime_ns
            known = self._names.get(place)
            # Two changes within one tick of the file system's clock look like one.
            if known is None or known[0] != changed or time.time_ns() - changed < 2_000_000_000:
                known = (changed, frozenset(os.listdir(place)))  # noqa: PTH208  (names only)
                self._names[place] = known
        except OSError:
            return frozenset()
        return known[1]

    def _cached(self, path: Path) -> Link:
        info = path.stat()
        stamp = (info.st_mtime_ns, info.st_size, info.st_ino)
        known = self._read.get(str(path))
        if known is None or known[0] != stamp:
            known = (stamp, _load(path))
            self._read[str(path)] = known
        return known[1]

    def _set_aside(self, path: Path, error: Exception) -> SafeText:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        target = self._folder / "damaged" / path.name
        try:
            target.parent.mkdir(mode=0o700, exist_ok=True)
            path.replace(target)
            where = f"set aside as {target}"
        except OSError as second:
            where = f"and it cannot be set aside: {second.strerror}"
        return safe(f"{path} is no link that can be read ({reason}): {where}", max_cells=1000)


def _file(token: str) -> str:
    return f"{token}.json" if _TOKEN.fullmatch(token) else ""


def _encode(link: Link) -> bytes:
    import msgspec

    fields: dict[str, Any] = {name: getattr(link, name) for name in Link.__slots__}
    return msgspec.json.encode({"schema": SCHEMA, **fields}) + b"\n"


def _load(path: Path) -> Link:
    """Read one file.

    Raises:
        OSError: it cannot be read, or is not the user's own.
        ValueError: it is no link.
    """
    import msgspec

    with os.fdopen(open_own(path, OTHERS_WRITE), "rb") as file:
        data = file.read(MAX_BYTES + 1)
    try:
        link = msgspec.json.decode(data, type=Link)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from error
    times = (link.created_at, link.sent_at, link.missing_since)
    if link.token != path.stem or any(t is not None and t.tzinfo is None for t in times):
        raise ValueError("the token is not that of the file's name, or a time has no zone")
    return replace(link, settled=path.parent.name == "settled")


def _replace(path: Path, data: bytes) -> None:
    """Write a file as a whole: beside its place, to disk, then renamed; the folder too."""
    fd, name = tempfile.mkstemp(prefix=f".{socket.gethostname()}-{path.stem}.", dir=path.parent)
    temp = Path(name)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temp.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temp.unlink()
        raise
    with contextlib.suppress(OSError):  # some network file systems have no fsync of folders
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _sweep(temp: Path) -> None:
    """Take away what a writer that was killed has left."""
    with contextlib.suppress(OSError):
        if time.time() - temp.stat().st_mtime > STALE_TEMP_S:
            temp.unlink()
