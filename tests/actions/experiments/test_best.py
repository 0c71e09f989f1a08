"""The best run, by which value, and over seeds."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from foundry_tui.actions.errors import NothingMatched, SourceMissing, WrongUse
from foundry_tui.actions.experiments.best import best
from foundry_tui.actions.experiments.overview import overview, standing
from foundry_tui.actions.site import Site
from foundry_tui.estate.tracked import Experiment, TrackStatus
from foundry_tui.experiments.best import aim_of
from foundry_tui.experiments.nouns import Reduce
from foundry_tui.tracking.memory import MemoryTracker
from tests.actions.experiments.conftest import Run


@pytest.fixture
def three(logged: Run) -> list[str]:
    return [
        logged("a", {"lr": "1", "seed": "0"}, {"loss": [3, 1, 2]}),
        logged("b", {"lr": "1", "seed": "1"}, {"loss": [3, 2, 1.5]}),
        logged("c", {"lr": "2", "seed": "0"}, {"loss": [3, 2, math.nan]}),
    ]


def test_each_way_to_reduce(compared_site: Site, three: list[str]) -> None:
    for how, order in [
        (Reduce.LAST, [three[1], three[0]]),
        (Reduce.MIN, [three[0], three[1], three[2]]),
        (Reduce.MAX, three),
    ]:
        found = best(compared_site, "llama", "loss", reduce=how)
        assert [run.run_id for run in found.runs] == order, how
        assert found.aim.words == "least loss (guessed from its name)"
        assert found.without == 3 - len(order)
    smooth = best(compared_site, "llama", "loss", reduce=Reduce.SMOOTH, alpha=1.0)
    assert smooth.values[three[1]] == 1.5


def test_over_seeds(compared_site: Site, three: list[str]) -> None:
    found = best(compared_site, "llama", "loss", reduce=Reduce.MIN, grouped=True)
    one, two = found.groups
    assert (one.values, one.mean, one.best) == ((1.0, 1.5), 1.25, 1.0)
    assert one.sd == pytest.approx(0.5 / math.sqrt(2))
    assert (two.values, two.sd) == ((2.0,), None)
    by_rate = best(
        compared_site, "llama", "loss", reduce=Reduce.MIN, grouped=True, seed_keys=["lr"]
    )
    assert len(by_rate.groups) == 2, "then the rate is the seed, and the seed is none"


def test_what_cannot_be_ranked(compared_site: Site, three: list[str], logged: Run) -> None:
    logged("d", metrics={"lr_now": [1.0]})
    logged("e", metrics={"nothing": [math.nan]}, experiment="vision")
    with pytest.raises(WrongUse, match="--metric"):
        best(compared_site, "llama", None)
    with pytest.raises(
        NothingMatched, match="none of 4 runs has the metric los; did you mean loss"
    ):
        best(compared_site, "llama", "los")
    with pytest.raises(NothingMatched, match="none of 1 runs has a number as nothing"):
        best(compared_site, "vision", "nothing", lower=True)
    with pytest.raises(WrongUse, match="--min or --max"):
        best(compared_site, "llama", "lr_now")
    with pytest.raises(NothingMatched):
        best(compared_site, "nonsense", "loss")
    assert best(compared_site, "llama", "lr_now", lower=True).runs[0].name == "d"


def test_a_filter_chooses(compared_site: Site, three: list[str]) -> None:
    found = best(compared_site, "llama", "loss", where="param.seed=0", reduce=Reduce.MIN)
    assert [run.name for run in found.runs] == ["a", "c"]


def test_too_many_curves(
    compared_site: Site, three: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("foundry_tui.actions.experiments.best.MOST_CURVES", 2)
    with pytest.raises(WrongUse, match="narrow them with --where"):
        best(compared_site, "llama", "loss", reduce=Reduce.MIN)


def test_experiments(compared_site: Site, three: list[str], logged: Run) -> None:
    logged("x", experiment="vision")
    found = overview(compared_site)
    assert [(r.experiment.name, r.runs, r.running) for r in found.rows] == [
        ("vision", 1, 0),
        ("llama", 3, 0),
    ]
    aim = found.rows[1].aim
    assert aim is not None and aim.words == "least loss (guessed from its name)"
    assert found.rows[1].value == 1.5 and found.rows[1].last is not None
    assert found.rows[0].aim is None


def test_an_experiment_with_a_headline(memory: MemoryTracker, three: list[str]) -> None:
    runs = [run for run in map(memory.get, three) if run is not None]
    runs[0] = replace(runs[0], status=TrackStatus.RUNNING)
    one = Experiment(id="1", name="llama", tags={"foundry.headline": "loss:min"})
    row = standing(one, runs, aim_of("loss:min", {}))
    assert (row.runs, row.running, row.value) == (3, 1, 1.5)
    assert row.best is not None and row.best.name == "b"
    bare = standing(one, runs, aim_of("acc:max", {}))
    assert (bare.best, bare.value) == (None, None)
    assert standing(one, []).last is None


def test_the_first_runs_are_whole(compared_site: Site, three: list[str]) -> None:
    found = best(compared_site, "llama", "loss", reduce=Reduce.MIN, most=1)
    assert [run.params for run in found.runs] == [{"lr": "1", "seed": "0"}, {}, {}]
    assert found.runs[0].metrics["loss"].step == 2
    assert found.values[three[2]] == 2.0


def test_what_experiments_cost(
    compared_site: Site, three: list[str], memory: MemoryTracker, logged: Run
) -> None:
    logged("x", metrics={"foundry/gpu_hours": [4], "foundry/gpu_util_pct": [25], "loss": [2]})
    logged("y", metrics={"foundry/gpu_hours": [6]}, more={"mlflow.user": "bob"})
    memory.tag_experiment(memory.experiments()[-1].id, "foundry.headline", "loss:max")
    found = overview(compared_site, by_user=True)
    (row,) = (row for row in found.rows if row.experiment.name == "llama")
    assert row.spent is not None and row.spent.gpu_hours == 10
    assert (row.spent.used_hours, row.spent.unused_hours, row.spent.user) == (1, 3, None)
    assert [(one.user, one.gpu_hours, one.best) for one in found.by_user] == [
        ("ann", 4, 2.0),
        ("bob", 6, None),
    ]
    assert row.aim is not None and row.aim.words == "greatest loss (the experiment's headline)"
    assert row.best is not None
    assert (row.value, row.best.name, row.spent.best_run) == (2.0, "a", three[0]), "the earlier one"
    assert overview(compared_site).by_user == (), "only where it is asked for"


def test_no_server(compared_site: Site) -> None:
    compared_site._tracker, compared_site.mode = None, "saved"
    with pytest.raises(SourceMissing):
        best(compared_site, "llama", "loss")
