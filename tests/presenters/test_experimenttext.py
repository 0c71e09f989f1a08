"""Tables of tracked runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

import pytest

from foundry_tui.estate.text import SafeText, cells, safe
from foundry_tui.estate.tracked import Experiment, TrackedRun, TrackStatus
from foundry_tui.experiments.best import Aim
from foundry_tui.experiments.nouns import Reduce, SeedGroup
from foundry_tui.experiments.seeds import groups
from foundry_tui.experiments.waste import Spent
from foundry_tui.presenters.experimenttext import (
    best_text,
    column_text,
    differing_params,
    experiments_text,
    spent_text,
    took_s,
    tracked_table,
)
from foundry_tui.presenters.page import Style
from foundry_tui.presenters.records.experiments import (
    best_record,
    run_of_experiment_record,
    spent_record,
    standing_record,
)
from tests.experiments.records import NOW, at, run

LEAST = Aim(metric="loss", lower=True, how="as asked")
LLAMA = Experiment(id="1", name="llama")


@dataclass(frozen=True)
class Found:
    runs: tuple[TrackedRun, ...]
    values: Mapping[str, float]
    groups: tuple[SeedGroup, ...] = ()
    aim: Aim = LEAST
    reduce: Reduce = Reduce.LAST
    experiments: Mapping[str, Experiment] = field(default_factory=lambda: {"1": LLAMA})
    without: int = 1
    notes: tuple[str, ...] = ("only a sample",)


@dataclass(frozen=True)
class Row:
    experiment: Experiment
    runs: int = 3
    running: int = 1
    failed: int = 0
    last: TrackedRun | None = None
    aim: Aim | None = None
    best: TrackedRun | None = None
    value: float | None = None
    spent: Spent | None = None


COST = Spent(
    experiment_id="1",
    experiment=safe("llama"),
    user=safe("ann"),
    runs=3,
    live=1,
    told=2,
    gpu_hours=1234.56,
    measured_hours=1000.0,
    used_hours=250.0,
    energy_kwh=None,
    cost=Fraction(6173, 2),
    currency="EUR",
    metric=safe("loss"),
    best=0.125,
    best_run=f"{1:032x}",
)

RUNS = tuple(
    run(
        n, name=f"train-{n}", params={"lr": lr, "seed": str(n), "bs": "32"}, metrics={"loss": n / 8}
    )
    for n, lr in enumerate(["1e-3", "0.001", "5e-4"], 1)
)
VALUES = {r.run_id: r.metrics["loss"].value for r in RUNS}


def test_the_best() -> None:
    text = best_text(Found(RUNS, VALUES), Style(width=200), most=2, notes=("3s old",))
    lines = text.splitlines()
    assert lines[0] == "least loss (as asked)"
    assert lines[2].split() == [
        "#",
        "RUN",
        "loss",
        "STEP",
        "STATUS",
        "BEGAN",
        "ID",
        "PARAMS",
        "THAT",
        "DIFFER",
    ]
    assert lines[3].split()[:5] == ["1", "train-1", "0.125", "9", "FINISHED"]
    assert lines[3].endswith("seed=1"), "1e-3 and 0.001 are one rate"
    assert lines[5:] == [
        "",
        "1 more; --most shows them",
        "1 run has no number as loss",
        "only a sample",
        "3s old",
    ]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_over_seeds(width: int) -> None:
    made = groups(RUNS, VALUES, lower=True)
    text = best_text(Found(RUNS, VALUES, made), Style(width=width), most=9)
    assert all(cells(SafeText(line)) <= width for line in text.splitlines())
    if width == 200:
        assert text.splitlines()[3].split()[:6] == [
            "1",
            "0.1875",
            "0.0883883",
            "2",
            "0.125",
            "train-1",
        ]
        assert text.splitlines()[4].split()[1:4] == ["0.375", "—", "1"]
        assert "lr=5e-4" in text


def test_experiments() -> None:
    guess = Aim(metric="loss", lower=True, how="guessed from its name")
    rows = [
        Row(LLAMA, last=RUNS[0], aim=guess, best=RUNS[0], value=0.125, spent=COST),
        Row(Experiment(id="2", name="\x1b[31mred")),
    ]
    text = experiments_text(rows, at(60), Style(width=120), ["5s old"])
    one, two = text.splitlines()[1:3]
    assert one.split() == [
        *("llama", "3", "1", "0", "1h", "min?", "loss", "0.125", "train-1"),
        *("1,234.6", "25%", "750.0", "3,086.50", "EUR"),
    ]
    assert two.split() == ["␛[31mred", "3", "1", "0", *["—"] * 8]
    assert text.endswith("5s old")
    record = standing_record(rows[0])
    assert (record["best"], record["metric_from"]) == (0.125, "guessed from its name")
    assert (record["gpu_hours_unused"], record["cost"], record["currency"]) == (
        750.0,
        "3086.50",
        "EUR",
    )
    bare = standing_record(rows[1])
    assert bare["best_run_id"] is None
    assert bare.keys() == record.keys(), "a record has the same keys, whatever is known"
    assert bare["gpu_hours"] is None and bare["runs_told"] == 0


@pytest.mark.parametrize("width", [60, 80, 200])
def test_what_experiments_cost(width: int) -> None:
    bare = replace(COST, user=None, gpu_hours=None, measured_hours=0.0, cost=None, best=None)
    text = spent_text([COST, bare], Style(width=width), ["5s old"])
    assert all(cells(SafeText(line)) <= width for line in text.splitlines())
    assert text.endswith("5s old")
    if width == 200:
        assert text.splitlines()[1].split() == [
            *("llama", "ann", "3", "1,234.6", "25%", "750.0", "3,086.50", "EUR", "loss", "0.125")
        ]
        assert text.splitlines()[2].split() == ["llama", "—", "3", *["—"] * 4, "loss", "—"]


def test_records_of_cost() -> None:
    made = spent_record(COST)
    assert (made["user"], made["live"], made["runs_told"], made["gpu_util_pct"]) == (
        "ann",
        1,
        2,
        25,
    )
    assert (made["cost"], made["currency"], made["energy_kwh"]) == ("3086.50", "EUR", None)
    assert spent_record(replace(COST, best=math.inf))["best"] is None


@pytest.mark.parametrize("width", [60, 80, 200])
def test_lists_of_runs(width: int) -> None:
    columns = ["metric.loss", "param.lr", "tag.team"]
    text = tracked_table(RUNS, {"1": LLAMA}, at(60), Style(width=width), columns=columns)
    assert all(cells(SafeText(line)) <= width for line in text.splitlines())
    if width == 200:
        first = " ".join(text.splitlines()[1].split())
        assert first == "train-1 FINISHED llama 1h 30m00s — 0.125 1e-3 — 000001ababab"
    else:
        assert "not shown at" in text


def test_columns_and_times() -> None:
    one = run(1, metrics={"loss": math.inf}, params={"a": "x"}, tags={"t": "\x1b"})
    shown = [column_text(one, name) for name in ("loss", "a", "tag.t", "param.b", "metric.c")]
    assert shown == ["∞", "x", "␛", "—", "—"]
    assert took_s(run(1), NOW) == 1800
    assert took_s(run(1, took_min=None, status=TrackStatus.RUNNING), at(2)) == 120
    assert took_s(run(1, took_min=None, status=TrackStatus.KILLED), at(2)) is None
    assert took_s(run(1, started=None), NOW) is None
    assert differing_params([]) == []
    assert differing_params([run(1, params={"a": "1"}).params, {}]) == ["a=1", "a=—"]


def test_records() -> None:
    record = best_record(Found(RUNS, VALUES, groups(RUNS, VALUES, lower=True)), most=1)
    assert (record["direction"], record["ranked"], record["without"]) == ("min", 3, 1)
    assert [r["value"] for r in record["runs"]] == [0.125]
    assert record["groups"][0]["n"] == 2
    odd = run(1, metrics={"m": math.nan}, inputs=[("c4", "d")], tags={"mlflow.user": "ann"})
    made = run_of_experiment_record(odd, None)
    assert made["metrics"]["m"]["value"] is None and made["metrics"]["m"]["shown"] == "NaN"
    assert (made["user"], made["experiment"], made["inputs"][0]["digest"]) == ("ann", None, "d")
