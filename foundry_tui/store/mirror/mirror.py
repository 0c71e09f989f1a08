"""The mirror of one tracking server's runs: a file in the cache, or memory in the demo.

Any thread may read, each question with a connection of its own. Who writes holds a lock for as long
as it works; another process of the user can go on reading what was there before.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

import msgspec

from foundry_tui.config.places import MOUNTINFO
from foundry_tui.estate.tracked import Experiment, TrackedRun
from foundry_tui.store.mirror import fields, partial, place, query, schema
from foundry_tui.store.mirror.body import moment
from foundry_tui.store.mirror.errors import MirrorDamaged, from_sqlite, refused
from foundry_tui.store.mirror.query import Found, Query
from foundry_tui.store.mirror.writer import Writer


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An experiment, and how far back its runs are known; `since` is None before its first page."""

    experiment: Experiment
    since: datetime | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How far the mirror is. `polled_at` is when all that changes was last asked for."""

    experiments: tuple[Known, ...] = ()
    runs: int = 0
    polled_at: datetime | None = None

    @property
    def whole(self) -> bool:
        """Whether every run of the server is there."""
        return bool(self.experiments) and all(known.whole for known in self.experiments)


class Mirror:
    """The runs of the server `url`, read from `file`; without a file they are in memory."""

    def __init__(self, url: str, file: Path | None, *, mountinfo: Path = MOUNTINFO) -> None:
        self.url = url
        self.file = file
        self._mountinfo = mountinfo
        self._turn = threading.Lock()
        self._writing = threading.Lock()
        self._memory: sqlite3.Connection | None = None
        if file is None:
            self._memory = sqlite3.connect(
                ":memory:", isolation_level=None, check_same_thread=False
            )
            schema.made(self._memory, url)

    @classmethod
    def open(cls, folder: Path, url: str, *, mountinfo: Path = MOUNTINFO) -> Self:
        """The mirror of this server in a folder, which is made when missing.

        Raises:
            MirrorError: folder or file is not the user's own, or cannot be made.
        """
        file = place.prepare(folder, url)
        place.sweep(folder, file)
        return cls(url, file, mountinfo=mountinfo)

    def state(self) -> State:
        """How far it is; an absent file is an empty mirror.

        Raises:
            MirrorError: it cannot be read.
            MirrorDamaged: it is damaged, or of another server or schema.
        """
        with self._reading() as db:
            if db is None:
                return State()
            polled = db.execute("SELECT value FROM meta WHERE name = 'polled_us'").fetchone()
            (runs,) = db.execute("SELECT count(*) FROM run").fetchone()
            rows = db.execute(
                "SELECT id, name, tags, reached_us, whole FROM experiment ORDER BY id"
            ).fetchall()
        return State(
            experiments=tuple(
                Known(
                    experiment=Experiment(id=id_, name=name, tags=_tags(tags)),
                    since=moment(reached),
                    whole=bool(whole),
                )
                for id_, name, tags, reached, whole in rows
            ),
            runs=int(runs),
            polled_at=moment(polled[0]) if polled else None,
        )

    def ask(self, question: Query) -> Found:
        """The runs that a query chooses.

        Raises:
            FilterError, NoField, TooManyFields: the query makes no sense.
            MirrorError, MirrorDamaged: as `state`.
        """
        with self._reading() as db:
            return Found((), 0) if db is None else query.ask(db, question)

    def get(self, run_id: str) -> TrackedRun | None:
        """The run as it was last seen; None when it is not known.

        Raises:
            MirrorError, MirrorDamaged: as `state`.
        """
        with self._reading() as db:
            if db is None:
                return None
            row = db.execute("SELECT id FROM run WHERE run_id = ?", (run_id,)).fetchone()
            return next(iter(query.unpacked(db, row)), None) if row else None

    def beginning(self, prefix: str, most: int) -> tuple[TrackedRun, ...]:
        """At most `most` runs whose id begins so.

        Raises:
            MirrorError, MirrorDamaged: as `state`.
        """
        with self._reading() as db:
            if db is None:
                return ()
            rows = db.execute(
                "SELECT id FROM run WHERE run_id >= ? AND run_id < ? ORDER BY run_id LIMIT ?",
                (prefix, prefix + "\U0010ffff", most),
            ).fetchall()
            return query.unpacked(db, [row for (row,) in rows])

    def whole(self, run_ids: Sequence[str]) -> tuple[TrackedRun, ...]:
        """These runs, in this order; those that are not known are left out.

        Raises:
            MirrorError, MirrorDamaged: as `state`.
        """
        with self._reading() as db:
            return () if db is None else query.unpacked(db, partial.rows_of(db, run_ids))

    def counts(self, metrics: Sequence[str]) -> dict[str, dict[str, int]]:
        """Id of an experiment -> metric -> how many of its runs have it, of these metrics.

        Raises:
            MirrorError, MirrorDamaged: as `state`.
        """
        with self._reading() as db:
            return {} if db is None else partial.counts(db, metrics)

    def keys(self) -> tuple[str, ...]:
        """Every metric, param and tag of any run, as `metric.loss`: to complete and to choose.

        Raises:
            MirrorError, MirrorDamaged: as `state`.
        """
        with self._reading() as db:
            return () if db is None else fields.keys(db)

    @contextlib.contextmanager
    def writer(self, *, wait_s: float = 0.0) -> Iterator[Writer | None]:
        """Write; None when another process does so for longer than `wait_s`.

        What lies there and is no mirror of this server is set aside, and a new one is begun.

        Raises:
            MirrorError: it cannot be opened or locked.
        """
        if self.file is None:
            assert self._memory is not None
            if not self._writing.acquire(timeout=wait_s):
                yield None
                return
            try:
                yield Writer(self._memory, None, self._turn)
            finally:
                self._writing.release()
            return
        with place.only_writer(self.file, wait_s) as mine:
            if not mine:
                yield None
                return
            writer = Writer(self._opened(self.file), self.file, contextlib.nullcontext())
            try:
                yield writer
            finally:
                writer.close()

    def begin_anew(self) -> None:
        """Set aside what lies there, unless another process writes. Never raises.

        What is damaged within cannot be seen when the file is opened.
        """
        if self.file is not None:
            with (
                contextlib.suppress(OSError, MirrorDamaged),
                place.only_writer(self.file, 0.0) as mine,
            ):
                if mine:
                    place.set_aside(self.file)

    def _opened(self, file: Path) -> sqlite3.Connection:
        """A connection that writes to a mirror of this server, which is begun where needed."""
        try:
            return self._open_or_make(file)
        except MirrorDamaged:
            try:
                place.set_aside(file)
            except OSError as error:
                raise refused(file, "not set aside", error.strerror or str(error)) from error
        return self._open_or_make(file)

    def _open_or_make(self, file: Path) -> sqlite3.Connection:
        try:
            place.check(file.parent, file)
            db = place.to_write(file, mountinfo=self._mountinfo)
            try:
                known = schema.known(db, self.url)
                if known is False:
                    raise MirrorDamaged(f"{file}: it is no copy of {self.url}")
                if known is None:
                    schema.made(db, self.url)
            except BaseException:
                db.close()
                raise
        except sqlite3.Error as error:
            raise from_sqlite(file, "not opened", error) from error
        except OSError as error:
            raise refused(file, "not opened", error.strerror or str(error)) from error
        return db

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """A connection for one question; None where there is no file yet."""
        if self.file is None:
            with self._turn:
                yield self._memory
            return
        if not self.file.exists():
            yield None
            return
        try:
            db = place.to_read(self.file)
            try:
                known = schema.known(db, self.url)
                if known is False:
                    raise MirrorDamaged(f"{self.file}: it is no copy of {self.url}")
                yield db if known else None
            finally:
                db.close()
        except sqlite3.Error as error:
            raise from_sqlite(self.file, "not read", error) from error


def _tags(data: bytes) -> dict[str, str]:
    try:
        return msgspec.msgpack.decode(data, type=dict[str, str])
    except msgspec.MsgspecError as error:
        raise MirrorDamaged(f"copy of the tracked runs: an experiment: {error}") from error
