"""Only the first of all processes keeps the record; the program is what it was."""

from __future__ import annotations

import subprocess

import pytest

from foundry_tui.jobs.launchers import torchrun
from foundry_tui.jobs.launchers.guard import guarded
from foundry_tui.jobs.spec import JobSpec, Launcher
from tests.jobs.launchers.made import ONE, launched

PRINT = ("/bin/sh", "-c", 'echo "${MLFLOW_RUN_ID-none} $#:$1"', "sh")


@pytest.mark.parametrize(
    ("ranks", "kept"),
    [
        ({}, True),
        ({"RANK": "0", "SLURM_PROCID": "1"}, True),
        ({"RANK": "1", "SLURM_PROCID": "0"}, False),
        ({"SLURM_PROCID": "0"}, True),
        ({"SLURM_PROCID": "3"}, False),
        ({"OMPI_COMM_WORLD_RANK": "2"}, False),
        ({"PMI_RANK": "2"}, False),
        ({"PMIX_RANK": "2", "SLURM_PROCID": "0"}, False),
        ({"PMIX_RANK": "0", "SLURM_PROCID": "2"}, True),
        ({"RANK": "", "SLURM_PROCID": "2"}, False),
    ],
)
def test_the_first_rank_alone_has_the_record(ranks: dict[str, str], kept: bool) -> None:
    text = "it's a 'word' with $HOME and\na second line"
    done = subprocess.run(
        guarded((*PRINT, text)),
        env={"MLFLOW_RUN_ID": "r", **ranks},
        capture_output=True,
        check=True,
    )
    assert done.stdout.decode() == f"{'r' if kept else 'none'} 1:{text}\n"


def test_the_exit_code_is_that_of_the_program() -> None:
    assert subprocess.run(guarded(("/bin/sh", "-c", "exit 7")), check=False).returncode == 7


def test_torchrun_in_words() -> None:
    spec = launched(Launcher.TORCHRUN, "elastic")
    words = torchrun.words(spec, ("a", "b c"), nodes=torchrun.span(spec), rendezvous=("--x=$Y",))
    assert words[:6] == (
        *("torchrun", "--nnodes=2:8", "--nproc-per-node=4", "--x=$Y", "--max-restarts=3"),
        "--no-python",
    )
    assert words[6:] == guarded(("a", "b c"))
    alone = torchrun.head(JobSpec(name="t"), nodes=torchrun.span(ONE), rendezvous=())
    assert alone == ("torchrun", "--nnodes=1", "--nproc-per-node=1", "--no-python")
