"""Histories of any kind for the tests of what is read from them in bulk, and the slow truth.

A look says in a few words how the estate is; `truth` walks over every second of the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hypothesis import strategies as st

from foundry_tui.estate.gpu import Share, Tenant
from foundry_tui.estate.node import NodeState
from foundry_tui.estate.reading import Fault, FaultKind
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import SourceState
from foundry_tui.estate.text import safe
from foundry_tui.store.history import History
from foundry_tui.store.history.window.spans import Rest
from tests.store.history.estate import gpu, minute, node, opened, run, snapshot, tables

RUNS = ("1", "2", "3")
LOST = Fault(kind=FaultKind.LOST, words=safe("lost: the driver does not reach it"), grave=True)
HOT = Fault(kind=FaultKind.THROTTLED, words=safe("throttled: heat"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How two GPUs of node n1 and one of n2 stand, `gap` windows after the look before.

    `free_cores`, of `cores`, and `queues` are those of n1; `silent` sources tell nothing.
    """

    gap: int = 1
    silent: bool = False
    tenants: tuple[tuple[Tenant, ...] | None, ...] = ((), (), ())
    levels: tuple[float | None, ...] = (None, None, None)
    state: NodeState = NodeState.MIXED
    free_cores: int | None = 8
    cores: int | None = 64
    queues: tuple[str, ...] = ("gpu",)
    gpus: int = 2
    uuid: str | None = "GPU-A"
    fault: Fault | None = None


TENANTS: st.SearchStrategy[tuple[Tenant, ...] | None] = st.one_of(
    st.none(),
    st.just(()),
    st.sampled_from(RUNS).map(lambda n: (Tenant(f"alpha/{n}", 1000),)),
    st.sets(st.sampled_from(RUNS), min_size=1).map(
        lambda names: tuple(Tenant(f"alpha/{n}", 333, Share.FRACTION) for n in sorted(names))
    ),
    st.just(tuple(Tenant(f"alpha/{n}", 700, Share.FRACTION) for n in RUNS)),
)
LEVEL = st.one_of(st.none(), st.sampled_from([0.0, 0.5, 1.1, 50.0, 100.0]))
LOOKS = st.lists(
    st.builds(
        Look,
        gap=st.sampled_from([1, 1, 1, 2, 3, 4, 10]),
        silent=st.sampled_from([False, False, False, True]),
        tenants=st.tuples(TENANTS, TENANTS, TENANTS),
        levels=st.tuples(LEVEL, LEVEL, LEVEL),
        state=st.sampled_from(NodeState),
        free_cores=st.sampled_from([None, 0, 8]),
        cores=st.sampled_from([64, 64, 128, None]),
        queues=st.sampled_from([("gpu",), ("gpu", "long"), ()]),
        gpus=st.sampled_from([2, 2, 2, 1]),
        uuid=st.sampled_from(["GPU-A", "GPU-A", "GPU-B", None]),
        fault=st.sampled_from([None, None, LOST, HOT]),
    ),
    min_size=1,
    max_size=10,
)


def shown(look: Look, number: int) -> Snapshot:
    """The snapshot of a look."""
    at = minute(number)
    if look.silent:
        return snapshot(at, state=SourceState.DOWN, reason="timeout")
    places = [("n1", i) for i in range(look.gpus)] + [("n2", 0)]
    gpus = [
        gpu(index, level, at=at, node=name, tenants=tenants, uuid=look.uuid)
        for (name, index), level, tenants in zip(places, look.levels, look.tenants, strict=False)
    ]
    if look.fault is not None:
        gpus[0] = replace(gpus[0], faults=(look.fault,))
    cores = None if look.free_cores is None else 64_000 - 1000 * look.free_cores
    memory = None if cores is None or look.cores is None else 64 << 30
    first = replace(
        node("n1", look.state, at=at),
        cpu_milli=None if look.cores is None else 1000 * look.cores,
        cpu_milli_allocated=cores,
        memory_bytes_allocated=memory,
        queues=look.queues,
    )
    nodes = [first, replace(node("n2", at=at), gpu_count=1)]
    return snapshot(at, gpus, nodes=nodes, runs=[run(n, at=at) for n in RUNS])


