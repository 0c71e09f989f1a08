"""A table alone in an app, driven by keys, with what it draws, refreshes and tells."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.message import Message
from textual.pilot import Pilot

from foundry_tui.estate.run import Request, Run, RunState
from foundry_tui.presenters.rows import RUN_ROWS
from foundry_tui.tui.grid import GridTable
from tests.presenters.estate import ago, run


class Table(GridTable[Run]):
    """A table of runs that remembers which regions it was asked to refresh; None is all."""

    def __init__(self, *, ascii_only: bool = False) -> None:
        self.refreshed: list[Region | None] = []
        super().__init__(RUN_ROWS, id="runs", ascii_only=ascii_only)

    def refresh(self, *regions: Region, **how: Any) -> Any:
        self.refreshed += regions or [None]
        return super().refresh(*regions, **how)


class TableApp(App[None]):
    """One table on the whole screen, in the terminal's own colours."""

    def __init__(self, table: Table) -> None:
        super().__init__()
        self.table = table
        self.told: list[Message] = []

    def compose(self) -> ComposeResult:
        yield self.table

    def on_mount(self) -> None:
        self.theme = "ansi-dark"
        self.table.focus()

    def on_grid_table_moved(self, message: GridTable.Moved) -> None:
        self.told.append(message)

    def on_grid_table_entered(self, message: GridTable.Entered) -> None:
        self.told.append(message)

    def on_grid_table_marks_changed(self, message: GridTable.MarksChanged) -> None:
        self.told.append(message)

    @property
    def lines(self) -> list[str]:
        """The text on the screen; a line that should have been refreshed and was not is old."""
        return [strip.text.rstrip() for strip in self.screen._compositor.render_strips()]

    @property
    def ids(self) -> list[str]:
        """The first words of the lines of the body."""
        return [words[0] for line in self.lines[1:] if (words := line.lstrip("*!?x ").split())]


def driven(
    test: Callable[[Pilot[None], TableApp], Awaitable[None]],
    *,
    size: tuple[int, int] = (80, 12),
    ascii_only: bool = False,
) -> None:
    """Run a test with a table in an app of this size."""

    async def drive() -> None:
        app = TableApp(Table(ascii_only=ascii_only))
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await test(pilot, app)

    asyncio.run(drive())


def waiting(count: int, **fields: Any) -> list[Run]:
    """Runs that wait, the first one longest."""
    return [
        run(
            str(1000 + i),
            f"train-{i}",
            RunState.PENDING,
            request=Request(gpu_count=4, gpu_milli=4000),
            submitted_at=ago(hours=1, seconds=count - i),
            **fields,
        )
        for i in range(count)
    ]
