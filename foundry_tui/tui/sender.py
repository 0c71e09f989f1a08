"""Sends what was agreed to: holds it, sends it off the keys' thread, tells what came of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.timer import Timer

from foundry_tui.actions import act
from foundry_tui.actions.errors import ActionError
from foundry_tui.actions.site import utc_now
from foundry_tui.estate.acts import Change
from foundry_tui.presenters.changes import told_in_short
from foundry_tui.tui.asking import question_of
from foundry_tui.tui.came import Came, entries, perform
from foundry_tui.tui.commandlog import CommandLog, Entry
from foundry_tui.tui.confirm import Question
from foundry_tui.tui.outbox import Held, Outbox

if TYPE_CHECKING:
    from foundry_tui.tui.app import Foundry
    from foundry_tui.tui.place import Place

Then = Callable[[tuple[Change, ...]], None]
Failed = Callable[[ActionError], None]


@dataclass(frozen=True, slots=True)
class Ready:
    """What goes out together: one preview per source, and what follows."""

    prepared: tuple[act.Prepared, ...]
    then: Then | None = None
    failed: Failed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a piece of work: in one line with its tone, and each command with its answer.

    `undo` is the id of the change or plan that the undo key takes back, None for nothing.
    """

    words: str
    tone: str
    entries: tuple[Entry, ...] = ()
    undo: str | None = None


Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Work:
    """What goes out step by step, such as a plan: `send` does it off the keys' thread.

    It tells how far it is, and returns what came of it, also when it ended early. `then` is told
    what came of it, None for an error.
    """

    send: Callable[[Progress], Outcome]
    then: Callable[[Outcome | None], None] = lambda _: None


