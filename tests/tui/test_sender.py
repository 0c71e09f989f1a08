"""The way out of the screens: held, taken back, sent, and told whatever came of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from foundry_tui.actions import act
from foundry_tui.actions.site import Site
from foundry_tui.estate.acts import Preview, Receipt, ReceiptStatus
from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.ports import Denied, Unavailable
from foundry_tui.store.journal import JournalError
from foundry_tui.tui.app import Foundry
from foundry_tui.tui.commandlog import MOST_ENTRIES, CommandLog, Entry
from foundry_tui.tui.confirm import SILENCE_S, Confirm
from tests.tui.estates import NOW, an_estate, on, saved, screen, still, until
from tests.tui.opened import alone, said

Keys = Pilot[int]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone(tmp_path, monkeypatch)
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))


def a_site(hold_s: float = 0.0, *, read_only: bool = False) -> Site:
    """The simulated estate, on which what was agreed to is held for so long."""
    site = still()
    screens = replace(site.config.screens, hold_s=hold_s)
    site.config = replace(site.config, screens=screens)
    site.options = replace(site.options, read_only=read_only)
    return site


def mine(app: Foundry, state: RunState, source: str = "sim-slurm") -> Iterator[Run]:
    """The user's single runs in a state on a source."""
    assert app.seen is not None
    for run in app.seen.runs:
        own = (run.user, run.state, run.source) == (app.site.user(source), state, source)
        if own and run.count == 1 and not run.held:
            yield run


def prepared(app: Foundry, verb: str, *runs: Run) -> tuple[act.Prepared, ...]:
    """The act on these runs, ready to be agreed to."""
    assert app.seen is not None
    return act.prepare(app.site, verb, app.seen.snapshot, runs)


def status_line(app: Foundry) -> str:
    return screen(app).splitlines()[0]


def journal(app: Foundry) -> list[tuple[str, str]]:
    """What stands in the journal."""
    return [(r.change.act, r.change.status) for r in app.site.journal.changes()]


def log(app: Foundry) -> list[tuple[str, str, bool]]:
    """What stands in the command log."""
    return [(e.command, e.answer, e.good) for e in app.log_of_commands.entries]


def ends(app: Foundry, number: int = 1) -> Callable[[], bool]:
    """Whether so many commands have an answer."""
    return lambda: len(app.log_of_commands.entries) >= number


async def answered(pilot: Keys, app: Foundry, answer: str) -> None:
    """Type an answer into the panel when the keyboard was silent."""
    panel = app.screen.query_one(Confirm)
    await until(pilot, lambda: panel.asking and panel.has_focus)
    await pilot.pause(SILENCE_S + 0.05)
    await pilot.press(*answer)


def test_by_keys_agreed_held_and_taken_back() -> None:
    async def keys(app: Foundry, pilot: Keys) -> None:
        await pilot.press("2", "slash", *"user", "equals_sign", *"me", "enter")
        await pilot.press("c")
        await answered(pilot, app, "y")
        await until(pilot, lambda: "held 60 s: cancel" in status_line(app))
        await pilot.press("u")
        await until(pilot, lambda: said(app).startswith("not sent: cancel"))
        assert "held" not in status_line(app)
        assert journal(app) == []
        assert log(app) == []

    on(a_site(60), keys)


def test_it_is_sent_when_its_time_has_come_and_told() -> None:
    async def keys(app: Foundry, pilot: Keys) -> None:
        run = next(mine(app, RunState.PENDING))
        app.sender.hold(prepared(app, "hold", run), f"hold {run.native_id}")
        await until(pilot, ends(app))
        assert journal(app) == [("hold", "done")]
        assert log(app) == [(f"scontrol hold {run.native_id}", "done", True)]
        assert said(app).startswith(f"hold {run.native_id}: done")
        assert app.sender.told == ""

    on(a_site(), keys)


def test_a_short_hold_ends_by_itself() -> None:
    async def keys(app: Foundry, pilot: Keys) -> None:
        run = next(mine(app, RunState.PENDING))
        app.sender.hold(prepared(app, "hold", run), "hold it")
        assert journal(app) == []
        await until(pilot, ends(app))
        assert journal(app) == [("hold", "done")]

    on(a_site(0.2), keys)


