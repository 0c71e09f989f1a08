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
    """Reads the site again and again until `stop`; `deliver` is called in the feed's thread."""

    def __init__(self, site: Site, deliver: Callable[[Seen], None]) -> None:
        self._site = site
        self._deliver = deliver
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
        if (before := self._site.before()) is not None:
            self._deliver(Seen(snapshot=before, runs=before.runs, fresh=False))
        while not self._stopped:
            self._wake.clear()
            snapshot = self._site.snapshot()
            wait_s, waits_s = self._site.wait_s(), self._site.waits_s()
            # The live runs first: accounting may take seconds, or hang.
            if self._asked_at == float("-inf"):
                self._deliver(
                    Seen(snapshot=snapshot, runs=snapshot.runs, retry_s=wait_s, waits_s=waits_s)
                )
            runs = self._with_finished(snapshot)
            self._deliver(
                Seen(
                    snapshot=snapshot,
                    runs=runs,
                    notes=self._notes,
                    retry_s=wait_s,
                    waits_s=waits_s,
                )
            )
            if wait_s == float("inf"):
                return
            self._wake.wait(wait_s)

    def _with_finished(self, snapshot: Snapshot) -> tuple[Run, ...]:
        """The live runs and the ended ones; accounting is asked at the slow interval only."""
        now = time.monotonic()
        if now - self._asked_at >= self._site.config.intervals.slow_s:
            self._asked_at = now
            runs, self._notes = look.with_finished(self._site, snapshot, FINISHED_S)
            live = {r.id for r in snapshot.runs}
            self._ended = {r.id: r for r in runs if r.id not in live}
        known = {r.id for r in snapshot.runs}
        ended = tuple(r for key, r in self._ended.items() if key not in known)
        # The job list forgets a run soon after it ended; accounting tells of it minutes later.
        self._ended |= {r.id: r for r in snapshot.runs if r.state not in LIVE}
        return (*snapshot.runs, *ended)
