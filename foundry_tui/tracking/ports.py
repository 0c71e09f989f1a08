"""The port: what a tracking server is asked for, and the nouns of its answers.

`mlflow.Mlflow` serves it over REST, `memory.MemoryTracker` in this process; the same contract
tests run on both (`tests/tracking/test_contract.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from foundry_tui.estate.text import SafeText
from foundry_tui.estate.tracked import (
    Artifact,
    DataInput,
    Experiment,
    Point,
    RunPage,
    TrackedRun,
    TrackStatus,
)


class TrackingError(Exception):
    """A tracking server could not do it. `asked` is what was wanted, `hint` what to do next."""

    def __init__(self, asked: str, answer: str, hint: str = "") -> None:
        super().__init__(f"{asked}: {answer}" + (f"; {hint}" if hint else ""))
        self.asked, self.answer, self.hint = asked, answer, hint


class TrackerDown(TrackingError):
    """The server did not answer, or not as a tracking server: exit code 3."""


class TrackerDenied(TrackingError):
    """The server answered and refuses this user, or this name of the server."""


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

    def curves(
        self, run_ids: Sequence[str], metric: str, *, most: int = 320
    ) -> Mapping[str, tuple[Point, ...]]:
        """The metric of several runs, each as `history` gives it; runs without it are absent."""

    def experiments(self) -> tuple[Experiment, ...]:
        """The experiments that are not in the trash."""

    def tag_experiment(self, experiment_id: str, key: str, value: str) -> None:
        """Set a tag of an experiment. Doing it twice changes nothing."""

    def search(
        self,
        experiment_ids: Sequence[str],
        *,
        where: str = "",
        most: int = 200,
        after: str | None = None,
    ) -> RunPage:
        """One page of the runs of these experiments, the last begun first, of one moment by id.

        Never sorted by metric or parameter: that takes an SQLite store 118 s at 10,000 runs.

        Args:
            experiment_ids: at most 200; none means no runs. Who has more asks block by block, and
                each block is in order by itself.
            where: MLflow's filter.
            most: runs of the page; at most 1,000 come.
            after: the page's token. A page is a place in the order: a run that begins meanwhile
                moves the others, so that some come twice.

        Raises:
            ValueError: more experiments than that, or `most` is less than 1.
        """

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        at: datetime,
    ) -> None:
        """Parameters, which never change again, and one value each of metrics, at step 0.

        Doing it twice changes nothing. A parameter of more than 6,000 characters is cut and ends
        in an ellipsis; one that has another value already is an error, and so is a key that
        MLflow does not take: then nothing is written.
        """

    def log_inputs(self, run_id: str, inputs: Sequence[DataInput]) -> None:
        """Which data the run has read. Doing it twice changes nothing.

        A digest of more than 36 characters is an error: it would have to be cut.
        """

    def artifacts(self, run: TrackedRun, folder: str = "") -> tuple[Artifact, ...]:
        """What lies in a folder of the run's artifacts; nothing where there is none.

        Paths are the server's exact words, to be asked for with; draw them through `safe`.
        """

    def read_artifact(self, run: TrackedRun, path: str, *, most_bytes: int) -> bytes | None:
        """The file; None where there is none. One that is larger, or not served, is an error."""

    def write_artifact(self, run: TrackedRun, path: str, data: bytes) -> None:
        """Put a file there through the server; an error where it does not serve artifacts."""

    def page(self, run: TrackedRun) -> str:
        """The address of the run in the server's web pages."""
