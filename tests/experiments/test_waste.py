"""What experiments cost beside what they reached: sums that hold, and nothing made of nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.text import safe
from foundry_tui.estate.tracked import Point, TrackedRun, TrackStatus
from foundry_tui.experiments.waste import spent

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def run(
    number: int,
    hours: float | None = None,
    util: float | None = None,
    loss: float | None = None,
    *,
    user: str = "ann",
    experiment: str = "1",
    status: TrackStatus = TrackStatus.FINISHED,
) -> TrackedRun:
    values = {"foundry/gpu_hours": hours, "foundry/gpu_util_pct": util, "loss": loss}
    return TrackedRun(
        run_id=f"{number:032x}",
        experiment_id=experiment,
        name=safe(f"r{number}"),
        status=status,
        metrics={k: Point(0, NOW, v) for k, v in values.items() if v is not None},
        tags={"mlflow.user": user},
    )


def test_what_is_not_measured_is_neither_used_nor_wasted() -> None:
    runs = (run(1, 10.0, 10.0, 0.5), run(2, 30.0, None, 0.4), run(3, None, None, float("nan")))
    (row,) = spent(runs, {"1": safe("nlp")}, {"1": ("loss", True)})
    assert (row.experiment, row.user, row.runs, row.told) == ("nlp", "ann", 3, 2)
    assert row.gpu_hours == 40.0
    assert (row.measured_hours, row.used_hours, row.util_pct) == (10.0, 1.0, 10.0)
    assert row.unused_hours == 9.0
    assert (row.best, row.best_run) == (0.4, runs[1].run_id)


def test_nothing_recorded_is_not_zero() -> None:
    (row,) = spent((run(1, status=TrackStatus.RUNNING),), {}, {})
    assert (row.gpu_hours, row.util_pct, row.unused_hours, row.cost) == (None, None, None, None)
    assert (row.live, row.best) == (1, None)


def test_the_greatest_waste_comes_first_and_users_are_apart() -> None:
    rows = spent(
        (run(1, 10.0, 90.0), run(2, 5.0, 0.0, user="bob"), run(3, 99.0, experiment="2")), {}, {}
    )
    assert [(r.user, r.experiment_id) for r in rows] == [("bob", "1"), ("ann", "1"), ("ann", "2")]


def test_money_is_exact_or_not_told() -> None:
    def euros(each: TrackedRun, hours: float) -> tuple[Fraction, str] | None:
        return (Fraction(hours) * 2, "EUR") if each.run_id != f"{9:032x}" else None

    (row,) = spent((run(1, 1.5), run(2, 0.25)), {}, {}, euros)
    assert (row.cost, row.currency) == (Fraction(7, 2), "EUR")
    (row,) = spent((run(1, 1.5), run(9, 0.25)), {}, {}, euros)
    assert row.cost is None, "a part of the price is no price"


@given(st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 100), st.sampled_from("ab")), min_size=1))
def test_the_rows_add_up_to_the_runs(given_: list[tuple[float, float, str]]) -> None:
    runs = [run(n, hours, util, user=user) for n, (hours, util, user) in enumerate(given_)]
    rows = spent(runs, {}, {})
    assert sum(row.gpu_hours or 0 for row in rows) == pytest.approx(sum(h for h, _, _ in given_))
    for row in rows:
        unused = row.unused_hours if row.unused_hours is not None else 0.0
        assert row.used_hours + unused == pytest.approx(row.measured_hours)
