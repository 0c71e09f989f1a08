"""What the screens cost on a terminal, beside a plain DataTable app in the same run.

    python -m benchmarks.terminal [--only REGEX]

The rows about tables drive `benchmarks.grid_app` (our table) and `benchmarks.datatable_app`, which
show the same rows; the rows about the app drive `foundry` itself. CPU in ms of the process, bytes
as the terminal gets them, with 24-bit colours offered. Takes some minutes.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks import seats
from benchmarks.estate import NODES, saved_estate
from benchmarks.rows import MARK, WORD
from benchmarks.seats import Program
from foundry_tui.tui.tones import TERMINAL
from tests.lab.daemons import LabError
from tests.lab.terminal import Terminal

SMALL, MIDDLE, LARGE = (80, 24), (120, 40), (200, 50)
"""Sizes in columns and lines."""

FOUNDRY = str(Path(sys.executable).with_name("foundry"))
SCRATCH = tempfile.TemporaryDirectory(prefix="foundry-bench-")


def _table_app(name: str, *more: str, ready: str = "100020") -> Program:
    return Program((sys.executable, "-m", f"benchmarks.{name}", *more), ready, SCRATCH.name)


GRID = _table_app("grid_app")
PEER = _table_app("datatable_app")
PEER_1000 = _table_app("datatable_app", "--rows", "1000", ready="100005")
PEER_OUR_COLOURS = _table_app("datatable_app", "--theme", TERMINAL)
DEMO = Program((FOUNDRY, "--demo"), "3 Nodes 12", SCRATCH.name)


@cache
def saved() -> Program:
    """Foundry on a saved estate of 1,250 nodes and 10,000 runs."""
    path = saved_estate(Path(SCRATCH.name) / "estate.json")
    return Program((FOUNDRY, "--estate", str(path)), f"3 Nodes {NODES}", SCRATCH.name)


@dataclass(frozen=True, slots=True)
class Seat:
    """What was seen in one session of a table app: medians per tick or key, bytes per motion."""

    tick: seats.Spent
    unseen_bytes: float
    down: seats.Spent
    letter_cpu_ms: float
    mouse_bytes: float
    idle_bytes_s: float
    rss_mib: float


@cache
def seat(program: Program, size: tuple[int, int]) -> Seat:
    """Sit down before a table app: ticks, keys, the mouse, and nothing at all."""
    with program.shown(size) as terminal:
        rss_bytes = terminal.memory.rss_bytes
        idle = seats.idle(terminal, 5.0)
        seats.press(terminal, "tt", 1.0)
        return Seat(
            tick=seats.press(terminal, "t" * 10),
            unseen_bytes=seats.press(terminal, "u" * 10).sent_bytes,
            down=seats.press(terminal, ["down"] * 10),
            mouse_bytes=seats.mouse(terminal, 5),
            letter_cpu_ms=seats.press(terminal, "n" * len(WORD), 1.0).cpu_ms,
            idle_bytes_s=idle,
            rss_mib=rss_bytes / 2**20,
        )


def slow_table(program: Program) -> float:
    """Seconds from key to screen while 100 cells change every second."""
    return seats.key_to_screen(program, LARGE, "--tick", "1", key="m", shown=MARK)


Measure = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; no budget is a figure for comparison alone."""

    what: str
    unit: str
    ours: Measure
    peer: Measure | None
    budget: float | None = None


def both(what: str, unit: str, of: Callable[[Program], float], budget: float | None) -> Row:
    """The same measure of our table and of the peer."""
    return Row(what, unit, lambda: of(GRID), lambda: of(PEER), budget)


TABLE_ROWS = (
    both("fill and settle 10,000 x 10", "ms", lambda p: seats.fill(p, MIDDLE), 60),
    both("tick: 100 visible cells", "ms", lambda p: seat(p, MIDDLE).tick.cpu_ms, 10),
    both("filter, a letter more", "ms", lambda p: seat(p, MIDDLE).letter_cpu_ms, 30),
    both("key down, 200x50", "ms", lambda p: seat(p, LARGE).down.cpu_ms, 8),
    both("key down, 200x50", "B", lambda p: seat(p, LARGE).down.sent_bytes, 700),
    both("100 visible changes/s, 80x24", "B/s", lambda p: seat(p, SMALL).tick.sent_bytes, 3500),
    both("100 visible changes/s, 200x50", "B/s", lambda p: seat(p, LARGE).tick.sent_bytes, 9000),
    Row(
        "the same, peer in our colours",
        "B/s",
        lambda: seat(GRID, LARGE).tick.sent_bytes,
        lambda: seat(PEER_OUR_COLOURS, LARGE).tick.sent_bytes,
    ),
    both("100 changes/s off screen", "B/s", lambda p: seat(p, LARGE).unseen_bytes, 800),
    both("idle table", "B/s", lambda p: seat(p, LARGE).idle_bytes_s, 0),
    both("mouse motion", "B", lambda p: seat(p, LARGE).mouse_bytes, 150),
    both("key to screen, 16 kB/s, 100 changes/s", "s", slow_table, 1),
)


