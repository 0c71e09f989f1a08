"""Writing a record: what is refused costs nothing else, and no submit waits for long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from foundry_tui.actions import record
from foundry_tui.actions.site import Site
from foundry_tui.estate.tracked import DataInput, TrackedRun
from foundry_tui.jobs.record.collect import Collected
from foundry_tui.tracking.credentials import Credentials
from foundry_tui.tracking.memory import MemoryTracker
from foundry_tui.tracking.mlflow import Mlflow
from foundry_tui.tracking.ports import Tracker, TrackerDown, TrackingError
from tests.lab.mlflow import MlflowLab

NOW = datetime(2026, 11, 21, tzinfo=UTC)
DIGEST = "sha256:" + "a" * 29
ALL = Collected(
    params={"lr": "3e-4", "seed": "7"},
    tags={"team": "nlp", "odd": "a\x1b[2J\tü\n", "long": "x" * 20_000, "raw": "\udcff"},
    artifacts={
        "foundry/patch.diff": b"diff\x00\xff" * 100_000,
        "foundry/submitted.txt": b"sbatch\n",
    },
    inputs=(DataInput(name="c4", digest=DIGEST, path="/data/c4"),),
    notes=("a note",),
)


@dataclass
class Told:
    """A site, as far as writing a record needs it."""

    words: list[str] = field(default_factory=list)

    def tell(self, word: str) -> None:
        self.words.append(word)

    def clock(self) -> datetime:
        return NOW


@pytest.fixture
def told() -> Told:
    return Told()


def new(tracker: Tracker) -> TrackedRun:
    return tracker.create("records", name="a", tags={}, started_at=NOW)


def write(told: Told, tracker: Tracker, run: TrackedRun, what: Collected, **more: Any) -> None:
    record.write(cast("Site", told), tracker, run, what, **more)


def read(tracker: Tracker, run_id: str) -> TrackedRun:
    found = tracker.get(run_id)
    assert found is not None
    return found


class Contract:
    """What holds on any tracking server."""

    def test_everything_is_on_the_record(self, tracker: Tracker, told: Told) -> None:
        run = new(tracker)
        write(told, tracker, run, ALL, within_s=60)
        found = read(tracker, run.run_id)
        assert told.words[0] == "a note"
        assert not any("not on its record" in word for word in told.words)
        assert found.params == {"lr": "3e-4", "seed": "7"}
        assert (found.tags["team"], found.tags["odd"]) == ("nlp", "a\x1b[2J\tü\n")
        assert len(found.tags["long"]) == 5000
        assert found.tags["raw"].isprintable() and "\udcff" not in found.tags["raw"]
        assert [(one.name, one.digest) for one in found.inputs] == [("c4", DIGEST)]
        for path, data in ALL.artifacts.items():
            assert tracker.read_artifact(run, path, most_bytes=1 << 20) == data
        where = f"dataset.digest = '{DIGEST}'"
        page = tracker.search([run.experiment_id], where=where)
        assert run.run_id in [one.run_id for one in page.runs]

    def test_writing_it_twice_changes_nothing(self, tracker: Tracker, told: Told) -> None:
        run = new(tracker)
        for _ in range(2):
            write(told, tracker, run, ALL, within_s=60)
        assert not any("not on its record" in word for word in told.words)
        assert len(read(tracker, run.run_id).inputs) == 1

    def test_a_param_that_is_refused_costs_the_others_nothing(
        self, tracker: Tracker, told: Told
    ) -> None:
        run = new(tracker)
        what = Collected(params={"k" * 300: "1", "ok": "2"}, tags={"t" * 300: "x", "team": "nlp"})
        write(told, tracker, run, what, within_s=60)
        found = read(tracker, run.run_id)
        assert (found.params, found.tags["team"]) == ({"ok": "2"}, "nlp")
        refused = [word for word in told.words if "not on its record" in word]
        assert ["parameters" in refused[1], "tags" in refused[0]] == [True, True]

    def test_a_param_that_a_resumed_run_has_already_is_left(
        self, tracker: Tracker, told: Told
    ) -> None:
        run = new(tracker)
        tracker.log(run.run_id, params={"lr": "1"}, at=NOW)
        write(told, tracker, run, ALL, within_s=60)
        assert read(tracker, run.run_id).params == {"lr": "1", "seed": "7"}
        assert any("parameters" in word and "lr" in word for word in told.words)


class TestMemory(Contract):
    @pytest.fixture
    def tracker(self) -> Tracker:
        return MemoryTracker("memory")


class TestMlflow(Contract):
    @pytest.fixture
    def tracker(self, mlflow_server: MlflowLab) -> Iterator[Tracker]:
        real = Mlflow(
            "lab",
            mlflow_server.url,
            credentials=Credentials,
            clock=lambda: datetime.now(UTC),
            timeout_s=30,
        )
        yield real
        real.close()


def test_a_run_that_was_deleted_meanwhile_is_told(told: Told) -> None:
    tracker = MemoryTracker("memory")
    run = new(tracker)
    tracker.delete(run.run_id)
    write(told, tracker, run, ALL)
    refused = [word.split(" ")[4] for word in told.words if "not on its record" in word]
    assert refused == ["tags", "parameters", "data"], "a server keeps artifacts of any name"


def test_a_server_that_is_gone_is_told_once(told: Told) -> None:
    tracker = MemoryTracker("memory")
    run = new(tracker)
    tracker.fault = TrackerDown("a tag", "no answer within 5 s")
    write(told, tracker, run, ALL)
    (only,) = [word for word in told.words if "not on its record" in word]
    for name in ("tags", "parameters", "data", "patch.diff", "submitted.txt"):
        assert name in only


def slowly(call: Callable[..., None]) -> Callable[..., None]:
    def slow(*args: object, **more: object) -> None:
        time.sleep(0.15)
        call(*args, **more)

    return slow


def test_a_slow_server_gets_its_seconds_and_no_more(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = MemoryTracker("memory")
    run = new(tracker)
    monkeypatch.setattr(record, "SLOW_S", 0.1)
    for name in ("update", "log", "log_inputs", "write_artifact"):
        monkeypatch.setattr(tracker, name, slowly(getattr(tracker, name)))
    write(told, tracker, run, ALL, within_s=0.4)
    assert told.words[1] == "writing its record: parameters (2 of 5)"
    assert "took 0.4 s already: " in told.words[-1]
    assert read(tracker, run.run_id).tags["team"] == "nlp"


def test_an_artifact_that_is_refused_is_named(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = MemoryTracker("memory")
    run = new(tracker)

    def refuse(_: TrackedRun, path: str, data: bytes) -> None:
        raise TrackingError("an artifact", f"{len(data)} bytes go to a bucket")

    monkeypatch.setattr(tracker, "write_artifact", refuse)
    write(told, tracker, run, ALL)
    told_of = [word for word in told.words if "not on its record" in word]
    assert [word.split(" ")[4] for word in told_of] == list(ALL.artifacts)[::-1]
    assert read(tracker, run.run_id).params["lr"] == "3e-4"
