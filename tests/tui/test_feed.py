"""The feed: readings come in time, whatever a source does, and the thread never dies quietly."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from textual.pilot import Pilot

from foundry_tui.actions.site import Site
from foundry_tui.estate.run import RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import SourceState
from foundry_tui.estate.usage import Accounting, Window
from foundry_tui.schedulers.ports import Unavailable
from foundry_tui.tui import feed as feeds
from foundry_tui.tui.app import Foundry
from foundry_tui.tui.feed import Feed, Seen
from tests.tui.estates import NOW, Stub, a_run, an_estate, live, on, saved, screen, until
from tests.tui.opened import alone

PATIENCE_S = 10.0


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone(tmp_path, monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@dataclass
class Counted(Stub):
    """A stub that counts how often it is read, and asked for what has ended."""

    reads: int = 0
    accounts: int = 0
    accounting_hangs: threading.Event | None = None

    def snapshot(self) -> Snapshot:
        self.reads += 1
        return super().snapshot()

    def accounting(self, window: Window, *, users: tuple[str, ...] | None = None) -> Accounting:
        self.accounts += 1
        if self.accounting_hangs is not None:
            self.accounting_hangs.wait(30)
        return Accounting(window=window, records=())


@dataclass
class Watched:
    """What a feed has delivered and told."""

    site: Site
    seen: list[Seen] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def until(self, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < end, (len(self.seen), self.told)
            time.sleep(0.005)


@contextmanager
def feeding(site: Site) -> Iterator[tuple[Feed, Watched]]:
    """A feed that runs."""
    watched = Watched(site)
    feed = Feed(site, watched.seen.append, watched.told.append)
    feed.start()
    try:
        yield feed, watched
    finally:
        feed.stop()


def a_stub(**given: object) -> Counted:
    return Counted(an_estate([a_run(1)]), **given)  # type: ignore[arg-type]


def test_what_was_kept_comes_first_and_is_not_called_fresh() -> None:
    with feeding(live(a_stub())) as (_, first):
        first.until(lambda: bool(first.seen) and first.seen[-1].fresh)
    hung = threading.Event()
    try:
        with feeding(live(a_stub(hang=hung))) as (_, watched):
            watched.until(lambda: bool(watched.seen))
            kept = watched.seen[0]
            assert not kept.fresh
            assert [run.native_id for run in kept.runs] == ["1"]
            assert kept.snapshot.sources[0].state is SourceState.STALE
    finally:
        hung.set()


def test_a_source_that_hangs_stops_neither_the_others_nor_the_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hung = threading.Event()
    silent = Counted(an_estate([], source="mute"), name="mute", hang=hung)
    good = a_stub()
    site = live(good, silent)
    site.refresh_s = 0.2
    collect = site.collector.collect
    monkeypatch.setattr(type(site.collector), "collect", lambda self, **_: collect(0.1))
    try:
        with feeding(site) as (_, watched):
            watched.until(lambda: good.reads >= 3)
            assert silent.reads == 1, "it is not asked again while it has not answered"
            states = {s.name: s.state for s in watched.seen[-1].snapshot.sources}
            assert states["mute"] is SourceState.DOWN
            assert states["lab"] is SourceState.OK
            assert len(watched.seen) < 60, "nobody spins while it waits"
    finally:
        hung.set()


def test_alone_a_source_that_hangs_does_not_make_the_feed_spin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hung = threading.Event()
    site = live(a_stub(hang=hung))
    collect = site.collector.collect
    monkeypatch.setattr(type(site.collector), "collect", lambda self, **_: collect(0.05))
    try:
        with feeding(site) as (_, watched):
            watched.until(lambda: bool(watched.seen))
            time.sleep(0.5)
            assert len(watched.seen) <= 3
    finally:
        hung.set()


def test_stop_ends_it_at_once_and_nothing_is_delivered_after() -> None:
    hung = threading.Event()
    with feeding(live(a_stub(hang=hung))) as (feed, watched):
        began = time.monotonic()
        feed.stop()
        assert time.monotonic() - began < 1
        hung.set()
        watched.until(lambda: not feed._thread.is_alive())
        assert watched.seen == []


def test_hurry_reads_again_but_never_below_the_floor() -> None:
    stub = a_stub()
    with feeding(live(stub)) as (feed, watched):
        watched.until(lambda: bool(watched.seen))
        began = time.monotonic()
        while time.monotonic() - began < 1.0:
            feed.hurry()
            time.sleep(0.01)
        assert stub.reads == 1, "two seconds lie between two calls, whoever asks"
        assert len(watched.seen) <= 3, "and nothing is drawn anew for it"
        watched.until(lambda: stub.reads == 2)


def test_hurry_hammers_no_source_that_fails() -> None:
    stub = a_stub(error=Unavailable("squeue", "no answer"))
    with feeding(live(stub)) as (feed, watched):
        watched.until(lambda: bool(watched.seen))
        end = time.monotonic() + 3.0
        while time.monotonic() < end:
            feed.hurry()
            time.sleep(0.02)
        assert stub.reads == 1


def test_accounting_is_asked_at_its_own_slow_interval_and_holds_nothing_up() -> None:
    hung = threading.Event()
    stub = a_stub(accounting_hangs=hung)
    try:
        with feeding(live(stub)) as (_, watched):
            watched.until(lambda: bool(watched.seen) and stub.accounts == 1)
            assert [run.native_id for run in watched.seen[-1].runs] == ["1"]
            assert stub.reads == 1
    finally:
        hung.set()
    site = live(quick := a_stub())
    site.refresh_s = 0.1
    with feeding(site) as (_, watched):
        watched.until(lambda: quick.reads >= 4)
        assert quick.accounts == 1


def test_a_run_that_ends_stays_after_the_job_list_has_forgotten_it() -> None:
    stub = a_stub()
    site = live(stub)
    site.refresh_s = 0.1
    with feeding(site) as (_, watched):
        watched.until(lambda: bool(watched.seen))
        done = a_run(1, state=RunState.COMPLETED, ended_at=NOW)
        stub.seen = an_estate([done])
        watched.until(lambda: watched.seen[-1].runs == (done,))
        stub.seen = an_estate([])
        watched.until(lambda: watched.seen[-1].snapshot.runs == ())
        assert watched.seen[-1].runs == (done,)


def test_a_fault_is_told_and_the_next_reading_comes_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feeds, "FAULT_S", 0.05)
    site = live(a_stub())
    snapshot, faults = site.snapshot, iter((KeyError("links"), OSError("disk"), None))

    def broken(patience_s: float | None = None) -> Snapshot:
        fault = next(faults, None)
        if fault is not None:
            raise fault
        return snapshot()

    monkeypatch.setattr(site, "snapshot", broken)
    with feeding(site) as (_, watched):
        watched.until(lambda: bool(watched.seen))
        assert ["links" in words for words in watched.told] == [True, False]
        assert "disk" in watched.told[1]


def test_kept_data_that_cannot_be_read_does_not_keep_the_first_reading_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site = live(a_stub())

    def broken() -> Snapshot | None:
        raise ValueError("a torn file")

    monkeypatch.setattr(site, "before", broken)
    with feeding(site) as (_, watched):
        watched.until(lambda: bool(watched.seen))
        assert watched.seen[0].fresh
        assert "a torn file" in watched.told[0]


def test_two_screens_read_once_and_the_second_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "LOOK_S", 0.05)
    first, second = a_stub(), a_stub()
    with feeding(live(first)) as (leading, leads):
        leads.until(lambda: bool(leads.seen) and leads.seen[-1].fresh)
        site = live(second)
        with feeding(site) as (_, follows):
            follows.until(lambda: bool(follows.seen) and follows.seen[-1].fresh)
            assert [run.native_id for run in follows.seen[-1].runs] == ["1"]
            assert (first.reads, second.reads) == (1, 0)
            assert "pid" in str(site.leader)
            leading.stop()
            follows.until(lambda: second.reads == 1)
            assert site.leader is None


def test_what_the_other_screen_reads_is_shown_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "LOOK_S", 0.05)
    first, second = a_stub(), a_stub()
    with feeding(live(first)) as (leading, leads):
        leads.until(lambda: bool(leads.seen) and leads.seen[-1].fresh)
        with feeding(live(second)) as (_, follows):
            follows.until(lambda: sum(seen.fresh for seen in follows.seen) == 2)
            count = len(follows.seen)
            time.sleep(0.5)
            assert len(follows.seen) == count, "nothing new, nothing drawn"
            first.seen = an_estate([a_run(1), a_run(2)])
            leading.hurry()
            follows.until(lambda: len(follows.seen[-1].runs) == 2)
            assert second.reads == 0


def test_a_saved_estate_is_read_once() -> None:
    with feeding(saved(an_estate([a_run(1)]))) as (feed, watched):
        watched.until(lambda: not feed._thread.is_alive())
        assert watched.seen[-1].fresh
        feed.hurry()


def test_the_screens_tell_of_a_reading_that_was_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "FAULT_S", 0.05)
    site = live(a_stub())
    site.refresh_s = 0.05

    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        def broken(patience_s: float | None = None) -> Snapshot:
            raise KeyError("links")

        monkeypatch.setattr(site, "snapshot", broken)
        await until(pilot, lambda: "the data was not read: KeyError('links')" in screen(app))
        await pilot.press("2")
        assert app.is_running

    on(site, keys)
