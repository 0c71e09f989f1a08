"""Bars of use against quota, and the lines of queues that carry them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from foundry_tui.estate.queue import Queue
from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.text import SafeText, cells, pad, safe
from foundry_tui.presenters import units
from foundry_tui.presenters.table import GAP, Column, fit

FULL, EMPTY, OVER = "█", "░", "+"
ASCII_FULL, ASCII_EMPTY = "#", "."

WIDEST_BAR = 24
NAME_CELLS = 24

COLUMNS = (
    Column("queue", min_width=8, stretch=True),
    Column("sched", priority=5),
    Column("run", "right", priority=2),
    Column("wait", "right"),
    Column("GPUs", "right"),
    Column("", min_width=6, priority=4, stretch=True),
    Column("oldest", "right", priority=1),
    Column("start", "right", priority=3),
)
BAR = 5
"""The place of the bar among `COLUMNS`."""


@dataclass(frozen=True, slots=True)
class QueueLine:
    """One queue as a line; `key` is `source/name`, `over` that it holds more than its quota."""

    key: str
    text: SafeText
    over: bool


def bar(used_milli: int | None, of_milli: int | None, width: int, *, ascii_only: bool) -> SafeText:
    """`width` cells of how much of an amount is used, the last one `+` where it is more.

    All is full only when everything is used, and none empty once anything is. Empty text when
    either amount is unknown: a bar at zero would say that nothing is used.
    """
    if used_milli is None or of_milli is None or width < 1:
        return SafeText("")
    full, empty = (ASCII_FULL, ASCII_EMPTY) if ascii_only else (FULL, EMPTY)
    if used_milli > of_milli:
        return SafeText(full * (width - 1) + OVER)
    blocks = width * used_milli // of_milli if of_milli else 0
    if used_milli > 0:
        blocks = max(1, blocks)
    return SafeText(full * blocks + empty * (width - blocks))


def queue_lines(
    queues: Sequence[Queue],
    runs: Sequence[Run],
    *,
    now: datetime,
    width: int,
    ascii_only: bool = False,
) -> tuple[SafeText, tuple[QueueLine, ...]]:
    """A head and a line per queue, in the order given, each in at most `width` cells.

    GPUs are `used/quota`; where no quota is known `used of all`, and the bar is against all GPUs
    that the queue reaches. The start is the earliest that a scheduler expects for a waiting run.
    """
    schedulers = {run.source: run.scheduler for run in runs}
    starts = _starts(runs)
    rows = [
        (
            safe(queue.name, max_cells=NAME_CELLS),
            safe(schedulers.get(queue.source, queue.source), max_cells=8),
            units.number(queue.running),
            units.number(queue.waiting),
            _amount(queue),
            SafeText(""),
            _oldest(queue),
            _start(queue, starts, now),
        )
        for queue in queues
    ]
    natural = [
        max(len(column.title), max((cells(row[n]) for row in rows), default=0))
        for n, column in enumerate(COLUMNS)
    ]
    natural[BAR] = WIDEST_BAR
    widths = fit(COLUMNS, natural, width)
    lines = []
    for queue, row in zip(queues, rows, strict=True):
        used, whole = queue.allocated_gpu_milli, _whole(queue)
        drawn = bar(used, whole, widths.get(BAR, 0), ascii_only=ascii_only)
        text = _line((*row[:BAR], drawn, *row[BAR + 1 :]), widths)
        lines.append(QueueLine(f"{queue.source}/{queue.name}", text, _over(queue)))
    return _line([SafeText(column.title) for column in COLUMNS], widths), tuple(lines)


def _line(row: Sequence[SafeText], widths: Mapping[int, int]) -> SafeText:
    shown = [pad(row[n], wide, COLUMNS[n].align) for n, wide in widths.items()]
    return SafeText((" " * GAP).join(shown).rstrip())


def _whole(queue: Queue) -> int | None:
    """What a queue's use is drawn against: its quota, else all GPUs that it reaches."""
    return queue.quota_gpu_milli if queue.quota_gpu_milli is not None else queue.total_gpu_milli


def _over(queue: Queue) -> bool:
    used, quota = queue.allocated_gpu_milli, queue.quota_gpu_milli
    return used is not None and quota is not None and used > quota


def _amount(queue: Queue) -> SafeText:
    used = units.gpus(queue.allocated_gpu_milli)
    if queue.quota_gpu_milli is not None:
        return SafeText(f"{used}/{units.gpus(queue.quota_gpu_milli)}")
    if queue.total_gpu_milli is not None:
        return SafeText(f"{used} of {units.gpus(queue.total_gpu_milli)}")
    return SafeText(f"{used}/{units.UNKNOWN}")


def _oldest(queue: Queue) -> SafeText:
    return units.duration(queue.oldest_wait_s) if queue.waiting != 0 else SafeText("-")


def _starts(runs: Iterable[Run]) -> dict[tuple[str, str], datetime]:
    """The earliest expected start of the waiting runs of each queue."""
    found: dict[tuple[str, str], datetime] = {}
    for run in runs:
        start = run.estimated_start_at
        if run.state is RunState.PENDING and start is not None:
            for name in run.queues:
                key = (run.source, name)
                found[key] = min(start, found.get(key, start))
    return found


def _start(queue: Queue, starts: Mapping[tuple[str, str], datetime], now: datetime) -> SafeText:
    if queue.waiting == 0:
        return SafeText("-")
    start = starts.get((queue.source, queue.name))
    if start is None:
        return units.UNKNOWN
    left = (start - now).total_seconds()
    return SafeText(f"in {units.duration(left)}") if left > 0 else SafeText("now due")
