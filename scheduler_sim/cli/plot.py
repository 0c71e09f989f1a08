"""Allocation and fragmentation against arrivals, drawn with characters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scheduler_sim.cli.output import visible

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Braille bits of a cell: four rows of two dots."""

_MARKS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Curve:
    """One policy's course: at 0, 1, 2 … % arrived, what share of all GPUs was allocated, and
    what share was idle but stranded. Percent; None where nothing arrived at that column."""

    name: str
    alloc_pct: tuple[float | None, ...]
    frag_pct: tuple[float | None, ...]


def mean_curve(name: str, curves: Sequence[Curve]) -> Curve:
    """The mean of the seeds in each column, over those that have one there."""
    length = max(len(curve.alloc_pct) for curve in curves)

    def mean(lines: list[tuple[float | None, ...]]) -> tuple[float | None, ...]:
        columns = [[v for line in lines if (v := at(line, i)) is not None] for i in range(length)]
        return tuple(sum(column) / len(column) if column else None for column in columns)

    return Curve(name, mean([c.alloc_pct for c in curves]), mean([c.frag_pct for c in curves]))


def at(line: Sequence[float | None], column: int) -> float | None:
    """The value of a column, None beyond the end of the line."""
    return line[column] if column < len(line) else None


def ceiling(lines: Sequence[Sequence[float | None]]) -> float:
    """A round number, in percent, that no value is above."""
    highest = max((v for line in lines for v in line if v is not None), default=0.0)
    for top in (1, 2, 5, 10, 20, 50):
        if highest <= top:
            return float(top)
    return 100.0


def drawing(curves: Sequence[Curve], columns: int, rows: int = 10, ascii_only: bool = False) -> str:
    """Two panels under each other, at most `columns` wide; several curves by letters."""
    alloc = [curve.alloc_pct for curve in curves]
    frag = [curve.frag_pct for curve in curves]
    many = len(curves) > 1
    parts = [
        "GPUs allocated, % of all, against GPU request arrived, % of all",
        _panel(alloc, 100.0, columns, rows, many, ascii_only),
        "",
        "GPUs idle but stranded, % of all, against GPU request arrived, % of all",
        _panel(frag, ceiling(frag), columns, rows, many, ascii_only),
    ]
    if many:
        named = (f"{m} {visible(c.name)}" for m, c in zip(_MARKS, curves, strict=False))
        parts += ["", "  ".join(named), "where lines meet, the later one is seen"]
    return "\n".join(parts)


def _panel(
    lines: Sequence[Sequence[float | None]],
    top: float,
    columns: int,
    rows: int,
    many: bool,
    ascii_only: bool,
) -> str:
    cells_wide = max(10, min(columns, 100) - 7)
    length = max(2, max(len(line) for line in lines))
    letters = many or ascii_only
    across, down = (1, 1) if letters else (2, 4)
    width, height = cells_wide * across, rows * down
    grid = [[0] * cells_wide for _ in range(rows)]
    for index, line in enumerate(lines):
        for x in range(width):
            value = at(line, round(x * (length - 1) / (width - 1)))
            if value is None:
                continue
            y = height - 1 - round(min(value, top) / top * (height - 1))
            if letters:
                grid[y][x] = ord(_MARKS[index % len(_MARKS)] if many else "*")
            else:
                grid[y // 4][x // 2] |= 0x2800 | _DOTS[y % 4][x % 2]
    rule, corner, tick = ("|", "+", "-") if ascii_only else ("│", "└", "─")
    made = []
    for number, row in enumerate(grid):
        label = f"{top:g}" if number == 0 else "0" if number == rows - 1 else ""
        made.append(f"{label:>4} {rule}" + "".join(chr(c) if c else " " for c in row).rstrip())
    made.append("     " + corner + tick * cells_wide)
    middle = (length - 1) // 2
    scale = f"{0:<{cells_wide // 2}}{middle}"
    made.append("      " + scale + f"{length - 1:>{cells_wide - len(scale)}}")
    return "\n".join(made)
