"""`foundry triage` on the simulated estate and its made-up past."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from foundry_tui.changes import planfile
from foundry_tui.cli import main

RULES = """
[triage.idle]
kind = "idle"
hours = 0.2
act = "cancel"
[triage.lazy]
kind = "low_use"
pct = 60
part = 0.1
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """One folder for all tests: the past of the simulated estate is made up once."""
    folder = tmp_path_factory.mktemp("triage")
    path = folder / "config.toml"
    path.write_text(f'cache_dir = "{folder}/cache"\n{RULES}')
    return ["--demo", "--config", str(path)]


def test_the_demo_has_waste_and_a_plan_against_it(
    config: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "plan.json"
    assert main(["triage", "--json", "-o", str(target), *config]) == 0
    captured = capfd.readouterr()
    told = json.loads(captured.out)["triage"]
    idle, lazy = told["rules"]
    assert (idle["name"], idle["act"], lazy["kind"]) == ("idle", "cancel", "low_use")
    assert idle["findings"] and lazy["findings"]
    assert idle["gpu_hours"] == pytest.approx(
        sum(f["gpu_hours"] for f in idle["findings"]), abs=0.01
    )
    for finding in lazy["findings"]:
        assert finding["user"] and finding["since"] and "% busy on average" in finding["evidence"]
    plan = planfile.read(target.read_bytes())
    live = {f["run"] for f in idle["findings"] if f["live"]}
    moved = {move.target.id for move in plan.moves}
    assert moved and moved <= live
    for run in live - moved:
        assert f"not in it: {run}, idle: others of its GPUs work" in captured.err
    assert all(move.rule == "idle" and move.irreversible for move in plan.moves)
    assert "nothing was sent" in captured.err


def test_notices_are_printed_and_never_sent_for_a_simulated_estate(
    config: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["triage", "--rule", "idle", "--notify", *config]) == 0
    captured = capfd.readouterr()
    assert "what your runs hold and do not use." in captured.out
    assert "owners would be told" in captured.err
    assert main(["triage", "--rule", "idle", "--notify", "--yes", *config]) == 2
    assert main(["triage", "--rule", "none", *config]) == 2
    assert "there are idle, lazy" in capfd.readouterr().err
