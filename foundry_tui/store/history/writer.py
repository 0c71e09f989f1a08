"""The one writer of the history."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Self

from foundry_tui.config.places import MOUNTINFO, network_fs
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.store.history import place, retention, rollup, schema, values
from foundry_tui.store.history.errors import HistoryError, from_sqlite, refused
from foundry_tui.store.history.recorder import Recorder, TooOld
from foundry_tui.store.history.shapes import Clock, GpuKey, Keep

AHEAD_S = 300
"""Seconds by which a time may be ahead of the clock before one of the two must be wrong."""


class History:
    """The history in a folder, opened for writing. Any thread may call; one at a time is served.

    `notice` is a word of warning for the user, as about a network file system.
    """

    def __init__(
        self,
        file: Path,
        db: sqlite3.Connection,
        lock: int,
        *,
        clock: Clock,
        keep: Keep,
        idle_util_pct: float,
        notice: SafeText | None,
    ) -> None:
        self.file = file
        self.notice = notice
        self._db = db
        self._lock = lock
        self._clock = clock
        self._keep = keep
        self._idle_milli = round(idle_util_pct * 10)
        self._turn = threading.Lock()
        self._open = True
        self._recorder: Recorder | None = None

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        clock: Clock,
        keep: Keep | None = None,
        idle_util_pct: float = 1.0,
        shared: bool = False,
        mountinfo: Path = MOUNTINFO,
    ) -> Self:
        """Open the history of a folder, which is made when missing, and bring it up to date.

        Folder and files get the modes 0700 and 0600, when `shared` 0750 and 0640.

        Raises:
            HistoryError: the folder or a file in it is not the user's own, another process
                writes, the file is damaged or of a newer schema, or the disk refuses.
        """
        file = place.prepare(folder, shared=shared)
        network = network_fs(folder, mountinfo)
        notice = None
        if network is not None:
            notice = safe(
                f"the history is kept in {folder}, which is on {network}: it is slower there, and "
                "readers and the collector wait for each other; set folder in [collector] to a "
                "local disk",
                max_cells=1000,
            )
        lock = place.only_writer(folder)
        try:
            db = place.to_write(file, network=network is not None)
            try:
                schema.migrate(db, file)
                limit = (schema.IDLE_LIMIT, round(idle_util_pct * 10))
                db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", limit)
            except BaseException:
                db.close()
                raise
        except sqlite3.Error as error:
            os.close(lock)
            raise from_sqlite(file, "not opened", error) from error
        except BaseException:
            os.close(lock)
            raise
        return cls(
            file,
            db,
            lock,
            clock=clock,
            keep=keep or Keep(),
            idle_util_pct=idle_util_pct,
            notice=notice,
        )

    def record(self, snapshot: Snapshot, *, step_s: int = 60) -> None:
        """Record what a snapshot shows: readings, tenants, faults, nodes, queues, sources.

        One transaction: all of it or nothing. A second record of one window changes nothing but
        what is new in it. A snapshot older than the last one (a back-fill) gives readings alone.

        Raises:
            HistoryError: nothing was recorded, and why; the history can still be used.
            ValueError: `step_s` is no part of a quarter of an hour.
        """
        if step_s < 1 or schema.QUARTER_S % step_s:
            raise ValueError(f"step_s: a part of {schema.QUARTER_S} s, not {step_s}")
        at = int(snapshot.generated_at.timestamp())
        with self._working("not recorded"):
            if self._recorder is None:
                self._recorder = Recorder(self._db, self._idle_milli)
            self._sane(self._recorder, at, step_s)
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._recorder.look(snapshot, at, step_s)
            except TooOld:
                raise self._refused(
                    f"of {snapshot.generated_at:%Y-%m-%d %H:%M} UTC no minutes are kept any more, "
                    "so that a late record cannot be rolled up; raw_hours in [collector] says how "
                    "long they are"
                ) from None
            self._db.execute("COMMIT")

    def compact(self) -> None:
        """Roll up what is complete, forget what is too old, give space back to the disk.

        Call it every quarter of an hour or so. It may be killed at any step: the next call goes on
        from there, loses nothing and counts nothing twice.

        Raises:
            HistoryError: what was finished stays; the rest is done by a later call.
        """
        with self._working("not compacted"):
            rollup.roll_up(self._db, self._idle_milli)
            retention.forget(self._db, self._keep)
            retention.give_back(self._db)
            if self._recorder is not None:
                self._recorder.compacted()

    def idle(self) -> Mapping[GpuKey, datetime]:
        """Since when each idle GPU is idle, as `Past.idle` tells it, without asking the disk.

        Raises:
            HistoryError: the file cannot be read.
        """
        with self._working("not read"):
            if self._recorder is None:
                self._recorder = Recorder(self._db, self._idle_milli)
            return {key: values.when(since) for key, since in self._recorder.idle_marks().items()}

    def close(self) -> None:
        """Close the file. Never raises; called again it does nothing."""
        with self._turn:
            if self._open:
                self._open = False
                with contextlib.suppress(sqlite3.Error):
                    self._db.close()
                os.close(self._lock)

    @contextlib.contextmanager
    def _working(self, doing: str) -> Iterator[None]:
        """One piece of work: what fails is rolled back, and the memory is read anew."""
        with self._turn:
            if not self._open:
                raise refused(self.file, doing, "it was closed")
            try:
                yield
            except BaseException as error:
                self._recorder = None
                with contextlib.suppress(sqlite3.Error):
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise from_sqlite(self.file, doing, error) from error
                if isinstance(error, (OverflowError, UnicodeError)):
                    raise refused(self.file, doing, f"a value cannot be kept: {error}") from error
                raise

    def _sane(self, recorder: Recorder, at: int, step_s: int) -> None:
        now = self._clock().timestamp()
        if recorder.step not in (0, step_s):
            raise self._refused(
                f"it has windows of {recorder.step} s, and {step_s} s were asked for; move it away "
                "and a new one is begun"
            )
        for what, when in (("the snapshot", at), ("its last record", recorder.last or 0)):
            if when > now + AHEAD_S:
                raise self._refused(
                    f"{what} is of {values.when(when):%Y-%m-%d %H:%M} UTC and the clock says "
                    f"{values.when(int(now)):%Y-%m-%d %H:%M}: set the clock right, or move the "
                    "file away and a new one is begun"
                )

    def _refused(self, why: str) -> HistoryError:
        return refused(self.file, "not recorded", why)
