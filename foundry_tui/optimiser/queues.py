"""Which queues a waiting run could start in: those it asked for, and others it may use."""

from __future__ import annotations

from collections.abc import Sequence

from foundry_tui.estate.queue import Queue
from foundry_tui.estate.rights import Rights
from foundry_tui.estate.run import Run
from foundry_tui.optimiser.arrays import PARTITION


def asked(run: Run, queues: Sequence[Queue]) -> tuple[str, ...] | str:
    """The queues of the run that would start it, or in words why none would."""
    by_name = {q.name: q for q in queues}
    takes: list[str] = []
    refusals: list[str] = []
    for name in run.queues:
        queue = by_name.get(name)
        why = None if queue is None else refusal(run, queue)
        if why is None:
            takes.append(name)
        else:
            refusals.append(why)
    if takes:
        return tuple(takes)
    return "; ".join(refusals) or "it names no queue"


def others(run: Run, queues: Sequence[Queue], rights: Rights | None) -> tuple[str, ...]:
    """Partitions that the run did not ask for, that its account can use and that would take it.

    The associations that a source tells are the current user's own. For another user's run only
    what the partition itself allows is known.
    """
    usable: tuple[str, ...] | None = None
    if rights is not None and rights.user == run.user:
        usable = rights.queues_of(run.account)
    return tuple(
        q.name
        for q in queues
        if q.kind == PARTITION
        and q.name not in run.queues
        and (usable is None or q.name in usable)
        and (q.accounts is None or run.account in q.accounts)
        and (q.qos is None or run.qos in q.qos)
        and refusal(run, q) is None
    )


def refusal(run: Run, queue: Queue) -> str | None:
    """Why this queue would not start the run, whatever room it has; None when it would."""
    if queue.state != "up":
        return f"{queue.name} is {queue.state}"
    limit_s = run.request.time_limit_s
    if queue.time_limit_s is not None and (limit_s is None or limit_s > queue.time_limit_s):
        asks = "no time limit" if limit_s is None else f"{limit_s / 3600:.4g} h"
        return (
            f"{queue.name} takes runs of at most {queue.time_limit_s / 3600:.4g} h, it asks {asks}"
        )
    if queue.max_nodes is not None and run.request.nodes > queue.max_nodes:
        return f"{queue.name} takes runs on at most {queue.max_nodes} nodes"
    return None
