"""A place that shows the estate: what is wrong with its sources, panels, and what is not there yet.

The screens below it differ in their panels only.
"""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.timer import Timer
from textual.widget import Widget

from foundry_tui.presenters.trouble import asking, troubles, unheard
from foundry_tui.tui.bars import Bar
from foundry_tui.tui.feed import Seen
from foundry_tui.tui.place import Place
from foundry_tui.tui.screens.panel import Panel

MOST_TROUBLES = 3
"""Sources whose trouble is told on lines of their own; the second line of the screen names all."""

LOW = 10
"""In a window of fewer lines the titles of the panels give way to what is below them."""


class EstatePlace(Place):
    """Panels over the estate."""

    DEFAULT_CSS = """
    EstatePlace .trouble { display: none; }
    EstatePlace .trouble.told { display: block; }
    EstatePlace.low Panel > Bar { display: none; }
    EstatePlace .away { display: none !important; }
    EstatePlace .zoom { width: 1fr !important; height: 1fr !important; max-height: 100%; }
    """

    _clock: Timer | None = None

    # -- what a subclass gives

    def panels(self) -> ComposeResult:
        """The widgets of the body."""
        yield from ()

    def draw(self, seen: Seen) -> None:
        """Draw a reading."""

    def draw_nothing(self, told: tuple[str, ...]) -> None:
        """Draw what is told while nothing is known."""

    # -- what every such place has

    def body(self) -> ComposeResult:
        for _ in range(MOST_TROUBLES):
            bar = Bar()
            bar.add_class("trouble")
            yield bar
        yield from self.panels()

    def show(self, seen: Seen) -> None:
        if self._clock is not None:
            self._clock.stop()
            self._clock = None
        self.draw(seen)

    def redraw(self) -> None:
        """Draw again what is known, after another size or another choice."""
        if not self.is_mounted or (not self.is_current and self.foundry.place is not self):
            return
        if (seen := self.foundry.seen) is not None:
            self.draw(seen)
        else:
            self._draw_waiting()

    def on_mount(self) -> None:
        if self.foundry.seen is None:
            self._clock = self.set_interval(1.0, self._draw_waiting)
            self.call_after_refresh(self._draw_waiting)

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.height < LOW, "low")

    def on_panel_sized(self, event: Panel.Sized) -> None:
        event.stop()
        self.redraw()

    def _draw_waiting(self) -> None:
        if self.foundry.seen is None:
            names = tuple(self.foundry.site.schedulers)
            self.draw_nothing(asking(names, self.foundry.monotonic() - self.foundry.started_at))

    def refresh_lines(self) -> None:
        super().refresh_lines()
        seen = self.foundry.seen
        if seen is None or not self.is_mounted:
            return
        known = {source.name for source in seen.snapshot.sources}
        mute = [name for name in self.foundry.site.schedulers if name not in known]
        lines = [
            *troubles(seen.snapshot.sources, seen.now, self.foundry.retry_in_s, self.size.width),
            *unheard(mute, self.foundry.monotonic() - self.foundry.started_at),
        ]
        if self.has_class("small") or self.foundry.travel.moment is not None:
            lines = []
        for n, bar in enumerate(self.query(".trouble").results(Bar)):
            bar.set_class(n < len(lines), "told")
            if n < len(lines):
                bar.put(lines[n])

    # -- panels

    def _panel_with_keys(self) -> Panel | None:
        focused: Widget | None = self.focused
        ancestors = focused.ancestors_with_self if focused is not None else ()
        return next((node for node in ancestors if isinstance(node, Panel)), None)

    def _stops(self) -> list[Widget]:
        """The widgets that can have the keys now, from the first panel to the last."""
        panels = self.query(Panel)
        return [t for p in panels if _seen_on_screen(p) and (t := p.target) is not None]

    def do_next_panel(self) -> None:
        stops = self._stops()
        if len(stops) < 2:
            self.say("there is one panel here")
            return
        at = stops.index(self.focused) if self.focused in stops else -1
        stops[(at + 1) % len(stops)].focus()

    def do_zoom(self) -> None:
        panel = self._panel_with_keys()
        away, grown = self.query(".away"), self.query(".zoom")
        if away or panel is None:
            away.remove_class("away")
            grown.remove_class("zoom")
        else:
            body = self.query_one("#body")
            for node in panel.ancestors_with_self:
                if node is body or not isinstance(node, Widget) or node.parent is None:
                    break
                node.add_class("zoom")
                for other in node.parent.children:
                    if other is not node and isinstance(other, Widget):
                        other.add_class("away")
        self.call_after_refresh(self.redraw)


def _seen_on_screen(widget: Widget) -> bool:
    return all(not isinstance(node, Widget) or node.display for node in widget.ancestors_with_self)
