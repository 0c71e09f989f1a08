"""Writing the figures of runs that have ended into their records, once.

The record's status is right already by then. A link is settled only when its figures are written,
so what is broken off is done again by the next pass, and doing it again writes the same values.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from foundry_tui.collector.figures import figures, nodes_tag, tries
from foundry_tui.collector.pairing import of_pair
from foundry_tui.estate.recorded import NODES_TAG
from foundry_tui.estate.run import HOLDING, LIVE, Run
from foundry_tui.estate.tracked import TrackedRun
from foundry_tui.estate.usage import UsageRecord
from foundry_tui.schedulers.ports import SchedulerError
from foundry_tui.store.history import HistoryError, Past
from foundry_tui.store.links import Link
from foundry_tui.tracking.ports import Tracker, TrackerDenied, TrackerDown, TrackingError

WITHIN_S = 10.0
"""Seconds of a pass beside the screens in which it begins to write figures; the next goes on."""

Told = Mapping[str, list[UsageRecord]]
"""The tries of a user on one source, by key (`pairing.by_key`)."""


@dataclass(slots=True, kw_only=True)
class Closer:
    """Writes figures during one pass.

    `accounting` asks a source for the user's tries since a time; None when it is not to be asked
    now. A `patient` pass does all that there is to do. `past` gives the history.
    """

    tracker: Tracker
    clock: Callable[[], datetime]
    accounting: Callable[[str, datetime], Told] | None
    patient: bool
    past: Callable[[], Past | None] | None
    problems: list[str] = field(default_factory=list)
    _since: dict[str, datetime] = field(init=False, default_factory=dict)
    _told: dict[str, Told] = field(init=False, default_factory=dict)
    _began_s: float = field(init=False, default_factory=time.monotonic)

    def expect(
        self, known: Iterable[tuple[Link, Sequence[Run]]], asked: Mapping[str, Told]
    ) -> None:
        """Note which runs have ended, so that the accounting is asked once for all of a source.

        `asked` is what it has told already in this pass.
        """
        self._told |= asked
        for link, rows in known:
            if rows and not any(row.state in LIVE for row in rows):
                since = self._since.get(link.source, link.created_at)
                self._since[link.source] = min(link.created_at, since)

    def close(self, link: Link, ended_at: datetime | None, rows: Sequence[Run]) -> str | None:
        """Write the figures of an ended run. What there is to say of it; None to do it later.

        Raises:
            TrackerDown, TrackerDenied: the server takes nothing now.
        """
        late = time.monotonic() - self._began_s > WITHIN_S
        if not self.patient and (late or self.accounting is None):
            return None  # the job list alone tells neither the nodes nor earlier tries
        records = of_pair(self._of(link.source), link)
        known = tries(rows, records)
        found = figures(
            link.source, known, self._history(), whole=bool(records) or link.attempt == 1
        )
        try:
            if found.metrics:
                at = ended_at or self.clock()
                self.tracker.log(link.mlflow_run_id or "", metrics=found.metrics, at=at)
            if found.tags:
                self.tracker.update(link.mlflow_run_id or "", tags=found.tags)
        except TrackingError as error:
            if isinstance(error, TrackerDown | TrackerDenied):
                raise
            return f"; its figures are not on its record ({error})"
        return ""

    def _of(self, source: str) -> Told:
        """What the accounting tells; of a source that does not answer, nothing."""
        if source not in self._told:
            self._told[source] = {}
            since = self._since.get(source)
            if self.accounting is not None and since is not None:
                with contextlib.suppress(SchedulerError):
                    self._told[source] = self.accounting(source, since)
        return self._told[source]

    def _history(self) -> Past | None:
        """The history; one that cannot be believed is none."""
        try:
            return self.past() if self.past is not None else None
        except HistoryError as error:
            if str(error) not in self.problems:
                self.problems.append(str(error))
            return None


def where(record: TrackedRun, rows: Sequence[Run]) -> dict[str, str]:
    """The tag with the nodes on which a run is now, where its record does not say so yet."""
    held = [row for row in rows if row.state in HOLDING]
    tags = nodes_tag(part.node for row in held for part in row.placement)
    return {key: value for key, value in tags.items() if record.tags.get(NODES_TAG) != value}
