"""A run on a tracking server, its experiment, and what it logged: the nouns of an MLflow record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from foundry_tui.estate.recorded import USER_TAG
from foundry_tui.estate.text import SafeText, safe


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
class DataInput:
    """A set of data that a run has read. `digest` has at most 36 characters (MLflow's limit).

    `kind` says what the digest is of: dvc, lfs, delta, content, manifest or stated.
    """

    name: str
    digest: str
    path: str
    kind: str = "content"


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """An experiment of the tracking server. `name` is its exact word, to be compared and sent."""

    id: str
    name: str
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def shown(self) -> SafeText:
        """The name as it is drawn."""
        return safe(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file, or a folder without a size, among the artifacts of a run; `path` from their root."""

    path: str
    folder: bool = False
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class RunPage:
    """Some runs, newest first, and where the next page begins; `after` is None at the end."""

    runs: tuple[TrackedRun, ...]
    after: str | None = None


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
    inputs: tuple[DataInput, ...] = ()
    artifact_uri: str = ""

    @property
    def user(self) -> SafeText | None:
        """Who the client said it was (`mlflow.user`): a label, not an identity."""
        named = self.tags.get(USER_TAG)
        return safe(named) if named else None
