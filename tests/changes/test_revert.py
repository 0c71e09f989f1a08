"""What was made for a time is taken back once it is over: not before, not twice, by nobody else."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from foundry_tui.actions import apply, reverting, undoing
from foundry_tui.actions.errors import ActionError, WrongUse
from foundry_tui.actions.site import Options, Site
from foundry_tui.changes import revert
from foundry_tui.changes.revert import Timed, Watch
from foundry_tui.changes.turn import turn
from foundry_tui.collector.reverting import AGAIN_S, Reverter
from foundry_tui.collector.service import PUBLIC
from tests.changes.world import Lab, plan_of, site_of, to_queue

TWO = plan_of(to_queue(1, "lab/1"), to_queue(2, "lab/2"))
HOUR = timedelta(hours=1)


@dataclass
class Times:
    """The two clocks: of the wall, which anybody may set, and one that only goes forward."""

    wall: datetime = field(default_factory=lambda: datetime.now(UTC))
    forward_s: float = 1000.0

    def pass_s(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.forward_s += seconds


@pytest.fixture
def times() -> Times:
    return Times()


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "lab.json")


@pytest.fixture
def site(lab: Lab, tmp_path: Path, times: Times) -> Site:
    made = site_of(lab, tmp_path)
    made.clock = lambda: times.wall
    return made


def apply_for(site: Site, lab: Lab, until: datetime) -> None:
    ready = apply.prepare(site, TWO, None, lab.snapshot())
    assert apply.carry_out(site, ready, until=until).stopped is None


def reverter(site: Site, times: Times) -> Reverter:
    made = reverting.reverter(site, lambda _: None)
    made.watch = Watch(lambda: times.wall, lambda: times.forward_s)
    made.monotonic = lambda: times.forward_s
    return made


def done(one: Reverter) -> bool:
    """Let it look, and wait for what it begins; whether it began anything."""
    thread = one.offer()
    if thread is not None:
        thread.join(60)
        assert one.failed is None, one.failed
    return thread is not None


def test_it_is_taken_back_when_its_time_is_over(lab: Lab, site: Site, times: Times) -> None:
    apply_for(site, lab, times.wall + HOUR)
    mine = reverter(site, times)
    assert not done(mine)
    times.pass_s(3599)
    assert not done(mine)
    times.pass_s(2)
    assert done(mine)
    assert [lab.run(f"lab/{n}")["queue"] for n in (1, 2)] == ["short", "short"]
    last = site.journal.changes()[-1]
    assert (last.purpose.why, last.purpose.plan) == ("time is over", "p1")
    assert last.change.undoes is not None
    sent = lab.sent
    times.pass_s(7200)
    assert not done(mine), "never twice"
    assert not done(reverter(site, times)), "not by another process either"
    assert lab.sent == sent


def test_a_clock_that_is_moved_reverts_neither_early_nor_twice(
    lab: Lab, site: Site, times: Times
) -> None:
    apply_for(site, lab, times.wall + HOUR)
    mine = reverter(site, times)
    assert not done(mine)
    times.wall += timedelta(days=2)  # somebody sets the clock
    assert not done(mine), "an hour has not passed"
    times.wall -= timedelta(days=4)
    times.pass_s(3601)
    assert done(mine), "an hour has passed, whatever the clock says"
    times.wall -= timedelta(days=1)
    assert not done(mine)
    assert not done(reverter(site, times))


def test_what_was_missed_is_done_at_the_next_start(lab: Lab, site: Site, times: Times) -> None:
    apply_for(site, lab, times.wall + HOUR)
    times.pass_s(86_400)
    (late,) = revert.overdue(site.journal.changes(), times.wall)
    assert (late.id, len(late.changes)) == ("p1", 2)
    assert "p1 was to be taken back at" in reverting.overdue(site)[0]
    assert done(reverter(site, times))
    assert revert.overdue(site.journal.changes(), times.wall) == ()


def test_what_cannot_be_set_back_any_more_is_put_on_record(
    lab: Lab, site: Site, times: Times
) -> None:
    apply_for(site, lab, times.wall + HOUR)
    lab.set("lab/1", state="completed")
    mine = reverter(site, times)
    assert not done(mine)
    times.pass_s(3601)
    assert done(mine)
    assert lab.run("lab/2")["queue"] == "short"
    closed = site.journal.changes()[-1]
    assert revert.closed(closed)
    assert "has ended" in str(closed.change.receipts[0].message)
    assert mine.waiting() == ()


def test_a_source_that_is_gone_is_tried_again(lab: Lab, site: Site, times: Times) -> None:
    apply_for(site, lab, times.wall + HOUR)
    mine = reverter(site, times)
    assert not done(mine)
    times.pass_s(3601)
    lab.mark("silent", "all")
    thread = mine.offer()
    assert thread is not None
    thread.join(60)
    assert mine.failed is not None
    assert "no answer" in mine.failed
    lab.mark("silent")
    assert mine.offer() is None, "not at once"
    times.pass_s(AGAIN_S)
    assert done(mine)
    assert lab.run("lab/1")["queue"] == "short"


def test_who_takes_it_back_by_hand_before_leaves_nothing_due(
    lab: Lab, site: Site, times: Times
) -> None:
    apply_for(site, lab, times.wall + HOUR)
    undoing.carry_out(site, undoing.prepare(site, "p1", lab.snapshot()))
    times.pass_s(7200)
    assert not done(reverter(site, times))


def test_the_process_that_waits_ends_when_nothing_is_due(
    lab: Lab, site: Site, times: Times
) -> None:
    said: list[str] = []
    assert reverting.keep(site, said.append, threading.Event()) == 0
    assert said == ["nothing is to be taken back"]
    apply_for(site, lab, times.wall + timedelta(seconds=1))
    over = threading.Event()
    worker = threading.Thread(target=reverting.keep, args=(site, said.append, over), daemon=True)
    worker.start()
    worker.join(60)
    assert not worker.is_alive()
    assert lab.run("lab/1")["queue"] == "short"
    assert said[1].startswith("p1: time is over, 2 changes taken back")


def test_one_process_waits_at_a_time(lab: Lab, site: Site, times: Times) -> None:
    apply_for(site, lab, times.wall + HOUR)
    said: list[str] = []
    with turn(site.state / reverting.LOCK, "waiting", lambda: times.wall):
        assert reverting.keep(site, said.append, threading.Event()) == 0
    assert "waiting" in said[0]


@pytest.mark.parametrize("how", ["service", "read-only", "saved"])
def test_who_is_not_the_user_takes_nothing_back(
    lab: Lab, site: Site, times: Times, how: str
) -> None:
    apply_for(site, lab, times.wall + timedelta(milliseconds=1))
    if how == "service":
        site.sharing.hidden = lambda: {"lab": PUBLIC}
    elif how == "read-only":
        site.options = Options(read_only=True)
    else:
        site.mode, site.saved = "saved", lab.snapshot()
    reverting.offer(site)
    assert site.reverter is None
    assert lab.run("lab/1")["queue"] == "long"
    if how == "read-only":
        with pytest.raises(ActionError, match="read-only"):
            reverting.take_back(site, Timed(id="p1", until=times.wall, changes=()))


def test_a_screen_takes_back_what_is_due(lab: Lab, site: Site, times: Times) -> None:
    apply_for(site, lab, times.wall + timedelta(milliseconds=1))
    times.pass_s(1)
    reverting.offer(site)
    mine = site.reverter
    assert mine is not None
    wait = threading.Event()
    for _ in range(600):
        if not mine.waiting():
            break
        wait.wait(0.1)
    assert lab.run("lab/1")["queue"] == "short"


@pytest.mark.parametrize(("text", "hours"), [("4h", 4.0), ("1d12h", 36.0), ("90m", 1.5)])
def test_how_long_is_told_with_its_unit(text: str, hours: float) -> None:
    assert undoing.lasting(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "4", "-1h", "soon"])
def test_a_time_without_its_unit_is_refused(text: str) -> None:
    with pytest.raises(WrongUse, match="--for"):
        undoing.lasting(text)
