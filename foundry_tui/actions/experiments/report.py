"""What a report of runs needs: the runs side by side, and the curves of their metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from foundry_tui.actions.experiments.compare import Compared, found, of_runs
from foundry_tui.actions.experiments.server import at_once, tracker_of
from foundry_tui.estate.recorded import COST, SYSTEM
from foundry_tui.tracking.ports import TrackingError

if TYPE_CHECKING:
    from foundry_tui.actions.site import Site
    from foundry_tui.estate.tracked import Point, TrackedRun

MOST_METRICS = 8
"""Metrics that are drawn: those that most runs have, then by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Runs side by side, and metric -> MLflow run id -> its curve."""

    compared: Compared
    curves: Mapping[str, Mapping[str, tuple[Point, ...]]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def report(site: Site, references: Sequence[str], metrics: Sequence[str] = ()) -> Material:
    """What is known of the runs; the curves of these metrics, or of the most common ones.

    Raises:
        WrongUse, NothingMatched, SourceMissing, ActionError: as `compare.found`.
    """
    compared = of_runs(site, found(site, references))
    runs = [side.run for side in compared.comparison.sides]
    drawn, left_out = (tuple(metrics), 0) if metrics else common(runs)
    tracker = tracker_of(site, "the curves")
    notes = list(compared.notes)
    if left_out:
        notes.append(f"{left_out} more metrics are not drawn: --metric NAME draws one")

    def curve(metric: str) -> Mapping[str, tuple[Point, ...]]:
        try:
            return tracker.curves([run.run_id for run in runs], metric)
        except TrackingError as error:
            notes.append(f"{metric} is not drawn: {error}")
            return {}

    curves = dict(zip(drawn, at_once(curve, drawn), strict=True))
    return Material(compared=compared, curves=curves, notes=tuple(notes))


def common(runs: Sequence[TrackedRun], most: int = MOST_METRICS) -> tuple[tuple[str, ...], int]:
    """The metrics that tell how well runs learned, those of most runs first; how many more are."""
    counts: dict[str, int] = {}
    for run in runs:
        for key in run.metrics:
            if key not in COST and not key.startswith(SYSTEM):
                counts[key] = counts.get(key, 0) + 1
    order = sorted(counts, key=lambda key: (-counts[key], key))
    return tuple(order[:most]), max(0, len(order) - most)
