"""The simulated estate answers several threads at once, as a screen asks it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import count

from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.schedulers.simulated import build
from tests.schedulers.consistency import assert_consistent


def test_many_threads_read_whole_estates() -> None:
    seconds = count()
    start = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
    sources = build(None, lambda: datetime.fromtimestamp(start + 5 * next(seconds), UTC))

    def read(turn: int) -> Snapshot:
        return sources[turn % 2].snapshot()

    with ThreadPoolExecutor(max_workers=6) as pool:
        for snapshot in pool.map(read, range(120)):
            assert_consistent(snapshot, snapshot.sources[0].name)