class Sender:
    """The way out of the screens. It ends with the app: what is still held then is not sent."""

    def __init__(self, app: Foundry, log: CommandLog) -> None:
        self._app = app
        self._log = log
        self._outbox: Outbox[Ready | Work] = Outbox(time.monotonic)
        self._timer: Timer | None = None
        self._count = 0
        self._stopped = False
        self._last: tuple[str, str] | None = None
        self._sending: dict[int, str] = {}
        self._far: dict[int, str] = {}
        self._stop = threading.Event()
        self._leaving: Callable[[], None] | None = None

    @property
    def told(self) -> str:
        """What is held or under way step by step, for the first line of the screen."""
        return self._outbox.told() or next(reversed(self._far.values()), "")

    @property
    def how(self) -> str:
        """What the undo key does to what is told."""
        if self._outbox.held:
            return "u takes it back"
        return "it ends after this step" if self._stop.is_set() else "u ends it"

    @property
    def busy(self) -> bool:
        """Whether something is being sent and has no answer yet."""
        return bool(self._sending)

    def hold(
        self,
        prepared: Sequence[act.Prepared],
        words: str,
        *,
        then: Then | None = None,
        failed: Failed | None = None,
    ) -> None:
        """Hold something that was agreed to, and send it when its time has come.

        `then` gets what was changed, `failed` the first error that kept something from being sent.
        """
        self._hold(Ready(tuple(prepared), then, failed), words)

    def hold_work(self, work: Work, words: str) -> None:
        """Hold a piece of work that was agreed to, and begin it when its time has come."""
        self._hold(work, words)

    def _hold(self, what: Ready | Work, words: str) -> None:
        self._leaving = None
        self._outbox.hold(what, words, self._app.site.config.screens.hold_s)
        if self._timer is None:
            self._timer = self._app.set_interval(1.0, self._tick)
        self._tick()

    def undo(self, place: Place) -> None:
        """Take back what is held; end what is under way; else take back what was sent last."""
        from foundry_tui.tui.applying import ask_undo

        if (held := self._outbox.withdraw()) is not None:
            place.say(f"not sent: {held.words}", "good")
            self._tick()
        elif self._far and not self._stop.is_set():
            self._end_far()
            place.say("it ends after the step that is under way; then u takes it back")
        elif self._far:
            place.say("it ends after the step that is under way", "warn")
        elif self._last is None:
            place.say("nothing was sent from here that could be taken back; J is the journal")
        else:
            ask_undo(place, *self._last)

    def _end_far(self) -> None:
        self._stop.set()
        self._tick()

    def stopper(self) -> Callable[[], bool]:
        """What tells the work that has just begun whether it is to end after its step."""
        return self._stop.is_set

    def ask(
        self,
        place: Place,
        prepared: Sequence[act.Prepared],
        words: str,
        *,
        stay: int | None = None,
        agreed: Callable[[], None] | None = None,
    ) -> None:
        """Show what would be sent, and hold it, or what `agreed` does, when the user agrees.

        Not when the user is elsewhere by now, nor back again after another `stay`.
        """
        if place is not self._app.place or stay not in (None, place.stay):
            if place.is_mounted:
                place.say(f"{words}: not asked, because you went on", "warn")
            return
        hold_s = self._app.site.config.screens.hold_s
        place.confirm(
            question_of(
                prepared,
                words,
                hold_s=hold_s,
                width=place.size.width,
                ascii_only=self._app.ascii_only,
                agreed=agreed or (lambda: self.hold(prepared, words)),
            )
        )

    def leave(self, place: Place, go: Callable[[], None]) -> None:
        """Leave at once, or ask what is to become of what is held, or is being sent just now."""
        held = [one.words for one in self._outbox.held]
        if held:
            title = f"Leave: {len(held)} held and not sent yet"
            how = "s sends now and leaves, w withdraws and leaves"
            others = {"s": lambda: self._send_and(go), "w": lambda: self._withdraw_and(go)}
        elif self._sending:
            title = f"Leave: {len(self._sending)} being sent, the answer is not there yet"
            how = "w waits for it and leaves, x leaves, and foundry ends after it"
            others = {"w": lambda: self._when_sent(go), "x": go}
            if self._far:
                how = f"{how}, s ends it after its step and leaves"
                others["s"] = lambda: self._end_and(go)
        else:
            go()
            return
        lines = tuple([(f" {words}", "")] for words in (*held, *self._sending.values()))
        # What falls due while the user reads is not sent behind the question.
        self._stopped = True
        place.confirm(
            Question(
                title=title, lines=lines, answer="", others=others, how=how, declined=self._go_on
            )
        )

    def _go_on(self) -> None:
        self._stopped = False

    def _send_and(self, go: Callable[[], None]) -> None:
        self._go_on()
        for one in self._outbox.take_all():
            self._send(one)
        self._when_sent(go)

    def _end_and(self, go: Callable[[], None]) -> None:
        self._go_on()
        self._end_far()
        self._when_sent(go)

    def _withdraw_and(self, go: Callable[[], None]) -> None:
        self._go_on()
        self._outbox.take_all()
        self._tick()
        self._when_sent(go)

    def _when_sent(self, go: Callable[[], None]) -> None:
        """Leave when every answer is there; what goes wrong is for the user to read first."""
        if self._sending:
            self._leaving = go
        else:
            go()

    def _tick(self) -> None:
        if not self._stopped:
            for one in self._outbox.take_due():
                self._send(one)
        if not self._outbox.held and not self._far and self._timer is not None:
            self._timer.stop()
            self._timer = None
        if (place := self._app.place) is not None:
            place.refresh_lines()

    def _send(self, held: Held[Ready | Work]) -> None:
        self._count += 1
        if isinstance(held.what, Work):
            self._begin(self._count, held.what, held.words)
        else:
            self._send_ready(self._count, held.what, held)

    def _begin(self, number: int, work: Work, words: str) -> None:
        """Do a piece of work to its end; what is told meanwhile stands in the first line."""
        self._sending[number], self._far[number] = words, f"{words} …"
        self._stop = threading.Event()

        def told(progress: str) -> None:
            self._far[number] = f"{words}: {progress}"

        def came(outcome: Outcome) -> None:
            self._far.pop(number, None)
            self._tick()
            for entry in outcome.entries:
                self._log.add(entry)
            if outcome.undo is not None:
                self._last = (outcome.undo, words.removeprefix("apply "))
            self._say(outcome.words, outcome.tone)
            self._app.feed.hurry()
            self._sent(number, well=outcome.tone == "good")
            work.then(outcome)

        def failed(problem: str) -> None:
            self._far.pop(number, None)
            self._tick()
            self._say(f"{words}: {problem}", "bad")
            at = self._app.site.clock()
            self._log.add(Entry(at=at, command=words, answer=problem, took_s=None, good=False))
            self._sent(number, well=False)
            work.then(None)

        send = work.send
        self._app.work_on(f"send-{number}", lambda: send(told), came, failed, to_the_end=True)

    def _send_ready(self, number: int, ready: Ready, held: Held[Ready | Work]) -> None:
        site = self._app.site
        self._sending[number] = held.words
        self._say(f"sending: {held.words} …")

        def send() -> Came:
            began, at = time.monotonic(), utc_now()
            each = tuple((one, perform(site, one)) for one in ready.prepared)
            return Came(each, at, time.monotonic() - began)

        def came(came: Came) -> None:
            self._keep(came)
            words, tone = told_in_short(held.words, came.changes, [str(e) for e in came.failed])
            self._say(words, tone)
            self._app.feed.hurry()
            self._sent(number, well=tone == "good")
            if ready.then is not None and came.changes:
                ready.then(came.changes)
            if ready.failed is not None and came.failed:
                ready.failed(came.failed[0])

        def failed(words: str) -> None:
            self._say(f"{held.words}: {words}", "bad")
            self._sent(number, well=False)

        # Every sending has a label of its own: none may replace another. And none is broken off.
        self._app.work_on(f"send-{number}", send, came, failed, to_the_end=True)

    def _sent(self, number: int, *, well: bool) -> None:
        self._sending.pop(number, None)
        if not well:
            self._leaving = None
        if self._leaving is not None and not self._sending:
            self._leaving()

    def _say(self, words: str, tone: str = "") -> None:
        if (place := self._app.place) is not None:
            place.say(words, tone)

    def _keep(self, came: Came) -> None:
        for entry in entries(came):
            self._log.add(entry)
        for change in came.changes:
            self._last = (change.id, change.act)
