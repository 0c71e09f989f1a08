"""A simulated estate whose clock the tests move."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from foundry_tui.schedulers.simulated import build
from foundry_tui.schedulers.simulated.live import SPEED
from foundry_tui.schedulers.simulated.runai import RunaiManners
from foundry_tui.schedulers.simulated.slurm import SlurmManners

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def pass_simulated(self, seconds: float) -> None:
        """Let so much simulated time pass."""
        self.now += timedelta(seconds=seconds / SPEED)


@pytest.fixture
def clock() -> Clock:
    """The clock of the estate."""
    return Clock()


@pytest.fixture
def estate(clock: Clock) -> tuple[SlurmManners, RunaiManners]:
    """Both sources, acts in memory."""
    return build(None, clock)


@pytest.fixture
def slurm(estate: tuple[SlurmManners, RunaiManners]) -> SlurmManners:
    """The source in Slurm's manners."""
    return estate[0]


@pytest.fixture
def runai(estate: tuple[SlurmManners, RunaiManners]) -> RunaiManners:
    """The source in Run:ai's manners."""
    return estate[1]
