"""The queues of an overview: who runs and waits there, and a bar of what they use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from foundry_tui.estate.queue import Queue
from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.presenters import units
from foundry_tui.presenters.bars import bar
from foundry_tui.presenters.queueshare import key_of, parts
from foundry_tui.presenters.rows import GridColumn, Rows, queue_rows
from foundry_tui.presenters.sharebars import share_bar
from foundry_tui.presenters.table import Column

BAR_CELLS = 16


def queue_bar_rows(
    queues: Sequence[Queue], runs: Iterable[Run], *, ascii_only: bool = False
) -> Rows[Queue]:
    """The table of queues with a bar of use against the GPUs in reach.

    Queues that share a cluster by quota get the bar of their part in it.
    """
    plain = queue_rows(queues)
    starts, found = _starts(runs), parts(queues)
    tree = plain.columns[0]

    def start(queue: Queue, _now: datetime) -> datetime | None:
        return starts.get((queue.source, queue.name)) if queue.waiting else None

    def use(queue: Queue) -> SafeText:
        part = found.get(key_of(queue))
        if part is None:
            return bar(queue.allocated_gpu_milli, _whole(queue), BAR_CELLS, ascii_only=ascii_only)
        return share_bar(queue, part, BAR_CELLS, ascii_only=ascii_only)

    def cells(queue: Queue, now: datetime) -> tuple[SafeText, ...]:
        whole = units.gpus(_whole(queue))
        return (
            plain.cells(queue, now)[0],
            units.number(queue.running),
            units.number(queue.waiting),
            SafeText(f"{units.gpus(queue.allocated_gpu_milli)}/{whole}"),
            use(queue),
            units.duration(queue.oldest_wait_s) if queue.waiting else SafeText(""),
            _start_text(queue, start(queue, now), now),
            safe(queue.source),
        )

    columns: tuple[GridColumn[Queue], ...] = (
        tree,
        GridColumn(id="run", column=Column("RUN", "right"), order=lambda q, _: q.running),
        GridColumn(id="wait", column=Column("WAIT", "right"), order=lambda q, _: q.waiting),
        GridColumn(
            id="gpus",
            column=Column("GPUS/OF", "right"),
            order=lambda q, _: q.allocated_gpu_milli,
            typical=7,
        ),
        GridColumn(id="use", column=Column("USE", priority=4), order=lambda q, _: _share(q)),
        GridColumn(
            id="oldest",
            column=Column("OLDEST", "right", priority=1),
            order=lambda q, _: q.oldest_wait_s,
        ),
        GridColumn(id="start", column=Column("START", priority=2), order=start, typical=9),
        GridColumn(id="source", column=Column("SOURCE", priority=5), order=lambda q, _: q.source),
    )
    return replace(plain, columns=columns, cells=cells)


def _whole(queue: Queue) -> int | None:
    return queue.total_gpu_milli if queue.quota_gpu_milli is None else queue.quota_gpu_milli


def _share(queue: Queue) -> float | None:
    whole = _whole(queue)
    if not whole or queue.allocated_gpu_milli is None:
        return None
    return queue.allocated_gpu_milli / whole


def _starts(runs: Iterable[Run]) -> dict[tuple[str, str], datetime]:
    """Queue -> the earliest start that its scheduler expects of a waiting run."""
    found: dict[tuple[str, str], datetime] = {}
    for run in runs:
        start = run.estimated_start_at
        if start is not None and run.state is RunState.PENDING:
            for name in run.queues:
                found[run.source, name] = min(start, found.get((run.source, name), start))
    return found


def _start_text(queue: Queue, start: datetime | None, now: datetime) -> SafeText:
    if not queue.waiting:
        return SafeText("")
    if start is None:
        return units.UNKNOWN
    left_s = (start - now).total_seconds()
    return SafeText(f"in {units.duration(left_s)}" if left_s > 0 else "due")
