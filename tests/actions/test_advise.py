"""Advice as an action: what the site knows goes into the plan, and switches leave it out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from foundry_tui.actions import advise as action
from foundry_tui.actions.advise import advice
from foundry_tui.actions.site import Options, Site
from foundry_tui.cli.app import run as foundry
from foundry_tui.config.model import Config
from foundry_tui.estate.plan import Plan
from foundry_tui.estate.snapshot import Snapshot, encode
from foundry_tui.estate.text import safe
from foundry_tui.estate.verdict import RuleRecord
from foundry_tui.optimiser.fractions import Known, recorded
from tests.optimiser.estates import estate, node, running, told, waiting
from tests.optimiser.test_room import again

RUNS = (
    again(running("x", "a1", [0], ends=10)),
    running("y", "b1", [0, 1, 2], ends=5),
    waiting("big", 4, hours=8, priority=500),
)
SNAPSHOT = estate([node("a1", 4), node("b1", 4)], RUNS)


def plan_of(
    tmp_path: Path,
    snapshot: Snapshot = SNAPSHOT,
    *,
    room: bool = True,
    trust: tuple[RuleRecord, ...] = (),
) -> Plan:
    """The advice for a saved estate."""
    config = Config(state_dir=tmp_path / "state", cache_dir=tmp_path / "cache")
    return advice(
        Site(Options(), config, "saved", lambda _: None, saved=snapshot),
        snapshot,
        policy="best",
        limit=None,
        check=True,
        progress=lambda _: None,
        time_limit_s=0.0,
        room=room,
        trust=trust,
    )


def test_room_is_made_unless_nobody_may_be_moved(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    assert [m.action for m in plan.moves] == ["make_room", "restart"]
    # Who looks at a saved estate has no rights: both owners are asked.
    assert plan.moves[0].owner == "ada,bob"
    assert plan_of(tmp_path, room=False).moves == ()


def test_the_record_of_the_rules_is_told(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, trust=(RuleRecord(rule="room", kept=2, decided=8),))
    assert plan.moves[0].risk == "high"
    assert "the rule room kept 2 of 8 promises" in plan.moves[0].why


def test_the_switch_of_the_command(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    path = tmp_path / "estate.json"
    path.write_bytes(encode(SNAPSHOT))
    words = ["--estate", str(path), "advise", "--time-limit", "0", "--json"]
    for more, count in (((), 2), (("--no-moves",), 0)):
        assert foundry([*words, *more]) == 0
        plan = json.loads(capsysbinary.readouterr().out)["plan"]
        assert len(plan["moves"]) == count
    assert plan["seen"] == {"lab": SNAPSHOT.source_id("lab")}


def test_histories_are_read_only_of_what_waits_for_a_whole_gpu_and_of_its_like(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[set[str]] = []
    counts = tuple(600 if level == 5 else 0 for level in range(101))
    light = recorded(counts, 0, mem_peak_bytes=4 << 30, device_bytes=80 << 30, gpu_model="h100")

    def measured(_: Site, snapshot: Snapshot) -> dict[str, Known]:
        asked.append({run.id for run in snapshot.runs})
        return {"lab/r": light}

    monkeypatch.setattr(action, "measured", measured)
    runs = [replace(running("r", "a1", [0], user="ada"), name=safe("train"))]
    runs += [running("other", "a1", [1, 2, 3]), replace(waiting("w"), name=safe("train"))]
    full = estate([node("a1", 4)], [told(run) for run in runs])
    (move,) = plan_of(tmp_path, full).moves
    assert (move.action, move.target.id, move.steps) == ("shrink", "lab/w", ())
    assert asked == [{"lab/r", "lab/w"}]
    assert [m.action for m in plan_of(tmp_path).moves] == ["make_room", "restart"]
    assert len(asked) == 1  # nothing waits for one whole GPU there: no history is read
