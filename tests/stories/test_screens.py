"""The screens on a real cluster, by keys alone: what the terminal shows, and what Slurm says."""

from __future__ import annotations

import csv
import json
import shlex
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.estate.test_text import HOSTILE
from tests.lab.daemons import LabError, until
from tests.lab.mlflow import MlflowLab
from tests.lab.slurm import SlurmLab
from tests.stories.conftest import Foundry
from tests.stories.seated import Gate, Seat

Script = Callable[..., str]
HOLD_S = 2
PROMPT_S = 2.0
"""A key that waits for a source waits longer; one that has to share two cores does not."""
WIDE = (200, 50)
SLURM = ("squeue", "scontrol", "sacct", "sacctmgr", "sinfo", "scancel", "sbatch", "sprio", "sshare")


def sit(lab: SlurmLab, foundry: Foundry, *words: str, slurm: str = "", **more: Any) -> Seat:
    """The list of runs on a terminal of a login node; sources are read as often as may be."""
    config = foundry.home / "foundry.toml"
    config.write_text(
        f'[slurm.lab]\nconf = "{lab.env["SLURM_CONF"]}"\n{slurm}\n'
        f"[intervals]\nrefresh_s = 10\nslow_s = 10\n[screens]\nhold_s = {HOLD_S}\n"
    )
    seat = Seat(foundry.home, "--config", str(config), *words, env=foundry.env, **more)
    try:
        seat.wait_for("foundry · lab")
        seat.until(lambda: "data now" in seat.text, "the first reading", 20)
        seat.do("2", lambda: " run" in seat.lines[2])
    except BaseException:
        seat.close()
        raise
    return seat


def squeue(lab: SlurmLab, *options: str) -> list[str]:
    return lab.run(["squeue", "-h", *options]).stdout.decode().split()


def history(foundry: Foundry) -> list[str]:
    """The acts of the journal, oldest first."""
    told = foundry("journal", "--json").json["journal"]
    return [entry["act"] for entry in told][::-1]


def on_row(seat: Seat, job: str) -> None:
    """Put the cursor on a run, among all that are shown."""
    seat.filter(f"id={job}")
    seat.refreshed(lambda: f" {job} " in seat.row, f"run {job} under the cursor")


def held(seat: Seat) -> bool:
    """Whether the first line tells of something that is held."""
    return "held " in seat.lines[0]


# -- finding


def test_find_a_waiting_run_and_read_why(lab: SlurmLab, on_lab: Foundry) -> None:
    for n in range(6):
        lab.submit("-p", "cpu", "-J", f"busy-{n}")
    needle = lab.submit("-p", "h100", "--gres=gpu:1", "-H", "-J", "needle")
    with sit(lab, on_lab) as seat:
        seat.wait_for("busy-3")
        seat.filter("state=pending needle")
        seat.until(
            lambda: "needle" in seat.row and "busy" not in seat.text, "the waiting run alone"
        )
        seat.until(lambda: "1 match" in seat.lines[2], "that it is the only one")
        seat.do("w", "Next step")
        seat.until(lambda: "$ " in seat.text, "the command of the next step")
        seat.until(
            lambda: f"› {needle}" in seat.text or f"lab/{needle} needle" in seat.text, "its name"
        )
        seat.wait_for("held")
        command = seat.line_with("$ ").partition("$ ")[2]
        assert needle in command
        seat.press("y")
        seat.until(lambda: seat.copied == [command], "the command in the clipboard")
        lab.run(shlex.split(command))
        lab.wait(needle, "RUNNING")
        seat.do("escape", lambda: "needle" in seat.row)
        seat.refreshed(lambda: "No runs match" in seat.text, "that nothing waits any more")
        assert seat.leave() == 0


