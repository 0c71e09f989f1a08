"""Taking back what was made for a time, beside the collecting, and without ever failing.

A face hands itself in with every reading; most times nothing is due. What is due is taken back by
the user's own process alone: a collector of another uid has no journal of his and no rights.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from foundry_tui.changes.revert import Timed, Watch, timed
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.store.journal import Record

AGAIN_S = 60.0
"""Seconds after which a revert that did not succeed is tried again."""


@dataclass(slots=True)
class Reverter:
    """Looks what is due and takes it back.

    `records` reads the journal, `stamp` tells whether it has changed since, and `take_back` does
    it: it returns what was done in words, and raises when it could not be.
    """

    records: Callable[[], tuple[Record, ...]]
    stamp: Callable[[], object]
    take_back: Callable[[Timed], str]
    watch: Watch
    monotonic: Callable[[], float] = time.monotonic
    tell: Callable[[str], None] = lambda _: None
    failed: SafeText | None = None
    _seen: object = field(init=False, default=None)
    _timed: tuple[Timed, ...] = field(init=False, default=())
    _tried_s: dict[str, float] = field(init=False, default_factory=dict)
    _busy: threading.Thread | None = field(init=False, default=None)

    def offer(self) -> threading.Thread | None:
        """Begin to take back what is due, unless that is being done; returns the thread."""
        if self._busy is not None and self._busy.is_alive():
            return None
        try:
            due = self.due()
        except Exception as error:  # whatever it is, the face goes on
            self.failed = safe(f"what is due to be taken back: {error}", max_cells=400)
            return None
        if not due:
            return None
        # A daemon thread: a source that hangs must not keep the program from ending. What it was
        # sending is open in the journal then, and settled by the next one.
        self._busy = threading.Thread(target=self.run, args=(due,), name="revert", daemon=True)
        self._busy.start()
        return self._busy

    def waiting(self) -> tuple[Timed, ...]:
        """Everything that is to be taken back, now or later.

        Raises:
            JournalError: the journal cannot be read.
        """
        stamp = self.stamp()
        if stamp != self._seen or stamp is None:
            self._timed, self._seen = timed(self.records()), stamp
        return self._timed

    def due(self) -> tuple[Timed, ...]:
        """What is over, but for what was tried in vain just now.

        Raises:
            JournalError: the journal cannot be read.
        """
        now = self.monotonic()
        over = [one for one in self.waiting() if self.watch.over(one)]
        return tuple(o for o in over if now - self._tried_s.get(o.id, -AGAIN_S) >= AGAIN_S)

    def run(self, due: tuple[Timed, ...]) -> None:
        """Take these back now; what goes wrong is told, and tried again later."""
        for one in due:
            self._tried_s[one.id] = self.monotonic()
            try:
                self.tell(self.take_back(one))
                self.failed = None
            except Exception as error:  # whatever it is, the others are due too
                self.failed = safe(f"{one.id} could not be taken back: {error}", max_cells=400)
                self.tell(self.failed)
