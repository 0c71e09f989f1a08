"""`foundry preflight` on the simulated estate: its exit codes, its text and its JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from foundry_tui.cli import main

GOOD = """\
name: good
command: python train.py
queue: h100
gpus: 1
data:
  - {name: rows, path: rows.csv, schema: rows.schema.yaml}
preflight: ["touch made"]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "rows.csv").write_text("id\n1\n2\n")
    (tmp_path / "rows.schema.yaml").write_text("columns: {id: {dtype: int, unique: true}}")
    return tmp_path


def called(*args: str) -> int:
    return main(["preflight", "--demo", "--source", "sim-slurm", *args])


def test_a_good_spec_ends_with_0_and_runs_nothing(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert called("good.yaml") == 0
    out = capfd.readouterr().out
    assert "data rows  rows.csv: looked at all 2 rows: as rows.schema.yaml says" in out
    assert "would run: touch made" in out
    assert not (folder / "made").exists()


def test_its_commands_run_when_that_is_asked_for(folder: Path) -> None:
    assert called("good.yaml", "--run-commands") == 0
    assert (folder / "made").exists()


def test_a_field_may_be_given_beside_the_file(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert called("good.yaml", "--set", "gpus=9") == 1
    assert "asks for 9 GPUs on each node" in capfd.readouterr().out


def test_a_spec_that_cannot_work_ends_with_1(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "rows.csv").write_text("id\n1\n1\n")
    (folder / "bad.yaml").write_text(GOOD.replace("gpus: 1", "gpus: 9\ntime_limit: 30d"))
    assert called("bad.yaml", "--json") == 1
    whole = json.loads(capfd.readouterr().out)
    assert whole["schema"] == "foundry.preflight/1"
    failed = {c["name"] for c in whole["preflight"]["checks"] if c["state"] == "fail"}
    assert failed == {"gpus", "time_limit", "data rows"}
    words = [c["words"] for c in whole["preflight"]["checks"] if c["name"] == "data rows"]
    assert words[1] == "id: row 2: expected each value once, found '1'"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("none.yaml",), "does not exist"),
        (("bad.yaml",), "gpus"),
        ((".",), "directory"),
    ],
)
def test_what_is_no_spec_ends_with_2(
    folder: Path, capfd: pytest.CaptureFixture[str], args: tuple[str, ...], words: str
) -> None:
    (folder / "bad.yaml").write_text("command: x\ngpus: many\n")
    assert called(*args) == 2
    assert words in capfd.readouterr().err
