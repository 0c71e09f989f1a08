"""What was missed while nobody collected, asked of the servers that keep it themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from foundry_tui.collector.join import Join
from foundry_tui.collector.publish import Measured
from foundry_tui.collector.record import STEP_S
from foundry_tui.collector.sweep import Recall
from foundry_tui.estate.merge import merge
from foundry_tui.estate.snapshot import Snapshot


def gap(last: datetime | None, now: datetime, most: timedelta) -> tuple[datetime, datetime] | None:
    """The whole windows between the last one recorded and the present one, at most so far back.

    Without a last one everything was missed. None when nothing was.
    """
    step = timedelta(seconds=STEP_S)
    end = datetime.fromtimestamp(now.timestamp() // STEP_S * STEP_S, tz=now.tzinfo)
    start = end - most if last is None else max(last, end - most)
    return None if end - start <= step else (start + step, end - step)


def refilled(
    snapshot: Snapshot,
    last: datetime | None,
    recalls: Sequence[Recall],
    join: Join,
    most: timedelta,
) -> Iterator[Snapshot]:
    """The missed windows with readings alone: nobody knows any more who held the GPUs.

    `last` is the last window recorded. The GPUs are those of the present `snapshot`; one without a
    reading in a window is left out of it.
    """
    missing = gap(last, snapshot.generated_at, most)
    if missing is None:
        return
    for recall in recalls:
        for at, readings in recall(*missing, STEP_S):
            part = Snapshot(generated_at=at, nodes=snapshot.nodes, gpus=snapshot.gpus)
            matched = join.matched([part], at, Measured(readings=readings))
            known = tuple(g for g in part.gpus if (g.source, g.node, g.index) in matched.by_gpu)
            yield merge([Snapshot(generated_at=at, gpus=known)], at, matched=matched)
