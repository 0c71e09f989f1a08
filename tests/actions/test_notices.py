"""Owners are told by a real program, once per finding and period."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from foundry_tui.actions import notices
from foundry_tui.actions.errors import ActionError, WrongUse
from foundry_tui.actions.site import Options, Site
from foundry_tui.actions.triage import Triage
from foundry_tui.config.model import Config
from foundry_tui.config.triage import Notices
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.usage import Window
from foundry_tui.presenters.triage import notice_text
from foundry_tui.triage.nouns import Finding, Judged, Rule

NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)


def finding(run: str, user: str | None, rule: str = "idle") -> Finding:
    return Finding(
        rule=rule,
        kind="idle",
        run=run,
        user=user,
        account=None,
        queue=None,
        live=True,
        gpu_milli=1000,
        since=NOW,
        gpu_hours=3.0,
        stake="held without work until now",
        evidence="no work for 3.0 h\x1b[2J",
        advice="end it",
    )


FOUND = Triage(
    window=Window(NOW, NOW),
    snapshot=Snapshot(generated_at=NOW),
    judged=(
        Judged(
            rule=Rule(name="idle", kind="idle"),
            findings=(
                finding("lab/1", "ann"),
                finding("lab/2", "ann"),
                finding("lab/3", "bob"),
                finding("lab/4", None),
                finding("lab/5", "-rf"),
            ),
        ),
        Judged(
            rule=Rule(name="quiet", kind="idle", notify=False),
            findings=(finding("lab/1", "ann", "quiet"),),
        ),
    ),
)


def opened(folder: Path, command: tuple[str, ...], *, mode: str = "live") -> Site:
    config = Config(state_dir=folder / "state", notices=Notices(command=command))
    return Site(options=Options(), config=config, mode=mode, tell=lambda words: None)


def text(one: notices.Due, now: datetime) -> str:
    return notice_text(one.user, one.findings, now)


def test_each_owner_is_told_once_per_period(tmp_path: Path) -> None:
    site = opened(tmp_path, ("tee", "-a", f"{tmp_path}/to-{{user}}"))
    waiting, already = notices.due(site, FOUND)
    assert [(one.user, len(one.findings)) for one in waiting] == [
        ("-rf", 1),
        ("ann", 2),
        ("bob", 1),
    ]
    assert already == 0
    outcomes = notices.tell(site, FOUND, text)
    assert [(o.user, o.findings, o.error is None) for o in outcomes] == [
        ("-rf", 1, False),
        ("ann", 2, True),
        ("bob", 1, True),
    ]
    told = (tmp_path / "to-ann").read_text()
    assert "lab/1" in told and "lab/2" in told and "lab/3" not in told
    assert "\x1b" not in told and "3.0 GPU-hours held without work" in told
    again = notices.tell(site, FOUND, text)
    assert [o.user for o in again] == ["-rf"]
    assert (tmp_path / "to-ann").read_text() == told
    assert notices.due(site, FOUND)[1] == 3


def test_an_owner_who_was_not_reached_is_told_the_next_time(tmp_path: Path) -> None:
    failing = notices.tell(opened(tmp_path, ("false",)), FOUND, text)
    assert {o.error for o in failing if o.user != "-rf"} == {"false ended with 1"}
    missing = notices.tell(opened(tmp_path, ("/nonexistent/mail",)), FOUND, text)
    assert all(o.error for o in missing)
    assert notices.due(opened(tmp_path, ()), FOUND)[1] == 0


def test_nobody_is_told_of_what_is_simulated_or_unsaid(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="simulated"):
        notices.tell(opened(tmp_path, ("tee",), mode="demo"), FOUND, text)
    with pytest.raises(WrongUse, match=r"\[notices\] command"):
        notices.tell(opened(tmp_path, ()), FOUND, text)
    site = opened(tmp_path, ("tee",))
    (site.state / "notices.json").write_text('["lab/1"]')
    with pytest.raises(ActionError, match="holds no notices"):
        notices.due(site, FOUND)
