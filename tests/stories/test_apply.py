"""Plans on a real Slurm, as an admin applies them: taken back, killed in the middle, outrun."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

from tests.lab.daemons import until
from tests.lab.slurm import SlurmLab
from tests.stories.conftest import Foundry


def shown(lab: SlurmLab, job: str, field: str) -> str:
    words = lab.run(["scontrol", "-o", "show", "job", job]).stdout.decode().split()
    return dict(word.split("=", 1) for word in words if "=" in word)[field]


def move(job: str, field: str, value: str, **more: Any) -> dict[str, Any]:
    """A move of a waiting job, as somebody writes it by hand."""
    run = f"lab/{job}"
    step = {"act": "change_run", "source": "lab", "runs": [run], "fields": {field: value}}
    return {"id": f"m{job}", "target": {"kind": "run", "id": run}, "steps": [step], **more}


def plan(path: Path, *moves: dict[str, Any]) -> str:
    """The file of a plan; its path."""
    made = {"id": path.stem, "generated_at": "2026-11-22T03:00:00Z", "moves": list(moves)}
    path.write_text(json.dumps({"plan": made}))
    return str(path)


def pending(lab: SlurmLab, user: str = "lab_bob") -> str:
    """A job of somebody else that waits: for a day that does not come."""
    return lab.submit("-p", "a100", "-t", "60", "--begin=now+1day", user=user)


def test_a_plan_is_applied_told_and_taken_back(
    lab: SlurmLab, on_lab: Foundry, tmp_path: Path
) -> None:
    one, two = pending(lab), pending(lab, "lab_alice")
    seen = {"precondition": {"state": "pending", "queue": "a100"}}
    path = plan(tmp_path / "p1.json", move(one, "queue", "h100", **seen), move(two, "qos", "low"))
    dry = on_lab("apply", path, "--dry-run")
    assert dry.code == 0, dry
    assert f"scontrol update JobId={one} Partition=h100" in dry.out
    assert on_lab("apply", path).code == 2, "no terminal, and no count"
    assert on_lab("apply", path, "--yes").code == 2, "two jobs of others need their count"
    assert on_lab("apply", path, "--confirm", "3").code == 2
    assert shown(lab, one, "Partition") == "a100"
    done = on_lab("apply", path, "--confirm", "2", "--why", "a100 is full", "--json")
    assert done.code == 0, done
    assert [c["status"] for c in done.json["change"]["changes"]] == ["done", "done"]
    assert (shown(lab, one, "Partition"), shown(lab, two, "QOS")) == ("h100", "low")
    again = on_lab("apply", path, "--confirm", "2")
    assert (again.code, "applied already" in again.out) == (0, True), again
    assert on_lab("apply", path, "--for", "4h", "--yes").code == 1, "too late to give it a time"
    back = on_lab("undo", "p1", "--confirm", "2")
    assert back.code == 0, back
    assert (shown(lab, one, "Partition"), shown(lab, two, "QOS")) == ("a100", "normal")
    twice = on_lab("undo", "p1", "--confirm", "2")
    assert (twice.code, "taken back by c-" in twice.err) == (1, True), twice


def test_what_changed_meanwhile_is_refused_and_nothing_is_sent(
    lab: SlurmLab, on_lab: Foundry, tmp_path: Path
) -> None:
    one, two = pending(lab), pending(lab)
    seen = {"precondition": {"queue": "a100"}}
    path = plan(
        tmp_path / "p2.json", move(one, "queue", "h100", **seen), move(two, "queue", "h100", **seen)
    )
    lab.run(["scontrol", "update", f"JobId={two}", "Partition=cpu"])
    answer = on_lab("apply", path, "--confirm", "2")
    assert answer.code == 1, answer
    assert "queue was a100, is cpu" in answer.err
    assert shown(lab, one, "Partition") == "a100"
    assert on_lab("diff-plan", path).code == 1


def test_killed_in_the_middle_the_same_command_goes_on(
    lab: SlurmLab, on_lab: Foundry, tmp_path: Path
) -> None:
    one, two, first = pending(lab), pending(lab), lab.submit("-p", "cpu", "--hold")
    path = plan(
        tmp_path / "p3.json",
        move(one, "queue", "h100"),
        move(two, "queue", "h100", awaits=f"lab/{first}"),
    )
    program = on_lab.start("apply", path, "--confirm", "2")
    try:
        until(lambda: shown(lab, one, "Partition") == "h100", 60, "the first move", 0.2)
        second = on_lab("apply", path, "--confirm", "1")
        assert (second.code, "is at it since" in second.err) == (1, True), second
    finally:
        program.send_signal(signal.SIGKILL)
        program.communicate(timeout=30)
    assert program.returncode == -signal.SIGKILL
    lab.run(["scontrol", "release", first])
    lab.wait(first, "RUNNING")
    on = on_lab("apply", path, "--confirm", "1", "--json")
    assert on.code == 0, on
    assert (shown(lab, one, "Partition"), shown(lab, two, "Partition")) == ("h100", "h100")
    changed = [c["receipts"][0]["target"] for c in on.json["change"]["changes"]]
    assert changed[-1] == f"lab/{two}"
    assert on_lab("journal", "--verify").code == 0


def test_a_run_that_started_is_set_back_by_a_requeue(
    lab: SlurmLab, on_lab: Foundry, tmp_path: Path
) -> None:
    job = lab.submit("-p", "a100", "-t", "60", "--requeue", "--hold", user="lab_bob")
    path = plan(tmp_path / "p4.json", move(job, "queue", "cpu"))
    assert on_lab("apply", path, "--confirm", "1").code == 0
    lab.run(["scontrol", "release", job])
    lab.wait(job, "RUNNING")
    refused = on_lab("undo", "p4", "--confirm", "1")
    assert (refused.code, "--requeue" in refused.err) == (1, True), refused
    back = on_lab("undo", "p4", "--requeue", "--confirm", "1")
    assert back.code == 0, back
    assert shown(lab, job, "Partition") == "a100"
    assert "PENDING" in lab.states(job)


def test_nodes_and_partitions_are_changed_and_set_back(
    lab: SlurmLab, on_lab: Foundry, tmp_path: Path
) -> None:
    drain = {"act": "change_node", "source": "lab", "nodes": ["a02"], "state": "drain"}
    close = {"act": "change_queue", "source": "lab", "queue": "cpu", "fields": {"state": "down"}}
    path = plan(
        tmp_path / "p6.json",
        {
            "id": "m1",
            "target": {"kind": "node", "id": "lab/a02"},
            "precondition": {"state": "idle"},
            "steps": [{**drain, "reason": "its fan"}],
        },
        {"id": "m2", "target": {"kind": "queue", "id": "lab/cpu"}, "steps": [close]},
    )
    done = on_lab("apply", path, "--confirm", "2")
    assert done.code == 0, done
    assert lab.node_states()["a02"].startswith("drain")
    state = lab.run(["sinfo", "-h", "-p", "cpu", "-o", "%a"]).stdout.decode().split()
    assert set(state) == {"down"}
    back = on_lab("undo", "p6", "--confirm", "2")
    assert back.code == 0, back
    assert lab.node_states()["a02"] == "idle"
    state = lab.run(["sinfo", "-h", "-p", "cpu", "-o", "%a"]).stdout.decode().split()
    assert set(state) == {"up"}


def test_for_a_time_and_taken_back_by_a_process_of_its_own(
    lab: SlurmLab, on_lab: Foundry, tmp_path: Path
) -> None:
    job = pending(lab)
    path = plan(tmp_path / "p5.json", move(job, "queue", "h100"))
    done = on_lab("apply", path, "--confirm", "1", "--for", "5s")
    assert done.code == 0, done
    assert "also after a logout" in done.err
    pid = int(done.err.partition("; pid ")[2].split()[0])
    assert os.getsid(pid) == pid, "a session of its own"
    os.kill(pid, signal.SIGHUP)
    until(lambda: shown(lab, job, "Partition") == "a100", 60, "the time to be over", 0.5)
    until(lambda: not Path(f"/proc/{pid}").exists(), 60, "the process to end", 0.5)
    answer = on_lab("journal", "--json")
    assert answer.json["journal"][-1]["undoes"] == answer.json["journal"][0]["id"]
