"""What every tracker has to hold to when a run is written to."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from foundry_tui.estate.tracked import Artifact, DataInput, Point, TrackStatus
from foundry_tui.tracking.ports import TrackingError
from foundry_tui.tracking.rules import ARTIFACT_MOST
from tests.tracking.contract import START, Bench, point

LATER = START + timedelta(seconds=1)

ELSEWHERE = (
    *("", "/etc/passwd", "../x", "a/../b", "a//b", "./a", "a/"),
    *("%2e%2e/x", "a\\b", "a#b", "\x1b"),
)
"""Paths of no artifact."""


class WritingContract:
    """The tests. `bench` is the fixture of the tracker."""

    def test_what_is_logged_is_seen_and_twice_is_once(self, bench: Bench) -> None:
        run = bench.made()
        params = {"lr": "3e-4", "model/depth": "12", "ünï: x.y-z_": "é", "none": ""}
        metrics = {"gpu_hours": 1.5, "nan": math.nan, "up": math.inf, "down": -math.inf}
        for _ in range(2):
            bench.tracker.log(run.run_id, params=params, metrics=metrics, at=START)
        after = bench.got(run)
        assert after.params == params
        assert after.metrics["gpu_hours"] == Point(0, START, 1.5)
        assert math.isnan(after.metrics["nan"].value)
        assert (after.metrics["up"].value, after.metrics["down"].value) == (math.inf, -math.inf)
        for key in metrics:
            assert len(bench.tracker.history(run.run_id, key)) == 1
        assert after.status is TrackStatus.SCHEDULED

    def test_an_experiment_is_tagged_and_twice_is_once(self, bench: Bench) -> None:
        made, other = bench.made(), bench.made()
        key, value = "foundry.headline", "val/loss é:min"
        for _ in range(2):
            bench.tracker.tag_experiment(made.experiment_id, key, value)
        tags = {one.id: one.tags for one in bench.tracker.experiments()}
        assert tags[made.experiment_id][key] == value
        assert key not in tags[other.experiment_id]
        bench.tracker.tag_experiment(made.experiment_id, key, "acc:max")
        tags = {one.id: one.tags for one in bench.tracker.experiments()}
        assert tags[made.experiment_id][key] == "acc:max"
        with pytest.raises(TrackingError, match="987654321"):
            bench.tracker.tag_experiment("987654321", key, value)

    def test_a_later_value_is_the_latest(self, bench: Bench) -> None:
        run = bench.made()
        bench.tracker.log(run.run_id, metrics={"m": 5.0}, at=START)
        bench.tracker.log(run.run_id, metrics={"m": 2.0}, at=LATER)
        assert bench.got(run).metrics["m"] == Point(0, LATER, 2.0)
        assert [p.value for p in bench.tracker.history(run.run_id, "m")] == [5.0, 2.0]
        bench.log(run.run_id, {}, {"m": [point(3, 9.0)]})
        bench.tracker.log(run.run_id, metrics={"m": 1.0}, at=LATER + timedelta(days=1))
        assert bench.got(run).metrics["m"] == point(3, 9.0)

    def test_more_than_one_request_takes(self, bench: Bench) -> None:
        run = bench.made()
        params = {f"p{i}": f"{i} " + "x" * 5000 for i in range(250)}
        metrics = {f"m{i}": float(i) for i in range(1100)}
        bench.tracker.log(run.run_id, params=params, metrics=metrics, at=START)
        after = bench.got(run)
        assert after.params == params
        assert {key: p.value for key, p in after.metrics.items()} == metrics

    def test_a_long_parameter_is_cut_and_shows_it(self, bench: Bench) -> None:
        run = bench.made()
        for _ in range(2):
            bench.tracker.log(run.run_id, params={"words": "x" * 6001}, at=START)
        assert bench.got(run).params["words"] == "x" * 5999 + "…"

    def test_long_tags_come_back_whole(self, bench: Bench) -> None:
        run = bench.made()
        tags = {f"foundry.long{i}": f"{i} ".ljust(8000, "é") for i in range(80)}
        bench.tracker.update(run.run_id, tags=tags)
        assert tags.items() <= bench.got(run).tags.items()
        bench.tracker.update(run.run_id, tags={"foundry.long0": "é" * 8001})
        assert bench.got(run).tags["foundry.long0"] == "é" * 8000

    def test_a_parameter_must_not_change(self, bench: Bench) -> None:
        run = bench.made()
        bench.tracker.log(run.run_id, params={"lr": "1"}, at=START)
        with pytest.raises(TrackingError, match=r"Changing param values is not allowed.*lr") as no:
            bench.tracker.log(run.run_id, params={"lr": "2"}, metrics={"m": 1.0}, at=START)
        assert "as a tag" in no.value.hint
        after = bench.got(run)
        assert (after.params, after.metrics) == ({"lr": "1"}, {})

    @pytest.mark.parametrize(
        "key", ["k" * 251, "a=b", "a//b", "../a", "..a", "/a", "a/", ".", "", "a\x1bb"]
    )
    def test_a_key_that_mlflow_does_not_take(self, bench: Bench, key: str) -> None:
        run = bench.made()
        with pytest.raises(TrackingError, match=r"name of the parameter|parameter of the name"):
            bench.tracker.log(run.run_id, params={"good": "1", key: "1"}, at=START)
        with pytest.raises(TrackingError, match=r"name of the metric|metric of the name"):
            bench.tracker.log(run.run_id, metrics={"good": 1.0, key: 1.0}, at=START)
        assert bench.got(run) == run

    def test_the_longest_key_is_taken(self, bench: Bench) -> None:
        run = bench.made()
        bench.tracker.log(run.run_id, params={"k" * 250: "v"}, metrics={".m": 1.0}, at=START)
        assert set(bench.got(run).params) == {"k" * 250}

    def test_inputs_are_read_back_and_twice_is_once(self, bench: Bench) -> None:
        run = bench.made()
        inputs = (
            DataInput(name="c4", digest="sha256:" + "a" * 29, path="/shared/c4", kind="dvc"),
            DataInput(name="é long", digest="1", path="/" + "p" * 700, kind="manifest"),
        )
        for _ in range(2):
            bench.tracker.log_inputs(run.run_id, inputs)
        bench.tracker.log_inputs(run.run_id, ())
        assert sorted(bench.got(run).inputs, key=lambda one: one.name) == list(inputs)

    def test_the_same_data_at_another_place_in_another_run(self, bench: Bench) -> None:
        first = bench.made(experiment="shared data")
        second = bench.made(experiment="shared data")
        here = DataInput(name="c4", digest="d", path="/here", kind="dvc")
        there = replace(here, path="/there", kind="content")
        bench.tracker.log_inputs(first.run_id, [here])
        bench.tracker.log_inputs(second.run_id, [there])
        assert bench.got(first).inputs == (here,)
        assert bench.got(second).inputs == (there,)

    @pytest.mark.parametrize(
        ("one", "words"),
        [
            (DataInput(name="c4", digest="d" * 37, path="/"), "digest of the data 'c4' has 37"),
            (DataInput(name="c4", digest="", path="/"), "digest of the data 'c4' has 0"),
            (DataInput(name="n" * 501, digest="d", path="/"), "has 501 characters"),
        ],
    )
    def test_inputs_that_do_not_fit(self, bench: Bench, one: DataInput, words: str) -> None:
        run = bench.made()
        good = DataInput(name="good", digest="d", path="/")
        with pytest.raises(TrackingError, match=words):
            bench.tracker.log_inputs(run.run_id, [good, one])
        assert bench.got(run).inputs == ()

    def test_artifacts_go_there_and_back(self, bench: Bench) -> None:
        run = bench.made()
        files = {
            "top.bin": bytes(range(256)),
            "foundry/spec é ?+&=.yaml": b"name: x\n",
            "foundry/deep/er.txt": b"x",
            "empty": b"",
        }
        assert bench.tracker.artifacts(run) == ()
        for path, data in files.items():
            bench.tracker.write_artifact(run, path, data)
        for path, data in files.items():
            assert bench.tracker.read_artifact(run, path, most_bytes=256) == data
        assert sorted(bench.tracker.artifacts(run), key=lambda one: one.path) == [
            Artifact(path="empty"),
            Artifact(path="foundry", folder=True),
            Artifact(path="top.bin", size_bytes=256),
        ]
        assert set(bench.tracker.artifacts(run, "foundry")) == {
            Artifact(path="foundry/deep", folder=True),
            Artifact(path="foundry/spec é ?+&=.yaml", size_bytes=8),
        }
        assert bench.tracker.artifacts(run, "none/such") == ()
        bench.tracker.write_artifact(run, "top.bin", b"new")
        assert bench.tracker.read_artifact(run, "top.bin", most_bytes=3) == b"new"

    def test_an_artifact_that_is_not_there(self, bench: Bench) -> None:
        run, other = bench.made(), bench.made()
        bench.tracker.write_artifact(other, "a.txt", b"1")
        assert bench.tracker.read_artifact(run, "a.txt", most_bytes=1) is None
        assert bench.tracker.read_artifact(run, "none/such.txt", most_bytes=1) is None

    def test_an_artifact_that_is_too_large(self, bench: Bench) -> None:
        run = bench.made()
        bench.tracker.write_artifact(run, "a.bin", b"x" * 100_000)
        with pytest.raises(TrackingError, match="larger than 99,999 bytes"):
            bench.tracker.read_artifact(run, "a.bin", most_bytes=99_999)
        with pytest.raises(TrackingError, match=r"16,777,217 bytes; at most 16,777,216"):
            bench.tracker.write_artifact(run, "b.bin", b"x" * (ARTIFACT_MOST + 1))
        assert bench.tracker.read_artifact(run, "b.bin", most_bytes=1) is None

    @pytest.mark.parametrize("path", ELSEWHERE)
    def test_a_path_that_leads_elsewhere(self, bench: Bench, path: str) -> None:
        run = bench.made()
        with pytest.raises(TrackingError, match=r"no path below|cannot be asked for"):
            bench.tracker.read_artifact(run, path, most_bytes=10)
        with pytest.raises(TrackingError, match=r"no path below|cannot be asked for"):
            bench.tracker.write_artifact(run, path, b"x")
        if path:
            with pytest.raises(TrackingError, match=r"no path below|cannot be asked for"):
                bench.tracker.artifacts(run, path)
        assert bench.tracker.artifacts(run) == ()

    def test_artifacts_that_the_server_does_not_serve(self, bench: Bench) -> None:
        run = replace(bench.made(), artifact_uri="s3://bucket/runs/1")
        calls: tuple[Callable[[], object], ...] = (
            lambda: bench.tracker.artifacts(run),
            lambda: bench.tracker.read_artifact(run, "a", most_bytes=1),
            lambda: bench.tracker.write_artifact(run, "a", b""),
        )
        for call in calls:
            with pytest.raises(TrackingError, match="lie at s3://bucket/runs/1"):
                call()

    def test_nothing_is_written_to_a_run_in_the_trash(self, bench: Bench) -> None:
        run = bench.made()
        bench.delete(run.run_id)
        data = [DataInput(name="c4", digest="d", path="/")]
        calls: tuple[Callable[[], object], ...] = (
            lambda: bench.tracker.log(run.run_id, params={"a": "1"}, at=START),
            lambda: bench.tracker.log(run.run_id, metrics={"a": 1.0}, at=START),
            lambda: bench.tracker.log_inputs(run.run_id, data),
            lambda: bench.tracker.update(run.run_id, tags={"a": "b"}),
            lambda: bench.tracker.update(run.run_id, status=TrackStatus.FINISHED),
        )
        for call in calls:
            with pytest.raises(TrackingError, match=run.run_id) as caught:
                call()
            assert "trash" in caught.value.hint

    def test_nothing_is_written_to_a_run_that_nobody_made(self, bench: Bench) -> None:
        with pytest.raises(TrackingError, match="0" * 32):
            bench.tracker.log("0" * 32, params={"a": "1"}, at=START)
        with pytest.raises(TrackingError, match="0" * 32):
            bench.tracker.log_inputs("0" * 32, [DataInput(name="c4", digest="d", path="/")])
