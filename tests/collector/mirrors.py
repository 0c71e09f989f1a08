"""A server in memory with runs that are always the same, for tests of the mirror's refresh.

Run as a program it fills a mirror and is killed at will: `mirrors.py FOLDER RUNS`.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from foundry_tui.collector.mirroring import Refresh
from foundry_tui.estate.tracked import RunPage, TrackStatus
from foundry_tui.store.mirror.mirror import Mirror
from foundry_tui.store.mirror.query import Query
from foundry_tui.tracking.memory import MemoryTracker

T0 = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
NOW = T0 + timedelta(days=1)


class Server(MemoryTracker):
    """A server that notes what it is asked."""

    def __init__(self) -> None:
        super().__init__("lab", "http://tracking.example")
        self.asked: list[tuple[tuple[str, ...], str]] = []

    def search(
        self,
        experiment_ids: Sequence[str],
        *,
        where: str = "",
        most: int = 200,
        after: str | None = None,
    ) -> RunPage:
        """See the port."""
        self.asked.append((tuple(experiment_ids), where))
        return super().search(experiment_ids, where=where, most=most, after=after)


def server(runs: int, experiments: int = 3) -> Server:
    """A server with finished runs, one each second; some begin at the same moment."""
    made = Server()
    for number in range(runs):
        add(made, f"exp-{number % experiments}", T0 + timedelta(seconds=number // 4))
    return made


def add(
    tracker: MemoryTracker,
    experiment: str,
    started_at: datetime,
    status: TrackStatus = TrackStatus.FINISHED,
    ended_at: datetime | None = None,
) -> str:
    """One run more; its id."""
    run_id = tracker.create(
        experiment, name=f"at {started_at:%H:%M:%S}", tags={"mlflow.user": "ann"},
        started_at=started_at,
    ).run_id  # fmt: skip
    tracker.log(run_id, params={"lr": "0.1"}, metrics={"loss": 0.5}, at=started_at)
    if status is not TrackStatus.SCHEDULED:
        end = ended_at or (started_at + timedelta(minutes=5) if status in _ENDED else None)
        tracker.update(run_id, status=status, ended_at=end)
    return run_id


_ENDED = (TrackStatus.FINISHED, TrackStatus.FAILED, TrackStatus.KILLED)


def contents(mirror: Mirror) -> str:
    """All that is kept, run by run."""
    runs = mirror.ask(Query(most=100_000, now=NOW, sort="id", descending=False)).runs
    return "\n".join(map(repr, runs))


def whole(tracker: MemoryTracker) -> str:
    """What a mirror of this server has to hold."""
    mirror = Mirror(tracker.url, None)
    Refresh(tracker, mirror, lambda: NOW).fill(lambda _: None, threading.Event())
    return contents(mirror)


def main() -> None:
    """Fill, telling each page on stdout, until the end or until killed."""
    folder, runs = Path(sys.argv[1]), int(sys.argv[2])
    tracker = server(runs)
    mirror = Mirror.open(folder, tracker.url)
    work = Refresh(tracker, mirror, lambda: NOW)
    work.fill(lambda words: print(words, flush=True), threading.Event())


if __name__ == "__main__":
    main()
