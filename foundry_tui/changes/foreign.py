"""Whether a plan is one for this estate: its sources are here, and look as the plan saw them."""

from __future__ import annotations

from collections.abc import Sequence

from foundry_tui.estate.plan import Move, Plan
from foundry_tui.estate.precondition import source_of
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import safe


def foreign(plan: Plan, moves: Sequence[Move], snapshot: Snapshot) -> tuple[str, ...]:
    """Why a plan is not one for this estate: sentences; empty when it is, or does not say.

    The estate's id changes with every new node, so what counts is each source of the moves: it has
    to be here and to look as the plan saw it. A plan that was written by hand says nothing of that;
    then its targets alone have to be here, which the preconditions tell.
    """
    here = [source.name for source in snapshot.sources]
    found = [
        f"{move.id} awaits {move.awaits}, whose source is not here"
        for move in moves
        if move.awaits is not None and move.awaits.partition("/")[0] not in here
    ]
    if plan.estate_id == snapshot.estate_id:
        return tuple(found)
    for name in dict.fromkeys(source_of(move.target) for move in moves):
        if name not in here:
            known = ", ".join(here) or "no source at all"
            found.append(f"the plan is for {safe(name)}, which is not here: there is {known}")
            continue
        if plan.seen is not None and name in plan.seen:
            now = snapshot.source_id(name)
            if plan.seen[name] != now:
                was = safe(plan.seen[name], max_cells=400)
                found.append(
                    f"{name} is another one than the plan saw, or has other nodes: it was {was} "
                    f"and is {now}; make a new plan"
                )
        elif plan.estate_id:
            found.append(
                f"the plan was made for the estate {plan.estate_id}, this is {snapshot.estate_id}, "
                f"and it does not say how {name} looked; make a new plan"
            )
    return tuple(found)