def test_filter_mark_and_export_what_is_seen(lab: SlurmLab, on_lab: Foundry) -> None:
    wanted = [lab.submit("-p", "cpu", "-H", "-J", f"sweep-{n}") for n in range(5)]
    others = [lab.submit("-p", "cpu", "-H", "-J", f"other-{n}") for n in range(4)]
    with sit(lab, on_lab) as seat:
        seat.filter("sweep user=lab_alice state=pending")
        seat.until(lambda: "5 match" in seat.lines[2], "five of them")
        seat.press("home", "space", "space", "space")
        seat.until(lambda: "3 marked" in seat.lines[2], "that three are marked")
        seat.until(lambda: sum(line.startswith("*") for line in seat.lines) == 3, "three marks")
        seat.do("e", "write CSV to:")
        seat.do("enter", "wrote 5 runs")
        (path,) = on_lab.home.glob("foundry-runs-*.csv")
        rows = list(csv.DictReader(path.read_text().splitlines()))
        assert {row["native_id"] for row in rows} == set(wanted), "what is seen, and nothing else"
        assert {row["user"] for row in rows} == {"lab_alice"}
        assert not {row["native_id"] for row in rows} & set(others)
        seat.do("y", "copy:")
        seat.do("r", "copied")
        copied = list(csv.DictReader(seat.copied[0].splitlines()))
        assert len(copied) == 3, "of the marked ones"
        assert {row["native_id"] for row in copied} <= set(wanted)
        seat.do("e", "write CSV to:")
        seat.press("ctrl+u")
        seat.type(str(path))
        seat.press("enter")
        seat.until(lambda: "write CSV to:" in seat.last, "that it is asked again")
        seat.wait_for("that file exists")
        assert list(csv.DictReader(path.read_text().splitlines())) == rows, "nothing is overwritten"


# -- acts


def test_submit_and_follow_to_the_end(lab: SlurmLab, on_lab: Foundry, script: Script) -> None:
    go = on_lab.home / "go"
    body = f"echo hello from $SLURM_JOB_PARTITION\nwhile [ ! -e {go} ]; do sleep 0.2; done"
    path = script(f"{body}\necho good bye", name="form.sh")
    with sit(lab, on_lab) as seat:
        seat.do("n", "New run")
        seat.type(path)
        seat.press("enter")
        seat.type("-p cpu")
        seat.press("enter", "enter")
        seat.until(lambda: "estimate:" in seat.text and "-p cpu" in seat.text, "what is sent", 20)
        seat.until(lambda: "asking its scheduler" not in seat.text, "the estimate", 20)
        seat.do("enter", lambda: "type y to submit it" in seat.text and "sbatch" in seat.text)
        seat.press("enter", "enter", "space", "enter")
        seat.paste("y\n")
        seat.wait_for("a paste does not confirm")
        assert squeue(lab) == []
        seat.settle(0.5)
        seat.do("y", lambda: held(seat))
        assert squeue(lab) == [], "it is held first"
        seat.until(lambda: bool(squeue(lab)), "the job in the queue", 20)
        (job,) = squeue(lab, "-o", "%i")
        seat.wait_for(f"submitted lab/{job}", 20)
        seat.until(lambda: f"{job} form.sh" in seat.text, "the run itself", 30)
        seat.refreshed(lambda: "running" in seat.text, "that it runs")
        seat.do("l", "hello from cpu", 20)
        go.touch()
        lab.wait(job, "COMPLETED")
        seat.wait_for("good bye", 20)
        seat.do("escape", lambda: "› log" not in seat.text)
        seat.refreshed(lambda: "completed" in seat.text, "that it ended")
        assert history(on_lab) == ["submit"]
        assert squeue(lab) == []
        assert seat.leave() == 0


