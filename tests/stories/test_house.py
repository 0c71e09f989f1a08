"""The main job from end to end, as a user does it: look, submit, hold, undo, cancel, export."""

from __future__ import annotations

import csv
import io
import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from foundry_tui import __version__
from tests.lab.daemons import until
from tests.lab.slurm import SlurmLab
from tests.stories.conftest import Foundry

Script = Callable[..., str]


def test_submit_to_the_end(lab: SlurmLab, on_lab: Foundry, script: Script) -> None:
    path = script("echo hello from $SLURM_JOB_PARTITION; exit 3", name="train.sh")
    sent = on_lab("submit", "-p", "h100", "--gres=gpu:h100:1", "--json", path)
    assert sent.code == 0, sent.err
    run = sent.json["run"]
    assert run["submit_token"]
    job = run["native_id"]
    lab.wait(job, "FAILED")
    (done,) = on_lab("inspect", job, "--json").json["runs"]
    assert (done["state"], done["exit_code"], done["name"]) == ("failed", 3, "train.sh")
    until(lambda: "hello" in on_lab("logs", job).out, 20, "the output to be there", 0.5)
    assert on_lab("logs", job).out == "hello from h100\n"


def test_the_script_is_sent_unchanged_with_the_users_environment(
    lab: SlurmLab, on_lab: Foundry, script: Script
) -> None:
    on_lab.env["MY_DATA"] = "kept"
    path = script('echo "$MY_DATA $1"')
    job = on_lab("submit", "-p", "cpu", path, "first argument").out.split()[0].partition("/")[2]
    lab.wait(job, "COMPLETED")
    until(lambda: "kept" in on_lab("logs", job).out, 20, "the output to be there", 0.5)
    assert on_lab("logs", job).out == "kept first argument\n"
    shown = lab.run(["scontrol", "write", "batch_script", job, "-"]).stdout
    assert Path(path).read_bytes() in shown


def test_hold_undo_release_cancel(lab: SlurmLab, on_lab: Foundry, script: Script) -> None:
    lab.wait(lab.submit("-p", "h100", "-N4", "--gres=gpu:8", "--exclusive"), "RUNNING")
    job = on_lab("submit", "-p", "h100", "--gres=gpu:1", script()).out.split()[0]
    held = on_lab("hold", job, "--yes", "--json")
    assert held.code == 0, held.err
    assert held.json["change"]["status"] == "done"
    native = job.partition("/")[2]
    assert b"JobHeld" in lab.run(["squeue", "-h", "-j", native, "-o", "%r"]).stdout
    undone = on_lab("undo", held.json["change"]["id"], "--yes", "--json")
    assert (undone.code, undone.json["change"]["undoes"]) == (0, held.json["change"]["id"])
    assert b"JobHeld" not in lab.run(["squeue", "-h", "-j", native, "-o", "%r"]).stdout
    again = on_lab("undo", held.json["change"]["id"], "--yes")
    assert again.code == 1
    assert "already taken back" in again.err
    cancelled = on_lab("cancel", native, "--yes")
    assert cancelled.code == 0
    assert lab.states(native) == {"CANCELLED"}
    assert on_lab("undo", "c-0", "--yes").code == 4
    table = on_lab("journal")
    assert [w for w in ("submit", "hold", "release", "cancel") if w in table.out] == [
        "submit", "hold", "release", "cancel",
    ]  # fmt: skip
    assert on_lab("journal", "--verify").code == 0


def test_requeue(lab: SlurmLab, on_lab: Foundry, script: Script) -> None:
    job = on_lab("submit", "-p", "cpu", script()).out.split()[0]
    native = job.partition("/")[2]
    lab.wait(native, "RUNNING")
    answer = on_lab("requeue", job, "--yes", "--json")
    assert answer.code == 0, answer
    assert lab.states(native) <= {"PENDING", "COMPLETING"}


