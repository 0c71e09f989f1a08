"""A place: one screen with the lines that all have, its keys from the action table, its data.

A subclass says what stands in its body, draws a reading in `show`, and has one method `do_ID` per
action of the table that works in it. So key, hint, help and command line can never disagree.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.containers import Container
from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget

from foundry_tui.actions.onscreen import EVERY, key_text
from foundry_tui.actions.table import Action
from foundry_tui.estate.text import cells, safe
from foundry_tui.tui.bars import Bar, Part
from foundry_tui.tui.confirm import Confirm, Question
from foundry_tui.tui.feed import Seen
from foundry_tui.tui.grid.view import ViewState
from foundry_tui.tui.overlay import Overlay
from foundry_tui.tui.prompt import Prompt
from foundry_tui.tui.status import sources_parts, status_parts, tab_parts
from foundry_tui.tui.travel import NOW_ONLY, STEPS

if TYPE_CHECKING:
    from foundry_tui.tui.app import Foundry

MOST_HINTS = 10
"""Keys that the hint line shows; `?` has them all."""

LEAST_WIDTH, LEAST_HEIGHT = 80, 24
"""In a smaller window the body stands alone below one line that says so."""

WIDE = 120
"""From so many cells on, the detail of what the cursor is on stands beside a list."""

FULL = (160, 40)
"""From so many cells and lines on, an overview has three columns."""


class Place(Screen[None]):
    """One screen of the app."""

    DEFAULT_CSS = """
    Place { layout: vertical; layers: base panel; }
    Place #body { height: 1fr; width: 1fr; }
    Place #crumbs { display: none; }
    Place.deep #crumbs { display: block; }
    Place #past { display: none; }
    Place #past.told { display: block; }
    Place.small #tabs, Place.small #hints, Place.small #crumbs { display: none; }
    """
    AUTO_FOCUS = ""
    # Textual sends the whole screen again when the focus moves; what looks different sends itself.
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)
    crumb: ClassVar[str] = ""
    """What this place is called on the way back."""
    hints: ClassVar[tuple[str, ...]] = ()
    """Ids of the actions that the hint line shows, the most useful first."""
    about: ClassVar[str] = ""
    """What this place shows and what it is for, in the help."""
    main: ClassVar[str] = "#main"
    """Selector of the widget that has the keys."""

    in_time: ClassVar[bool] = False
    """Whether the place can show the estate as it was; esc then goes back to now first."""

    stay: int = 0
    """Counts how often the place was left: what was begun in one stay is not asked in another."""
    subject: str = ""
    """What this place is about, where there can be several of its kind; unique among places."""

    @property
    def foundry(self) -> Foundry:
        """The app, by its own type."""
        return cast("Foundry", self.app)

    # -- what a subclass gives

    def body(self) -> ComposeResult:
        """The widgets between the lines; one of them has the id `main`."""
        yield from ()

    def show(self, seen: Seen) -> None:
        """Draw a reading. Called when a new one may be painted, and when the place is shown."""

    def name_here(self) -> str:
        """The word of this place in the breadcrumbs."""
        return self.crumb

    def refusal(self, action: Action) -> str | None:
        """Why an action cannot be used here now, before it is tried; None when it can."""
        if action.id in NOW_ONLY and (why := self.foundry.travel.refusal()):
            return why
        return self.foundry.refusal(action) if action.risk == "change" else None

    def view_state(self) -> ViewState | None:
        """What a saved view keeps of this place; None where there is nothing to keep."""
        return None

    def restore_view(self, state: ViewState) -> None:
        """Back to a saved view.

        Raises:
            ActionError: its filter is no filter here.
        """

    # -- what every place has

    @property
    def is_mounted(self) -> bool:
        """Whether there is something to draw on. Textual's own says so of what was left, too."""
        return super().is_mounted and self.display

    def compose(self) -> ComposeResult:
        yield Bar(id="status")
        yield Bar(id="tabs")
        yield Bar(id="past")
        yield Bar(id="crumbs")
        with Container(id="body"):
            yield from self.body()
        yield Bar(id="hints")
        yield Prompt()
        yield Overlay(id="tour", classes="low")
        yield Overlay(id="choices")
        yield Confirm(id="confirm")

    def on_mount(self) -> None:
        self.set_class(len(self.foundry.crumbs()) > 1, "deep")
        self.focus_body()

    def on_screen_resume(self) -> None:
        self.refresh_lines()
        if (seen := self.foundry.seen) is not None:
            self.show(seen)

    def on_screen_suspend(self) -> None:
        """The place is left: what is asked there is not agreed to, nor asked when it comes late."""
        self.stay += 1
        if self.is_mounted:
            self.query_one(Confirm).decline()

    def on_resize(self, event: events.Resize) -> None:
        small = event.size.width < LEAST_WIDTH or event.size.height < LEAST_HEIGHT
        self.set_class(small, "small")
        self.set_class(event.size.width >= WIDE, "wide")
        self.set_class(event.size.width >= FULL[0] and event.size.height >= FULL[1], "full")
        self.refresh_lines()

    def focus_body(self) -> None:
        """Give the keys to the body, after a panel or the prompt had them."""
        for widget in self.query(self.main):
            widget.focus()
            return

    @property
    def prompt(self) -> Prompt:
        """The last line."""
        return self.query_one(Prompt)

    def say(self, text: str, tone: str = "") -> None:
        """One line for the user, at the bottom; what a panel asks there stands until it is over."""
        panel = self.query_one(Confirm)
        if panel.asking:
            panel.say_later(text, tone)
        else:
            self.prompt.say(text, tone)

    def confirm(self, question: Question) -> None:
        """Show what would be done, and let the user agree to it by typing."""
        self.query_one(Confirm).ask(question)

    def refresh_lines(self) -> None:
        """Draw the lines around the body anew; what has not changed is not sent."""
        if not self.is_mounted:
            return
        foundry = self.foundry
        self.query_one("#status", Bar).put(*status_parts(foundry, small=self.has_class("small")))
        self.query_one("#tabs", Bar).put(tab_parts(foundry), sources_parts(foundry))
        past, bar = foundry.travel.bar(), self.query_one("#past", Bar)
        bar.set_class(bool(past), "told")
        bar.put([(f" {past}".ljust(self.size.width), "cursor")] if past else [])
        crumbs = " › ".join(foundry.crumbs())
        self.query_one("#crumbs", Bar).put([(f" {crumbs}", "title")])
        self.query_one("#hints", Bar).put(self._hints())
        tour = foundry.tour
        told = tour.lines(foundry.keys, self.size.width) if tour is not None else []
        self.query_one("#tour", Overlay).put(told)

    def _hints(self) -> list[Part]:
        """As many keys as fit whole; the last is always the one that tells the others."""
        *offered, last = [self._hint(action) for action in self._hinted()] or [[]]
        parts: list[Part] = [(" ", "")]
        room = self.size.width - 1 - _width(last)
        for hint in offered:
            room -= _width(hint)
            if room < 0:
                break
            parts += hint
        return [*parts, *last]

    def _hint(self, action: Action) -> list[Part]:
        key = key_text(self.foundry.keys.key_of(action.id))
        refused = self.refusal(action) is not None
        return [(key, "dim" if refused else "key"), (f" {_short(action)}  ", "dim")]

    def _hinted(self) -> Iterable[Action]:
        by_id = {a.id: a for a in self.abilities()}
        return [by_id[i] for i in (*self.hints, "help") if i in by_id][:MOST_HINTS]

    def abilities(self) -> tuple[Action, ...]:
        """The actions that work here, in the order of the table."""
        return tuple(a for a in EVERY if self._handler(a.id) is not None)

    def _handler(self, action_id: str) -> object | None:
        return getattr(self, f"do_{action_id}", None) or getattr(
            self.foundry, f"do_{action_id}", None
        )

    def run_ability(self, action: Action) -> None:
        """Do what a key or the command line asks for, or say why not."""
        if self.foundry.did(action):
            return
        if action.id == "back" and self.in_time and self.foundry.travel.away:
            self.foundry.travel.now()
            return
        handler = self._handler(action.id)
        if handler is None:
            self.say(f"{action.title}: not here", "warn")
        elif (why := self.refusal(action)) is not None:
            self.say(f"{action.title}: {why}", "warn")
        else:
            self.say("")
            handler()  # type: ignore[operator]

    def on_key(self, event: events.Key) -> None:
        self.foundry.looking.key(self.foundry.travel.latest)
        if self.foundry.screen is not self:
            # It was pressed after the key that left this place, and is meant for the next one.
            event.stop()
            event.prevent_default()
            self.foundry.post_message(events.Key(event.key, event.character))
            return
        if self.prompt.asking:
            self.prompt.catch(event)
            return
        if (panel := self.query_one(Confirm)).asking:
            panel.catch(event)
            return
        action = self.foundry.keys.action_of(event.key)
        if action is not None and self._handler(action.id) is not None:
            event.stop()
            event.prevent_default()
            self.run_ability(action)
        elif action is not None and action.id in STEPS:
            event.stop()
            self.say(f"{action.title}: this place shows only how things stand now", "warn")


def _width(parts: Iterable[Part]) -> int:
    return sum(cells(safe(text)) for text, _ in parts)


def _short(action: Action) -> str:
    return action.title.lower().removeprefix("command ")
