"""The panel in which a change is agreed to: it shows exactly what would be sent, and waits.

What confirms is typed text, which nothing types by accident: Enter, space, a paste and a key that
is held down never do. Terminals tell of no key's release, so a key that repeats cannot be told from
one that is pressed again; the panel therefore takes nothing until the keyboard was silent for a
moment, and what was typed before it opened is lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from textual import events

from foundry_tui.presenters.toned import Line
from foundry_tui.tui.widgets.lines import Lines, Parts

if TYPE_CHECKING:
    from foundry_tui.tui.place import Place

SILENCE_S = 0.3
"""A key repeats every 30 to 50 ms, and a first repeat comes after 250 ms at most usual settings."""

CONFIRM_LINES = 11
"""Lines of the panel with its title; more scroll."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked. `answer` has to be typed to agree; empty when there is nothing to agree to.

    `others` are further answers with what they do. `lines` scroll below the title.
    """

    title: str
    lines: tuple[Line, ...]
    answer: str = "y"
    agreed: Callable[[], None] = lambda: None
    declined: Callable[[], None] | None = None
    others: Mapping[str, Callable[[], None]] = field(default_factory=dict)
    how: str = ""


class Typed:
    """What has been typed towards an answer, and whether the keyboard was silent before it."""

    def __init__(self, answers: tuple[str, ...], clock: Callable[[], float]) -> None:
        self._answers = tuple(a for a in answers if a)
        self._clock = clock
        self._last = clock()
        self._open = False
        self.text = ""

    def take(self, character: str) -> str | None:
        """Take one character; the answer that is complete with it, or None."""
        now = self._clock()
        silent, self._last = now - self._last >= SILENCE_S, now
        self._open = self._open or silent
        if not self._open:
            return None
        text = self.text + character
        if not any(answer.startswith(text) for answer in self._answers):
            text = character if any(a.startswith(character) for a in self._answers) else ""
        self.text = text
        return text if text in self._answers else None

    def disturb(self) -> None:
        """Another key was pressed: what was typed counts no more."""
        self._last, self.text = self._clock(), ""


class Confirm(Lines, can_focus=True):
    """The panel. It is there from the start and only becomes visible, which sends little."""

    DEFAULT_CSS = f"""
    Confirm {{
        layer: panel; dock: bottom; margin: 0 0 2 0; height: {CONFIRM_LINES}; width: 1fr;
        visibility: hidden;
    }}
    Place.small Confirm {{ margin: 0 0 1 0; }}
    """

    clock: Callable[[], float] = staticmethod(time.monotonic)

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._question: Question | None = None
        self._typed = Typed((), self.clock)

    @property
    def asking(self) -> bool:
        """Whether something is asked."""
        return self._question is not None

    @property
    def _place(self) -> Place:
        return cast("Place", self.screen)

    def ask(self, question: Question) -> None:
        """Show the panel and take the keys."""
        self._question = question
        self._typed = Typed((question.answer, *question.others), self.clock)
        rule = "─" * max(0, self.size.width - len(question.title) - 4)
        head = [[("─ ", "dim"), (question.title, "title"), (f" {rule}", "dim")]]
        lines: list[Line] = list(question.lines)
        room = CONFIRM_LINES - 1
        self.put([*lines, *([[]] * (room - len(lines)))], head)
        self.action_first()
        self.focus()
        self._tell()

    def put(self, lines: Sequence[Parts], head: Sequence[Parts] = ()) -> None:
        """Show these lines below the head, from the top."""
        super().put(lines, head)
        self.visible = bool(lines)

    def on_resize(self) -> None:
        """Stay as it is."""
        if (question := self._question) is not None:
            typed = self._typed
            self.ask(question)
            self._typed = typed

    def _tell(self, note: str = "") -> None:
        question = self._question
        if question is None:
            return
        how = question.how or (
            f"type {question.answer} to do it" if question.answer else "nothing can be sent"
        )
        typed = f"  {self._typed.text}▏" if self._typed.text else ""
        words = f"{how} · esc leaves it{typed}"
        self._place.prompt.say(f"{note}: {words}" if note else words, "warn" if note else "accent")

    def _close(self) -> Question | None:
        question, self._question = self._question, None
        self.put((), ())
        self._place.say("")
        self._place.focus_body()
        return question

    def on_key(self, event: events.Key) -> None:
        """Every key is the panel's while it asks."""
        if self._question is None:
            return
        if event.key in ("up", "down", "pageup", "pagedown", "home", "end"):
            return  # the lines scroll
        event.stop()
        event.prevent_default()
        if event.key == "escape":
            question = self._close()
            if question is not None and question.declined is not None:
                question.declined()
            return
        if event.is_printable and event.character and event.character != " ":
            self._take(event.character)
            return
        self._typed.disturb()
        named = {"enter": "enter does not confirm", "space": "space does not confirm"}
        self._tell(named.get(event.key, ""))

    def _take(self, character: str) -> None:
        question = self._question
        done = self._typed.take(character)
        if question is None or done is None:
            self._tell()
            return
        self._close()
        if done == question.answer:
            question.agreed()
        else:
            question.others[done]()

    def on_paste(self, event: events.Paste) -> None:
        """A paste is never an answer."""
        event.stop()
        event.prevent_default()
        self._typed.disturb()
        self._tell("a paste does not confirm")

    def on_blur(self) -> None:
        """The keys went elsewhere, by the mouse: nothing is agreed to."""
        if self._question is not None:
            question = self._close()
            if question is not None and question.declined is not None:
                question.declined()
