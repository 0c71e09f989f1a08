"""What is going to happen in a live cluster, in order of time and then of being planned."""

from __future__ import annotations

import heapq
from enum import StrEnum


class Event(StrEnum):
    """A kind of thing that happens at its second."""

    ARRIVE = "arrive"
    END = "end"
    FAIL = "fail"
    REPAIR = "repair"
    CANCEL = "cancel"
    GIVE_UP = "give_up"
    APPEAR = "appear"
    PASS = "pass"


class Events:
    """Events with their second, the key of a run, and a number whose meaning is the event's."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Event, str, int]] = []
        self._order = 0

    def add(self, at_s: int, event: Event, key: str = "", number: int = 0) -> None:
        """Let something happen at `at_s`, after all that was planned for that second before."""
        self._order += 1
        heapq.heappush(self._heap, (at_s, self._order, event, key, number))

    def take(self, until_s: int) -> tuple[int, Event, str, int] | None:
        """The next event not later than `until_s`, with its second; None when there is none."""
        if not self._heap or self._heap[0][0] > until_s:
            return None
        at_s, _, event, key, number = heapq.heappop(self._heap)
        return at_s, event, key, number
