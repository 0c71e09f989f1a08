"""Sends what was agreed to: holds it, sends it off the keys' thread, tells what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from textual.timer import Timer

from foundry_tui.actions import act
from foundry_tui.actions.errors import ActionError
from foundry_tui.actions.site import utc_now
from foundry_tui.estate.acts import Change, PreviewItem, ReceiptStatus
from foundry_tui.presenters.changes import command_text, told_in_short
from foundry_tui.presenters.page import Style
from foundry_tui.tui.asking import question_of
from foundry_tui.tui.commandlog import CommandLog, Entry
from foundry_tui.tui.confirm import Question
from foundry_tui.tui.outbox import Held, Outbox

if TYPE_CHECKING:
    from foundry_tui.tui.app import Foundry
    from foundry_tui.tui.place import Place

Then = Callable[[tuple[Change, ...]], None]

_GOOD = (ReceiptStatus.DONE, ReceiptStatus.ACCEPTED)


@dataclass(frozen=True, slots=True)
class Ready:
    """What goes out together: one preview per source, and what follows."""

    prepared: tuple[act.Prepared, ...]
    then: Then | None = None


@dataclass(frozen=True, slots=True)
class _Came:
    """What came of it: the changes, what could not be sent, and how long it took."""

    changes: tuple[Change, ...]
    failed: tuple[str, ...]
    at: datetime
    took_s: float


class Sender:
    """The way out of the screens. It ends with the app: what is still held then is not sent."""

    def __init__(self, app: Foundry, log: CommandLog) -> None:
        self._app = app
        self._log = log
        self._outbox: Outbox[Ready] = Outbox(time.monotonic)
        self._timer: Timer | None = None
        self._count = 0
        self._last: Change | None = None

    @property
    def told(self) -> str:
        """What is held, for the first line of the screen."""
        return self._outbox.told()

    def hold(
        self, prepared: Sequence[act.Prepared], words: str, *, then: Then | None = None
    ) -> None:
        """Hold something that was agreed to, and send it when its time has come."""
        self._outbox.hold(Ready(tuple(prepared), then), words, self._app.site.config.screens.hold_s)
        if self._timer is None:
            self._timer = self._app.set_interval(1.0, self._tick)
        self._tick()

    def undo(self, place: Place) -> None:
        """Take back what is held; else offer the inverse of what was sent last."""
        if (held := self._outbox.withdraw()) is not None:
            place.say(f"not sent: {held.words}", "good")
            self._tick()
            return
        seen, last = self._app.seen, self._last
        if last is None or seen is None:
            place.say("nothing was sent from here that could be taken back; J is the journal")
            return

        def prepare() -> act.Prepared:
            return act.prepare_undo(self._app.site, last.id, seen.snapshot)

        def ask(prepared: act.Prepared) -> None:
            self.ask(place, (prepared,), f"undo {last.act}")

        self._app.work_on("prepare", prepare, ask)

    def ask(self, place: Place, prepared: Sequence[act.Prepared], words: str) -> None:
        """Show what would be sent, and hold it when the user agrees."""
        if place is not self._app.place:
            return
        hold_s = self._app.site.config.screens.hold_s
        place.confirm(
            question_of(
                prepared,
                words,
                hold_s=hold_s,
                width=place.size.width,
                ascii_only=self._app.ascii_only,
                agreed=lambda: self.hold(prepared, words),
            )
        )

    def leave(self, place: Place, go: Callable[[], None]) -> None:
        """Leave at once, or ask what is to become of what is held."""
        held = self._outbox.held
        if not held:
            go()
            return
        lines = tuple([(f" {one.words}", "")] for one in held)

        def send() -> None:
            self._send(self._outbox.take_all(), then=go)

        def withdraw() -> None:
            self._outbox.take_all()
            go()

        place.confirm(
            Question(
                title=f"Leave: {len(held)} held and not sent yet",
                lines=lines,
                answer="",
                others={"s": send, "w": withdraw},
                how="s sends now and leaves, w withdraws and leaves",
            )
        )

    def _tick(self) -> None:
        if due := self._outbox.take_due():
            self._send(due)
        if not self._outbox.held and self._timer is not None:
            self._timer.stop()
            self._timer = None
        if (place := self._app.place) is not None:
            place.refresh_lines()

    def _send(self, held: Sequence[Held[Ready]], then: Callable[[], None] | None = None) -> None:
        left = len(held)

        def after() -> None:
            nonlocal left
            left -= 1
            if not left and then is not None:
                then()

        for one in held:
            self._send_one(one, after)

    def _send_one(self, held: Held[Ready], after: Callable[[], None]) -> None:
        ready, site = held.what, self._app.site
        self._count += 1
        self._say(f"sending: {held.words} …")

        def send() -> _Came:
            began, at = time.monotonic(), utc_now()
            changes, failed = [], []
            for one in ready.prepared:
                try:
                    changes.append(act.perform(site, one))
                except ActionError as error:
                    failed.append(str(error))
            return _Came(tuple(changes), tuple(failed), at, time.monotonic() - began)

        def came(came: _Came) -> None:
            self._keep(ready, came)
            words, tone = told_in_short(held.words, came.changes, came.failed)
            self._say(words, tone)
            self._app.feed.hurry()
            if ready.then is not None and came.changes:
                ready.then(came.changes)
            after()

        def failed(words: str) -> None:
            self._say(f"{held.words}: {words}", "bad")
            after()

        # Every sending has a label of its own: none may replace another.
        self._app.work_on(f"send-{self._count}", send, came, failed)

    def _say(self, words: str, tone: str = "") -> None:
        if (place := self._app.place) is not None:
            place.say(words, tone)

    def _keep(self, ready: Ready, came: _Came) -> None:
        if came.changes:
            self._last = came.changes[-1]
        answers = {r.target: r for change in came.changes for r in change.receipts}
        for one in ready.prepared:
            for item in one.preview.items:
                receipt = answers.get(item.target)
                if receipt is None and len(one.preview.items) == 1 and came.changes:
                    receipt = came.changes[-1].receipts[0] if came.changes[-1].receipts else None
                good = receipt is not None and receipt.status in _GOOD
                answer = "not sent" if receipt is None else receipt.status.value
                if receipt is not None and receipt.message:
                    answer = f"{answer}: {receipt.message}"
                self._log.add(_entry(item, answer, good, came))
        for words in came.failed:
            self._log.add(
                Entry(
                    at=came.at, command="(not sent)", answer=words, took_s=came.took_s, good=False
                )
            )


def _entry(item: PreviewItem, answer: str, good: bool, came: _Came) -> Entry:
    command = command_text(item.command, Style()) if item.command else item.target
    return Entry(at=came.at, command=command, answer=answer, took_s=came.took_s, good=good)
