"""Traps of MLflow that are seen in the text of a program."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from foundry_tui.jobs.preflight import mlflow
from foundry_tui.jobs.preflight.mlflow import Text, has_psutil, programs
from foundry_tui.jobs.preflight.places import Ground
from foundry_tui.jobs.preflight.verdict import Check, State
from foundry_tui.jobs.spec import JobSpec, Launcher

SPEC = JobSpec(name="x", script="python train.py\n")


def ground(folder: Path, kind: str = "slurm") -> Ground:
    return Ground(kind=kind, start=folder, beside=folder)


def checked(spec: JobSpec, folder: Path, kind: str = "slurm", **given: Any) -> dict[str, Check]:
    here = ground(folder, kind)
    whole: dict[str, Any] = {
        "experiment": "mine",
        "server": "http://mlflow:5000",
        "on_loopback": False,
        "inherited": False,
    }
    found = mlflow.check(spec, programs(spec, here), here, **(whole | given))
    return {str(c.name): c for c in found}


def test_a_program_that_sets_another_experiment_is_found(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text('mlflow.set_experiment("theirs")\n')
    found = checked(SPEC, tmp_path)["mlflow experiment"]
    assert found.state is State.WARN
    assert found.words.startswith("train.py sets theirs, its record is in mine: MLflow ends")
    (tmp_path / "train.py").write_text('mlflow.set_experiment("mine")\n')
    assert list(checked(SPEC, tmp_path)) == ["mlflow"]


def test_the_experiment_of_the_program_holds_where_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text('mlflow.set_experiment("theirs")\n')
    found = checked(SPEC, tmp_path, experiment=None)["mlflow experiment"]
    assert (found.state, found.words) == (State.OK, "theirs, which train.py sets")


def test_programs_are_looked_for_in_the_workdir(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "train.py").write_text("x = 1\n")
    spec = replace(SPEC, workdir="p")
    assert programs(spec, ground(tmp_path)) == (
        Text("the script", "python train.py\n"),
        Text("train.py", "x = 1\n"),
    )
    (tmp_path / "run.sh").write_text("python train.py\n")
    inside = programs(replace(spec, script=None, file="run.sh"), ground(tmp_path))
    assert [t.name for t in inside] == ["run.sh", "train.py"]


@pytest.mark.parametrize("name", ["folder.py", "pipe.py", "none.py"])
def test_what_is_no_file_is_not_read(tmp_path: Path, name: str) -> None:
    import os

    (tmp_path / "folder.py").mkdir()
    os.mkfifo(tmp_path / "pipe.py")
    assert mlflow.read_text(tmp_path / name) == ""


@pytest.mark.parametrize(
    ("script", "launcher", "warned"),
    [
        ("torchrun --nproc-per-node=8 train.py\n", Launcher.NONE, True),
        ("exec /opt/bin/torchrun x.py\n", Launcher.NONE, True),
        ("python -m torch.distributed.run x.py\n", Launcher.NONE, True),
        ("cd x && srun python x.py\n", Launcher.NONE, True),
        ("# torchrun was here\npython x.py\n", Launcher.NONE, False),
        ("python torchrunner.py\n", Launcher.NONE, False),
        ("python x.py\n", Launcher.TORCHRUN, False),
    ],
)
def test_several_ranks_with_one_record_are_found(
    tmp_path: Path, script: str, launcher: Launcher, warned: bool
) -> None:
    spec = replace(SPEC, script=script, launcher=launcher)
    assert ("mlflow ranks" in checked(spec, tmp_path)) is warned


def test_a_file_for_several_nodes_starts_its_ranks_itself_on_slurm(tmp_path: Path) -> None:
    (tmp_path / "run.sh").write_text("./go\n")
    spec = replace(SPEC, script=None, file="run.sh", nodes=2)
    assert "mlflow ranks" in checked(spec, tmp_path)
    assert "mlflow ranks" not in checked(spec, tmp_path, kind="kai")
    assert "mlflow ranks" not in checked(replace(spec, nodes=1), tmp_path)


ON = (("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true"),)


def python(folder: Path, code: int) -> Path:
    """A Python that has psutil, or not."""
    program = folder / "python3"
    program.write_text(f"#!/bin/sh\nexit {code}\n")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(("code", "state"), [(0, State.OK), (1, State.WARN), (7, State.WARN)])
def test_system_metrics_need_psutil(tmp_path: Path, code: int, state: State) -> None:
    spec = replace(SPEC, script=f"{python(tmp_path, code)} train.py\n", environment=ON)
    found = checked(spec, tmp_path)["mlflow system metrics"]
    assert found.state is state
    assert ("has no psutil" in found.words) is (code == 1)


def test_a_real_python_is_asked(tmp_path: Path) -> None:
    from importlib.util import find_spec

    spec = replace(SPEC, script=f"{sys.executable} train.py\n")
    assert has_psutil(spec, spec.script or "", ground(tmp_path))[0] is (
        find_spec("psutil") is not None
    )


@pytest.mark.parametrize(
    "given",
    [
        {"modules": ("python/3.12",)},
        {"script": "source venv/bin/activate\npython train.py\n"},
        {"script": "./train\n"},
    ],
)
def test_a_python_that_is_not_known_is_not_guessed(tmp_path: Path, given: dict[str, Any]) -> None:
    spec = replace(SPEC, environment=ON, **given)
    found = checked(spec, tmp_path)["mlflow system metrics"]
    assert found.state is State.WARN
    assert found.words.startswith("need psutil")


def test_a_python_inside_a_container_is_not_looked_at(tmp_path: Path) -> None:
    found = checked(replace(SPEC, environment=ON), tmp_path, kind="kai")["mlflow system metrics"]
    assert "whether the image has it was not looked at" in found.words


def test_who_turns_system_metrics_on(tmp_path: Path) -> None:
    name = "mlflow system metrics"
    assert name not in checked(SPEC, tmp_path)
    assert name in checked(SPEC, tmp_path, inherited=True)
    assert name not in checked(SPEC, tmp_path, kind="kai", inherited=True)
    off = replace(SPEC, environment=((ON[0][0], "false"),))
    assert name not in checked(off, tmp_path, inherited=True)
    (tmp_path / "train.py").write_text("mlflow.enable_system_metrics_logging()\n")
    assert name in checked(SPEC, tmp_path)


def test_a_server_on_loopback_and_no_server_are_said(tmp_path: Path) -> None:
    found = checked(SPEC, tmp_path, server="http://127.0.0.1:1", on_loopback=True)
    assert found["mlflow server"].state is State.WARN
    found = checked(SPEC, tmp_path, server=None)
    assert [c.state for c in found.values()] == [State.SKIPPED]
