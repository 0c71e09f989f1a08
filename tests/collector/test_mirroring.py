"""Filling and refreshing the copy of a tracking server's runs, with all that comes between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from foundry_tui.collector import mirroring
from foundry_tui.collector.mirroring import Refresh
from foundry_tui.estate.tracked import TrackedRun, TrackStatus
from foundry_tui.store.mirror.mirror import Mirror
from foundry_tui.tracking.credentials import Credentials
from foundry_tui.tracking.mlflow import Mlflow
from foundry_tui.tracking.ports import TrackerDenied, TrackerDown, TrackingError
from tests.collector.mirrors import NOW, T0, Server, add, contents, server, whole
from tests.lab.mlflow import MlflowLab
from tests.store.mirror.runs import ordered
from tests.tracking.wires import always, answered

NEVER = threading.Event()


class Bench:
    """A server, its mirror in memory, and a clock that is set by hand."""

    def __init__(self, tracker: Server) -> None:
        self.tracker = tracker
        self.mirror = Mirror(tracker.url, None)
        self.now = NOW
        self.work = Refresh(tracker, self.mirror, lambda: self.now)

    def fill(self) -> None:
        assert self.work.fill(lambda _: None, NEVER)
        self.tracker.asked.clear()

    def poll(self, after_s: float = 20.0) -> int:
        self.now += timedelta(seconds=after_s)
        with self.mirror.writer() as writer:
            assert writer is not None
            return self.work.poll(writer)

    def same(self) -> bool:
        """Whether the mirror holds what the server does."""
        return contents(self.mirror) == whole(self.tracker)


@pytest.fixture
def bench() -> Bench:
    made = Bench(server(500))
    made.fill()
    return made


def test_the_first_fill_reads_all_in_pages_the_newest_first() -> None:
    bench = Bench(server(1000))
    told: list[str] = []
    assert bench.work.fill(told.append, NEVER)
    assert len(bench.tracker.asked) <= 7
    assert bench.same()
    assert told[0].startswith("reading the tracked runs: 200 so far, back to 2026-05-04 12:03")
    assert told[-1] == "1,000 runs of 3 experiments"


def test_more_runs_of_one_moment_than_a_page_has() -> None:
    tracker = server(0)
    for number in range(950):
        add(tracker, "one", T0 + timedelta(seconds=number // 450))
    bench = Bench(tracker)
    bench.fill()
    assert bench.mirror.state().runs == 950
    assert bench.same()


def test_more_experiments_than_one_question_names() -> None:
    bench = Bench(server(900, experiments=450))
    bench.fill()
    bench.poll()
    assert max(len(ids) for ids, _ in bench.tracker.asked) == mirroring.EXPERIMENTS
    assert {where.partition(" ")[0] for _, where in bench.tracker.asked} == {
        "attributes.start_time",
        "attributes.status",
        "attributes.end_time",
    }
    assert bench.same()


def test_a_quiet_server_is_asked_four_questions(bench: Bench) -> None:
    assert bench.poll() == 0
    assert len(bench.tracker.asked) == 4


def test_what_began_changed_and_ended_is_seen(bench: Bench) -> None:
    now = bench.now
    running = add(bench.tracker, "exp-0", now, TrackStatus.RUNNING)
    add(bench.tracker, "exp-1", now, TrackStatus.SCHEDULED)
    add(bench.tracker, "new experiment", now)
    assert bench.poll() == 2
    with bench.mirror.writer() as writer:
        assert writer is not None
        assert bench.work.page(writer)
    assert bench.same()
    bench.tracker.log(running, metrics={"accuracy": 0.9}, at=bench.now)
    assert bench.poll() == 1
    bench.tracker.update(running, status=TrackStatus.FAILED, ended_at=bench.now)
    assert bench.poll() == 1
    assert bench.same()


def test_clocks_that_differ_by_ten_minutes(bench: Bench) -> None:
    bench.poll()
    skew = timedelta(minutes=9, seconds=30)
    add(bench.tracker, "exp-0", bench.now + skew, TrackStatus.FINISHED, bench.now + skew)
    assert bench.poll() == 1
    # the newest start that is known is ahead now; a node whose clock is behind begins one
    add(bench.tracker, "exp-0", bench.now - skew, TrackStatus.FINISHED, bench.now - skew)
    assert bench.poll() == 1
    assert bench.same()


def test_an_end_that_is_set_long_afterwards(bench: Bench) -> None:
    running = add(bench.tracker, "exp-0", bench.now, TrackStatus.RUNNING)
    bench.poll()
    bench.now += timedelta(hours=5)
    bench.tracker.update(
        running, status=TrackStatus.KILLED, ended_at=bench.now - timedelta(hours=4)
    )
    assert bench.poll() == 1
    assert bench.same()


def test_runs_that_are_deleted_are_forgotten(bench: Bench) -> None:
    running = add(bench.tracker, "exp-0", bench.now, TrackStatus.RUNNING)
    bench.poll()
    bench.tracker.delete(running)
    assert bench.poll() == 1  # at once: it was live
    long_ended = contents(bench.mirror).split("run_id='")[7][:32]
    bench.tracker.delete(long_ended)
    assert bench.poll() == 0
    for _ in range(3):
        bench.poll(after_s=3600)
    assert bench.same()


def test_a_tag_changed_long_after_the_end_is_seen_within_some_time(bench: Bench) -> None:
    old = contents(bench.mirror).split("run_id='")[3][:32]
    bench.tracker.update(old, tags={"note": "the good one"})
    assert bench.poll() == 0
    for _ in range(3):
        bench.poll(after_s=3600)
    assert bench.same()


def test_another_database_behind_the_address_is_read_anew(bench: Bench) -> None:
    other = server(700)
    other._runs = {
        f"{number:032x}": replace(run, run_id=f"{number:032x}")
        for number, run in enumerate(other._runs.values())
    }
    bench.tracker = bench.work.tracker = other
    bench.poll(after_s=3600)
    bench.now += timedelta(hours=1)
    bench.fill()
    assert bench.same()


def test_a_server_that_fails_in_the_middle_is_asked_again(bench: Bench) -> None:
    add(bench.tracker, "exp-0", bench.now, TrackStatus.RUNNING)
    polled = bench.mirror.state().polled_at
    bench.tracker.fault = TrackerDown("the runs", "no connection")
    with pytest.raises(TrackerDown):
        bench.poll()
    assert bench.mirror.state().polled_at == polled
    bench.tracker.fault = None
    assert bench.poll(3600) >= 1
    assert bench.same()


def test_a_stop_is_heard_between_pages() -> None:
    bench = Bench(server(1000))
    stop = threading.Event()

    told: list[str] = []

    def tell(words: str) -> None:
        told.append(words)
        if len(told) == 2:
            stop.set()

    assert not bench.work.fill(tell, stop)
    assert len(told) == 2
    assert 200 < bench.mirror.state().runs <= 400
    bench.fill()
    assert bench.same()


@pytest.mark.parametrize("pages", [1, 2, 4])
def test_a_filling_process_that_is_killed_goes_on_from_there(tmp_path: Path, pages: int) -> None:
    argv = [sys.executable, "-m", "tests.collector.mirrors", str(tmp_path / "m"), "1000"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for _ in range(pages):
            assert child.stdout.readline()
        child.send_signal(signal.SIGKILL)
    tracker = server(1000)
    mirror = Mirror.open(tmp_path / "m", tracker.url)
    before = mirror.state()
    assert before.runs >= 200
    assert Refresh(tracker, mirror, lambda: NOW).fill(lambda _: None, NEVER)
    asked = len(tracker.asked)
    assert contents(mirror) == whole(tracker)
    if before.runs < 1000:
        assert asked < 6 + 4  # not from the beginning, and the four questions


def test_two_processes_fill_one_mirror(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "tests.collector.mirrors", str(tmp_path / "m"), "600"]
    children = [subprocess.Popen(argv, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [child.wait(60) for child in children] == [0, 0]
    tracker = server(600)
    assert contents(Mirror.open(tmp_path / "m", tracker.url)) == whole(tracker)


def follow(work: Refresh, told: list[str], done: Callable[[], bool], within_s: float = 20) -> None:
    """Run the refresh in a thread until something holds."""
    stop = threading.Event()
    thread = threading.Thread(target=work.run, args=(told.append, stop), daemon=True)
    thread.start()
    deadline = time.monotonic() + within_s
    while not done() and time.monotonic() < deadline:
        time.sleep(0.02)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert done(), told


def test_the_background_fills_follows_and_survives_a_restart(tmp_path: Path) -> None:
    tracker = server(300)
    mirror = Mirror.open(tmp_path / "m", tracker.url)
    work = Refresh(tracker, mirror, lambda: datetime.now(UTC), every_s=0.1)
    told: list[str] = []
    follow(work, told, lambda: mirror.state().whole)
    tracker.fault = TrackerDown("the runs", "no connection")
    follow(work, told, lambda: any("no connection" in words for words in told))
    tracker.fault = None
    add(tracker, "exp-0", datetime.now(UTC), TrackStatus.RUNNING)
    follow(work, told, lambda: mirror.state().runs == 301)
    assert contents(mirror) == whole(tracker)


def test_the_background_begins_anew_after_damage(tmp_path: Path) -> None:
    tracker = server(300)
    mirror = Mirror.open(tmp_path / "m", tracker.url)
    work = Refresh(tracker, mirror, lambda: datetime.now(UTC), every_s=0.05)
    follow(work, [], lambda: mirror.state().whole)
    assert mirror.file is not None
    data = bytearray(mirror.file.read_bytes())
    data[8192:] = os.urandom(len(data) - 8192)
    mirror.file.write_bytes(data)

    def mended() -> bool:
        try:
            return mirror.state().runs == 300
        except Exception:
            return False

    follow(work, [], mended)
    assert contents(mirror) == whole(tracker)


@pytest.mark.parametrize(("status", "kind"), [(401, TrackerDenied), (403, TrackerDenied),
                                              (429, TrackerDown), (502, TrackerDown)])  # fmt: skip
def test_a_server_that_refuses(status: int, kind: type[TrackingError]) -> None:
    with answered(always(status, b"no"), timeout_s=2.0) as tracker:
        mirror = Mirror(tracker.url, None)
        work = Refresh(tracker, mirror, lambda: NOW, every_s=0.1)
        with pytest.raises(kind):
            work.fill(lambda _: None, NEVER)
        told: list[str] = []
        follow(work, told, lambda: bool(told))
        assert str(status) in told[0]


def test_on_a_real_server(
    mlflow_server: MlflowLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirroring, "PAGE", 10)
    tracker = Mlflow("lab", mlflow_server.url, credentials=Credentials,
                     clock=lambda: datetime.now(UTC), timeout_s=60)  # fmt: skip
    begun = datetime.now(UTC)
    long = "x" * 8000
    made: list[str] = []
    for number in range(35):
        run = tracker.create(
            f"mirror-{number % 2}", name=f"\x1b[31mr{number}", tags={"long": long},
            started_at=begun - timedelta(days=1) + timedelta(seconds=number // 15),
        )  # fmt: skip
        made.append(run.run_id)
    values = {"nan": float("nan"), "inf": float("inf"), "loss": 0.5}
    tracker.log(made[0], params={"lr": "3e-4"}, metrics=values, at=begun)
    tracker.update(made[0], status=TrackStatus.RUNNING)
    clock = [datetime.now(UTC)]
    mirror = Mirror.open(tmp_path / "m", tracker.url)
    work = Refresh(tracker, mirror, lambda: clock[0])
    assert work.fill(lambda _: None, NEVER)
    ours = [mirror.get(run_id) for run_id in made]
    assert [repr(run) for run in ours] == [repr(_ordered(tracker, run_id)) for run_id in made]
    tracker.update(made[0], status=TrackStatus.FINISHED, ended_at=begun - timedelta(hours=3))
    mlflow_server.call("runs/delete", {"run_id": made[1]})
    new = tracker.create("mirror-new", name="n", tags={}, started_at=datetime.now(UTC)).run_id
    clock[0] += timedelta(hours=1)
    assert work.fill(lambda _: None, NEVER)
    while mirror.get(made[1]) is not None:
        with mirror.writer() as writer:
            assert writer is not None
            work.poll(writer)
    found = mirror.get(made[0])
    assert found is not None
    assert found.status is TrackStatus.FINISHED
    assert mirror.get(new) is not None
    tracker.close()


def _ordered(tracker: Mlflow, run_id: str) -> TrackedRun:
    """The run of the server."""
    run = tracker.get(run_id)
    assert run is not None
    return ordered(run)
