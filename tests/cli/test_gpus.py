"""`foundry gpus` and `foundry overview`: what is measured, by whom, what it wastes, what is ill."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from foundry_tui.cli import main
from foundry_tui.estate.reading import Fault, FaultKind
from foundry_tui.estate.snapshot import encode
from foundry_tui.estate.text import safe
from tests.presenters.estate import SNAPSHOT, ago

LOST = Fault(kind=FaultKind.LOST, words=safe("lost: the driver does not reach it"), grave=True)


@pytest.fixture
def estate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Options that show a saved estate with a lost GPU and one that has just fallen idle."""
    gpus = list(SNAPSHOT.gpus)
    gpus[0] = replace(gpus[0], faults=(LOST,), measured_by="agents")
    gpus[1] = replace(gpus[1], idle_since=ago(minutes=5), util_pct=0.0)
    path = tmp_path / "estate.json"
    path.write_bytes(encode(replace(SNAPSHOT, gpus=tuple(gpus))))
    monkeypatch.setenv("FOUNDRY_CONFIG", "")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/nonexistent")
    monkeypatch.setenv("COLUMNS", "80")
    return ["--estate", str(path)]


def test_what_is_ill_is_found_and_told_in_json(
    estate: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["gpus", "--json", "--where", "fault", *estate]) == 0
    (gpu,) = json.loads(capfd.readouterr().out)["gpus"]
    assert (gpu["node"], gpu["index"], gpu["source"]) == ("a01", 0, "lab")
    assert (gpu["measured_by"], gpu["age_s"]) == ("agents", 3.0)
    assert gpu["faults"] == [{"kind": "lost", "words": LOST.words, "grave": True}]


def test_what_lies_idle_is_found_with_what_it_costs(
    estate: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["gpus", "--csv", "--where", "idle>30m", *estate]) == 0
    rows = list(csv.DictReader(io.StringIO(capfd.readouterr().out)))
    assert [(r["node"], r["index"], r["gpu_hours_idle"]) for r in rows] == [
        ("a01", "6", "54.0"),
        ("a01", "7", "55.0"),
    ]
    assert main(["gpus", "--where", "idle>1m", *estate]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[1:4]] == [["a01", str(i)] for i in (1, 6, 7)]
    assert "54" in lines[2].split() and "5m00s" not in lines[1], "idle is what is so for long"


def test_without_faults_the_table_has_no_column_for_them(
    estate: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["gpus", "--wide", "--where", "node=a02", *estate]) == 0
    assert "FAULT" not in capfd.readouterr().out
    assert main(["gpus", "--wide", "--where", "node=a01", *estate]) == 0
    assert "!lost" in capfd.readouterr().out


def test_the_overview_says_what_is_lost_by_idleness(
    estate: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["overview", "--json", *estate]) == 0
    told = json.loads(capfd.readouterr().out)["overview"]
    assert (told["idle_count"], told["idle_gpu_hours"], told["faulty_count"]) == (2, 109.0, 1)
    assert told["util_pct"] == pytest.approx(457 / 8)
