"""`foundry migrate plan|quotas|estimate|board` on the simulated estate, and where there is none."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from foundry_tui.changes import planfile
from foundry_tui.cli import main
from tests.tui.opened import alone


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    alone(tmp_path, monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("FOUNDRY_DEMO_ROLE", "admin")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(capfd: pytest.CaptureFixture[str], *args: str) -> Any:
    capfd.readouterr()
    assert main(["--demo", "migrate", *args]) == 0
    return json.loads(capfd.readouterr().out)


def test_the_plan_says_what_moves_and_what_mends_the_rest(
    capfd: pytest.CaptureFixture[str],
) -> None:
    plan = told(capfd, "plan", "--json")["migration_plan"]
    whole = plan["whole"]
    fates = [whole[fate] for fate in ("clean", "hand", "cannot", "not_seen")]
    assert sum(fate["runs"] for fate in fates) == whole["runs"]
    assert sum(fate["gpu_hours"] for fate in fates) == pytest.approx(whole["gpu_hours"], abs=0.1)
    assert {row["account"] for row in plan["accounts"]} == {"ml", "bio", "robotics"}
    assert plan["scripts_read"] == 100
    mends = {reason["what"]: reason["mend"] for reason in plan["reasons"]}
    assert mends["account robotics"].startswith("robotics = ")
    assert main(["--demo", "migrate", "plan", "--account=bio", "--scripts=5", "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capfd.readouterr().out)))
    assert {row["account"] for row in rows} == {"bio"}
    assert {row["level"] for row in rows} == {"account", "user", "reason"}


def test_scripts_of_others_are_not_seen_by_a_user(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("FOUNDRY_DEMO_ROLE")
    plan = told(capfd, "plan", "--json", "--account=bio")["migration_plan"]
    assert plan["whole"]["not_seen"]["runs"] == plan["whole"]["runs"] > 0


def test_nothing_that_ran_is_code_4_and_no_slurm_is_3(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--demo", "migrate", "plan", "--user=nobody"]) == 4
    assert main(["migrate", "board"]) == 3
    assert main(["--demo", "migrate", "plan", "--days=1", "--from=2d"]) == 2
    assert "--days stands for" in capfd.readouterr().err


def test_quotas_become_a_plan_that_apply_understands(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found = told(capfd, "quotas", "--json", "--pool-gpus=20", "-o", "plan.json")["quotas"]
    quotas = {row["account"]: row["quota_gpus"] for row in found["accounts"]}
    assert sum(quotas.values()) <= 20 == found["pool_gpus"]
    plan = planfile.read((folder / "plan.json").read_bytes())
    moves = {move.target.id: move for move in plan.moves}
    vision = moves["sim-runai/vision"]
    assert (vision.rule, vision.queue, vision.gpu_milli) == (
        "quota", "vision", 1000 * quotas["ml"],
    )  # fmt: skip
    assert (vision.precondition or {})["quota_gpu_milli"] == 12_000
    assert main(["--demo", "apply", "plan.json", "--dry-run"]) in (0, 5)
    assert '"deserved"' in capfd.readouterr().out


def test_both_sides_say_when_a_script_would_start(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "a.sh").write_text("#!/bin/sh\n#SBATCH --account=ml --partition=gpu\npython a.py\n")
    slurm, runai = told(capfd, "estimate", "a.sh", "--json")["estimates"]
    assert slurm["kind"] == "slurm" and slurm["starts_at"] is not None
    assert runai["kind"] == "runai" and runai["words"]
    (folder / "b.sh").write_text("#!/bin/sh\n#SBATCH --account=nobody\npython /data/a.py\n")
    runai = told(capfd, "estimate", "b.sh", "--json")["estimates"][1]
    assert runai["starts_at"] is None and runai["words"].startswith("not translated: first mend:")


def test_the_board_shows_every_account_and_the_whole(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--demo", "migrate", "board", "--scripts=5"]) == 0
    out = capfd.readouterr().out
    assert [line.split()[0] for line in out.splitlines()[3:7]][-1] == "all"
    assert "speech" in out
    assert main(["--demo", "migrate", "board", "--scripts=0", "--csv"]) == 0
    rows = {row["account"]: row for row in csv.DictReader(io.StringIO(capfd.readouterr().out))}
    assert rows["robotics"]["moved_share"] == "" and float(rows["ml"]["moved_share"]) > 0
