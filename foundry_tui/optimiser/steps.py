"""The acts that carry a move out, in the manner of its scheduler.

Slurm starts a run where it is pinned to: to just as many nodes as it needs, because a longer list
means at least these. KAI and Run:ai place runs themselves, and nobody can pin one.
"""

from __future__ import annotations

from collections.abc import Sequence

from foundry_tui.estate.acts import Act, ChangeRun, Release, Requeue, Resume, Suspend
from foundry_tui.estate.run import Run

PACKS = "nothing is sent: the scheduler places it by itself, and this tells where it can"
BOUND = "nothing is sent: it asks for just these nodes, and the scheduler starts it there"
BY_ARRAY = (
    "nothing can be sent: Slurm takes no node list for the waiting tasks of an array, and without "
    "one nobody knows where they go"
)

START_WITHIN_S = 90.0
"""A waiting run that fits starts at the next look of its scheduler: Slurm's is once a minute."""

ROOM_WITHIN_S = 180.0
"""Before it starts, others end: both schedulers give them 30 s to do so by default."""

AGAIN_WITHIN_S = 180.0
"""What was put back starts at the next look after its release; the move may wait for its turn."""


def start(run: Run, nodes: Sequence[str], queue: str | None) -> tuple[tuple[Act, ...], str | None]:
    """The steps of a start on these nodes, and why there are none."""
    fields = [] if queue is None else [("queue", queue)]
    if run.scheduler == "slurm":
        if run.count > 1 or "_[" in run.native_id:
            return (), BY_ARRAY
        bound = (run.native or {}).get("required_nodes", "")
        if set(bound.split(",")) != set(nodes):
            fields.append(("nodelist", ",".join(nodes)))
    if not fields:
        return (), BOUND if run.scheduler == "slurm" else PACKS
    return (ChangeRun(source=run.source, runs=(run.id,), fields=tuple(fields)),), None


def make_room(run: Run, nodes: Sequence[str], moved: Sequence[Run]) -> tuple[Act, ...]:
    """The steps that let a waiting run start where others run now.

    It is pinned first: where that is refused, nothing was lost. On Slurm the others come back held,
    so that none takes its old place; on KAI and Run:ai they are suspended and give their GPUs away.
    """
    if run.scheduler == "slurm":
        pinned, _ = start(run, nodes, None)
        return (
            *pinned,
            *(Requeue(source=one.source, runs=(one.id,), hold=True) for one in moved),
        )
    return tuple(Suspend(source=one.source, runs=(one.id,)) for one in moved)


def again(run: Run, nodes: Sequence[str]) -> tuple[Act, ...]:
    """The steps that start a run again which made room."""
    if run.scheduler == "slurm":
        # 22.05 sets the begin time of what was requeued 120 s ahead; an empty one means now.
        fields = (("nodelist", ",".join(nodes)), ("begin", ""))
        pinned = ChangeRun(source=run.source, runs=(run.id,), fields=fields)
        return (pinned, Release(source=run.source, runs=(run.id,)))
    return (Resume(source=run.source, runs=(run.id,)),)
