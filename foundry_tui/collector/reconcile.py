"""One pass over the runs that are linked to a tracking server: broken pairs mended, ends told.

A pass can be repeated at any time and by any process: what is right already is not written again,
and one process at a time makes a pass (`Links.writer`).
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from foundry_tui.changes.carry import ON_ITS_WAY_S, alive
from foundry_tui.collector.closing import Closer, where
from foundry_tui.collector.pairing import as_known, as_one, by_key, enough, of_pair, token_key
from foundry_tui.estate.recorded import REASON_TAG, SOURCE_TAG, SUBMIT_TAG
from foundry_tui.estate.run import LIVE, Run
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.tracked import TrackedRun, TrackStatus
from foundry_tui.estate.usage import UsageRecord, Window
from foundry_tui.schedulers.ports import SchedulerActor, SchedulerError, SchedulerReader
from foundry_tui.store.history import Past
from foundry_tui.store.links import Link, LinkError, Links
from foundry_tui.tracking.link import MAX_TAG_CHARS, job_tag
from foundry_tui.tracking.ports import Tracker, TrackerDenied, TrackerDown, TrackingError
from foundry_tui.tracking.reconcile import Decision, Job, Kind, decide

MARGIN = timedelta(hours=1)
"""Clocks of this host and of the accounting may differ by this much."""


class Asked(SchedulerReader, SchedulerActor, Protocol):
    """A scheduler, as far as a pass asks it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What a pass did about one run. `did` is wrote, repaired, left, orphaned, waits or failed."""

    source: str
    token: str
    native_id: str | None
    mlflow_run_id: str | None
    experiment: str
    state: str | None
    before: str | None
    after: str | None
    did: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a pass did. `silent` are schedulers that did not answer.

    `down` is why the pass ended early: the tracking server is silent, or refuses the user.
    """

    items: tuple[Item, ...] = ()
    silent: Mapping[str, str] = field(default_factory=dict)
    down: TrackingError | None = None
    problems: tuple[str, ...] = ()


