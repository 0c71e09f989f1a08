"""A history of any size, written straight into its tables: nodes of 8 GPUs and the tries on them.

It is the same for the same numbers. Hours are kept for the whole time and nothing finer, as at a
site that looks back a month. On every fourth node a try holds 1, 2, 4 or 8 GPUs; on every sixteenth
two tries share each GPU.

python -m benchmarks.reports_history FOLDER [GPUS HOURS TRIES]
"""

from __future__ import annotations

import argparse
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from foundry_tui.store.history import place, schema

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

SOURCE = "bench"
MODEL = "NVIDIA H200"
START = 1_790_812_800
"""2026-10-01 00:00 UTC: a month that is over."""

GPUS_OF_A_NODE = 8
SIZES = (1, 2, 4, 8)
SHARED = 16
"""Every so many nodes one, on which halves of GPUs are held."""

SEED = 7
EDGE_S = 6 * 3600
"""Seconds by which tries begin before the time and end after it."""

GAP = 0.1
"""Mean time between two tries on a GPU, in mean times of a try."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large the site is, for how long, and how many tries ran on it (about)."""

    gpus: int = 10_000
    hours: int = 720
    tries: int = 1_000_000

    @property
    def nodes(self) -> int:
        """Nodes, the last one of which may have fewer GPUs in use than it has."""
        return -(-self.gpus // GPUS_OF_A_NODE)

    @property
    def end(self) -> int:
        """The end of the time; it begins at START."""
        return START + self.hours * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """Who held what when, one after the other on each lane of GPUs; arrays of one length.

    Try `n` is the run `bench/n`, on `count` GPUs from `first` of its node, `milli` thousandths of
    each. In the order of their begins.
    """

    node: Ints
    first: Ints
    count: Ints
    milli: Ints
    start: Ints
    end: Ints


def node_name(node: int) -> str:
    """The name of a node by its number, which begins with 0."""
    return f"gpu{node + 1:05}"


def tries(size: Size) -> Tries:
    """The tries of a site."""
    lanes = [lane for node in range(size.nodes) for lane in _lanes(node)]
    table = np.array(lanes, dtype=np.int64)
    each = max(1, size.tries // len(table))
    chance = np.random.default_rng(SEED)
    pieces = chance.exponential(size=(len(table), 2 * each))
    pieces[:, ::2] *= GAP
    times = np.cumsum(pieces, axis=1)
    times *= (size.end - START + 2 * EDGE_S) / times[:, -1:]
    cuts = times.astype(np.int64) + START - EDGE_S
    start, end = cuts[:, ::2].ravel(), cuts[:, 1::2].ravel()
    lane = np.repeat(np.arange(len(table)), each)
    order = np.lexsort((lane, start))
    order = order[end[order] > start[order]]
    node, first, count, milli = table[lane[order]].T
    return Tries(
        node=node, first=first, count=count, milli=milli, start=start[order], end=end[order]
    )


def _lanes(node: int) -> Iterator[tuple[int, int, int, int]]:
    """Node, first GPU, GPUs and thousandths of what is held by one try after the other."""
    if node % SHARED == SHARED - 1:
        yield from ((node, gpu, 1, 500) for gpu in range(GPUS_OF_A_NODE) for _ in range(2))
        return
    count = SIZES[node % len(SIZES)]
    yield from ((node, first, count, 1000) for first in range(0, GPUS_OF_A_NODE, count))


_HOURS = """
WITH RECURSIVE h(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM h WHERE n < :hours),
  g(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM g WHERE id < :gpus),
  x AS (SELECT n, id, (n * 7919 + id * 104729) % 101 AS util FROM h CROSS JOIN g
        WHERE (n * 31 + id * 17) % 97 > 0)
INSERT INTO hour
SELECT :start + n * 3600, id, 60, 60, util * 600, util, (util = 0) * 60,
  (util < 10) * (60 - util * 6), util * 1300 + id % 7, 60, 60 * (90 + util * 6), 35 + util / 3
FROM x
"""
"""An hour of each GPU, now and then one without: whole per cent of utilisation for an hour."""


def write(folder: Path, size: Size, held: Tries) -> None:
    """Write the history of a site into a folder that is not there yet."""
    file = place.prepare(folder, shared=False)
    db = place.to_write(file, network=False)
    schema.migrate(db, file)
    later = db.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    ).fetchall()
    for name, _ in later:
        db.execute(f'DROP INDEX "{name}"')
    db.execute("BEGIN")
    _site(db, size)
    _runs(db, held)
    db.execute(_HOURS, {"hours": size.hours, "gpus": size.nodes * GPUS_OF_A_NODE, "start": START})
    for _, sql in later:  # made of what is there, which is quicker than row by row
        db.execute(sql)
    db.execute("COMMIT")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    db.close()


def _site(db: sqlite3.Connection, size: Size) -> None:
    """The source, its nodes and their GPUs; every fiftieth node was drained for a day."""
    marks = ("last", "rolled_900", "rolled_3600", "raw_from", "quarter_from")
    meta = {"step_s": 60, "idle_milli": 10, **dict.fromkeys(marks, size.end)}
    _insert(db, "meta", list(meta.items()))
    _insert(db, "source", [(1, SOURCE, "slurm", size.end)])
    _insert(db, "source_state", [(1, 1, "ok", None, START, None)])
    names = [node_name(node) for node in range(size.nodes)]
    _insert(db, "node", [(node, 1, name) for node, name in enumerate(names, 1)])
    memory = 2 << 40
    facts = (MODEL, GPUS_OF_A_NODE, 128_000, memory, '["ib"]', '["gpu"]', START, None)
    _insert(db, "node_facts", [(n, n, *facts) for n in range(1, size.nodes + 1)])
    busy = ("mixed", None, None, 6000, 96_000, memory // 2)
    away = ("drained", "bad fan", START, 0, 0, 0)
    states = [
        (node, *state, since, until)
        for node in range(1, size.nodes + 1)
        for state, since, until in (
            [(busy, START, START + 3600), (away, START + 3600, START + 25 * 3600),
             (busy, START + 25 * 3600, None)]
            if node % 50 == 0 and size.hours > 25
            else [(busy, START, None)]
        )
    ]  # fmt: skip
    _insert(db, "node_state", [(number, *row) for number, row in enumerate(states, 1)])
    gpus = [(node, index) for node in range(size.nodes) for index in range(GPUS_OF_A_NODE)]
    _insert(
        db,
        "device",
        [
            (number, 1, names[node], index, f"GPU-{number:08x}", MODEL, index, 143_771, START, None)
            for number, (node, index) in enumerate(gpus, 1)
        ],
    )
    _insert(db, "presence", [(n, n, START, None) for n in range(1, len(gpus) + 1)])


def _runs(db: sqlite3.Connection, held: Tries) -> None:
    """The runs, and which GPUs they held."""
    rows = zip(*(column.tolist() for column in (held.count, held.start)), strict=True)
    _insert(
        db,
        "run",
        (
            (n, f"{SOURCE}/{n}", 1, str(n), "slurm", "train", "ada", "ml", "gpu", "normal", MODEL,
             count, None, 1, 8000 * count, 1 << 34, 86_400, start - 60, start)
            for n, (count, start) in enumerate(rows, 1)
        ),
    )  # fmt: skip
    owner = np.repeat(np.arange(len(held.node)), held.count)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(held.count) - held.count, held.count)
    gpu = held.node[owner] * GPUS_OF_A_NODE + held.first[owner] + within + 1
    columns = (gpu, owner + 1, held.milli[owner], held.start[owner], held.end[owner])
    share = {1000: "whole", 500: "fraction"}
    _insert(
        db,
        "allocation",
        (
            (number, device, run, milli, share[milli], 0, start, end)
            for number, (device, run, milli, start, end) in enumerate(
                zip(*(column.tolist() for column in columns), strict=True), 1
            )
        ),
    )


def _insert(
    db: sqlite3.Connection,
    table: str,
    rows: Sequence[tuple[object, ...]] | Iterator[tuple[object, ...]],
) -> None:
    rows = iter(rows)
    first = next(rows)
    db.executemany(
        f"INSERT OR REPLACE INTO {table} VALUES ({', '.join('?' * len(first))})",
        chain([first], rows),
    )


def main() -> None:
    """Write one and tell its size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    for name in ("gpus", "hours", "tries"):
        parser.add_argument(name, type=int, nargs="?", default=getattr(Size(), name))
    asked = parser.parse_args()
    size = Size(asked.gpus, asked.hours, asked.tries)
    begun = time.process_time()
    held = tries(size)
    write(asked.folder, size, held)
    file = asked.folder / place.FILE
    print(
        f"{len(held.node)} tries, {int(held.count.sum())} GPUs held, "
        f"{file.stat().st_size / 1e6:.0f} MB, {time.process_time() - begun:.1f} s CPU: {file}"
    )


if __name__ == "__main__":
    main()
