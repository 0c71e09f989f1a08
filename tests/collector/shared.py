"""What the tests of collecting have in common: clocks, readers, sources of readings."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from foundry_tui.estate.gpu import Gpu, Tenant
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.reading import Reading
from foundry_tui.estate.run import Run
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.telemetry.ports import Found, Sweep

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


@dataclass
class Clock:
    """A wall clock and a monotonic one that stand still until they are moved."""

    seconds: float = 1000.0

    def wall(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds - 1000.0)

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class Reader:
    """A reader that answers, fails or hangs as told."""

    name: str
    clock: Clock
    error: Exception | None = None
    hang: threading.Event | None = None
    calls: int = 0
    kind: str = "slurm"
    runs: tuple[Run, ...] = field(default=())

    def snapshot(self) -> Snapshot:
        self.calls += 1
        if self.hang is not None:
            self.hang.wait(30)
        if self.error is not None:
            raise self.error
        now = self.clock.wall()
        source = Source(name=self.name, kind=self.kind, state=SourceState.OK, read_at=now)
        node = Node(name="h01", source=self.name, state=NodeState.MIXED, gpu_count=2)
        gpus = tuple(
            Gpu(node="h01", index=i, source=self.name, tenants=(Tenant(f"{self.name}/1", 1000),))
            for i in range(2)
        )
        return Snapshot(
            generated_at=now, sources=(source,), nodes=(node,), gpus=gpus, runs=self.runs
        )


@dataclass
class Gauge:
    """A source of readings that gives what it is told to."""

    sweep: Sweep
    name: str = "nvml"
    asked: list[tuple[str, ...]] = field(default_factory=list)
    error: Exception | None = None
    hang: threading.Event | None = None
    closed: bool = False

    def read(self, nodes: Sequence[str], deadline_s: float) -> Sweep:
        self.asked.append(tuple(nodes))
        if self.hang is not None:
            self.hang.wait(30)
        if self.error is not None:
            raise self.error
        return self.sweep

    def probe(self, nodes: Sequence[str]) -> tuple[Found, ...]:
        return ()

    def close(self) -> None:
        self.closed = True


def utc_now() -> datetime:
    return datetime.now(UTC)


def swept(
    at: datetime, util_pct: float = 40.0, *, source: str = "nvml", node: str = "h01"
) -> Sweep:
    """A sweep over the two GPUs of a node."""
    return Sweep(
        readings=tuple(
            Reading(node=node, index=i, source=source, read_at=at, how="a test", util_pct=util_pct)
            for i in range(2)
        ),
        source=Source(name=source, kind="telemetry", state=SourceState.OK, read_at=at),
    )