def test_many_at_once_and_arrays(lab: SlurmLab, on_lab: Foundry) -> None:
    array = lab.submit("-p", "a100", "--gres=gpu:1", "--array=0-49%2", user=None)
    lab.wait(array, "RUNNING")
    rows = on_lab("runs", "--json", "--where", f"id={array}_*").json["runs"]
    assert len(rows) == 3, "two started tasks and one waiting range"
    count = 50
    asked = on_lab("cancel", array)
    assert asked.code == 2
    assert f"--confirm {count}" in asked.err
    wrong = on_lab("cancel", array, "--confirm", "1")
    assert wrong.code == 2
    assert lab.states(array) >= {"RUNNING"}
    done = on_lab("cancel", array, "--confirm", str(count), "--json")
    assert done.code == 0, done
    assert len(done.json["change"]["receipts"]) == len(rows)
    until(lambda: not {"RUNNING", "PENDING"} & lab.states(array), 20, "the array to end", 0.2)


def test_a_batch_has_one_receipt_per_item(lab: SlurmLab, on_lab: Foundry) -> None:
    waiting = lab.submit("--begin=now+1hour", "-p", "cpu", user=None)
    running = lab.submit("-p", "cpu", user=None)
    lab.wait(running, "RUNNING")
    answer = on_lab("hold", waiting, running, "--confirm", "1", "--json")
    receipts = {r["target"]: r["status"] for r in answer.json["change"]["receipts"]}
    assert set(receipts) == {f"lab/{waiting}", f"lab/{running}"}
    assert receipts[f"lab/{waiting}"] == "done"
    assert receipts[f"lab/{running}"] in ("refused", "unchanged")
    assert answer.code == 5


def test_dry_run_and_read_only_send_nothing(lab: SlurmLab, on_lab: Foundry, script: Script) -> None:
    job = lab.submit("-H", "-p", "cpu", user=None)
    shown = on_lab("release", job, "--dry-run")
    assert shown.code == 0
    assert f"scontrol release {job}" in shown.out
    refused = on_lab("--read-only", "release", job, "--yes")
    assert (refused.code, "read-only" in refused.err) == (1, True)
    path = script()
    assert "sbatch --parsable" in on_lab("submit", "--dry-run", "-p", "cpu", path).out
    assert on_lab("submit", "--read-only", path).code == 1
    assert lab.run(["squeue", "-h", "-o", "%i"]).stdout.split() == [job.encode()]


def test_advice_passes_the_schedulers_own_test(lab: SlurmLab, on_lab: Foundry) -> None:
    for _ in range(2):
        lab.wait(lab.submit("-p", "a100", "--gres=gpu:4", user="lab_bob"), "RUNNING")
    for _ in range(3):
        lab.submit("-p", "a100", "--gres=gpu:2", user="lab_bob")
    plan = on_lab("advise", "--json").json["plan"]
    moves = [m for m in plan["moves"] if m["target"]["kind"] == "run"]
    assert moves, plan
    for move in moves:
        native = move["target"]["id"].partition("/")[2]
        (node,) = {p["node"] for p in move["placement"]}
        args = ["--gres=gpu:2", "-A", "bio", f"--partition={move['queue'] or 'a100'}", f"-w{node}"]
        asked = lab.run(
            ["sbatch", "--test-only", *args, "--wrap=true"], user="lab_bob", check=False
        )
        assert asked.returncode == 0, (native, move, asked.stderr)
        assert move["owner"] == "lab_bob"


def test_a_report_of_jobs(lab: SlurmLab, on_lab: Foundry) -> None:
    job = lab.submit("-p", "h100", "--gres=gpu:2", script=b"#!/bin/sh\nsleep 2\n")
    lab.wait(job, "COMPLETED")
    # Accounting comes later than the job list, and a listing later than `sacct -j`.
    ended = ["sacct", "-a", "-n", "-X", "-P", "-o", "JobID,State"]
    line = f"{job}|COMPLETED".encode()
    until(lambda: line in lab.run(ended).stdout, 40, "the end to be in accounting", 0.5)
    folder = on_lab.home / "out"
    folder.mkdir()
    written = on_lab("report", "jobs", "--from", "1d", "--to", "now", "-o", str(folder))
    assert written.code == 0, written.err
    text = (folder / "jobs.csv").read_bytes().decode()
    assert "\r\n" in text
    (row,) = [r for r in csv.DictReader(io.StringIO(text)) if r["job_id"] == job]
    raw = lab.run(["sacct", "-n", "-X", "-P", "-j", job, "-o", "ElapsedRaw"]).stdout.decode()
    assert int(row["elapsed_s"]) == int(raw)
    assert row["gpus_alloc"] == "2.000"
    assert float(row["gpu_hours"]) == round(2 * int(raw) / 3600, 4)
    assert row["gpu_util_pct"] == "", "unknown is empty, never 0"
    sidecar = json.loads((folder / "jobs.csv.meta.json").read_text())
    assert sidecar["totals"]["allocated_gpu_s"] >= 2 * int(raw)


