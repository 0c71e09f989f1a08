"""Looking at files of a server that may be dead: its caller waits so long, and no longer.

A file system whose server is gone holds whoever asks it for ever, and no signal ends that. So the
look is a thread of its own, which is left behind.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from foundry_tui.jobs.preflight.verdict import Check, warn


def within(timeout_s: float, name: str, look: Callable[[], Iterable[Check]]) -> tuple[Check, ...]:
    """The checks of `look`; a warning of this `name` when they are not there in time.

    Raises:
        Exception: as `look`.
    """
    found: list[tuple[Check, ...]] = []
    failed: list[Exception] = []

    def work() -> None:
        try:
            found.append(tuple(look()))
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=work, name="preflight", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if failed:
        raise failed[0]
    if found:
        return found[0]
    words = f"no answer of the file system within {timeout_s:g} s: is its server there?"
    return (warn(name, words),)
