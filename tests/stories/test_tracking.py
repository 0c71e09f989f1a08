"""Runs and their MLflow records, on a real Slurm and a real MLflow server."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.lab.daemons import free_ports, until
from tests.lab.mlflow import MlflowLab
from tests.lab.slurm import SlurmLab
from tests.stories.conftest import FOUNDRY, Foundry

Script = Callable[..., str]
ARGS = ("-p", "cpu")


@pytest.fixture
def tracked(on_lab: Foundry, mlflow_server: MlflowLab) -> Foundry:
    """`foundry` of a user who has set MLFLOW_TRACKING_URI."""
    on_lab.env["MLFLOW_TRACKING_URI"] = mlflow_server.url
    return on_lab


def submitted(foundry: Foundry, path: str, *args: str) -> tuple[str, str]:
    """Submit a script; the job's id and the id of its record."""
    answer = foundry("submit", *ARGS, *args, "--json", path)
    assert answer.code == 0, answer.err
    run = answer.json["run"]
    assert run["mlflow_run_id"], answer
    return run["native_id"].partition("_")[0], run["mlflow_run_id"]


def record(server: MlflowLab, run_id: str) -> tuple[dict[str, Any], dict[str, str]]:
    """A record as the server has it: what it is, and its tags."""
    address = f"{server.url}/api/2.0/mlflow/runs/get?run_id={run_id}"
    with urllib.request.urlopen(address, timeout=30) as answer:
        run = json.load(answer)["run"]
    return run["info"], {tag["key"]: tag["value"] for tag in run["data"].get("tags", [])}


def by_tag(server: MlflowLab, key: str, value: str) -> list[str]:
    """The ids of the records of all experiments that carry a tag."""
    experiments = server.call("experiments/search", {"max_results": 1000})["experiments"]
    ids = [e["experiment_id"] for e in experiments]
    asked = {"experiment_ids": ids, "filter": f"tags.`{key}` = '{value}'"}
    return [r["info"]["run_id"] for r in server.call("runs/search", asked).get("runs", [])]


def the_link(foundry: Foundry) -> tuple[Path, dict[str, Any]]:
    """The one link that is open, and its file."""
    (path,) = (foundry.home / "state" / "foundry" / "links" / "open").glob("*.json")
    return path, json.loads(path.read_text())


def jobs(lab: SlurmLab) -> list[str]:
    return lab.run(["squeue", "-h", "-o", "%i"]).stdout.decode().split()


def items(foundry: Foundry, *args: str) -> list[dict[str, Any]]:
    answer = foundry("sync", "--json", *args)
    assert answer.code == 0, answer
    found: list[dict[str, Any]] = answer.json["sync"]
    return found


def test_cancelled_behind_our_back(
    lab: SlurmLab, tracked: Foundry, mlflow_server: MlflowLab, script: Script
) -> None:
    job, run_id = submitted(tracked, script())
    lab.wait(job, "RUNNING")
    assert record(mlflow_server, run_id)[0]["status"] == "SCHEDULED"
    (item,) = items(tracked)
    assert (item["did"], item["before"], item["after"]) == ("wrote", "SCHEDULED", "RUNNING")
    lab.run(["scancel", job])
    lab.wait(job, "CANCELLED")
    (shown,) = items(tracked, "--dry-run")
    assert shown["after"] == "KILLED"
    assert record(mlflow_server, run_id)[0]["status"] == "RUNNING", "a dry run writes nothing"
    (item,) = items(tracked)
    assert (item["run"], item["after"], item["state"]) == (f"lab/{job}", "KILLED", "cancelled")
    info, tags = record(mlflow_server, run_id)
    assert info["status"] == "KILLED"
    ended = lab.run(["scontrol", "show", "job", job], check=False).stdout.decode()
    stamp = next(w for w in ended.split() if w.startswith("EndTime=")).partition("=")[2]
    shown_end = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(info["end_time"] / 1000))
    assert shown_end == stamp, "the scheduler's end, not that of the pass"
    assert tags["foundry.status_source"] == "scheduler"
    assert tags["foundry.reason"].startswith("cancelled")
    assert items(tracked) == []


