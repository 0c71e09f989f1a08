"""Reading what `spans` lays over each other: stays, tenants, nodes and faults of a window."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from foundry_tui.store.history.measured import Measured
from foundry_tui.store.history.recorder import UNKNOWN_RUN
from foundry_tui.store.history.values import maybe, text
from foundry_tui.store.history.window.spans import Kind, Rest, Spans, Stay
from foundry_tui.store.history.window.sweep import Ints, Track

_FOREVER = 1 << 40
"""Later than any time."""

CORE_MILLI = 1000
MEMORY_BYTES = 1 << 30
"""A node with less than a core or less than this memory left is used up: no run of any use starts
there, however many of its GPUs are idle."""

CHUNK_ROWS = 50_000
"""Rows that are in memory as tuples at once."""

_SOURCES = """
SELECT s.id, coalesce(s.seen, 0),
  EXISTS (SELECT 1 FROM source_state x WHERE x.source = s.id AND x.until IS NULL)
FROM source s
"""

_STAYS = """
SELECT d.id, s.name, d.node, d.idx, d.uuid, d.model, d.minor, d.since, d.until, d.source
FROM device d JOIN source s ON s.id = d.source
WHERE d.since < :end AND (d.until IS NULL OR d.until > :start)
"""

_BY_DEVICE = """
SELECT x.gpu, x.since, x.until, {value} FROM {table} x
WHERE x.until > :start AND x.since < :end AND {which}
UNION ALL
SELECT x.gpu, x.since, s.seen + 1, {value} FROM {table} x
JOIN device d ON d.id = x.gpu JOIN source s ON s.id = d.source
WHERE x.until IS NULL AND x.since < :end AND s.seen + 1 > :start AND {which}
"""
"""Without a join and an order for the many that have ended, which would take half of the time."""

_STATES = f"""
SELECT x.node, x.since, coalesce(x.until, s.seen + 1),
  CASE x.state WHEN 'down' THEN {Rest.DOWN:d} WHEN 'maintenance' THEN {Rest.MAINT:d}
    WHEN 'drained' THEN {Rest.DRAINED:d} WHEN 'draining' THEN {Rest.DRAINED:d}
    WHEN 'unknown' THEN {Rest.UNKNOWN:d} ELSE {Rest.IDLE:d} END,
  coalesce(x.cpu_milli, -1), coalesce(x.memory_bytes, -1)
FROM node_state x JOIN node n ON n.id = x.node JOIN source s ON s.id = n.source
WHERE x.since < :end AND coalesce(x.until, s.seen + 1) > :start
ORDER BY x.node, x.since
"""

_FACTS = """
SELECT x.node, x.since, x.gpu_model, x.queues, coalesce(x.cpu_milli, -1),
  coalesce(x.memory_bytes, -1)
FROM node_facts x ORDER BY x.node, x.since
"""


def load(found: Measured, start: int, end: int) -> Spans:
    """What was true in `start <= t < end`.

    A GPU whose source is silent stays in the estate until its source tells otherwise, or is not
    asked any more; nothing else is concluded from the silence. After the last look nothing is.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    window = {"start": start, "end": end}
    stays, node = _stays(found, window)
    facts, kinds, track = _facts(found, window)

    def devices(name: str, value: str = "1", which: str = "1") -> Track:
        query = _BY_DEVICE.format(table=name, value=value, which=which)
        rows = table(found.db, query, window, 4)
        return Track(*rows[np.lexsort((rows[:, 1], rows[:, 0]))].T)

    return Spans(
        start=start,
        end=end,
        stays=stays,
        kinds=kinds,
        _node=node,
        _present=devices("presence"),
        _held=devices("allocation", "x.milli", f"x.run <> {UNKNOWN_RUN} AND x.milli IS NOT NULL"),
        _untold=devices("allocation", which=f"(x.run = {UNKNOWN_RUN} OR x.milli IS NULL)"),
        _lost=devices("fault", which="x.kind IN ('lost', 'unresponsive')"),
        _nodes=_states(table(found.db, _STATES, window, 6), facts),
        _kinds=track,
    )


