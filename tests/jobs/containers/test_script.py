"""The script of a pod, run by a shell with the variables that the training operator sets."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from foundry_tui.jobs.record.prologue import lines
from foundry_tui.jobs.spec import JobSpec, Launcher, Secret
from tests.jobs.containers.made import ONE, SHAPES, cases, script_of

POD = {
    "MASTER_ADDR": "x-master-0",
    "MASTER_PORT": "23456",
    "WORLD_SIZE": "2",
    "RANK": "1",
    "PET_NNODES": "2",
}
SAYS = '#!/bin/sh\nfor word; do printf "%s\\n" "$word"; done\n'
PROGRAM = 'echo "$RANK ${MLFLOW_RUN_ID:-none}"\n'


def run(text: str, folder: Path, **env: str) -> list[str]:
    """The lines that a script prints where torchrun and mpirun print their words."""
    for name in ("torchrun", "mpirun"):
        (folder / name).write_text(SAYS)
        (folder / name).chmod(0o755)
    path = {"PATH": f"{folder}:/usr/bin:/bin"}
    done = subprocess.run(
        ["/bin/sh", "-c", text, "train"], capture_output=True, text=True, env={**path, **env}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def torchrun(shape: str, **more: object) -> JobSpec:
    changed = {"launcher": Launcher.TORCHRUN, "script": PROGRAM, **more}
    return replace(SHAPES[shape], **changed)  # type: ignore[arg-type]


def test_torchrun_meets_where_the_operator_says(tmp_path: Path) -> None:
    words = run(script_of(torchrun("two"), "kai"), tmp_path, **POD)
    assert words[:6] == [
        "--nnodes=2",
        "--nproc-per-node=4",
        "--rdzv-id=train",
        "--rdzv-backend=c10d",
        "--rdzv-endpoint=x-master-0:23456",
        "--no-python",
    ]
    assert not [word for word in words if "WORLD_SIZE" in word]


def test_an_elastic_run_meets_at_its_first_worker(tmp_path: Path) -> None:
    elastic = {"PET_NNODES": "3:8", "PET_RDZV_ENDPOINT": "x-worker-0:23456"}
    words = run(script_of(torchrun("elastic"), "runai"), tmp_path, **elastic)
    assert words[0] == "--nnodes=3:8"
    assert "--rdzv-endpoint=x-worker-0:23456" in words
    assert "--max-restarts=3" in words


def test_without_the_operator_the_number_of_nodes_is_that_of_the_spec(tmp_path: Path) -> None:
    words = run(script_of(torchrun("elastic"), "kai"), tmp_path, MASTER_ADDR="a")
    assert words[0] == "--nnodes=2:8"
    assert "--rdzv-endpoint=a:23456" in words


def test_a_pod_that_is_told_of_no_other_says_so(tmp_path: Path) -> None:
    text = script_of(torchrun("two"), "kai")
    done = subprocess.run(["/bin/sh", "-c", text], capture_output=True, text=True, env={})
    assert done.returncode != 0
    assert "it needs a PyTorchJob" in done.stderr


def test_one_pod_meets_nobody(tmp_path: Path) -> None:
    words = run(script_of(torchrun("one"), "kai"), tmp_path)
    assert words[:4] == ["--nnodes=1", "--nproc-per-node=4", "--standalone", "--no-python"]


@pytest.mark.parametrize("launcher", [Launcher.TORCHRUN, Launcher.DEEPSPEED, Launcher.MPI])
def test_the_first_process_alone_has_the_record(tmp_path: Path, launcher: Launcher) -> None:
    """What the launcher starts is run as it would: with the rank that it sets."""
    (tmp_path / "env").mkdir()
    text = script_of(replace(ONE, launcher=launcher, script=PROGRAM), "runai")
    words = run(text, tmp_path)
    program = words[words.index("/bin/sh") :]
    rank = "OMPI_COMM_WORLD_RANK" if launcher is Launcher.MPI else "RANK"
    for number, record in (("0", "r1"), ("3", "none")):
        env = {"MLFLOW_RUN_ID": "r1", rank: number, "PATH": "/bin"}
        done = subprocess.run(program, capture_output=True, text=True, env=env, check=True)
        assert done.stdout.split()[-1] == record


def test_pods_without_a_launcher_share_one_record_too(tmp_path: Path) -> None:
    text = script_of(replace(SHAPES["two"], script=PROGRAM), "kai")
    assert run(text, tmp_path, RANK="0", MLFLOW_RUN_ID="r1") == ["0 r1"]
    assert run(text, tmp_path, RANK="1", MLFLOW_RUN_ID="r1") == ["1 none"]
    assert run(text, tmp_path, JOB_COMPLETION_INDEX="1", MLFLOW_RUN_ID="r1") == [" none"]


def test_a_task_knows_its_number_under_both_names(tmp_path: Path) -> None:
    program = 'echo "$FOUNDRY_ARRAY_TASK_ID $SLURM_ARRAY_TASK_ID"\n'
    text = script_of(replace(SHAPES["array"], script=program), "kai")
    assert run(text, tmp_path, JOB_COMPLETION_INDEX="7") == ["7 7"]


def test_mpirun_hands_on_what_ssh_would_lose(tmp_path: Path) -> None:
    secret = Secret(variable="HF_TOKEN", name="hf", key="k")
    spec = replace(
        SHAPES["two"], launcher=Launcher.MPI, script=PROGRAM, secrets=(secret,), processes=2
    )
    env = {"MLFLOW_RUN_ID": "r", "FOUNDRY_SEED": "7", "OTHER": "x", "HF_TOKEN": "never"}
    words = run(script_of(spec, "runai"), tmp_path, **env)
    assert words[:2] == ["-np", "4"]
    named = {words[i + 1] for i, word in enumerate(words) if word == "-x"}
    assert named == {"MLFLOW_RUN_ID", "FOUNDRY_SEED", "HF_TOKEN", "HF_HOME"}
    assert "never" not in " ".join(words)


def test_the_threads_of_a_process_are_its_part_of_the_cpus(tmp_path: Path) -> None:
    text = script_of(torchrun("one"), "kai")
    assert "export OMP_NUM_THREADS=${OMP_NUM_THREADS:-8}" in text
    assert "OMP_NUM_THREADS" not in script_of(torchrun("one", cpu_milli=None), "kai")


def test_the_environment_is_told_before_the_program() -> None:
    spec = replace(ONE, script=PROGRAM)
    assert script_of(spec, "kai") == PROGRAM
    recorded = script_of(spec, "kai", recorded=True)
    assert recorded.startswith("\n".join(lines()))
    assert recorded.endswith(f"\n\n{PROGRAM}")


@pytest.mark.parametrize(("kind", "launcher", "shape"), cases())
def test_every_shell_reads_it(kind: str, launcher: Launcher, shape: str, tmp_path: Path) -> None:
    path = tmp_path / "script"
    path.write_text(script_of(replace(SHAPES[shape], launcher=launcher), kind, recorded=True))
    for shell in ("sh", "bash", "dash", "busybox"):
        if found := shutil.which(shell):
            words = (found, "sh", "-n") if shell == "busybox" else (found, "-n")
            subprocess.run([*words, str(path)], check=True)