@pytest.mark.parametrize(("code", "status"), [(0, "FINISHED"), (3, "FAILED")])
def test_how_a_job_ended_is_on_its_record(
    lab: SlurmLab,
    tracked: Foundry,
    mlflow_server: MlflowLab,
    script: Script,
    code: int,
    status: str,
) -> None:
    job, run_id = submitted(tracked, script(f"exit {code}", name="train.sh"), "-J", "my run")
    lab.wait(job, "FAILED" if code else "COMPLETED")
    (item,) = items(tracked)
    assert item["after"] == status
    info, tags = record(mlflow_server, run_id)
    assert (info["status"], info["run_name"]) == (status, "my run")
    assert info["end_time"]
    assert tags["foundry.exit_code"] == str(code)
    wanted = {
        "foundry.slurm.job_id": job,
        "foundry.backend": "slurm",
        "foundry.cluster": "lab",
        "mlflow.source.type": "JOB",
        "mlflow.source.name": str(tracked.home / "train.sh"),
    }
    assert {key: tags[key] for key in wanted} == wanted
    comment = lab.run(["sacct", "-n", "-X", "-P", "-j", job, "-o", "Comment"], check=False).stdout
    assert tags["foundry.submit_id"] in comment.decode() or not comment.strip()
    assert items(tracked) == [], "the second pass changes nothing"
    assert record(mlflow_server, run_id) == (info, tags)


def test_what_a_job_logs_is_seen(
    lab: SlurmLab, tracked: Foundry, script: Script, mlflow_server: MlflowLab
) -> None:
    api = "$MLFLOW_TRACKING_URI/api/2.0/mlflow/runs"
    body = f"""\
log() {{
  curl -sSf -H 'Content-Type: application/json' "{api}/$1" \\
    -d "{{\\"run_id\\":\\"$MLFLOW_RUN_ID\\",$2}}"
}}
log log-parameter '"key":"lr","value":"0.003"'
log log-metric '"key":"loss","value":0.5,"timestamp":1795000000000,"step":3'
log log-metric '"key":"worst","value":"NaN","timestamp":1795000000000,"step":3'
log log-metric '"key":"most","value":"Infinity","timestamp":1795000000000,"step":3'
touch {tracked.home}/logged
exec sleep 300"""
    job, run_id = submitted(tracked, script(body), "--experiment", "what is seen")
    until((tracked.home / "logged").exists, 40, "the job to have logged")
    (shown,) = tracked("inspect", job, "--json").json["runs"]
    assert shown["mlflow_run_id"] == run_id
    known = shown["mlflow"]
    assert (known["run_id"], known["experiment"]) == (run_id, "what is seen")
    assert known["params"] == {"lr": "0.003"}
    values = {key: (m["value"], m["shown"], m["step"]) for key, m in known["metrics"].items()}
    assert values == {
        "loss": (0.5, "0.5", 3),
        "worst": (None, "NaN", 3),
        "most": (None, "∞", 3),
    }
    assert known["url"].startswith(mlflow_server.url)
    text = tracked("inspect", job).out
    for word in ("lr 0.003", "loss 0.5 (step 3", "worst NaN", "most ∞", run_id, "what is seen"):
        assert word in " ".join(text.split()), word
    (row,) = tracked("runs", "--json", "--where", f"id={job}").json["runs"]
    assert row["mlflow_run_id"] == run_id


def test_a_python_program_that_sets_its_experiment(
    lab: SlurmLab, tracked: Foundry, mlflow_server: MlflowLab, script: Script
) -> None:
    (tracked.home / "train.py").write_text(
        "import mlflow\n"
        'mlflow.set_experiment("set by the program")\n'
        "with mlflow.start_run() as run:\n"
        '    mlflow.log_param("lr", 1)\n'
        f"    open({str(tracked.home / 'ran')!r}, 'w').write(run.info.run_id)\n"
    )
    answer = tracked(
        "submit", *ARGS, "--json", script(f"{mlflow_server.python} train.py", name="t.sh")
    )
    assert "in the experiment set by the program: train.py sets it" in answer.err
    run = answer.json["run"]
    lab.wait(run["native_id"], "COMPLETED", timeout_s=90)
    assert (tracked.home / "ran").read_text() == run["mlflow_run_id"], (
        "the job logged to its record"
    )
    info, _ = record(mlflow_server, run["mlflow_run_id"])
    assert info["status"] == "FINISHED", "the program itself said so"
    (item,) = items(tracked)
    assert (item["did"], item["after"]) == ("left", "FINISHED")


