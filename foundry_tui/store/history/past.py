"""Reading the history, also while another process writes it."""

from __future__ import annotations

import contextlib
import math
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from foundry_tui.config.owned import OTHERS_WRITE
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.store.history import place, runs, schema, series, use
from foundry_tui.store.history.errors import from_sqlite, refused
from foundry_tui.store.history.idle import GAP_WINDOWS, LATEST
from foundry_tui.store.history.measured import Measured, stays
from foundry_tui.store.history.moment import Moment
from foundry_tui.store.history.shapes import GpuKey, RunHistory, Series, Span, Use
from foundry_tui.store.history.values import seconds, text, when
from foundry_tui.store.history.window import facts
from foundry_tui.store.history.window.facts import DeviceFacts, DeviceTime

if TYPE_CHECKING:
    from foundry_tui.store.history.window.grid import Ints
    from foundry_tui.store.history.window.holdings import Holdings
    from foundry_tui.store.history.window.readings import Readings


class Past:
    """The history of a folder, to be read. Any thread may call; each call looks afresh.

    Only where runs shared devices is kept from one call to the next, while nothing changes there.
    Every method raises HistoryError when the file cannot be read, with the reason.
    """

    def __init__(self, folder: Path, owners: Collection[int] | None = None) -> None:
        self.file = folder / place.FILE
        self._owners = owners
        self._joint: tuple[tuple[int, int, int], Ints] | None = None

    @classmethod
    def open(cls, folder: Path, *, owners: Collection[int] | None = None) -> Self | None:
        """The history kept in a folder; None when there is none.

        `owners` are the uids that are trusted instead of the user's.

        Raises:
            HistoryError: it belongs to somebody else, others may write it, it is damaged or of a
                newer schema.
        """
        past = cls(folder, owners)
        if not os.path.lexists(past.file):
            return None
        with past.reading() as found:
            return past if found is not None else None

    def span(self) -> Span | None:
        """The time that is covered; None when nothing was recorded yet."""
        with self.reading() as found:
            if found is None or "last" not in found.meta:
                return None
            db = found.db
            begins = [
                db.execute(f"SELECT min(since) FROM {table}").fetchone()[0]
                for table in ("source_state", "device")
            ]
            first = min((b for b in begins if b is not None), default=found.meta["last"])
            minutes = max(first, found.raw_from)
            return Span(when(first), when(found.meta["last"]), when(minutes))

    def gpu(
        self, source: str, node: str, index: int, since: datetime, until: datetime, most: int
    ) -> Series:
        """What one GPU did in a time, in at most `most` steps; steps without data stay empty.

        Raises:
            ValueError: `until` is not after `since`, or `most` is below 2.
        """
        begin, end = int(since.timestamp()), int(until.timestamp())
        if end <= begin:
            raise ValueError(f"until: after {since:%Y-%m-%d %H:%M:%S}, not {until}")
        if most < 2:
            raise ValueError(f"most: at least 2 steps, not {most}")
        with self.reading() as found:
            if found is None:
                raise refused(self.file, "not read", "it is empty")
            here = stays(found.db, source, text(node), index, begin, end)
            return series.of(found, here, begin, end, most)

    def at(self, when: datetime) -> Snapshot | None:
        """The estate as it was; None when nothing was recorded then.

        Nodes, GPUs with their tenants, faults and values, queues, and the runs that held GPUs.
        Sources are stale, read at `when`. `partial` says what the history cannot show.
        """
        with self.reading() as found:
            return None if found is None else Moment(found, when).snapshot()

    def idle(self) -> Mapping[GpuKey, datetime]:
        """Since when each GPU is idle that is idle now, that is at the last record.

        A gap of more than three windows breaks the time: what happened in it is unknown.
        """
        with self.reading() as found:
            if found is None or "last" not in found.meta:
                return {}
            step = found.step
            oldest = found.meta["last"] // step * step - GAP_WINDOWS * step
            query = (
                "SELECT s.name, d.node, d.idx, i.since FROM idle i JOIN device d ON d.id = i.gpu "
                f"JOIN source s ON s.id = d.source JOIN ({LATEST}) USING (gpu) "
                "WHERE d.until IS NULL"
            )
            return {
                (source, text(node), index): when(since)
                for source, node, index, since in found.db.execute(query, (oldest,))
            }

    def runs(self, run_ids: Collection[str]) -> Mapping[str, RunHistory]:
        """What was recorded of these runs; those of which nothing was are left out."""
        with self.reading() as found:
            if found is None:
                return {}
            told = ((run, runs.of(found, run)) for run in run_ids)
            return {run: history for run, history in told if history is not None}

    def use(self, source: str, node: str, index: int, start: datetime, end: datetime) -> Use:
        """What a GPU did between two times: used, idle and unknown seconds, which add up.

        Times are cut to whole seconds. Where only roll-ups are left, a part of a period gets its
        part of the period's seconds, so that adjacent times still add up exactly.

        Raises:
            ValueError: `end` is before `start`.
        """
        since, until = seconds(start) or 0, seconds(end) or 0
        if until < since:
            raise ValueError(f"end: not before {start:%Y-%m-%d %H:%M:%S}, as {end} is")
        with self.reading() as found:
            if found is None:
                return use.of((), since, until)
            here = stays(found.db, source, text(node), index, since, until)
            pieces = (p for stay in here for p in found.finest(stay, since, until))
            return use.of(pieces, since, until)

    def readings(
        self, start: datetime | int, end: datetime | int, *, most_rows: int = 8_000_000
    ) -> Readings:
        """Everything that was measured in `start <= t < end`, in memory, for millions of questions.

        It is read at the finest resolution that is kept for all of the time and has at most
        `most_rows` rows (GPUs times periods); hours are read however many they are.

        Raises:
            ValueError: `end` is before `start`.
        """
        from foundry_tui.store.history.window import readings  # numpy is for reports only

        since, until = _window(start, end)
        with self.reading() as found:
            if found is None:
                raise refused(self.file, "not read", "it is empty")
            return readings.load(found, since, until, most_rows)

    def holdings(
        self, run_ids: Sequence[str], start: datetime | int, end: datetime | int
    ) -> Holdings:
        """Which devices these runs held in `start <= t < end`, as far as it was seen.

        Raises:
            ValueError: `end` is before `start`.
        """
        from foundry_tui.store.history.window import holdings  # numpy is for reports only

        since, until = _window(start, end)
        with self.reading() as found:
            if found is None:
                raise refused(self.file, "not read", "it is empty")
            last = min(until, found.meta.get("last", 0))  # what is still held may last longer now
            known = self._joint
            if known is None or known[0] != (since, until, last):
                known = (since, until, last), holdings.joint(found.db, since, until)
                self._joint = known
            return holdings.of(found.db, run_ids, since, until, known[1])

    def devices_of(self, ids: Iterable[int]) -> Mapping[int, DeviceFacts]:
        """What these devices are, by the numbers that the history gave them."""
        with self.reading() as found:
            return {} if found is None else facts.of(found.db, ids)

    def devices_on(self, source: str) -> Mapping[str, tuple[DeviceTime, ...]]:
        """By node of a source the devices that were ever on it, and when."""
        with self.reading() as found:
            return {} if found is None else facts.on(found.db, source)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Measured | None]:
        """One read transaction; None for a file in which there is nothing yet.

        Raises:
            HistoryError: the file cannot be read, now or while it is.
        """
        try:
            place.check(self.file.parent, OTHERS_WRITE, self._owners)
        except OSError as error:
            raise refused(self.file, "not read", error.strerror or str(error)) from error
        db = place.to_read(self.file)
        try:
            found = schema.check_version(db, self.file, "not read")
            yield Measured(db) if found else None
        except sqlite3.Error as error:
            raise from_sqlite(self.file, "not read", error) from error
        finally:
            db.close()


def _window(start: datetime | int, end: datetime | int) -> tuple[int, int]:
    """Two times in whole seconds."""
    since, until = (
        when if isinstance(when, int) else math.floor(when.timestamp()) for when in (start, end)
    )
    if until < since:
        raise ValueError(f"end: not before {start}, as {end} is")
    return since, until
