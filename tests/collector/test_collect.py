"""One sweep: a source that is slow, mute or wrong costs the others nothing."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import pytest

from foundry_tui.collector.backoff import LONGEST_S, SOONEST_S, Backoff
from foundry_tui.collector.collect import HANGING_S, Collector
from foundry_tui.collector.sweep import Meter, Sweeps
from foundry_tui.estate.reading import Reading
from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.ports import Denied, SchedulerReader, Unavailable
from foundry_tui.store.snapshots import Snapshots
from foundry_tui.telemetry.ports import Sweep
from tests.collector.shared import NOW, Clock, Gauge, Reader


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


def test_a_slow_source_holds_nobody_up() -> None:
    clock, gate = Clock(), threading.Event()
    quick, slow = Reader("quick", clock), Reader("slow", clock, hang=gate)
    whole = collector(clock, quick, slow)
    try:
        first = whole.collect(deadline_s=30.0, patience_s=0.05)
        assert states(first) == {"quick": SourceState.OK, "slow": SourceState.STALE}
        assert next(s.reason for s in first.sources if s.name == "slow") == "it is being read now"
        assert 0.0 < whole.waits_s()["slow"] <= 1.0, "it is soon looked for again"
        clock.seconds += 20
        late = whole.collect(deadline_s=0.05, patience_s=0.05)
        assert states(late)["slow"] is SourceState.DOWN
    finally:
        gate.set()
    until = time.monotonic() + 30.0
    while states(found := whole.collect())["slow"] is not SourceState.OK:
        assert time.monotonic() < until, "the late answer is taken"
    assert states(found)["quick"] is SourceState.OK


def test_the_data_of_a_source_that_is_being_read_again_stands() -> None:
    clock, gate = Clock(), threading.Event()
    gate.set()
    quick, slow = Reader("quick", clock), Reader("slow", clock, hang=gate)
    whole = collector(clock, quick, slow)
    whole.collect()
    gate.clear()
    clock.seconds += 100
    try:
        again = whole.collect(deadline_s=30.0, patience_s=0.05)
    finally:
        gate.set()
    assert states(again)["slow"] is SourceState.OK
    assert [n.source for n in again.nodes] == ["quick", "slow"]


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
    whole.sweeps = Sweeps([Meter(Gauge(Sweep(readings=readings, source=source)))], clock.wall)
    snapshot = whole.collect()
    mean = None if None in measured else 50.0
    assert snapshot.runs[0].gpu_util_pct == mean, "unknown is not zero"
    assert snapshot.nodes[0].gpu_util_pct == mean
    assert states(snapshot)["nvml"] is SourceState.OK


# -- what a screen asks for


def test_before_anything_is_asked_there_is_what_was_kept(tmp_path: Path) -> None:
    clock = Clock()
    run = a_run("old")
    collector(clock, Reader("lab", clock, runs=(run,)), store=Snapshots(tmp_path)).collect()
    clock.seconds += 90
    reader = Reader("lab", clock)
    whole = collector(clock, reader, Reader("new", clock), store=Snapshots(tmp_path))
    before = whole.before()
    assert before is not None
    (source,) = before.sources
    assert (source.name, source.state) == ("lab", SourceState.STALE)
    assert source.age_s(before.generated_at) == 90.0
    assert "from the last time" in str(source.reason)
    assert [r.name for r in before.runs] == ["old"]
    assert reader.calls == 0


def test_before_the_first_start_there_is_nothing(tmp_path: Path) -> None:
    clock = Clock()
    assert collector(clock, Reader("lab", clock), store=Snapshots(tmp_path)).before() is None
    assert collector(clock, Reader("lab", clock)).before() is None


def test_hurry_brings_the_next_reading_to_the_floor_and_not_below() -> None:
    clock = Clock()
    reader = Reader("lab", clock)
    whole = collector(clock, reader)
    whole.collect()
    for _ in range(100):
        whole.hurry()
        whole.collect()
    assert reader.calls == 1
    assert whole.wait_s() == SOONEST_S
    clock.seconds += SOONEST_S
    whole.collect()
    assert reader.calls == 2


def test_hurry_never_puts_a_reading_off() -> None:
    clock = Clock()
    whole = collector(clock, Reader("lab", clock))
    whole.collect()
    clock.seconds += 23.5
    before = whole.wait_s()
    whole.hurry()
    assert whole.wait_s() <= before


def test_a_source_that_fails_is_hurried_less_and_less() -> None:
    clock = Clock()
    reader = Reader("lab", clock, Unavailable("squeue", "no answer"))
    whole = collector(clock, reader)
    for _ in range(600):
        whole.hurry()
        whole.collect()
        clock.seconds += 0.2
    assert reader.calls <= 6, "after 4, 8, 16, 32, 64 s in two minutes of asking without end"


def test_an_act_during_a_reading_makes_it_be_read_once_more() -> None:
    clock, gate = Clock(), threading.Event()
    reader = Reader("lab", clock, hang=gate)
    whole = collector(clock, reader)
    whole.collect(deadline_s=0.05)
    whole.hurry()
    gate.set()
    end = time.monotonic() + 10
    while whole._kept[0].hangs:
        assert time.monotonic() < end
        time.sleep(0.005)
    assert whole.wait_s() == SOONEST_S
    clock.seconds += SOONEST_S
    whole.collect()
    assert reader.calls == 2, "what was read may have been from before the act"
    assert whole.wait_s() > 20, "once"


def test_while_a_source_hangs_it_is_looked_at_now_and_then_only() -> None:
    clock, gate = Clock(), threading.Event()
    whole = collector(clock, Reader("hung", clock, hang=gate))
    try:
        whole.collect(deadline_s=0.05)
        clock.seconds += 600
        assert whole.wait_s() == HANGING_S
        assert whole.waits_s() == {"hung": HANGING_S}
    finally:
        gate.set()


def a_run(name: str) -> Run:
    return Run(
        id="lab/1", native_id="1", source="lab", scheduler="slurm", name=safe(name),
        state=RunState.RUNNING,
    )  # fmt: skip
