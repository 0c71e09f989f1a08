"""A shell inside a run: its exact command, and every reason why there is none."""

from __future__ import annotations

import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from foundry_tui.actions import shell
from foundry_tui.actions.errors import ActionError
from foundry_tui.actions.site import Options, Site
from foundry_tui.config.model import Config
from foundry_tui.estate.run import RunState
from foundry_tui.process import user_name
from foundry_tui.schedulers.slurm.adapter import SlurmAdapter
from tests.lab.slurm import SlurmLab
from tests.tui.estates import a_run

MINE = a_run(7, user=user_name())


def lab_site(**given: Any) -> Site:
    site = Site(**{**_PLAIN, **given})
    site.schedulers = {"lab": SlurmAdapter("lab", conf="/etc/lab/slurm.conf", folder="/bin")}
    return site


_PLAIN: dict[str, Any] = {
    "options": Options(),
    "config": Config(),
    "mode": "live",
    "tell": lambda words: None,
}


@pytest.mark.parametrize(
    ("given", "run", "why"),
    [
        ({"mode": "demo"}, MINE, "simulated"),
        ({"mode": "saved"}, MINE, "saved"),
        ({"options": Options(read_only=True)}, MINE, "read-only"),
        ({"config": Config(read_only=True)}, MINE, "read-only"),
        ({}, replace(MINE, state=RunState.PENDING), "pending"),
        ({}, replace(MINE, state=RunState.FAILED), "failed"),
        ({}, replace(MINE, user="zoe-else"), "zoe-else"),
        ({}, replace(MINE, user=None), "unknown"),
        ({}, replace(MINE, scheduler="runai"), "Slurm"),
    ],
)
def test_where_there_is_no_shell_the_reason_is_told(
    given: dict[str, Any], run: Any, why: str
) -> None:
    site = lab_site(**given)
    assert why in (shell.refusal(site, run) or "")
    with pytest.raises(ActionError, match=why):
        shell.argv(site, run)


def test_without_srun_it_says_so(tmp_path: Path) -> None:
    site = lab_site()
    site.schedulers = {"lab": SlurmAdapter("lab", folder=str(tmp_path))}
    with pytest.raises(ActionError, match="srun"):
        shell.argv(site, MINE)


@pytest.mark.slurm
def test_the_command_runs_inside_the_run(lab: SlurmLab, tmp_path: Path) -> None:
    conf = str(lab.root / "etc/slurm.conf")
    adapter = SlurmAdapter("lab", conf=conf)
    site = lab_site()
    site.schedulers = {"lab": adapter}
    batch = ("sbatch", "--parsable", "--array=3-4", "--time=5", "--output=/dev/null")
    sent = subprocess.run(
        [*batch, "--wrap=sleep 300"],
        env={"PATH": "/usr/bin:/bin", "SLURM_CONF": conf},
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    job = sent.stdout.strip()
    end = time.monotonic() + 60
    while True:
        runs = adapter.snapshot().runs
        run = next((r for r in runs if r.native_id == f"{job}_3"), None)
        if run is not None and run.state is RunState.RUNNING:
            break
        assert time.monotonic() < end, runs
        time.sleep(0.3)
    argv = shell.argv(site, run)
    assert argv[:2] == ("env", f"SLURM_CONF={conf}")
    number = argv[3].removeprefix("--jobid=")
    assert number.isdecimal()
    assert argv[4:] == ("--overlap", "--pty", "bash", "-l")
    # Without a terminal there is no --pty: the same step, with one command in it.
    told = subprocess.run(
        [*argv[:5], "printenv", "SLURM_JOB_ID"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd="/",
    )
    subprocess.run(["scancel", job], env={"PATH": "/usr/bin:/bin", "SLURM_CONF": conf}, check=True)
    assert told.returncode == 0, told.stderr
    assert told.stdout.strip() == number