def test_cancel_is_held_and_can_be_withdrawn(lab: SlurmLab, on_lab: Foundry) -> None:
    job = lab.submit("-p", "cpu", "-J", "mine", user=None)
    lab.wait(job, "RUNNING")
    with sit(lab, on_lab) as seat:
        on_row(seat, job)
        seat.press("c", *["y"] * 20)
        seat.settle()
        seat.walk("escape", "escape")
        seat.until(lambda: "match" not in seat.lines[2] and not held(seat), "everything left")
        on_row(seat, job)
        seat.do("c", "type y to do it")
        _hold_down(seat, "y")
        _hold_down(seat, "enter")
        seat.press("space", "enter", "space")
        seat.paste("y")
        seat.wait_for("a paste does not confirm")
        seat.until(
            lambda: f"scancel {job}" in seat.text or f"scancel -- {job}" in seat.text, "the command"
        )
        seat.do("escape", lambda: "type y" not in seat.text)
        assert lab.states(job) == {"RUNNING"}
        assert history(on_lab) == []
        seat.do("c", "type y to do it")
        seat.settle(0.5)
        seat.do("y", lambda: held(seat))
        seat.do("u", "not sent: cancel")
        with pytest.raises(LabError, match="in vain"):
            until(lambda: lab.states(job) != {"RUNNING"}, HOLD_S + 2, "a cancel that was withdrawn")
        assert history(on_lab) == []
        seat.do("c", "type y to do it")
        seat.settle(0.5)
        seat.do("y", lambda: held(seat))
        assert lab.states(job) == {"RUNNING"}, "it is held first"
        lab.wait(job, "CANCELLED")
        assert history(on_lab) == ["cancel"]
        seat.refreshed(lambda: "cancelled" in seat.row, "that it was cancelled")
        seat.do("L", "scancel")
        assert seat.leave() == 0


def _hold_down(seat: Seat, key: str, seconds: float = 1.5) -> None:
    """A key that is held down: it repeats every 30 ms."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        seat.press(key)
        time.sleep(0.03)


def test_many_take_their_count(lab: SlurmLab, on_lab: Foundry) -> None:
    jobs = [lab.submit("-p", "cpu", "-J", f"bob-{n}", user="lab_bob") for n in range(3)]
    kept = lab.submit("-p", "cpu", "-J", "alice")
    for job in (*jobs, kept):
        lab.wait(job, "RUNNING")
    with sit(lab, on_lab) as seat:
        seat.filter("user=lab_bob state=running")
        seat.until(lambda: "3 match" in seat.lines[2], "three of them")
        seat.press("*", "c")
        seat.wait_for("type 3y")
        seat.settle(0.5)
        seat.do("y", "y is wrong")
        assert "type 3y" in seat.text and not held(seat)
        seat.press("backspace")
        seat.type("3y")
        seat.until(lambda: held(seat), "three that are held")
        for job in jobs:
            lab.wait(job, "CANCELLED")
        assert lab.states(kept) == {"RUNNING"}
        assert seat.leave() == 0


def test_read_only_says_so_before_the_key(lab: SlurmLab, on_lab: Foundry) -> None:
    job = lab.submit("-p", "cpu", user=None)
    lab.wait(job, "RUNNING")
    with sit(lab, on_lab, "--read-only") as seat:
        on_row(seat, job)
        seat.until(lambda: "read-only" in seat.lines[0], "that nothing can be changed")
        for key in ("c", "b", "n"):
            seat.do(key, "read-only: --read-only")
            seat.settle(0.1)
            assert "type y" not in seat.text
        assert lab.states(job) == {"RUNNING"}


# -- names


def test_names_that_slurm_lets_through(lab: SlurmLab, on_lab: Foundry) -> None:
    raw = [
        name if isinstance(name, bytes) else name.encode()
        for kind, name in HOSTILE.items()
        if kind != "lone surrogate" and len(name) < 300
    ]
    script = b"#!/bin/sh\n" + b"".join(b"printf '%%s\\n' %s\n" % _quoted(n) for n in raw)
    jobs = []
    for name in (n for n in raw if b"\0" not in n):
        argv = ["-p", "cpu", "-H", f"--job-name={name.decode('utf-8', 'surrogateescape')}"]
        jobs.append(lab.submit(*argv, user=None))
    loud = lab.submit("-p", "cpu", "-J", "loud", user=None, script=script + b"exec sleep 300\n")
    lab.wait(loud, "RUNNING")
    with sit(lab, on_lab, size=WIDE) as seat:
        seat.filter("state=pending")
        seat.until(lambda: f"{len(jobs)} match" in seat.lines[2], "one row each")
        seat.until(lambda: all(seat.line_with(f" {job} ") for job in jobs), "the rows")
        for job in jobs:
            seat.filter(f"id={job}")
            seat.do("c", "type y to do it")
            seat.do("escape", lambda: "type y" not in seat.text)
        for job in jobs[:3]:
            seat.filter(f"id={job}")
            seat.do("w", "Next step", 20)
            seat.do("escape", lambda: "Next step" not in seat.text)
        seat.filter(f"id={loud}")
        seat.do("l", "=cmd()", 20)
        seat.do("escape", lambda: "› log" not in seat.text)
        seat.do("1", "Longest waits")
        seat.settle()
        assert not seat.strays()
        assert not seat.copied
        assert lab.states(jobs[0]) == {"PENDING"}
        assert seat.leave() == 0


def _quoted(word: bytes) -> bytes:
    return b"'" + word.replace(b"\0", b"").replace(b"'", b"") + b"'"


# -- the tracked record


@pytest.fixture
def gate(mlflow_server: MlflowLab) -> Iterator[Gate]:
    """A way to the tracking server that can be shut."""
    gate = Gate(mlflow_server.url)
    yield gate
    gate.close()


@pytest.fixture
def logged(lab: SlurmLab, on_lab: Foundry, script: Script, gate: Gate) -> str:
    """A running job that has logged a parameter and three metrics to its record."""
    on_lab.env["MLFLOW_TRACKING_URI"] = gate.url
    points = [
        {"key": "loss", "value": 2 / (step + 1), "timestamp": 1795000000000 + step, "step": step}
        for step in range(40)
    ]
    odd = [("worst", "NaN"), ("most", "Infinity"), ("least", "-Infinity")]
    for key, value in odd:
        points += [
            {"key": key, "value": v, "timestamp": 1795000000000 + n, "step": n}
            for n, v in enumerate((1.0, value, 3.0, value))
        ]
    (on_lab.home / "points.json").write_text(json.dumps(points))
    api = "$MLFLOW_TRACKING_URI/api/2.0/mlflow/runs"
    body = f"""\
