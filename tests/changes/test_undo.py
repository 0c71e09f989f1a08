"""Changes and plans taken back: in reverse, once, and only what still stands."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from foundry_tui.actions import apply, undoing
from foundry_tui.actions.errors import ActionError
from foundry_tui.actions.site import Site, utc_now
from foundry_tui.changes.turn import Busy, turn
from foundry_tui.estate.acts import ChangeRun, Receipt, ReceiptStatus, Release, Requeue
from foundry_tui.store.journal import Who
from tests.changes.test_apply import THREE, applied, in_child, prepared, undone
from tests.changes.world import Lab, plan_of, site_of, to_queue


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "lab.json")


@pytest.fixture
def site(lab: Lab, tmp_path: Path) -> Site:
    return site_of(lab, tmp_path)


def test_a_whole_plan_is_taken_back_once(lab: Lab, site: Site) -> None:
    applied(site, THREE)
    done = undone(site, "p1")
    assert (done.stopped, len(done.changes)) == (None, 3)
    assert [c.receipts[0].target for c in done.changes] == ["lab/3", "lab/2", "lab/1"]
    assert {lab.run(f"lab/{n}")["queue"] for n in (1, 2, 3)} == {"short"}
    with pytest.raises(ActionError, match=f"taken back by {done.changes[2].id}"):
        undone(site, "p1")
    assert applied(site, THREE).stopped is None, "and applied anew"
    assert lab.run("lab/1")["queue"] == "long"


def test_of_a_plan_that_was_stopped_what_was_done_is_taken_back(lab: Lab, site: Site) -> None:
    ready = prepared(site, THREE)
    lab.mark("lies", "lab/2")
    apply.carry_out(site, ready)
    assert [c.receipts[0].target for c in undone(site, "p1").changes] == ["lab/1"]


def test_what_somebody_else_changed_since_is_left_alone(lab: Lab, site: Site) -> None:
    applied(site, THREE)
    lab.set("lab/2", queue="other")
    ready = undoing.prepare(site, "p1", lab.snapshot())
    assert len(ready.backs) == 2
    assert "lab/2 no longer shows" in ready.left[0]
    assert "somebody else has changed it since" in ready.left[0]
    undoing.carry_out(site, ready)
    assert [lab.run(f"lab/{n}")["queue"] for n in (1, 2, 3)] == ["short", "other", "short"]
    later = applied(site, plan_of(replace(to_queue(1, "lab/5")), plan_id="p2")).changes[0]
    third = replace(to_queue(1, "lab/5", "third"), precondition={"queue": "long"})
    by = applied(site, plan_of(third, plan_id="p3")).changes[0].id
    with pytest.raises(ActionError, match=f"{by} of .* has changed it since"):
        undone(site, later.id)


def test_a_run_that_has_started_is_set_back_only_by_a_requeue(lab: Lab, site: Site) -> None:
    applied(site, plan_of(to_queue(1, "lab/1")))
    lab.set("lab/1", state="running", started="2026-11-22T02:00:00+00:00")
    with pytest.raises(ActionError, match=r"--requeue .* costs 2.0 GPU-hours"):
        undone(site, "p1")
    assert lab.run("lab/1")["queue"] == "long"
    ready = undoing.prepare(site, "p1", lab.snapshot(), requeue=True)
    assert [type(back.act) for back in ready.backs] == [Requeue, ChangeRun, Release]
    assert (ready.count, ready.loss_gpu_s) == (1, 7200.0)
    assert undoing.carry_out(site, ready, pause=lambda _: None).stopped is None
    assert lab.run("lab/1") == {
        "queue": "short", "state": "pending", "held": False, "started": None
    }  # fmt: skip
    with pytest.raises(ActionError, match="already taken back"):
        undone(site, "p1")


def test_a_run_that_was_held_is_held_in_the_end(lab: Lab, site: Site) -> None:
    lab.set("lab/1", held=True)
    move = replace(
        to_queue(1, "lab/1"),
        precondition={"held": True},
        steps=(*to_queue(1, "lab/1").steps, Release(source="lab", runs=("lab/1",))),
    )
    applied(site, plan_of(move))
    lab.set("lab/1", state="running", started="2026-11-22T02:00:00+00:00")
    assert undone(site, "p1", requeue=True).stopped is None
    assert lab.run("lab/1")["held"]
    assert lab.run("lab/1")["queue"] == "short"


def test_what_cannot_be_taken_back_is_named(lab: Lab, site: Site) -> None:
    lab.set("lab/1", state="running", started="2026-11-22T02:00:00+00:00")
    steps = (
        Requeue(source="lab", runs=("lab/1",), hold=True),
        ChangeRun(source="lab", runs=("lab/1",), fields=(("queue", "long"),)),
        Release(source="lab", runs=("lab/1",)),
    )
    plan = plan_of(replace(to_queue(1, "lab/1"), precondition={"state": "running"}, steps=steps))
    assert prepared(site, plan).irreversible == ("m1 step 1: requeue lab/1 held",)
    assert applied(site, plan).stopped is None
    ready = undoing.prepare(site, "p1", lab.snapshot())
    assert "is lost" in ready.taking.irreversible[0]
    assert undoing.carry_out(site, ready).stopped is None
    assert {k: lab.run("lab/1")[k] for k in ("queue", "held")} == {"queue": "short", "held": False}


def test_an_old_line_without_its_inverse_is_taken_back_by_its_kind(lab: Lab, site: Site) -> None:
    who = Who(uid=0, user="root", host="elsewhere", pid=1)
    for name, kind in (("c-1", "hold"), ("c-2", "cancel")):
        site.journal.begin(
            name, kind, "lab", commands=(("do",),), items=("lab/1",), token=None, who=who
        )
        done = Receipt(target="lab/1", status=ReceiptStatus.DONE)
        site.journal.finish(name, "done", (done,))
    lab.set("lab/1", held=True)
    assert undone(site, "c-1").stopped is None
    assert not lab.run("lab/1")["held"]
    with pytest.raises(ActionError, match="c-2 is a cancel, which cannot be taken back"):
        undone(site, "c-2")


def test_killed_while_it_is_taken_back_the_same_undo_goes_on(lab: Lab, site: Site) -> None:
    for at in range(4):
        applied(site, THREE)
        count = 0

        def point(_: str, at: int = at) -> None:
            nonlocal count
            if count == at:
                os.kill(os.getpid(), signal.SIGKILL)
            count += 1

        def child() -> int:
            lab.before = point
            undone(site, "p1")
            return 0

        assert os.WIFSIGNALED(in_child(child))
        lab.before = lambda _: None
        assert undone(site, "p1").stopped is None
        assert {lab.run(f"lab/{n}")["queue"] for n in (1, 2, 3)} == {"short"}
        with pytest.raises(ActionError, match="already taken back"):
            undone(site, "p1")


def test_a_lock_that_users_share_keeps_others_out_too(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "shared.lock"
    path.touch(0o666)
    path.chmod(0o666)
    again = turn(path, "x", utc_now, shared=True)
    with turn(path, "apply of plan p1", utc_now, shared=True), pytest.raises(Busy, match="plan p1"):
        again.__enter__()
    link = tmp_path / "link.lock"
    link.symlink_to(path)
    with pytest.raises(OSError), turn(link, "x", utc_now, shared=True):
        pass
