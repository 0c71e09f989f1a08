"""The tries of workloads that were stopped and resumed, from the history of their phases.

The list of workloads tells how long one ran in all. When it did is told by its history alone, which
is asked for the few whose times do not fit one piece.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from foundry_tui.deadline import Deadline
from foundry_tui.estate.run import RunState
from foundry_tui.schedulers.ports import SchedulerError
from foundry_tui.schedulers.runai.client import Client
from foundry_tui.schedulers.runai.nouns import STATES
from foundry_tui.schedulers.runai.paging import AT_ONCE, listed
from foundry_tui.schedulers.runai.reader import WORKLOADS
from foundry_tui.schedulers.runai.wire import HistoryRecord, Workload, count, text, when

ROUNDING_S = 60.0
"""Running times are told a little late, and count from the phase and not from the container."""

MOST = 200
"""So many histories are asked for at most; the next workloads count as one piece each."""

_AT_WORK = frozenset({RunState.RUNNING, RunState.COMPLETING})


@dataclass(frozen=True, slots=True)
class Try:
    """A time in which a workload had its GPUs; `eligible` is since when it waited for them."""

    eligible: datetime | None
    start: datetime
    end: datetime | None


def stopped_between(
    workload: Workload, start: datetime | None, end: datetime | None, now: datetime
) -> bool:
    """Whether a workload surely ran before the piece that ended last, or still lasts."""
    ran_s, created = count(workload.total_running_time_seconds), when(workload.created_at)
    if not ran_s or start is None:
        return False
    if end is None:
        return ran_s - (now - start).total_seconds() > ROUNDING_S
    pending_s = count(workload.total_pending_time_seconds)
    if pending_s is None or created is None:
        return False
    return (end - created).total_seconds() - ran_s - pending_s > ROUNDING_S


def read_tries(client: Client, natives: Sequence[str], deadline: Deadline) -> dict[str, list[Try]]:
    """Workload -> its tries, oldest first. What cannot be read, or is none, is left out."""

    def one(native: str) -> list[HistoryRecord]:
        path = f"{WORKLOADS}/{quote(native, safe='')}/history"
        try:
            return listed(client, path, "records", HistoryRecord, deadline).items
        except SchedulerError:
            return []

    asked = natives[:MOST]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        told = dict(zip(asked, pool.map(one, asked), strict=True))
    return {native: found for native, records in told.items() if (found := tries(records))}


def tries(records: Iterable[HistoryRecord]) -> list[Try]:
    """The tries in a history: from a phase at work to the next one that is neither that nor ending.

    While a workload stops it still has its GPUs.
    """
    phases = sorted(
        (at, phase)
        for record in records
        if record.spec is not None
        and record.spec.phase_update is not None
        and (phase := text(record.spec.phase_update.phase)) is not None
        and record.meta is not None
        and (at := when(record.meta.creation_timestamp)) is not None
    )
    found: list[Try] = []
    waits: datetime | None = None
    begun: datetime | None = None
    for at, phase in phases:
        state = STATES.get(phase, RunState.UNKNOWN)
        if begun is not None and state not in _AT_WORK:
            found.append(Try(waits, begun, at))
            begun = waits = None
        if begun is None and state is RunState.PENDING:
            waits = waits or at
        if begun is None and state is RunState.RUNNING:
            begun = at
    if begun is not None:
        found.append(Try(waits, begun, None))
    return found


def in_one(
    workload: Workload, start: datetime | None, end: datetime | None
) -> tuple[datetime | None, datetime | None]:
    """Begin and end of a workload that counts as one piece: it ran for so long up to its end."""
    ran_s = count(workload.total_running_time_seconds)
    if end is None or ran_s is None:
        return start, end
    return (end - timedelta(seconds=ran_s) if ran_s else None), end


Tries = Mapping[str, Sequence[Try]]
