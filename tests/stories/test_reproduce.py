"""A run once more, on a real Slurm and a real MLflow server: the same code and inputs."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.lab.mlflow import MlflowLab
from tests.lab.slurm import SlurmLab
from tests.stories.conftest import FOUNDRY, Foundry
from tests.stories.test_record import artifact, git, pairs, run_of

SPEC = """\
version: 1
name: once
script: |
  python3 train.py ${lr} >> told.txt
  sleep 4
gpus: 1
queue: gpu
time_limit: 5m
params: {lr: 3e-4}
seed: 7
experiment: what is reproduced
data:
  - {name: corpus, path: data/corpus.csv}
"""
PROGRAM = """\
import os, sys
from helper import VERSION
rows = open("data/corpus.csv").read().split()
print(VERSION, sys.argv[1], os.environ["FOUNDRY_SEED"], *rows)
"""


@pytest.fixture
def tracked(on_lab: Foundry, mlflow_server: MlflowLab) -> Foundry:
    """`foundry` of a user who has set MLFLOW_TRACKING_URI."""
    on_lab.env["MLFLOW_TRACKING_URI"] = mlflow_server.url
    return on_lab


@pytest.fixture
def tree(tracked: Foundry) -> Path:
    """A repository with the program below its top: a change and a new file are not committed."""
    top = tracked.home / "project"
    here = top / "jobs"
    (here / "data").mkdir(parents=True)
    git(tracked.home, "init", "-q", "-b", "main", str(top))
    (top / ".gitignore").write_text("told.txt\n__pycache__\n*.out\n")
    (here / "train.py").write_text(PROGRAM)
    (here / "helper.py").write_text("VERSION = 'committed'\n")
    git(top, "add", "-A")
    git(top, "commit", "-qm", "first")
    (here / "helper.py").write_text("from new_file import VERSION\n")
    (here / "new_file.py").write_text("VERSION = 'patched'\n")
    (here / "data" / "corpus.csv").write_text("a b\n")
    (here / "once.yaml").write_text(SPEC)
    return here


def submitted(foundry: Foundry, lab: SlurmLab, folder: Path, *args: str) -> str:
    """The id of the record of a spec that was submitted from its folder and has ended."""
    answer = in_folder(foundry, folder, "submit", "--json", "once.yaml", *args)
    assert answer.returncode == 0, answer.stderr
    run = json.loads(answer.stdout)["run"]
    assert "native_id" in run, (answer.stdout, answer.stderr, lab.run(["squeue"]).stdout)
    lab.wait(run["native_id"], "COMPLETED", timeout_s=60)
    assert foundry("sync").code == 0
    return str(run["mlflow_run_id"])


def in_folder(foundry: Foundry, folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """A command whose working directory is this folder."""
    done = subprocess.run(
        [FOUNDRY, *args],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=foundry._environment(),
        cwd=folder,
        timeout=90,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def told(foundry: Foundry, folder: Path, run_id: str) -> tuple[int, dict[str, str]]:
    """What `--check` says: its exit code, and each input with whether it can be had."""
    answer = in_folder(foundry, folder, "reproduce", run_id, "--check", "--json")
    listed: list[dict[str, str]] = json.loads(answer.stdout)["reproduce"]["inputs"]
    return answer.returncode, {one["input"]: one["held"] for one in listed}


def differing(foundry: Foundry, old: str, new: str) -> dict[str, Any]:
    answer = foundry("diff", old, new, "--json")
    assert answer.code == 0, answer.err
    return {f"{row['group']}.{row['key']}": row["values"] for row in answer.json["diff"]["rows"]}


def reverted(tree: Path) -> None:
    """The working tree as it was committed; data and spec stay."""
    git(tree, "checkout", "-q", "-f", "HEAD")
    (tree / "new_file.py").unlink()
    (tree / "told.txt").unlink()


def test_the_same_code_and_inputs_once_more(
    lab: SlurmLab, tracked: Foundry, mlflow_server: MlflowLab, tree: Path
) -> None:
    old = submitted(tracked, lab, tree)
    assert (tree / "told.txt").read_text() == "patched 3e-4 7 a b\n"
    patch = artifact(mlflow_server, run_of(mlflow_server, old), "foundry/patch.diff") or b""
    assert b"new_file.py" in patch and b"corpus" not in patch and b"once.yaml" not in patch
    reverted(tree)
    assert told(tracked, tree, old) == (
        0,
        {
            "spec": "same",
            "code": "same",
            "changes": "same",
            "image": "untold",
            "data corpus": "same",
            "seed": "same",
        },
    )
    again = tracked.home / "again"
    answer = in_folder(tracked, tree, "reproduce", old, "-o", str(again), "--wait", "--json")
    assert answer.returncode == 0, answer.stderr
    new = json.loads(answer.stdout)["diff"]["sides"][1]["run_id"]
    assert (again / "jobs" / "told.txt").read_text() == "patched 3e-4 7 a b\n"
    assert not (tree / "told.txt").exists(), "the working tree is not touched"
    run = run_of(mlflow_server, new)
    tags = pairs(run, "tags")
    assert run["info"]["status"] == "FINISHED"
    assert tags["foundry.reproduces"] == old
    before = pairs(run_of(mlflow_server, old), "tags")
    for same in ("mlflow.source.git.commit", "foundry.git.patch_sha256", "foundry.spec_id"):
        assert tags[same] == before[same], same
    found = differing(tracked, old, new)
    assert found.pop("code.program")[1].startswith(str(again)), "it lies in the new folder"
    assert {key.partition(".")[0] for key in found} <= {"placement", "result"}, found
    listed = tracked("tracked", "--where", f"tag.foundry.reproduces={old}", "--json").json
    assert [one["run_id"] for one in listed["tracked"]] == [new]


def test_data_that_has_changed_is_told(
    lab: SlurmLab, tracked: Foundry, mlflow_server: MlflowLab, tree: Path
) -> None:
    old = submitted(tracked, lab, tree)
    (tree / "data" / "corpus.csv").write_text("a c\n")
    code, inputs = told(tracked, tree, old)
    assert (code, inputs["data corpus"]) == (5, "changed")
    again = tracked.home / "again"
    refused = in_folder(tracked, tree, "reproduce", old, "-o", str(again))
    assert refused.returncode == 2
    assert "not as they were: data corpus" in refused.stderr and "--anyway" in refused.stderr
    assert not again.exists()
    also = in_folder(tracked, tree, "reproduce", old, "--set", "params.lr=1")
    assert also.returncode == 2, "another value is no consent to other data"

    answer = in_folder(
        tracked, tree, "reproduce", old, "-o", str(again), "--anyway",
        "--set", "params.lr=1e-3", "--json",
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    run = json.loads(answer.stdout)["run"]
    lab.wait(run["native_id"], "COMPLETED", timeout_s=60)
    assert (again / "jobs" / "told.txt").read_text() == "patched 1e-3 7 a c\n"
    found = differing(tracked, old, run["mlflow_run_id"])
    assert found["params.lr"] == ["3e-4", "1e-3"]
    assert [key for key in found if key.startswith("data.")] == ["data.corpus"]
    assert [key for key in found if key.startswith(("code.", "patch."))] == ["code.program"]


def test_a_run_of_somebody_else_is_shown_and_asked_about(
    lab: SlurmLab, tracked: Foundry, mlflow_server: MlflowLab, tree: Path
) -> None:
    old = submitted(tracked, lab, tree)
    reverted(tree)
    other = Foundry(tracked.home / "other", dict(tracked.env))
    other.home.mkdir()
    again = other.home / "again"
    refused = in_folder(other, tree, "reproduce", old, "-o", str(again))
    assert refused.returncode == 2 and "somebody else's" in refused.stderr
    assert not again.exists()
    shown = in_folder(other, tree, "reproduce", old, "-o", str(again), "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert "python3 train.py ${lr} >> told.txt" in shown.stderr
    assert "It would run as you" in shown.stderr and "sbatch" in shown.stdout
    jobs = lab.run(["squeue", "-h", "-o", "%i"]).stdout.split()

    said = on_terminal(other, tree, "reproduce", old, "-o", f"{again}-2", answer=b"n\n")
    assert "python3 train.py" in said and "[y/N]" in said and "nothing was changed" in said
    assert lab.run(["squeue", "-h", "-o", "%i"]).stdout.split() == jobs
    answer = in_folder(other, tree, "reproduce", old, "-o", f"{again}-3", "--yes", "--json")
    assert answer.returncode == 0, answer.stderr
    run = json.loads(answer.stdout)["run"]
    lab.wait(run["native_id"], "COMPLETED", timeout_s=60)
    assert Path(f"{again}-3", "jobs", "told.txt").read_text() == "patched 3e-4 7 a b\n"


def on_terminal(foundry: Foundry, folder: Path, *args: str, answer: bytes) -> str:
    """What a command says on a terminal of its own, where its question gets this answer."""
    mine, theirs = pty.openpty()
    child = subprocess.Popen(
        [FOUNDRY, *args],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=foundry._environment(),
        cwd=folder,
        start_new_session=True,
    )
    os.close(theirs)
    said, asked, give_up = b"", False, time.monotonic() + 60
    while time.monotonic() < give_up:
        if select.select([mine], [], [], 0.2)[0]:
            try:
                part = os.read(mine, 1 << 16)
            except OSError:  # the other end is closed
                break
            said += part
        if not asked and b"[y/N]" in said:
            os.write(mine, answer)
            asked = True
    child.wait(10)
    os.close(mine)
    return said.decode("utf-8", "replace").replace("\r\n", "\n")


def test_what_leads_to_the_code_of_now_is_told(
    lab: SlurmLab, tracked: Foundry, mlflow_server: MlflowLab, tree: Path
) -> None:
    spec = tree / "once.yaml"
    spec.write_text(SPEC.replace("python3 train.py", f"python3 {tree}/train.py"))
    old = submitted(tracked, lab, tree)
    code, inputs = told(tracked, tree, old)
    assert (code, inputs["paths"]) == (5, "changed")
    spec.write_text(f"{SPEC}workdir: {tree}\n")
    old = submitted(tracked, lab, tree)
    reverted(tree)
    assert told(tracked, tree, old)[0] == 0
    again = tracked.home / "again"
    answer = in_folder(tracked, tree, "reproduce", old, "-o", str(again), "--json")
    assert answer.returncode == 0, answer.stderr
    run = json.loads(answer.stdout)["run"]
    lab.wait(run["native_id"], "COMPLETED", timeout_s=60)
    assert (again / "jobs" / "told.txt").read_text() == "patched 3e-4 7 a b\n"
    assert not (tree / "told.txt").exists(), "it starts in the new folder"
