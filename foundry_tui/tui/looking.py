"""When the user last looked, which is what "new" is measured from."""

from __future__ import annotations

import time
from collections.abc import Callable

from foundry_tui.actions.looked import Glance, keep_glance, last_glance, take_glance
from foundry_tui.actions.site import Site
from foundry_tui.tui.feed import Seen

AWAY_S = 600.0
"""After so many seconds without a key nobody looks: the next key is a new look."""


class Looking:
    """`before` is how things stood at the end of the last look."""

    def __init__(self, site: Site, clock: Callable[[], float] = time.monotonic) -> None:
        self._site = site
        self._clock = clock
        self._key_at = clock()
        self._at_key: Seen | None = None
        self.before: Glance | None = None

    def open(self) -> None:
        """Read the glance of the last start; it may take a moment."""
        self.before = last_glance(self._site)

    def key(self, seen: Seen | None) -> None:
        """The user has pressed a key: what is shown now has been looked at."""
        now = self._clock()
        if now - self._key_at >= AWAY_S and self._at_key is not None:
            self.before = self._glance(self._at_key)
        self._key_at, self._at_key = now, seen or self._at_key

    def close(self, seen: Seen | None) -> None:
        """Keep what was looked at last."""
        if seen is not None and seen.fresh:
            keep_glance(self._site, self._glance(seen))

    def _glance(self, seen: Seen) -> Glance:
        return take_glance(self._site, seen.snapshot, seen.runs, advice=None)
