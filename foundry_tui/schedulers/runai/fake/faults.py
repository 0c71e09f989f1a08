"""What a test tells the fake to do wrong, and the list of what was asked."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

FOR_EVER = 1 << 30


class Asked(NamedTuple):
    """One request that arrived, in the order of arrival."""

    method: str
    path: str
    """Without the query."""
    query: str
    body: bytes


@dataclass(slots=True)
class Fault:
    """One thing to do wrong, `times` times, to the requests that the pattern finds."""

    pattern: re.Pattern[str]
    times: int
    status: int | None = None
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    hang_s: float = 0.0
    drop: bool = False


class Faults:
    """The faults still to come. The pattern is searched in `METHOD /path?query`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self.over = threading.Event()
        """Set when the server ends, so that nothing hangs on."""
        self.requests: list[Asked] = []

    def add(self, fault: Fault) -> None:
        """One more."""
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """From now on everything goes right."""
        with self._lock:
            self._faults.clear()

    def note(self, asked: Asked) -> None:
        """Write down a request."""
        with self._lock:
            self.requests.append(asked)

    def take(self, asked: Asked) -> list[Fault]:
        """The faults of this request: at most one hang, one answer or drop."""
        text = f"{asked.method} {asked.path}" + (f"?{asked.query}" if asked.query else "")
        found: dict[bool, Fault] = {}
        with self._lock:
            for fault in self._faults:
                hangs = fault.hang_s > 0
                if fault.times > 0 and hangs not in found and fault.pattern.search(text):
                    fault.times -= 1
                    found[hangs] = fault
        return list(found.values())
