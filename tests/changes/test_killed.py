"""Killed at every point of a plan: the same plan goes on, and nothing is done twice."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from foundry_tui.actions.site import Site
from foundry_tui.estate.acts import ChangeRun, Hold, Receipt, Release, Resubmit
from foundry_tui.store.journal import Entry
from tests.changes.test_apply import applied, in_child, undone
from tests.changes.world import Lab, plan_of, site_of, to_queue


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "lab.json")


@pytest.fixture
def site(lab: Lab, tmp_path: Path) -> Site:
    return site_of(lab, tmp_path)


def before_finish(
    site: Site, monkeypatch: pytest.MonkeyPatch, point: Callable[[str], None]
) -> None:
    """Pass the point before a result goes on record."""
    finish = site.journal.finish

    def wrapped(change_id: str, status: str, receipts: Sequence[Receipt]) -> Entry:
        point("finish")
        return finish(change_id, status, receipts)

    monkeypatch.setattr(site.journal, "finish", wrapped)


STEPPED = plan_of(
    replace(
        to_queue(1, "lab/1"),
        steps=(
            Hold(source="lab", runs=("lab/1",)),
            ChangeRun(source="lab", runs=("lab/1",), fields=(("queue", "long"),)),
            Release(source="lab", runs=("lab/1",)),
        ),
    ),
    to_queue(2, "lab/2"),
)


@pytest.mark.parametrize("at", range(12))
def test_killed_anywhere_the_same_plan_goes_on(
    lab: Lab, site: Site, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every act has three points: before it is sent, after, and before its result is on record."""
    count = 0

    def point(_: str) -> None:
        nonlocal count
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1

    def child() -> int:
        lab.before = point
        before_finish(site, monkeypatch, point)
        return 0 if applied(site, STEPPED).stopped is None else 1

    status = in_child(child)
    assert os.WIFSIGNALED(status), "12 points: 4 acts"
    lab.before = lambda _: None
    assert applied(site, STEPPED).stopped is None
    assert {k: lab.run("lab/1")[k] for k in ("queue", "held")} == {"queue": "long", "held": False}
    assert lab.run("lab/2")["queue"] == "long"
    assert len(lab.sent) == 4, "what had arrived is not sent twice"
    assert applied(site, STEPPED).applied_at is not None
    assert all(r.change.status in ("done", "not_sent") for r in site.journal.changes())
    assert undone(site, "p1").stopped is None
    assert {k: lab.run("lab/1")[k] for k in ("queue", "held")} == {"queue": "short", "held": False}


@pytest.mark.parametrize("at", range(3))
def test_a_run_is_never_made_twice(
    lab: Lab, site: Site, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    act = Resubmit(source="lab", runs=("lab/1",), fields=(("queue", "long"),))
    plan = plan_of(replace(to_queue(1, "lab/1"), steps=(act,)))
    count = 0

    def point(_: str) -> None:
        nonlocal count
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1

    def child() -> int:
        lab.before = point
        before_finish(site, monkeypatch, point)
        applied(site, plan)
        return 0

    assert os.WIFSIGNALED(in_child(child))
    lab.before = lambda _: None
    again = applied(site, plan)
    if at == 0:  # nothing had arrived, and nobody can know that before two minutes are over
        assert again.stopped is not None
        assert "on its way" in again.stopped
        assert lab.load()["tokens"] == {}
    else:
        assert again.stopped is None
        assert len(lab.load()["tokens"]) == 1
