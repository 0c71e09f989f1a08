"""Plans on a scheduler that lives in a file: carried out, stopped, killed, resumed, taken back."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from foundry_tui.actions import apply, obstacles, undoing
from foundry_tui.actions.errors import ActionError, NothingMatched, SourceMissing, WrongUse
from foundry_tui.actions.site import Site, utc_now
from foundry_tui.changes import planfile
from foundry_tui.changes.apply import Applied
from foundry_tui.changes.turn import LOCK, Busy, turn
from foundry_tui.estate.acts import Hold
from foundry_tui.estate.plan import Move, Plan, Target
from tests.changes.world import Lab, plan_of, site_of, to_queue


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "lab.json")


@pytest.fixture
def site(lab: Lab, tmp_path: Path) -> Site:
    return site_of(lab, tmp_path)


THREE = plan_of(to_queue(1, "lab/1"), to_queue(2, "lab/2"), to_queue(3, "lab/3"))


def prepared(site: Site, plan: Plan, **more: Any) -> apply.Prepared:
    return apply.prepare(site, plan, None, site.schedulers["lab"].snapshot(), **more)


def applied(site: Site, plan: Plan, **more: Any) -> Applied:
    quick: dict[str, Any] = {"pause": lambda _: None}
    return apply.carry_out(site, prepared(site, plan), **(quick | more))


def undone(site: Site, wanted: str, **more: Any) -> Applied:
    ready = undoing.prepare(site, wanted, site.schedulers["lab"].snapshot(), **more)
    return undoing.carry_out(site, ready, pause=lambda _: None)


def test_a_plan_is_carried_out_and_on_record_with_what_takes_it_back(lab: Lab, site: Site) -> None:
    ready = prepared(site, THREE)
    assert lab.sent == [], "preparing sends nothing"
    assert (ready.count, ready.obstacles, ready.irreversible) == (3, (), ())
    done = applied(site, THREE, why="short is full")
    assert (done.stopped, done.left, len(done.changes)) == (None, (), 3)
    assert [lab.run(f"lab/{n}")["queue"] for n in (1, 2, 3, 4)] == ["long"] * 3 + ["short"]
    record = site.journal.changes()[1]
    assert (record.purpose.plan, record.purpose.move, record.purpose.step) == ("p1", "m2", 0)
    assert record.purpose.why == "short is full"
    assert record.inverse == {
        "act": "change_run", "source": "lab", "runs": ["lab/2"], "fields": {"queue": "short"}
    }  # fmt: skip
    kept = obstacles.plans(site).load("p1")
    assert kept is not None
    assert planfile.read(kept) == THREE


def test_a_plan_that_was_applied_says_so_and_sends_nothing(lab: Lab, site: Site) -> None:
    applied(site, THREE)
    sent = lab.sent
    again = applied(site, THREE)
    assert again.applied_at is not None
    assert len(again.before) == 3
    assert lab.sent == sent


def test_nothing_is_sent_when_the_state_changed_before(lab: Lab, site: Site) -> None:
    lab.set("lab/2", queue="other")
    ready = prepared(site, THREE)
    assert ready.broken == ("m2: lab/2: queue was short, is other",)
    with pytest.raises(ActionError, match="queue was short, is other"):
        apply.carry_out(site, ready)
    assert lab.sent == []


def test_what_changes_meanwhile_stops_it_and_the_rest_is_left(lab: Lab, site: Site) -> None:
    ready = prepared(site, THREE)
    lab.set("lab/2", held=True)
    done = apply.carry_out(site, ready)
    assert done.stopped is not None
    assert "held was no, is yes" in done.stopped
    assert done.left == ("m2", "m3")
    assert [change.receipts[0].target for change in done.changes] == ["lab/1"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [("lies", "unchanged"), ("denies", "Access denied"), ("silent", "no answer")],
)
def test_the_first_surprise_ends_it(lab: Lab, site: Site, wrong: str, words: str) -> None:
    ready = prepared(site, THREE)
    lab.mark(wrong, "lab/2")
    done = apply.carry_out(site, ready)
    assert done.stopped is not None
    assert words in done.stopped
    assert done.left == (("m1", "m2", "m3") if wrong == "silent" else ("m2", "m3"))
    assert done.silent is (wrong == "silent")
    lab.mark(wrong)
    assert applied(site, THREE).stopped is None, "the same plan goes on from there"
    assert lab.run("lab/3")["queue"] == "long"


def test_a_refused_step_is_told_before_anything_is_sent(lab: Lab, site: Site) -> None:
    lab.mark("denies", "lab/3")
    assert prepared(site, THREE).refused == ("m3: Access denied",)


def test_a_command_in_the_file_must_be_the_one_that_is_sent(site: Site) -> None:
    move = replace(to_queue(1, "lab/1"), command=("scontrol", "update", "JobId=1; rm -rf /"))
    (words,) = prepared(site, plan_of(move)).refused
    assert "the file says" in words
    assert "do changerun queue=long lab/1" in words
    fits = replace(move, command=("do", "changerun queue=long", "lab/1"))
    assert prepared(site, plan_of(fits)).refused == ()


def test_only_some_moves_and_never_without_what_they_build_upon(lab: Lab, site: Site) -> None:
    second = replace(
        to_queue(2, "lab/1"),
        steps=(Hold(source="lab", runs=("lab/1",)),),
        precondition={"state": "pending", "queue": "short"},
    )
    plan = plan_of(to_queue(1, "lab/1"), second, to_queue(3, "lab/3"))
    assert prepared(site, plan, only=("2",)).refused == (
        "m2 builds upon m1 (lab/1): choose that one too",
    )
    with pytest.raises(WrongUse, match="m9"):
        prepared(site, plan, only=("m9",))
    done = apply.carry_out(site, prepared(site, plan, only=("3", "m1")))
    assert (done.stopped, lab.run("lab/3")["queue"]) == (None, "long")
    assert not lab.run("lab/1")["held"]
    assert prepared(site, plan, only=("2",)).obstacles == (), "what it builds upon is done"
    assert applied(site, plan).stopped is None
    assert lab.run("lab/1")["held"]


def test_a_move_that_asks_people_sends_nothing(site: Site) -> None:
    review = Move(id="m1", target=Target("run", "lab/1"), action="review_idle")
    with pytest.raises(NothingMatched):
        prepared(site, plan_of(review))
    with pytest.raises(WrongUse, match="asks people"):
        prepared(site, plan_of(review), only=("m1",))


def test_a_plan_of_another_cluster_is_refused(lab: Lab, site: Site) -> None:
    here = lab.snapshot()
    assert prepared(site, replace(THREE, estate_id=here.estate_id)).refused == ()
    elsewhere = replace(THREE, estate_id="0123456789ab")
    assert "does not say how lab looked" in prepared(site, elsewhere).refused[0]
    seen = replace(elsewhere, seen={"lab": "7 nodes abc"})
    assert "it was 7 nodes abc" in prepared(site, seen).refused[0]
    grown = replace(elsewhere, seen={"lab": here.source_id("lab"), "other": "gone"})
    assert prepared(site, grown).refused == (), "its own sources look as they did"
    other = plan_of(replace(to_queue(1, "lab/1"), target=Target("run", "moon/1")))
    assert any("moon, which is not here" in words for words in prepared(site, other).refused)


def test_two_plans_of_one_id_are_told_apart(site: Site) -> None:
    applied(site, THREE)
    other = plan_of(to_queue(1, "lab/5"), to_queue(2, "lab/6"))
    assert "another plan was applied as p1" in prepared(site, other).refused[0]


def test_a_journal_that_was_edited_is_not_built_upon(lab: Lab, site: Site) -> None:
    applied(site, plan_of(to_queue(1, "lab/9"), plan_id="p0"))
    path = site.journal.path
    path.write_bytes(path.read_bytes().replace(b"lab/9", b"lab/8"))
    with pytest.raises(ActionError, match="foundry journal --verify"):
        applied(site, THREE)
    assert len(lab.sent) == 1


def test_what_a_journal_lost_is_not_taken_for_what_never_was(lab: Lab, site: Site) -> None:
    applied(site, THREE)
    whole = site.journal.path.read_bytes()
    site.journal.path.write_bytes(whole.splitlines(keepends=True)[-1])
    with pytest.raises(ActionError, match="not as it was written"):
        undone(site, "p1")
    site.journal.path.write_bytes(b"".join([*whole.splitlines(keepends=True)[1:]]))
    for name in ("journal.jsonl", "journal.lock"):
        assert name in "".join(prepared(site, THREE).refused), "it is told how to begin anew"
        (site.state / name).unlink()
    assert "queue was short, is long" in "".join(prepared(site, THREE).broken)


def test_what_waits_for_a_source_that_is_not_here_sends_nothing(site: Site) -> None:
    plan = plan_of(to_queue(1, "lab/1"), replace(to_queue(2, "lab/2"), awaits="moon/4"))
    assert prepared(site, plan).refused == ("m2 awaits moon/4, whose source is not here",)


def test_a_line_that_a_crash_cut_short_is_no_reason_to_stop(lab: Lab, site: Site) -> None:
    applied(site, plan_of(to_queue(1, "lab/9"), plan_id="p0"))
    with site.journal.path.open("ab") as file:
        file.write(b'{"seq":3,"prev":"0')
    assert applied(site, THREE).stopped is None


def test_a_full_disk_sends_nothing(lab: Lab, site: Site, tmp_path: Path) -> None:
    ready = prepared(site, THREE)
    obstacles.plans(site).keep("p1", ready.data)
    status = in_child(lambda: full_disk(site, ready))
    assert os.waitstatus_to_exitcode(status) == 3
    assert lab.sent == []
    assert applied(site, THREE).stopped is None


def full_disk(site: Site, ready: apply.Prepared) -> int:
    """Apply with no room for the journal: what is written beyond the limit fails."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    size = site.journal.path.stat().st_size if site.journal.path.exists() else 0
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 40, size + 40))
    try:
        done = apply.carry_out(site, ready)
    except ActionError:
        return 3
    return 3 if done.stopped and "nothing was sent" in done.stopped and not done.changes else 1


