"""The commands about tracked runs: what they print, refuse, and end with."""

from __future__ import annotations

import csv
import io
import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from foundry_tui.cli import main
from foundry_tui.estate.snapshot import encode
from foundry_tui.estate.tracked import Point, TrackStatus
from foundry_tui.tracking.memory import MemoryTracker
from foundry_tui.tracking.ports import TrackerDown
from tests.presenters.estate import SNAPSHOT

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> MemoryTracker:
    made = MemoryTracker("lab", "https://mlflow.example.org")
    monkeypatch.setattr("foundry_tui.actions.tracker.find", lambda site: made)
    return made


@pytest.fixture
def runs(server: MemoryTracker) -> list[str]:
    """Two runs that differ in their rate and their loss."""
    ids = []
    for n, rate in enumerate(("1e-3", "5e-4")):
        run = server.create("llama", name=f"train-{n}", tags={"team": "nlp"}, started_at=NOW)
        points = [Point(step, NOW, 3.0 - step - n / 2) for step in range(3)]
        server.trained(run.run_id, params={"lr": rate, "bs": "8"}, metrics={"loss": points})
        ended = NOW + timedelta(minutes=5)
        server.update(run.run_id, status=TrackStatus.FINISHED, ended_at=ended)
        ids.append(run.run_id)
    return ids


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: MemoryTracker) -> list[str]:
    """Options of a host with a saved estate and a tracking server."""
    path = tmp_path / "estate.json"
    path.write_bytes(encode(SNAPSHOT))
    monkeypatch.setenv("FOUNDRY_CONFIG", "")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/nonexistent")
    monkeypatch.setenv("COLUMNS", "80")
    return ["--estate", str(path)]


def test_diff(at: list[str], runs: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", *runs, *at]) == 0
    page = capfd.readouterr().out
    assert "lr" in page and "bs" not in page.split()
    assert main(["diff", *runs, "--json", *at]) == 0
    told = json.loads(capfd.readouterr().out)
    assert (told["schema"], told["sources"][0]["name"]) == ("foundry.diff/1", "lab")
    assert [row["key"] for row in told["diff"]["rows"]] == ["lr", "loss"]
    assert main(["diff", *runs, "--csv", "--all", *at]) == 0
    rows = list(csv.DictReader(io.StringIO(capfd.readouterr().out)))
    assert {"group": "params", "key": "bs", "same": "true", runs[0]: "8", runs[1]: "8"} in rows


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["diff", "RUN"], 2, "two or more"),
        (["diff", "RUN", "RUN"], 2, "one run"),
        (["diff", "RUN", "0" * 32], 4, "no tracked run"),
        (["best", "--max", "--min", "--metric", "loss"], 2, "exclude"),
        (["best", "nonsense", "--metric", "loss"], 4, "nonsense"),
        (["tag", "RUN", "team"], 2, "KEY=VALUE"),
        (["tag", "RUN", "mlflow.user=eve"], 2, "programs write"),
        (["--read-only", "tag", "RUN", "team=x"], 1, "read-only"),
        (["--read-only", "note", "RUN", "x"], 1, "read-only"),
        (["note", "RUN", "x" * 5001], 2, "5001 characters"),
        (["tracked", "--where", "metric.loss>"], 2, "metric.loss>"),
        (["tracked", "--where", "metric.loss>99"], 4, "no tracked run matches"),
        (["experiments", "--csv"], 2, "no --csv"),
    ],
)
def test_what_is_refused(
    at: list[str],
    runs: list[str],
    server: MemoryTracker,
    capfd: pytest.CaptureFixture[str],
    args: list[str],
    code: int,
    words: str,
) -> None:
    before = server.get(runs[0])
    assert main([*at, *(runs[0] if word == "RUN" else word for word in args)]) == code
    assert words in capfd.readouterr().err
    assert server.get(runs[0]) == before


