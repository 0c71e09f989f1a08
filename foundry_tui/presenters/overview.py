"""The overview: the whole estate on one page of text, what `foundry | cat` prints."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.presenters import totals, units
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
    Column("WHERE", min_width=8, stretch=True),
)


def overview(seen: Snapshot, *, now: datetime, style: Style) -> str:
    """The estate at a glance: sources, totals, queues, the longest waits, what lies idle."""
    lines = wrap(f"foundry, {units.when(now)}", style.width)
    for note in seen.partial:
        lines += wrap(f"note: {note}", style.width, rest="  ")
    blocks = (
        _sources(seen, now, style),
        _totals(seen, style),
        _queues(seen, style),
        _waiting(seen, now, style),
        _idle(seen, now, style),
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


def _totals(seen: Snapshot, style: Style) -> list[str]:
    gpus = gpu_totals(seen.nodes, seen.gpus)
    words = [
        f"{units.gpus(gpus.total_milli)}: {units.gpus(gpus.allocated_milli)} allocated",
        f"{units.gpus(gpus.free_milli)} free",
    ]
    words += [f"{units.gpus(gpus.out_of_service_milli)} out of service"] * bool(
        gpus.out_of_service_milli
    )
    words += [f"{units.gpus(gpus.unknown_milli)} unknown"] * bool(gpus.unknown_milli)
    nodes = f"{len(seen.nodes)}: {_counted(totals.nodes_by_state(seen.nodes))}"
    lines: list[str] = []
    for head, told in (
        ("GPUs", ", ".join(words)),
        ("", _use(gpus)),
        ("Nodes", nodes if seen.nodes else "none"),
        ("Runs", _counted(totals.runs_by_state(seen.runs)) or "none"),
    ):
        lines += wrap(told, style.width, first=f"{head:<7}", rest=" " * 7)
    return lines


def _counted(by_state: dict[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in by_state.items())


def _use(gpus: totals.GpuTotals) -> str:
    if not gpus.allocated_count:
        return "no GPU is allocated"
    if not gpus.measured_count and not gpus.idle_count:
        return "idle while allocated: unknown, no allocated GPU is measured"
    known = f"{gpus.measured_count} of {gpus.allocated_count} allocated GPUs are measured"
    if gpus.at_zero_count <= gpus.idle_count:
        return f"idle while allocated: {gpus.idle_count} ({known})"
    since = (
        f"for {gpus.idle_count} it is known since when"
        if gpus.idle_count
        else ("since when is unknown")
    )
    return (
        f"allocated and at 0-{totals.AT_ZERO_PCT:g} % now: {gpus.at_zero_count}, {since} ({known})"
    )


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


def _idle(seen: Snapshot, now: datetime, style: Style) -> list[str]:
    found = totals.idle(seen.gpus)
    if not found:
        return []
    users = {run.id: run.user for run in seen.runs}
    rows = [
        (
            safe(idle.run),
            text(users.get(idle.run)),
            SafeText(str(idle.count)),
            units.duration(units.since_s(idle.since, now)),
            placement_text(idle.placement),
        )
        for idle in found[:MOST_ROWS]
    ]
    more = _more(len(found), rows, "foundry gpus --where 'idle>0'", style)
    return [*draw(IDLE, rows, style).lines, *more]


def _more(count: int, rows: Sequence[object], command: str, style: Style) -> list[str]:
    if count <= len(rows):
        return []
    return wrap(f"and {count - len(rows)} more: {command}", style.width)