@pytest.mark.parametrize(
    ("directive", "options", "env"),
    [
        ("", (), {}),
        ("#SBATCH --export=NONE", (), {}),
        ("#SBATCH --export=NIL", (), {}),
        ("#SBATCH --export=HOME,MINE=a", (), {}),
        ("#SBATCH --export=ALL,MINE=a", (), {}),
        ("#SBATCH --export=NONE", ("--export=MINE=b",), {}),
        ("", ("--export", "NONE"), {}),
        ("", (), {"SBATCH_EXPORT": "NONE"}),
        ("#SBATCH --export=NONE", (), {"SBATCH_EXPORT": "ALL"}),
        ("", ("--export-file={home}/file.env",), {}),
    ],
)
def test_the_variables_reach_the_job_whatever_it_exports(
    lab: SlurmLab,
    tracked: Foundry,
    mlflow_server: MlflowLab,
    directive: str,
    options: tuple[str, ...],
    env: dict[str, str],
) -> None:
    tracked.env |= {**env, "MINE": "of the user", "OTHER": "secret of the user"}
    (tracked.home / "file.env").write_bytes(b"MINE=of the file\0")
    path = tracked.home / "job.sh"
    seen = tracked.home / "seen"
    path.write_text(
        f"#!/bin/sh\n#SBATCH --output=/dev/null\n{directive}\n"
        f'/usr/bin/env | /bin/grep -E "^(MLFLOW|MINE|OTHER)" > {seen}.part\n'
        f"/bin/mv {seen}.part {seen}\n"
    )
    words = [o.format(home=tracked.home) for o in options]
    preview = tracked("submit", *ARGS, *words, "--dry-run", "--experiment", "a b", str(path)).out
    assert f"env MLFLOW_TRACKING_URI={mlflow_server.url}" in preview
    assert "MLFLOW_RUN_ID=made-when-sent" in preview
    _, run_id = submitted(tracked, str(path), *words, "--experiment", "a b")
    until(seen.exists, 40, "the job to run", 0.1)
    got = dict(line.split("=", 1) for line in seen.read_text().splitlines())
    assert got["MLFLOW_RUN_ID"] == run_id
    assert got["MLFLOW_TRACKING_URI"] == mlflow_server.url
    assert got["MLFLOW_EXPERIMENT_NAME"] == "a b"
    told = " ".join((directive, *options, *env.values()))
    everything = "ALL" in told or not told.strip()
    assert ("OTHER" in got) == everything, "what the user keeps back stays back"


def test_an_array_has_one_record(
    lab: SlurmLab, tracked: Foundry, mlflow_server: MlflowLab, script: Script
) -> None:
    path = script("exit $SLURM_ARRAY_TASK_ID")
    job, run_id = submitted(tracked, path, "--array=0-2")
    assert record(mlflow_server, run_id)[1]["foundry.slurm.job_id"] == job
    until(lambda: lab.states(job) <= {"COMPLETED", "FAILED"}, 40, "the array to end", 0.2)
    # The accounting comes later than the job list, and an array is not told without it.
    until(lambda: items(tracked)[0]["did"] == "wrote", 40, "the accounting to have the array", 0.5)
    info, tags = record(mlflow_server, run_id)
    assert (info["status"], tags["foundry.exit_code"]) == ("FAILED", "2")
    assert tags["foundry.reason"] == "failed (2 of 3 tasks)"


def test_a_refused_submit_is_on_its_record(
    lab: SlurmLab, tracked: Foundry, mlflow_server: MlflowLab, script: Script
) -> None:
    answer = tracked("submit", "-p", "no-such", "--experiment", "refused", script())
    assert answer.code == 1
    (run_id,) = by_tag(mlflow_server, "mlflow.source.name", str(tracked.home / "job.sh"))
    info, tags = record(mlflow_server, run_id)
    assert info["status"] == "FAILED"
    assert "partition" in tags["foundry.reason"]
    assert items(tracked) == []


