"""The panel in which a change is agreed to: it shows exactly what would be sent, and waits.

What confirms is typed text, which nothing types by accident: Enter, space, a paste and a key that
is held down never do. Terminals tell of no key's release, so a key that repeats cannot be told from
one that is pressed again; the panel therefore takes nothing until the keyboard was silent for a
moment, and what was typed before it opened is lost. An answer counts only when no key comes right
behind it: the first repeat of a held key may come late, and a slow link hands on keys in bursts,
but what repeats goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from textual import events
from textual.timer import Timer

from foundry_tui.presenters.toned import Line
from foundry_tui.tui.widgets.lines import Lines, Parts

if TYPE_CHECKING:
    from foundry_tui.tui.place import Place

SILENCE_S = 0.3
"""Longer than the 30 to 100 ms after which a held key repeats."""

QUIET_S = 0.15
"""No key may follow an answer for so long. The first repeat alone comes after 250 to 660 ms."""

QUIET_STEPS = 3
"""The time after an answer passes in so many steps: keys that wait while the app is at work come
between them."""

MOST_TYPED = 12
"""Characters that are kept of what is typed; the longest answer is shorter."""

CONFIRM_LINES = 11
"""At most so many lines, with the title, or half of a taller screen; more scroll."""


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
    """What has been typed towards an answer, and whether the keyboard was silent before it.

    Only the whole of it can be an answer: whoever types 12 where 2 is asked has not agreed to 2.
    """

    def __init__(self, answers: tuple[str, ...], clock: Callable[[], float]) -> None:
        self._answers = tuple(a for a in answers if a)
        self._clock = clock
        self._last = clock()
        self._steps = 0
        self.open = False
        self.text = ""

    def take(self, character: str) -> bool:
        """Take one character; whether an answer is complete with it, if it stays quiet now."""
        now = self._clock()
        silent, self._last = now - self._last >= SILENCE_S, now
        self.open = self.open or silent
        if self.open:
            self.text = (self.text + character)[:MOST_TYPED]
        self._steps = 0
        return self.complete

    @property
    def complete(self) -> bool:
        """Whether what is typed is an answer."""
        return self.text in self._answers

    def rest(self) -> str | None:
        """A step of the quiet has passed; the answer after the last of them."""
        self._steps += 1
        return self.text if self.complete and self._steps >= QUIET_STEPS else None

    @property
    def wrong(self) -> bool:
        """Whether what is typed is the beginning of no answer."""
        return not any(answer.startswith(self.text) for answer in self._answers)

    def disturb(self) -> None:
        """Another key was pressed: what was typed counts no more."""
        self._last, self.text, self._steps = self._clock(), "", 0


class Confirm(Lines, can_focus=True):
    """The panel. It is there from the start and only becomes visible, which sends little."""

    DEFAULT_CSS = f"""
    Confirm {{
        layer: panel; dock: bottom; margin: 0 0 2 0; height: {CONFIRM_LINES}; width: 1fr;
        max-height: 100%; visibility: hidden;
    }}
    Place.small Confirm {{ margin: 0 0 1 0; }}
    """

    clock: Callable[[], float] = staticmethod(time.monotonic)

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._question: Question | None = None
        self._typed = Typed((), self.clock)
        self._resting: Timer | None = None
        self._later = ("", "")

    @property
    def asking(self) -> bool:
        """Whether something is asked."""
        return self._question is not None

    @property
    def _place(self) -> Place:
        return cast("Place", self.screen)

    def ask(self, question: Question) -> None:
        """Show the panel and take the keys.

        Never in the middle of a line that is being typed, where what is typed could be the answer,
        and never in the place of another question.
        """
        if self._place.prompt.asking or self.asking:
            self._place.say(f"{question.title}: not asked, because you were typing", "warn")
            if question.declined is not None:
                question.declined()
            return
        self._question = question
        self._typed = Typed((question.answer, *question.others), self.clock)
        self._draw(question)
        self.focus()
        self._tell()

    def _draw(self, question: Question) -> None:
        rule = "─" * max(0, self._place.size.width - len(question.title) - 4)
        head = [[("─ ", "dim"), (question.title, "title"), (f" {rule}", "dim")]]
        # Each line more is sent twice: when the panel opens, and what lies below when it closes.
        most = max(CONFIRM_LINES, self._place.size.height // 2)
        self.styles.height = min(len(question.lines) + 1, most)
        self.put(question.lines, head)
        self.action_first()

    def put(self, lines: Sequence[Parts], head: Sequence[Parts] = ()) -> None:
        """Show these lines below the head, from the top."""
        super().put(lines, head)
        self.visible = bool(head)

    def on_resize(self) -> None:
        """Stay as it is."""
        if (question := self._question) is not None:
            self._draw(question)
            self._tell()

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
        self._rest_no_more()
        self.put((), ())
        later, self._later = self._later, ("", "")
        self._place.say(*later)
        self._place.focus_body()
        return question

    def say_later(self, text: str, tone: str) -> None:
        """Keep what is to be said until the question is over."""
        self._later = (text, tone)

    def decline(self) -> None:
        """Close the panel: nothing is agreed to."""
        if self._question is not None:
            question = self._close()
            if question is not None and question.declined is not None:
                question.declined()

    def catch(self, event: events.Key) -> None:
        """Take a key that was pressed before the panel had the focus."""
        if not self.has_focus:
            self.on_key(event)

    def on_key(self, event: events.Key) -> None:
        """Every key is the panel's while it asks."""
        if self._question is None:
            return
        if event.key in ("up", "down", "pageup", "pagedown", "home", "end", "left", "right"):
            return  # the lines move
        event.stop()
        event.prevent_default()
        if event.key == "escape":
            self.decline()
            return
        if event.is_printable and event.character and event.character != " ":
            self._take(event.character)
            return
        self._typed.disturb()
        named = {"enter": "enter does not confirm", "space": "space does not confirm"}
        self._tell(named.get(event.key, ""))

    def _take(self, character: str) -> None:
        typed = self._typed
        if typed.take(character) and self._resting is None:
            self._resting = self.set_interval(QUIET_S / QUIET_STEPS, self._rest)
        if not typed.open:
            self._tell("too early, the keyboard was not at rest")
        else:
            self._tell(f"{typed.text} is wrong, backspace clears it" if typed.wrong else "")

    def _rest(self) -> None:
        """A step of the quiet after an answer."""
        if not self._typed.complete:
            self._rest_no_more()
        elif (answer := self._typed.rest()) is not None and self._question is not None:
            question = self._question
            self._close()
            if answer == question.answer:
                question.agreed()
            else:
                question.others[answer]()

    def _rest_no_more(self) -> None:
        if self._resting is not None:
            self._resting.stop()
            self._resting = None

    def on_paste(self, event: events.Paste) -> None:
        """A paste is never an answer."""
        event.stop()
        event.prevent_default()
        self._typed.disturb()
        self._tell("a paste does not confirm")

    def on_blur(self, event: events.Blur) -> None:
        """The keys went elsewhere, by the mouse: nothing is agreed to.

        When it is the whole terminal that they have left, the question waits for its user.
        """
        if self.screen.focused is self:
            return  # it was left for the last question, and has the next one now
        if self.app.app_focus:
            self.decline()
        else:
            self._typed.disturb()
