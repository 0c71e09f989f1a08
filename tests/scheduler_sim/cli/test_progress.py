"""The bar says why nothing moves at first."""

from __future__ import annotations

import io

import pytest

from scheduler_sim import kernels
from scheduler_sim.cli.progress import Progress


class Terminal(io.StringIO):
    """What is written, by something that passes for a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("kept", [True, False])
def test_before_the_first_step_it_says_that_loops_are_compiled(
    kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = Terminal()
    monkeypatch.setattr("sys.stderr", drawn)
    monkeypatch.setattr(kernels, "KEPT", kept)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    with Progress(2, "queue") as bar:
        assert ("compiling first" in drawn.getvalue()) is not kept
        bar.step()
        bar.step()
    assert drawn.getvalue().count("compiling") == (0 if kept else 1)