@dataclass(slots=True)
class Pass:
    """One pass. `user` gives who acts on a source; `backend` its scheduler's kind.

    `thorough` looks at every record; otherwise only at those whose job has moved on. Without
    `accounting` only the job list is believed. `dry_run` writes nothing anywhere. `past` gives the
    history, from which the figures of ended runs come.
    """

    links: Links
    tracker: Tracker
    schedulers: Mapping[str, Asked]
    snapshot: Snapshot
    user: Callable[[str], str]
    backend: Callable[[str], str]
    clock: Callable[[], datetime]
    thorough: bool = True
    accounting: bool = True
    dry_run: bool = False
    past: Callable[[], Past | None] | None = None
    _silent: dict[str, str] = field(init=False, default_factory=dict)
    _rows: dict[str, dict[str, list[Run]]] = field(init=False, default_factory=dict)
    _records: dict[str, dict[str, list[UsageRecord]]] = field(init=False, default_factory=dict)
    _closer: Closer = field(init=False)
    _problems: list[str] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self._closer = Closer(
            tracker=self.tracker,
            clock=self.clock,
            accounting=self._accounting if self.accounting else None,
            patient=self.thorough,
            past=self.past,
        )

    def run(self) -> Report:
        """Go over all open pairs. What one of them fails at costs the others nothing."""
        opened, damaged = self.links.still_open()
        self._problems += damaged
        items: list[Item] = []
        down: TrackingError | None = None
        known: list[tuple[Link, list[Run], bool]] = []
        for link in opened:
            try:
                result = self._repaired(link)
            except TrackingError as error:
                if self._is_down(error):
                    down = error
                    break
                result = self._item(link, "failed", str(error))
            if isinstance(result, Item):
                items.append(result)
            else:
                known.append(
                    (result, of_pair(self._own(result.source), result), result is not link)
                )
        self._ask_accounting([(link, rows) for link, rows, _ in known])
        self._closer.expect([(link, rows) for link, rows, _ in known], self._records)
        for link, rows, repaired in known if down is None else ():
            try:
                item = self._settle(link, rows, repaired=repaired)
            except TrackingError as error:
                if self._is_down(error):
                    down = error
                    break
                item = self._item(link, "failed", str(error))
            if item is not None:
                items.append(item)
        self._problems += self._closer.problems
        return Report(
            items=tuple(items), silent=self._silent, down=down, problems=tuple(self._problems)
        )

    def _is_down(self, error: TrackingError) -> bool:
        """Whether no other record would fare better: one alone must not keep the rest waiting."""
        if not isinstance(error, TrackerDown | TrackerDenied):
            return False
        return all(finding.state != "found" for finding in self.tracker.probe())

    def _repaired(self, link: Link) -> Link | Item:
        """The pair with both ids known; or what there is to say where one is not."""
        now = self.clock()
        age_s = (now - link.created_at).total_seconds()
        if link.native_id is None and age_s < ON_ITS_WAY_S:
            gone = link.host == socket.gethostname() and not alive(link.host, link.pid)
            if not gone:
                return self._item(link, "waits", "it is being submitted just now")
        if link.source not in self.schedulers:
            return self._item(link, "left", f"there is no source {link.source} here")
        if link.server != self.tracker.url:
            if not self._moved_here(link):
                return self._item(link, "left", f"its record is on another server: {link.server}")
            link = replace(link, server=self.tracker.url)
        if link.mlflow_run_id is None:
            found = self.tracker.find(SUBMIT_TAG, link.token)
            if not found and age_s < ON_ITS_WAY_S:
                return self._item(link, "waits", "its record may still be on its way")
            if not found:
                words = "it was broken off before there was a record, and never submitted"
                return self._over(link, None, "repaired", words)
            link = replace(link, mlflow_run_id=found[0].run_id)
        if link.native_id is not None:
            return link
        if link.sent_at is not None:
            native = self._native(link)
            if native is not None:
                if not self.dry_run:
                    tags = job_tag(self.backend(link.source), native)
                    self.tracker.update(link.mlflow_run_id or "", tags=tags)
                return replace(link, native_id=native)
            if link.source in self._silent:
                return self._item(link, "left", self._silent[link.source])
            if (now - link.sent_at).total_seconds() < ON_ITS_WAY_S:
                return self._item(link, "waits", "what was sent may still be on its way")
        words = "never submitted: the program ended before the scheduler had the run"
        self._update(link, TrackStatus.FAILED, now, {SOURCE_TAG: "foundry", REASON_TAG: words})
        return self._over(link, TrackStatus.FAILED, "repaired", words)

    def _moved_here(self, link: Link) -> bool:
        """Whether the server is the one of the pair under another address."""
        if link.mlflow_run_id is None:
            return bool(self.tracker.find(SUBMIT_TAG, link.token))
        record = self.tracker.get(link.mlflow_run_id)
        return record is not None and record.tags.get(SUBMIT_TAG) == link.token

    def _native(self, link: Link) -> str | None:
        """The scheduler's id of a run that was sent; a source that is silent is noted."""
        if mine := self._own(link.source).get(token_key(link.token)):
            return mine[0].array.job_id if mine[0].array else mine[0].native_id
        try:
            return self.schedulers[link.source].find_submitted(link.token)
        except SchedulerError as error:
            self._silent[link.source] = str(error)
            return None

    def _own(self, source: str) -> Mapping[str, list[Run]]:
        """The user's runs of a source: a token in the comment of somebody else's proves nothing."""
        if source not in self._rows:
            me = self.user(source)
            rows = (r for r in self.snapshot.runs if r.source == source and r.user == me)
            self._rows[source] = by_key(rows)
        return self._rows[source]

    def _ask_accounting(self, known: Iterable[tuple[Link, Sequence[Run]]]) -> None:
        """Ask each source once for the runs that its job list does not tell enough of."""
        since: dict[str, datetime] = {}
        for link, rows in known:
            if not enough(rows) and self._answers(link.source) and self.accounting:
                since[link.source] = min(link.created_at, since.get(link.source, link.created_at))
        for source, start in since.items():
            try:
                self._records[source] = self._accounting(source, start)
            except SchedulerError as error:
                self._silent[source] = str(error)

    def _accounting(self, source: str, start: datetime) -> dict[str, list[UsageRecord]]:
        """The user's tries since `start`, by key. Raises `SchedulerError`."""
        window = Window(start - MARGIN, max(start, self.clock()) + MARGIN)
        read = self.schedulers[source].accounting(window, users=(self.user(source),))
        return by_key(read.records)

    def _answers(self, source: str) -> bool:
        """Whether the job list of a source is from now; notes why not."""
        for one in self.snapshot.sources:
            if one.name == source:
                if not one.usable:
                    self._silent.setdefault(source, f"{source} is {one.state}: {one.reason}")
                return one.usable
        self._silent.setdefault(source, f"nothing was read of {source}")
        return False

    def _settle(self, link: Link, rows: Sequence[Run], *, repaired: bool) -> Item | None:
        if not self._answers(link.source):
            return self._kept(link, self._silent[link.source], repaired)
        if not enough(rows) and link.source not in self._records:
            if link.source not in self._silent:
                return self._kept(link, "the accounting is not asked now", repaired)
            return self._kept(link, self._silent[link.source], repaired)
        job = as_one(rows, of_pair(self._records.get(link.source, {}), link))
        now = self.clock()
        if not (self.thorough or repaired or link.missing_since) and as_known(link, job):
            return None
        link = replace(link, missing_since=None if job else link.missing_since or now)
        record = self.tracker.get(link.mlflow_run_id or "")
        if record is None or record.tags.get(SUBMIT_TAG, link.token) != link.token:
            return self._gone(link, job)
        since = link.missing_since
        decision = decide(
            job,
            record.status,
            record.tags,
            begun=link.status not in (None, "SCHEDULED"),
            attempt=link.attempt,
            missing_s=(now - since).total_seconds() if since else None,
        )
        return self._carried_out(link, record, job, rows, decision, repaired=repaired)

    def _carried_out(
        self,
        link: Link,
        record: TrackedRun,
        job: Job | None,
        rows: Sequence[Run],
        decision: Decision,
        *,
        repaired: bool,
    ) -> Item:
        tags = {**decision.tags, **where(record, rows)}
        if decision.kind is not Kind.LEAVE or tags:
            ended_at = decision.ended_at
            if decision.status is not None and decision.over:
                ended_at = _not_before(record, ended_at or self.clock())
            self._update(link, decision.status, ended_at, tags)
        after = decision.status or record.status
        link = replace(link, status=str(after), attempt=decision.attempt)
        words, over = decision.words, decision.over
        if over and job is not None and not self.dry_run:
            more = self._closer.close(link, job.ended_at, rows)
            words, over = (words, False) if more is None else (words + more, True)
        link = replace(link, settled=over)
        self._save(link)
        did = {Kind.WRITE: "wrote", Kind.ORPHANED: "orphaned", Kind.LEAVE: "left"}[decision.kind]
        return replace(
            self._item(link, "repaired" if repaired and did == "left" else did, words),
            state=job.state.value if job else None,
            before=str(record.status),
            after=str(after),
        )

    def _gone(self, link: Link, job: Job | None) -> Item:
        """The record is not on the server: nothing can be written, and an ended run is settled."""
        words = f"the server has no record {link.mlflow_run_id}"
        if job is not None and job.state in LIVE:
            return self._item(link, "left", words)
        return self._over(link, None, "left", words)

    def _kept(self, link: Link, words: str, repaired: bool) -> Item:
        self._save(link)
        return self._item(link, "repaired" if repaired else "left", words)

    def _over(self, link: Link, status: TrackStatus | None, did: str, words: str) -> Item:
        after = str(status) if status else link.status
        self._save(replace(link, settled=True, status=after))
        return replace(self._item(link, did, words), after=after)

    def _update(
        self,
        link: Link,
        status: TrackStatus | None,
        ended_at: datetime | None,
        tags: Mapping[str, str],
    ) -> None:
        if not self.dry_run:
            cut = {key: value[:MAX_TAG_CHARS] for key, value in tags.items()}
            self.tracker.update(
                link.mlflow_run_id or "", status=status, ended_at=ended_at, tags=cut
            )

    def _save(self, link: Link) -> None:
        if self.dry_run or self.links.find(link.token) == link:
            return
        try:
            self.links.save(link)
        except LinkError as error:
            self._problems.append(str(error))

    def _item(self, link: Link, did: str, words: str) -> Item:
        return Item(
            source=link.source,
            token=link.token,
            native_id=link.native_id,
            mlflow_run_id=link.mlflow_run_id,
            experiment=link.experiment,
            state=None,
            before=link.status,
            after=link.status,
            did=did,
            words=words,
        )


def _not_before(record: TrackedRun, ended_at: datetime) -> datetime:
    """An end is not before the begin, however the clocks of the two hosts differ."""
    return ended_at if record.started_at is None else max(ended_at, record.started_at)
