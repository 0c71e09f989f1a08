"""Saved views on the screens: what is kept of a place's table, and bringing it back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from foundry_tui.actions import views as kept
from foundry_tui.actions.errors import ActionError
from foundry_tui.presenters.complete import Candidate
from foundry_tui.tui.grid.view import ViewState
from foundry_tui.tui.place import Place

if TYPE_CHECKING:
    from foundry_tui.tui.app import Foundry


def describe(view: kept.SavedView) -> str:
    """A view in words: its place, filter, order and columns."""
    parts = [view.place, view.filter]
    if view.sort:
        parts.append(f"by {view.sort}{' down' if view.descending else ''}")
    parts.append(" ".join(view.columns))
    return " · ".join(part for part in parts if part)


class SavedViews:
    """The saved views as they were last read; reading and writing is done off the keys' thread."""

    def __init__(self, foundry: Foundry) -> None:
        self._foundry = foundry
        self.all: tuple[kept.SavedView, ...] = ()

    def load(self, then: Callable[[], None]) -> None:
        """Read the file again, and call `then` when it is read."""
        site = self._foundry.site
        self._foundry.work_on(
            "views", lambda: kept.saved_views(site), lambda found: self._took(found, "", then)
        )

    def candidates(self) -> list[Candidate]:
        """Each view, for the command line."""
        return [Candidate("view", view.name, describe(view), view.name) for view in self.all]

    def save(self, name: str, place: Place) -> None:
        """Keep what this place shows under a name."""
        state = place.view_state()
        if state is None:
            place.say("there is no table here whose view could be kept", "warn")
            return
        view = kept.SavedView(
            name=name,
            place=self._home(place),
            filter=state.filter_text,
            sort=state.sort,
            descending=state.descending,
            columns=state.columns,
        )
        site = self._foundry.site
        self._foundry.work_on(
            "save view",
            lambda: kept.save_view(site, view),
            lambda found: self._took(found, f"kept as {name}: {describe(view)}"),
        )

    def delete(self, name: str) -> None:
        """Forget a view."""
        site = self._foundry.site
        self._foundry.work_on(
            "save view",
            lambda: kept.delete_view(site, name),
            lambda found: self._took(found, f"view {name} is deleted"),
        )

    def apply(self, name: str) -> None:
        """Go to the view's place and show what it says."""
        view = next((v for v in self.all if v.name == name), None)
        if view is None:
            return
        foundry = self._foundry
        if view.place not in foundry.MODES:
            self._say(f"{name} is a view of {view.place!r}, which there is not", "warn")
            return
        foundry.go(view.place)
        foundry.call_after_refresh(self._restore, view)

    def _restore(self, view: kept.SavedView) -> None:
        foundry = self._foundry
        while len(foundry.screen_stack) > 1:
            foundry.pop_screen()
        place = foundry.screen_stack[0]
        if not isinstance(place, Place):
            return
        state = ViewState(view.columns, view.sort, view.descending, view.filter)
        try:
            place.restore_view(state)
        except ActionError as error:
            place.say(f"view {view.name}: {error}", "bad")
        else:
            place.say(f"view {view.name}: {describe(view)}")

    def _home(self, place: Place) -> str:
        """The mode that shows a place of this kind."""
        from foundry_tui.tui.screens import HOME

        kind = type(place).__name__
        current = self._foundry.current_mode
        return next((mode for mode, (_, name) in HOME.items() if name == kind), current)

    def _took(self, found: kept.Kept, words: str, then: Callable[[], None] | None = None) -> None:
        self.all = found.views
        if found.notice:
            self._say(found.notice, "bad")
        elif words:
            self._say(words, "good")
        if then is not None:
            then()

    def _say(self, words: str, tone: str) -> None:
        if (place := self._foundry.place) is not None:
            place.say(words, tone)