def test_hostile_names_reach_no_terminal(lab: SlurmLab, on_lab: Foundry) -> None:
    for name in (
        "red\x1b[31m",
        "\x1b]52;c;aGk=\x07",
        "x\n999|RUNNING",
        "[/]",
        "a\u202eb",
        "=cmd()",
    ):
        lab.submit("-H", "-p", "cpu", "-J", name, f"--comment={name}")
    for args in (("runs",), ("runs", "--json"), ("runs", "--csv"), ("overview",), ("nodes",)):
        out = on_lab(*args).out
        for bad in ("\x1b", "\x07", "\x9b", "\u202e"):
            assert bad not in out, args
    rows = list(
        csv.DictReader(io.StringIO(on_lab("runs", "--csv", "--where", "state=pending").out))
    )
    assert len(rows) == 6
    assert "'=cmd()" in {r["name"] for r in rows}, "no spreadsheet takes it for a formula"
    ids = ",".join(r["native_id"] for r in rows)
    assert "999" not in ids


def test_a_snapshot_is_read_back(lab: SlurmLab, on_lab: Foundry) -> None:
    job = lab.submit("-p", "h100", "--gres=shard:3", "-J", "naïve\u202e")
    lab.wait(job, "RUNNING")
    target = on_lab.home / "estate.json"
    assert on_lab("snapshot", "-o", str(target)).code == 0
    live, saved = on_lab("gpus", "--json"), on_lab("--estate", str(target), "gpus", "--json")
    keys = ("node", "index", "runs", "milli_allocated")
    assert [[g[k] for k in keys] for g in live.json["gpus"]] == [
        [g[k] for k in keys] for g in saved.json["gpus"]
    ]
    for args in (
        ("runs",),
        ("why", job),
        ("advise",),
        ("queues",),
        ("overview",),
        ("inspect", job),
    ):
        assert on_lab("--estate", str(target), *args).code == 0, args
    refused = on_lab("--estate", str(target), "cancel", job, "--yes")
    assert (refused.code, "saved estate" in refused.err) == (2, True)


@pytest.mark.parametrize(
    "args",
    [("overview",), ("nodes",), ("gpus",), ("queues",), ("runs",), ("doctor",), ("advise",), ()],
)
def test_the_simulated_estate(foundry: Foundry, args: tuple[str, ...]) -> None:
    answer = foundry("--demo", *args)
    assert answer.code == 0, answer.err
    assert answer.out.strip()
    if args:
        payload = foundry("--demo", *args, "--json").json
        assert payload["generated_at"].endswith("Z")


def test_a_host_with_nothing_shows_the_simulated_estate_and_says_so(foundry: Foundry) -> None:
    answer = foundry()
    assert answer.code == 0
    assert "simulated estate" in answer.err
    assert "sim-slurm" in answer.out
    doctor = foundry("doctor")
    assert "squeue" in doctor.out
    assert "missing" in doctor.out


def test_squeue_without_a_configuration_counts_as_not_found(
    lab: SlurmLab, foundry: Foundry
) -> None:
    foundry.env["PATH"] = "/usr/bin:/bin"
    answer = foundry("nodes")
    assert answer.code == 0
    assert "simulated estate" in answer.err
    assert "no cluster configuration" in foundry("doctor").out


