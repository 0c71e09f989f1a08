"""`foundry apply`, `diff-plan` and `undo`: what they print, how they ask, and their exit codes."""

from __future__ import annotations

import json
import os
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from foundry_tui.actions.site import Options, Site
from foundry_tui.changes import planfile
from foundry_tui.cli import context
from foundry_tui.cli.app import run
from tests.changes.world import Lab, plan_of, site_of, to_queue

Outcome = tuple[int, str, str]
Run = Callable[..., Outcome]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "lab.json")


@pytest.fixture
def plan(tmp_path: Path) -> str:
    path = tmp_path / "plan.json"
    path.write_bytes(planfile.write(plan_of(*(to_queue(n, f"lab/{n}") for n in (1, 2, 3)))))
    return str(path)


@pytest.fixture
def foundry(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Run:
    """The command line on the scheduler of this test: exit code, standard output and error."""

    def opened(options: Options, _: object) -> Site:
        site = site_of(lab, tmp_path)
        site.options = options
        return site

    monkeypatch.setattr(context, "open_site", opened)
    monkeypatch.setattr(sys, "stdin", None)

    def call(*args: str) -> Outcome:
        capfd.readouterr()
        code = run(list(args))
        told = capfd.readouterr()
        return code, told.out, told.err

    return call


def as_json(outcome: Outcome, noun: str) -> Any:
    return json.loads(outcome[1])[noun]


def test_a_dry_run_tells_everything_and_sends_nothing(lab: Lab, foundry: Run, plan: str) -> None:
    code, out, _ = foundry("apply", plan, "--dry-run")
    assert code == 0
    for words in (
        "Plan p1", "3 targets touched", "do 'changerun queue=long' lab/1", "now: state pending",
        "taken back by: change run lab/1 queue=short", "`foundry undo p1` takes it back",
    ):  # fmt: skip
        assert words in out
    told = as_json(foundry("apply", plan, "--dry-run", "--json"), "dry_run")
    assert told["count"] == 3
    assert told["steps"][0]["items"][0]["command"] == ["do", "changerun queue=long", "lab/1"]
    assert told["steps"][0]["inverse"]["fields"] == {"queue": "short"}
    lab.set("lab/2", held=True)
    code, out, _ = foundry("apply", plan, "--dry-run")
    assert (code, "m2: lab/2: held was no, is yes" in out) == (1, True)
    assert lab.sent == []


def test_without_a_terminal_the_count_has_to_be_said(lab: Lab, foundry: Run, plan: str) -> None:
    for args in ((), ("--yes",), ("--confirm", "2")):
        code, _, err = foundry("apply", plan, *args)
        assert (code, "3" in err) == (2, True)
    assert lab.sent == []
    assert foundry("apply", plan, "--only", "2", "--yes")[0] == 0, "one run of one's own"
    assert len(lab.sent) == 1


def test_on_a_terminal_enter_never_confirms(
    lab: Lab, foundry: Run, plan: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(termios, "tcflush", lambda *_: None)
    for typed, code in ((b"\n", 1), (b"y\n", 1), (b"2\n", 1), (b"3\n", 0)):
        leader, follower = os.openpty()
        try:
            with os.fdopen(follower, "r") as terminal:
                monkeypatch.setattr(sys, "stdin", terminal)
                os.write(leader, typed)
                assert foundry("apply", plan)[0] == code
        finally:
            os.close(leader)
        assert len(lab.sent) == (0 if code else 3)


def test_the_exit_code_says_how_far_it_came(lab: Lab, foundry: Run, plan: str) -> None:
    lab.mark("lies", "lab/2")
    stopped = foundry("apply", plan, "--confirm", "3", "--json")
    told = as_json(stopped, "change")
    assert (stopped[0], told["left"], len(told["changes"])) == (5, ["m2", "m3"], 2)
    assert told["stopped"].startswith("m2: ")
    lab.mark("lies")
    assert foundry("apply", plan, "--confirm", "2")[0] == 0
    code, out, _ = foundry("apply", plan, "--confirm", "0")
    assert (code, "was applied already at" in out) == (0, True)
    assert foundry("diff-plan", plan)[0] == 1, "the runs are in another queue by now"


def test_a_change_meanwhile_ends_with_1(lab: Lab, foundry: Run, plan: str) -> None:
    lab.set("lab/1", state="running")
    code, _, err = foundry("apply", plan, "--confirm", "3")
    assert (code, "state was pending, is running" in err) == (1, True)
    assert lab.sent == []


def test_diff_plan_shows_what_was_and_what_is(lab: Lab, foundry: Run, plan: str) -> None:
    code, out, _ = foundry("diff-plan", plan)
    assert (code, "all still hold" in out) == (0, True)
    lab.set("lab/3", queue="other")
    code, out, _ = foundry("diff-plan", plan)
    assert (code, "queue: short -> other" in out, "1 no longer holds" in out) == (1, True, True)
    told = as_json(foundry("diff-plan", plan, "--json"), "diff_plan")
    assert (told["holds"], told["moves"][2]["is"]["queue"]) == (False, "other")


def test_undo_takes_a_change_and_a_plan(lab: Lab, foundry: Run, plan: str) -> None:
    told = as_json(foundry("apply", plan, "--confirm", "3", "--json"), "change")
    one = told["changes"][0]["id"]
    code, out, _ = foundry("undo", one, "--dry-run")
    assert (code, "do 'changerun queue=short' lab/1" in out) == (0, True)
    assert foundry("undo", one)[0] == 2
    back = foundry("undo", one, "--yes", "--json")
    assert (back[0], as_json(back, "change")["undoes"]) == (0, one)
    assert lab.run("lab/1")["queue"] == "short"
    lab.set("lab/2", queue="other")
    code, _, err = foundry("undo", "p1", "--confirm", "1")
    assert (code, "lab/2 no longer shows" in err) == (5, True)
    assert lab.run("lab/3")["queue"] == "short"
    assert foundry("undo", one, "--yes")[0] == 1
    assert foundry("undo", "p9", "--yes")[0] == 4


def test_a_file_that_is_no_plan_is_wrong_use(foundry: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"plan": {"generated_at": "2026-11-22T03:00:00", "moves": []}}')
    code, _, err = foundry("apply", str(path))
    assert (code, "generated_at" in err) == (2, True)
    assert foundry("apply", str(tmp_path / "gone.json"))[0] == 2
    assert foundry("diff-plan", str(tmp_path))[0] == 2


def test_read_only_refuses_and_a_dry_run_says_so(lab: Lab, foundry: Run, plan: str) -> None:
    code, out, _ = foundry("--read-only", "apply", plan, "--dry-run")
    assert (code, "read-only" in out) == (1, True)
    assert foundry("--read-only", "apply", plan, "--confirm", "3")[0] == 1
    assert lab.sent == []
