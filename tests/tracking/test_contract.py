"""The contract of the port, in memory and on a real MLflow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import pytest

from foundry_tui.tracking.credentials import Credentials
from foundry_tui.tracking.memory import MemoryTracker
from foundry_tui.tracking.mlflow import Mlflow
from foundry_tui.tracking.ports import Point
from tests.lab.mlflow import MlflowLab
from tests.tracking.contract import Bench, Contract


class TestMemory(Contract):
    @pytest.fixture
    def bench(self) -> Bench:
        tracker = MemoryTracker("memory")
        return Bench(
            tracker,
            lambda run_id, params, metrics: tracker.log(run_id, params=params, metrics=metrics),
            tracker.delete,
        )


class TestMlflow(Contract):
    @pytest.fixture
    def bench(self, mlflow_server: MlflowLab) -> Iterator[Bench]:
        tracker = Mlflow(
            "lab",
            mlflow_server.url,
            credentials=Credentials,
            clock=lambda: datetime.now(UTC),
            timeout_s=60,
        )

        def log(
            run_id: str, params: Mapping[str, str], metrics: Mapping[str, Sequence[Point]]
        ) -> None:
            mlflow_server.call(
                "runs/log-batch",
                {
                    "run_id": run_id,
                    "params": [{"key": k, "value": v} for k, v in params.items()],
                    "metrics": [metric(k, p) for k, points in metrics.items() for p in points],
                },
            )

        def delete(run_id: str) -> None:
            mlflow_server.call("runs/delete", {"run_id": run_id})

        yield Bench(tracker, log, delete)
        tracker.close()


def metric(key: str, point: Point) -> dict[str, object]:
    """One metric as MLflow's own client sends it."""
    value: float | str = point.value
    if not math.isfinite(point.value):
        value = str(point.value).replace("inf", "Infinity").replace("nan", "NaN")
    ms = round(point.at.timestamp() * 1000)
    return {"key": key, "value": value, "timestamp": ms, "step": point.step}
