"""Sweeps keep their own time-table, and a source that is silent or wrong costs nobody anything."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from foundry_tui.collector.sweep import KEPT_S, SETTLE_S, SPREAD_S, STEP_S, Meter, Sweeps
from foundry_tui.estate.source import SourceState
from tests.collector.shared import NOW, Clock, Gauge, swept

NODES = ("h01", "h02")


def sweeps(clock: Clock, *meters: Meter, deadline_s: float = 20.0) -> Sweeps:
    return Sweeps(
        meters, clock.wall, every_s=30.0, monotonic=clock.monotonic, deadline_s=deadline_s
    )


def known() -> Sequence[str] | None:
    return NODES


def unknown() -> Sequence[str] | None:
    return None


def ended(one: Sweeps, nodes: Callable[[], Sequence[str] | None] = known) -> None:
    """Sweep what is due, and wait for it."""
    one.start(nodes)
    one.wait(one.monotonic() + 30.0)


def test_windows_are_asked_for_once_a_minute_shortly_after_their_end() -> None:
    clock = Clock()
    gauge = Gauge(swept(NOW), name="agents")
    one = sweeps(clock, Meter(gauge))
    ended(one)
    asked_at = []
    for _ in range(600):
        clock.seconds += 1.0
        before = len(gauge.asked)
        ended(one)
        if len(gauge.asked) > before:
            asked_at.append(clock.wall().timestamp() % STEP_S)
    assert 9 <= len(asked_at) <= 10
    assert all(SETTLE_S <= at <= SETTLE_S + SPREAD_S + 1.0 for at in asked_at)
    assert set(gauge.asked) == {NODES}


def test_the_gpus_of_this_host_are_read_at_every_refresh() -> None:
    clock = Clock()
    gauge = Gauge(swept(NOW))
    one = sweeps(clock, Meter(gauge, local=True))
    for _ in range(121):
        ended(one, unknown)
        clock.seconds += 1.0
    assert len(gauge.asked) == 5
    assert set(gauge.asked) == {()}, "it is not told of nodes"


def test_others_wait_until_the_nodes_are_known() -> None:
    clock = Clock()
    gauge = Gauge(swept(NOW), name="agents")
    one = sweeps(clock, Meter(gauge))
    ended(one, unknown)
    assert gauge.asked == []
    assert one.wait_s() == 0.0
    ended(one)
    assert gauge.asked == [NODES]


def test_a_source_that_hangs_is_down_and_not_asked_twice() -> None:
    clock, gate = Clock(), threading.Event()
    hung = Gauge(swept(NOW), name="agents", hang=gate)
    good = Gauge(swept(NOW, source="dcgm"), name="dcgm")
    one = sweeps(clock, Meter(hung), Meter(good))
    try:
        one.start(known)
        until = time.monotonic() + 10.0
        while one.ended < 1:
            assert time.monotonic() < until, "the other one is not held up"
        states = {s.name: s.state for s in one.measured().sources}
        assert states == {"agents": SourceState.STALE, "dcgm": SourceState.OK}
        clock.seconds += 300.0
        one.start(known)
        states = {s.name: s.state for s in one.measured().sources}
        assert states["agents"] is SourceState.DOWN
        assert len(hung.asked) == 1
    finally:
        gate.set()


def test_the_last_readings_hold_for_three_minutes() -> None:
    clock = Clock()
    gauge = Gauge(swept(NOW), name="agents")
    one = sweeps(clock, Meter(gauge))
    ended(one)
    gauge.error = ZeroDivisionError("surprise")
    clock.seconds += STEP_S + SETTLE_S + SPREAD_S
    ended(one)
    measured = one.measured()
    (source,) = measured.sources
    assert len(measured.readings) == 2
    assert (source.state, source.read_at) == (SourceState.DOWN, NOW)
    assert "surprise" in str(source.reason)
    clock.seconds += KEPT_S
    assert one.measured().readings == ()


def test_a_clock_that_jumps_costs_one_minute_at_most() -> None:
    clock = Clock()
    gauge = Gauge(swept(NOW), name="agents")
    one = sweeps(clock, Meter(gauge))
    ended(one)
    jumped = Clock(seconds=clock.seconds - 7200.0)
    one.clock = jumped.wall
    clock.seconds += STEP_S
    jumped.seconds += STEP_S
    ended(one)
    assert len(gauge.asked) == 2
    assert one.wait_s() <= STEP_S


def test_connections_are_given_back() -> None:
    gauge = Gauge(swept(NOW))
    sweeps(Clock(), Meter(gauge)).close()
    assert gauge.closed
