"""Keys one by one: the next is handed on when nothing is left to do for the last.

Textual gives a key to the widget that has the focus, which gives it to its parent, and so on up to
the app, each through a queue of its own. What a widget does at once therefore overtakes what the
app does for it. Over a slow link keys come in bursts, and then `down down c` would cancel another
run, and a letter typed after backspace would be the one that is deleted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from textual import events
from textual.app import App


class InOrder:
    """Holds keys and pastes back until what went before is done."""

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._held: deque[events.Event] = deque()
        self._handed_on: events.Event | None = None

    def holds(self, event: events.Event) -> bool:
        """Take an event that has just come from the terminal; False when it is its turn."""
        typed = isinstance(event, events.Key | events.Paste)
        if not typed or event.is_forwarded or event is self._handed_on:
            return False
        self._held.append(event)
        if len(self._held) == 1:
            self._app.call_later(self._next)
        return True

    async def _next(self) -> None:
        if self._busy():
            await asyncio.sleep(0)
            self._app.call_later(self._next)
            return
        self._handed_on = event = self._held.popleft()
        await self._app.on_event(event)
        if self._held:
            self._app.call_later(self._next)

    def _busy(self) -> bool:
        """Whether the app, or whoever a key goes to and through, has something left to do."""
        first = self._app.focused or self._app.screen
        return any(node.message_queue_size for node in first.ancestors_with_self)
