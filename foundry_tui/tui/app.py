"""The app: opens the site, hands readings to the place that is shown, and keeps the pace.

It knows no screen from inside. What a screen can do is in the screen; what the estate can do is in
`actions`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from textual import events
from textual.message import Message
from textual.screen import Screen

from foundry_tui.actions import look
from foundry_tui.actions.errors import code_of
from foundry_tui.actions.keymap import changed_keys
from foundry_tui.actions.site import Site
from foundry_tui.actions.table import Action
from foundry_tui.estate.rights import Rights
from foundry_tui.presenters import units
from foundry_tui.tui.commandlog import CommandLog
from foundry_tui.tui.feed import DEMO_REFRESH_S, Feed, Seen
from foundry_tui.tui.going import Going
from foundry_tui.tui.inorder import InOrder
from foundry_tui.tui.keys import Keys
from foundry_tui.tui.looking import Looking
from foundry_tui.tui.offthread import off_thread
from foundry_tui.tui.pace import Pacer
from foundry_tui.tui.place import Place
from foundry_tui.tui.sender import Sender
from foundry_tui.tui.tones import NAMES, ORDER, THEMES
from foundry_tui.tui.travel import Travel
from foundry_tui.tui.views import SavedViews

T = TypeVar("T")

AGE_STEP_S = 10.0
"""The age of the data is looked at this often; only a change of its words is sent."""


@dataclass
class Arrived(Message):
    """A reading came; a newer one takes its place."""

    seen: Seen

    bubble = False

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, Arrived)


@dataclass
class NotRead(Message):
    """A reading could not be made, by a fault of the program itself."""

    words: str

    bubble = False


def _mode(name: str) -> Callable[[], Screen[None]]:
    """The screen of a mode, imported when it is first shown."""

    def make() -> Screen[None]:
        from foundry_tui.tui.screens import make

        return make(name)

    return make


class Foundry(Going):
    """The screens on one site."""

    ENABLE_COMMAND_PALETTE = False
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {
        name: _mode(name)
        for name in ("overview", "runs", "nodes", "advise", "report", "experiments")
    }
    DEFAULT_MODE = "overview"

    def __init__(self, site: Site, *, ascii_only: bool = False) -> None:
        # With colours of the terminal's own, NO_COLOR takes them away whole; else they turn grey.
        colourless = "NO_COLOR" in os.environ
        super().__init__(ansi_color=True if colourless else None)
        if site.mode == "demo":
            site.refresh_s, site.playing = DEMO_REFRESH_S, True
        self.site = site
        self.ascii_only = ascii_only
        changed = changed_keys(site.config)
        self.keys = Keys.of(changed)
        self.set_keymap(changed)  # for the keys that a widget itself takes
        self.views = SavedViews(self)
        self.seen: Seen | None = None
        self.paused = False
        self.advice_count: int | None = None
        self.pacer = Pacer(self)
        self._in_order = InOrder(self)
        self.feed = Feed(
            site,
            lambda seen: self._post(Arrived(seen)),
            lambda words: self._post(NotRead(words)),
        )
        self.monotonic: Callable[[], float] = time.monotonic
        self._arrived_at = self.started_at = self.monotonic()
        self.looking = Looking(site)
        self.log_of_commands = CommandLog()
        self.travel = Travel(self)
        self.sender = Sender(self, self.log_of_commands)
        self.rights: dict[str, Rights] = {}
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = "mono" if colourless else NAMES[site.config.screens.theme]

    def _post(self, message: Message) -> None:
        if self.is_running:
            self.post_message(message)

    async def on_event(self, event: events.Event) -> None:
        if not self._in_order.holds(event):
            await super().on_event(event)

    # -- life

    def on_mount(self) -> None:
        self.feed.start()
        self.work_on("glance", self.looking.open, lambda _: None)
        self.work_on("rights", lambda: look.rights(self.site), self.rights.update, lambda _: None)
        self.set_interval(AGE_STEP_S, self._age)
        self.welcome()
        loop = asyncio.get_running_loop()
        for one in (signal.SIGHUP, signal.SIGTERM):
            with suppress(NotImplementedError, ValueError, RuntimeError):
                loop.add_signal_handler(one, self.exit, None, 128 + one)
        # Textual itself repaints after `suspend`, but not after SIGTSTP and SIGCONT.
        self.app_resume_signal.subscribe(self, lambda _: self._resumed())

    def _resumed(self) -> None:
        # The terminal's answer to the pacer's last question has gone to another program.
        self.pacer.resumed()
        self.refresh(layout=True)

    def on_unmount(self) -> None:
        self.feed.stop()
        self.looking.close(self.travel.latest)

    # -- readings

    def on_arrived(self, event: Arrived) -> None:
        self._arrived_at = self.monotonic()
        if (self.paused or self.travel.moment is not None) and self.seen is not None:
            self.waiting = event.seen
            return
        self.pacer.paint("reading", lambda: self._show(event.seen))

    def on_not_read(self, event: NotRead) -> None:
        if (place := self.place) is not None and place.is_mounted:
            place.say(event.words.replace("\n", " "), "bad")

    def show_now(self, seen: Seen) -> None:
        """Show this reading next."""
        self.pacer.paint("reading", lambda: self._show(seen))

    def _show(self, seen: Seen) -> None:
        if self._exit:
            return  # the widgets of the place go one by one
        fresh = self.seen is None or self.seen.fresh
        self.seen = seen
        if fresh != seen.fresh:
            for widget in self.screen.query("GridTable, Lines"):
                widget.notify_style_update()
                widget.refresh()
        if (place := self.place) is not None and place.is_mounted:
            place.refresh_lines()
            place.show(seen)

    @property
    def faded(self) -> bool:
        """Whether what is shown was kept from the last time; it is drawn dimmed."""
        return self.seen is not None and not self.seen.fresh

    @property
    def silent(self) -> frozenset[str]:
        """Sources whose rows are from before: the last reading brought nothing of them."""
        if self.seen is None or self.site.mode == "saved" or self.travel.moment is not None:
            return frozenset()
        return frozenset(s.name for s in self.seen.snapshot.sources if not s.usable)

    @property
    def place(self) -> Place | None:
        """The place that is shown, or the one below a panel."""
        return next((s for s in reversed(self.screen_stack) if isinstance(s, Place)), None)

    def _age(self) -> None:
        if (place := self.place) is not None:
            place.refresh_lines()

    def data_age(self) -> tuple[str, str] | None:
        """How old the shown data is, in coarse steps, with its tone; None before any came."""
        if self.seen is None or self.travel.moment is not None:
            return None
        if self.site.mode == "saved" or not self.seen.fresh:
            words = f"from {units.when(self.seen.now)}"
            return words, "dim" if self.site.mode == "saved" else "warn"
        old = int((self.monotonic() - self._arrived_at) / AGE_STEP_S) * AGE_STEP_S
        late = old > 2 * AGE_STEP_S + self.seen.retry_s
        return f"data {units.age(old) if old else 'now'}", "warn" if late else "dim"

    def retry_in_s(self, source: str) -> float | None:
        """Seconds until a source is asked again; None when nobody asks it."""
        wait_s = None if self.seen is None else self.seen.waits_s.get(source)
        if wait_s is None:
            return None
        return max(0.0, wait_s - (self.monotonic() - self._arrived_at))

    # -- the pacer's host

    def after_paint(self, call: Callable[[], None]) -> None:
        # The app's own, which asks the screen that is shown by then; one that is left may be gone.
        self.call_after_refresh(call)

    def send(self, text: str) -> bool:
        """Write to the terminal itself; False when there is none."""
        if self.is_headless or self._driver is None:
            return False
        self._driver.write(text)
        return True

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        self.set_timer(seconds, call)

    def on_cursor_position(self, event: events.CursorPosition) -> None:
        self.pacer.answered()

    # -- work off the keys' thread

    def work_on(
        self,
        label: str,
        call: Callable[[], T],
        then: Callable[[T], None],
        failed: Callable[[str], None] | None = None,
        *,
        to_the_end: bool = False,
    ) -> None:
        """Run `call` in a thread and `then` with its answer; an error becomes one line.

        Work of the same label replaces what has not ended: only the last answer is used. With
        `to_the_end` the program does not end before the work has.
        """
        asked_from = self.place

        def fail(words: str) -> None:
            if failed is not None:
                failed(words)
            elif asked_from is not None and asked_from.is_mounted:
                asked_from.say(words.replace("\n", " "), "bad")

        async def work() -> None:
            try:
                answer = await off_thread(call, label, to_the_end=to_the_end)
            except Exception as error:
                fault = code_of(error) is None and not isinstance(error, OSError)
                fail(f"a fault of foundry itself: {error!r}" if fault else str(error))
                return
            try:
                then(answer)
            except Exception as error:
                fail(f"a fault of foundry itself: {error!r}")

        self.run_worker(work(), group=label, exclusive=True, exit_on_error=False)

    def cancel_work(self, label: str) -> None:
        """Let nobody hear of the work of this label that is under way."""
        self.workers.cancel_group(self, label)

    def _handle_exception(self, error: Exception) -> None:
        """End with one line instead of a traceback; FOUNDRY_DEBUG shows it."""
        if self._exit:
            return  # something was still drawn while its widgets went: the user has left
        if self.is_headless or "FOUNDRY_DEBUG" in os.environ:
            super()._handle_exception(error)
        elif self.fault is None and not self._exit:
            # Once it is leaving, widgets go one by one, and who asks for one that is gone is right.
            self.fault = error
            self.exit(return_code=1)

    fault: Exception | None = None
    """What made the app end; the caller tells it."""

    # -- rights

    @property
    def read_only(self) -> bool:
        """Whether every change is refused."""
        return self.site.options.read_only or self.site.config.read_only

    def refusal(self, action: Action) -> str | None:
        """Why a change cannot be made at all here, whoever asks."""
        if self.read_only:
            return "read-only: --read-only or the configuration says so"
        if self.site.mode == "saved":
            return "a saved estate has no scheduler to change"
        return self.travel.refusal() or None

    # -- what works everywhere

    def do_pause(self) -> None:
        self.paused = not self.paused
        if self.travel.moment is not None:
            self._age()
            return
        waiting, self.waiting = self.waiting, None
        if not self.paused and waiting is not None:
            self.pacer.paint("reading", lambda: self._show(waiting))
        self._age()

    waiting: Seen | None = None

    def do_refresh(self) -> None:
        self.feed.hurry()

    def do_theme(self) -> None:
        names = list(NAMES)
        self.set_theme(names[(ORDER.index(self.theme) + 1) % len(names)])

    def set_theme(self, name: str) -> None:
        """Take another theme, by the user's name of it."""
        self.theme = NAMES[name]
        if (place := self.place) is not None:
            place.refresh_lines()
            place.say(f"theme {name}")

    def do_undo(self) -> None:
        if (place := self.place) is not None:
            self.sender.undo(place)

    async def action_quit(self) -> None:
        """Textual's own key to leave asks like ours."""
        self.do_quit()

    def action_help_quit(self) -> None:
        """Ctrl-C ends nothing here: it is pressed by habit, and something may be held."""
        if (place := self.place) is not None:
            place.say(f"{self.keys.key_of('quit')} leaves foundry")

    def do_quit(self) -> None:
        if (place := self.place) is not None:
            self.sender.leave(place, lambda: self.exit(0))
