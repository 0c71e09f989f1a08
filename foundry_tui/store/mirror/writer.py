"""What the one writer does to the mirror. Every call is one transaction: all of it or nothing."""

from __future__ import annotations

import contextlib
import math
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from foundry_tui.estate.recorded import USER_TAG
from foundry_tui.estate.text import safe
from foundry_tui.estate.tracked import Experiment, TrackedRun
from foundry_tui.store.mirror.body import Body, body, moment, pack, unpack, us, utf8
from foundry_tui.store.mirror.errors import MirrorDamaged, from_sqlite

NAMES_AT_ONCE = 500
"""Names in one statement: older SQLite takes 999."""

_NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?\s*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """How far back the runs of some experiments are known: all since `since`, or `whole`."""

    experiment_ids: tuple[str, ...]
    since: datetime | None = None
    whole: bool = False


class Writer:
    """The mirror, open for writing. To be had from `Mirror.writer`, and used by one thread.

    `turn` is held during each transaction: in memory, readers use the same connection.
    """

    def __init__(
        self, db: sqlite3.Connection, file: Path | None, turn: AbstractContextManager[object]
    ) -> None:
        self._db = db
        self._file = file
        self._turn = turn
        self._keys: dict[tuple[str, str], int] = {}

    def put(
        self, runs: Iterable[TrackedRun], seen_at: datetime, reached: Reached | None = None
    ) -> int:
        """Keep these runs as the server had them at `seen_at`; how many are new or have changed.

        With `reached`, what is known of these experiments is noted along with the runs.

        Raises:
            MirrorError: the disk refuses.
            MirrorDamaged: the file is damaged.
        """
        pages = {run.run_id: body(run) for run in runs}
        with self._transaction("not written"):
            changed = self._put(list(pages.values()), us(seen_at) or 0)
            if reached is not None:
                self._db.executemany(
                    "UPDATE experiment SET reached_us = ?, whole = ? WHERE id = ?",
                    [(us(reached.since), reached.whole, id_) for id_ in reached.experiment_ids],
                )
        return changed

    def forget(self, run_ids: Iterable[str]) -> int:
        """Take away runs that the server does not have any more; how many were there.

        Raises:
            MirrorError, MirrorDamaged: as `put`.
        """
        with self._transaction("not written"):
            return self._forget([utf8(run_id) for run_id in run_ids])

    def experiments(self, found: Sequence[Experiment]) -> None:
        """Keep these as the experiments that there are. One that has another name is filled anew.

        Runs of experiments that are gone are taken away too.

        Raises:
            MirrorError, MirrorDamaged: as `put`.
        """
        with self._transaction("not written"):
            before = dict(self._db.execute("SELECT id, name FROM experiment").fetchall())
            for one in found:
                name, tags = utf8(one.name), msgspec.msgpack.encode(
                    {utf8(key): utf8(value) for key, value in sorted(one.tags.items())}
                )  # fmt: skip
                if before.get(one.id) == name:
                    self._db.execute("UPDATE experiment SET tags = ? WHERE id = ?", (tags, one.id))
                else:
                    self._db.execute(
                        "INSERT OR REPLACE INTO experiment (id, name, tags) VALUES (?, ?, ?)",
                        (one.id, name, tags),
                    )
        gone = set(before) - {one.id for one in found}
        for id_ in sorted(gone):
            self._drop_experiment(id_)

    def fill_anew(self) -> None:
        """Forget how far back each experiment is known: the server holds other runs than before.

        Raises:
            MirrorError, MirrorDamaged: as `put`.
        """
        with self._transaction("not written"):
            self._db.execute("UPDATE experiment SET reached_us = NULL, whole = 0")

    def polled(self, at: datetime) -> None:
        """Note when the server was last asked for everything that changes.

        Raises:
            MirrorError, MirrorDamaged: as `put`.
        """
        with self._transaction("not written"):
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('polled_us', ?)", (us(at),))

    def unseen(self, before: datetime, most: int, *, live: bool = False) -> dict[str, str]:
        """Runs not seen on the server since `before`, the longest ago first, each with the id of
        its experiment; `live` for those only that have not ended.

        Raises:
            MirrorError, MirrorDamaged: as `put`.
        """
        only = " AND status IN ('RUNNING', 'SCHEDULED')" if live else ""
        with self._transaction("not read"):
            return dict(
                self._db.execute(
                    f"SELECT run_id, experiment FROM run WHERE seen_us < ?{only} "
                    "ORDER BY seen_us LIMIT ?",
                    (us(before), most),
                )
            )

    def newest(self) -> datetime | None:
        """The latest start that is known.

        Raises:
            MirrorError, MirrorDamaged: as `put`.
        """
        with self._transaction("not read"):
            (found,) = self._db.execute("SELECT max(started_us) FROM run").fetchone()
            return moment(found)

    def close(self) -> None:
        """Close the file. Never raises."""
        with contextlib.suppress(sqlite3.Error):
            self._db.close()

    def _put(self, pages: list[Body], seen_us: int) -> int:
        db = self._db
        before: dict[str, tuple[int, bytes]] = {}
        for names in _blocks([page.run_id for page in pages]):
            for run_id, row, data in db.execute(
                "SELECT run_id, id, data FROM run JOIN body ON body.run = run.id "
                f"WHERE run_id IN ({_marks(names)})",
                names,
            ):
                before[run_id] = (row, data)
        metrics: list[tuple[int, int, float | None]] = []
        words: list[tuple[int, int, str, float | None]] = []
        same: list[tuple[int, int]] = []
        for page in pages:
            data = pack(page)
            row, old = before.get(page.run_id, (None, b""))
            if row is not None and data == old:
                same.append((seen_us, row))
                continue
            facts = (page.experiment_id, page.name, page.status, _user(page),
                     page.started_us, page.ended_us, seen_us)  # fmt: skip
            if row is None:
                row = db.execute(
                    "INSERT INTO run (run_id, experiment, name, status, user, started_us, "
                    "ended_us, seen_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (page.run_id, *facts),
                ).lastrowid
                assert row is not None
            else:
                db.execute(
                    "UPDATE run SET experiment = ?, name = ?, status = ?, user = ?, "
                    "started_us = ?, ended_us = ?, seen_us = ? WHERE id = ?",
                    (*facts, row),
                )
                self._drop_values(row, self._read(old))
            db.execute("INSERT OR REPLACE INTO body VALUES (?, ?)", (row, data))
            metrics += [
                (self._key("metric", key), row, None if math.isnan(value) else value)
                for key, (_, _, value) in page.metrics.items()
            ]
            for kind, texts in (("param", page.params), ("tag", page.tags)):
                words += [
                    (self._key(kind, key), row, text, number(text)) for key, text in texts.items()
                ]
        db.executemany("INSERT OR REPLACE INTO metric VALUES (?, ?, ?)", metrics)
        db.executemany("INSERT OR REPLACE INTO word VALUES (?, ?, ?, ?)", words)
        db.executemany("UPDATE run SET seen_us = ? WHERE id = ?", same)
        return len(pages) - len(same)

    def _forget(self, run_ids: list[str]) -> int:
        gone = 0
        for names in _blocks(run_ids):
            rows = self._db.execute(
                "SELECT id, data FROM run JOIN body ON body.run = run.id "
                f"WHERE run_id IN ({_marks(names)})",
                names,
            ).fetchall()
            for row, data in rows:
                self._drop_values(row, self._read(data))
                self._db.execute("DELETE FROM body WHERE run = ?", (row,))
                self._db.execute("DELETE FROM run WHERE id = ?", (row,))
            gone += len(rows)
        return gone

    def _drop_experiment(self, id_: str) -> None:
        """In blocks, so that no reader on a network file system waits long; the name goes last."""
        while True:
            with self._transaction("not written"):
                found = self._db.execute(
                    "SELECT run_id FROM run WHERE experiment = ? LIMIT ?", (id_, NAMES_AT_ONCE)
                ).fetchall()
                self._forget([run_id for (run_id,) in found])
                if not found:
                    self._db.execute("DELETE FROM experiment WHERE id = ?", (id_,))
                    return

    def _drop_values(self, row: int, old: Body) -> None:
        keyed = [("metric", key) for key in old.metrics]
        self._db.executemany(
            "DELETE FROM metric WHERE key = ? AND run = ?",
            [(self._key(*one), row) for one in keyed],
        )
        keyed = [("param", key) for key in old.params] + [("tag", key) for key in old.tags]
        self._db.executemany(
            "DELETE FROM word WHERE key = ? AND run = ?", [(self._key(*one), row) for one in keyed]
        )

    def _read(self, data: bytes) -> Body:
        try:
            return unpack(data)
        except ValueError as error:
            raise MirrorDamaged(f"copy of the tracked runs: {self._file}: {error}") from error

    def _key(self, kind: str, name: str) -> int:
        known = self._keys.get((kind, name))
        if known is None:
            self._db.execute("INSERT OR IGNORE INTO key (kind, name) VALUES (?, ?)", (kind, name))
            (known,) = self._db.execute(
                "SELECT id FROM key WHERE kind = ? AND name = ?", (kind, name)
            ).fetchone()
            self._keys[kind, name] = known
        return int(known)

    @contextlib.contextmanager
    def _transaction(self, doing: str) -> Iterator[None]:
        with self._turn:
            try:
                self._db.execute("BEGIN IMMEDIATE" if doing == "not written" else "BEGIN")
                yield
                self._db.execute("COMMIT")
            except BaseException as error:
                self._keys.clear()  # those that were made just now are not there
                with contextlib.suppress(sqlite3.Error):
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise from_sqlite(self._file, doing, error) from error
                raise


def number(text: str) -> float | None:
    """The text as a number, where it is one as people write them; no `nan` and no `inf`."""
    if len(text) > 40 or not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def _user(page: Body) -> str | None:
    named = page.tags.get(USER_TAG)
    return safe(named) if named else None


def _marks(names: Sequence[object]) -> str:
    return ", ".join("?" * len(names))


def _blocks(names: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), NAMES_AT_ONCE):
        yield names[start : start + NAMES_AT_ONCE]