def _stays(found: Measured, window: Mapping[str, int]) -> tuple[list[Stay], Ints]:
    """The stays in a window, in their order, and the number of each one's node, -1 without."""
    ends = _sources(found)
    nodes = {
        (source, name): number
        for number, source, name in found.db.execute("SELECT id, source, name FROM node")
    }
    made: list[tuple[Stay, int]] = []
    for gpu, name, node, index, uuid, model, minor, since, until, source in found.db.execute(
        _STAYS, window
    ):
        last = ends[source] if until is None else until
        if last > max(since, window["start"]):
            stay = Stay(
                gpu=gpu, source=text(name), node=text(node), index=index, uuid=maybe(uuid),
                model=maybe(model), minor=minor, since=since, until=last,
            )  # fmt: skip
            made.append((stay, nodes.get((source, node), -1)))
    made.sort(key=lambda m: (m[0].source, m[0].node, m[0].index, m[0].since, m[0].gpu))
    return [stay for stay, _ in made], np.array([number for _, number in made], np.int64)


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the nodes have in all, from `since` on; the first ones also tell of the time before."""

    node: Ints
    since: Ints
    cpu_milli: Ints
    memory_bytes: Ints

    def split(self, states: Ints) -> Ints:
        """Rows of states, cut where a node was made another one meanwhile."""
        key = states[:, 0] * _FOREVER + states[:, 1]
        place = np.searchsorted(key, self.node * _FOREVER + self.since, "left") - 1
        within = (place >= 0) & (self.node == states[place, 0]) if len(key) else place >= 0
        within[within] &= self.since[within] < states[place[within], 2]
        more = states[place[within]]
        more[:, 1] = self.since[within]
        rows = np.concatenate([states, more])
        rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
        same = rows[1:, 0] == rows[:-1, 0]
        rows[:-1, 2][same] = np.minimum(rows[:-1, 2], rows[1:, 1])[same]
        return rows

    def at(self, node: Ints, since: Ints) -> tuple[Ints, Ints]:
        """CPU and memory of nodes at a time, -1 where they are not known."""
        if not len(self.node):
            return np.full(len(node), -1, np.int64), np.full(len(node), -1, np.int64)
        key = self.node * _FOREVER + self.since
        place = np.searchsorted(key, node * _FOREVER + since, "right") - 1
        place = np.maximum(place, np.searchsorted(self.node, node, "left"))
        place = np.minimum(place, len(self.node) - 1)
        known = self.node[place] == node
        return (
            np.where(known, self.cpu_milli[place], -1),
            np.where(known, self.memory_bytes[place], -1),
        )


def _facts(found: Measured, window: Mapping[str, int]) -> tuple[_Facts, list[Kind], Track]:
    """What the nodes were; each fact holds until the next, as does the first one before it."""
    kinds: dict[Kind, int] = {Kind(): 0}
    rows: list[tuple[int, int, int, int, int]] = []
    for node, since, model, queues, cpu, memory in found.db.execute(_FACTS):
        pools = dict.fromkeys(text(one) for one in json.loads(queues))
        kind = Kind(gpu_model=maybe(model), queues=tuple(pools))
        rows.append((node, since, kinds.setdefault(kind, len(kinds)), cpu, memory))
    nodes, since, kind_, cpu, memory = np.array(rows, np.int64).reshape(-1, 5).T
    first = np.diff(nodes, prepend=-1) != 0
    begins = np.where(first, np.minimum(since, window["start"]), since)
    ends = np.where(np.append(first[1:], True), _FOREVER, np.append(since[1:], 0))
    return (
        _Facts(nodes, since, cpu, memory),
        list(kinds),
        Track(nodes, begins, ends, kind_),
    )


def _states(rows: Ints, facts: _Facts) -> Track:
    """What is free of the nodes; of those in service it is judged whether a run could start."""
    node, since, until, code, cpu, memory = facts.split(rows).T
    cpus, total = facts.at(node, since)
    by_cpu, by_memory = (cpus >= 0) & (cpu >= 0), (total >= 0) & (memory >= 0)
    used_up = (by_cpu & (cpus - cpu < CORE_MILLI)) | (by_memory & (total - memory < MEMORY_BYTES))
    judged = np.where(used_up, Rest.STRANDED, Rest.IDLE)
    judged[~(by_cpu | by_memory)] = Rest.UNJUDGED
    code = np.where(code == Rest.IDLE, judged, code)
    if not len(node):
        return Track(node, since, until, code)
    # a node is written down whenever it gives anything away: most of these rows say nothing new
    new = np.ones(len(node), bool)
    new[1:] = (node[1:] != node[:-1]) | (since[1:] != until[:-1]) | (code[1:] != code[:-1])
    begins = np.flatnonzero(new)
    return Track(node[begins], since[begins], until[np.append(begins[1:], len(node)) - 1],
                  code[begins])  # fmt: skip


def _sources(found: Measured) -> dict[int, int]:
    """Until when the GPUs of each source are in the estate as far as is known, by its number.

    Up to the last look of all, while the source is asked: one that does not answer has not taken
    its GPUs away. One that is not asked any more ends with its last answer.
    """
    last = found.meta.get("last", 0)
    return {
        number: (last if asked else seen) + 1 for number, seen, asked in found.db.execute(_SOURCES)
    }


def table(db: sqlite3.Connection, query: str, values: Mapping[str, int], width: int) -> Ints:
    """The rows of a query, of which every column is a whole number and none is empty."""
    return np.concatenate([np.empty((0, width), np.int64), *_chunks(db.execute(query, values))])


def _chunks(cursor: sqlite3.Cursor) -> Iterator[Ints]:
    while rows := cursor.fetchmany(CHUNK_ROWS):
        yield np.array(rows, np.int64)
