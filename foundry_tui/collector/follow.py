"""Reconciling beside the polling: now and then, in a thread of its own, and without ever failing.

A face hands every reading in; most are let go. Nothing here may cost the face time or bring it
down: `foundry sync` does the same thoroughly and tells what came of it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from foundry_tui.collector.reconcile import Pass, Report
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import SafeText, safe

EVERY_S = 30.0
"""At most one pass in so many seconds, over all programs of this user."""


@dataclass(slots=True)
class Follower:
    """`make` gives a pass over a reading, None when there is nothing to reconcile with.

    The accounting is asked at most once in `slow_s` seconds. `last` and `failed` tell what came of
    the last pass.
    """

    make: Callable[[Snapshot, bool], Pass | None]
    slow_s: float = 300.0
    monotonic: Callable[[], float] = time.monotonic
    last: Report | None = None
    failed: SafeText | None = None
    _busy: threading.Thread | None = field(init=False, default=None)
    _accounting_at: float = field(init=False, default=float("-inf"))

    def offer(self, snapshot: Snapshot) -> threading.Thread | None:
        """Start a pass over this reading unless one is at work; returns its thread."""
        if self._busy is not None and self._busy.is_alive():
            return None
        # A daemon thread: a server that hangs must not keep the program from ending.
        self._busy = threading.Thread(
            target=self._run, args=(snapshot,), name="reconcile", daemon=True
        )
        self._busy.start()
        return self._busy

    def _run(self, snapshot: Snapshot) -> None:
        try:
            slow = self.monotonic() - self._accounting_at >= self.slow_s
            one = self.make(snapshot, slow)
            if one is None or not _due(one):
                return
            with one.links.writer(wait_s=0.0) as mine:
                if not mine or not _due(one):
                    return
                one.links.passed()
                if slow:
                    self._accounting_at = self.monotonic()
                self.last, self.failed = one.run(), None
        except Exception as error:  # whatever it is, the screens go on
            self.failed = safe(f"reconciling with the tracking server: {error}", max_cells=400)


def _due(one: Pass) -> bool:
    since_s = one.links.since_pass_s()
    return since_s is None or since_s >= EVERY_S
