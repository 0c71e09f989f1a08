"""Tries that only the site's history knows, of sources that forget what was deleted.

Kubernetes keeps no books: of a workload that was deleted, or whose pod was evicted, nothing is left
there. The collector saw who held which GPU, so that these tries come back from its record, to the
minute where no exact time was told. What the source itself still tells goes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from foundry_tui.estate.gpu import Share
from foundry_tui.estate.run import RunState
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.usage import Accounting, HeldGpus, UsageRecord, Window

if TYPE_CHECKING:
    from foundry_tui.store.history import Past

FORGETFUL = frozenset({"kai"})
"""Kinds of sources that tell nothing of what was deleted."""

_COLUMNS = ("native_id", "name", "user", "account", "queue", "qos", "submitted", "cpu_milli",
            "memory_bytes", "time_limit_s")  # fmt: skip

_HELD = f"""
SELECT x.gpu, d.node, d.model, x.milli, x.share, x.since, coalesce(x.until, s.seen + 1),
  {", ".join("r." + name for name in _COLUMNS)}
FROM allocation x JOIN run r ON r.id = x.run JOIN source s ON s.id = r.source
JOIN device d ON d.id = x.gpu
WHERE s.name = :source AND NOT x.suspended AND x.since < :end
  AND (x.until > :start OR (x.until IS NULL AND s.seen + 1 > :start))
ORDER BY r.id, x.since, x.gpu
"""


@dataclass(frozen=True, slots=True)
class _Stay:
    """A device that a run held in `since <= t < until`."""

    device: int
    node: str
    model: str | None
    milli: int | None
    share: Share
    since: int
    until: int


def with_remembered(
    past: Past, told: Accounting, source: str, users: tuple[str, ...] | None = None
) -> Accounting:
    """What a source tells, with the tries before it and the runs that it does not know any more.

    Raises:
        HistoryError: the history cannot be read.
    """
    first: dict[str, datetime] = {}
    for record in told.records:
        if record.started_at is not None:
            known = first.get(record.native_id)
            first[record.native_id] = min(record.started_at, known or record.started_at)
    found: list[UsageRecord] = []
    for row, stays in _runs(past, source, told.window):
        if users is not None and row["user"] not in users:
            continue
        for record in _tries(source, row, stays):
            begin, before = record.started_at, first.get(record.native_id)
            if begin is None or (before is not None and begin >= before):
                continue
            if before is not None and record.ended_at is not None and record.ended_at > before:
                record = replace(record, ended_at=before)
            if told.window.overlap_s(record.started_at, record.ended_at) > 0:
                found.append(record)
    note = f"{len(found)} tries that {source} forgot come from the site's history"
    return replace(
        told,
        records=(*told.records, *found),
        notes=(*told.notes, safe(note)) if found else told.notes,
    )


def _runs(
    past: Past, source: str, window: Window
) -> Iterable[tuple[Mapping[str, Any], list[_Stay]]]:
    """The runs of a source that held GPUs in a window, with what they held."""
    values = {
        "source": source,
        "start": int(window.start.timestamp()),
        "end": int(window.end.timestamp()),
    }
    found: dict[str, tuple[Mapping[str, Any], list[_Stay]]] = {}
    with past.reading() as measured:
        rows = () if measured is None else measured.db.execute(_HELD, values)
        for device, node, model, milli, share, since, until, *columns in rows:
            row = dict(zip(_COLUMNS, columns, strict=True))
            stay = _Stay(device, node, model, milli, Share(share), since, until)
            found.setdefault(row["native_id"], (row, []))[1].append(stay)
    return found.values()


def _tries(source: str, row: Mapping[str, Any], stays: Sequence[_Stay]) -> list[UsageRecord]:
    """A record for each time in which the same devices were held; a gap begins a new try."""
    marks = sorted({s.since for s in stays} | {s.until for s in stays})
    made: list[UsageRecord] = []
    last: int | None = None
    tries = -1
    for since, until in pairwise(marks):
        here = [s for s in stays if s.since <= since and s.until >= until]
        if not here:
            continue
        tries += since != last
        last = until
        made.append(_record(source, row, here, since, until, tries))
    return made


def _record(
    source: str,
    row: Mapping[str, Any],
    here: Sequence[_Stay],
    since: int,
    until: int,
    restarts: int,
) -> UsageRecord:
    """What came of it nobody saw: its state is unknown."""
    held = _held(here)
    worths = [one.milli for one in held]
    models = {one.gpu_type for one in held}
    return UsageRecord(
        source=source,
        native_id=safe(row["native_id"]),
        raw_id=safe(row["native_id"]),
        name=safe(row["name"]),
        user=_safe(row["user"]),
        account=_safe(row["account"]),
        queue=_safe(row["queue"]),
        qos=_safe(row["qos"]),
        state=RunState.UNKNOWN,
        submitted_at=None if row["submitted"] is None else _when(row["submitted"]),
        eligible_at=None,
        started_at=_when(since),
        ended_at=_when(until),
        nodes=tuple(dict.fromkeys(safe(s.node) for s in here)),
        gpu_count=len({s.device for s in here}),
        gpu_milli=None if None in worths else sum(worth or 0 for worth in worths),
        gpu_model=models.pop() if len(models) == 1 else None,
        cpu_milli=row["cpu_milli"],
        memory_bytes=row["memory_bytes"],
        time_limit_s=row["time_limit_s"],
        restarts=restarts,
        held=held,
    )


def _held(here: Sequence[_Stay]) -> tuple[HeldGpus, ...]:
    kinds: dict[tuple[str | None, Share], list[int | None]] = {}
    for stay in here:
        kinds.setdefault((stay.model, stay.share), []).append(stay.milli)
    return tuple(
        HeldGpus(
            _safe(model),
            len(parts),
            None if None in parts else sum(part or 0 for part in parts),
            share,
        )
        for (model, share), parts in sorted(
            kinds.items(), key=lambda item: (item[0][0] or "", item[0][1])
        )
    )


def _safe(word: str | None) -> SafeText | None:
    return None if word is None else safe(word)


def _when(at: int) -> datetime:
    return datetime.fromtimestamp(at, UTC)
