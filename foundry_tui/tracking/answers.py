"""The answers of a tracking server as nouns. All text of the server passes `safe` here."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Annotated

import msgspec

from foundry_tui.estate import tracked
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.tracked import Artifact, DataInput, Point, TrackedRun, TrackStatus

LARGEST = 1.797e308
"""From here on a value stands for infinity: an SQL store keeps the largest double instead."""

EPOCH = datetime.fromtimestamp(0, UTC)
KEY_CELLS = 512
"""More than the 250 characters that a server allows, so that a key can be asked for again."""

VALUE_CELLS = 6000
"""A server keeps as many characters of a parameter: two that differ at the end are not one."""

CONTEXT_TAG = "mlflow.data.context"
KIND_TAG = "foundry.data.kind"
PATH_TAG = "foundry.data.path"
"""Tags of an input. Its path is one: a server keeps one source for all runs of an experiment."""

Id = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_.:-]{1,256}\Z")]
"""The id of a run or an experiment: it is drawn, sent and put into addresses as it is."""


class Pair(msgspec.Struct):
    """A tag or a parameter."""

    key: str
    value: str = ""


class Metric(msgspec.Struct):
    """One value of a metric. A text is NaN or Infinity, which JSON has no number for."""

    key: str
    value: float | str
    timestamp: int = 0
    step: int = 0
    run_id: str = ""

    def __post_init__(self) -> None:
        value = float(self.value)
        self.value = math.copysign(math.inf, value) if abs(value) >= LARGEST else value

    def point(self) -> Point:
        """The value with its step and time."""
        return Point(self.step, _time(self.timestamp) or EPOCH, float(self.value))


class Info(msgspec.Struct):
    """What a run is. Times are milliseconds since 1970, 0 where there is none."""

    run_id: Id
    experiment_id: Id
    status: TrackStatus
    run_name: str = ""
    start_time: int = 0
    end_time: int = 0
    lifecycle_stage: str = "active"
    artifact_uri: str = ""


class Data(msgspec.Struct):
    """What a run has logged."""

    metrics: list[Metric] = []
    params: list[Pair] = []
    tags: list[Pair] = []


class Dataset(msgspec.Struct):
    """A set of data. `source` is JSON in a text, of a shape that `source_type` names."""

    name: str = ""
    digest: str = ""
    source_type: str = ""
    source: str = ""


class DatasetInput(msgspec.Struct):
    """A set of data that a run has read, and what was noted about that."""

    dataset: Dataset = msgspec.field(default_factory=Dataset)
    tags: list[Pair] = []

    def noun(self) -> DataInput:
        """The input in the words of the port; others than ours say nothing of their digest."""
        tags = {tag.key: tag.value for tag in self.tags}
        kind = "delta" if self.dataset.source_type == "delta_table" else "stated"
        return DataInput(
            name=_key(self.dataset.name),
            digest=_key(self.dataset.digest),
            path=safe(tags.get(PATH_TAG) or _source(self.dataset.source), max_cells=VALUE_CELLS),
            kind=_key(tags.get(KIND_TAG, kind)),
        )


class Inputs(msgspec.Struct):
    """What a run has read."""

    dataset_inputs: list[DatasetInput] = []


class Run(msgspec.Struct):
    """One run as the server tells it."""

    info: Info
    data: Data = msgspec.field(default_factory=Data)
    inputs: Inputs = msgspec.field(default_factory=Inputs)

    def noun(self) -> TrackedRun:
        """The run in the words of the port."""
        return TrackedRun(
            run_id=self.info.run_id,
            experiment_id=self.info.experiment_id,
            name=safe(self.info.run_name),
            status=self.info.status,
            started_at=_time(self.info.start_time),
            ended_at=_time(self.info.end_time),
            params={_key(p.key): safe(p.value, max_cells=VALUE_CELLS) for p in self.data.params},
            metrics={_key(m.key): m.point() for m in self.data.metrics},
            tags={t.key: t.value for t in self.data.tags},
            inputs=tuple(one.noun() for one in self.inputs.dataset_inputs),
            artifact_uri=self.info.artifact_uri,
        )


class OneRun(msgspec.Struct):
    """The answer of runs/create and runs/get."""

    run: Run


class Runs(msgspec.Struct):
    """One page of runs/search."""

    runs: list[Run] = []
    next_page_token: str = ""


class Experiment(msgspec.Struct):
    """One experiment."""

    experiment_id: Id
    lifecycle_stage: str = "active"
    name: str = ""
    tags: list[Pair] = []

    def noun(self) -> tracked.Experiment:
        """The experiment in the words of the port."""
        tags = {tag.key: tag.value for tag in self.tags}
        return tracked.Experiment(id=self.experiment_id, name=self.name, tags=tags)


class OneExperiment(msgspec.Struct):
    """The answer of experiments/get-by-name."""

    experiment: Experiment


class Experiments(msgspec.Struct):
    """One page of experiments/search."""

    experiments: list[Experiment] = []
    next_page_token: str = ""


class Created(msgspec.Struct):
    """The answer of experiments/create."""

    experiment_id: Id


class Metrics(msgspec.Struct):
    """The answer of a metric's history, or one page of it."""

    metrics: list[Metric] = []
    next_page_token: str = ""


class File(msgspec.Struct):
    """A file or a folder among artifacts; `path` from the root of the run's."""

    path: str
    is_dir: bool = False
    file_size: int | None = None

    def noun(self) -> Artifact:
        """The artifact in the words of the port."""
        size = None if self.is_dir else self.file_size
        return Artifact(path=self.path, folder=self.is_dir, size_bytes=size)


class Files(msgspec.Struct):
    """One page of artifacts/list."""

    files: list[File] = []
    next_page_token: str = ""


def _source(text: str) -> str:
    """Where data came from, out of the JSON that says so; all of the text where it is unknown."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return text
    words = told if isinstance(told, dict) else {}
    found = (words.get(key) for key in ("uri", "url", "path", "delta_table_name"))
    return next((word for word in found if isinstance(word, str) and word), text)


def _time(ms: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(ms / 1000, UTC) if ms > 0 else None
    except (OverflowError, ValueError, OSError):
        return None


def _key(raw: str) -> SafeText:
    return safe(raw, max_cells=KEY_CELLS)
