"""`foundry rights`, `foundry approve`, `foundry config policy` and `foundry journal`."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from foundry_tui.cli import main
from foundry_tui.store.journal import Journal, Purpose, Who

PLAN = {
    "plan": {
        "id": "p-1",
        "generated_at": "2026-11-03T12:00:00Z",
        "moves": [
            {
                "id": "m1",
                "target": {"kind": "run", "id": "lab/17"},
                "why": "it waits",
                "steps": [{"act": "hold", "source": "lab", "runs": ["lab/17"]}],
            }
        ],
    }
}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Options of a site with a policy that keeps its approvals beside it."""
    folder = tmp_path / "approvals"
    folder.mkdir()
    folder.chmod(0o1777)
    policy = tmp_path / "policy.toml"
    policy.write_text(
        '[roles.everybody]\nusers = ["*"]\nmay = ["hold"]\n'
        f'[approval]\nabove_moves = 0\nfolder = "{folder}"\n'
    )
    path = tmp_path / "config.toml"
    path.write_text(
        f'state_dir = "{tmp_path}/state"\n[changes]\npolicy = "{policy}"\n'
        '[slurm.lab]\nbin = "/nonexistent"\n'
    )
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return ["--config", str(path)]


def test_rights_read_well_at_80_columns(
    config: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["rights", "--demo", *config]) == 0
    text = capfd.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert "sim-slurm (slurm), as ada" in text
    assert "policy     everybody: hold, on own runs" in text
    assert "20 GPUs (" in text
    assert main(["rights", "--demo", "--json", *config]) == 0
    told = json.loads(capfd.readouterr().out)["rights"]
    assert [one["kind"] for one in told] == ["slurm", "runai"]
    assert told[0]["limits"][0]["what"] == "gpus"
    assert set(told[0]["missing"]) == {"nodes", "queues"}


def test_a_plan_is_agreed_to_by_its_digest(
    config: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(PLAN))
    assert main(["approve", str(plan), *config]) == 2  # no terminal to ask on
    assert main(["approve", str(plan), "--yes", "--json", *config]) == 0
    captured = capfd.readouterr()
    assert "hold lab/17" in captured.err and "digest " in captured.err
    told = json.loads(captured.out)["approval"]
    file = Path(told["file"])
    assert file.name == f"{told['digest']}.{os.getuid()}.json"
    assert file.stat().st_uid == os.getuid()
    assert main(["approve", str(plan), "--yes", "--read-only", *config]) == 1
    plan.write_text("{}")
    assert main(["approve", str(plan), "--yes", *config]) == 2


def test_the_policy_is_explained(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "policy"]) == 0
    assert "[roles.operators]" in capfd.readouterr().out


def test_the_journal_by_plan_and_what_was_done_to_it(
    config: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    journal = Journal(tmp_path / "state", lambda: datetime(2026, 11, 3, tzinfo=UTC))
    who = Who(uid=0, user="root", host="h", pid=1)
    for n, plan in enumerate(("p-1", "p-2")):
        purpose = Purpose(plan=plan, why="room")
        journal.begin(
            f"c-{n}", "hold", "x", commands=[], items=[], token=None, who=who, purpose=purpose
        )
        journal.finish(f"c-{n}", "done", [])
    assert main(["journal", "--plan", "p-2", *config]) == 0
    text = capfd.readouterr().out
    assert "c-1" in text and "c-0" not in text and "room" in text
    assert main(["journal", "--plan", "p-3", *config]) == 4
    assert main(["journal", "--verify", *config]) == 0
    assert "every line is as it was written (4)" in capfd.readouterr().err
    lines = journal.path.read_text().splitlines(keepends=True)
    journal.path.write_text(lines[0].replace("room", "fun!") + lines[2] + lines[3][:40])
    assert main(["journal", "--verify", *config]) == 1
    told = capfd.readouterr().err
    assert "line 1: edited" in told and "entry 2 is missing" in told and "cut short" in told
    assert "system log" in told
    assert main(["journal", "--verify", "--json", *config]) == 1
    found = json.loads(capfd.readouterr().out)["verify"]
    assert (found["intact"], found["problems"][0]["kind"]) == (False, "edited")
