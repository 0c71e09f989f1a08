"""The live table of runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from operator import attrgetter

from foundry_tui.estate.fields import RUN_FIELDS
from foundry_tui.estate.run import HOLDING, Run, RunState
from foundry_tui.estate.text import SafeText
from foundry_tui.presenters.records import run_record
from foundry_tui.presenters.rows.model import (
    GridColumn,
    Rows,
    Tone,
    folded,
    lazy,
    natural,
    state_tone,
)
from foundry_tui.presenters.tables import RUN_COLUMNS, run_cells, spent_s
from foundry_tui.presenters.totals import AT_ZERO_PCT
from foundry_tui.presenters.units import since_s

_BROKEN = frozenset({RunState.FAILED, RunState.TIMEOUT, RunState.OUT_OF_MEMORY, RunState.NODE_FAIL})


def _glyph(run: Run) -> str:
    if run.state in _BROKEN:
        return "x"
    if run.state is RunState.PREEMPTED or _wasteful(run):
        return "!"
    return "?" if run.state is RunState.UNKNOWN else ""


def _wasteful(run: Run) -> bool:
    """Whether the run holds GPUs and, as far as is measured, does nothing with them."""
    used = run.gpu_util_pct
    return (
        used is not None
        and used <= AT_ZERO_PCT
        and run.state in HOLDING
        and run.request.gpu_count > 0
    )


def _util_tone(run: Run, _text: SafeText) -> Tone:
    return "warn" if _wasteful(run) else ""


def _asked_milli(run: Run, _now: datetime) -> int | None:
    each = run.request.gpu_milli
    return None if each is None else each * run.count


def _where_or_why(run: Run, _now: datetime) -> str | None:
    return folded(run.placement[0].node if run.placement else run.reason)


def _nodes(run: Run) -> tuple[str, ...]:
    return tuple([part.node for part in run.placement]) if run.placement else ()


_COLUMNS: tuple[GridColumn[Run], ...] = (
    # Here a uuid may be cut: it is copied by a key, and the states must have room beside it.
    GridColumn(
        id="run",
        column=replace(RUN_COLUMNS[0], min_width=9, stretch=True),
        order=lambda r, _: natural(r.native_id),
    ),
    GridColumn(
        id="name",
        column=replace(RUN_COLUMNS[1], min_width=12),
        order=lambda r, _: natural(r.name),
    ),
    GridColumn(id="user", column=RUN_COLUMNS[2], order=lambda r, _: folded(r.user)),
    GridColumn(id="queue", column=RUN_COLUMNS[3], order=lambda r, _: folded(r.queue)),
    GridColumn(
        id="state",
        column=RUN_COLUMNS[4],
        order=lambda r, _: "held" if r.held else r.state.value,
        tone=state_tone,
        typical=9,
    ),
    GridColumn(id="gpus", column=RUN_COLUMNS[5], order=_asked_milli),
    GridColumn(id="time", column=RUN_COLUMNS[6], order=spent_s, typical=6),
    GridColumn(id="where", column=RUN_COLUMNS[7], order=_where_or_why),
    GridColumn(
        id="util",
        column=RUN_COLUMNS[8],
        order=lambda r, _: r.gpu_util_pct if r.state in HOLDING else None,
        tone=_util_tone,
        typical=4,
    ),
    GridColumn(id="submitted", column=RUN_COLUMNS[9], order=lambda r, _: r.submitted_at),
    GridColumn(id="account", column=RUN_COLUMNS[10], order=lambda r, _: folded(r.account)),
    GridColumn(id="qos", column=RUN_COLUMNS[11], order=lambda r, _: folded(r.qos)),
    GridColumn(id="priority", column=RUN_COLUMNS[12], order=lambda r, _: r.priority),
    GridColumn(id="source", column=RUN_COLUMNS[13], order=lambda r, _: folded(r.source)),
)


def live_first(runs: Iterable[Run]) -> list[Run]:
    """Runs as a list of them begins: what holds GPUs, what waits, then what ended, the last first.

    Within the first two the order of the sources is kept, which for waiting runs is the queue's.
    """

    def place(run: Run) -> tuple[int, float]:
        if run.state in HOLDING:
            return 0, 0.0
        if run.state is RunState.PENDING:
            return 1, 0.0
        return 2, -run.ended_at.timestamp() if run.ended_at is not None else 0.0

    return sorted(runs, key=place)


RUN_ROWS: Rows[Run] = Rows(
    noun="run",
    plural="runs",
    columns=_COLUMNS,
    key=attrgetter("id"),
    cells=run_cells,
    glyph=_glyph,
    fields=RUN_FIELDS,
    get=lazy(
        attrgetter("id"),
        RUN_FIELDS,
        {
            "id": lambda r: (r.id, r.native_id),
            "name": attrgetter("name"),
            "state": attrgetter("state"),
            "user": attrgetter("user"),
            "account": attrgetter("account"),
            "queue": attrgetter("queues"),
            "qos": attrgetter("qos"),
            "source": attrgetter("source"),
            "reason": attrgetter("reason"),
            "node": _nodes,
            "priority": attrgetter("priority"),
            "gpu_count": lambda r: r.request.gpu_count,
            "gpu_util_pct": attrgetter("gpu_util_pct"),
            "memory_bytes": lambda r: r.request.memory_bytes,
        },
        {
            "age_s": lambda r, now: since_s(r.submitted_at, now),
            "wait_s": lambda r, now: r.wait_s(now),
        },
    ),
    record=lambda run, _: run_record(run),
    copied=(("id", attrgetter("native_id")), ("name", attrgetter("name"))),
)
"""Runs, in the order in which the sources tell them."""
