"""The panel in which a change is agreed to: what confirms, and what never does."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual.pilot import Pilot

from foundry_tui.tui.app import Foundry
from foundry_tui.tui.confirm import QUIET_S, QUIET_STEPS, SILENCE_S, Confirm, Question, Typed
from tests.tui.estates import on, screen, still, until
from tests.tui.opened import alone

HELD_S = 5.0
REPEAT_S = 0.03


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone(tmp_path, monkeypatch)


# -- what is typed


def agrees(text: str, wanted: str, gap_s: float = 0.5) -> bool:
    """Whether a text agrees, typed with so much time before each character and quiet after it."""
    clock = Clock()
    typed = Typed((wanted,), clock)
    for character in text:
        clock.now += gap_s
        typed.take(character)
    return wanted in [typed.rest() for _ in range(QUIET_STEPS)]


def test_the_whole_answer_agrees_and_nothing_before_it() -> None:
    assert [agrees(text, "12y") for text in ("1", "12", "12y")] == [False, False, True]


@pytest.mark.parametrize(
    ("text", "wanted"), [("12y", "2y"), ("112y", "12y"), ("why", "y"), ("2yy", "y"), ("yy", "12y")]
)
def test_a_wrong_answer_that_ends_in_the_right_one_does_not_agree(text: str, wanted: str) -> None:
    assert not agrees(text, wanted)


@pytest.mark.parametrize("text", ["yesterday", "yy", "y" * 160])
def test_what_goes_on_behind_an_answer_takes_it_back(text: str) -> None:
    assert not agrees(text, "y")


def test_an_answer_counts_only_after_the_quiet() -> None:
    clock = Clock()
    typed = Typed(("y",), clock)
    clock.now += 1
    assert typed.take("y")
    assert [typed.rest() for _ in range(QUIET_STEPS)] == [None] * (QUIET_STEPS - 1) + ["y"]


def test_what_is_typed_before_a_silence_is_lost() -> None:
    assert not agrees("y", "y", gap_s=SILENCE_S / 2)


def test_a_key_that_is_held_down_never_ends_the_silence_it_broke() -> None:
    assert not agrees("y" * int(HELD_S / REPEAT_S), "y", gap_s=REPEAT_S)


def test_after_a_wrong_answer_another_key_begins_anew() -> None:
    clock = Clock()
    typed = Typed(("2y",), clock)
    clock.now += 1
    typed.take("1")
    before = typed.wrong
    typed.disturb()
    assert (before, typed.wrong) == (True, False)
    assert [typed.take(c) for c in "2y"] == [False, True]


# -- the panel


class Agreed:
    """Counts what was agreed to and declined."""

    def __init__(self) -> None:
        self.agreed = self.declined = 0

    def question(self, wanted: str = "y", lines: int = 3) -> Question:
        def yes() -> None:
            self.agreed += 1

        def no() -> None:
            self.declined += 1

        return Question(
            title="cancel 17",
            lines=tuple([(f" line {n} " + "x" * 100 + "END", "")] for n in range(lines)),
            answer=wanted,
            agreed=yes,
            declined=no,
        )


async def asked(app: Foundry, pilot: Pilot[int], question: Question) -> tuple[Confirm, Clock]:
    """The open panel, after a silence."""
    panel, clock = app.screen.query_one(Confirm), Clock()
    panel.clock = clock
    app.screen.confirm(question)  # type: ignore[attr-defined]
    await until(pilot, lambda: panel.has_focus)
    clock.now += 1
    return panel, clock


def test_only_typed_text_confirms() -> None:
    seen = Agreed()

    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        panel, clock = await asked(app, pilot, seen.question())
        for _ in range(100):
            await pilot.press("enter")
        await pilot.press("space", "tab", "f1")
        panel.post_message(events.Paste("y"))
        await pilot.pause()
        assert panel.asking
        assert "a paste does not confirm" in screen(app)
        await pilot.press("y")
        assert "too early" in screen(app)
        clock.now += 1
        await pilot.press("y")
        await until(pilot, lambda: seen.agreed == 1)
        assert not panel.asking

    on(still(), keys)


def test_escape_withdraws() -> None:
    seen = Agreed()

    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        panel, _ = await asked(app, pilot, seen.question())
        await pilot.press("escape", "y")
        assert not panel.asking
        assert (seen.agreed, seen.declined) == (0, 1)

    on(still(), keys)


def test_a_raw_paste_that_begins_with_the_answer_confirms_nothing() -> None:
    seen = Agreed()

    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        await asked(app, pilot, seen.question())
        for key in "yesterday":
            app.post_message(events.Key(key, key))
        await until(pilot, lambda: "yesterday is wrong" in screen(app))
        await pilot.pause(2 * QUIET_S)
        assert seen.agreed == 0

    on(still(), keys)


def test_the_panel_waits_while_the_terminal_has_no_focus() -> None:
    seen = Agreed()

    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        panel, clock = await asked(app, pilot, seen.question())
        app.post_message(events.AppBlur())
        await until(pilot, lambda: not panel.has_focus)
        app.post_message(events.AppFocus())
        await until(pilot, lambda: panel.has_focus)
        assert panel.asking
        clock.now += 1
        await pilot.press("y")
        await until(pilot, lambda: seen.agreed == 1)

    on(still(), keys)


def test_what_is_said_meanwhile_is_told_after_and_hides_no_instruction() -> None:
    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        await asked(app, pilot, Agreed().question("2y"))
        app.screen.say("cancel 16: done")  # type: ignore[attr-defined]
        await pilot.pause()
        assert "type 2y" in screen(app)
        await pilot.press("escape")
        await pilot.pause()
        assert "cancel 16: done" in screen(app)

    on(still(), keys)


def test_a_wrong_count_is_told_and_confirms_nothing() -> None:
    seen = Agreed()

    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        await asked(app, pilot, seen.question("2y"))
        await pilot.press("1", "2", "y")
        assert seen.agreed == 0
        assert "12y is wrong" in screen(app)
        await pilot.press("backspace", "2", "y")
        await until(pilot, lambda: seen.agreed == 1)

    on(still(), keys)


def test_it_never_opens_over_a_line_that_is_being_typed() -> None:
    seen = Agreed()

    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2", "slash", "m")
        app.screen.confirm(seen.question())  # type: ignore[attr-defined]
        await pilot.press("y")
        assert not app.screen.query_one(Confirm).asking
        assert (seen.agreed, seen.declined) == (0, 1)
        assert screen(app).splitlines()[-1].startswith("/my")

    on(still(), keys)


@pytest.mark.parametrize("size", [(80, 24), (40, 10), (20, 5)])
def test_every_line_and_its_whole_length_can_be_brought_into_sight(size: tuple[int, int]) -> None:
    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        await asked(app, pilot, Agreed().question(lines=30))
        assert "cancel 17" in screen(app)
        assert "line 0" in screen(app)
        await pilot.press("end")
        assert "cancel 17" in screen(app)
        assert "line 29" in screen(app)
        await pilot.press(*["right"] * 14)
        assert "END" in screen(app)

    on(still(), keys, size=size)


# -- no sequence of keys is agreed to by chance


@given(
    keys=st.lists(
        st.tuples(st.sampled_from("12y"), st.floats(0.0, SILENCE_S, exclude_max=True)), max_size=60
    ),
    steps=st.integers(0, QUIET_STEPS),
)
def test_without_a_silence_nothing_is_ever_agreed_to(
    keys: list[tuple[str, float]], steps: int
) -> None:
    clock = Clock()
    typed = Typed(("y", "12y", "1y"), clock)
    found: list[str | None] = []
    for character, gap_s in keys:
        clock.now += gap_s
        typed.take(character)
        found += [typed.rest() for _ in range(steps)]
    assert found == [None] * len(found)


@pytest.mark.parametrize("first_s", [0.25, 0.5, 0.66, 1.0])
@pytest.mark.parametrize("opened_s", [0.0, 0.1])
def test_a_key_that_was_held_before_the_panel_opened_agrees_to_nothing(
    first_s: float, opened_s: float
) -> None:
    """The first repeat comes after a silence; it is the second that gives it away."""
    clock = Clock()
    typed = Typed(("y",), clock)
    clock.now += first_s - opened_s
    found = []
    for _ in range(100):
        typed.take("y")
        found += [typed.rest() for _ in range(int(0.1 / (QUIET_S / QUIET_STEPS)))]
        clock.now += 0.1  # as slow as a key repeats
    assert found == [None] * len(found)


def test_an_answer_that_another_begins_with_can_be_typed() -> None:
    assert agrees("y", "y")
    clock = Clock()
    typed = Typed(("y", "yes"), clock)
    clock.now += 1
    for character in "yes":
        typed.take(character)
    assert [typed.rest() for _ in range(QUIET_STEPS)][-1] == "yes"


# -- the panel where it stands


def test_a_resize_keeps_what_is_typed_and_the_question() -> None:
    seen = Agreed()

    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        panel, _ = await asked(app, pilot, seen.question("12y"))
        await pilot.press("1")
        for size in ((20, 5), (200, 50), (80, 24)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            assert panel.asking
            assert "cancel 17" in screen(app)
        await pilot.press("2", "y")
        await until(pilot, lambda: seen.agreed == 1)

    on(still(), keys)


def test_the_mouse_on_the_body_withdraws_and_agrees_to_nothing() -> None:
    seen = Agreed()

    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2")
        panel, _ = await asked(app, pilot, seen.question())
        await pilot.click("#main", offset=(3, 1))
        await until(pilot, lambda: not panel.asking)
        assert (seen.agreed, seen.declined) == (0, 1)
        assert not panel.visible

    on(still(), keys)


def test_keys_of_the_place_do_nothing_in_the_panel() -> None:
    seen = Agreed()

    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2")
        panel, _ = await asked(app, pilot, seen.question())
        await pilot.press("1", "q", "j", "slash", "colon", "question_mark", "u", "f5", "tab")
        assert (app.current_mode, app.is_running, panel.asking) == ("runs", True, True)
        assert not app.screen.prompt.asking  # type: ignore[attr-defined]
        await pilot.pause(2 * QUIET_S)
        assert seen.agreed == seen.declined == 0

    on(still(), keys)


@pytest.mark.parametrize("go", ["mode", "push"])
def test_a_place_that_is_left_asks_no_more(go: str) -> None:
    seen = Agreed()

    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("2")
        panel, _ = await asked(app, pilot, seen.question())
        await pilot.press("y")
        if go == "mode":
            app.go("nodes")
        else:
            app.do_doctor()
        await until(pilot, lambda: app.screen is not panel.screen)
        await pilot.pause(2 * QUIET_S)
        assert not panel.asking
        assert (seen.agreed, seen.declined) == (0, 1)

    on(still(), keys)


def test_one_question_does_not_take_the_place_of_another() -> None:
    first, second = Agreed(), Agreed()

    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        await asked(app, pilot, first.question("2y"))
        app.screen.confirm(second.question("y"))  # type: ignore[attr-defined]
        assert second.declined == 1
        await pilot.press("2", "y")
        await until(pilot, lambda: first.agreed == 1)
        assert second.agreed == 0

    on(still(), keys)


def test_a_question_may_follow_another() -> None:
    second = Agreed()

    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        place = app.screen
        first = Question(
            title="first",
            lines=(),
            agreed=lambda: place.confirm(second.question()),  # type: ignore[attr-defined]
        )
        panel, clock = await asked(app, pilot, first)
        await pilot.press("y")
        await until(pilot, lambda: "cancel 17" in screen(app))
        await pilot.pause()
        assert panel.asking
        clock.now += 1
        await pilot.press("y")
        await until(pilot, lambda: second.agreed == 1)

    on(still(), keys)


def test_two_hundred_lines_scroll_and_hostile_names_stay_text() -> None:
    hostile = "a\x1b[2J\x1b]0;owned\x07[red]b[/red]\u202e\u2028\x85c"

    async def keys(app: Foundry, pilot: Pilot[int]) -> None:
        question = Question(
            title=f"cancel {hostile}",
            lines=tuple([(f" {n} {hostile}", "")] for n in range(200)),
        )
        panel, _ = await asked(app, pilot, question)
        assert "[red]b[/red]" in screen(app)
        assert not {"\x1b", "\x07", "\u202e", "\u2028", "\x85"} & set(screen(app))
        await pilot.press("end")
        assert " 199 " in screen(app)
        assert panel.top == 200 - (panel.size.height - 1)
        await pilot.press("home")
        assert " 0 " in screen(app)

    on(still(), keys)
