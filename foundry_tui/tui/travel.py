"""Going back in time: every place of the estate shows how it stood at one moment.

Reading the estate goes on behind it; what came last is shown when the user returns.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from foundry_tui.actions import history
from foundry_tui.actions.errors import ActionError
from foundry_tui.actions.onscreen import key_text
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.presenters import units
from foundry_tui.presenters.past import floored, past_bar, past_refusal
from foundry_tui.tui.feed import Seen

if TYPE_CHECKING:
    from foundry_tui.tui.app import Foundry

NOW_ONLY = frozenset(
    {"why", "logs", "advise", "fractions", "report", "submit", "shell", "sync", "refresh"}
)
"""Actions that tell or change how things stand now; they make no sense on how they stood."""

STEPS = frozenset({"earlier", "later", "hour_earlier", "hour_later"})
"""Actions that step in time, where a place can."""


class Travel:
    """The moment that is shown instead of now, and the ways there and back."""

    def __init__(self, app: Foundry) -> None:
        self._app = app
        self._wanted: datetime | None = None
        self._left: Seen | None = None
        self.reading = False
        self.moment: datetime | None = None

    @property
    def latest(self) -> Seen | None:
        """The last reading of the estate, whatever moment is shown."""
        if self.moment is None:
            return self._app.seen
        return self._app.waiting or self._left

    def step(self, by: timedelta) -> None:
        """Back in time by a step, or forth where it is negative, on whole steps of the clock."""
        app, latest = self._app, self.latest
        if latest is None:
            return
        base = self._wanted or self.moment or latest.now
        earlier = by > timedelta(0)
        if not earlier and self._wanted is None and self.moment is None:
            self._say(f"this is now: {self._key('earlier')} goes back in time", "warn")
            return
        step = abs(by)
        target = floored(base - timedelta(microseconds=1), step) if earlier else base + step
        if target >= latest.now:
            self.now()
            return
        self._wanted, self.reading = target, True
        site = app.site
        self._say("reading the history …", "dim")

        def load() -> Snapshot:
            covered = history.span(site)
            if target < covered.first:
                raise AtTheEdge(covered.first)
            return history.moment(site, target)

        app.work_on("past", load, lambda seen: self._arrive(target, seen), self._failed)

    def now(self) -> None:
        """Back to the estate as it stands."""
        self._app.cancel_work("past")
        self._wanted, under_way, self.reading = None, self.reading, False
        if self.moment is None:
            if under_way:
                self._say("this is now")
            return
        latest = self.latest
        self.moment = self._left = None
        self._app.waiting = None
        self._say("this is now")
        if latest is not None:
            self._app.show_now(latest)

    def refusal(self) -> str:
        """Why nothing can be changed while the past is shown."""
        return "" if self.moment is None else past_refusal(self.moment)

    def bar(self) -> str:
        """The line that says which moment is shown; empty for now."""
        latest = self.latest
        if self.moment is None or latest is None:
            return ""
        ids = ("earlier", "later", "hour_earlier", "hour_later", "back")
        return past_bar(self.moment, latest.now, [self._key(one) for one in ids])

    def _arrive(self, target: datetime, snapshot: Snapshot) -> None:
        app = self._app
        if self.moment is None:
            self._left = app.seen
        self.moment, self._wanted, self.reading = target, None, False
        self._say("")
        app.show_now(Seen(snapshot=snapshot, runs=snapshot.runs))

    @property
    def away(self) -> bool:
        """Whether the past is shown, or on its way."""
        return self.reading or self.moment is not None

    def _failed(self, words: str) -> None:
        self.reading = False
        if words.startswith(AtTheEdge.BEGINS):
            self._wanted = None
        self._say(words, "warn")

    def _key(self, action_id: str) -> str:
        return key_text(self._app.keys.key_of(action_id))

    def _say(self, words: str, tone: str = "") -> None:
        if (place := self._app.place) is not None and place.is_mounted:
            place.say(words.replace("\n", " "), tone)


class AtTheEdge(ActionError):
    """There is nothing earlier."""

    BEGINS: ClassVar[str] = "the history begins"

    def __init__(self, first: datetime) -> None:
        super().__init__(f"{self.BEGINS} at {units.when(first)}: there is nothing earlier")
