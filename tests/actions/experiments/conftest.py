"""A site with a tracking server in this process, for the tests of comparing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from foundry_tui.actions.site import Options, Site
from foundry_tui.config.model import Config
from foundry_tui.estate.tracked import Point, TrackStatus
from foundry_tui.tracking.link import tags
from foundry_tui.tracking.memory import MemoryTracker

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)

Run = Callable[..., str]


@pytest.fixture
def read_only() -> bool:
    return False


@pytest.fixture
def compared_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_only: bool) -> Site:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    made = Site(
        options=Options(read_only=read_only),
        config=Config(state_dir=tmp_path / "state", cache_dir=tmp_path / "cache"),
        mode="live",
        tell=lambda words: None,
        clock=lambda: NOW,
    )
    made._tracker = MemoryTracker("lab", "https://mlflow.example.org")
    return made


@pytest.fixture
def memory(compared_site: Site) -> MemoryTracker:
    tracker = compared_site.tracker
    assert isinstance(tracker, MemoryTracker)
    return tracker


@pytest.fixture
def logged(memory: MemoryTracker) -> Run:
    """Make a finished run: its parameters, and metrics as the values of their steps."""
    count = 0

    def make(
        name: str,
        params: Mapping[str, str] | None = None,
        metrics: Mapping[str, list[float]] | None = None,
        *,
        experiment: str = "llama",
        more: Mapping[str, str] | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> str:
        nonlocal count
        count += 1
        began = NOW - timedelta(hours=10 - count)
        own = tags(
            user="ann", backend="slurm", cluster="lab", token=f"t{count}", script="a", commit=None
        )
        run = memory.create(experiment, name=name, tags={**own, **(more or {})}, started_at=began)
        points = {
            key: [Point(n, began + timedelta(minutes=n), v) for n, v in enumerate(values)]
            for key, values in (metrics or {}).items()
        }
        memory.trained(run.run_id, params=params or {}, metrics=points)
        memory.update(
            run.run_id, status=TrackStatus.FINISHED, ended_at=began + timedelta(minutes=30)
        )
        for path, data in (files or {}).items():
            memory.write_artifact(run, path, data)
        return run.run_id

    return make
