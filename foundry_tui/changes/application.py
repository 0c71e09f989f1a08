"""What the journal tells of an applied plan: which of its moves were carried out, and when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from foundry_tui.changes.steps import DONE
from foundry_tui.estate.acts import Change, ReceiptStatus, Resubmit
from foundry_tui.estate.observed import Applied, family_of
from foundry_tui.estate.plan import Move, Plan
from foundry_tui.store.journal import Record

Steps = Mapping[str, Mapping[int, Record]]
"""Move -> step -> the newest record of it."""


def by_plan(records: Iterable[Record]) -> dict[str, dict[str, dict[int, Record]]]:
    """Plan -> move -> step -> the newest record of it, over what was sent for plans.

    What takes a change back tells of no step.
    """
    found: dict[str, dict[str, dict[int, Record]]] = {}
    for record in records:
        purpose = record.purpose
        if purpose.plan is None or purpose.move is None or record.change.undoes is not None:
            continue
        moves = found.setdefault(str(purpose.plan), {})
        moves.setdefault(str(purpose.move), {})[purpose.step or 0] = record
    return found


def undone(records: Iterable[Record]) -> dict[str, datetime]:
    """Id of a change -> when it was taken back."""
    return {
        record.change.undoes: record.finished_at
        for record in records
        if record.change.undoes is not None
        and record.change.status in ("done", "part")
        and record.finished_at is not None
    }


def applied(plan: Plan, steps: Steps, undone_at: Mapping[str, datetime]) -> tuple[Applied, ...]:
    """The moves of which every step was made, in the plan's order."""
    found = []
    for move in plan.moves:
        made = steps.get(move.id, {})
        records = [made[n] for n in range(len(move.steps)) if n in made]
        if not records or len(records) < len(move.steps):
            continue
        begun = [r.change.at for r in records if r.change.at is not None]
        done = [r.finished_at for r in records if r.finished_at is not None]
        if any(r.change.status not in DONE for r in records) or not begun or not done:
            continue
        back = [undone_at[r.change.id] for r in records if r.change.id in undone_at]
        found.append(
            Applied(
                move=move.id,
                begun_at=min(begun),
                done_at=max(done),
                families=_families(move, [r.change for r in records]),
                undone_at=min(back, default=None),
            )
        )
    return tuple(found)


def _families(move: Move, changes: Iterable[Change]) -> tuple[str, ...]:
    """The runs that a move is about: its target, or what took the target's place."""
    if move.target.kind != "run":
        return ()
    resubmits = any(isinstance(step, Resubmit) for step in move.steps)
    made = [
        family_of(f"{move.target.id.partition('/')[0]}/{r.after.rpartition('/')[2]}")
        for change in changes
        for r in change.receipts
        if resubmits and r.after and r.status in (ReceiptStatus.DONE, ReceiptStatus.ACCEPTED)
    ]
    return tuple(dict.fromkeys(made)) or (family_of(move.target.id),)
