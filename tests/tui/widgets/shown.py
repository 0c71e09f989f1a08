"""A widget alone in an app, driven by keys, with what it draws, refreshes and tells."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.message import Message
from textual.pilot import Pilot
from textual.widget import Widget

from foundry_tui.tui.tones import THEMES
from foundry_tui.tui.widgets.heatmap import HeatMap

W = TypeVar("W", bound=Widget)


class WidgetApp(App[None]):
    """One widget on the whole screen, in the terminal's own colours."""

    def __init__(self, widget: Widget, ascii_only: bool) -> None:
        super().__init__()
        self.widget = widget
        self.ascii_only = ascii_only
        self.told: list[Message] = []
        for theme in THEMES:
            self.register_theme(theme)

    def compose(self) -> ComposeResult:
        yield self.widget

    def on_mount(self) -> None:
        self.theme = "ansi-dark"
        self.widget.focus()

    def on_heat_map_moved(self, message: HeatMap.Moved) -> None:
        self.told.append(message)

    def on_heat_map_node_entered(self, message: HeatMap.NodeEntered) -> None:
        self.told.append(message)

    def on_heat_map_rack_entered(self, message: HeatMap.RackEntered) -> None:
        self.told.append(message)

    @property
    def lines(self) -> list[str]:
        """The text on the screen; a line that should have been refreshed and was not is old."""
        return [strip.text.rstrip() for strip in self.screen._compositor.render_strips()]


def driven(
    make: Callable[[], W],
    test: Callable[[Pilot[None], WidgetApp, W], Awaitable[None]],
    *,
    size: tuple[int, int] = (80, 12),
    ascii_only: bool = False,
) -> None:
    """Run a test with a widget in an app of this size."""

    async def drive() -> None:
        widget = make()
        app = WidgetApp(widget, ascii_only)
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await test(pilot, app, widget)

    asyncio.run(drive())


def refreshed(widget: Widget) -> list[int]:
    """The lines that the widget is asked to paint from now on; -1 is all of it."""
    lines: list[int] = []
    refresh = widget.refresh

    def noting(*regions: Region, **how: Any) -> Any:
        lines.extend([region.y for region in regions] or [-1])
        return refresh(*regions, **how)

    widget.refresh = noting  # type: ignore[method-assign]
    return lines
