"""The host's system log as a second witness of changes, in a place that the user cannot edit.

One line per begin and finish, with the hash of the journal's line: who edits his journal leaves it
at odds with the log. Telling never blocks and never fails a change: a host without a log daemon, or
with one that does not read, gets no line.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

FACILITIES = {"user": 1, "authpriv": 10}
"""Name of a facility -> its number (RFC 3164, 4.1.1)."""

NOTICE = 5
MOST_BYTES = 1000
"""RFC 3164 (4.1) allows 1,024 bytes in all; daemons may cut what is longer."""

MOST_TARGETS = 10

SOCKET = Path("/dev/log")

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:+@,[]%")
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


class Syslog:
    """The log daemon behind a datagram socket; `facility` is a word of `FACILITIES`."""

    def __init__(self, facility: str = "authpriv", path: Path = SOCKET) -> None:
        self._priority = 8 * FACILITIES[facility] + NOTICE
        self._path = path

    def tell(self, fields: Mapping[str, object]) -> bool:
        """Send one line of `name=value`; True when the daemon's socket took it.

        None and empty values are left out. Everything is ASCII: what is not, and every control
        character, is escaped as in JSON, so that no value can forge a field or a line.
        """
        try:
            with socket.socket(
                socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
            ) as daemon:
                daemon.connect(str(self._path))
                daemon.send(self._line(fields))
        except (OSError, ValueError):
            return False
        return True

    def _line(self, fields: Mapping[str, object]) -> bytes:
        now = time.localtime()
        # As syslog(3) writes it: local time, no host name, which the daemon puts in.
        stamp = f"{_MONTHS[now.tm_mon - 1]} {now.tm_mday:2d} {time.strftime('%H:%M:%S', now)}"
        head = f"<{self._priority}>{stamp} foundry[{os.getpid()}]:"
        room = MOST_BYTES - len(head)
        words = [f"{n}={_value(v)}" for n, v in fields.items() if v is not None and v != ""]
        kept, used = [], 0
        for word in words:
            if used + 1 + len(word) > room - len(" cut=1"):
                kept.append("cut=1")
                break
            kept.append(word)
            used += 1 + len(word)
        return f"{head} {' '.join(kept)}".encode("ascii")


def shortened(targets: Sequence[str]) -> str:
    """A list of targets for one field: the first ones, and how many there are in all."""
    words = ",".join(targets[:MOST_TARGETS])
    return words if len(targets) <= MOST_TARGETS else f"{words},... ({len(targets)})"


def _value(value: object) -> str:
    text = str(value)
    return text if text and _PLAIN.issuperset(text) else json.dumps(text)
