"""The contract of the port, in memory and on a real MLflow."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

import pytest

from foundry_tui.estate.tracked import Point, TrackStatus
from foundry_tui.tracking.credentials import Credentials
from foundry_tui.tracking.memory import MemoryTracker
from foundry_tui.tracking.mlflow import Mlflow
from foundry_tui.tracking.ports import TrackerDenied
from tests.lab.mlflow import MlflowLab
from tests.tracking.conftest import PASSWORD, logged_in
from tests.tracking.contract import Bench, Contract
from tests.tracking.contract_search import SearchContract
from tests.tracking.contract_writing import WritingContract


class TestMemory(Contract, SearchContract, WritingContract):
    @pytest.fixture
    def bench(self) -> Bench:
        tracker = MemoryTracker("memory")
        return Bench(
            tracker,
            lambda run_id, params, metrics: tracker.trained(run_id, params=params, metrics=metrics),
            tracker.delete,
        )


class TestMlflow(Contract, SearchContract, WritingContract):
    @pytest.fixture
    def bench(self, mlflow_server: MlflowLab) -> Iterator[Bench]:
        yield from benches(mlflow_server, Credentials)


class TestMlflowWithALogin(Contract, SearchContract, WritingContract):
    """By a user who is not the administrator."""

    @pytest.fixture
    def bench(self, mlflow_login: MlflowLab) -> Iterator[Bench]:
        yield from benches(mlflow_login, logged_in("ann", PASSWORD))

    def test_there_is_no_run_that_nobody_made(self, bench: Bench) -> None:
        """With a login, a run that is not there is one that is not to be seen."""
        calls: tuple[Callable[[], object], ...] = (
            lambda: bench.tracker.get("0" * 32),
            lambda: bench.tracker.update("0" * 32, status=TrackStatus.FAILED),
        )
        for call in calls:
            with pytest.raises(TrackerDenied, match="403: Permission denied"):
                call()
        assert bench.tracker.history("0" * 32, "loss") == ()
        assert bench.tracker.curves(["0" * 32, "1" * 32], "loss") == {}


def benches(server: MlflowLab, credentials: Callable[[], Credentials]) -> Iterator[Bench]:
    """A real server as a bench."""
    tracker = Mlflow(
        "lab",
        server.url,
        credentials=credentials,
        clock=lambda: datetime.now(UTC),
        timeout_s=60,
    )

    def log(run_id: str, params: Mapping[str, str], metrics: Mapping[str, Sequence[Point]]) -> None:
        server.call(
            "runs/log-batch",
            {
                "run_id": run_id,
                "params": [{"key": k, "value": v} for k, v in params.items()],
                "metrics": [metric(k, p) for k, points in metrics.items() for p in points],
            },
        )

    def delete(run_id: str) -> None:
        server.call("runs/delete", {"run_id": run_id})

    yield Bench(tracker, log, delete)
    tracker.close()


def metric(key: str, point: Point) -> dict[str, object]:
    """One metric as MLflow's own client sends it."""
    value: float | str = point.value
    if not math.isfinite(point.value):
        value = str(point.value).replace("inf", "Infinity").replace("nan", "NaN")
    ms = round(point.at.timestamp() * 1000)
    return {"key": key, "value": value, "timestamp": ms, "step": point.step}
