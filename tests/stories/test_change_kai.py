"""The same on a real KAI, with fractions: a share makes room for a run that needs a whole GPU."""

from __future__ import annotations

import json
from pathlib import Path

from tests.lab.daemons import until
from tests.lab.kube.cluster import KubeLab
from tests.schedulers.kai.hands import Hands, halves_apart
from tests.stories.conftest import Foundry
from tests.stories.test_change import advised


def test_a_fraction_makes_room_on_kai(kube: KubeLab, tmp_path: Path) -> None:
    """Two halves alone on a GPU each; what waits needs a whole one."""
    alice = Hands(kube, "alice")
    left, right = halves_apart(kube, alice)
    big = alice.submitted("-g", "1", "--priority=build", name="big")

    config = tmp_path / "config.toml"
    config.write_text(
        f'[kubernetes.kai]\nkubeconfig = "{kube.kubeconfig()}"\nnamespaces = ["team-a"]\n'
    )
    foundry = Foundry(tmp_path, {"FOUNDRY_CONFIG": str(config)})
    path = tmp_path / "plan.json"

    def told() -> bool:
        runs = foundry("runs", "--json").json["runs"]
        mine = [r for r in runs if r["native_id"] == big]
        return bool(mine) and mine[0]["state"] == "pending" and mine[0]["reason"] is not None

    until(told, 90, "a whole GPU is waited for", 1)
    plan = advised(foundry, path)
    made = [m for m in plan["moves"] if m["action"] == "make_room"]
    assert [m["target"]["id"] for m in made] == [f"kai/{big}"], json.dumps(plan)
    (move,) = made
    moved = move["displaces"][0].partition("/")[2]
    assert moved in (left, right)
    assert move["risk"] == "high"

    applied = foundry("apply", str(path), "--confirm", "1", "--why", "room for a whole GPU")
    assert applied.code == 0, applied
    until(alice.placed(big, "Running"), 90, "what waited has the whole GPU")
    until(alice.placed(moved, "Running"), 90, "the half runs again")
    gpus = [g for g in foundry("gpus", "--json").json["gpus"] if g["node"] == "two"]
    assert sorted(g["milli_allocated"] for g in gpus) == [1000, 1000]

    judged = foundry("verdicts", plan["id"], "--json")
    (verdict,) = judged.json["verdicts"]["plans"]
    kept = {(p["move"], p["what"]): p["kept"] for p in verdict["promises"]}
    assert kept[move["id"], "start"] is True, verdict
    assert kept[move["id"], "node"] is True, verdict
    back = foundry("undo", plan["id"], "--confirm", "1")
    assert back.code == 1, back
    assert "goes on: left as it is" in back.err, "to stop it once more would gain nothing"
    assert alice.phases(moved) == ["Running"]