def test_what_was_held_is_released_again_by_undo() -> None:
    async def keys(app: Foundry, pilot: Keys) -> None:
        run = next(mine(app, RunState.PENDING))
        app.sender.hold(prepared(app, "hold", run), "hold it")
        await until(pilot, ends(app))
        await pilot.press("u")
        await answered(pilot, app, "y")
        await until(pilot, ends(app, 2))
        assert [what for what, _ in journal(app)] == ["hold", "release"]
        assert log(app)[-1] == (f"scontrol release {run.native_id}", "done", True)

    on(a_site(), keys)


def test_undo_of_a_cancel_says_why_not() -> None:
    async def keys(app: Foundry, pilot: Keys) -> None:
        run = next(mine(app, RunState.PENDING))
        app.sender.hold(prepared(app, "cancel", run), "cancel it")
        await until(pilot, ends(app))
        await pilot.press("u")
        await until(pilot, lambda: "which cannot be taken back" in said(app))
        assert not app.screen.query_one(Confirm).asking

    on(a_site(), keys)


def test_undo_with_nothing_sent_says_so() -> None:
    async def keys(app: Foundry, pilot: Keys) -> None:
        await pilot.press("u")
        await until(pilot, lambda: "nothing was sent from here" in said(app))

    on(a_site(), keys)


def test_somebody_elses_run_is_refused_in_the_panel_and_nothing_can_be_typed() -> None:
    async def keys(app: Foundry, pilot: Keys) -> None:
        assert app.seen is not None and app.place is not None
        other = next(r for r in app.seen.runs if r.source == "sim-slurm" and r.user == "dara")
        app.sender.ask(app.place, prepared(app, "cancel", other), "cancel it")
        await answered(pilot, app, "1y")
        await pilot.pause(0.3)
        assert "refused" in screen(app)
        await pilot.press("escape")
        assert (journal(app), log(app)) == ([], [])

    on(a_site(), keys)


Perform = Callable[[Preview, str], tuple[Receipt, ...]]


def performing(site: Site, source: str, perform: Perform) -> None:
    """Let a source carry out as given."""
    scheduler: Any = site.schedulers[source]

    class Wrapped:
        def __getattr__(self, name: str) -> Any:
            return getattr(scheduler, name)

        def perform(self, preview: Preview, token: str) -> tuple[Receipt, ...]:
            return perform(preview, token)

        def read_back(self, preview: Preview, sent: tuple[Receipt, ...]) -> tuple[Receipt, ...]:
            return sent

    site.schedulers[source] = Wrapped()


def raising(error: Exception) -> Perform:
    def perform(preview: Preview, token: str) -> tuple[Receipt, ...]:
        raise error

    return perform


def test_a_refusal_of_the_scheduler_is_told_and_logged() -> None:
    site = a_site()

    def refuse(preview: Preview, token: str) -> tuple[Receipt, ...]:
        words = safe("Access/permission denied")
        return tuple(
            Receipt(target=i.target, status=ReceiptStatus.REFUSED, message=words)
            for i in preview.items
        )

    performing(site, "sim-slurm", refuse)

    async def keys(app: Foundry, pilot: Keys) -> None:
        run = next(mine(app, RunState.PENDING))
        app.sender.hold(prepared(app, "hold", run), "hold it")
        await until(pilot, ends(app))
        assert "refused: Access/permission denied" in said(app)
        assert log(app)[0][1:] == ("refused: Access/permission denied", False)

    on(site, keys)


def test_of_a_batch_that_was_done_in_part_each_item_has_its_own_answer() -> None:
    site = a_site()

    def half(preview: Preview, token: str) -> tuple[Receipt, ...]:
        first, second = preview.items
        return (
            Receipt(target=second.target, status=ReceiptStatus.UNCHANGED, message=safe("gone")),
            Receipt(target=first.target, status=ReceiptStatus.DONE),
        )

    performing(site, "sim-slurm", half)

    async def keys(app: Foundry, pilot: Keys) -> None:
        one, two, *_ = mine(app, RunState.RUNNING)
        app.sender.hold(prepared(app, "cancel", one, two), "cancel 2")
        await until(pilot, ends(app, 2))
        assert journal(app) == [("cancel", "part")]
        assert log(app) == [
            (f"scancel {one.native_id}", "done", True),
            (f"scancel {two.native_id}", "unchanged: gone", False),
        ]
        assert "1 of 2 done" in said(app)
        assert "unchanged: gone" in said(app)

    on(site, keys)