def in_child(work: Callable[[], int]) -> int:
    """The exit status of a forked process that does the work."""
    child = os.fork()
    if child == 0:
        code = 99
        with suppress(BaseException):
            code = work()
        os._exit(code)
    return os.waitpid(child, 0)[1]


def test_a_move_waits_for_the_run_that_comes_first(lab: Lab, site: Site) -> None:
    lab.set("lab/4", state="pending")
    plan = plan_of(replace(to_queue(1, "lab/1"), awaits="lab/4"))
    asked = []

    def pause(_: float) -> None:
        asked.append(1)
        if len(asked) == 2:
            lab.set("lab/4", state="running", started="2026-11-22T03:00:00+00:00")

    done = applied(site, plan, pause=pause)
    assert (done.stopped, len(asked)) == (None, 2)
    lab.set("lab/5", state="cancelled")
    gone = plan_of(replace(to_queue(1, "lab/2"), awaits="lab/5"), plan_id="p2")
    told: list[str] = []
    assert applied(site, gone, progress=told.append).stopped is None, "nobody gives way to it now"
    assert any("has ended (cancelled)" in words for words in told)


def test_it_stops_between_two_steps_when_asked(lab: Lab, site: Site) -> None:
    done = applied(site, THREE, stop=lambda: len(lab.sent) == 1)
    assert done.stopped is not None
    assert (done.left, len(lab.sent)) == (("m2", "m3"), 1)


