"""The history is written beside the collecting: once a minute, and its troubles stay its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from foundry_tui.collector import record
from foundry_tui.collector.join import Join
from foundry_tui.collector.record import Recorder
from foundry_tui.collector.refill import gap, refilled
from foundry_tui.estate.gpu import Gpu
from foundry_tui.estate.reading import Reading
from foundry_tui.estate.snapshot import Snapshot
from tests.collector.shared import NOW, swept

GPUS = tuple(
    Gpu(node=node, index=i, source="lab", util_pct=99.0, read_at=NOW)
    for node, i in (("h01", 0), ("h01", 1), ("h02", 0))
)


@dataclass
class Kept:
    """A history that notes what it is asked."""

    errors: list[Exception] = field(default_factory=list)
    at: list[datetime] = field(default_factory=list)
    compacted: int = 0
    closed: int = 0
    threads: set[str] = field(default_factory=set)

    def record(self, snapshot: Snapshot, *, step_s: int = 60) -> None:
        self.threads.add(threading.current_thread().name)
        if self.errors:
            raise self.errors.pop(0)
        self.at.append(snapshot.generated_at)

    def compact(self) -> None:
        self.compacted += 1

    def idle(self) -> Mapping[tuple[str, str, int], datetime]:
        return {("lab", "h01", 1): NOW}

    def close(self) -> None:
        self.closed += 1


def seen(minutes: float) -> Snapshot:
    return Snapshot(generated_at=NOW + timedelta(minutes=minutes), gpus=GPUS)


def until(holds: object) -> None:
    end = time.monotonic() + 10.0
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def test_one_reading_a_minute_is_written_in_a_thread_of_its_own() -> None:
    kept = Kept()
    one = Recorder(lambda: kept)
    offered = [one.offer(seen(minute / 2), sweeps) for minute, sweeps in enumerate(range(8))]
    assert offered == [True, False] * 4
    until(lambda: len(kept.at) == 4)
    assert kept.threads == {"history"}
    until(lambda: bool(one.idle))
    assert (one.idle[0].node, one.idle[0].index, one.idle[0].since) == ("h01", 1, NOW)
    one.close()
    assert kept.closed == 1


def test_a_window_waits_for_its_sweep_but_not_for_long() -> None:
    one = Recorder(Kept)
    assert one.offer(seen(0), 1)
    assert not one.offer(seen(1.05), 1), "the sweep of this minute is not there yet"
    assert one.offer(seen(1.15), 2)
    assert not one.offer(seen(2.15), 2)
    assert one.offer(seen(2.6), 2)
    one.close()


def test_after_a_jump_of_the_clock_it_goes_on() -> None:
    kept = Kept()
    one = Recorder(lambda: kept)
    assert one.offer(seen(100), 1)
    assert one.offer(seen(0), 1)
    assert one.offer(seen(2), 1)
    one.close()


def test_what_goes_wrong_is_told_and_tried_again() -> None:
    kept = Kept(errors=[OSError("disk full")])
    one = Recorder(lambda: kept)
    one.offer(seen(0), 0)
    until(lambda: one.problem is not None)
    assert one.problem == "the history is not kept: disk full"
    one.offer(seen(2), 0)
    until(lambda: one.problem is None)
    assert len(kept.at) == 1
    one.close()
    assert kept.closed == 2


def test_it_can_be_closed_and_used_again() -> None:
    kept = Kept()
    one = Recorder(lambda: kept)
    one.close()
    one.offer(seen(0), 0)
    one.close()
    one.offer(seen(2), 0)
    one.close()
    until(lambda: (len(kept.at), kept.closed) == (2, 2))


def test_it_is_rolled_up_now_and_then() -> None:
    seconds = [0.0]
    kept = Kept()
    one = Recorder(lambda: kept, monotonic=lambda: seconds[0])
    one.offer(seen(0), 0)
    until(lambda: len(kept.at) == 1)
    seconds[0] = record.COMPACT_S
    one.offer(seen(2), 0)
    until(lambda: kept.compacted == 1)
    one.offer(seen(4), 0)
    one.close()
    assert kept.compacted == 1


def test_what_was_missed_is_filled_in_after_the_present() -> None:
    kept = Kept()

    def missed(first: Snapshot) -> Iterator[Snapshot]:
        assert kept.at == [], "asked before the first record hides the gap"
        return iter([seen(-3), seen(-2)])

    one = Recorder(lambda: kept, missed)
    one.offer(seen(0), 0)
    until(lambda: len(kept.at) == 3)
    assert kept.at == [NOW, NOW - timedelta(minutes=3), NOW - timedelta(minutes=2)]
    one.offer(seen(2), 0)
    one.close()
    assert len(kept.at) == 4


def test_a_server_that_fails_to_remember_costs_nothing_but_the_gap() -> None:
    kept = Kept()

    def missed(first: Snapshot) -> Iterator[Snapshot]:
        yield seen(-3)
        raise OSError("no answer")

    one = Recorder(lambda: kept, missed)
    one.offer(seen(0), 0)
    until(lambda: one.problem is not None)
    one.offer(seen(2), 0)
    until(lambda: one.problem is None)
    one.close()
    assert kept.at == [NOW, NOW - timedelta(minutes=3), NOW + timedelta(minutes=2)]


def test_the_gap_is_told_in_whole_windows() -> None:
    now = datetime(2026, 11, 21, 3, 10, 20, tzinfo=UTC)
    most = timedelta(hours=48)
    minute = timedelta(minutes=1)
    assert gap(now - 30 * minute, now, most) is not None
    start, end = gap(datetime(2026, 11, 21, 3, 0, tzinfo=UTC), now, most) or (now, now)
    assert (start.minute, end.minute, start.second, end.second) == (1, 9, 0, 0)
    assert gap(datetime(2026, 11, 21, 3, 9, tzinfo=UTC), now, most) is None
    first, _ = gap(None, now, timedelta(hours=1)) or (now, now)
    assert first == datetime(2026, 11, 21, 2, 11, tzinfo=UTC)
    long_ago, _ = gap(now - timedelta(days=400), now, timedelta(hours=1)) or (now, now)
    assert long_ago == first


def test_a_window_that_is_filled_in_has_only_what_was_measured_then() -> None:
    asked = []

    def recall(
        start: datetime, end: datetime, step_s: int
    ) -> Iterator[tuple[datetime, tuple[Reading, ...]]]:
        asked.append((start, end, step_s))
        yield start, swept(start, 7.0, source="prom").readings

    (one,) = refilled(
        seen(0), NOW - timedelta(minutes=10), [recall], Join(kinds={"prom": "prometheus"}),
        timedelta(hours=48),
    )  # fmt: skip
    assert asked == [(NOW - timedelta(minutes=9), NOW - timedelta(minutes=1), 60)]
    found = [(gpu.node, gpu.index, gpu.util_pct) for gpu in one.gpus]
    assert found == [("h01", 0, 7.0), ("h01", 1, 7.0)], "the 99 per cent of h02 are of today"
    assert {gpu.read_at for gpu in one.gpus} == {one.generated_at} == {NOW - timedelta(minutes=9)}
