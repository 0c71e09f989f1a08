"""What each launcher looks like on Slurm. FOUNDRY_GOLDEN=1 writes the files anew, to be read."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from foundry_tui.jobs.spec import Launcher
from tests.jobs.launchers.made import SHAPES, launched, on_slurm

FOLDER = Path(__file__).parents[1] / "golden" / "slurm"
LAUNCHERS = [launcher for launcher in Launcher if launcher is not Launcher.HOROVOD]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_it_is_what_was_read_by_eye(launcher: Launcher, shape: str) -> None:
    made = on_slurm(launched(launcher, shape))
    told = [*(f"# sbatch {o}" for o in made.submit.options), *(f"# {n}" for n in made.notes)]
    text = made.submit.script.decode() + "\n" + "\n".join(told) + "\n"
    path = FOLDER / f"{launcher}-{shape}.sh"
    if os.environ.get("FOUNDRY_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.sh")), ids=lambda path: path.name)
def test_bash_reads_it(path: Path) -> None:
    for shell in ("bash", "sh"):
        subprocess.run([shell, "-n", str(path)], check=True)
    if checker := shutil.which("shellcheck"):
        # SC1090: what defines `module` is found out on the node.
        options = ("--severity=warning", "--exclude=SC1090")
        subprocess.run([checker, *options, str(path)], check=True)


def test_horovod_is_started_as_mpi_is() -> None:
    for shape in SHAPES:
        mpi, horovod = (
            on_slurm(launched(launcher, shape)).submit
            for launcher in (Launcher.MPI, Launcher.HOROVOD)
        )
        assert mpi == horovod
