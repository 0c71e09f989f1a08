"""What a preflight found: one check per thing that was looked at, and all of them together."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from foundry_tui.estate.text import SafeText, safe

MAX_CELLS = 600
"""Cells of what one check says."""


class State(StrEnum):
    """How a check came out; `fail` alone stops a submit."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: what, how it came out, and in words what was found."""

    name: SafeText
    state: State
    words: SafeText


@dataclass(frozen=True, slots=True)
class Verdict:
    """All checks in the order in which they were made, and the seconds that they took."""

    checks: tuple[Check, ...]
    seconds: float

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks for which the run must not be sent."""
        return tuple(c for c in self.checks if c.state is State.FAIL)

    @property
    def warned(self) -> tuple[Check, ...]:
        """The checks that the user should read before it is sent."""
        return tuple(c for c in self.checks if c.state is State.WARN)


def ok(name: str, words: str) -> Check:
    """It is as it should be."""
    return _check(name, State.OK, words)


def warn(name: str, words: str) -> Check:
    """It can be sent, and may not do what is meant."""
    return _check(name, State.WARN, words)


def fail(name: str, words: str) -> Check:
    """It cannot work."""
    return _check(name, State.FAIL, words)


def skipped(name: str, why: str) -> Check:
    """It was not looked at, for this reason."""
    return _check(name, State.SKIPPED, why)


def _check(name: str, state: State, words: str) -> Check:
    return Check(safe(name, max_cells=80), state, safe(words, max_cells=MAX_CELLS))
