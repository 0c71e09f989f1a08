"""The cost of experiments with the site's own prices and the experiment's own headline."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import pytest

from foundry_tui.actions.errors import WrongUse
from foundry_tui.actions.experiments.spent import spent
from foundry_tui.actions.site import Options, Site
from foundry_tui.config.model import Config
from foundry_tui.estate.text import safe
from foundry_tui.estate.tracked import Experiment, Point, TrackedRun, TrackStatus

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SITE = Site(options=Options(), config=Config(), mode="live", tell=lambda words: None)
PRICES = """gpu_type,price_per_gpu_hour,currency,valid_from_utc,valid_to_utc
h100,2.50,EUR,2026-01-01,
"""


def run(number: int, model: str = "h100", **metrics: float) -> TrackedRun:
    return TrackedRun(
        run_id=f"{number:032x}",
        experiment_id="1",
        name=safe("r"),
        status=TrackStatus.FINISHED,
        started_at=NOW,
        metrics={key.replace("__", "/"): Point(0, NOW, v) for key, v in metrics.items()},
        tags={"mlflow.user": "ann", "foundry.gpu_model": model},
    )


def test_the_headline_goes_before_a_guess(tmp_path: Path) -> None:
    runs = (run(1, acc=0.9, loss=0.1), run(2, acc=0.8, loss=0.05))
    tagged = {"1": Experiment(id="1", name="nlp", tags={"foundry.headline": "acc:max"})}
    (row,) = spent(SITE, runs, tagged)
    assert (row.metric, row.best, row.best_run) == ("acc", 0.9, runs[0].run_id)
    plain = {"1": Experiment(id="1", name="nlp")}
    (row,) = spent(SITE, (*runs, run(3, loss=0.2)), plain)
    assert (row.metric, row.best, row.best_run) == ("loss", 0.05, runs[1].run_id)


def test_prices_by_model(tmp_path: Path) -> None:
    table = tmp_path / "prices.csv"
    table.write_text(PRICES)
    known = {"1": Experiment(id="1", name="nlp")}
    (row,) = spent(SITE, (run(1, foundry__gpu_hours=4.0),), known, prices=table)
    assert (row.cost, row.currency) == (Fraction(10), "EUR")
    both = (run(1, foundry__gpu_hours=4.0), run(2, "a100", foundry__gpu_hours=1.0))
    (row,) = spent(SITE, both, known, prices=table)
    assert row.cost is None, "no price is known of one of them"


def test_a_broken_table_of_prices_is_named(tmp_path: Path) -> None:
    table = tmp_path / "prices.csv"
    table.write_text("gpu_type,price\n")
    with pytest.raises(WrongUse, match="--prices"):
        spent(SITE, (run(1),), {}, prices=table)
