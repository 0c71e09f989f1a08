"""Slurm stopped, hung, mute or refusing: every command ends in time and says what to do."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from tests.lab.daemons import until
from tests.lab.slurm import SlurmLab
from tests.stories.conftest import Foundry

Script = Callable[..., str]


def test_controller_down_and_back(lab: SlurmLab, on_lab: Foundry, script: Script) -> None:
    first = on_lab("nodes", "--json")
    assert first.code == 0
    with lab.controller_down():
        down = on_lab("nodes", "--json")
        assert down.code == 3
        assert down.wall_s < 15
        (source,) = [s for s in down.json["sources"] if s["kind"] == "slurm"]
        assert source["state"] == "down"
        assert source["age_s"] > 0, "the last good data is shown with its age"
        assert "controller" in source["reason"]
        assert {n["name"] for n in down.json["nodes"]} == {n["name"] for n in first.json["nodes"]}
        refused = on_lab("submit", script())
        assert refused.code == 3
        assert "nothing was sent" in refused.err
        doctor = on_lab("doctor")
        assert doctor.code == 3
        assert "slurmctld" in doctor.out
    assert on_lab("nodes", "--json").code == 0


def test_controller_down_and_nothing_kept(lab: SlurmLab, on_lab: Foundry) -> None:
    with lab.controller_down():
        down = on_lab("runs")
    assert down.code == 3
    assert down.wall_s < 15
    assert "nothing was kept" in down.err
    assert not down.out.strip()


def test_controller_hung(lab: SlurmLab, on_lab: Foundry, script: Script) -> None:
    job = lab.submit("-H", "-p", "h100", user=None)
    on_lab("queues")
    sent = ("submit", "-p", "cpu", script())
    with lab.controller_hung():
        for args in (("runs", "--json"), ("why", job), ("cancel", job, "--yes"), sent):
            answer = on_lab(*args)
            assert answer.code == 3, (args, answer)
            assert answer.wall_s < 16, args
        assert "nothing was sent" not in answer.err, "it may have arrived"
    assert on_lab("runs").code == 0
    # The controller finds what was sent while it hung: the next try must not send it again.
    until(lambda: _count(lab) == 2, 30, "the submit to come out of the hung controller", 0.2)
    again = on_lab(*sent)
    assert (again.code, "not submitted again" in again.err) == (0, True), again
    assert _count(lab) == 2


def _count(lab: SlurmLab) -> int:
    return len(lab.run(["squeue", "-h"]).stdout.splitlines())


def test_a_script_that_waits_is_not_taken(lab: SlurmLab, on_lab: Foundry, script: Script) -> None:
    answer = on_lab("submit", script("#SBATCH --wait"))
    assert (answer.code, "--wait" in answer.err) == (1, True)
    assert _count(lab) == 0


def test_a_submit_that_is_still_on_its_way_is_waited_for(
    lab: SlurmLab, on_lab: Foundry, script: Script
) -> None:
    path = script()
    folder = on_lab.home / "slow"
    folder.mkdir()
    started, gate = on_lab.home / "started", on_lab.home / "gate"
    os.mkfifo(gate)
    (folder / "sbatch").write_text(
        f'#!/bin/sh\ntouch {started}\nread go < {gate}\nexec /usr/bin/sbatch "$@"\n'
    )
    (folder / "sbatch").chmod(0o755)
    for program in ("squeue", "scontrol", "sacct", "sacctmgr", "sinfo", "scancel"):
        (folder / program).symlink_to(f"/usr/bin/{program}")
    config = on_lab.home / "slow.toml"
    config.write_text(f'[slurm.lab]\nconf = "{lab.env["SLURM_CONF"]}"\nbin = "{folder}"\n')
    child = on_lab.start("--config", str(config), "submit", "-p", "cpu", path)
    until(started.exists, 20, "sbatch to be started", 0.05)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    early = on_lab("submit", "-p", "cpu", path)
    assert (early.code, "not found there yet" in early.err) == (3, True), early
    gate.write_text("go\n")
    until(lambda: _count(lab) == 1, 20, "the first try to arrive", 0.1)
    late = on_lab("submit", "-p", "cpu", path)
    assert (late.code, "not submitted again" in late.err) == (0, True), late
    assert _count(lab) == 1


def test_munge_down(lab: SlurmLab, on_lab: Foundry) -> None:
    with lab.munge_down():
        answer = on_lab("nodes")
    assert answer.code == 3
    assert "munge" in answer.err


def test_database_down_leaves_live_data(lab: SlurmLab, on_lab: Foundry) -> None:
    job = lab.submit("-p", "h100", "--gres=gpu:1")
    lab.wait(job, "RUNNING")
    with lab.dbd_down():
        live = on_lab("runs", "--json")
        assert job in {r["native_id"] for r in live.json["runs"]}
        assert "ended earlier are not shown" in live.err
        report = on_lab("report", "jobs")
        assert report.code == 3


def test_a_dead_node_shows(lab: SlurmLab, on_lab: Foundry) -> None:
    with lab.node_down("a02"):
        until(lambda: lab.node_states()["a02"].startswith("down"), 60, "a02 to be down", 0.5)
        (node,) = on_lab("nodes", "--json", "--where", "name=a02").json["nodes"]
    assert node["state"] == "down"


def test_another_users_run_is_refused_and_explained(lab: SlurmLab, on_lab: Foundry) -> None:
    job = lab.submit("-p", "h100", "--gres=gpu:1", user="lab_bob")
    lab.wait(job, "RUNNING")
    config = on_lab.home / "alice.toml"
    config.write_text(
        f'[slurm.lab]\nconf = "{lab.env["SLURM_CONF"]}"\nbin = "{lab.commands_as("lab_alice")}"\n'
    )
    refused = on_lab("--config", str(config), "cancel", job, "--confirm", "1", "--json")
    assert refused.code == 1
    (receipt,) = refused.json["change"]["receipts"]
    assert receipt["status"] == "refused"
    assert "belongs to lab_bob" in receipt["message"]
    assert "RUNNING" in lab.states(job)


def test_ten_thousand_waiting_tasks_are_one_row(lab: SlurmLab, on_lab: Foundry) -> None:
    job = lab.submit("-p", "h100", "--gres=gpu:8", "-H", "--array=0-9999")
    answer = on_lab("runs", "--json")
    (row,) = [r for r in answer.json["runs"] if r["native_id"].startswith(job)]
    assert row["array"]["count"] == 10_000
    (queue,) = on_lab("queues", "--json", "--where", "name=h100").json["queues"]
    assert queue["waiting"] == 10_000


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("ALL",), 2, "names no run"),
        (("*",), 2, "names no run"),
        (("1-9",), 2, "is a range"),
        (("99999999",), 4, "no run 99999999 is known"),
        (("name-of-a-run",), 4, "no run name-of-a-run is known"),
        ((), 2, "name at least one run"),
        (("--where", "sate=running"), 2, "state"),
        (("--where", ""), 2, "name at least one run"),
        (("--where", "name=nothing-here", "--confirm", "1"), 4, "matches"),
    ],
)
def test_wrong_selections_change_nothing(
    lab: SlurmLab, on_lab: Foundry, words: tuple[str, ...], code: int, said: str
) -> None:
    job = lab.submit("-H", "-p", "h100")
    answer = on_lab("cancel", *words, "--yes")
    assert answer.code == code, answer
    assert said in answer.err
    assert lab.states(job) == {"PENDING"}


@pytest.mark.parametrize(
    ("make", "code", "said"),
    [
        ("missing", 2, "does not exist"),
        ("directory", 2, "is a directory"),
        ("large", 1, "up to 4 MiB"),
        ("empty", 1, "is empty"),
        ("no shebang", 1, "no batch script"),
        ("dos", 1, "DOS line breaks"),
    ],
)
def test_scripts_that_cannot_be_submitted(
    lab: SlurmLab, on_lab: Foundry, make: str, code: int, said: str
) -> None:
    path = on_lab.home / "job.sh"
    if make == "directory":
        path.mkdir()
    elif make != "missing":
        body = {"large": b"#!/bin/sh\n" + b"#" * (50 << 20), "empty": b"", "no shebang": b"echo"}
        path.write_bytes(body.get(make, b"#!/bin/sh\r\necho\r\n"))
    answer = on_lab("submit", str(path))
    assert (answer.code, said in answer.err) == (code, True), answer.err
    assert not lab.run(["squeue", "-h"]).stdout


def test_kill_9_in_the_middle_of_a_submit_never_submits_twice(
    lab: SlurmLab, on_lab: Foundry, script: Script
) -> None:
    path = script("sleep 600")
    folder = on_lab.home / "slow"
    folder.mkdir()
    sent = on_lab.home / "sent"
    # The real sbatch, which then takes its time to tell: the moment in which we are killed.
    (folder / "sbatch").write_text(f'#!/bin/sh\n/usr/bin/sbatch "$@"\ntouch {sent}\nsleep 30\n')
    (folder / "sbatch").chmod(0o755)
    for program in ("squeue", "scontrol", "sacct", "sacctmgr", "sinfo", "scancel"):
        (folder / program).symlink_to(f"/usr/bin/{program}")
    config = on_lab.home / "slow.toml"
    config.write_text(f'[slurm.lab]\nconf = "{lab.env["SLURM_CONF"]}"\nbin = "{folder}"\n')
    args = ("--config", str(config), "submit", "-p", "h100", "--gres=gpu:1", path)
    child = on_lab.start(*args)
    until(sent.exists, 20, "the first try to reach Slurm", 0.05)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    again = on_lab("submit", "--source", "lab", "-p", "h100", "--gres=gpu:1", path)
    assert again.code == 0, again.err
    assert "not submitted again" in again.err, on_lab("journal", "--json").out
    jobs = lab.run(["squeue", "-h", "-o", "%i"]).stdout.split()
    assert len(jobs) == 1
    assert again.out.startswith(f"lab/{jobs[0].decode()}")
    assert on_lab("journal", "--verify").code == 0
    third = on_lab("submit", "-p", "h100", "--gres=gpu:1", path)
    assert third.code == 0
    assert len(lab.run(["squeue", "-h", "-o", "%i"]).stdout.split()) == 2, "asked again, done again"


def test_two_at_once(lab: SlurmLab, on_lab: Foundry, script: Script) -> None:
    path = script()
    children = [on_lab.start("submit", "-p", "cpu", path) for _ in range(4)]
    for child in children:
        _, err = child.communicate(timeout=60)
        assert child.returncode == 0, err
    assert len(lab.run(["squeue", "-h"]).stdout.splitlines()) == 4
    assert on_lab("journal", "--verify").code == 0


def test_a_home_that_cannot_be_written(lab: SlurmLab, on_lab: Foundry, script: Script) -> None:
    on_lab.env |= {"HOME": "/proc/nowhere", "XDG_STATE_HOME": "/proc/nowhere"}
    assert on_lab("nodes").code == 0
    answer = on_lab("submit", "-p", "cpu", script())
    assert answer.code == 0, answer.err
    assert "journal is kept in" in answer.err


def test_two_broken_off_submits_are_both_found(
    lab: SlurmLab, on_lab: Foundry, script: Script
) -> None:
    first, second = script(name="a.sh"), script(name="b.sh")
    with lab.controller_hung():
        for path in (first, second):
            assert on_lab("submit", "-p", "cpu", path).code == 3
    until(lambda: _count(lab) == 2, 30, "both submits to come out", 0.2)
    for path in (first, second):
        again = on_lab("submit", "-p", "cpu", path)
        assert (again.code, "not submitted again" in again.err) == (0, True), again
    assert _count(lab) == 2


@pytest.mark.parametrize("option", ["-ph100", "-Jhello"])
def test_short_options_that_hold_an_h(
    lab: SlurmLab, on_lab: Foundry, script: Script, option: str
) -> None:
    answer = on_lab("submit", "-H", option, script())
    assert (answer.code, answer.out[:4]) == (0, "lab/")
    assert _count(lab) == 1


def test_nothing_goes_to_a_simulation_that_nobody_asked_for(
    lab: SlurmLab, foundry: Foundry, on_lab: Foundry, script: Script
) -> None:
    assert foundry("submit", script()).code == 3
    assert foundry("report", "jobs").code == 3
    on_lab.env["SLURM_CONF"] = "/nowhere/slurm.conf"
    answer = on_lab("submit", script())
    assert (answer.code, "/nowhere/slurm.conf" in answer.err) == (3, True)
    assert on_lab("nodes").code == 3
