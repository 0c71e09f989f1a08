"""The app on the simulated estate, driven by keys; all that it keeps is in a folder of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from foundry_tui.actions.opening import open_site
from foundry_tui.actions.site import Options
from foundry_tui.tui.app import Foundry
from foundry_tui.tui.overlay import Overlay
from foundry_tui.tui.place import Place

Test = Callable[[Foundry, Pilot[int]], Awaitable[None]]

PATIENCE_S = 30.0


def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let state, cache and configuration be in this folder only."""
    for name in ("XDG_STATE_HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
        folder = tmp_path / name
        folder.mkdir(mode=0o700, exist_ok=True)
        monkeypatch.setenv(name, str(folder))
    monkeypatch.delenv("FOUNDRY_CONFIG", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)


def driven(test: Test, *, options: Options | None = None, size: tuple[int, int] = (80, 24)) -> None:
    """Run a test on the open app, once the first reading is there."""

    async def run() -> None:
        app = Foundry(open_site(options or Options(demo=True), lambda words: None))
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: app.seen is not None and bool(app.seen.runs))
            await test(app, pilot)

    asyncio.run(run())


async def until(pilot: Pilot[int], holds: Callable[[], bool]) -> None:
    """Wait until something holds; fails after some seconds."""
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        await pilot.pause(0.02)


def place(app: Foundry) -> Place:
    """The place that is shown."""
    shown = app.place
    assert shown is not None
    return shown


def said(app: Foundry) -> str:
    """The last line."""
    return place(app).prompt.said.strip()


def told(app: Foundry, which: str = "choices") -> tuple[str, ...]:
    """The lines of an overlay."""
    return place(app).query_one(f"#{which}", Overlay).told


async def typed(pilot: Pilot[int], text: str) -> None:
    """Type a text, character by character."""
    names = {" ": "space", "=": "equals_sign", "/": "slash", "-": "minus", ":": "colon"}
    await pilot.press(*(names.get(c, c) for c in text))
