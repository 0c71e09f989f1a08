"""The port: what a tracking server is asked for, and the nouns of its answers.

`mlflow.Mlflow` serves it over REST, `memory.MemoryTracker` in this process; the same contract
tests run on both (`tests/tracking/test_contract.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from foundry_tui.estate.text import SafeText


class TrackingError(Exception):
    """A tracking server could not do it. `asked` is what was wanted, `hint` what to do next."""

    def __init__(self, asked: str, answer: str, hint: str = "") -> None:
        super().__init__(f"{asked}: {answer}" + (f"; {hint}" if hint else ""))
        self.asked, self.answer, self.hint = asked, answer, hint


class TrackerDown(TrackingError):
    """The server did not answer, or not as a tracking server: exit code 3."""


class TrackerDenied(TrackingError):
    """The server answered and refuses this user, or this name of the server."""


class TrackStatus(StrEnum):
    """The five states of an MLflow run."""

    SCHEDULED = "SCHEDULED"
    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


ENDED = frozenset({TrackStatus.FINISHED, TrackStatus.FAILED, TrackStatus.KILLED})
"""States that a tracked run does not leave by itself."""


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a metric. `value` may be NaN or infinite; a scale must leave those out."""

    step: int
    at: datetime
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedRun:
    """One run of the tracking server. Keys and values are safe text; `metrics` are the latest.

    `tags` hold the server's exact words too, because tokens and ids are compared with them.
    """

    run_id: str
    experiment_id: str
    name: SafeText
    status: TrackStatus
    started_at: datetime | None = None
    ended_at: datetime | None = None
    params: Mapping[str, SafeText] = field(default_factory=dict)
    metrics: Mapping[str, Point] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of `foundry doctor` about the server."""

    what: str
    state: str
    found: SafeText
    mend: str | None = None


class Tracker(Protocol):
    """One tracking server. Every call ends within its deadline; creating is never sent twice.

    All calls may raise:
        TrackerDown: no answer, or none of a tracking server.
        TrackerDenied: the user, or the server's name, is refused.
        TrackingError: the server understood and said no; the message tells why.
    """

    name: str
    url: str

    def probe(self) -> tuple[Finding, ...]:
        """What is found of the server. Never raises."""

    def create(
        self, experiment: str, *, name: str, tags: Mapping[str, str], started_at: datetime
    ) -> TrackedRun:
        """A new run in this experiment (made when absent), in the state SCHEDULED.

        A queued job must not look as if it trained: the server's own default is RUNNING.
        """

    def find(self, tag: str, value: str) -> tuple[TrackedRun, ...]:
        """The runs of all experiments with this tag, newest first: the way to repair a link."""

    def get(self, run_id: str) -> TrackedRun | None:
        """The run with its params, latest metrics and tags; None when there is none."""

    def update(
        self,
        run_id: str,
        *,
        status: TrackStatus | None = None,
        ended_at: datetime | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Set tags first, then status and end. Doing it twice changes nothing."""

    def history(self, run_id: str, metric: str, *, most: int = 320) -> tuple[Point, ...]:
        """The metric over its steps, at most about `most` points, in the order of the steps."""

    def page(self, run: TrackedRun) -> str:
        """The address of the run in the server's web pages."""
