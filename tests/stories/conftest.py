"""`foundry` as a user starts it: its own process, its own folders, the lab's Slurm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.lab.slurm import SlurmLab

FOUNDRY = str(Path(sys.executable).with_name("foundry"))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command printed, its exit code and how long it took."""

    code: int
    out: str
    err: str
    wall_s: float

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(slots=True)
class Foundry:
    """Runs `foundry` with folders of its own; nothing of the caller's configuration is seen."""

    home: Path
    env: dict[str, str] = field(default_factory=dict)
    timeout_s: float = 60.0

    def start(self, *args: str) -> subprocess.Popen[bytes]:
        """The command as a running process, to be killed or waited for."""
        return subprocess.Popen(
            [FOUNDRY, *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self._environment(),
            cwd=self.home,
        )

    def __call__(self, *args: str, stdin: bytes | None = None) -> Answer:
        started = time.monotonic()
        done = subprocess.run(
            [FOUNDRY, *args],
            input=stdin if stdin is not None else b"",
            capture_output=True,
            env=self._environment(),
            cwd=self.home,
            timeout=self.timeout_s,
            check=False,
        )
        wall_s = time.monotonic() - started
        err = done.stderr.decode("utf-8", "replace")
        assert "Traceback" not in err, err
        return Answer(done.returncode, done.stdout.decode("utf-8", "replace"), err, wall_s)

    def _environment(self) -> dict[str, str]:
        clean = {
            k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "XDG", "FOUNDRY"))
        }
        runtime = self.home / "run"
        runtime.mkdir(mode=0o700, exist_ok=True)
        return {
            **clean,
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(runtime),
            "XDG_STATE_HOME": str(self.home / "state"),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "COLUMNS": "120",
            **self.env,
        }


@pytest.fixture
def foundry(tmp_path: Path) -> Foundry:
    """`foundry` on a host without any scheduler."""
    return Foundry(tmp_path, {"PATH": _without_slurm(tmp_path)})


def _without_slurm(folder: Path) -> str:
    """A PATH on which no Slurm program is found."""
    empty = folder / "bin"
    empty.mkdir(exist_ok=True)
    return str(empty)


@pytest.fixture
def on_lab(lab: SlurmLab, tmp_path: Path) -> Foundry:
    """`foundry` on a login node of the lab's cluster."""
    return Foundry(tmp_path, {"SLURM_CONF": lab.env["SLURM_CONF"]})


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], str]:
    """Makes a batch script and returns its path."""

    def make(body: str = "sleep 300", name: str = "job.sh") -> str:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n#SBATCH --output={tmp_path}/%j.out\n{body}\n")
        return str(path)

    return make
