"""From the sweep to the history and back: since when an allocated GPU does nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from foundry_tui.collector.join import Join
from foundry_tui.collector.record import Recorder
from foundry_tui.collector.refill import refilled
from foundry_tui.collector.sweep import STEP_S
from foundry_tui.estate.reading import Reading
from foundry_tui.store.history import History, Past
from tests.collector.shared import NOW, Clock, swept
from tests.collector.test_sharing import RUN, Process, process


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 10.0
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def recording(one: Process, folder: Path) -> Recorder:
    """Give a process a history of its own."""
    made = Recorder(lambda: History.open(folder, clock=one.clock.wall))
    one.sharing.recorder = made
    return made


def minutes(one: Process, count: int, util_pct: float) -> None:
    """Let so many minutes pass, each with its sweep."""
    for _ in range(count):
        one.clock.seconds += STEP_S
        window = one.clock.wall().timestamp() // STEP_S * STEP_S
        at = datetime.fromtimestamp(window, tz=NOW.tzinfo)
        one.gauge.sweep = swept(at, util_pct, source="agents")
        one.sharing.stirred()
        one.collect()


def test_an_idle_gpu_is_told_to_everybody_with_its_start(tmp_path: Path) -> None:
    clock = Clock()
    leader, follower = process(tmp_path, clock), process(tmp_path, clock)
    recorder = recording(leader, tmp_path / "history")
    clock.seconds += 20.0
    minutes(leader, 4, 80.0)
    minutes(leader, 6, 0.0)
    until(lambda: len(recorder.idle) == 2)
    minutes(leader, 1, 0.0)
    mine = leader.sharing.collect(patience_s=1.0).gpus[0]
    theirs = follower.sharing.collect(patience_s=1.0).gpus[0]
    assert mine.idle_since is not None
    assert theirs.idle_since == mine.idle_since
    began = NOW + timedelta(minutes=4)
    assert abs((mine.idle_since - began).total_seconds()) <= 2 * STEP_S
    minutes(leader, 2, 90.0)
    until(lambda: recorder.idle == ())
    minutes(leader, 1, 90.0)
    assert leader.sharing.collect(patience_s=1.0).gpus[0].idle_since is None
    leader.sharing.resign()


def test_idle_time_before_the_run_is_not_its_own(tmp_path: Path) -> None:
    clock = Clock()
    leader = process(tmp_path, clock)
    recorder = recording(leader, tmp_path / "history")
    leader.reader.runs = ()
    minutes(leader, 6, 0.0)
    until(lambda: len(recorder.idle) == 2)
    started = clock.wall()
    late = RUN.__class__(
        id=RUN.id, native_id="1", source="lab", scheduler="slurm", name=RUN.name,
        state=RUN.state, user="ada", started_at=started,
    )  # fmt: skip
    leader.reader.runs = (late,)
    minutes(leader, 2, 0.0)
    assert leader.sharing.collect(patience_s=1.0).gpus[0].idle_since == started
    leader.sharing.resign()


def test_who_takes_over_goes_on_with_the_history(tmp_path: Path) -> None:
    clock = Clock()
    first, second = process(tmp_path, clock), process(tmp_path, clock)
    recording(first, tmp_path / "history")
    recorder = recording(second, tmp_path / "history")
    clock.seconds += 20.0
    minutes(first, 4, 0.0)
    first.sharing.resign()
    minutes(second, 3, 0.0)
    until(lambda: bool(recorder.idle) or recorder.problem is not None)
    assert recorder.problem is None
    second.sharing.resign()
    past = Past.open(tmp_path / "history")
    assert past is not None
    begun = past.idle()[("lab", "h01", 0)]
    assert begun <= NOW + timedelta(minutes=2), "it was idle before the first one went"


def test_what_was_missed_is_in_the_history(tmp_path: Path) -> None:
    clock = Clock()
    folder = tmp_path / "history"

    def recall(
        start: datetime, end: datetime, step_s: int
    ) -> Iterator[tuple[datetime, tuple[Reading, ...]]]:
        at = start
        while at <= end:
            yield at, swept(at, 33.0, source="prom").readings
            at += timedelta(seconds=step_s)

    leader = process(tmp_path, clock)
    leader.sharing.recorder = Recorder(
        lambda: History.open(folder, clock=clock.wall),
        lambda first: refilled(
            first, NOW - timedelta(minutes=30), [recall], Join(), timedelta(hours=1)
        ),
    )
    leader.collect()

    def known() -> int:
        past = Past.open(folder)
        if past is None:
            return 0
        series = past.gpu("lab", "h01", 1, NOW - timedelta(minutes=40), NOW, 400)
        return sum(util == 33.0 for util in series.util_pct)

    until(lambda: known() == 29)
    leader.sharing.resign()