send() {{ curl -sSf -H 'Content-Type: application/json' "{api}/$1" -d "$2"; }}
record="\\"run_id\\":\\"$MLFLOW_RUN_ID\\""
send log-parameter "{{$record,\\"key\\":\\"lr\\",\\"value\\":\\"0.003\\"}}"
send log-batch "{{$record,\\"metrics\\":$(cat {on_lab.home}/points.json)}}"
touch {on_lab.home}/logged
exec sleep 300"""
    sent = on_lab("submit", "-p", "cpu", "--experiment", "screens", "--json", script(body))
    assert sent.code == 0, sent.err
    until((on_lab.home / "logged").exists, 40, "the job to have logged")
    return str(sent.json["run"]["native_id"])


def braille(text: str) -> int:
    """Cells of a text that are dots of a curve."""
    return sum(0x2801 <= ord(char) <= 0x28FF for char in text)


@pytest.mark.parametrize("size", [(80, 24), WIDE], ids=["80x24", "200x50"])
def test_read_a_curve(lab: SlurmLab, on_lab: Foundry, logged: str, size: tuple[int, int]) -> None:
    with sit(lab, on_lab, size=size) as seat:
        on_row(seat, logged)
        seat.do("i", f"{logged} ")
        if size[0] < 120:
            for _ in range(6):
                seat.press("tab")
                seat.settle(0.2)
                if "MLflow" in seat.text:
                    break
        seat.wait_for("Parameters")
        while "0.003" not in seat.text:
            seat.do("down", lambda before=seat.text: seat.text != before)  # type: ignore[misc]
        shown: dict[str, str] = {}
        for _ in range(4):
            before = seat.last
            seat.do("m", lambda b=before: " of 4" in seat.last and seat.last != b)  # type: ignore[misc]
            name = seat.last.strip().partition(",")[0]
            seat.until(lambda n=name: f">{n}" in seat.text, f"{name} chosen")  # type: ignore[misc]
            seat.settle(0.3)
            shown[name] = seat.text
        assert set(shown) == {"loss", "worst", "most", "least"}
        assert "0.05 @39" in shown["loss"]
        assert braille(shown["loss"]) > 5
        assert "NaN @3" in shown["worst"]
        assert "∞ @3" in shown["most"] and "-∞ @3" in shown["least"].replace("−", "-")
        seat.press("o")
        seat.until(lambda: bool(seat.copied), "the address in the clipboard")
        assert seat.copied[0].startswith("http://127.0.0.1:")
        seat.until(lambda: seat.copied[0][:50] in seat.last, "the address on the last line")
        assert not seat.strays()
        assert seat.leave() == 0


REFUSALS = [
    (403, "Invalid Host header - possible DNS rebinding attack detected", "403"),
    (401, "You are not authenticated", "401"),
    (502, "<html><h1>502 Bad Gateway</h1>", "502"),
]


def test_a_tracking_server_that_refuses_or_hangs(
    lab: SlurmLab, on_lab: Foundry, logged: str, gate: Gate
) -> None:
    with sit(lab, on_lab, size=WIDE) as seat:
        on_row(seat, logged)
        for status, words, told in REFUSALS:
            gate.shut = (status, words)
            seat.do("i", f"{logged} ")
            seat.until(lambda t=told: t in seat.text, told, 20)  # type: ignore[misc]
            assert "0.003" not in seat.text
            assert seat.key_s() < PROMPT_S
            seat.do("escape", lambda: f" {logged} " in seat.row)
        gate.shut = (Gate.HANGS, "")
        seat.do("i", f"{logged} ")
        waits = [seat.key_s() for _ in range(10)]
        assert max(waits) < PROMPT_S, waits
        seat.until(lambda: "no answer" in seat.text or "timed out" in seat.text, "why", 20)
        gate.shut = None
        seat.refreshed(lambda: "0.003" in seat.text, "the record again")
        assert seat.leave() == 0


def test_hostile_words_of_a_tracking_server(
    lab: SlurmLab, on_lab: Foundry, logged: str, gate: Gate
) -> None:
    names = [n for key, n in HOSTILE.items() if isinstance(n, str) and "surrogate" not in key]

    def bend(data: bytes) -> bytes:
        told = json.loads(data)
        if "run" in told:
            record = told["run"]["data"]
            record["params"] = [{"key": n, "value": n} for n in names]
            record["metrics"] += [
                {"key": n, "value": 1.0, "timestamp": 1795000000000, "step": 1} for n in names
            ]
        return json.dumps(told).encode()

    gate.bend = bend
    with sit(lab, on_lab, size=WIDE) as seat:
        on_row(seat, logged)
        seat.do("i", f"{logged} ")
        seat.until(lambda: "[@click=" in seat.text, "names that are hostile", 60)
        for _ in range(len(names)):
            seat.press("m")
        seat.settle()
        assert not seat.strays()
        assert seat.key_s() < PROMPT_S
        assert seat.leave() == 0


# -- tracked runs


def past(server: MlflowLab) -> tuple[str, dict[str, str]]:
    """An experiment with three runs of another program; its name, and run ids by name."""
    name = f"keys-{time.monotonic_ns()}"
    own = server.call("experiments/create", {"name": name})["experiment_id"]
    now_ms, ids = int(time.time() * 1000), dict[str, str]()
    for n, rate in enumerate(("0.1", "0.01", "0.001")):
        began_ms = now_ms - (n + 1) * 3_600_000
        made = server.call(
            "runs/create",
            {"experiment_id": own, "run_name": f"rate-{n}", "start_time": began_ms},
        )
        record = ids[f"rate-{n}"] = made["run"]["info"]["run_id"]
        losses = [
            {"key": "loss", "value": 1 / (step + 1 + n), "timestamp": began_ms + step, "step": step}
            for step in range(20)
        ]
        params = [{"key": "lr", "value": rate}, {"key": "model", "value": "resnet"}]
        server.call("runs/log-batch", {"run_id": record, "params": params, "metrics": losses})
        end = {"run_id": record, "status": "FINISHED", "end_time": began_ms + 60_000}
        server.call("runs/update", end)
    return name, ids


def note_of(server: MlflowLab, record: str) -> str | None:
    """The note of a run, as the server has it."""
    with urllib.request.urlopen(f"{server.url}/api/2.0/mlflow/runs/get?run_id={record}") as answer:
        tags = json.load(answer)["run"]["data"].get("tags", [])
    return next((tag["value"] for tag in tags if tag["key"] == "mlflow.note.content"), None)


def test_compare_tracked_runs_and_note_the_better_one(
    tmp_path: Path, mlflow_server: MlflowLab
) -> None:
    experiment, ids = past(mlflow_server)
    with Seat(tmp_path, env={"MLFLOW_TRACKING_URI": mlflow_server.url}) as seat:
        seat.wait_for("foundry · ")
        seat.do("6", "tracked run", 20)
        seat.filter(f"experiment={experiment}")
        seat.until(lambda: "3 match" in seat.lines[2], "the three of them", 20)
        seat.until(lambda: all(seat.line_with(name) for name in ids), "their rows")
        seat.filter(f"experiment={experiment} metric.loss<0.0499")
        seat.until(
            lambda: "2 match" in seat.lines[2] and "rate-0" not in seat.text,
            "those that reached the loss",
        )
        seat.press("home")
        seat.until(lambda: "rate-1" in seat.row, "the newest of them first")
        seat.do("space", "1 tracked run marked")
        seat.do("space", "2 tracked marked")
        seat.do("=", lambda: "Experiments › Compare" in seat.text)
        seat.wait_for("rows differ", 20)
        seat.until(
            lambda: "0.01" in (rates := seat.line_with(" lr ")) and "0.001" in rates, "both rates"
        )
        assert "resnet" not in seat.text, "what is alike is left out"
        seat.do(".", "resnet")
        seat.until(lambda: braille(seat.text) > 5, "the curves", 20)
        seat.do("escape", lambda: "Compare" not in seat.text.partition("\n─")[0])
        seat.filter(f"experiment={experiment} param.lr=0.001")
        seat.until(lambda: "rate-2" in seat.row and "1 match" in seat.lines[2], "the slow one")
        seat.do("N", "note, seen by all:")
        seat.type("the one to keep")
        seat.do("enter", "note of rate-2 written")
        until(
            lambda: note_of(mlflow_server, ids["rate-2"]) == "the one to keep", 10, "note written"
        )
        assert note_of(mlflow_server, ids["rate-1"]) is None
        seat.do("enter", lambda: "Experiments › rate-2" in seat.text)
        seat.until(lambda: "the one to keep" in seat.line_with("the one"), "the note in the record")
        assert not seat.strays()
        assert seat.leave() == 0


# -- faults


def counted(lab: SlurmLab, foundry: Foundry, squeue_more: str = "") -> tuple[str, Path]:
    """Slurm's commands behind a list of the calls of squeue; and that list."""
    folder, calls = foundry.home / "counted", foundry.home / "calls"
    folder.mkdir()
    (folder / "squeue").write_text(
        f'#!/bin/sh\necho >> {calls}\n{squeue_more}exec /usr/bin/squeue "$@"\n'
    )
    (folder / "squeue").chmod(0o755)
    for program in SLURM[1:]:
        (folder / program).symlink_to(f"/usr/bin/{program}")
    return f'bin = "{folder}"', calls


