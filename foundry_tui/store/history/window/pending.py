"""What waited in a window: the demand of the queues, as far as somebody looked.

A sample holds until the next one. Samples are kept as long as the quarters of an hour are.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foundry_tui.store.history.measured import Measured
from foundry_tui.store.history.values import QUEUE_FACTS, text
from foundry_tui.store.history.window.spanload import table
from foundry_tui.store.history.window.sweep import Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """What waited in one queue that has none below it: stretches `since <= t < until`.

    `gpu_milli` are the thousandths of GPUs that its waiting runs asked for and `runs` how many
    these were, array tasks each; -1 where that is not known.
    """

    source: str
    kind: str
    name: str
    since: Ints
    until: Ints
    gpu_milli: Ints
    runs: Ints


_SAMPLES = """
SELECT x.queue, max(x.since, :start), min(coalesce(x.until, s.seen + 1), :end),
  coalesce(x.requested_gpu_milli, -1), coalesce(x.waiting, -1)
FROM queue_sample x JOIN queue q ON q.id = x.queue JOIN source s ON s.id = q.source
WHERE x.since < :end AND coalesce(x.until, s.seen + 1) > :start
ORDER BY x.queue, x.since
"""

_QUEUES = """
SELECT q.id, q.source, s.name, q.kind, q.name, (
  SELECT x.facts FROM queue_facts x WHERE x.queue = q.id AND x.since < :end
  ORDER BY x.since DESC LIMIT 1)
FROM queue q JOIN source s ON s.id = q.source ORDER BY s.name, q.kind, q.name, q.id
"""

_Named = tuple[int, int, str, str, str, str | None]
_PARENT = QUEUE_FACTS.index("parent")


def load(found: Measured, start: int, end: int) -> list[Pending]:
    """What waited in `start <= t < end`, in the queues at the bottom of their trees.

    Those above hold the sums of those below, so that with them everything would be there twice.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    window = {"start": start, "end": end}
    rows = table(found.db, _SAMPLES, window, 5)
    queues = found.db.execute(_QUEUES, window).fetchall()
    above = _above(queues)
    made = []
    for number, _, source, kind, name, _ in queues:
        low, high = np.searchsorted(rows[:, 0], [number, number + 1])
        mine = rows[low:high]
        if len(mine) and number not in above:
            made.append(
                Pending(
                    source=text(source),
                    kind=text(kind),
                    name=text(name),
                    since=mine[:, 1],
                    until=mine[:, 2],
                    gpu_milli=mine[:, 3],
                    runs=mine[:, 4],
                )
            )
    return made


def _above(queues: Sequence[_Named]) -> set[int]:
    """The queues that have others below them.

    A project and its department may have one name: the one of another kind is above it then.
    """
    named: dict[tuple[int, str], list[tuple[int, str]]] = {}
    for number, source, _, kind, name, _ in queues:
        named.setdefault((source, name), []).append((number, kind))
    found: set[int] = set()
    for number, source, _, kind, _, facts in queues:
        parent = None if facts is None else json.loads(facts)[_PARENT]
        if parent is None:
            continue
        others = [q for q in named.get((source, text(parent)), ()) if q[0] != number]
        different = [q for q in others if q[1] != kind]
        found.update(n for n, _ in different or others)
    return found