def record(history: History, looks: Sequence[Look], first: int = 0) -> int:
    """Record looks; the number of the last window."""
    number = first
    for look in looks:
        number += look.gap
        history.record(shown(look, number))
    return number


def recorded(folder: Path, *looks: Look) -> int:
    """A history of these looks; the number of its last window."""
    history = opened(folder)
    number = record(history, looks)
    history.close()
    return number


@dataclass(frozen=True, slots=True)
class Second:
    """What a second of a GPU was: its partitions, what is held of it and what the rest is."""

    gpu: int
    at: int
    queues: tuple[str, ...]
    held_milli: int
    rest: Rest


@dataclass(frozen=True, slots=True)
class Rows:
    """The intervals of the file by table and owner: since, until, and what they tell."""

    told: Mapping[tuple[str, int], Sequence[tuple[int, int, tuple[object, ...]]]]

    def at(self, table: str, owner: int, at: int) -> list[tuple[object, ...]]:
        """What a table tells of a moment."""
        mine = self.told.get((table, owner), ())
        return [values for since, until, values in mine if since <= at < until]


TRACKS = {
    "presence": ("gpu", "1"),
    "allocation": ("gpu", "run, milli"),
    "fault": ("gpu", "kind"),
    "node_state": ("node", "state, cpu_milli"),
    "node_facts": ("node", "queues, coalesce(cpu_milli, -1)"),
}


def truth(folder: Path, start: int, end: int) -> Iterator[Second]:
    """Every second of every GPU, from the rows of the file one after the other."""
    asked = tables(folder, "SELECT source FROM source_state WHERE until IS NULL")
    [(seen,)] = tables(folder, "SELECT coalesce(seen, 0) FROM source")
    [(last,)] = tables(folder, "SELECT value FROM meta WHERE key = 'last'")
    nodes = {row[1]: row[0] for row in tables(folder, "SELECT id, name FROM node")}
    told: dict[tuple[str, int], list[tuple[int, int, tuple[object, ...]]]] = {}
    for table, (owner, columns) in TRACKS.items():
        query = f"SELECT {owner}, since, until, {columns} FROM {table} ORDER BY since"
        for number, since, until, *values in tables(folder, query):
            upto = seen + 1 if until is None else until
            told.setdefault((table, number), []).append((since, upto, tuple(values)))
    rows = Rows(told)
    for gpu_, name, since, until in tables(folder, "SELECT id, node, since, until FROM device"):
        upto = (last if asked else seen) + 1 if until is None else until
        node_ = nodes.get(name, 0)
        for at in range(max(since, start), min(upto, end)):
            yield Second(gpu_, at, _facts(rows, node_, at)[0], *_stood(rows, gpu_, node_, at))


def _facts(rows: Rows, node_: int, at: int) -> tuple[tuple[str, ...], int]:
    """Partitions and CPU that were told last, else those that were told first."""
    mine = rows.told.get(("node_facts", node_), ())
    if not mine:
        return (), -1
    before = [values for since, _, values in mine if since <= at]
    queues, cpu_milli = before[-1] if before else mine[0][2]
    return tuple(json.loads(str(queues))), int(str(cpu_milli))


def _stood(rows: Rows, gpu_: int, node_: int, at: int) -> tuple[int, Rest]:
    [(word, cpu)] = rows.at("node_state", node_, at) or [("unknown", None)]
    tenants = rows.at("allocation", gpu_, at)
    if not rows.at("presence", gpu_, at):
        return 0, Rest.UNKNOWN
    if word == "down":
        return 0, Rest.DOWN
    if any(run_ == 0 for run_, _ in tenants):
        return 0, Rest.UNKNOWN
    held = min(1000, sum(int(str(milli)) for _, milli in tenants))
    administrative: Mapping[object, Rest] = {
        "drained": Rest.DRAINED,
        "draining": Rest.DRAINED,
        "maintenance": Rest.MAINT,
        "unknown": Rest.UNKNOWN,
    }
    if word in administrative:
        return held, administrative[word]
    if ("lost",) in rows.at("fault", gpu_, at):
        return held, Rest.DOWN
    has = _facts(rows, node_, at)[1]
    if cpu is None or has < 0:
        return held, Rest.UNJUDGED
    return held, Rest.STRANDED if int(str(cpu)) >= has else Rest.IDLE