def test_best_and_experiments(
    at: list[str], runs: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["best", "llama", "--metric", "loss", *at]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == "least loss (guessed from its name)"
    assert lines[3].split()[:3] == ["1", "train-1", "0.5"]
    assert lines[-1].startswith("mlflow lab:")
    assert main(["best", "--metric", "loss", "--max", "--reduce", "max", "--json", *at]) == 0
    told = json.loads(capfd.readouterr().out)["best"]
    assert (told["runs"][0]["run_id"], told["runs"][0]["value"]) == (runs[0], 3.0)
    assert main(["experiments", *at]) == 0
    assert capfd.readouterr().out.splitlines()[1].split()[:4] == ["llama", "2", "0", "0"]


def test_tracked(at: list[str], runs: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    args = ["tracked", "--sort", "metric.loss", "--ascending", "--most", "1"]
    assert main([*args, *at]) == 0
    page = capfd.readouterr().out
    assert "train-1" in page and "train-0" not in page and "1 of 2 runs" in page
    assert main([*args, "--csv", *at]) == 0
    (row,) = csv.DictReader(io.StringIO(capfd.readouterr().out))
    assert (row["run_id"], row["metric.loss"]) == (runs[1], "0.5")


def test_a_note_of_two_lines(
    at: list[str], runs: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    long = "one\n" + "word " * 900
    assert main(["note", runs[0], long, *at]) == 0
    assert "there was none" in capfd.readouterr().err
    assert main(["note", runs[0], *at]) == 0
    assert capfd.readouterr().out == long.strip() + "\n"
    assert main(["note", runs[0], "two", *at]) == 0
    assert long.strip() in capfd.readouterr().err, "whole, so that it can be put back"
    assert main(["tag", runs[0], "team=vision", "--json", *at]) == 0
    (tag,) = json.loads(capfd.readouterr().out)["tags"]
    assert (tag["before"], tag["after"], tag["changed"]) == ("nlp", "vision", True)


def test_a_report(
    at: list[str], runs: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "report.md"
    assert main(["report-run", *runs, "-o", str(target), "--ascii", *at]) == 0
    text = target.read_text("utf-8")
    assert text.startswith("# Comparison of train-0, train-1\n") and "### loss of train-1" in text
    assert "2 runs" in capfd.readouterr().err
    assert main(["report-run", runs[0], "-o", str(tmp_path / "none" / "a.md"), *at]) == 1


def test_a_server_that_is_gone(
    at: list[str], runs: list[str], server: MemoryTracker, capfd: pytest.CaptureFixture[str]
) -> None:
    server.fault = TrackerDown("runs/search", "no answer within 5 s")
    for args in (["tracked"], ["experiments"], ["best", "--metric", "loss"], ["diff", *runs]):
        assert main([*args, *at]) == 3, args
        assert "no answer" in capfd.readouterr().err


PRICES = """gpu_type,price_per_gpu_hour,currency,valid_from_utc,valid_to_utc
h100,2.50,EUR,2026-01-01,
"""


@pytest.fixture
def costly(server: MemoryTracker, runs: list[str]) -> list[str]:
    """The same runs with what they have used."""
    for run_id in runs:
        points = {
            "foundry/gpu_hours": [Point(0, NOW, 4.0)],
            "foundry/gpu_util_pct": [Point(0, NOW, 25.0)],
        }
        server.trained(run_id, params={}, metrics=points)
        server.update(run_id, tags={"foundry.gpu_model": "h100", "mlflow.user": f"u{run_id[0]}"})
    return runs


def test_what_experiments_cost(
    at: list[str], costly: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "prices.csv"
    table.write_text(PRICES)
    assert main(["experiments", "--prices", str(table), *at]) == 0
    head, row = capfd.readouterr().out.splitlines()[:2]
    assert head.split()[-4:] == ["GPU-H", "USED", "UNUSED", "COST"]
    assert row.split()[-5:] == ["8.0", "25%", "6.0", "20.00", "EUR"]
    assert main(["experiments", "--users", *at]) == 0
    user = min(f"u{run_id[0]}" for run_id in costly)
    assert capfd.readouterr().out.splitlines()[1].split()[:2] == ["llama", user]
    assert main(["experiments", "--users", "--json", *at]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["schema"] == "foundry.experiment_users/1"
    (first, second) = told["experiment_users"]
    assert (first["gpu_hours"], first["gpu_hours_unused"], first["cost"]) == (4.0, 3.0, None)
    assert {first["best"], second["best"]} == {1.0, 0.5}
    assert main(["experiments", "--json", *at]) == 0
    (whole,) = json.loads(capfd.readouterr().out)["experiments"]
    assert (whole["gpu_hours"], whole["runs_told"], whole["cost"]) == (8.0, 2, None)
    assert main(["experiments", "--prices", str(tmp_path / "none.csv"), *at]) == 2
    assert "--prices" in capfd.readouterr().err


def test_a_headline(
    at: list[str], runs: list[str], server: MemoryTracker, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["best", "llama", *at]) == 2, "it has none yet"
    assert main(["experiments", "--headline", "llama", "loss:max", *at]) == 0
    told = capfd.readouterr()
    assert "llama: the headline was not set" in told.err and "max loss" in told.out
    assert main(["best", "llama", *at]) == 0
    assert capfd.readouterr().out.startswith("greatest loss (the experiment's headline)")
    (one,) = (one for one in server.experiments() if one.name == "llama")
    assert main(["experiments", "--headline", one.id, "loss:min", *at]) == 0, "by its id too"
    assert "the headline was loss:max" in capfd.readouterr().err
    for args, code, words in (
        (["--headline", "llama", "loss"], 2, "METRIC:max or METRIC:min"),
        (["--headline", "llama", ":min"], 2, "METRIC:max or METRIC:min"),
        (["--headline", "nonsense", "loss:min"], 4, "no experiment 'nonsense'"),
        (["--read-only", "--headline", "llama", "loss:max"], 1, "read-only"),
    ):
        assert main(["experiments", *args, *at]) == code
        assert words in capfd.readouterr().err
    (one,) = (one for one in server.experiments() if one.name == "llama")
    assert one.tags["foundry.headline"] == "loss:min", "what is refused changes nothing"


def test_lists_as_a_spreadsheet_and_a_sorted_column(
    at: list[str], runs: list[str], server: MemoryTracker, capfd: pytest.CaptureFixture[str]
) -> None:
    odd = {"nan": [Point(0, NOW, math.nan)], "up": [Point(0, NOW, math.inf)]}
    server.trained(runs[0], params={"batch size": "=1+1"}, metrics=odd)
    assert (
        main(["tracked", "--csv", "--columns", "metric.nan,metric.up,param.batch size", *at]) == 0
    )
    one, two = csv.DictReader(io.StringIO(capfd.readouterr().out))
    assert (one["metric.nan"], one["param.batch size"]) == ("", ""), "it has none"
    assert (two["metric.nan"], two["metric.up"]) == ("NaN", "∞")
    assert two["param.batch size"] == "'=1+1", "no formula"
    assert main(["tracked", "--where", '"param.batch size"="=1+1"', *at]) == 0
    page = capfd.readouterr().out
    assert "train-0" in page and "train-1" not in page
    assert main(["tracked", "--sort", "lr", *at]) == 0
    assert "lr" in capfd.readouterr().out.splitlines()[0].split(), "what is sorted by is shown"
    assert main(["tracked", "--sort", "name", *at]) == 0
    assert "name" not in capfd.readouterr().out.splitlines()[0].split()


def test_a_note_that_is_taken_away(
    at: list[str], runs: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["note", runs[0], "one", *at]) == 0
    assert main(["note", runs[0], "", *at]) == 0
    capfd.readouterr()
    assert main(["note", runs[0], *at]) == 0
    told = capfd.readouterr()
    assert (told.out, "has no note" in told.err) == ("", True)
    assert main(["report-run", runs[0], "-o", "/tmp", *at]) == 1
    assert "/tmp: is a folder" in capfd.readouterr().err
