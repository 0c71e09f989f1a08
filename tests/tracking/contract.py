"""What every tracker has to hold to, in memory or on a real server.

`test_contract.py` runs these tests on each of them. What only a training script does, logging, and
what only the server's pages do, deleting, is in a `Bench`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from foundry_tui.estate.tracked import Point, TrackedRun, TrackStatus
from foundry_tui.tracking.ports import Tracker, TrackingError

START = datetime(2026, 5, 4, 12, 0, 0, 250_000, tzinfo=UTC)
_COUNT = itertools.count()


@dataclass(frozen=True, slots=True)
class Bench:
    """A tracker, and what is done to its runs by others."""

    tracker: Tracker
    log: Callable[[str, Mapping[str, str], Mapping[str, Sequence[Point]]], None]
    """Parameters and metrics of a run, as its script logs them."""
    delete: Callable[[str], None]

    def made(
        self,
        name: str = "train",
        *,
        tags: Mapping[str, str] | None = None,
        experiment: str | None = None,
        started_at: datetime = START,
    ) -> TrackedRun:
        """A new run, in an experiment of its own unless one is named."""
        return self.tracker.create(
            experiment or new_word(), name=name, tags=tags or {}, started_at=started_at
        )

    def got(self, run: TrackedRun) -> TrackedRun:
        """The run as it is now."""
        found = self.tracker.get(run.run_id)
        assert found is not None
        return found


def new_word() -> str:
    """A word that no other test has used: a real server keeps what it was told."""
    return f"word-{next(_COUNT)}"


def point(step: int, value: float) -> Point:
    """A value at a step, one second apart."""
    return Point(step, START + timedelta(seconds=step), value)


class Contract:
    """The tests. `bench` is the fixture of the tracker."""

    def test_a_new_run_waits_and_is_as_it_was_asked_for(self, bench: Bench) -> None:
        made = bench.made("train é 2", tags={"foundry.cluster": "alpha"})
        assert made.status is TrackStatus.SCHEDULED
        assert (made.name, made.started_at, made.ended_at) == ("train é 2", START, None)
        assert made.tags["foundry.cluster"] == "alpha"
        assert made.tags["mlflow.runName"] == "train é 2"
        assert bench.got(made) == made

    def test_runs_of_one_experiment_share_it(self, bench: Bench) -> None:
        name = new_word()
        first, second = bench.made(experiment=name), bench.made(experiment=name)
        assert first.experiment_id == second.experiment_id
        assert first.run_id != second.run_id
        assert bench.made().experiment_id != first.experiment_id

    def test_there_is_no_run_that_nobody_made(self, bench: Bench) -> None:
        assert bench.tracker.get("0" * 32) is None
        assert bench.tracker.history("0" * 32, "loss") == ()
        with pytest.raises(TrackingError, match="0" * 32):
            bench.tracker.update("0" * 32, status=TrackStatus.FAILED)

    def test_runs_are_found_by_their_tag_in_every_experiment(self, bench: Bench) -> None:
        word = new_word()
        old = bench.made(tags={"foundry.submit_id": word})
        new = bench.made(
            tags={"foundry.submit_id": word}, started_at=START + timedelta(milliseconds=1)
        )
        bench.made(tags={"foundry.submit_id": f"{word}-other"})
        bench.made(tags={"foundry.other": word})
        assert bench.tracker.find("foundry.submit_id", word) == (new, old)
        assert bench.tracker.find("foundry.submit_id", new_word()) == ()

    def test_a_tag_with_quotes_is_found(self, bench: Bench) -> None:
        for value in (f"it's {new_word()}", f'a "{new_word()}"', f"50% _ {new_word()}"):
            made = bench.made(tags={"foundry.what": value})
            assert bench.tracker.find("foundry.what", value) == (made,)

    def test_a_tag_is_found_by_its_very_case(self, bench: Bench) -> None:
        word = new_word()
        bench.made(tags={"foundry.what": word.upper()})
        assert bench.tracker.find("foundry.what", word) == ()

    def test_a_change_of_status_and_end_is_idempotent(self, bench: Bench) -> None:
        run = bench.made()
        bench.tracker.update(run.run_id, status=TrackStatus.RUNNING)
        assert bench.got(run).status is TrackStatus.RUNNING
        ended_at = START + timedelta(hours=1)
        for _ in range(2):
            bench.tracker.update(
                run.run_id,
                status=TrackStatus.KILLED,
                ended_at=ended_at,
                tags={"foundry.reason": "TIMEOUT"},
            )
        after = bench.got(run)
        assert (after.status, after.ended_at) == (TrackStatus.KILLED, ended_at)
        assert after.tags["foundry.reason"] == "TIMEOUT"
        assert (after.name, after.started_at) == (run.name, run.started_at)

    def test_tags_alone_leave_the_status(self, bench: Bench) -> None:
        run = bench.made(tags={"a": "1", "b": "1"})
        bench.tracker.update(run.run_id, tags={"b": "2", "c": "3"})
        after = bench.got(run)
        assert {k: after.tags[k] for k in "abc"} == {"a": "1", "b": "2", "c": "3"}
        assert after.status is TrackStatus.SCHEDULED

    def test_more_tags_than_one_request_takes(self, bench: Bench) -> None:
        run = bench.made()
        tags = {f"foundry.tag{i}": str(i) for i in range(250)}
        bench.tracker.update(run.run_id, tags=tags)
        assert tags.items() <= bench.got(run).tags.items()

    def test_a_key_that_is_too_long_is_refused(self, bench: Bench) -> None:
        run = bench.made()
        with pytest.raises(TrackingError, match="250"):
            bench.tracker.update(run.run_id, tags={"k" * 251: "v"})
        assert bench.got(run) == run

    def test_hostile_names_are_shown_safe_and_kept_whole(self, bench: Bench) -> None:
        name = "a\x1b]52;c;AA==\x07\nb\u202ec"
        run = bench.made(name, tags={"foundry.what": name})
        bench.log(run.run_id, {"lr": name}, {})
        after = bench.got(run)
        assert after.name == "a␛]52;c;AA==␇␊b‹202e›c"
        assert after.params["lr"] == after.name
        assert after.tags["foundry.what"] == name

    def test_a_name_of_bytes_that_are_no_utf8_can_be_sent(self, bench: Bench) -> None:
        run = bench.made(b"job-\xff".decode("utf-8", "surrogateescape"))
        assert bench.got(run).name == "job-?"

    def test_what_a_script_logs_is_seen(self, bench: Bench) -> None:
        run = bench.made()
        points = [point(0, 4.0), point(1, 2.0), point(2, 1.0)]
        bench.log(run.run_id, {"lr": "3e-4"}, {"loss": points, "train/acc": [point(7, 0.5)]})
        after = bench.got(run)
        assert after.params == {"lr": "3e-4"}
        assert after.metrics == {"loss": points[-1], "train/acc": point(7, 0.5)}
        assert bench.tracker.history(run.run_id, "loss") == tuple(points)
        assert bench.tracker.history(run.run_id, "train/acc") == (point(7, 0.5),)
        assert bench.tracker.history(run.run_id, "none") == ()

    def test_nan_and_infinity_come_back_as_such(self, bench: Bench) -> None:
        run = bench.made()
        values = [math.nan, math.inf, -math.inf, 0.0, 1e300]
        bench.log(run.run_id, {}, {"loss": [point(i, v) for i, v in enumerate(values)]})
        history = bench.tracker.history(run.run_id, "loss")
        assert [p.step for p in history] == [0, 1, 2, 3, 4]
        assert math.isnan(history[0].value)
        assert [p.value for p in history[1:]] == values[1:]
        bench.log(run.run_id, {}, {"loss": [point(9, math.nan)]})
        assert math.isnan(bench.got(run).metrics["loss"].value)

    def test_a_long_history_is_sampled_from_end_to_end(self, bench: Bench) -> None:
        run = bench.made()
        bench.log(run.run_id, {}, {"loss": [point(i, float(i)) for i in range(1000)]})
        history = bench.tracker.history(run.run_id, "loss", most=50)
        steps = [p.step for p in history]
        assert 45 <= len(steps) <= 50
        assert steps == sorted(set(steps))
        assert (steps[0], steps[-1]) == (0, 999)
        assert all(p.value == p.step for p in history)
        assert len(bench.tracker.history(run.run_id, "loss", most=5000)) == 1000

    def test_a_run_in_the_trash_is_gone(self, bench: Bench) -> None:
        word = new_word()
        run = bench.made(tags={"foundry.submit_id": word})
        bench.delete(run.run_id)
        assert bench.tracker.get(run.run_id) is None
        assert bench.tracker.find("foundry.submit_id", word) == ()
        with pytest.raises(TrackingError, match=run.run_id):
            bench.tracker.update(run.run_id, tags={"a": "b"})

    def test_a_page_names_the_run(self, bench: Bench) -> None:
        run = bench.made()
        path = f"#/experiments/{run.experiment_id}/runs/{run.run_id}"
        assert bench.tracker.page(run) == f"{bench.tracker.url}/{path}"

    def test_a_probe_finds_it(self, bench: Bench) -> None:
        findings = bench.tracker.probe()
        assert findings[0].what == "mlflow"
        assert findings[0].state == "found"
        assert bench.tracker.url in findings[0].found
