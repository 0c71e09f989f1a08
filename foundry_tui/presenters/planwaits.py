"""What a plan is predicted to do to waiting: with it and without it, who wins and who loses."""

from __future__ import annotations

from foundry_tui.estate.plan import Prediction, WaitChange
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.presenters import units

MOST_CHANGES = 6
"""Winners that are told, and losers."""


def heading(prediction: Prediction) -> str:
    """What the rows are about."""
    tasks = "task" if prediction.runs == 1 else "tasks"
    span = units.duration(prediction.horizon_s)
    runs = f"{prediction.runs} waiting {tasks}"
    return f"Predicted over {span}; {runs}, at most {span} of each counts"


def rows(prediction: Prediction) -> tuple[tuple[SafeText, SafeText, SafeText], ...]:
    """Name of a measure, its value without the plan, and with it."""
    told = prediction
    return (
        (
            safe("mean wait"),
            units.duration(told.wait_mean_without_s),
            units.duration(told.wait_mean_with_s),
        ),
        (
            safe("wait p50"),
            units.duration(told.wait_p50_without_s),
            units.duration(told.wait_p50_with_s),
        ),
        (
            safe("wait p90"),
            units.duration(told.wait_p90_without_s),
            units.duration(told.wait_p90_with_s),
        ),
        (
            safe("not started"),
            units.number(told.not_started_without),
            units.number(told.not_started_with),
        ),
        (
            safe("GPUs in use"),
            units.number(told.allocated_without),
            units.number(told.allocated_with),
        ),
    )


def winners(prediction: Prediction) -> tuple[str, ...]:
    """Who waits less, those with most waiting saved first."""
    return _told([c for c in prediction.changes if c.with_s < c.without_s], "wins")


def losers(prediction: Prediction) -> tuple[str, ...]:
    """Who waits longer, those that lose most first."""
    return _told([c for c in prediction.changes if c.with_s > c.without_s], "loses")


def _told(changes: list[WaitChange], verb: str) -> tuple[str, ...]:
    changes.sort(key=lambda c: -c.runs * abs(c.with_s - c.without_s))
    said = []
    for one in changes[:MOST_CHANGES]:
        by = units.duration(abs(one.with_s - one.without_s))
        waits = f"{units.duration(one.without_s)} to {units.duration(one.with_s)}"
        tasks = "task" if one.runs == 1 else "tasks"
        said.append(f"{one.kind} {one.name} {verb} {by}: {waits}, mean of {one.runs} {tasks}")
    if len(changes) > MOST_CHANGES:
        said.append(f"and {len(changes) - MOST_CHANGES} more")
    return tuple(said)
