"""What a program on a terminal costs: CPU of its process, bytes to the terminal, memory, seconds.

Every figure is read from the program itself on a pty: the CPU time of its process between a key
and the moment when it is quiet again, and the bytes that the terminal was sent meanwhile. So they
hold all that a user pays for, the writing of escape sequences too.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.lab.terminal import Terminal

SLOW_BYTES_S = 16_000
"""A poor link: 128 kbit/s."""

LOAD_S = 20.0
"""How long a slow link is loaded before a key is pressed."""

PATIENCE_S = 180.0


@dataclass(frozen=True, slots=True)
class Program:
    """What is run, and a text that stands on its screen when it shows its data."""

    argv: tuple[str, ...]
    ready: str
    home: str

    def on(self, size: tuple[int, int], *more: str) -> Terminal:
        """The program on a terminal with 24-bit colours."""
        env = {"COLORTERM": "truecolor", "HOME": self.home}
        return Terminal([*self.argv, *more], size=size, env=env)

    def shown(self, size: tuple[int, int], *more: str) -> Terminal:
        """The same when it shows its data and is quiet."""
        terminal = self.on(size, *more)
        try:
            terminal.wait_for(self.ready, PATIENCE_S)
            terminal.settle(1.0, PATIENCE_S)
        except BaseException:
            terminal.close()
            raise
        return terminal


@dataclass(frozen=True, slots=True)
class Spent:
    """Medians over several presses of a key: CPU in ms, output in bytes."""

    cpu_ms: float
    sent_bytes: float


def press(terminal: Terminal, keys: Sequence[str], quiet_s: float = 0.3) -> Spent:
    """Press keys one after the other, each when the program is quiet; the median of each key."""
    spent = [_one(terminal, key, quiet_s) for key in keys]
    return Spent(
        statistics.median(one.cpu_ms for one in spent),
        statistics.median(one.sent_bytes for one in spent),
    )


def _one(terminal: Terminal, key: str, quiet_s: float) -> Spent:
    cpu_s, sent = terminal.cpu_s, len(terminal.raw)
    terminal.press(key)
    terminal.settle(quiet_s, PATIENCE_S)
    return Spent(1000 * (terminal.cpu_s - cpu_s), len(terminal.raw) - sent)


def mouse(terminal: Terminal, line: int, moves: int = 10) -> float:
    """Bytes per motion of the mouse across lines, from `line` down."""
    sent = len(terminal.raw)
    for i in range(moves):
        terminal.move_mouse(10, line + i)
        terminal.settle(0.2, PATIENCE_S)
    return (len(terminal.raw) - sent) / moves


def idle(terminal: Terminal, seconds: float = 10.0) -> float:
    """Bytes per second while nothing changes and no key is pressed."""
    sent = len(terminal.raw)
    time.sleep(seconds)
    return (len(terminal.raw) - sent) / seconds


def fill(program: Program, size: tuple[int, int], times: int = 3) -> float:
    """CPU ms from the key that fills an empty table until it stands."""
    spent = []
    for _ in range(times):
        with program.on(size, "--empty") as terminal:
            terminal.until(lambda t=terminal: t.frames > 0, "a first frame", PATIENCE_S)  # type: ignore[misc]
            terminal.settle(1.0, PATIENCE_S)
            cpu_s = terminal.cpu_s
            terminal.press("f")
            terminal.wait_for(program.ready, PATIENCE_S)
            terminal.settle(1.0, PATIENCE_S)
            spent.append(1000 * (terminal.cpu_s - cpu_s))
    return statistics.median(spent)


def first_paint(program: Program, size: tuple[int, int], times: int = 3) -> float:
    """CPU ms from exec until the screen shows data."""
    spent = []
    for _ in range(times):
        with program.on(size) as terminal:
            terminal.wait_for(program.ready, PATIENCE_S)
            spent.append(1000 * terminal.cpu_s)
    return statistics.median(spent)


def key_to_screen(
    program: Program, size: tuple[int, int], *more: str, key: str, shown: str
) -> float:
    """Seconds from a key to its effect on the screen, when a slow link has been loaded a while."""
    with program.on(size, *more) as terminal:
        terminal.wait_for(program.ready, PATIENCE_S)
        terminal.rate_bytes_s = SLOW_BYTES_S
        time.sleep(LOAD_S)
        terminal.press(key)
        return terminal.wait_for(shown, PATIENCE_S)
