"""What the API server holds, kept in memory: every kind listed once, then followed by watches."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from foundry_tui.estate.text import safe
from foundry_tui.schedulers.kai.connect import Cluster
from foundry_tui.schedulers.kai.follow import Follower
from foundry_tui.schedulers.kai.kinds import KINDS, PODS, Kind, Table
from foundry_tui.schedulers.ports import Denied, SchedulerError, Unavailable

SETTLE_S = 2.0
LAG_S = 0.25
CHANGE_S = 1.0
POLL_S = 0.01


class State:
    """All collections: `read` lists, `follow` starts the watches, `check` tells their health.

    `listed` says whether everything was read once; `patience_s` is how long `read` waits.
    """

    def __init__(self, cluster: Cluster, kinds: Sequence[Kind] = KINDS) -> None:
        self.cluster = cluster
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self.listed = False
        spaces = cluster.config.namespaces
        held = cluster.config.reservation_namespace
        self.followers = tuple(
            Follower(cluster, Table(kind, path), self._stopped)
            for kind in kinds
            for path in kind.paths((*spaces, held) if kind is PODS and spaces else spaces)
        )
        self._needed = tuple(
            f.table
            for f in self.followers
            if f.table.kind.needed and f.table.path in f.table.kind.paths(spaces)
        )
        self._reading: list[threading.Thread] = []
        self.patience_s = cluster.config.timeout_s

    @property
    def followed(self) -> bool:
        """Whether the watches run."""
        return bool(self._threads)

    @property
    def reading(self) -> bool:
        """Whether lists are still being read."""
        return any(thread.is_alive() for thread in self._reading)

    @property
    def changes(self) -> int:
        """Grows with every change: an equal number means that nothing is new."""
        return sum(f.table.changes for f in self.followers)

    def rows(self, kind: Kind) -> list[Any]:
        """The objects of a kind, as known now."""
        return [
            row
            for f in self.followers
            if f.table.kind is kind
            for row in list(f.table.rows.values())
        ]

    def read(self) -> None:
        """List everything, side by side. Lists that take longer go on until the next call.

        Raises:
            Denied: the pods may not be read.
            SchedulerError: the API server did not answer.
        """
        if not self._reading:
            self._reading = [
                threading.Thread(target=self._read, args=(f,), daemon=True) for f in self.followers
            ]
            for thread in self._reading:
                thread.start()
        until = time.monotonic() + self.patience_s
        for thread in self._reading:
            thread.join(max(0.0, until - time.monotonic()))
        if self.reading:
            name = self.cluster.config.name
            raise Unavailable(f"reading {name}", "the lists did not end in time; they go on")
        self._reading = []
        self.check()
        self.listed = True

    def _read(self, follower: Follower) -> None:
        try:
            follower.read()
        except SchedulerError as error:
            follower.table.error = error
            follower.table.lost_at = float("-inf")
        except Exception as error:  # as in `follow`
            follower.table.error = SchedulerError(f"list {follower.table.path}", repr(error))
            follower.table.lost_at = float("-inf")

    def follow(self) -> None:
        """Start the watches; they are daemon threads and end with the process."""
        if self._threads:
            return
        self._threads = [
            threading.Thread(target=f.follow, name=f"watch-{f.table.kind.name}", daemon=True)
            for f in self.followers
        ]
        for thread in self._threads:
            thread.start()

    def settle(self) -> None:
        """Wait until the watches stand and have told what happened since the lists."""
        until = time.monotonic() + SETTLE_S

        def stands(table: Table) -> bool:
            return bool(table.watches or table.absent or table.error is not None)

        while time.monotonic() < until and not all(stands(f.table) for f in self.followers):
            time.sleep(POLL_S)
        # No mark in the stream says that it is up to date; a server sends what it has at once.
        time.sleep(LAG_S)

    def version_of(self, uid: str) -> str | None:
        """The version of an object as known now; None where there is none of this uid."""
        rows = (row for f in self.followers if (row := f.table.rows.get(uid)) is not None)
        return next((str(row.metadata.resource_version) for row in rows), None)

    def await_change(self, before: Mapping[str, str | None]) -> None:
        """Wait until every object has another version than before, but not for long.

        What was just changed is then seen by the next reading. A change of something else that
        belongs to the object leaves its version; its event arrives in the same time.
        """
        until = time.monotonic() + CHANGE_S
        while time.monotonic() < until:
            if all(self.version_of(uid) != version for uid, version in before.items()):
                return
            time.sleep(POLL_S)

    def stop(self) -> None:
        """Let the watches end; does not wait for them."""
        self._stopped.set()

    def check(self) -> None:
        """Raise what keeps the data from being trusted: no pods, from nowhere.

        Raises:
            Denied: the pods may not be read.
            SchedulerError: the API server does not answer.
        """
        lost = [t for t in self._needed if t.lost and t.error is not None]
        if len(lost) < len(self._needed):
            return
        # A server that does not answer says more than one that refuses a namespace.
        for table in sorted(lost, key=lambda t: isinstance(t.error, Denied)):
            if table.error is not None:
                raise table.error

    def missing(self) -> tuple[str, ...]:
        """What of the cluster cannot be seen, in words."""
        told = []
        for table in (f.table for f in self.followers):
            if isinstance(table.error, Denied) and (table.lost or not table.rows):
                told.append(f"{table.path} may not be read by this user: {table.error.answer}")
            elif table.lost and table.error is not None:
                what = "is shown as it was" if table.rows else "is not known"
                told.append(f"{table.path} {what}: {table.error.answer}")
            if table.unread:
                told.append(f"{len(table.unread)} of {table.kind.name} could not be understood")
        return tuple(safe(words, max_cells=300) for words in told)
