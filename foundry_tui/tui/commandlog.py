"""The command log: every command that was sent since the start, and its answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

MOST_ENTRIES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One command. `took_s` is that of the whole change that it belongs to, reading back included;
    None where it was not measured.

    `command` and `answer` are as they were: they are made safe where they are drawn.
    """

    at: datetime
    command: str
    answer: str
    took_s: float | None
    good: bool


class CommandLog:
    """The entries of this session, the oldest first."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The last of them."""
        return tuple(self._entries)

    def add(self, entry: Entry) -> None:
        """Keep one more; the oldest goes when there are too many."""
        self._entries.append(entry)
        del self._entries[:-MOST_ENTRIES]
