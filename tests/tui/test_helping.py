"""Help, first start, doctor and tour: what is said, where it leads, and that they never block."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from foundry_tui.actions import doctor as doctors
from foundry_tui.actions.errors import ActionError
from foundry_tui.actions.onscreen import EVERY
from foundry_tui.actions.site import Options, Site
from foundry_tui.tui.app import Foundry
from foundry_tui.tui.helping import help_lines
from foundry_tui.tui.keys import Keys
from foundry_tui.tui.screens.doctor import Doctor
from foundry_tui.tui.screens.help import Help
from foundry_tui.tui.screens.welcome import Welcome
from foundry_tui.tui.tour import STEPS, Tour
from foundry_tui.tui.widgets.lines import Lines
from tests.tui.opened import alone, driven, place, said, told, typed, until


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone(tmp_path, monkeypatch)


def shown(app: Foundry) -> str:
    """The text of the page that is shown."""
    lines = place(app).query_one("#main", Lines).lines
    return "\n".join("".join(text for text, _ in parts) for parts in lines)


def text_of(app: Foundry, searched: str = "") -> str:
    lines = help_lines(place(app), 80, searched)
    return "\n".join("".join(text for text, _ in parts) for parts in lines)


def test_the_help_has_everything_that_works_here_and_no_more() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        here = {a.title for a in place(app).abilities()}
        text = text_of(app)
        for action in EVERY:
            assert (f" {action.title}. " in text) == (action.title in here), action.id
        assert max(map(len, text.splitlines())) <= 80
        assert "never 0" in text
        assert ":save view NAME" in text

    driven(test)


def test_what_is_refused_is_shown_with_the_reason() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        page = place(app)
        page.do_submit = lambda: None  # type: ignore[attr-defined]
        assert "not now: read-only" in text_of(app, "submit")

    driven(test, options=Options(demo=True, read_only=True))


def test_the_help_is_searched_as_one_types_and_left_as_one_came() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.place, Help) and bool(shown(app)))
        assert "In every list" in shown(app)
        await pilot.press("slash")
        await typed(pilot, "page row")
        assert "Nothing in the help has 'page row'" in shown(app)
        await pilot.press("backspace", "backspace", "backspace", "backspace")
        assert "one page" in shown(app)
        assert "one row" not in shown(app)
        await pilot.press("enter", "escape")
        assert "one row" in shown(app)
        await pilot.press("escape")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        await pilot.press("question_mark", "question_mark")
        await until(pilot, lambda: len(app.screen_stack) == 1)

    driven(test)


def test_the_doctor_lists_every_source_with_its_mending_command() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.place, Doctor) and "sim-slurm" in shown(app))
        for name, _, findings in doctors.doctor(app.site):
            assert name in shown(app)
            assert all(f.what in shown(app) for f in findings)
        await pilot.press("escape")
        await until(pilot, lambda: len(app.screen_stack) == 1)

    driven(test)


def test_a_doctor_that_fails_says_so_and_every_key_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(site: Site) -> object:
        raise ActionError("the probe\nfell over \x1b[2J")

    monkeypatch.setattr(doctors, "doctor", broken)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.place, Doctor) and "the probe" in shown(app))
        assert "\x1b" not in shown(app)
        await pilot.press("2")
        await until(pilot, lambda: app.current_mode == "runs")

    driven(test)


def nothing_found(monkeypatch: pytest.MonkeyPatch) -> Options:
    monkeypatch.setattr("foundry_tui.actions.opening.live", lambda config, clock: {})
    return Options()


def test_the_first_start_welcomes_once_and_escape_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    options = nothing_found(monkeypatch)

    async def first(app: Foundry, pilot: Pilot[int]) -> None:
        await until(pilot, lambda: isinstance(app.place, Welcome) and "slurm" in shown(app))
        assert "No scheduler was found" in shown(app)
        assert "made up from end to end" in shown(app)
        assert len(shown(app).splitlines()) <= 20
        await pilot.press("escape")
        await until(pilot, lambda: len(app.screen_stack) == 1)

    async def later(app: Foundry, pilot: Pilot[int]) -> None:
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert len(app.screen_stack) == 1

    driven(first, options=options)
    driven(later, options=options)


def test_who_asks_for_the_simulated_estate_is_not_held_up() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert len(app.screen_stack) == 1

    driven(test)


def test_the_tour_goes_on_with_each_right_key_and_ends_with_escape() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("0")
        assert told(app, "tour")[0].startswith("─ tour 1 of 5 ")
        assert told(app, "tour")[1].startswith(" Press 2 ")
        await pilot.press("T")
        assert told(app, "tour")[0].startswith("─ tour 1 of 5 ")
        await pilot.press("2")
        await until(pilot, lambda: bool(told(app, "tour")))
        assert told(app, "tour")[1].startswith(" Press / ")
        await pilot.press("escape")
        assert told(app, "tour") == ()
        assert app.current_mode == "runs"
        assert said(app) == ""

    driven(test)


def test_the_tour_is_only_where_nothing_can_happen(tmp_path: Path) -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        app.site.mode = "live"
        await pilot.press("0")
        assert "foundry --demo" in said(app)
        assert app.tour is None

    driven(test)


def test_five_steps_with_five_keys_that_only_look() -> None:
    by_id = {action.id: action for action in EVERY}
    keys = Keys.of({"why": "W"})
    tour = Tour()
    for number, (action_id, _) in enumerate(STEPS):
        assert by_id[action_id].risk == "look"
        rule, *words = tour.lines(keys, 80)
        assert f"tour {number + 1} of 5" in rule[0][0]
        assert len(words) <= 2
        assert f"Press {'W' if action_id == 'why' else ''}" in words[0][0][0]
        tour.did("theme")
        tour.did(action_id)
    assert tour.over
    assert "That was the tour" in tour.lines(keys, 80)[1][0][0]
    assert len({action_id for action_id, _ in STEPS}) == 5
