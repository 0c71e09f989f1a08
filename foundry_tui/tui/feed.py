"""The feed: reads the estate in a thread of its own and hands each reading to the screens.

First comes what was kept from the last time, so that there is something to look at before any
source has answered. A source that hangs keeps this thread waiting, never the keys.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from foundry_tui.actions import look
from foundry_tui.actions.site import Site
from foundry_tui.estate.run import LIVE, Run
from foundry_tui.estate.snapshot import Snapshot

FINISHED_S = 86_400.0
"""Runs that ended within so many seconds are shown beside the live ones."""

PATIENCE_S = 1.0
"""So long the slower sources may hold up what the first one has told."""

LOOK_S = 2.0
"""So often it is looked whether another process has published something, or has gone."""

LEAST_S = 0.05
"""Between two readings there is at least so much time, whatever a source says of its own."""

FAULT_S = 5.0
"""After a fault of the program itself it is tried again in so many seconds."""

DEMO_REFRESH_S = 2.0
"""The simulated estate costs nobody anything, and its clock runs faster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One reading of the estate, as the screens show it.

    `runs` are the live runs and those of the user that ended lately; `notes` say what is missing.
    `fresh` is False for what was kept from the last time. `retry_s` are the seconds until the next
    reading is due, `waits_s` those until each source is asked again.
    """

    snapshot: Snapshot
    runs: tuple[Run, ...]
    notes: tuple[str, ...] = ()
    fresh: bool = True
    retry_s: float = 0.0
    waits_s: Mapping[str, float] = field(default_factory=dict)

    @property
    def now(self) -> datetime:
        """The moment of the reading, on the estate's clock."""
        return self.snapshot.generated_at


class Feed:
    """Reads the site again and again until `stop`.

    `deliver` is called in the feed's thread, and so is `tell`, with the words for a reading that
    could not be made by a fault of the program: the next one comes all the same.
    """

    def __init__(
        self, site: Site, deliver: Callable[[Seen], None], tell: Callable[[str], None]
    ) -> None:
        self._site = site
        self._deliver = deliver
        self._tell = tell
        self._wake = threading.Event()
        self._stopped = False
        self._ended: dict[str, Run] = {}
        self._notes: tuple[str, ...] = ()
        self._asked_at = float("-inf")
        self._thread = threading.Thread(target=self._loop, name="feed", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Read no more; does not wait for a reading that hangs."""
        self._stopped = True
        self._wake.set()

    def hurry(self) -> None:
        """Read again as soon as politeness allows: after an act, or when the user asks."""
        self._site.hurry()
        self._wake.set()

    def _loop(self) -> None:
        self._site.stay()
        self._guarded(self._kept)
        while not self._stopped:
            wait_s = max(LEAST_S, self._site.wait_s()) if self._guarded(self._read) else FAULT_S
            if wait_s == float("inf"):
                return
            self._rest(wait_s)
        self._site.resign()

    def _rest(self, wait_s: float) -> None:
        """Wait until a source is due; hurry may bring that forward, but not below its floor."""
        until = time.monotonic() + wait_s
        while not self._stopped and (left_s := until - time.monotonic()) > 0:
            self._wake.clear()
            if self._wake.wait(min(left_s, LOOK_S)):
                until = min(until, time.monotonic() + self._site.wait_s())
            elif left_s > LOOK_S and self._site.stirred():
                return

    def _guarded(self, step: Callable[[], None]) -> bool:
        """Whether a step was made; a fault is told, and must not end the readings."""
        try:
            step()
        except Exception as error:
            self._tell(f"a fault of foundry itself, the data was not read: {error!r}")
            return False
        return True

    def _kept(self) -> None:
        if (before := self._site.before()) is not None:
            self._deliver(Seen(snapshot=before, runs=before.runs, fresh=False))

    def _read(self) -> None:
        snapshot = self._site.snapshot(PATIENCE_S)
        # The live runs first: accounting may take seconds, or hang.
        if self._accounting_due():
            self._hand_on(snapshot, self._with_ended(snapshot))
        self._hand_on(snapshot, self._with_finished(snapshot))

    def _hand_on(self, snapshot: Snapshot, runs: tuple[Run, ...]) -> None:
        if self._stopped:
            return
        seen = Seen(
            snapshot=snapshot,
            runs=runs,
            notes=self._notes,
            retry_s=self._site.wait_s(),
            waits_s=self._site.waits_s(),
        )
        self._deliver(seen)

    def _accounting_due(self) -> bool:
        return time.monotonic() - self._asked_at >= self._site.config.intervals.slow_s

    def _with_finished(self, snapshot: Snapshot) -> tuple[Run, ...]:
        """The live runs and the ended ones; accounting is asked at the slow interval only."""
        if self._accounting_due():
            self._asked_at = time.monotonic()
            runs, self._notes = look.with_finished(self._site, snapshot, FINISHED_S)
            live = {r.id for r in snapshot.runs}
            self._ended = {r.id: r for r in runs if r.id not in live}
        runs = self._with_ended(snapshot)
        # The job list forgets a run soon after it ended; accounting tells of it minutes later.
        self._ended |= {r.id: r for r in snapshot.runs if r.state not in LIVE}
        return runs

    def _with_ended(self, snapshot: Snapshot) -> tuple[Run, ...]:
        known = {r.id for r in snapshot.runs}
        return (*snapshot.runs, *(r for key, r in self._ended.items() if key not in known))
