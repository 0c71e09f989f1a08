"""What every tracker has to hold to when runs are searched, and curves of several are asked for."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest

from foundry_tui.estate.tracked import DataInput, TrackedRun, TrackStatus
from foundry_tui.tracking.ports import TrackingError
from tests.tracking.contract import START, Bench, new_word, point

TAKEN = {
    "": "first second",
    "tags.what = 'x'": "first",
    'tags.what="x"': "first",
    "tag.what != 'x'": "second",
    "tags.what LIKE 'x%'": "first",
    "tags.what like 'X'": "second",
    "tags.what ILIKE 'X'": "first second",
    "tags.dotted.key = 'y'": "first",
    "tags.`dotted.key` = 'y'": "first",
    "tags.`two words` = 'z'": "first",
    "tags.\"two words\" = 'z'": "first",
    "tags.`two words` IS NULL": "second",
    "tags.what IS NOT NULL": "first second",
    "tags.What = 'x'": "",
    "tags.mlflow.runName = 'first'": "first",
    "params.lr = '3e-4'": "first",
    "params.`a/b` != '2'": "first",
    "params.lr is null": "second",
    "metrics.loss < 2": "first",
    "metrics.loss > 1.4 AND metrics.loss < 1.6": "first",
    "metrics.loss >= .5 and metrics.below>-3": "first",
    "metrics.`train/acc` <= 5e-1": "first",
    "metric.loss != 0": "first",
    "metrics.none != 0": "",
    "status = 'SCHEDULED'": "first",
    "attributes.status = 'FAILED'": "second",
    "attributes.status != 'FAILED' AND tags.what = 'X'": "",
    "attribute.status LIKE 'FAIL%'": "second",
    f"attributes.start_time > {round(START.timestamp() * 1000)}": "second",
    "attributes.created > 0": "first second",
    "attr.end_time > 0": "second",
    "run_name = 'first'": "first",
    "attributes.run_name ILIKE 'FIR%'": "first",
    "run_id IN ('a', 'b')": "",
    "attributes.run_id NOT IN ('a')": "first second",
    "attributes.artifact_uri LIKE 'mlflow-artifacts:%'": "first second",
    "dataset.name = 'c4'": "first",
    "datasets.digest LIKE 'd%' AND dataset.context = 'training'": "first",
    "dataset.name IN ('c4', 'x')": "first",
    "dataset.name = 'x'": "",
}
"""Filters, and which of the two runs of `pair` they leave."""

REFUSED = (
    "attributes.status = 'RUNNING' OR attributes.status = 'FAILED'",
    "attributes.status IN ('RUNNING')",
    "attributes.end_time IS NULL",
    "metrics.loss IS NULL",
    "metrics.loss = '1.5'",
    "metrics.loss LIKE '1'",
    "metrics.train/acc > 1",
    "metrics.loss BETWEEN 1 AND 2",
    "params.lr = 3e-4",
    "params.lr > '1'",
    "params.a-b = '1'",
    "tags.what IN ('x')",
    "tags.what == 'x'",
    "tags.what <> 'x'",
    "tags.what = x",
    "tags.what",
    "'x' = tags.what",
    "(tags.what = 'x')",
    "NOT tags.what = 'x'",
    "tags.what = 'x'; tags.what = 'y'",
    "attributes.start_time > '0'",
    "attributes.duration > 1",
    "attributes.experiment_id = '1'",
    "attributes.run_id IN ()",
    "dataset.path = 'x'",
    "none.a = '1'",
)


def names(runs: tuple[TrackedRun, ...]) -> str:
    """The names in their order."""
    return " ".join(run.name for run in runs)


def pair(bench: Bench) -> str:
    """Two runs that differ in everything; the id of their experiment."""
    experiment = new_word()
    tags = {"what": "x", "dotted.key": "y", "two words": "z"}
    first = bench.made("first", tags=tags, experiment=experiment)
    later = START + timedelta(seconds=1)
    second = bench.made("second", tags={"what": "X"}, experiment=experiment, started_at=later)
    metrics = {"loss": 1.5, "below": -2.0, "train/acc": 0.5}
    bench.tracker.log(first.run_id, params={"lr": "3e-4", "a/b": "1"}, metrics=metrics, at=START)
    bench.tracker.log_inputs(first.run_id, [DataInput(name="c4", digest="d1", path="/c4")])
    bench.tracker.update(second.run_id, status=TrackStatus.FAILED, ended_at=later)
    return first.experiment_id


class SearchContract:
    """The tests. `bench` is the fixture of the tracker."""

    def test_experiments_are_listed_by_their_exact_names(self, bench: Bench) -> None:
        name = f"{new_word()} é\x1b[2J"
        run = bench.made(experiment=name)
        found = {one.id: one for one in bench.tracker.experiments()}
        assert found[run.experiment_id].name == name
        assert "\x1b" not in found[run.experiment_id].shown

    def test_filters_leave_what_they_say(self, bench: Bench) -> None:
        experiment = pair(bench)
        found = {
            where: names(tuple(reversed(bench.tracker.search([experiment], where=where).runs)))
            for where in TAKEN
        }
        assert found == TAKEN

    def test_filters_that_mlflow_has_not_are_refused(self, bench: Bench) -> None:
        experiment = pair(bench)
        for where in REFUSED:
            with pytest.raises(TrackingError, match="400") as caught:
                bench.tracker.search([experiment], where=where)
            assert len(str(caught.value)) > 60, where

    def test_a_blank_filter_is_none(self, bench: Bench) -> None:
        run = bench.made()
        assert bench.tracker.search([run.experiment_id], where="  ").runs == (run,)

    def test_pages_come_newest_first_and_of_one_moment_by_id(self, bench: Bench) -> None:
        experiment = new_word()
        made = [
            bench.made(experiment=experiment, started_at=START + timedelta(seconds=i // 2))
            for i in range(7)
        ]
        wanted = sorted(made, key=lambda run: run.run_id)
        wanted.sort(key=lambda run: run.started_at or START, reverse=True)
        found: list[TrackedRun] = []
        sizes, after = [], None
        while True:
            page = bench.tracker.search([made[0].experiment_id], most=3, after=after)
            sizes.append(len(page.runs))
            found += page.runs
            if (after := page.after) is None:
                break
        assert found == wanted
        assert sizes == [3, 3, 1]

    def test_runs_of_several_experiments_come_in_one_order(self, bench: Bench) -> None:
        made = [bench.made(started_at=START + timedelta(seconds=i)) for i in range(4)]
        ids = [run.experiment_id for run in made]
        assert bench.tracker.search(ids).runs == tuple(reversed(made))
        assert bench.tracker.search(ids[1:3]).runs == (made[2], made[1])

    def test_no_experiment_has_no_runs(self, bench: Bench) -> None:
        bench.made()
        assert bench.tracker.search([]).runs == ()
        assert bench.tracker.search(["987654321"]).runs == ()

    def test_too_much_at_once_is_said_to_the_caller(self, bench: Bench) -> None:
        with pytest.raises(ValueError, match="201 were given; one search takes 200"):
            bench.tracker.search([str(i) for i in range(201)])
        assert bench.tracker.search([str(9_000_000 + i) for i in range(200)]).runs == ()
        with pytest.raises(ValueError, match="at least 1"):
            bench.tracker.search(["1"], most=0)

    def test_a_token_that_is_none_is_refused(self, bench: Bench) -> None:
        run = bench.made()
        with pytest.raises(TrackingError, match="400: Invalid page token"):
            bench.tracker.search([run.experiment_id], after="garbage")

    def test_a_search_tells_all_that_a_look_tells(self, bench: Bench) -> None:
        experiment = pair(bench)
        for run in bench.tracker.search([experiment]).runs:
            assert bench.got(run) == run

    def test_what_is_in_the_trash_is_not_found(self, bench: Bench) -> None:
        run = bench.made()
        bench.delete(run.run_id)
        assert bench.tracker.search([run.experiment_id]).runs == ()

    def test_curves_of_several_runs(self, bench: Bench) -> None:
        long, short, other = bench.made(), bench.made(), bench.made()
        bench.log(long.run_id, {}, {"loss": [point(i, float(i)) for i in range(500)]})
        short_ones = [point(0, math.inf), point(1, 2.0), point(2, -math.inf)]
        bench.log(short.run_id, {}, {"loss": short_ones})
        bench.log(other.run_id, {}, {"acc": [point(0, 1.0)]})
        ids = [short.run_id, "0" * 32, long.run_id, other.run_id, short.run_id]
        curves = bench.tracker.curves(ids, "loss", most=50)
        assert set(curves) == {long.run_id, short.run_id}
        assert curves[short.run_id] == tuple(short_ones)
        assert curves[long.run_id] == bench.tracker.history(long.run_id, "loss", most=50)
        assert 45 <= len(curves[long.run_id]) <= 50
        assert bench.tracker.curves([], "loss") == {}
