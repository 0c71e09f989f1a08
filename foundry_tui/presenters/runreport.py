"""The Markdown report of runs, with their curves drawn as text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from foundry_tui.estate.tracked import Point
from foundry_tui.experiments.nouns import Comparison
from foundry_tui.experiments.report import Chart, report
from foundry_tui.presenters.braille import chart

WIDTH, HEIGHT = 72, 8
"""Cells of a chart: what a code block of a page shows without scrolling."""

MOST_RUNS = 6
"""Curves of one metric that are drawn."""

Curves = Mapping[str, Mapping[str, Sequence[Point]]]
"""Metric -> MLflow run id -> points."""


def report_text(
    compared: Comparison,
    curves: Curves,
    *,
    server: str,
    made_at: datetime,
    notes: Sequence[str] = (),
    ascii_only: bool = False,
) -> str:
    """The whole file."""
    several = len(compared.sides) > MOST_RUNS
    more = f"of {len(compared.sides)} runs the curves of the first {MOST_RUNS} with one are drawn"
    return report(
        compared,
        server=server,
        made_at=made_at,
        charts=list(_charts(compared, curves, ascii_only)),
        notes=(*notes, more) if several and curves else notes,
    )


def _charts(compared: Comparison, curves: Curves, ascii_only: bool) -> Iterator[Chart]:
    for metric, by_run in curves.items():
        drawn = [side for side in compared.sides if by_run.get(side.run.run_id)]
        for side in drawn[:MOST_RUNS]:
            points = [(float(p.step), p.value) for p in by_run[side.run.run_id]]
            if not any(math.isfinite(value) for _, value in points):
                continue
            made = chart(points, width=WIDTH, height=HEIGHT, ascii_only=ascii_only)
            title = f"{metric} of {side.label}: {made.told}"
            yield Chart(title, tuple(line.rstrip() for line in made.lines))
