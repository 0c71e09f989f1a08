"""The live table of queues, each below its parent as long as it is sorted by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from operator import attrgetter

from foundry_tui.estate.fields import QUEUE_FIELDS
from foundry_tui.estate.queue import Queue
from foundry_tui.presenters.filterable import queue_fields
from foundry_tui.presenters.records import queue_record
from foundry_tui.presenters.rows.model import GridColumn, Rows, folded, natural, state_tone
from foundry_tui.presenters.tables import QUEUE_COLUMNS, queue_cells


def queue_rows(queues: Iterable[Queue]) -> Rows[Queue]:
    """The table of queues; `queues` are all of them, so that each one's parents are known."""
    # a department and its project may have one name: what is its own parent tells nothing
    parents = {(q.source, q.name): q.parent for q in queues if q.parent != q.name}

    def path(queue: Queue) -> tuple[str, ...]:
        """The names from the root down to this queue; a ring of parents is cut where it closes."""
        names = [queue.name]
        parent = queue.parent
        while parent is not None and parent not in names[1:] and (queue.source, parent) in parents:
            names.append(parent)
            parent = parents[queue.source, parent]
        return tuple(reversed(names))

    def order(queue: Queue, _now: datetime) -> tuple[object, ...]:
        return (queue.source.casefold(), *(natural(name) for name in path(queue)))

    def numbers(
        at: int, column_id: str, value: Callable[[Queue], float | None]
    ) -> GridColumn[Queue]:
        return GridColumn(id=column_id, column=QUEUE_COLUMNS[at], order=lambda q, _: value(q))

    columns: tuple[GridColumn[Queue], ...] = (
        GridColumn(id="queue", column=QUEUE_COLUMNS[0], order=order),
        GridColumn(id="kind", column=QUEUE_COLUMNS[1], order=lambda q, _: folded(q.kind)),
        GridColumn(
            id="state",
            column=QUEUE_COLUMNS[2],
            order=lambda q, _: folded(q.state),
            tone=lambda q, text: "" if q.state == "up" else state_tone(q, text),
        ),
        numbers(3, "run", attrgetter("running")),
        numbers(4, "wait", attrgetter("waiting")),
        numbers(5, "used", attrgetter("allocated_gpu_milli")),
        numbers(6, "quota", attrgetter("quota_gpu_milli")),
        numbers(7, "limit", attrgetter("limit_gpu_milli")),
        numbers(8, "total", attrgetter("total_gpu_milli")),
        numbers(9, "asked", attrgetter("requested_gpu_milli")),
        numbers(10, "oldest", attrgetter("oldest_wait_s")),
        numbers(11, "share", attrgetter("fair_share_gpu_milli")),
        GridColumn(id="source", column=QUEUE_COLUMNS[12], order=lambda q, _: folded(q.source)),
    )
    return Rows(
        noun="queue",
        plural="queues",
        columns=columns,
        key=lambda queue: f"{queue.source}/{queue.parent or ''}/{queue.name}",
        cells=lambda queue, _: queue_cells(queue, len(path(queue)) - 1),
        glyph=lambda queue: "" if queue.state in ("up", "") else "!",
        fields=QUEUE_FIELDS,
        get=lambda queue, _: queue_fields(queue).get,
        record=lambda queue, _: queue_record(queue),
        copied=(("name", attrgetter("name")),),
        sorted_by="queue",
    )
