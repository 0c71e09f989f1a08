"""Waiting runs that ask for a whole GPU and could live on a share, as was measured.

A run that waits has rarely been measured itself. So what counts besides is a run of the same user
and name that asks for the same and runs: it is most likely the same program.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from foundry_tui.estate.acts import Act, Resubmit
from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.plan import Move, Target
from foundry_tui.estate.rights import Rights
from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.optimiser.fractions import Known, halves
from foundry_tui.optimiser.moves import seen

ACTION = "shrink"

UNSENT = "nothing can be sent: its owner submits it anew and asks for the share"

Likeness = tuple[str, str | None, str, int, int | None]


def asks_whole(run: Run) -> bool:
    """Whether it waits for one whole GPU and is one run by itself."""
    asked, words = run.request, run.native or {}
    return (
        run.state is RunState.PENDING
        and run.array is None
        and asked.gpu_count == 1
        and asked.milli_per_gpu == WHOLE_MILLI
        and words.get("pods_wanted", "1") == "1"
    )


def likeness(run: Run) -> Likeness:
    """What runs of the same program have in common."""
    return run.source, run.user, run.name, run.request.gpu_count, run.request.gpu_milli


def moves(
    snapshot: Snapshot,
    known: Mapping[str, Known],
    rights_by_source: Mapping[str, Rights],
    now: datetime,
) -> list[Move]:
    """One move per waiting run that could ask for less, most saved first; ids are given later.

    `known` are measurements by run id (`fractions.recorded`). Nothing is advised above half a GPU:
    a larger share leaves a rest into which nothing like it fits.
    """
    enough = halves(snapshot.runs, known)
    own = {run.id: milli for run, milli in enough}
    alike: dict[Likeness, tuple[Run, int]] = {}
    for run, milli in enough:
        before = alike.get(likeness(run))
        if before is None or before[1] < milli:
            alike[likeness(run)] = run, milli
    found = []
    for run in (one for one in snapshot.runs if asks_whole(one)):
        rights = rights_by_source.get(run.source)
        if run.id in own:
            found.append(_move(run, own[run.id], "it", rights, now))
        elif likeness(run) in alike:
            other, enough_milli = alike[likeness(run)]
            measured = f"{other.native_id}, which has its name and asks for the same,"
            found.append(_move(run, enough_milli, measured, rights, now))
    return sorted(found, key=lambda m: (m.gpu_milli or 0, m.target.id))


def _move(run: Run, milli: int, measured: str, rights: Rights | None, now: datetime) -> Move:
    limit_s, saved = run.request.time_limit_s, (WHOLE_MILLI - milli) / WHOLE_MILLI
    steps: tuple[Act, ...] = ()
    if run.scheduler == "kai":
        fields = (("gpu_milli", str(milli)),)
        steps = (Resubmit(source=run.source, runs=(run.id,), fields=fields),)
    waited_s = run.wait_s(now) or 0.0
    anew = f"it begins to wait anew, after {waited_s / 3600:.1f} h" if steps else UNSENT
    mine = rights is not None and rights.user == run.user
    return Move(
        id="",
        target=Target("run", run.id),
        action=ACTION,
        gpu_milli=milli,
        precondition=seen(run),
        inverse="resubmit the new run with a whole GPU: it begins to wait anew" if steps else None,
        gain=None if limit_s is None else saved * limit_s / 3600,
        cost=0.0,
        risk="medium",
        owner=None if mine else run.user or "an unknown user",
        why=(
            f"it asks for a whole GPU, and as measured {measured} needs {milli / WHOLE_MILLI:.2f} "
            f"of one at most; {anew}; compare its speed before many follow"
        ),
        steps=steps,
        irreversible=bool(steps),
        rule="shrink",
    )
