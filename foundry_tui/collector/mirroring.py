"""Keeping the copy of a tracking server's runs: filling it politely, then following what changes.

First the newest runs are read, in pages of 200, backwards in time; how far back each experiment is
known is noted along with each page, so that a process that is killed goes on from there. A page
begins at a start time and not at a count, so that runs which come or go meanwhile shift nothing.

A server cannot tell what has changed since a moment. So four questions are asked, every 20 s at
most: which runs have begun since the newest known one, which are running, which are scheduled, and
which have ended since the last time; the first and the last reach back ten minutes further than
the last time, because the clocks of nodes differ. A run that was live and is in none of the four
answers is asked for by its id. Besides, the 200 runs that were seen the longest ago are asked for
by their ids: what the server does not have any more is in its trash and is forgotten, and a tag
that was changed long after the end of its run is seen there, or when the run is opened, and not
before.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from foundry_tui.collector.backoff import Backoff
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.tracked import TrackedRun
from foundry_tui.store.mirror.errors import MirrorDamaged, MirrorError
from foundry_tui.store.mirror.mirror import Known, Mirror, State
from foundry_tui.store.mirror.writer import Reached, Writer
from foundry_tui.tracking.ports import Tracker, TrackingError

EVERY_S = 20.0
"""Seconds between two refreshes, at least; more where the server takes long for one."""

PAGE = 200
"""Runs of one page: 0.3 s of a server that keeps 50,000 in SQLite."""

EXPERIMENTS = 200
"""Experiments that one question names."""

OVERLAP_S = 600.0
"""Seconds by which the clocks of nodes, server and this host may differ."""

CHECKED_AFTER_S = 1800.0
"""A run that was not seen on the server for so many seconds is asked for by its id."""

LEAST_GONE = 20
"""So many runs at once that are all gone mean that another database is behind the address."""

PAUSE_MOST_S = 5.0
LOCKED_WAIT_S = 5.0

_EPOCH = datetime.fromtimestamp(0, UTC)
_LIVE = ("RUNNING", "SCHEDULED")

Tell = Callable[[SafeText], None]


@dataclass(slots=True)
class Refresh:
    """Brings a mirror in line with its server. One thread at a time may use it.

    `pace` is how long to pause after a page, as a part of what the page took: the server has other
    users too. Every question to the server has the deadline of the tracker.
    """

    tracker: Tracker
    mirror: Mirror
    clock: Callable[[], datetime]
    every_s: float = EVERY_S
    pace: float = 1.0
    monotonic: Callable[[], float] = time.monotonic
    _after: dict[tuple[str, ...], str] = field(init=False, default_factory=dict)

    def run(
        self,
        tell: Tell,
        stop: threading.Event,
        note: Callable[[SafeText | None], None] = lambda _: None,
    ) -> None:
        """Fill and follow until `stop`; for a thread of its own. Never raises.

        While another process of the user writes, nothing is asked: this one reads what that one
        has written.

        Args:
            tell: takes how far it is, and what went wrong.
            stop: ends it, within the deadline of one question.
            note: takes what went wrong, and None when all is well again.
        """
        backoff = Backoff(self.every_s)
        while not stop.is_set():
            try:
                wait_s = self._turn(backoff, tell, stop)
                note(None)
            except Exception as error:  # whatever it is, the screens go on
                if isinstance(error, MirrorDamaged):
                    self.mirror.begin_anew()
                backoff.failed(self.monotonic())
                wait_s = max(0.2, backoff.due_at - self.monotonic())
                known = isinstance(error, TrackingError | MirrorError)
                words = str(error) if known else f"reading the tracked runs: {error!r}"
                note(safe(words, max_cells=400))
                tell(safe(words, max_cells=400))
            stop.wait(wait_s)

    def poll(self, writer: Writer) -> int:
        """Ask for the experiments and for what has changed; how many runs are new or changed.

        Raises:
            TrackingError: the server did not answer one of the questions; what the others brought
                is kept, and all are asked again.
            MirrorError: it cannot be written.
        """
        now = self.clock()
        writer.experiments(self.tracker.experiments())
        state = self.mirror.state()
        if state.polled_at is None:
            writer.polled(now)
            return 0
        begun = [k.experiment.id for k in state.experiments if k.since is not None or k.whole]
        ended = state.polled_at - timedelta(seconds=OVERLAP_S)
        since = min(writer.newest() or ended, ended)
        changed = 0
        for where in (
            f"attributes.start_time > {_ms(since)}",
            *(f"attributes.status = '{status}'" for status in _LIVE),
            f"attributes.end_time > {_ms(ended)}",
        ):
            for runs in self._all(begun, where):
                changed += writer.put(runs, now)
        changed += self._left_over(writer, now)
        changed += self._checked(writer, now)
        writer.polled(now)
        return changed

    def page(self, writer: Writer, only: str | None = None) -> bool:
        """Read one page of what is not known yet; False when nothing is left.

        Args:
            writer: of the mirror.
            only: name or id of the experiment to be read; None for all.

        Raises:
            TrackingError, MirrorError: as `poll`.
        """
        block = _next(self.mirror.state(), only)
        if block is None:
            return False
        ids, since = block
        now = self.clock()
        where = "" if since is None else f"attributes.start_time <= {_ms(since, up=True)}"
        page = self.tracker.search(ids, where=where, most=PAGE, after=self._after.pop(ids, None))
        oldest = (page.runs[-1].started_at or _EPOCH) if page.runs else since
        if page.after is not None and oldest == since:
            self._after[ids] = page.after  # more runs than one page began at that moment
        reached = Reached(experiment_ids=ids, since=oldest, whole=page.after is None)
        writer.put(page.runs, now, reached)
        return True

    def newest(self, writer: Writer, most: int, only: str | None = None) -> None:
        """Read the newest runs, at least `most` where there are so many, as a first look.

        Args:
            writer: of the mirror.
            most: how many.
            only: as in `page`.

        Raises:
            TrackingError, MirrorError: as `poll`.
        """
        now = self.clock()
        writer.experiments(self.tracker.experiments())
        state = self.mirror.state()
        if state.polled_at is None:
            writer.polled(now)
        wanted = chosen(state, only)
        new = {k.experiment.id for k in wanted if k.since is None and not k.whole}
        for start in range(0, len(wanted), EXPERIMENTS):
            block = tuple(k.experiment.id for k in wanted[start : start + EXPERIMENTS])
            after, read = None, 0
            while read < most:
                page = self.tracker.search(block, most=min(most, PAGE), after=after)
                after, read = page.after, read + len(page.runs)
                first = tuple(id_ for id_ in block if id_ in new)
                oldest = (page.runs[-1].started_at or _EPOCH) if page.runs else None
                reached = Reached(experiment_ids=first, since=oldest, whole=after is None)
                writer.put(page.runs, now, reached)
                if after is None:
                    break

    def fill(
        self,
        tell: Tell,
        stop: threading.Event,
        *,
        only: str | None = None,
        patience_s: float = 60.0,
    ) -> bool:
        """Refresh, then read all that is missing, in the foreground; False when stopped.

        `only` is as in `page`. Where another process fills, its progress is followed.

        Raises:
            TrackingError, MirrorError: as `poll`. What was read is kept.
            TimeoutError: another process has the lock and gets no further within `patience_s`.
        """
        seen, moved = -1, self.monotonic()
        while not stop.is_set():
            with self.mirror.writer(wait_s=0.2) as writer:
                if writer is not None:
                    if not (self._recent() and chosen(self.mirror.state(), only)):
                        self.poll(writer)
                    while self.page(writer, only):
                        self._tell(tell)
                        if stop.is_set():
                            return False
                    return True
            state = self.mirror.state()
            if _next(state, only) is None and state.experiments:
                return True
            if state.runs != seen:
                seen, moved = state.runs, self.monotonic()
                self._tell(tell)
            elif self.monotonic() - moved > patience_s:
                raise TimeoutError(f"no run was added within {patience_s:g} s")
            stop.wait(0.5)
        return False

    def _turn(self, backoff: Backoff, tell: Tell, stop: threading.Event) -> float:
        """Do what is due; seconds until it is worth to look again."""
        with self.mirror.writer() as writer:
            if writer is None:
                return LOCKED_WAIT_S
            more = True
            while more and not stop.is_set():
                begun = self.monotonic()
                if self._due(begun, backoff):
                    changed = self.poll(writer)
                    backoff.succeeded(self.monotonic(), self.monotonic() - begun)
                    if changed:
                        self._tell(tell)
                    begun = self.monotonic()
                more = self.page(writer)
                if more:
                    self._tell(tell)
                    took = self.monotonic() - begun
                    stop.wait(min(PAUSE_MOST_S, took * self.pace))
        # where another process has refreshed, look again when that is not recent any more
        return max(0.25 * self.every_s, backoff.due_at - self.monotonic())

    def _due(self, now: float, backoff: Backoff) -> bool:
        """Whether to refresh: neither this process nor another has done so just now."""
        return backoff.due(now) and not self._recent()

    def _recent(self) -> bool:
        """Whether some process has refreshed within three quarters of the interval."""
        state = self.mirror.state()
        if state.polled_at is None or not state.experiments:
            return False
        return 0 <= (self.clock() - state.polled_at).total_seconds() < self.every_s * 0.75

    def _all(self, experiment_ids: Sequence[str], where: str) -> Iterator[tuple[TrackedRun, ...]]:
        """All runs of these experiments, page by page."""
        for start in range(0, len(experiment_ids), EXPERIMENTS):
            after: str | None = None
            while True:
                block = experiment_ids[start : start + EXPERIMENTS]
                page = self.tracker.search(block, where=where, most=PAGE, after=after)
                yield page.runs
                after = page.after
                if after is None:
                    break

    def _left_over(self, writer: Writer, now: datetime) -> int:
        """Runs that were live and are not any more, whatever end they were given, or are gone."""
        changed = 0
        while block := writer.unseen(now, PAGE, live=True):
            changed += self._again(writer, block, now)[0]
        return changed

    def _checked(self, writer: Writer, now: datetime) -> int:
        """Some of the runs that were not seen for long."""
        long_ago = now - timedelta(seconds=CHECKED_AFTER_S)
        changed, other = 0, False
        while block := writer.unseen(long_ago, PAGE):
            more, left = self._again(writer, block, now)
            changed += more
            if left or len(block) < LEAST_GONE:
                break
            other = True
        if other:
            writer.fill_anew()
        return changed

    def _again(self, writer: Writer, block: dict[str, str], now: datetime) -> tuple[int, int]:
        """Ask for runs by their ids; how many have changed or are gone, and how many are left."""
        among = ", ".join(f"'{run_id}'" for run_id in block)
        page = self.tracker.search(
            tuple(sorted(set(block.values()))),
            where=f"attributes.run_id IN ({among})",
            most=len(block),
        )
        changed = writer.put(page.runs, now)
        gone = set(block) - {run.run_id for run in page.runs}
        return changed + writer.forget(sorted(gone)), len(page.runs)

    def _tell(self, tell: Tell) -> None:
        tell(words(self.mirror.state()))


def words(state: State, only: str | None = None) -> SafeText:
    """How far the copy is, for a status line."""
    known = chosen(state, only)
    left = [k for k in known if not k.whole]
    if not left:
        return safe(f"{state.runs:,} runs of {len(state.experiments):,} experiments")
    back = [k.since for k in left if k.since is not None]
    to = f", back to {max(back):%Y-%m-%d %H:%M} UTC" if back else ""
    return safe(f"reading the tracked runs: {state.runs:,} so far{to}")


def chosen(state: State, only: str | None) -> tuple[Known, ...]:
    """The experiments of this name or id; all of them for None."""
    return tuple(k for k in state.experiments if only in (None, k.experiment.id, k.experiment.name))


def _next(state: State, only: str | None) -> tuple[tuple[str, ...], datetime | None] | None:
    """Experiments that are known equally far back, those first that are known the least."""
    left = [k for k in chosen(state, only) if not k.whole]
    if not left:
        return None
    since = max(left, key=_order).since
    block = [k.experiment.id for k in left if k.since == since]
    return tuple(block[:EXPERIMENTS]), since


def _order(known: Known) -> tuple[bool, datetime]:
    return known.since is None, known.since or _EPOCH


def _ms(when: datetime, *, up: bool = False) -> int:
    whole, rest = divmod((when - _EPOCH) // timedelta(microseconds=1), 1000)
    return int(whole + (1 if up and rest else 0))