def panel(opening: bool) -> tuple[Measure, Measure]:
    """Bytes of the confirmation of a cancel: ours on a run of the demo, the peer's modal screen."""

    def ours() -> float:
        with DEMO.shown(LARGE) as terminal:
            seats.press(terminal, "2", 1.0)
            terminal.press("p")
            opened = seats.press(terminal, "c", 1.0)
            if "GPU-hours" not in terminal.text:
                raise LabError(f"no panel asks about a cancel\n{terminal.text}")
            closed = seats.press(terminal, ["escape"], 1.0)
        return (opened if opening else closed).sent_bytes

    def peer() -> float:
        with PEER.shown(LARGE) as terminal:
            opened = seats.press(terminal, "c", 1.0)
            closed = seats.press(terminal, ["escape"], 1.0)
        return (opened if opening else closed).sent_bytes

    return ours, peer


def runs_screen(of: Callable[[Terminal], float]) -> Measure:
    """A figure of the screen Runs with 10,000 runs."""

    def measure() -> float:
        with saved().shown(LARGE) as terminal:
            seats.press(terminal, "2", 1.0)
            return of(terminal)

    return measure


def letters(terminal: Terminal) -> float:
    """CPU ms of a letter typed into the filter."""
    seats.press(terminal, "/", 1.0)
    return seats.press(terminal, WORD, 0.5).cpu_ms


def resident() -> float:
    """MiB of foundry when the screens of runs and nodes were seen and all is quiet."""
    with saved().shown(LARGE) as terminal:
        seats.press(terminal, "231", 1.0)
        return terminal.memory.rss_bytes / 2**20


APP_ROWS = (
    Row(
        "first paint, demo; peer 1,000 rows",
        "ms",
        lambda: seats.first_paint(DEMO, SMALL),
        lambda: seats.first_paint(PEER_1000, SMALL),
        600,
    ),
    Row(
        "first paint, 10,000 saved runs",
        "ms",
        lambda: seats.first_paint(saved(), SMALL),
        lambda: seats.first_paint(PEER, SMALL),
    ),
    Row(
        "Runs, 10,000: filter, a letter more",
        "ms",
        runs_screen(letters),
        lambda: seat(PEER, LARGE).letter_cpu_ms,
        30,
    ),
    Row(
        "Runs, 10,000: key down",
        "ms",
        runs_screen(lambda t: seats.press(t, ["down"] * 10).cpu_ms),
        lambda: seat(PEER, LARGE).down.cpu_ms,
    ),
    Row(
        "Runs, 10,000: key down",
        "B",
        runs_screen(lambda t: seats.press(t, ["down"] * 10).sent_bytes),
        lambda: seat(PEER, LARGE).down.sent_bytes,
    ),
    Row(
        "Runs, 10,000: mouse motion",
        "B",
        runs_screen(lambda t: seats.mouse(t, 8)),
        lambda: seat(PEER, LARGE).mouse_bytes,
        150,
    ),
    Row("Runs, 10,000: idle", "B/s", runs_screen(seats.idle), None, 0),
    Row(
        "key to screen, 16 kB/s, demo",
        "s",
        lambda: seats.key_to_screen(DEMO, LARGE, key="?", shown="Help"),
        None,
        1,
    ),
    Row("RSS, 10,000 runs, 1,250 nodes", "MiB", resident, lambda: seat(PEER, LARGE).rss_mib, 80),
    Row("confirm panel opens, 200x50", "B", *panel(opening=True), 6000),
    Row("confirm panel closes, 200x50", "B", *panel(opening=False), 4000),
)


def measured(measure: Measure | None) -> float | str:
    """The figure, or why there is none."""
    if measure is None:
        return "-"
    try:
        return measure()
    except (LabError, OSError) as error:
        told = [text.strip() for text in str(error).splitlines() if text.strip()]
        return "not measured: " + "; ".join(dict.fromkeys([told[0], told[-1]]))


def figure(value: float | str, unit: str) -> str:
    """A figure with its unit."""
    if isinstance(value, str):
        return value
    digits = 2 if unit == "s" else 1 if value < 20 else 0
    return f"{value:,.{digits}f} {unit}"


def line(row: Row) -> str:
    """Measure a row and write it; `!` marks what is over its budget."""
    ours, peer = measured(row.ours), measured(row.peer)
    known = isinstance(ours, float | int) and isinstance(peer, float | int) and ours and peer
    ratio = f"{float(peer) / float(ours):.1f} x" if known else "-"
    budget = "-" if row.budget is None else f"<= {row.budget:g} {row.unit}"
    over = isinstance(ours, float | int) and row.budget is not None and ours > row.budget
    return COLUMNS.format(
        row.what, figure(ours, row.unit), figure(peer, row.unit), ratio, budget + " !" * over
    ).rstrip()


COLUMNS = "{:38} | {:>12} | {:>12} | {:>11} | {}"


def main() -> None:
    """Print the table, a line as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", metavar="REGEX", help="rows whose name matches")
    given = parser.parse_args()
    print(COLUMNS.format("what", "ours", "DataTable", "theirs/ours", "budget"))
    for row in (*TABLE_ROWS, *APP_ROWS):
        if re.search(given.only, row.what):
            print(line(row), flush=True)


if __name__ == "__main__":
    main()