@pytest.fixture
def proxy(mlflow_server: MlflowLab) -> Iterator[tuple[str, threading.Event, threading.Event]]:
    """A way to the server that keeps back the answer to a new record while `hold` is set."""
    hold, made = threading.Event(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.pass_on(None)

        def do_POST(self) -> None:
            self.pass_on(self.rfile.read(int(self.headers["Content-Length"])))

        def pass_on(self, body: bytes | None) -> None:
            asked = urllib.request.Request(
                mlflow_server.url + self.path, body, {"Content-Type": "application/json"}
            )
            try:
                with urllib.request.urlopen(asked, timeout=30) as answer:
                    code, data = answer.status, answer.read()
            except urllib.error.HTTPError as error:
                code, data = error.code, error.read()
            if hold.is_set() and self.path.endswith("runs/create"):
                made.set()
                return
            self.send_response(code)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", hold, made
    server.shutdown()
    server.server_close()


def test_killed_when_the_record_was_just_made(
    lab: SlurmLab,
    tracked: Foundry,
    mlflow_server: MlflowLab,
    script: Script,
    proxy: tuple[str, threading.Event, threading.Event],
) -> None:
    url, hold, made = proxy
    tracked.env["MLFLOW_TRACKING_URI"] = url
    # The wrapper keeps the command from ending when its answer never comes.
    hold.set()
    child = tracked.start("submit", *ARGS, script())
    assert made.wait(30)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    hold.clear()
    _, link = the_link(tracked)
    assert link["mlflow_run_id"] is None
    (run_id,) = by_tag(mlflow_server, "foundry.submit_id", link["token"])
    (item,) = items(tracked)
    assert (item["did"], item["mlflow_run_id"]) == ("repaired", run_id)
    info, tags = record(mlflow_server, run_id)
    assert info["status"] == "FAILED"
    assert "never submitted" in tags["foundry.reason"]
    assert jobs(lab) == []
    assert items(tracked) == []


def slow_slurm(lab: SlurmLab, foundry: Foundry, sbatch: str) -> tuple[str, ...]:
    """Options for a cluster whose `sbatch` is this shell script."""
    folder = foundry.home / "slow"
    folder.mkdir()
    (folder / "sbatch").write_text(f"#!/bin/sh\n{sbatch}\n")
    (folder / "sbatch").chmod(0o755)
    for program in ("squeue", "scontrol", "sacct", "sacctmgr", "sinfo", "scancel"):
        (folder / program).symlink_to(f"/usr/bin/{program}")
    config = foundry.home / "slow.toml"
    config.write_text(f'[slurm.lab]\nconf = "{lab.env["SLURM_CONF"]}"\nbin = "{folder}"\n')
    return ("--config", str(config))


def killed_in_sbatch(foundry: Foundry, args: tuple[str, ...], path: str) -> None:
    sent = foundry.home / "sent"
    child = foundry.start(*args, "submit", *ARGS, path)
    until(sent.exists, 30, "sbatch to be called", 0.05)
    child.send_signal(signal.SIGKILL)
    child.communicate()


def test_killed_between_the_record_and_slurm(
    lab: SlurmLab, tracked: Foundry, mlflow_server: MlflowLab, script: Script
) -> None:
    args = slow_slurm(lab, tracked, f"touch {tracked.home}/sent; exec sleep 60")
    killed_in_sbatch(tracked, args, script())
    path, link = the_link(tracked)
    (item,) = items(tracked)
    assert item["did"] == "waits", "what was sent may still be on its way"
    assert record(mlflow_server, link["mlflow_run_id"])[0]["status"] == "SCHEDULED"
    path.write_text(json.dumps({**link, "sent_at": "2026-01-01T00:00:00Z"}))
    (item,) = items(tracked)
    assert item["did"] == "repaired"
    info, tags = record(mlflow_server, link["mlflow_run_id"])
    assert info["status"] == "FAILED"
    assert "never submitted" in tags["foundry.reason"]
    assert items(tracked) == []


def test_killed_between_slurm_and_the_tag(
    lab: SlurmLab, tracked: Foundry, mlflow_server: MlflowLab, script: Script
) -> None:
    sbatch = f'/usr/bin/sbatch "$@"\ntouch {tracked.home}/sent\nexec sleep 60'
    args = slow_slurm(lab, tracked, sbatch)
    path = script()
    killed_in_sbatch(tracked, args, path)
    _, link = the_link(tracked)
    run_id = link["mlflow_run_id"]
    assert "foundry.slurm.job_id" not in record(mlflow_server, run_id)[1]
    (item,) = items(tracked)
    (job,) = jobs(lab)
    assert (item["run"], item["mlflow_run_id"]) == (f"lab/{job}", run_id)
    assert record(mlflow_server, run_id)[1]["foundry.slurm.job_id"] == job
    again = tracked("submit", *ARGS, "--source", "lab", path)
    assert "not submitted again" in again.err, "the other record is no other submit"
    assert jobs(lab) == [job]
    assert by_tag(mlflow_server, "mlflow.source.name", path) == [run_id]


def test_the_first_try_of_a_broken_off_submit_is_tied_when_it_is_found(
    lab: SlurmLab, tracked: Foundry, mlflow_server: MlflowLab, script: Script
) -> None:
    sbatch = f'/usr/bin/sbatch "$@"\ntouch {tracked.home}/sent\nexec sleep 60'
    args = slow_slurm(lab, tracked, sbatch)
    path = script()
    killed_in_sbatch(tracked, args, path)
    again = tracked("submit", *ARGS, "--source", "lab", "--json", path)
    assert "not submitted again" in again.err
    _, link = the_link(tracked)
    assert again.json["run"]["mlflow_run_id"] == link["mlflow_run_id"]
    (job,) = jobs(lab)
    assert record(mlflow_server, link["mlflow_run_id"])[1]["foundry.slurm.job_id"] == job


def test_a_server_that_is_down(lab: SlurmLab, on_lab: Foundry, script: Script) -> None:
    (port,) = free_ports(1)
    on_lab.env["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{port}"
    path = script()
    answer = on_lab("submit", *ARGS, path)
    assert (answer.code, "nothing was sent" in answer.err) == (3, True), answer
    assert "--unlinked" in answer.err
    assert jobs(lab) == []
    assert on_lab("sync").code == 3
    sent = on_lab("submit", *ARGS, "--unlinked", "--json", path)
    assert sent.code == 0, sent.err
    assert sent.json["run"]["mlflow_run_id"] is None
    (job,) = jobs(lab)
    environment = lab.run(["scontrol", "show", "job", job]).stdout.decode()
    assert "MLFLOW_RUN_ID" not in environment


def test_a_server_that_is_down_is_asked_about_on_a_terminal(
    lab: SlurmLab, on_lab: Foundry, script: Script
) -> None:
    (port,) = free_ports(1)
    on_lab.env["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{port}"
    for typed, code, count in ((b"n\n", 1, 0), (b"y\n", 0, 1)):
        assert on_terminal(on_lab, ("submit", *ARGS, script()), typed) == code
        assert len(jobs(lab)) == count


def on_terminal(foundry: Foundry, args: tuple[str, ...], typed: bytes) -> int:
    """Run a command on a terminal, and type when it asks; its exit code."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [FOUNDRY, *args],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=foundry._environment(),
        cwd=foundry.home,
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    deadline = time.monotonic() + 60
    asked = False
    while time.monotonic() < deadline:
        if not select.select([ours], [], [], 0.2)[0]:
            if child.poll() is not None:
                break
            continue
        try:
            shown += os.read(ours, 4096)
        except OSError:  # the other side is closed
            break
        if not asked and b"[y/N]" in shown:
            asked = True
            os.write(ours, typed)
    os.close(ours)
    assert asked, shown
    return child.wait(20)


def test_without_a_server_the_run_is_unlinked_and_says_so(
    lab: SlurmLab, on_lab: Foundry, script: Script
) -> None:
    answer = on_lab("submit", *ARGS, "--json", script())
    assert answer.code == 0
    assert "not linked to MLflow" in answer.err
    assert answer.json["run"]["mlflow_run_id"] is None
    assert on_lab("sync").code == 3
    (shown,) = on_lab("inspect", answer.json["run"]["native_id"], "--json").json["runs"]
    assert shown["mlflow"] is None


def test_the_embedded_server(
    lab: SlurmLab, on_lab: Foundry, mlflow_server: MlflowLab, script: Script
) -> None:
    on_lab.env["PATH"] = f"{mlflow_server.python.parent}:{os.environ['PATH']}"
    child = on_lab.start("tracking", "up", "--port", "0")
    place = on_lab.home / "state" / "foundry" / "tracking.json"
    try:
        until(lambda: place.exists() or child.poll() is not None, 120, "the server to be up", 0.2)
        assert place.exists(), child.communicate()
        url = json.loads(place.read_text())["url"]
        second = on_lab("tracking", "up")
        assert (second.code, url in second.err) == (1, True)
        job, run_id = submitted(on_lab, script("exit 0"))
        lab.wait(job, "COMPLETED")
        (item,) = items(on_lab)
        assert (item["mlflow_run_id"], item["after"]) == (run_id, "FINISHED")
    finally:
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=60)
    assert child.returncode == 0
    assert not place.exists()
    assert "not linked" in on_lab("submit", *ARGS, script()).err


def test_the_collector_keeps_records_true(
    lab: SlurmLab, tracked: Foundry, mlflow_server: MlflowLab, script: Script
) -> None:
    job, run_id = submitted(tracked, script())
    lab.wait(job, "RUNNING")
    lab.run(["scancel", job])
    lab.wait(job, "CANCELLED")
    collector = tracked.start("collect")
    try:
        until(lambda: record(mlflow_server, run_id)[0]["status"] == "KILLED", 60, "the record")
    finally:
        collector.send_signal(signal.SIGTERM)
        collector.communicate(timeout=30)
    assert collector.returncode == 0
