"""The overview: the whole estate on one page of text, what `foundry | cat` prints."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.waste import IDLE_AFTER_S, idle
from foundry_tui.presenters import totals, units
from foundry_tui.presenters.health import health
from foundry_tui.presenters.page import Style, finish, wrap
from foundry_tui.presenters.table import Column, draw
from foundry_tui.presenters.tables import placement_text, run_gpus, text
from foundry_tui.presenters.totals import gpu_totals

__all__ = ["gpu_totals", "overview"]

MOST_ROWS = 5
"""Rows of each list on the page; the tables have them all."""

SOURCES = (
    Column("SOURCE", min_width=8, stretch=True),
    Column("KIND"),
    Column("STATE", state=True),
    Column("AGE", "right"),
    Column("WHY", min_width=10, stretch=True),
)
QUEUES = (
    Column("QUEUE", min_width=10, stretch=True),
    Column("RUNNING", "right"),
    Column("WAITING", "right"),
    Column("GPUS USED", "right"),
    Column("ASKED", "right", priority=2),
    Column("QUOTA", "right", priority=3),
    Column("LONGEST WAIT", "right", priority=1),
)
WAITING = (  # a source's name and a uuid should fit, because ids are there to be copied
    Column("WAITING LONGEST", min_width=46, stretch=True),
    Column("USER", min_width=6, stretch=True),
    Column("QUEUE", min_width=5, priority=1, stretch=True),
    Column("GPUS", "right"),
    Column("WAITED", "right"),
    Column("WHY", min_width=12, stretch=True),
)
IDLE = (
    Column("IDLE, ALLOCATED", min_width=15, stretch=True),
    Column("USER", min_width=6, stretch=True),
    Column("GPUS", "right"),
    Column("IDLE FOR", "right"),
    Column("GPU-H LOST", "right"),
    Column("WHERE", min_width=8, stretch=True),
)


def overview(
    seen: Snapshot, *, now: datetime, style: Style, idle_after_s: float = IDLE_AFTER_S
) -> str:
    """The estate at a glance: sources, totals, queues, the longest waits, what lies idle."""
    lines = wrap(f"foundry, {units.when(now)}", style.width)
    for note in seen.partial:
        lines += wrap(f"note: {note}", style.width, rest="  ")
    blocks = (
        _sources(seen, now, style),
        _totals(seen, gpu_totals(seen.nodes, seen.gpus, now, idle_after_s=idle_after_s), style),
        _queues(seen, style),
        _waiting(seen, now, style),
        _idle(seen, now, style, idle_after_s),
    )
    for drawn in blocks:
        if drawn:
            lines += ["", *drawn]
    return finish(lines, style)


def _sources(seen: Snapshot, now: datetime, style: Style) -> list[str]:
    if not seen.sources:
        return wrap("No source. `foundry doctor` says what was looked for.", style.width)
    rows = [
        (
            safe(source.name),
            safe(source.kind),
            SafeText(source.state.value),
            units.age(source.age_s(now)),
            safe(source.reason or ""),
        )
        for source in seen.sources
    ]
    return draw(SOURCES, rows, style).lines


def _totals(seen: Snapshot, gpus: totals.GpuTotals, style: Style) -> list[str]:
    used = f", {units.percent(gpus.util_pct)} used" if gpus.util_pct is not None else ""
    words = [
        f"{units.gpus(gpus.total_milli)}: {units.gpus(gpus.allocated_milli)} allocated{used}",
        f"{units.gpus(gpus.free_milli)} free",
    ]
    words += [f"{units.gpus(gpus.out_of_service_milli)} out of service"] * bool(
        gpus.out_of_service_milli
    )
    words += [f"{units.gpus(gpus.unknown_milli)} unknown"] * bool(gpus.unknown_milli)
    nodes = f"{len(seen.nodes)}: {_counted(totals.nodes_by_state(seen.nodes))}"
    ill = [words for words, _ in health(seen.gpus)]
    more = f" and {len(ill) - MOST_ROWS} more: foundry gpus --where fault"
    lines: list[str] = []
    for head, told in (
        ("GPUs", ", ".join(words)),
        ("", _use(gpus)),
        ("Health", "; ".join(ill[:MOST_ROWS]) + (more if len(ill) > MOST_ROWS else "")),
        ("Nodes", nodes if seen.nodes else "none"),
        ("Runs", _counted(totals.runs_by_state(seen.runs)) or "none"),
    ):
        if told:
            lines += wrap(told, style.width, first=f"{head:<7}", rest=" " * 7)
    return lines


def _counted(by_state: dict[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in by_state.items())


def _use(gpus: totals.GpuTotals) -> str:
    """How much of what is allocated lies idle, and how much of it is measured at all."""
    if not gpus.allocated_count and gpus.unheld_util_pct is not None:
        return f"used {units.percent(gpus.unheld_util_pct)}; nobody says who holds them"
    if not gpus.allocated_count:
        return "no GPU is allocated"
    if not gpus.measured_count and not gpus.idle_count:
        return "idle while allocated: unknown, no allocated GPU is measured"
    known = f"{gpus.measured_count} of {gpus.allocated_count} measured"
    lost = f" = {units.gpu_hours(gpus.idle_gpu_hours)} GPU-hours lost" if gpus.idle_count else ""
    told = f"idle while allocated: {gpus.idle_count}{lost}"
    if gpus.at_zero_count > gpus.idle_count:
        told += f"; at 0-{totals.AT_ZERO_PCT:g} % now: {gpus.at_zero_count}"
    return f"{told} ({known})"


def _queues(seen: Snapshot, style: Style) -> list[str]:
    busy = [q for q in seen.queues if q.waiting != 0 or q.running != 0]
    busy.sort(key=lambda q: (-(q.waiting or 0), -(q.running or 0), q.source, q.name))
    several = len({q.source for q in seen.queues}) > 1
    rows = [
        (
            safe(f"{queue.source}/{queue.name}" if several else queue.name),
            units.number(queue.running),
            units.number(queue.waiting),
            units.gpus(queue.allocated_gpu_milli),
            units.gpus(queue.requested_gpu_milli),
            units.gpus(queue.quota_gpu_milli),
            units.duration(queue.oldest_wait_s) if queue.waiting != 0 else SafeText(""),
        )
        for queue in busy[:MOST_ROWS]
    ]
    if not rows:
        count = len(seen.queues)
        return wrap(f"No run is in any of {count} queues.", style.width) if count else []
    return [
        *draw(QUEUES, rows, style).lines,
        *_more(len(seen.queues), rows, "foundry queues", style),
    ]


def _waiting(seen: Snapshot, now: datetime, style: Style) -> list[str]:
    waiting = totals.waits(seen.runs, now)
    if not waiting:
        return ["No run waits."]
    rows = [
        (
            safe(run.id),
            text(run.user),
            text(run.queue),
            run_gpus(run),
            units.duration(waited),
            text(run.reason),
        )
        for waited, run in waiting[:MOST_ROWS]
    ]
    more = _more(len(waiting), rows, "foundry runs --where state=pending", style)
    return [*draw(WAITING, rows, style).lines, *more]


def _idle(seen: Snapshot, now: datetime, style: Style, idle_after_s: float) -> list[str]:
    found = idle(seen.gpus, seen.runs, now, idle_after_s)
    if not found:
        return []
    rows = [
        (
            safe(one.run),
            text(one.user),
            units.gpus(one.milli),
            units.duration(units.since_s(one.since, now)),
            units.gpu_hours(one.gpu_hours),
            placement_text(one.placement),
        )
        for one in found[:MOST_ROWS]
    ]
    more = _more(len(found), rows, f"foundry gpus --where 'idle>{idle_after_s:.0f}'", style)
    return [*draw(IDLE, rows, style).lines, *more]


def _more(count: int, rows: Sequence[object], command: str, style: Style) -> list[str]:
    if count <= len(rows):
        return []
    return wrap(f"and {count - len(rows)} more: {command}", style.width)