def polls(calls: Path) -> int:
    return len(calls.read_text().splitlines())


FAILED_POLLS = 4
"""Failing polls in ten minutes at the usual 30 s: after 30, 60, 120 and 240 s more."""


def test_a_hung_controller_never_keeps_a_key(lab: SlurmLab, on_lab: Foundry) -> None:
    job = lab.submit("-p", "cpu", "-J", "kept", user=None)
    lab.wait(job, "RUNNING")
    slurm, calls = counted(lab, on_lab)
    with sit(lab, on_lab, slurm=f"{slurm}\ntimeout_s = 4") as seat:
        on_row(seat, job)
        with lab.controller_hung():
            before, waits = polls(calls), list[float]()
            end = time.monotonic() + 90
            while polls(calls) < before + FAILED_POLLS or "next try" not in seat.text:
                assert time.monotonic() < end, seat.text
                seat.press("r")
                waits += [seat.key_s() for _ in range(5)]
            assert max(waits) < PROMPT_S, sorted(waits)[-5:]
            seat.until(lambda: "!lab" in seat.lines[1], "that the source is silent")
            assert "kept" in seat.row, "what was read last is still there"
            refused = seat.do("c", lambda: "nothing can be sent" in seat.text)
            assert refused < PROMPT_S
            for key, shows in (("1", "QUEUE"), ("3", "NODE"), ("?", "What works")):
                assert seat.do(key, shows) < PROMPT_S
            seat.walk("escape")
            started = time.monotonic()
            assert seat.leave() == 0
            assert time.monotonic() - started < 3


