"""A tracking server in this process: for the simulated estate, and for tests.

It keeps the manners of the real one, as `tests/tracking/contract.py` holds both to: the run's name
becomes a tag, a repeated parameter must not change, runs in the trash are not found.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import quote

from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.tracked import (
    Artifact,
    DataInput,
    Experiment,
    Point,
    RunPage,
    TrackedRun,
    TrackStatus,
)
from foundry_tui.tracking import filters, rules
from foundry_tui.tracking.answers import VALUE_CELLS
from foundry_tui.tracking.order import by_step, newest_first, pages_first
from foundry_tui.tracking.ports import Finding, TrackingError


class MemoryTracker:
    """A `Tracker` whose runs live as long as the object. Safe to use from several threads.

    `fault`, while it is set, is raised by every call but `probe` and `page`: the server is down.
    Ids are made from `name` and a count, so that the same simulation has the same ids.
    """

    def __init__(self, name: str, url: str = "http://tracking.invalid") -> None:
        self.name = name
        self.url = url.rstrip("/")
        self.fault: TrackingError | None = None
        self._lock = threading.RLock()
        self._made = 0
        self._experiments: dict[str, str] = {}
        self._experiment_tags: dict[str, dict[str, str]] = {}
        self._runs: dict[str, TrackedRun] = {}
        self._points: dict[tuple[str, str], list[Point]] = {}
        self._files: dict[str, dict[str, bytes]] = {}
        self._trash: set[str] = set()

    def probe(self) -> tuple[Finding, ...]:
        """One line: it is there, unless a fault is set."""
        if self.fault is not None:
            answer = safe(self.fault.answer)
            mend = self.fault.hint or None
            return (Finding(what="mlflow", state="broken", found=answer, mend=mend),)
        return (Finding(what="mlflow", state="found", found=safe(f"simulated, {self.url}")),)

    def create(
        self, experiment: str, *, name: str, tags: Mapping[str, str], started_at: datetime
    ) -> TrackedRun:
        """See the port."""
        with self._ready():
            own = _sent(tags) | {"mlflow.runName": _text(name)}
            self._made += 1
            word = f"{self.name}/{self._made}".encode()
            run_id = hashlib.sha256(word).hexdigest()[:32]
            count = str(len(self._experiments) + 1)
            experiment_id = self._experiments.setdefault(experiment, count)
            run = TrackedRun(
                run_id=run_id,
                experiment_id=experiment_id,
                name=safe(_text(name)),
                status=TrackStatus.SCHEDULED,
                started_at=_to_ms(started_at),
                tags=own,
                artifact_uri=f"mlflow-artifacts:/{experiment_id}/{run_id}/artifacts",
            )
            self._runs[run_id] = run
            return run

    def find(self, tag: str, value: str) -> tuple[TrackedRun, ...]:
        """See the port."""
        with self._ready():
            return newest_first(r for r in self._runs.values() if r.tags.get(tag) == value)

    def get(self, run_id: str) -> TrackedRun | None:
        """See the port."""
        with self._ready():
            return self._runs.get(run_id)

    def update(
        self,
        run_id: str,
        *,
        status: TrackStatus | None = None,
        ended_at: datetime | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """See the port."""
        with self._ready():
            run = self._known(run_id)
            if long := next((key for key in tags or {} if len(key) > rules.KEY_MOST), None):
                problem = f"400: the key {safe(long, max_cells=40)} is longer than {rules.KEY_MOST}"
                raise TrackingError(f"tags of the run {run_id}", problem)
            self._runs[run_id] = replace(
                run,
                status=status or run.status,
                ended_at=run.ended_at if ended_at is None else _to_ms(ended_at),
                tags={**run.tags, **_sent(tags or {})},
            )

    def history(self, run_id: str, metric: str, *, most: int = 320) -> tuple[Point, ...]:
        """See the port. An unknown run has no points, as on the real server."""
        with self._ready():
            return by_step(self._points.get((run_id, metric), ()), most)

    def page(self, run: TrackedRun) -> str:
        """The address that a real server would have."""
        experiment, own = quote(run.experiment_id, safe=""), quote(run.run_id, safe="")
        return f"{self.url}/#/experiments/{experiment}/runs/{own}"

    def curves(
        self, run_ids: Sequence[str], metric: str, *, most: int = 320
    ) -> Mapping[str, tuple[Point, ...]]:
        """See the port."""
        found = {run_id: self.history(run_id, metric, most=most) for run_id in run_ids}
        return {run_id: points for run_id, points in found.items() if points}

    def experiments(self) -> tuple[Experiment, ...]:
        """See the port."""
        with self._ready():
            return tuple(
                Experiment(id=i, name=name, tags=dict(self._experiment_tags.get(i, {})))
                for name, i in self._experiments.items()
            )

    def tag_experiment(self, experiment_id: str, key: str, value: str) -> None:
        """See the port."""
        with self._ready():
            if experiment_id not in self._experiments.values():
                problem = f"404: no experiment {safe(experiment_id)}"
                raise TrackingError(f"the experiment {safe(experiment_id)}", problem)
            self._experiment_tags.setdefault(experiment_id, {})[_text(key)] = _text(value)

    def search(
        self,
        experiment_ids: Sequence[str],
        *,
        where: str = "",
        most: int = rules.RUNS_PER_PAGE,
        after: str | None = None,
    ) -> RunPage:
        """See the port. A page begins where a count says, as on the real server."""
        rules.few_experiments(experiment_ids)
        size = rules.page_size(most)
        asked = f"the runs of {len(experiment_ids)} experiments at {self.url}"
        with self._ready():
            try:
                clauses = filters.parsed(where)
                start = _start(after)
            except ValueError as error:
                raise TrackingError(asked, safe(f"400: {error}", max_cells=300)) from None
            found = pages_first(
                run
                for run in self._runs.values()
                if run.experiment_id in experiment_ids and all(c.holds(run) for c in clauses)
            )
        end = start + size
        return RunPage(found[start:end], str(end) if len(found) > end else None)

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        at: datetime,
    ) -> None:
        """See the port."""
        asked = f"the run {safe(run_id)}"
        rules.keys(asked, "parameter", params or {})
        rules.keys(asked, "metric", metrics or {})
        moment = _to_ms(at)
        points = {key: [Point(0, moment, value)] for key, value in (metrics or {}).items()}
        self.trained(run_id, params=params, metrics=points)

    def trained(
        self,
        run_id: str,
        *,
        params: Mapping[str, str] | None = None,
        metrics: Mapping[str, Iterable[Point]] | None = None,
    ) -> None:
        """What a training script does: parameters once, metrics again and again."""
        with self._ready():
            run = self._known(run_id)
            shown: dict[str, SafeText] = {
                safe(key): safe(rules.param(_text(value)), max_cells=VALUE_CELLS)
                for key, value in (params or {}).items()
            }
            for key, value in shown.items():
                if run.params.get(key, value) != value:
                    problem = f"400: Changing param values is not allowed: {key}"
                    hint = "write what changes between attempts as a tag"
                    raise TrackingError(f"the run {run_id}", problem, hint)
            latest = dict(run.metrics)
            for name, points in (metrics or {}).items():
                kept = self._points.setdefault((run_id, name), [])
                known = {repr(point) for point in kept}  # a NaN is not even like itself
                kept += (point for point in points if repr(point) not in known)
                latest[safe(name)] = max(kept, key=_last)
            self._runs[run_id] = replace(run, params={**run.params, **shown}, metrics=latest)

    def log_inputs(self, run_id: str, inputs: Sequence[DataInput]) -> None:
        """See the port."""
        rules.inputs(f"the run {safe(run_id)}", inputs)
        with self._ready():
            run = self._known(run_id)
            known = {(one.name, one.digest) for one in run.inputs}
            new = tuple(one for one in inputs if (one.name, one.digest) not in known)
            self._runs[run_id] = replace(run, inputs=(*run.inputs, *new))

    def artifacts(self, run: TrackedRun, folder: str = "") -> tuple[Artifact, ...]:
        """See the port. An empty file has no size, as on the real server."""
        asked = f"the artifacts of the run {run.run_id}"
        rules.artifact_root(asked, run)
        if folder:
            rules.artifact_path(asked, folder)
        start = f"{folder}/" if folder else ""
        found: dict[str, Artifact] = {}
        with self._ready():
            for path, data in sorted(self._files.get(run.run_id, {}).items()):
                name, below, _ = path.removeprefix(start).partition("/")
                if path.startswith(start):
                    whole = start + name
                    size = None if below else len(data) or None
                    found[whole] = Artifact(path=whole, folder=bool(below), size_bytes=size)
        return tuple(found.values())

    def read_artifact(self, run: TrackedRun, path: str, *, most_bytes: int) -> bytes | None:
        """See the port."""
        asked = f"the artifact {safe(path, max_cells=80)} of the run {run.run_id}"
        rules.artifact_root(asked, run)
        rules.artifact_path(asked, path)
        with self._ready():
            data = self._files.get(run.run_id, {}).get(path)
        if data is not None and len(data) > most_bytes:
            raise TrackingError(asked, f"it is larger than {most_bytes:,} bytes")
        return data

    def write_artifact(self, run: TrackedRun, path: str, data: bytes) -> None:
        """See the port."""
        asked = f"the artifact {safe(path, max_cells=80)} of the run {run.run_id}"
        rules.artifact_root(asked, run)
        rules.artifact_path(asked, path)
        rules.artifact_data(asked, data)
        with self._ready():
            self._files.setdefault(run.run_id, {})[path] = data

    def delete(self, run_id: str) -> None:
        """Into the trash: it is neither found nor changed any more."""
        with self._ready():
            self._known(run_id)
            del self._runs[run_id]
            self._trash.add(run_id)

    def _ready(self) -> threading.RLock:
        if self.fault is not None:
            raise self.fault
        return self._lock

    def _known(self, run_id: str) -> TrackedRun:
        run = self._runs.get(run_id)
        if run is None:
            hint = "it is in the trash" if run_id in self._trash else ""
            problem = f"404: no run {safe(run_id)} found"
            raise TrackingError(f"the run {safe(run_id)}", problem, hint)
        return run


def _sent(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags as they are kept: what is too long is cut, as by the real server."""
    return {_text(key): _text(value)[: rules.TAG_MOST] for key, value in tags.items()}


def _start(token: str | None) -> int:
    if token is None or (token.isascii() and token.isdigit()):
        return int(token or 0)
    raise ValueError("Invalid page token")


def _last(point: Point) -> tuple[int, datetime, float]:
    """What makes a value the latest; NaN counts as none, for it has no order."""
    return point.step, point.at, 0.0 if math.isnan(point.value) else point.value


def _text(text: str) -> str:
    """`text` after its way through UTF-8."""
    return text.encode("utf-8", "replace").decode()


def _to_ms(moment: datetime) -> datetime:
    """Times are kept in milliseconds."""
    return datetime.fromtimestamp(round(moment.timestamp() * 1000) / 1000, UTC)