def test_the_demo_keeps_what_is_done_in_it(foundry: Foundry, script: Script) -> None:
    sent = foundry("--demo", "submit", "-p", "gpu", "--gres=gpu:1", "--json", script())
    assert sent.code == 0, sent.err
    run = sent.json["run"]["id"]
    assert run in {r["id"] for r in foundry("--demo", "runs", "--json").json["runs"]}
    assert foundry("--demo", "cancel", run, "--confirm", "1").code == 0
    assert not (foundry.home / "state").exists(), "a play leaves no line in the real journal"


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("nods",), 2, "did you mean nodes?"),
        (("nodes", "--jsn"), 2, "--json"),
        (("runs", "--where", "gpu>=many"), 2, "gpu>=many"),
        (("runs", "--where", "state=nothing-like-it"), 4, "matches"),
        (("--json", "--csv", "runs"), 2, "exclude"),
        (("--config", "/nowhere.toml", "runs"), 2, "/nowhere.toml"),
        (("--estate", "/nowhere.json", "runs"), 2, "/nowhere.json"),
        (("why", "sim-slurm/999999"), 4, "no run"),
        (("report", "jobs", "--from", "yesterdayish"), 2, "--from"),
        (("report", "jobs", "--from", "now", "--to", "7d"), 2, "before it starts"),
        (("logs",), 2, "RUN"),
        (("submit",), 2, "name a job spec or a batch script"),
        (("runs", "--watch", "0"), 2, "watch"),
    ],
)
def test_wrong_use(foundry: Foundry, args: tuple[str, ...], code: int, said: str) -> None:
    answer = foundry(*(("--demo", *args) if "--estate" not in args else args))
    assert (answer.code, said in answer.err) == (code, True), answer


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"schema":"foundry.snapshot/1"}', "\x00\xff"])
def test_a_broken_estate_file(foundry: Foundry, text: str) -> None:
    path = foundry.home / "broken.json"
    path.write_bytes(text.encode("latin-1"))
    answer = foundry("--estate", str(path), "runs")
    assert answer.code == 2
    assert "broken.json" in answer.err


def test_config_init_and_show(foundry: Foundry) -> None:
    assert foundry("config", "init").code == 0
    target = foundry.home / "config" / "foundry" / "config.toml"
    assert target.stat().st_mode & 0o777 == 0o600
    assert foundry("config", "init").code == 1, "an existing file is never touched"
    assert str(target) in foundry("config", "show").out
    target.write_text("[intervals]\nrefesh_s = 30\n")
    answer = foundry("nodes")
    assert answer.code == 2
    assert "refresh_s" in answer.err, "the nearest name is offered"


def test_version_completion_and_help(foundry: Foundry) -> None:
    assert foundry("--version").out == f"foundry {__version__}\n"
    assert "_FOUNDRY_COMPLETE" in foundry("completion", "bash").out
    assert "Exit codes" in foundry("--help").out
    assert foundry("runs", "--help").code == 0


def test_watch_ends_with_ctrl_c(foundry: Foundry) -> None:
    child = foundry.start("--demo", "nodes", "--watch", "10")
    assert child.stdout is not None
    assert child.stdout.readline().startswith(b"NODE")
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=20)
    assert child.returncode in (0, 130)


def test_ctrl_c_ends_a_command_and_the_login_that_it_waits_for(
    foundry: Foundry, tmp_path: Path
) -> None:
    noted = tmp_path / "login.pid"
    login = tmp_path / "login"
    login.write_text(f"#!/bin/sh\necho $$ > {noted}\nexec /bin/sleep 600\n")
    login.chmod(0o700)
    version = "client.authentication.k8s.io/v1"
    entries = {
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"exec": {"apiVersion": version, "command": str(login)}}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    kubeconfig, config = tmp_path / "kubeconfig", tmp_path / "c.toml"
    kubeconfig.write_text(json.dumps(entries))
    config.write_text(f'[kubernetes.kai]\nkubeconfig = "{kubeconfig}"\ntimeout_s = 60\n')
    child = foundry.start("--config", str(config), "queues")
    until(lambda: noted.exists() and noted.read_text().strip() != "", 20, "the login to run")
    child.send_signal(signal.SIGINT)
    told = child.communicate(timeout=20)[1].decode()
    assert child.returncode == 130, told
    assert "interrupted" in told
    assert "Traceback" not in told
    until(lambda: not Path("/proc", noted.read_text().strip()).exists(), 30, "the login to end")
