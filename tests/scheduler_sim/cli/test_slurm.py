"""`scheduler-sim sweep --slurm` on a real Slurm: an array, the same file, nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.lab.slurm import SlurmLab
from tests.scheduler_sim.cli.data import LISTS

SWEEP = (sys.executable, "-m", "scheduler_sim", "sweep", *LISTS, "--slurm", "--minutes", "5")


def environment(lab: SlurmLab) -> dict[str, str]:
    return {
        "PATH": "/usr/bin:/bin",
        "SLURM_CONF": str(lab.root / "etc/slurm.conf"),
        "PYTHONPATH": str(Path.cwd()),
        "FOUNDRY_NUMBA": "0",  # the tasks start sooner
    }


def test_an_array_fills_the_file(lab: SlurmLab, tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    target = tmp_path / "r.jsonl"
    done = subprocess.run(
        [*SWEEP, "--policies", "bestfit,fgd", "--seeds", "1-2", "--tasks", "2", "-o", str(target)],
        env=environment(lab),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert {(row["policy"], row["seed"]) for row in rows} == {
        (policy, seed) for policy in ("bestfit", "fgd") for seed in (1, 2)
    }


def test_an_unknown_partition_is_one_line(lab: SlurmLab, tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    done = subprocess.run(
        [*SWEEP, "--policies", "fgd", "--partition", "nope", "-o", str(tmp_path / "r.jsonl")],
        env=environment(lab),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    said = done.stderr.splitlines()[-1]
    assert said.startswith("scheduler-sim: --slurm: the array was refused: sbatch: error:")
    assert "Traceback" not in done.stderr


def test_ctrl_c_cancels_the_array(lab: SlurmLab, tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    asked = [*SWEEP, "--policies", "fgd", "--seeds", "1-9000", "--tasks", "2"]
    process = subprocess.Popen(
        [*asked, "-o", str(tmp_path / "r.jsonl")],
        env=environment(lab),
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    deadline = time.monotonic() + 60
    while not queued(lab):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.2)
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(60) == 130
    said = process.stderr.read().decode()
    process.stderr.close()
    assert "Traceback" not in said
    while queued(lab):
        assert time.monotonic() < deadline + 60
        time.sleep(0.2)


def queued(lab: SlurmLab) -> str:
    return lab.run(["squeue", "--noheader", "-o", "%i %T"]).stdout.decode()
