"""The rows that both apps of the terminal benchmarks show, and how they change."""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from dataclasses import dataclass

CHANGES = 100
"""Cells that change at a tick."""

MARK = "the key has arrived"
PANEL = "\n".join(f"{n}  cancel 88{n}12 of user{n}, 8 GPUs, 41.5 GPU-hours lost" for n in range(6))

TITLES = ("RUN", "NAME", "USER", "QUEUE", "STATE", "GPUS", "TIME", "NODE", "UTIL", "MEM")
"""Ten columns that stand side by side in 80 cells."""

WORD = "train-4"
"""What is typed to narrow the rows; each has a `t`, one in nine the whole."""

FIXED = 3
"""Columns that never change: which run it is and whose."""

Cells = tuple[str, ...]


def cell(column: int, row: int, draw: random.Random) -> str:
    """A text for a cell of a column, drawn anew at each call."""
    match TITLES[column]:
        case "RUN":
            return str(100_000 + row)
        case "NAME":
            return f"train-{draw.randrange(97)}"
        case "USER":
            return f"user{draw.randrange(60)}"
        case "QUEUE":
            return draw.choice(("h100", "a100", "prod"))
        case "STATE":
            return draw.choice(("running", "pending", "failed", "held"))
        case "GPUS":
            return str(2 ** draw.randrange(4))
        case "TIME":
            return f"{draw.randrange(24)}h{draw.randrange(60):02}m"
        case "NODE":
            return f"h{draw.randrange(1250):04}"
        case _:
            return f"{draw.randrange(100)}%"


def table(count: int) -> list[Cells]:
    """So many rows, always the same."""
    draw = random.Random(7)
    return [tuple(cell(column, row, draw) for column in range(len(TITLES))) for row in range(count)]


def changes(
    tick: int, top: int, seen: int, count: int, visible: bool
) -> Iterator[tuple[int, int, str]]:
    """Row, column and new text of 100 cells, others at each tick.

    They are of the `seen` rows from `top` on, which are in sight, or of the table's lower half.
    """
    draw = random.Random(tick)
    rows = range(top, min(top + seen, count)) if visible else range(count // 2, count)
    places = [(row, column) for row in rows for column in range(FIXED, len(TITLES))]
    for row, column in draw.sample(places, min(CHANGES, len(places))):
        yield row, column, cell(column, row, draw)


@dataclass(frozen=True, slots=True)
class Options:
    """What both apps can be told: `tick_s` 0 is no change unless a key asks for it."""

    rows: int
    empty: bool
    tick_s: float
    theme: str


def options(about: str | None) -> Options:
    """The options of the command line."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--empty", action="store_true", help="show no rows before f is pressed")
    parser.add_argument("--tick", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--theme", default="", help="one of Textual's; none is the app's own")
    given = parser.parse_args()
    return Options(given.rows, given.empty, given.tick, given.theme)
