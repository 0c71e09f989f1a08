"""A tracking server in this process: for the simulated estate, and for tests.

It keeps the manners of the real one, as `tests/tracking/contract.py` holds both to: the run's name
becomes a tag, a repeated parameter must not change, runs in the trash are not found.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import quote

from foundry_tui.estate.text import SafeText, safe
from foundry_tui.tracking.order import by_step, newest_first
from foundry_tui.tracking.ports import (
    Finding,
    Point,
    TrackedRun,
    TrackingError,
    TrackStatus,
)

KEY_MOST = 250
"""Characters of a tag's key; a longer one is refused when it is set on a run."""


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
        self._runs: dict[str, TrackedRun] = {}
        self._points: dict[tuple[str, str], list[Point]] = {}

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
            run = TrackedRun(
                run_id=hashlib.sha256(word).hexdigest()[:32],
                experiment_id=self._experiments.setdefault(
                    experiment, str(len(self._experiments) + 1)
                ),
                name=safe(_text(name)),
                status=TrackStatus.SCHEDULED,
                started_at=_to_ms(started_at),
                tags=own,
            )
            self._runs[run.run_id] = run
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
            if long := next((key for key in tags or {} if len(key) > KEY_MOST), None):
                problem = f"400: the key {safe(long, max_cells=40)} is longer than {KEY_MOST}"
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

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, str] | None = None,
        metrics: Mapping[str, Iterable[Point]] | None = None,
    ) -> None:
        """What a training script does: parameters once, metrics again and again."""
        with self._ready():
            run = self._known(run_id)
            latest = dict(run.metrics)
            for key, points in (metrics or {}).items():
                kept = self._points.setdefault((run_id, key), [])
                kept += points
                latest[safe(key)] = max(kept, key=lambda point: (point.step, point.at))
            shown: dict[str, SafeText] = {
                safe(key): safe(value, max_cells=1000) for key, value in (params or {}).items()
            }
            for key, value in shown.items():
                if run.params.get(key, value) != value:
                    problem = f"400: Changing param values is not allowed: {key}"
                    raise TrackingError(f"the run {run_id}", problem)
            self._runs[run_id] = replace(run, params={**run.params, **shown}, metrics=latest)

    def delete(self, run_id: str) -> None:
        """Into the trash: it is neither found nor changed any more."""
        with self._ready():
            self._known(run_id)
            del self._runs[run_id]

    def _ready(self) -> threading.RLock:
        if self.fault is not None:
            raise self.fault
        return self._lock

    def _known(self, run_id: str) -> TrackedRun:
        run = self._runs.get(run_id)
        if run is None:
            raise TrackingError(f"the run {safe(run_id)}", f"404: no run {safe(run_id)} found")
        return run


def _sent(tags: Mapping[str, str]) -> dict[str, str]:
    return {_text(key): _text(value) for key, value in tags.items()}


def _text(text: str) -> str:
    """`text` after its way through UTF-8."""
    return text.encode("utf-8", "replace").decode()


def _to_ms(moment: datetime) -> datetime:
    """Times are kept in milliseconds."""
    return datetime.fromtimestamp(round(moment.timestamp() * 1000) / 1000, UTC)
