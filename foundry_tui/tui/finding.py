"""The part of the app by which one finds one's way: command line, help, first start, tour."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from foundry_tui.actions.onscreen import key_text
from foundry_tui.actions.table import Action
from foundry_tui.actions.views import first_start
from foundry_tui.tui.place import Place
from foundry_tui.tui.resizing import Resizing
from foundry_tui.tui.tour import Tour
from foundry_tui.tui.views import SavedViews

if TYPE_CHECKING:
    from foundry_tui.tui.app import Foundry


class Finding(Resizing):
    """What works from every place; `Foundry` is the whole app."""

    tour: Tour | None = None
    """The tour, while it is on."""
    views: SavedViews

    @property
    def _whole(self) -> Foundry:
        return cast("Foundry", self)

    def _here(self) -> Place | None:
        """The place that is shown, once it stands."""
        place = self._whole.place
        return place if place is not None and place.is_mounted else None

    def do_command(self) -> None:
        self._line("")

    def do_views(self) -> None:
        self._line("view ")

    def _line(self, value: str) -> None:
        from foundry_tui.tui.command import CommandLine

        if (place := self._here()) is not None:
            CommandLine(self._whole, place).open(value)

    def do_help(self) -> None:
        from foundry_tui.tui.screens.help import Help

        if (place := self._here()) is not None:
            self._whole.enter(Help(place))

    def do_doctor(self) -> None:
        from foundry_tui.tui.screens.doctor import Doctor

        self._whole.enter(Doctor())

    def welcome(self) -> None:
        """Show what was found on this host, at the first start of this user only."""
        site = self._whole.site
        if site.mode == "live" or site.unasked:
            self._whole.work_on("welcome", lambda: first_start(site), self._welcome)

    def _welcome(self, first: bool) -> None:
        place = self._here()
        busy = place is None or place.prompt.asking or len(self.screen_stack) > 1
        if first and not busy:
            from foundry_tui.tui.screens.welcome import Welcome

            self._whole.enter(Welcome())

    def do_tour(self) -> None:
        place = self._here()
        if self._whole.site.mode == "demo":
            self.tour = Tour()
            self._redraw()
        elif place is not None:
            key = key_text(self._whole.keys.key_of("tour"))
            place.say(f"the tour is on the simulated estate: `foundry --demo`, then {key}", "warn")

    def did(self, action: Action) -> bool:
        """An ability is about to be used; True when it ends the tour and is not to be done."""
        if self.tour is None:
            return False
        if action.id == "back" or self.tour.over:
            self.tour = None
        else:
            self.tour.did(action.id)
        self._redraw()
        return action.id == "back"

    def _redraw(self) -> None:
        if (place := self._here()) is not None:
            place.refresh_lines()
