"""One sweep: a source that is slow, mute or wrong costs the others nothing."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from foundry_tui.collector.backoff import LONGEST_S, Backoff
from foundry_tui.collector.collect import Collector
from foundry_tui.estate.gpu import Gpu, Reading, Tenant
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.ports import Denied, SchedulerReader, Unavailable
from foundry_tui.store.snapshots import Snapshots

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


def collector(clock: Clock, *readers: Reader, store: Snapshots | None = None) -> Collector:
    made: list[SchedulerReader] = list(readers)  # type: ignore[arg-type]
    return Collector(made, clock.wall, store=store, monotonic=clock.monotonic, interval_s=30.0)


def states(snapshot: Snapshot) -> dict[str, SourceState]:
    return {s.name: s.state for s in snapshot.sources}


def test_one_bad_source_leaves_the_others_alone() -> None:
    clock = Clock()
    good, bad = Reader("good", clock), Reader("bad", clock, Unavailable("squeue", "no answer"))
    odd = Reader("odd", clock, ZeroDivisionError("surprise"))
    denied = Reader("denied", clock, Denied("squeue", "Access/permission denied"))
    snapshot = collector(clock, good, bad, odd, denied).collect()
    assert states(snapshot) == {
        "good": SourceState.OK,
        "bad": SourceState.DOWN,
        "odd": SourceState.DOWN,
        "denied": SourceState.DENIED,
    }
    assert [n.source for n in snapshot.nodes] == ["good"]


def test_the_last_good_data_stays_with_its_age() -> None:
    clock = Clock()
    reader = Reader("lab", clock)
    whole = collector(clock, reader)
    whole.collect()
    clock.seconds += 100
    reader.error = Unavailable("squeue", "no answer")
    snapshot = whole.collect()
    (source,) = snapshot.sources
    assert (source.state, source.age_s(snapshot.generated_at)) == (SourceState.DOWN, 100.0)
    assert len(snapshot.nodes) == 1
    assert snapshot.partial


def test_it_is_kept_on_disk_for_the_next_start(tmp_path: Path) -> None:
    clock = Clock()
    collector(clock, Reader("lab", clock), store=Snapshots(tmp_path)).collect()
    clock.seconds += 60
    broken = Reader("lab", clock, Unavailable("squeue", "no answer"))
    snapshot = collector(clock, broken, store=Snapshots(tmp_path)).collect()
    assert len(snapshot.nodes) == 1
    assert snapshot.sources[0].age_s(snapshot.generated_at) == 60.0


def test_a_source_that_hangs_is_not_asked_twice() -> None:
    clock, gate = Clock(), threading.Event()
    reader = Reader("hung", clock, hang=gate)
    whole = collector(clock, reader)
    try:
        first = whole.collect(deadline_s=0.05)
        assert states(first)["hung"] is SourceState.DOWN
        clock.seconds += 600
        whole.collect(deadline_s=0.05)
        assert reader.calls == 1
    finally:
        gate.set()


def test_a_failing_source_is_asked_less_and_less_often() -> None:
    clock = Clock()
    reader = Reader("lab", clock, Unavailable("squeue", "no answer"))
    whole = collector(clock, reader)
    for _ in range(3600):
        whole.collect()
        clock.seconds += 1.0
    assert 6 <= reader.calls <= 14, "about 60, 120, 240, 480, then every 600 s"


def test_a_good_source_is_asked_once_per_interval() -> None:
    clock = Clock()
    reader = Reader("lab", clock)
    whole = collector(clock, reader)
    for _ in range(600):
        whole.collect()
        clock.seconds += 1.0
    assert 16 <= reader.calls <= 26


def test_backoff_recovers_and_stays_within_its_bounds() -> None:
    backoff = Backoff(30.0, random=random.Random(7))
    for _ in range(40):
        backoff.failed(0.0)
        assert 30.0 <= backoff.due_at <= LONGEST_S * 1.2
    backoff.succeeded(0.0, took_s=0.1)
    assert 24.0 <= backoff.due_at <= 36.0
    backoff.succeeded(0.0, took_s=10.0)
    assert 160.0 <= backoff.due_at <= 240.0, "a slow source is asked at most 1/20 of the time"


@pytest.mark.parametrize("measured", [(40.0, 60.0), (40.0, None)])
def test_readings_join_their_gpus(measured: tuple[float, float | None]) -> None:
    clock = Clock()
    run = Run(
        id="lab/1", native_id="1", source="lab", scheduler="slurm", name=safe("a"),
        state=RunState.RUNNING,
    )  # fmt: skip
    readings = tuple(
        Reading(node="h01", index=i, source="nvml", read_at=NOW, how="nvml", util_pct=util)
        for i, util in enumerate(measured)
    )
    source = Source(name="nvml", kind="telemetry", state=SourceState.OK, read_at=NOW)
    whole = collector(clock, Reader("lab", clock, runs=(run,)))
    whole.telemetry = lambda: (readings, source)
    snapshot = whole.collect()
    mean = None if None in measured else 50.0
    assert snapshot.runs[0].gpu_util_pct == mean, "unknown is not zero"
    assert snapshot.nodes[0].gpu_util_pct == mean
    assert states(snapshot)["nvml"] is SourceState.OK
