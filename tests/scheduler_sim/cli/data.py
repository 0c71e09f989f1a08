"""The small trace of the documentation, and the command called as a person would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scheduler_sim.cli import main

DATA = Path(__file__).parents[3] / "data"
NODES = DATA / "openb-small-nodes.csv"
PODS = DATA / "openb-small-pods.csv"
LISTS = ("--nodes", str(NODES), "--pods", str(PODS))


class Told:
    """What a command printed, and its exit code."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)


class Command:
    """Runs `scheduler-sim` in this process."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd

    def __call__(self, *args: str | Path) -> Told:
        code = main([str(arg) for arg in args])
        return Told(code, *self._capfd.readouterr())

    def refused(self, *args: str | Path) -> str:
        """What was said on standard error by a command that did nothing."""
        told = self(*args)
        assert told.code in (1, 2)
        assert told.out == ""
        assert "Traceback" not in told.err
        assert "fault of the program" not in told.err
        return told.err
