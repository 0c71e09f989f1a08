"""Data paints at the terminal's own pace; keys never wait.

On a slow link the terminal lags behind what was written, and each further paint makes it later: at
16 kB/s a plain table is half a minute behind after 20 s. So after each data paint the terminal is
asked where its cursor is (`CSI 6 n`). Every terminal since the VT100 answers that, and only once it
has taken everything before. Until then the next data paint waits, and newer data takes the place of
older. What a key changes is painted at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

QUERY = "\x1b[6n"

PATIENCE_S = 5.0
"""A terminal that has never answered is not asked again after this many seconds."""

UNHEARD_S = 3.0
"""A terminal that does not answer gets one data paint in so many seconds."""

STALLED_S = 60.0
"""A terminal that used to answer is believed gone to sleep after this many seconds."""


class Host(Protocol):
    """What the pacer needs of the app."""

    def after_paint(self, call: Callable[[], None]) -> None: ...
    def send(self, text: str) -> bool: ...
    def later(self, seconds: float, call: Callable[[], None]) -> None: ...


class Pacer:
    """Lets one data paint through at a time. `link_s` is how long the last one took to be taken."""

    def __init__(self, host: Host, clock: Callable[[], float] = time.monotonic) -> None:
        self._host = host
        self._clock = clock
        self._waiting: dict[str, Callable[[], None]] = {}
        self._sent_at: float | None = None
        self._busy = False
        self._turn = 0
        self._answers: bool | None = None
        self.link_s: float | None = None

    def paint(self, what: str, draw: Callable[[], None]) -> None:
        """Draw now, or when the terminal has caught up; a later draw of `what` replaces it."""
        self._waiting[what] = draw
        if not self._busy:
            self._flush()

    def answered(self) -> None:
        """The terminal has taken everything up to the last question."""
        if self._sent_at is None:
            # It came after the patience had ended: slow, as the first paint is a large one, but it
            # answers, and is asked again.
            self._answers = True
            return
        self._answers = True
        self.link_s = self._clock() - self._sent_at
        self._free()

    def resumed(self) -> None:
        """The screens are back after another program had the terminal, and took the answer."""
        self._turn += 1
        self._free()

    def _flush(self) -> None:
        draws, self._waiting = self._waiting, {}
        for draw in draws.values():
            draw()
        self._busy = True
        self._turn += 1
        turn = self._turn
        if self._answers is False:
            self._host.later(UNHEARD_S, lambda: self._free_of(turn))
        else:
            self._host.after_paint(lambda: self._ask(turn))
            # What is to be called after a paint may be lost with the screen that it was told to.
            self._host.later(PATIENCE_S, lambda: self._unasked(turn))

    def _ask(self, turn: int) -> None:
        if turn != self._turn or self._sent_at is not None:
            return
        if not self._host.send(QUERY):
            self._free()
            return
        self._sent_at = self._clock()
        patience_s = STALLED_S if self._answers else PATIENCE_S
        self._host.later(patience_s, lambda: self._silent(turn))

    def _unasked(self, turn: int) -> None:
        if self._sent_at is None:
            self._free_of(turn)

    def _silent(self, turn: int) -> None:
        if turn != self._turn or self._sent_at is None:
            return
        if not self._answers:
            self._answers = False
        self._free()

    def _free_of(self, turn: int) -> None:
        if turn == self._turn and self._busy:
            self._free()

    def _free(self) -> None:
        self._sent_at, self._busy = None, False
        if self._waiting:
            self._flush()
