"""A fragmented cluster and a big job that waits: advice, preview, applied, judged, taken back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.lab.daemons import until
from tests.lab.slurm import SlurmLab
from tests.stories.conftest import Foundry


def fragmented(lab: SlurmLab) -> tuple[str, str, str]:
    """Two nodes of 4 GPUs, each half full; what waits needs the whole of one."""
    ask = ("-p", "a100", "--gres=gpu:2", "-t", "60", "--requeue")
    # Neither of the two is pinned: what fills the other node for a moment puts each in its place.
    fill = lab.submit("-p", "a100", "-w", "a01", "--gres=gpu:4", "-t", "60")
    lab.wait(fill, "RUNNING")
    second = lab.submit(*ask, user="lab_bob")
    half = lab.submit("-p", "a100", "-w", "a02", "--gres=gpu:2", "-t", "60")
    lab.wait(second, "RUNNING")
    lab.wait(half, "RUNNING")
    lab.run(["scancel", fill])
    first = lab.submit(*ask, user="lab_bob")
    lab.wait(first, "RUNNING", 40)
    lab.run(["scancel", half])
    until(lambda: "RUNNING" not in lab.states(half), 20, "the filler to be gone", 0.2)
    big = lab.submit("-p", "a100", "-N1", "--gres=gpu:a100:4", "-t", "240", "--requeue")
    until(lambda: "Resources" in reason(lab, big), 20, "the big job to wait for resources", 0.2)
    return first, second, big


def reason(lab: SlurmLab, job: str) -> str:
    return lab.run(["squeue", "-h", "-j", job, "-o", "%r"]).stdout.decode().strip()


def node_of(lab: SlurmLab, job: str) -> str:
    return lab.run(["squeue", "-h", "-j", job, "-o", "%N"]).stdout.decode().strip()


def shown(lab: SlurmLab, job: str) -> dict[str, str]:
    """The fields of a job as `scontrol` tells them."""
    words = lab.run(["scontrol", "-o", "show", "job", job]).stdout.decode().split()
    return dict(word.split("=", 1) for word in words if "=" in word)


def advised(foundry: Foundry, path: Path) -> dict[str, Any]:
    answer = foundry("advise", "--time-limit", "1", "-o", str(path))
    assert answer.code == 0, answer
    plan: dict[str, Any] = json.loads(path.read_text())["plan"]
    return plan


def test_room_is_made_for_the_big_job(lab: SlurmLab, on_lab: Foundry, tmp_path: Path) -> None:
    first, second, big = fragmented(lab)
    path = tmp_path / "plan.json"
    plan = advised(on_lab, path)
    made = [m for m in plan["moves"] if m["action"] == "make_room"]
    assert [m["target"]["id"] for m in made] == [f"lab/{big}"], json.dumps(plan)
    (move,) = made
    moved = move["displaces"][0].partition("/")[2]
    assert moved in (first, second)
    promised = move["placement"][0]["node"]
    assert promised == ("a01" if moved == first else "a02")
    assert move["cost"] > 0
    assert "lab_bob" in move["owner"]

    holds = on_lab("diff-plan", str(path))
    assert holds.code == 0, holds
    dry = on_lab("apply", str(path), "--dry-run")
    assert dry.code == 0, dry
    assert f"requeuehold {moved}" in dry.out
    assert lab.states(moved) == {"RUNNING"}, "a dry run sends nothing"

    applied = on_lab("apply", str(path), "--confirm", "2", "--why", "room for the big one")
    assert applied.code == 0, applied
    lab.wait(big, "RUNNING", 60)
    assert node_of(lab, big) == promised
    until(lambda: lab.states(moved) == {"RUNNING"}, 60, "the moved job to run again", 0.5)
    assert node_of(lab, moved) != promised

    judged = on_lab("verdicts", plan["id"], "--json")
    assert judged.code == 0, judged
    (verdict,) = judged.json["verdicts"]["plans"]
    kept = {(p["move"], p["what"]): p["kept"] for p in verdict["promises"]}
    assert kept[move["id"], "start"] is True, verdict
    assert kept[move["id"], "node"] is True, verdict

    again = on_lab("apply", str(path), "--confirm", "2")
    assert "applied already" in again.out + again.err, again

    gone = on_lab("undo", plan["id"], "--confirm", "1")
    assert gone.code == 1, "the big job runs: its node list cannot be set back"
    assert "--requeue" in gone.err, gone
    back = on_lab("undo", plan["id"], "--requeue", "--confirm", "2", "--why", "as it was")
    assert back.code in (0, 5), back
    until(lambda: "PENDING" in lab.states(big), 30, "the big job to wait again", 0.5)
    assert shown(lab, big)["ReqNodeList"] == "(null)"
    twice = on_lab("undo", plan["id"], "--requeue", "--confirm", "2")
    assert twice.code == 1, twice
    assert "taken back" in twice.err
    assert on_lab("journal", "--verify").code == 0


def test_a_plan_whose_state_changed_is_refused(
    lab: SlurmLab, on_lab: Foundry, tmp_path: Path
) -> None:
    _, _, big = fragmented(lab)
    path = tmp_path / "plan.json"
    advised(on_lab, path)
    lab.run(["scontrol", "update", f"JobId={big}", "Partition=h100"])
    before = {job: shown(lab, job) for job in (big,)}
    answer = on_lab("apply", str(path), "--confirm", "2")
    assert answer.code == 1, answer
    assert "changed since the plan was made" in (answer.err + answer.out).lower()
    assert {job: shown(lab, job)["ReqNodeList"] for job in before} == {big: "(null)"}
    assert on_lab("diff-plan", str(path)).code == 1