def test_two_processes_never_apply_at_once(site: Site, lab: Lab) -> None:
    ready = prepared(site, THREE)
    with turn(site.state / LOCK, "apply of plan p7", utc_now):
        with pytest.raises(ActionError, match=r"plan p7; nothing was sent"):
            apply.carry_out(site, ready)
        code = in_child(lambda: 3 if refused(site, ready) else 1)
    assert os.waitstatus_to_exitcode(code) == 3
    assert lab.sent == []


def refused(site: Site, ready: apply.Prepared) -> bool:
    try:
        apply.carry_out(site, ready)
    except ActionError as error:
        return "is at it since" in str(error)
    return False


def test_a_lock_goes_with_its_holder(tmp_path: Path) -> None:
    path = tmp_path / LOCK

    def die() -> int:
        with turn(path, "x", utc_now):
            os.kill(os.getpid(), signal.SIGKILL)
        return 0

    assert os.WIFSIGNALED(in_child(die))
    with turn(path, "y", utc_now), pytest.raises(Busy, match="y"), turn(path, "z", utc_now):
        pass


def test_a_source_that_is_gone_is_told_as_such(lab: Lab, site: Site) -> None:
    snapshot = lab.snapshot()
    lab.mark("silent", "all")
    with pytest.raises(SourceMissing):
        apply.prepare(site, THREE, None, snapshot)


def test_a_time_that_is_over_is_no_end(site: Site) -> None:
    with pytest.raises(WrongUse, match="over already"):
        applied(site, THREE, until=utc_now() - timedelta(seconds=1))