def test_of_two_sources_one_that_is_silent_gets_no_answer_of_the_other() -> None:
    site = a_site()
    performing(site, "sim-runai", raising(Unavailable("DELETE", "no route to host")))

    async def keys(app: Foundry, pilot: Keys) -> None:
        here, there = (next(mine(app, RunState.RUNNING, s)) for s in ("sim-slurm", "sim-runai"))
        both = (*prepared(app, "cancel", there), *prepared(app, "cancel", here))
        app.sender.hold(both, "cancel 2")
        await until(pilot, ends(app, 2))
        silent, sent = log(app)
        assert "no route to host" in silent[1]
        assert not silent[2]
        assert sent[0] == f"scancel {here.native_id}"
        assert sent[2]
        assert "no route to host" in said(app)
        assert "done" in said(app)

    on(site, keys)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (Denied("scancel", "Access/permission denied"), "Access/permission denied"),
        (ZeroDivisionError("surprise"), "a fault of foundry itself: surprise"),
    ],
)
def test_no_error_of_one_hides_what_came_of_another(error: Exception, words: str) -> None:
    site = a_site()
    performing(site, "sim-runai", raising(error))

    async def keys(app: Foundry, pilot: Keys) -> None:
        here, there = (next(mine(app, RunState.RUNNING, s)) for s in ("sim-slurm", "sim-runai"))
        app.sender.hold(prepared(app, "cancel", here, there), "cancel 2")
        await until(pilot, ends(app, 2))
        assert [good for *_, good in log(app)] == [True, False]
        assert words in log(app)[1][1]
        assert "may have been sent" in log(app)[1][1]
        assert words in said(app)

    on(site, keys)


def test_without_a_journal_nothing_is_sent_and_it_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def keys(app: Foundry, pilot: Keys) -> None:
        def begin(*args: object, **given: object) -> None:
            raise JournalError("No space left on device")

        monkeypatch.setattr(app.site.journal, "begin", begin)
        run = next(mine(app, RunState.PENDING))
        app.sender.hold(prepared(app, "hold", run), "hold it")
        await until(pilot, ends(app))
        assert "nothing was sent, because the journal failed" in said(app)
        assert not log(app)[0][2]

    on(a_site(), keys)


def test_what_was_sent_but_is_not_on_record_is_not_called_unsent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def keys(app: Foundry, pilot: Keys) -> None:
        def finish(*args: object, **given: object) -> None:
            raise JournalError("No space left on device")

        monkeypatch.setattr(app.site.journal, "finish", finish)
        run = next(mine(app, RunState.PENDING))
        app.sender.hold(prepared(app, "hold", run), "hold it")
        await until(pilot, ends(app))
        assert "hold was sent" in log(app)[0][1]
        assert "not sent" not in log(app)[0][1]

    on(a_site(), keys)


# -- leaving


def holding(app: Foundry, verb: str = "hold") -> Run:
    """Something that is held for a long time."""
    run = next(mine(app, RunState.PENDING))
    app.sender.hold(prepared(app, verb, run), f"{verb} {run.native_id}")
    return run


@pytest.mark.parametrize(
    ("answer", "sent"), [("s", [("hold", "done")]), ("w", list[tuple[str, str]]())]
)
def test_leaving_asks_what_is_to_become_of_what_is_held(
    answer: str, sent: list[tuple[str, str]]
) -> None:
    async def keys(app: Foundry, pilot: Keys) -> None:
        holding(app)
        await pilot.press("q")
        await until(pilot, lambda: "Leave: 1 held and not sent yet" in screen(app))
        await answered(pilot, app, answer)
        await until(pilot, lambda: not app.is_running or app._exit)
        assert journal(app) == sent

    on(a_site(600), keys)


def test_escape_stays_and_keeps_it_held() -> None:
    async def keys(app: Foundry, pilot: Keys) -> None:
        holding(app)
        await pilot.press("q")
        await answered(pilot, app, "")
        await pilot.press("escape")
        assert app.is_running
        assert "held" in status_line(app)

    on(a_site(600), keys)


