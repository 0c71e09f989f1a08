"""Calls that may take time, each in a thread of its own, awaited by the screens.

Not in the threads that asyncio or Textual keep: there are a handful of those, so some sources that
hang would keep a change from being sent, and the program does not end before they have ended.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")


async def off_thread(call: Callable[[], T], name: str, *, to_the_end: bool = False) -> T:
    """What `call` answers or raises. With `to_the_end` the program does not end before it has."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[T] = loop.create_future()

    def answer(value: T) -> None:
        if not answered.done():
            answered.set_result(value)

    def fail(error: Exception) -> None:
        if not answered.done():
            answered.set_exception(error)

    def tell(report: Callable[[], None]) -> None:
        # The loop is closed when the user has left: nobody waits for the answer any more.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(report)

    def run() -> None:
        try:
            value = call()
        except Exception as error:
            failure = error
            tell(lambda: fail(failure))
        else:
            tell(lambda: answer(value))

    context = copy_context()
    threading.Thread(target=lambda: context.run(run), name=name, daemon=not to_the_end).start()
    return await answered
