"""The command under test."""

from __future__ import annotations

import pytest

from tests.scheduler_sim.cli.data import Command


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    """`scheduler-sim`, called in this process."""
    return Command(capfd)


@pytest.fixture(autouse=True)
def plain_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that are started compile nothing: half a minute each, for the same bits."""
    monkeypatch.setenv("FOUNDRY_NUMBA", "0")
