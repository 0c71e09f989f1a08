"""The outbox: what was agreed to is held for some seconds, in which it can be taken back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Held(Generic[T]):
    """Something that is held: `words` say what, `due_at` is on the outbox's clock, in seconds."""

    what: T
    words: str
    due_at: float


class Outbox(Generic[T]):
    """Holds things in the order in which they came. A pure object: its owner asks what is due."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._held: list[Held[T]] = []

    def hold(self, what: T, words: str, seconds: float) -> None:
        """Hold something for so many seconds."""
        self._held.append(Held(what, words, self._clock() + seconds))

    @property
    def held(self) -> tuple[Held[T], ...]:
        """What is held, the oldest first."""
        return tuple(self._held)

    def withdraw(self) -> Held[T] | None:
        """Take the last one back; None when nothing is held."""
        return self._held.pop() if self._held else None

    def take_due(self) -> tuple[Held[T], ...]:
        """What is due now; it is held no more."""
        now = self._clock()
        due = tuple(h for h in self._held if h.due_at <= now)
        self._held = [h for h in self._held if h.due_at > now]
        return due

    def take_all(self) -> tuple[Held[T], ...]:
        """Everything, due or not."""
        taken, self._held = tuple(self._held), []
        return taken

    def told(self) -> str:
        """What is held and for how long, in a few words; empty when nothing is."""
        if not self._held:
            return ""
        last = self._held[-1]
        left = max(0, -int(-(last.due_at - self._clock()) // 1))
        more = f" and {len(self._held) - 1} more" if len(self._held) > 1 else ""
        return f"held {left} s: {last.words}{more}"
