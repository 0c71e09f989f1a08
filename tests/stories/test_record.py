"""What the record of a run holds after its end, on a real Slurm and a real MLflow server."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.lab.daemons import until
from tests.lab.mlflow import MlflowLab
from tests.lab.slurm import SlurmLab
from tests.stories.conftest import Foundry

SPEC = """\
version: 1
name: recorded
command: |
  echo "trained with ${lr}"
  sleep 8
gpus: 1
queue: gpu
params: {lr: 3e-4}
seed: 7
workdir: {tree}
experiment: what is recorded
tags: {team: nlp}
data:
  - {name: corpus, path: corpus.csv}
"""


@pytest.fixture
def tracked(on_lab: Foundry, mlflow_server: MlflowLab) -> Foundry:
    """`foundry` of a user who has set MLFLOW_TRACKING_URI."""
    on_lab.env["MLFLOW_TRACKING_URI"] = mlflow_server.url
    return on_lab


def git(folder: Path, *args: str) -> str:
    who = {f"GIT_{w}_{n}": "t@e" for w in ("AUTHOR", "COMMITTER") for n in ("NAME", "EMAIL")}
    done = subprocess.run(
        ["git", "-C", str(folder), *args],
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **who},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().strip()


def repository(home: Path) -> Path:
    """A repository with one commit, and changes that are not committed."""
    tree = home / "project"
    tree.mkdir()
    git(tree, "init", "-q", "-b", "main")
    git(tree, "remote", "add", "origin", "https://ann:secret@git.example.org/project.git")
    (tree / "train.py").write_text("lr = 1\n")
    git(tree, "add", "-A")
    git(tree, "commit", "-qm", "first")
    (tree / "train.py").write_text("lr = 2\n")
    (tree / "new file.py").write_text("x = 1\n")
    (tree / "corpus.csv").write_text("a,b\n1,2\n")
    (tree / "weights.bin").touch()
    os.truncate(tree / "weights.bin", 200 << 20)
    return tree


def run_of(server: MlflowLab, run_id: str) -> dict[str, Any]:
    address = f"{server.url}/api/2.0/mlflow/runs/get?run_id={run_id}"
    with urllib.request.urlopen(address, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)["run"]
    return found


def pairs(run: dict[str, Any], what: str) -> dict[str, Any]:
    return {one["key"]: one["value"] for one in run["data"].get(what, [])}


def artifact(server: MlflowLab, run: dict[str, Any], path: str) -> bytes | None:
    """A file of the record; None where there is none yet."""
    place = run["info"]["artifact_uri"].removeprefix("mlflow-artifacts:/").strip("/")
    address = f"{server.url}/api/2.0/mlflow-artifacts/artifacts/{place}/{path}"
    try:
        with urllib.request.urlopen(address, timeout=30) as answer:
            data: bytes = answer.read()
    except urllib.error.HTTPError as error:
        assert error.code == 404, error.read()
        return None
    return data


def test_a_record_holds_what_makes_the_run_again(
    lab: SlurmLab, tracked: Foundry, mlflow_server: MlflowLab
) -> None:
    tree = repository(tracked.home)
    spec = tree / "foundry.yaml"
    spec.write_text(SPEC.replace("{tree}", str(tree)))
    answer = tracked("submit", "--json", str(spec))
    assert answer.code == 0, answer.err
    job, run_id = answer.json["run"]["native_id"], answer.json["run"]["mlflow_run_id"]
    assert "weights.bin" in answer.err and "larger than 8 MiB" in answer.err
    lab.wait(job, "RUNNING")
    tracked("sync")
    nodes = pairs(run_of(mlflow_server, run_id), "tags")["foundry.nodes"]
    assert nodes in lab.run(["scontrol", "show", "job", job]).stdout.decode()
    run = run_of(mlflow_server, run_id)
    until(
        lambda: artifact(mlflow_server, run, "foundry/environment.txt") is not None,
        60,
        "the job to tell its environment",
        0.5,
    )
    environment = (artifact(mlflow_server, run, "foundry/environment.txt") or b"").decode()
    assert "# host" in environment and "# pip freeze" in environment
    lab.wait(job, "COMPLETED", timeout_s=60)
    until(lambda: ended(tracked, mlflow_server, run_id), 60, "the accounting to have it", 1.0)

    run = run_of(mlflow_server, run_id)
    tags, params, metrics = (pairs(run, what) for what in ("tags", "params", "metrics"))
    assert run["info"]["status"] == "FINISHED"
    assert tags["mlflow.source.git.commit"] == git(tree, "rev-parse", "HEAD")
    assert tags["mlflow.source.git.branch"] == "main"
    assert tags["mlflow.source.git.repoURL"] == "https://git.example.org/project.git"
    assert (tags["foundry.git.dirty"], tags["team"]) == ("true", "nlp")
    assert params == {"lr": "3e-4", "seed": "7"}
    assert len(tags["foundry.spec_id"]) == 64

    patch = artifact(mlflow_server, run, "foundry/patch.diff") or b""
    assert tags["foundry.git.patch_sha256"] == hashlib.sha256(patch).hexdigest()
    clone = tracked.home / "clone"
    git(tracked.home, "clone", "-q", str(tree), str(clone))
    (tracked.home / "patch.diff").write_bytes(patch)
    git(clone, "apply", str(tracked.home / "patch.diff"))
    left_by_slurm = f"slurm-{job}.out"
    same = {p.name: p.read_bytes() for p in tree.iterdir() if p.is_file()}
    del same[left_by_slurm]
    for told_otherwise in ("weights.bin", "corpus.csv", "foundry.yaml"):
        del same[told_otherwise]
    assert {p.name: p.read_bytes() for p in clone.iterdir() if p.is_file()} == same

    resolved = artifact(mlflow_server, run, "foundry/spec.resolved.yaml") or b""
    assert b"lr: 3e-4" in resolved or b'lr: "3e-4"' in resolved
    again = tracked.home / "again.yaml"
    again.write_bytes(resolved)
    assert tracked("render", "--source", "lab", str(again)).code == 0, "the spec can be used again"
    sent = (artifact(mlflow_server, run, "foundry/submitted.txt") or b"").decode()
    assert "sbatch" in sent and "trained with" in sent and run_id in sent
    listed = json.loads(artifact(mlflow_server, run, "foundry/data.json") or b"{}")
    digest = "sha256:" + hashlib.sha256(b"a,b\n1,2\n").hexdigest()[:29]
    assert [one["digest"] for one in listed["data"]] == [digest]
    experiment = run["info"]["experiment_id"]
    asked = {"experiment_ids": [experiment], "filter": f"dataset.digest = '{digest}'"}
    found = mlflow_server.call("runs/search", asked)["runs"]
    assert [one["info"]["run_id"] for one in found] == [run_id]

    took_s = elapsed_s(lab, job)
    assert took_s > 0
    assert metrics["foundry/gpu_hours"] == pytest.approx(took_s / 3600, rel=1e-3)
    assert "foundry/gpu_util_pct" not in metrics, "nobody measured it"
    assert "gpu_util_pct" in tags["foundry.figures"]
    assert tags["foundry.gpu_model"]


def ended(foundry: Foundry, server: MlflowLab, run_id: str) -> bool:
    """Whether the record has ended and holds its figures; a pass is made."""
    assert foundry("sync").code == 0
    run = run_of(server, run_id)
    return run["info"]["status"] == "FINISHED" and "foundry.figures" in pairs(run, "tags")


def elapsed_s(lab: SlurmLab, job: str) -> int:
    """How long the job ran, as the accounting has it."""
    done = lab.run(["sacct", "-n", "-X", "-P", "-j", job, "-o", "ElapsedRaw"])
    return int(done.stdout.split()[0])


def test_a_shell_job_that_knows_only_curl(
    lab: SlurmLab, tracked: Foundry, mlflow_server: MlflowLab
) -> None:
    tree = repository(tracked.home)
    api = "$MLFLOW_TRACKING_URI/api/2.0/mlflow/runs/log-metric"
    path = tree / "job.sh"
    path.write_text(
        f"""\
