"""The past of the simulated estate: made up when it is first asked for, then recorded like any."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from foundry_tui.actions.site import Site
    from foundry_tui.store.history import History

PAST = timedelta(hours=6)
"""So much of it there is from the start."""

_turn = threading.Lock()


def fill(site: Site, folder: Path, make: Callable[[], History]) -> bool:
    """Record the past of the simulated estate in an empty folder; False where it is there already.

    Takes about two seconds, which is why a demo that nobody asks for its past never does it.

    Raises:
        HistoryError: it cannot be written.
    """
    from foundry_tui.schedulers.simulated.past import past
    from foundry_tui.schedulers.simulated.source import SimulatedSource

    with _turn:
        if any(folder.iterdir()):
            return False
        sources = [s for s in site.schedulers.values() if isinstance(s, SimulatedSource)]
        now = site.clock()
        history = make()
        try:
            for snapshot in past(sources, now - PAST, now):
                history.record(snapshot)
        finally:
            history.close()
        return True
