"""One collection of the API server: listed once, then kept up to date by watches.

List and watch are those of the Kubernetes API conventions: a watch begins at the resourceVersion of
the list and is taken up again at that of the last event or bookmark; 410 means that this version is
forgotten, and only then is listed anew.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import msgspec

from foundry_tui.schedulers.kai import objects
from foundry_tui.schedulers.kai.connect import Cluster, Overloaded, Refused
from foundry_tui.schedulers.kai.kinds import Table
from foundry_tui.schedulers.kai.slim import Slim
from foundry_tui.schedulers.ports import Denied, SchedulerError, Unavailable

PAGE = 1000
LIST_TRIES = 3
"""So often a list is begun again whose version was forgotten meanwhile."""

WATCH_S = 1500
"""Seconds after which the server is asked to end a watch, so that a lost one cannot last."""

RETRY_S = (0.2, 1.0, 3.0, 5.0)

QUICK_S = 1.0
"""A collection is not taken up more often, however soon its watches end."""

ABSENT_S = 60.0
"""A kind that the cluster does not have, or never let us read, is looked for so often."""

GONE = 410


class Follower:
    """One collection: `read` lists it, `follow` keeps it up to date until `stopped` is set."""

    def __init__(self, cluster: Cluster, table: Table, stopped: threading.Event) -> None:
        self.cluster, self.table, self.stopped = cluster, table, stopped
        self._decoder = msgspec.json.Decoder(table.kind.type)
        self._slim = Slim(cluster.config)

    def read(self, timeout_s: float | None = None) -> None:
        """List the collection, page by page; an unknown kind is an empty one.

        Raises:
            SchedulerError: as `Cluster.request`.
        """
        rows: dict[str, Any] = {}
        unread: set[str] = set()
        more, tries = "", 0
        while True:
            query = {"limit": str(PAGE), **({"continue": more} if more else {})}
            try:
                data = self.cluster.request(
                    "GET", self.table.path, query=query, timeout_s=timeout_s
                )
            except Refused as error:
                if error.status == GONE and more and tries < LIST_TRIES:
                    # The list took so long that its version is forgotten: begin again.
                    rows, unread, more, tries = {}, set(), "", tries + 1
                    continue
                if error.status != 404 or self._starting():
                    raise
                self._absent()
                return
            page = _page(data, self.table.path)
            for raw in page.items or ():
                self._put(rows, unread, raw)
            if not page.metadata.more:
                break
            more = page.metadata.more
        table = self.table
        table.rows, table.version, table.unread = rows, page.metadata.resource_version, unread
        table.error, table.lost_at, table.denied_at, table.absent = None, None, None, False
        table.lists += 1
        table.changes += 1

    def _starting(self) -> bool:
        """Whether a kind that was there is missing only since a moment ago.

        An API server that was just started does not know the custom kinds yet.
        """
        table = self.table
        return bool(table.rows) and (table.lost_at is None or not table.lost)

    def _absent(self) -> None:
        table = self.table
        table.rows, table.version, table.absent = {}, "", True
        table.error, table.lost_at, table.denied_at = None, None, None
        table.changes += 1

    def follow(self) -> None:
        """Watch for ever; a break is taken up again, a forgotten version is listed anew."""
        failures = 0
        while not self.stopped.is_set():
            began = time.monotonic()
            try:
                if self.table.absent or not self.table.version:
                    self.read()
                    if self.table.absent:
                        self.stopped.wait(ABSENT_S)
                        continue
                self._watch()
                failures = 0
                # A server or a proxy that ends every watch at once must not be asked without end.
                self.stopped.wait(max(0.0, QUICK_S - (time.monotonic() - began)))
            except _Forgotten:
                self.table.version = ""
                self.stopped.wait(max(0.0, QUICK_S - (time.monotonic() - began)))
            except SchedulerError as error:
                self._broken(error)
                if isinstance(error, Refused) and error.status == 404:
                    self.table.version = ""
                wait_s = RETRY_S[min(failures, len(RETRY_S) - 1)]
                if isinstance(error, Denied) and not self.table.lists:
                    wait_s = ABSENT_S  # never read: not for this user, until somebody allows it
                if isinstance(error, Overloaded):
                    wait_s = max(wait_s, error.retry_after_s)
                self.stopped.wait(wait_s)
                failures += 1
            except Exception as error:  # an answer nobody foresaw must not end the thread
                self._broken(SchedulerError(f"watch {self.table.path}", repr(error)))
                self.table.version = ""
                self.stopped.wait(RETRY_S[-1])

    def _broken(self, error: SchedulerError) -> None:
        table = self.table
        table.error = error
        if table.lost_at is None:
            table.lost_at = time.monotonic()
        if not isinstance(error, Denied):
            table.denied_at = None
        elif table.denied_at is None:
            table.denied_at = time.monotonic()
        if table.denied and table.rows:
            # What may not be read any more is not shown as if it were known.
            table.rows, table.version = {}, ""
            table.changes += 1

    def _watch(self) -> None:
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self.table.version,
            "timeoutSeconds": str(WATCH_S),
        }
        try:
            for line in self.cluster.stream(self.table.path, query, opened=self._mended):
                self._take(line)
                if self.stopped.is_set():
                    return
        except Refused as error:
            if error.status == GONE:
                raise _Forgotten from None
            raise

    def _mended(self) -> None:
        self.table.error, self.table.lost_at, self.table.denied_at = None, None, None
        self.table.watches += 1

    def _take(self, line: bytes) -> None:
        event = _event(line)
        table = self.table
        if event.type == "ERROR":
            told = msgspec.json.decode(event.object, type=objects.ErrorStatus)
            if told.code == GONE:
                raise _Forgotten
            raise Unavailable(f"watch {table.path}", f"{told.code} {told.message}")
        if event.type == "BOOKMARK":
            table.version = msgspec.json.decode(event.object, type=_Bare).metadata.version
            return
        if event.type == "DELETED":
            meta = msgspec.json.decode(event.object, type=_Bare).metadata
            table.rows.pop(meta.uid, None)
            table.unread.discard(meta.uid)
            table.version = meta.version or table.version
        else:
            table.version = self._put(table.rows, table.unread, event.object) or table.version
        table.changes += 1

    def _put(self, rows: dict[str, Any], unread: set[str], raw: msgspec.Raw) -> str:
        """Keep an object and return its version; of one that cannot be read only the uid."""
        try:
            thing = self._decoder.decode(raw)
        except msgspec.MsgspecError:
            try:
                meta = msgspec.json.decode(raw, type=_Bare).metadata
            except msgspec.MsgspecError:
                unread.add("")
                return ""
            rows.pop(meta.uid, None)
            unread.add(meta.uid)
            return meta.version
        self._slim.cut(thing)
        rows[thing.metadata.uid] = thing
        unread.discard(thing.metadata.uid)
        return str(thing.metadata.resource_version)


class _Forgotten(Exception):
    """The version that a watch began at is no longer known (410)."""


class _BareMeta(msgspec.Struct):
    uid: str = ""
    version: str = msgspec.field(default="", name="resourceVersion")


class _Bare(msgspec.Struct):
    metadata: _BareMeta = msgspec.field(default_factory=_BareMeta)


_PAGES = msgspec.json.Decoder(objects.Page)
_EVENTS = msgspec.json.Decoder(objects.Event)


def _page(data: bytes, path: str) -> objects.Page:
    try:
        return _PAGES.decode(data)
    except msgspec.MsgspecError as error:
        raise SchedulerError(f"list {path}", f"an answer that is no list ({error})") from None


def _event(line: bytes) -> objects.Event:
    try:
        return _EVENTS.decode(line)
    except msgspec.MsgspecError as error:
        raise Unavailable("watch", f"a line that is no event ({error})") from None