def test_what_goes_wrong_at_leaving_is_told_before() -> None:
    site = a_site(600)
    performing(site, "sim-slurm", raising(Unavailable("scontrol", "no answer")))

    async def keys(app: Foundry, pilot: Keys) -> None:
        holding(app)
        await pilot.press("q")
        await answered(pilot, app, "s")
        await until(pilot, lambda: "no answer" in said(app))
        assert app.is_running and not app._exit

    on(site, keys)


def test_leaving_while_it_is_sent_waits_for_the_answer_if_the_user_likes() -> None:
    site, gate, performs = a_site(), threading.Event(), threading.Event()

    def slow(preview: Preview, token: str) -> tuple[Receipt, ...]:
        performs.set()
        gate.wait(30)
        return tuple(Receipt(target=i.target, status=ReceiptStatus.DONE) for i in preview.items)

    performing(site, "sim-slurm", slow)

    async def keys(app: Foundry, pilot: Keys) -> None:
        holding(app)
        await until(pilot, performs.is_set)
        await pilot.press("q")
        await until(pilot, lambda: "Leave: 1 being sent" in screen(app))
        await answered(pilot, app, "w")
        await pilot.pause(0.3)
        assert app.is_running and not app._exit
        gate.set()
        await until(pilot, lambda: app._exit)
        assert journal(app) == [("hold", "done")]

    try:
        on(site, keys)
    finally:
        gate.set()


def test_leaving_at_once_breaks_off_nothing_that_is_sent() -> None:
    site, gate, performs = a_site(), threading.Event(), threading.Event()

    def slow(preview: Preview, token: str) -> tuple[Receipt, ...]:
        performs.set()
        gate.wait(30)
        return tuple(Receipt(target=i.target, status=ReceiptStatus.DONE) for i in preview.items)

    performing(site, "sim-slurm", slow)

    async def keys(app: Foundry, pilot: Keys) -> None:
        holding(app)
        await until(pilot, performs.is_set)
        await pilot.press("q")
        await answered(pilot, app, "x")
        await until(pilot, lambda: app._exit)

    try:
        on(site, keys)
        (thread,) = [t for t in threading.enumerate() if t.name == "send-1"]
        assert not thread.daemon, "the program does not end before it"
    finally:
        gate.set()
    thread.join(10)
    assert [r.change.status for r in site.journal.changes()] == ["done"]


def test_a_thread_that_hangs_does_not_keep_the_program_from_ending() -> None:
    gate = threading.Event()

    async def keys(app: Foundry, pilot: Keys) -> None:
        for number in range(12):
            app.work_on(f"look {number}", lambda: gate.wait(60), lambda _: None)
        run = next(mine(app, RunState.PENDING))
        app.sender.hold(prepared(app, "hold", run), "hold it")
        await until(pilot, ends(app))
        assert journal(app) == [("hold", "done")], "it has no place in a queue behind them"

    on(a_site(), keys)
    looking = [t for t in threading.enumerate() if t.name.startswith("look ")]
    assert len(looking) == 12
    assert all(thread.daemon for thread in looking)
    gate.set()


# -- where nothing may be changed


@pytest.mark.parametrize(
    ("site", "words"),
    [
        (lambda: a_site(read_only=True), "read-only"),
        (lambda: saved(an_estate([])), "a saved estate has no scheduler"),
    ],
)
def test_where_nothing_may_be_changed_the_keys_say_so(site: Callable[[], Site], words: str) -> None:
    async def keys(app: Foundry, pilot: Keys) -> None:
        await pilot.press("2")
        for key in "chHbu":
            await pilot.press(key)
            await until(pilot, lambda: words in said(app))
            assert not app.screen.query_one(Confirm).asking
            app.place.say("")  # type: ignore[union-attr]

    on(site(), keys)


def test_the_log_keeps_the_last_entries_only() -> None:
    entries = CommandLog()
    for number in range(MOST_ENTRIES + 10):
        entries.add(Entry(at=NOW, command=f"{number}", answer="done", took_s=0.1, good=True))
    assert len(entries.entries) == MOST_ENTRIES
    assert entries.entries[0].command == "10"
