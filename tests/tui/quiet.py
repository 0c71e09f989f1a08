"""When an app has nothing left to do, asked of the event loop itself and not of the clock.

Textual's own pilot takes an app for idle when its process used little CPU time for 20 ms. On a
machine that is busy with other things a process uses none while it waits for its turn.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection, Iterator
from itertools import chain
from typing import Any

from textual.pilot import Pilot
from textual.timer import Timer

from foundry_tui.tui.app import Foundry
from foundry_tui.tui.confirm import Confirm

PATIENCE_S = 120.0
LOOK_S = 0.002
ALIKE = 3
"""So often in a row nothing must be under way."""


async def quiet(app: Foundry, pilot: Pilot[int], kept: Collection[threading.Thread] = ()) -> None:
    """Until no work is under way, no thread of it runs and nothing is left to paint.

    `kept` are threads that may run on. Raises `AssertionError` with what goes on after two minutes.
    """
    loop = asyncio.get_running_loop()
    deadline, seen = loop.time() + PATIENCE_S, 0
    while seen < ALIKE:
        why = next(_under_way(app, kept), "")
        seen = 0 if why else seen + 1
        assert loop.time() < deadline, f"not quiet: {why}"
        if why:
            await asyncio.sleep(LOOK_S)
        else:
            # what a paint or an answer brings about must be quiet, too
            await pilot._wait_for_screen(timeout=PATIENCE_S)
            app.screen._on_timer_update()
            await asyncio.sleep(0)


def _under_way(app: Foundry, kept: Collection[threading.Thread]) -> Iterator[str]:
    """What is not done yet, the most telling first."""
    yield from (f"worker {worker.group}" for worker in app.workers if not worker.is_finished)
    main = threading.main_thread()
    yield from (
        f"thread {thread.name}"
        for thread in threading.enumerate()
        if thread is not main and thread not in kept
    )
    if app.pacer._waiting:
        yield "a paint that waits for its turn"
    if app.animator._animations or app.animator._scheduled:
        yield "an animation"
    screen = app.screen
    if _paints(screen):
        yield "a paint"
    for node in chain((app,), screen.walk_children(with_self=True)):
        if node.message_queue_size:
            yield f"a message for {node!r}"
        if isinstance(node, Confirm) and node._resting is not None:
            yield "an answer that must rest"
        if node is not app and any(map(_due, node._timers)):
            yield f"a timer of {node!r}"
    # Private to asyncio, and the only place where a task that can go on is listed.
    if asyncio.get_running_loop()._ready:  # type: ignore[attr-defined]
        yield "a task"


def _paints(screen: Any) -> bool:
    """Whether a layout, a paint or a call after one is due."""
    timer = screen._update_timer._active
    return bool(timer.is_set() or screen._callbacks or screen._layout_required)


def _due(timer: Timer) -> bool:
    """Whether a timer will go off once; the others go on for ever, and change nothing."""
    return timer._repeat is not None and timer._task is not None and not timer._task.done()