def test_a_restarted_controller_is_found_again_without_a_key(
    lab: SlurmLab, on_lab: Foundry
) -> None:
    job = lab.submit("-p", "cpu", "-J", "before", user=None)
    lab.wait(job, "RUNNING")
    with sit(lab, on_lab) as seat:
        seat.filter("state=running|pending")
        seat.until(lambda: "before" in seat.row, "the run")
        with lab.controller_down():
            seat.until(lambda: "!lab is down" in seat.text, "that it is down", 30)
            seat.wait_for("next try")
            seat.until(lambda: "before" in seat.text, "what was last read")
            assert max(seat.key_s() for _ in range(5)) < PROMPT_S
        after = lab.submit("-p", "cpu", "-H", "-J", "after", user=None)
        seat.until(lambda: f" {after} " in seat.text, "the new run, by itself", 60)
        seat.wait_gone("!lab")
        assert seat.leave() == 0


def test_ten_thousand_runs_in_one_reading(lab: SlurmLab, on_lab: Foundry) -> None:
    lab.submit("-p", "cpu", "-H", "-J", "first", user=None)
    more = "for word; do case $word in --jobs*|-j*) one=1;; esac; done\n"
    more += '[ "$one" ] || set -- "$@" --array\n'
    slurm, _ = counted(lab, on_lab, more)
    with sit(lab, on_lab, slurm=slurm, size=WIDE) as seat:
        seat.until(lambda: "Runs 1 " in seat.lines[1], "the first run")
        lab.submit("-p", "cpu", "-H", "-J", "burst", "--array=0-9999", user=None)
        seat.press("r")
        waits, end = list[float](), time.monotonic() + 60
        while "Runs 10001" not in seat.lines[1].replace(",", ""):
            assert time.monotonic() < end, seat.text
            waits.append(seat.key_s())
        waits += [seat.key_s() for _ in range(5)]
        first = seat.row
        seat.press("end")
        seat.until(lambda: seat.row != first, "the last of them")
        waits.append(seat.do("/", lambda: seat.last.startswith("/")))
        for char in "burst":
            at = seat.last
            waits.append(seat.do(char, lambda a=at, c=char: seat.last == a + c))  # type: ignore[misc]
        seat.until(lambda: "10000 match" in seat.lines[2].replace(",", ""), "all of them")
        assert max(waits) < PROMPT_S, sorted(waits)[-5:]
        seat.walk("escape")
        assert seat.leave() == 0
