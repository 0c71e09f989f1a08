"""A queue as a line and as a panel: what it has, what it may have, and who waits longest in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from foundry_tui.estate.queue import Queue
from foundry_tui.estate.run import Run
from foundry_tui.presenters import units
from foundry_tui.presenters.queueshare import share_sentence
from foundry_tui.presenters.runpanel import one_line
from foundry_tui.presenters.sharebars import share_panel
from foundry_tui.presenters.toned import Line, pairs
from foundry_tui.presenters.totals import waits

MOST_WAITS = 20
"""Waiting runs that the panel names; the screen Runs has all of them."""

NOBODY = "No run waits in it"


def queue_facts(queue: Queue) -> list[tuple[str, str]]:
    """What is known of a queue, each with its name."""
    facts = [
        ("kind", queue.kind),
        ("state", queue.state),
        ("running", units.number(queue.running)),
        ("waiting", units.number(queue.waiting)),
        ("allocated", f"{units.gpus(queue.allocated_gpu_milli)} GPUs"),
        ("quota", _gpus(queue.quota_gpu_milli)),
        ("limit", _gpus(queue.limit_gpu_milli)),
        ("fair share", _gpus(queue.fair_share_gpu_milli)),
        ("asked for", _gpus(queue.requested_gpu_milli)),
        ("time limit", units.duration(queue.time_limit_s) if queue.time_limit_s else ""),
        ("source", queue.source),
    ]
    return [(name, value) for name, value in facts if value]


def _gpus(milli: int | None) -> str:
    return "" if milli is None else f"{units.gpus(milli)} GPUs"


def queue_line(queue: Queue, queues: Sequence[Queue]) -> Line:
    """How a queue stands among all, on one line."""
    if words := share_sentence(queue, queues):
        return [(f" {words}", "")]
    told = " · ".join(f"{name} {value}" for name, value in queue_facts(queue))
    return [(f" {queue.name}: ", "strong"), (told, "")]


def queue_lines(
    queue: Queue,
    queues: Sequence[Queue],
    runs: Iterable[Run],
    now: datetime,
    width: int,
    *,
    ascii_only: bool = False,
) -> list[Line]:
    """A queue among all, with the longest waits in it: the panel beside a list."""
    lines: list[Line] = [[(f" {queue.name}", "title")], *pairs(queue_facts(queue), width)]
    if share := share_panel(queue, queues, width, ascii_only=ascii_only):
        lines += [[], *share]
    of = [run for run in runs if run.source == queue.source and queue.name in run.queues]
    waiting = waits(of, now)[:MOST_WAITS]
    if waiting:
        head = "Its longest waits"
    else:  # a moment of the past knows how many waited, and not who
        head = f"{queue.waiting} wait, of which nothing is told" if queue.waiting else NOBODY
    lines += [[], [(f" {head}", "strong")]]
    return lines + [[(" ", ""), *one_line(run, now, width - 1)] for _, run in waiting]
