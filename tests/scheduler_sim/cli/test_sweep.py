"""`scheduler-sim sweep`: a grid into one file, taken up again where it ended."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scheduler_sim.cli.cells import METRICS, Cell, Measured
from scheduler_sim.cli.pool import Failure
from scheduler_sim.cli.slurm import Array
from scheduler_sim.cli.sweep import COLUMNS, folder_of
from tests.scheduler_sim.cli.data import LISTS, NODES, PODS, Command

GRID = ("sweep", *LISTS, "--policies", "fgd,bestfit")


def rows_of(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return list(csv.DictReader(file))
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("name", ["r.jsonl", "r.csv"])
def test_a_sweep_is_taken_up_again(command: Command, tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    first = command(*GRID, "--seeds", "1-2", "-o", target, "--jobs", "1", "--json")
    assert first.code == 0
    assert first.json == {
        "results": str(target),
        "cells": 4,
        "present": 0,
        "added": 4,
        "failed": [],
    }
    before = target.read_bytes()
    again = command(*GRID, "--seeds", "1-3", "-o", target, "--jobs", "1", "--json")
    assert (again.json["present"], again.json["added"]) == (4, 2)
    assert target.read_bytes().startswith(before)
    rows = rows_of(target)
    assert [tuple(row) for row in rows] == [COLUMNS] * 6
    assert {(row["policy"], int(row["seed"])) for row in rows} == {
        (policy, seed) for policy in ("fgd", "bestfit") for seed in (1, 2, 3)
    }


def test_a_row_says_what_replay_says(command: Command, tmp_path: Path) -> None:
    target = tmp_path / "r.jsonl"
    command(*GRID, "--seeds", "5", "-o", target, "--jobs", "1")
    (row,) = [row for row in rows_of(target) if row["policy"] == "fgd"]
    alone = command("replay", *LISTS, "--policy", "fgd", "--seeds", "5", "--json").json
    for metric in METRICS:
        if metric not in ("cpu_s", "placements_per_s"):
            assert row[metric] == alone[metric]["per_seed"][0]
    assert (row["seed"], row["inflate"], row["max_migrations"]) == (5, 1.3, 0)


def test_other_settings_and_other_bytes_are_other_cells(command: Command, tmp_path: Path) -> None:
    target = tmp_path / "r.jsonl"
    asked = (*GRID[:-1], "fgd", "--seeds", "1", "-o", target, "--jobs", "1", "--json")
    for extra in ((), ("--inflate", "1.2"), ("--max-cut", "0.06")):
        assert command(*asked, *extra).json["added"] == 1
        assert command(*asked, *extra).json["added"] == 0
    other = tmp_path / PODS.name
    other.write_text(PODS.read_text().replace("810", "800"))
    both = command(*asked, "--pods", other).json
    assert (both["present"], both["added"]) == (1, 1)
    rows = rows_of(target)
    assert len({row["trace"] for row in rows}) == 1
    assert len({row["inputs"] for row in rows}) == 2


def test_two_lists_that_are_one_are_refused(command: Command, tmp_path: Path) -> None:
    copy = tmp_path / "copy.csv"
    copy.write_bytes(PODS.read_bytes())
    said = command.refused(*GRID, "--pods", copy, "-o", tmp_path / "r.jsonl")
    assert "two of the lists are the same" in said


def test_what_failed_is_told_and_tried_again(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scheduler_sim.cli import experiment

    target = tmp_path / "r.jsonl"
    measure = experiment.measure

    def sometimes(cell: Cell) -> Measured:
        if cell.policy == "bestfit":
            raise ValueError("cpu_milli: made up")
        return measure(cell)

    asked = (*GRID, "--seeds", "1-2", "-o", target, "--jobs", "1")
    monkeypatch.setattr(experiment, "measure", sometimes)
    told = command(*asked, "--json")
    assert told.code == 5
    assert [one["seed"] for one in told.json["failed"]] == [1, 2]
    assert "openb-small-pods.csv bestfit seed 1: cpu_milli: made up" in told.err
    monkeypatch.undo()
    again = command(*asked)
    assert (again.code, len(rows_of(target))) == (0, 4)
    assert "2 rows added, 2 of 4 were there" in again.out


def test_wrong_use(command: Command, tmp_path: Path) -> None:
    target = tmp_path / "r.jsonl"
    assert "name it .jsonl or .csv" in command.refused(*GRID, "-o", tmp_path / "r.parquet")
    assert "there is no folder" in command.refused(*GRID, "-o", tmp_path / "no" / "r.csv")
    assert "give --slurm too" in command.refused(*GRID, "-o", target, "--partition", "a")
    assert "--tasks" in command.refused(*GRID, "-o", target, "--slurm", "--jobs", "3")
    assert "no name" in command.refused(*GRID, "-o", target, "--slurm", "--partition", "a\nb")
    said = command.refused("sweep", "--nodes", NODES, "--pods", "nope.csv", "-o", target)
    assert "--pods nope.csv: No such file" in said
    assert not target.exists()


def test_without_submitit_the_extra_is_named(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    said = command.refused(*GRID, "-o", tmp_path / "r.jsonl", "--slurm")
    assert "foundry-tui[sweeps]" in said


def test_without_slurm_that_is_said(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", str(tmp_path))
    said = command.refused(*GRID, "-o", tmp_path / "r.jsonl", "--slurm")
    assert "there is no sbatch on this host" in said


def local(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `--slurm` submit to processes of this host, by submitit's own local executor."""
    from scheduler_sim.cli import slurm

    def on_this_host(folder: Path, partition: str | None, tasks: int, minutes: int) -> Array:
        return Array(folder, partition, tasks, minutes, cluster="local", poll_s=0.05)

    monkeypatch.setattr(slurm, "check", lambda: None)
    monkeypatch.setattr(slurm, "Array", on_this_host)


def test_an_array_writes_the_same_file(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("submitit")
    here, there = tmp_path / "here.jsonl", tmp_path / "there.jsonl"
    asked = (*GRID, "--seeds", "1-3", "--json", "-o")
    command(*asked, here, "--jobs", "1")
    local(monkeypatch)
    told = command(*asked, there, "--slurm", "--tasks", "2")
    assert told.code == 0
    assert told.json["added"] == 6
    assert folder_of(there).is_dir()

    def known(path: Path) -> list[dict[str, Any]]:
        rows = [
            {k: v for k, v in row.items() if k not in ("cpu_s", "placements_per_s")}
            for row in rows_of(path)
        ]
        return sorted(rows, key=lambda row: (row["policy"], row["seed"]))

    assert known(here) == known(there)
    assert command(*asked, there, "--slurm").json["added"] == 0


def test_a_task_that_dies_is_told_with_its_log(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    broken = Cell(tmp_path / "nodes.csv", tmp_path / "pods.csv", "fgd", 1)
    found: list[Measured | Failure] = []
    keep: Callable[[Cell, Measured | Failure], None] = lambda _, result: found.append(result)  # noqa: E731
    Array(tmp_path, None, 4, 1, cluster="local", poll_s=0.05).run_all([broken], keep)
    (failure,) = found
    assert isinstance(failure, Failure)
    assert "nodes.csv" in failure.reason
