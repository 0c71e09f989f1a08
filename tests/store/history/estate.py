"""A small estate for the tests of the history, and a straightforward recomputation of roll-ups."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from foundry_tui.estate.gpu import Gpu, Share, Tenant
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.run import Placement, Request, Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.estate.text import safe
from foundry_tui.store.history import History, Keep, Past

START = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
MIB = 1 << 20


def minute(number: int, second: int = 4) -> datetime:
    """The time a few seconds after the end of window `number`."""
    return START + timedelta(minutes=number, seconds=second)


def far(_: object = None) -> datetime:
    """A clock that is never behind."""
    return START + timedelta(days=3650)


def opened(folder: Path, **kw: object) -> History:
    options: dict[str, object] = {"clock": far, **kw}
    return History.open(folder, **options)  # type: ignore[arg-type]


def past(folder: Path) -> Past:
    found = Past.open(folder)
    assert found is not None
    return found


def gpu(
    index: int = 0,
    util: float | None = None,
    *,
    at: datetime,
    node: str = "n1",
    tenants: Sequence[Tenant] | None = (),
    uuid: str | None = "GPU-0",
    util_max: float | None = None,
    mem: int | None = 1000,
    power: float | None = 200.0,
    source: str = "alpha",
) -> Gpu:
    none = util is None
    return Gpu(
        node=node,
        index=index,
        source=source,
        model="H200",
        uuid=f"{uuid}-{node}-{index}" if uuid else None,
        minor=index,
        tenants=None if tenants is None else tuple(tenants),
        util_pct=util,
        util_max_pct=util_max,
        mem_used_bytes=None if none or mem is None else mem * MIB,
        mem_total_bytes=None if none else 143_771 * MIB,
        power_w=None if none else power,
        temp_c=None if none else 40.0,
        read_at=at.replace(second=0) if at.second else at,
    )


def node(name: str = "n1", state: NodeState = NodeState.MIXED, *, at: datetime) -> Node:
    return Node(
        name=name,
        source="alpha",
        state=state,
        gpu_model="H200",
        gpu_count=2,
        gpu_milli_allocated=1000,
        cpu_milli=64_000,
        cpu_milli_allocated=8_000,
        memory_bytes=512 << 30,
        memory_bytes_allocated=64 << 30,
        features=("ib", "nvme"),
        queues=("gpu",),
        reason=safe("bad fan") if state is NodeState.DRAINED else None,
        read_at=at,
    )


def run(
    native: str = "17",
    *,
    at: datetime,
    state: RunState = RunState.RUNNING,
    started: datetime | None = None,
    ended: datetime | None = None,
) -> Run:
    return Run(
        id=f"alpha/{native}",
        native_id=native,
        source="alpha",
        scheduler="slurm",
        name=safe("train"),
        state=state,
        user="ada",
        account="ml",
        queue="gpu",
        qos="normal",
        request=Request(gpu_count=1, gpu_milli=1000, cpu_milli=8000, memory_bytes=1 << 30),
        placement=(Placement("n1", (0,)),),
        submitted_at=START - timedelta(hours=1),
        started_at=started,
        ended_at=ended,
        read_at=at,
    )


def queue(at: datetime, waiting: int = 3) -> Queue:
    return Queue(
        name="gpu",
        source="alpha",
        kind="partition",
        total_gpu_milli=2000,
        allocated_gpu_milli=1000,
        requested_gpu_milli=3000,
        running=1,
        waiting=waiting,
        oldest_wait_s=(at - START).total_seconds() + 600,
        accounts=("ml", "ops"),
        read_at=at,
    )


def snapshot(
    at: datetime,
    gpus: Iterable[Gpu] = (),
    *,
    nodes: Iterable[Node] = (),
    runs: Iterable[Run] = (),
    queues: Iterable[Queue] = (),
    state: SourceState = SourceState.OK,
    reason: str | None = None,
) -> Snapshot:
    source = Source(name="alpha", kind="slurm", state=state, read_at=at, reason=reason)
    return Snapshot(
        generated_at=at,
        sources=(source,),
        nodes=tuple(nodes),
        gpus=tuple(gpus),
        queues=tuple(queues),
        runs=tuple(runs),
    )


WHOLE = (Tenant("alpha/17", 1000, Share.WHOLE),)

Levels = Mapping[int, Mapping[int, float | None]]
"""By window and GPU index the utilisation, None for a missing sample."""


def record_levels(history: History, levels: Levels) -> None:
    """One look per window with these utilisations; a window that is not there has no look."""
    for number in sorted(levels):
        at = minute(number)
        gpus = [gpu(i, u, at=at, tenants=WHOLE) for i, u in levels[number].items()]
        history.record(snapshot(at, gpus, nodes=[node(at=at)], runs=[run(at=at)]))


def recomputed(
    rows: Iterable[tuple[int, ...]], stays: Mapping[int, tuple[int, int | None]], period: int
) -> dict[tuple[int, int], tuple[int | None, ...]]:
    """Roll-ups of raw rows by loops: what the statements have to give."""
    found: dict[tuple[int, int], list[tuple[int, ...]]] = {}
    for row in rows:
        end = -(-row[0] // period) * period
        found.setdefault((end, row[1]), []).append(row)
    result: dict[tuple[int, int], tuple[int | None, ...]] = {}
    for (end, number), group in found.items():
        since, until = stays[number]
        windows = range(end - period + 60, end + 1, 60)
        expected = sum(since < w and (until is None or w <= until) for w in windows)
        utils = [r[2] for r in group if r[2] is not None]
        tops = [r[3] if r[3] is not None else -(-r[2] // 10) for r in group if r[2] is not None]
        high = [r[3] * 10 if r[3] is not None else r[2] for r in group if r[2] is not None]
        powers = [r[5] for r in group if r[5] is not None]
        result[end, number] = (
            expected,
            len(utils),
            sum(utils),
            max(tops, default=None),
            sum(h == 0 for h in high),
            sum(h <= 10 for h in high),
            max((r[4] for r in group if r[4] is not None), default=None),
            len(powers),
            sum(powers),
            max((r[6] for r in group if r[6] is not None), default=None),
        )
    return result


def tables(folder: Path, query: str) -> list[tuple[Any, ...]]:
    """Rows of the file itself."""
    db = sqlite3.connect(folder / "history.sqlite")
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


def rolled(folder: Path, table: str) -> dict[tuple[int, int], tuple[int | None, ...]]:
    return {(row[0], row[1]): row[2:] for row in tables(folder, f"SELECT * FROM {table}")}


def stays(folder: Path) -> dict[int, tuple[int, int | None]]:
    return {
        row[0]: (row[1], row[2]) for row in tables(folder, "SELECT id, since, until FROM device")
    }


Clock = Callable[[], datetime]
KEEP_LITTLE = Keep(raw_hours=1, quarter_days=1, hourly_days=2)
