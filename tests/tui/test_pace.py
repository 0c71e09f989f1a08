"""Data paints at the pace of the terminal: one at a time, the newest, and never none for ever."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.tui.pace import PATIENCE_S, QUERY, STALLED_S, UNHEARD_S, Pacer


class Terminal:
    """The pacer's host, with a clock that is moved by hand; counts questions without an answer."""

    def __init__(self, *, there: bool = True, loses: bool = False) -> None:
        self.now = 0.0
        self.there = there
        self.loses = loses
        self.asked: list[float] = []
        self.drawn: list[str] = []
        self._after: list[Callable[[], None]] = []
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self.pacer = Pacer(self, lambda: self.now)

    def after_paint(self, call: Callable[[], None]) -> None:
        if not self.loses:
            self._after.append(call)

    def send(self, text: str) -> bool:
        assert text == QUERY
        if self.there:
            self.asked.append(self.now)
        return self.there

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._later, (self.now + seconds, self._count, call))

    def draw(self, word: str, what: str = "reading") -> None:
        """Something to be painted."""
        self.pacer.paint(what, lambda: self.drawn.append(word))

    def painted(self) -> None:
        """The app has painted what was drawn."""
        after, self._after = self._after, []
        for call in after:
            call()

    def wait(self, seconds: float) -> None:
        """Let time go by, with what was asked for."""
        end = self.now + seconds
        while self._later and self._later[0][0] <= end:
            at, _, call = heapq.heappop(self._later)
            self.now = at
            call()
            self.painted()
        self.now = end

    def answer(self, after_s: float = 0.0) -> None:
        """Let time go by, and answer the last question."""
        self.wait(after_s)
        self.pacer.answered()
        self.painted()


def test_the_first_is_drawn_at_once_and_the_next_with_the_answer() -> None:
    terminal = Terminal()
    terminal.draw("a")
    terminal.painted()
    terminal.draw("b")
    assert (terminal.drawn, len(terminal.asked)) == (["a"], 1)
    terminal.answer(0.4)
    assert (terminal.drawn, len(terminal.asked)) == (["a", "b"], 2)
    assert terminal.pacer.link_s == 0.4


def test_the_newest_of_a_kind_takes_the_place_of_the_older() -> None:
    terminal = Terminal()
    terminal.draw("first")
    terminal.painted()
    for number in range(5):
        terminal.draw(f"reading {number}")
        terminal.draw(f"log {number}", "log")
    terminal.answer(1)
    assert terminal.drawn == ["first", "reading 4", "log 4"]


def test_it_asks_only_after_the_paint_and_not_when_nothing_is_drawn() -> None:
    terminal = Terminal()
    terminal.draw("a")
    assert terminal.asked == []
    terminal.painted()
    terminal.answer(0.1)
    terminal.wait(600)
    assert len(terminal.asked) == 1, "an idle screen sends nothing"


def test_a_terminal_that_never_answers_gets_a_paint_in_so_many_seconds() -> None:
    terminal = Terminal()
    terminal.draw("a")
    terminal.painted()
    for second in range(60):
        terminal.draw(f"{second}")
        terminal.wait(1)
    assert len(terminal.asked) == 1, "it is not asked again"
    paints = len(terminal.drawn)
    assert (60 - PATIENCE_S) / UNHEARD_S - 1 <= paints <= (60 - PATIENCE_S) / UNHEARD_S + 3
    assert terminal.pacer.link_s is None


def test_an_answer_after_the_patience_still_shows_that_it_answers() -> None:
    """The first paint is a large one: on a slow link it is taken only after some seconds."""
    terminal = Terminal()
    terminal.draw("a")
    terminal.painted()
    terminal.wait(PATIENCE_S + 1)
    terminal.draw("b")
    terminal.answer()
    terminal.draw("c")
    terminal.wait(UNHEARD_S)
    assert terminal.drawn[-1] == "c"
    assert len(terminal.asked) == 2, "it is asked again from now on"
    terminal.answer(0.5)
    assert terminal.pacer.link_s == 0.5


def test_one_that_fell_silent_gets_a_paint_after_a_minute() -> None:
    terminal = Terminal()
    terminal.draw("a")
    terminal.painted()
    terminal.answer(0.1)
    terminal.draw("b")
    terminal.painted()
    terminal.draw("c")
    terminal.wait(STALLED_S - 1)
    assert terminal.drawn == ["a", "b"]
    terminal.wait(2)
    assert terminal.drawn == ["a", "b", "c"]


def test_an_old_patience_does_not_end_that_of_a_newer_question() -> None:
    terminal = Terminal()
    terminal.draw("a")
    terminal.painted()
    terminal.answer(0.1)
    terminal.draw("b")
    terminal.painted()
    terminal.answer(STALLED_S - 5)
    terminal.draw("c")
    terminal.painted()
    terminal.draw("d")
    terminal.wait(10)
    assert terminal.drawn == ["a", "b", "c"]


def test_after_another_program_had_the_terminal_it_does_not_wait_for_a_lost_answer() -> None:
    terminal = Terminal()
    terminal.draw("a")
    terminal.painted()
    terminal.answer(0.1)
    terminal.draw("b")
    terminal.painted()
    terminal.draw("c")
    terminal.pacer.resumed()
    assert terminal.drawn == ["a", "b", "c"]


def test_a_paint_that_is_never_told_of_does_not_stop_it_for_ever() -> None:
    """What is to be called after a paint goes with a screen that is closed meanwhile."""
    terminal = Terminal(loses=True)
    terminal.draw("a")
    terminal.draw("b")
    terminal.wait(PATIENCE_S)
    assert terminal.drawn == ["a", "b"]


def test_without_a_terminal_nothing_is_waited_for() -> None:
    terminal = Terminal(there=False)
    for word in "abc":
        terminal.draw(word)
        terminal.painted()
    assert terminal.drawn == ["a", "b", "c"]
    assert terminal.pacer.link_s is None


@given(
    steps=st.lists(st.one_of(st.sampled_from(["draw", "answer"]), st.floats(0.0, 9.0)), max_size=60)
)
def test_never_two_paints_unanswered(steps: list[str | float]) -> None:
    """As long as each question is answered within the patience."""
    terminal = Terminal()
    answered = 0
    for step in steps:
        waits = len(terminal.asked) > answered
        if step == "draw":
            terminal.draw("x")
            terminal.painted()
        elif step == "answer":
            terminal.answer()
            answered += waits
        elif isinstance(step, float):
            ends = terminal.asked[-1] + PATIENCE_S - 0.01 if waits else terminal.now + step
            terminal.wait(max(0.0, min(step, ends - terminal.now)))
        assert len(terminal.drawn) == len(terminal.asked) <= answered + 1