#!/bin/sh
#SBATCH --output=/dev/null
curl -sf "{api}" -H 'Content-Type: application/json' \\
  -d "{{\\"run_id\\":\\"$MLFLOW_RUN_ID\\",\\"key\\":\\"loss\\",\\"value\\":0.5,\\"timestamp\\":1}}"
echo "a result" > {tree}/result.txt
curl -sf -T {tree}/result.txt "$FOUNDRY_ARTIFACTS/result.txt"
"""
    )
    answer = tracked("submit", "-p", "cpu", "--json", str(path))
    assert answer.code == 0, answer.err
    job, run_id = answer.json["run"]["native_id"], answer.json["run"]["mlflow_run_id"]
    lab.wait(job, "COMPLETED", timeout_s=60)
    run = run_of(mlflow_server, run_id)
    assert pairs(run, "metrics")["loss"] == 0.5
    assert artifact(mlflow_server, run, "result.txt") == b"a result\n"
    tags = pairs(run, "tags")
    assert tags["mlflow.source.git.commit"] == git(tree, "rev-parse", "HEAD")
    patch = artifact(mlflow_server, run, "foundry/patch.diff") or b""
    assert b"+lr = 2" in patch and b"job.sh" in patch
    sent = artifact(mlflow_server, run, "foundry/submitted.txt") or b""
    assert sent.endswith(path.read_bytes())
    assert artifact(mlflow_server, run, "foundry/spec.resolved.yaml") is None
