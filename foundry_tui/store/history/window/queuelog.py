"""How the queues stood in a time, and what their runs held of which GPU, in columns of numbers.

A sample holds until the next one: queues are written down only when they change. Where nobody
looked there is no sample, so that nothing is known of that time.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundry_tui.store.history.past import Past
from foundry_tui.store.history.values import QUEUE_FACTS, maybe, text

Ints = NDArray[np.int64]

UNKNOWN = -1
"""Stands for an amount that nobody told."""

CHUNK_ROWS = 50_000
"""Rows that are in memory as tuples at once."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a queue was in `since <= t < until`: the fields that are changed by hand only."""

    since: int
    until: int
    told: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSamples:
    """One queue in a window. The arrays are of one length, in the order of time, apart in time.

    Amounts are thousandths of GPUs, `UNKNOWN` where they were not told; times are unix seconds.
    """

    source: str
    kind: str
    name: str
    facts: Sequence[Facts]
    since: Ints
    until: Ints
    allocated: Ints
    requested: Ints
    fair_share: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueHoldings:
    """Stretches in which a run of a queue held `milli` thousandths of a device, all of one length.

    `queue` is the place in `names`, which are (source, queue); `model` and `pools` are by device.
    """

    names: Sequence[tuple[str, str]]
    queue: Ints
    device: Ints
    since: Ints
    until: Ints
    milli: Ints
    model: Mapping[int, str | None]
    pools: Mapping[int, tuple[str, ...]]


_SAMPLES = """
SELECT x.queue, max(x.since, :start), min(coalesce(x.until, s.seen + 1), :end),
  coalesce(x.allocated_gpu_milli, -1), coalesce(x.requested_gpu_milli, -1),
  coalesce(x.fair_share_gpu_milli, -1)
FROM queue_sample x JOIN queue q ON q.id = x.queue JOIN source s ON s.id = q.source
WHERE x.since < :end AND (x.until > :start OR (x.until IS NULL AND s.seen + 1 > :start))
ORDER BY x.queue, x.since
"""

_FACTS = """
SELECT x.queue, x.since, coalesce(x.until, s.seen + 1), x.facts
FROM queue_facts x JOIN queue q ON q.id = x.queue JOIN source s ON s.id = q.source
WHERE x.since < :end AND (x.until > :start OR (x.until IS NULL AND s.seen + 1 > :start))
ORDER BY x.queue, x.since
"""

_HELD = """
SELECT x.run, x.gpu, max(x.since, :start), min(coalesce(x.until, s.seen + 1), :end), x.milli
FROM allocation x JOIN device d ON d.id = x.gpu JOIN source s ON s.id = d.source
WHERE x.milli IS NOT NULL AND x.since < :end
  AND (x.until > :start OR (x.until IS NULL AND s.seen + 1 > :start))
ORDER BY x.id
"""

_POOLS = """
SELECT s.name, n.name, x.queues FROM node_facts x JOIN node n ON n.id = x.node
JOIN source s ON s.id = n.source WHERE x.since < :end ORDER BY x.since, x.id
"""


def queue_samples(past: Past, start: int, end: int) -> list[QueueSamples]:
    """Every queue that was seen in `start <= t < end`, by source, kind and name.

    Raises:
        HistoryError: the history cannot be read.
    """
    with past.reading() as found:
        if found is None:
            return []
        window = {"start": start, "end": end}
        facts: dict[int, list[Facts]] = {}
        for queue, since, until, told in found.db.execute(_FACTS, window):
            facts.setdefault(queue, []).append(Facts(since, until, _facts(told)))
        rows = _table(found.db, _SAMPLES, window, 6)
        numbers = found.db.execute(
            "SELECT q.id, s.name, q.kind, q.name FROM queue q JOIN source s ON s.id = q.source "
            "ORDER BY s.name, q.kind, q.name, q.id"
        ).fetchall()
    made = []
    for number, source, kind, name in numbers:
        if number not in facts:
            continue
        low, high = np.searchsorted(rows[:, 0], [number, number + 1])
        mine = rows[low:high]
        made.append(
            QueueSamples(
                source=source,
                kind=text(kind),
                name=text(name),
                facts=tuple(facts[number]),
                since=mine[:, 1],
                until=mine[:, 2],
                allocated=mine[:, 3],
                requested=mine[:, 4],
                fair_share=mine[:, 5],
            )
        )
    return made


def queue_holdings(past: Past, start: int, end: int) -> QueueHoldings:
    """What the runs of each queue held in `start <= t < end`; of shares nobody told, nothing.

    A run that may start in several queues counts for the first one, in which it runs.

    Raises:
        HistoryError: the history cannot be read.
    """
    names: dict[tuple[str, str], int] = {}
    with past.reading() as found:
        if found is None:
            rows, code = np.empty((0, 5), np.int64), np.empty(0, np.int64)
            return _holdings(names, rows, code, [], {})
        window = {"start": start, "end": end}
        (most,) = found.db.execute("SELECT coalesce(max(id), 0) FROM run").fetchone()
        code = np.full(most + 1, -1, np.int64)
        for number, source, queue in found.db.execute(
            "SELECT r.id, s.name, r.queue FROM run r JOIN source s ON s.id = r.source"
        ):
            if queue is not None:
                first = text(queue.partition(",")[0])
                code[number] = names.setdefault((source, first), len(names))
        rows = _table(found.db, _HELD, window, 5)
        devices = found.db.execute(
            "SELECT d.id, s.name, d.node, d.model FROM device d JOIN source s ON s.id = d.source"
        ).fetchall()
        pools = {
            (source, node): tuple(text(one) for one in json.loads(queues))
            for source, node, queues in found.db.execute(_POOLS, window)
        }
    return _holdings(names, rows, code, devices, pools)


def _holdings(
    names: Mapping[tuple[str, str], int],
    rows: Ints,
    code: Ints,
    devices: Sequence[tuple[int, str, str, str | None]],
    pools: Mapping[tuple[str, str], tuple[str, ...]],
) -> QueueHoldings:
    queue = code[rows[:, 0]] if len(rows) else np.empty(0, np.int64)
    rows, queue = rows[queue >= 0], queue[queue >= 0]
    return QueueHoldings(
        names=tuple(names),
        queue=queue,
        device=rows[:, 1],
        since=rows[:, 2],
        until=rows[:, 3],
        milli=rows[:, 4],
        model={number: maybe(model) for number, _, _, model in devices},
        pools={number: pools.get((source, node), ()) for number, source, node, _ in devices},
    )


def _facts(told: str) -> dict[str, Any]:
    found = dict(zip(QUEUE_FACTS, json.loads(told), strict=True))
    found["parent"] = maybe(found["parent"])
    return found


def _table(db: sqlite3.Connection, query: str, values: Mapping[str, int], width: int) -> Ints:
    """The rows of a query as whole numbers."""
    chunks = list(_chunks(db.execute(query, values)))
    return np.concatenate([np.empty((0, width), np.int64), *chunks])


def _chunks(cursor: sqlite3.Cursor) -> Iterator[Ints]:
    while rows := cursor.fetchmany(CHUNK_ROWS):
        yield np.array(rows, np.int64)
