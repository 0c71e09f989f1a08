"""When to start, to give up on and to end the collector process: decisions, and no processes.

A call into a sick driver can last for ever, and killing whoever hangs in it again and again has
made GPUs worse. So a child that hangs is asked to end once, is killed once, and the driver is then
left alone for a while. A child that merely crashed is started again, later each time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

GRACE_S = 5.0
"""Seconds beyond the interval within which a round must come."""

FIRST_S = 60.0
"""Seconds for the first round of a child: without persistence mode the driver wakes every GPU for
it, one after the other, some seconds each."""

KILL_AFTER_S = 30.0
"""Seconds between SIGTERM and the one SIGKILL."""

HUNG_S = 600.0
"""Seconds for which a driver that hung is left alone."""

LONGEST_S = 600.0
SETTLED_S = 60.0
"""A child that lived this long and was heard did not crash at its start: the pause is 1 s again."""


class Do(Enum):
    """What is to be done now."""

    NOTHING = 0
    START = 1
    TERMINATE = 2
    KILL = 3


@dataclass
class Watch:
    """The state of the one child. Times are of a clock that never steps (seconds)."""

    deadline_s: float
    first_s: float = FIRST_S
    started: float | None = None
    heard: float | None = None
    hung: float | None = None
    terminated: bool = False
    killed: bool = False
    next_start: float = 0.0
    crashes: int = 0

    def step(self, now: float) -> Do:
        """What to do at `now`; whoever asks does it."""
        if self.started is None:
            if now < self.next_start:
                return Do.NOTHING
            self.started, self.heard, self.hung = now, None, None
            self.terminated = self.killed = False
            return Do.START
        last = self.started if self.heard is None else self.heard
        if self.hung is None and now - last > self.allowed_s:
            self.hung = now
        if self.hung is None:
            return Do.NOTHING
        if not self.terminated:
            self.terminated = True
            return Do.TERMINATE
        if not self.killed and now - self.hung > KILL_AFTER_S:
            self.killed = True
            return Do.KILL
        return Do.NOTHING

    @property
    def allowed_s(self) -> float:
        """Seconds within which the next round must come."""
        return self.deadline_s if self.heard is not None else max(self.first_s, self.deadline_s)

    def round_came(self, now: float) -> None:
        """The child was heard. One that was given up on stays given up on."""
        if self.hung is None:
            self.heard = now

    def ended(self, now: float) -> None:
        """The child is gone, whoever ended it."""
        if self.hung is not None:
            self.next_start = self.hung + HUNG_S
            self.crashes = 0
        else:
            lived_s = 0.0 if self.started is None else now - self.started
            settled = self.heard is not None and lived_s > SETTLED_S
            self.crashes = 1 if settled else self.crashes + 1
            self.next_start = now + min(LONGEST_S, 2.0 ** (self.crashes - 1))
        self.started = None

    @property
    def problem(self) -> str | None:
        """`unresponsive` while the driver hangs or is left alone, `crashed` until heard again."""
        if self.hung is not None:
            return "unresponsive"
        if self.crashes and (self.started is None or self.heard is None):
            return "crashed"
        return None
