"""What stands in the way of a plan: approvals, the journal, another plan, a changed estate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from foundry_tui.actions import permitted
from foundry_tui.actions.errors import ActionError
from foundry_tui.actions.site import Site
from foundry_tui.changes import planfile
from foundry_tui.changes.steps import DONE, UNSETTLED, Step, acts_in
from foundry_tui.estate.actrecords import targets
from foundry_tui.estate.acts import Act, Resubmit
from foundry_tui.estate.plan import Move, Plan
from foundry_tui.estate.precondition import broken, changed_by
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import safe
from foundry_tui.store.journal import JournalError, Record
from foundry_tui.store.plans import Plans

PLANS = "plans"
"""The folder of applied plans, below the state_dir."""


def plans(site: Site) -> Plans:
    """The plans that were applied here.

    Raises:
        ActionError: there is no folder for them.
    """
    return Plans(site.state / PLANS)


def intact(site: Site) -> None:
    """Refuse to go on where the journal is not as it was written.

    Raises:
        ActionError: it is not, and how.
    """
    if words := tampered(site):
        raise ActionError(f"nothing was sent: {words[0]}")


def approval(site: Site, plan: Plan, needed: int, why: str | None) -> dict[str, Any]:
    """Who agreed, and who has still to."""
    if not needed:
        return {}
    names = permitted.approved(site, plan)
    if len(names) >= needed:
        return {"approved_by": names}
    count = f"{needed} other{'s' if needed != 1 else ''} must agree"
    so_far = f"so far {', '.join(names)}" if names else "nobody has so far"
    words = f"{count} ({why or 'the policy'}): {so_far}; they run `foundry approve PLAN`"
    return {"approved_by": names, "needs_approval": words}


def tampered(site: Site) -> list[str]:
    """Why the journal cannot be built upon: a line that a crash cut short is no reason."""
    try:
        problems = [one for one in site.journal.verify() if one.kind != "torn"]
    except JournalError as error:
        return [str(error)]
    if not problems:
        return []
    more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
    path = site.journal.path
    return [
        f"the journal is not as it was written ({problems[0]}{more}), so what was done before is "
        "not known; `foundry journal --verify` tells more. To begin a new one, move "
        f"{path.name} and {path.with_suffix('.lock').name} aside together, from {path.parent}"
    ]


def other_plan(site: Site, plan: Plan) -> list[str]:
    """Why the id of a plan is another plan's already."""
    try:
        kept = plans(site).load(plan.id)
        if kept is None or planfile.digest(planfile.read(kept)) == planfile.digest(plan):
            return []
    except OSError as error:
        return [f"the plan that was applied as {plan.id} cannot be read: {error.strerror or error}"]
    except planfile.PlanError as error:
        return [f"what was kept as plan {plan.id} is no plan: {error}"]
    return [
        f"another plan was applied as {plan.id}, and this file asks for something else: give it "
        "an `id` of its own"
    ]


def missing(
    plan: Plan, moves: Sequence[Move], known: Mapping[tuple[str, int], Record]
) -> Iterator[str]:
    """Moves that were chosen without one that they build upon."""
    chosen_ids = {move.id for move in moves}
    if all(move.id in chosen_ids for move in plan.moves if move.steps):
        return
    about = {move.id: {move.target.id, *move.displaces} for move in plan.moves}
    for place, move in enumerate(plan.moves):
        if move.id not in chosen_ids:
            continue
        needs = about[move.id] | ({move.awaits} if move.awaits is not None else set())
        for other in plan.moves[:place]:
            if other.id in chosen_ids or not other.steps or needs.isdisjoint(about[other.id]):
                continue
            if not _whole(other, known):
                shared = ", ".join(sorted(needs & about[other.id]))
                yield f"{move.id} builds upon {other.id} ({shared}): choose that one too"


def _whole(move: Move, known: Mapping[tuple[str, int], Record]) -> bool:
    """Whether every step of a move was carried out."""
    records = [known.get((move.id, index)) for index in range(len(move.steps))]
    return all(r is not None and r.change.status in DONE for r in records)


def differing(steps: Sequence[Step]) -> Iterator[str]:
    """Moves whose file holds a command that is not the one that would be sent."""
    by_move: dict[str, list[Step]] = {}
    for step in steps:
        by_move.setdefault(step.move.id, []).append(step)
    for move_id, mine in by_move.items():
        command = mine[0].move.command
        sent = [one for step in mine for one in step.commands if one]
        if command is None or not sent or command in sent:
            continue
        yield (
            f"{move_id}: the file says {safe(' '.join(command))!r}, what would be sent is "
            f"{safe(' '.join(sent[0]))!r}"
        )


def changed_since(
    snapshot: Snapshot, steps: Sequence[Step], known: Mapping[tuple[str, int], Record]
) -> tuple[str, ...]:
    """What has changed since the plan was made, but by the plan itself."""
    earlier = Earlier(acts_in(known, *DONE, *UNSETTLED))
    found: list[str] = []
    by_move: dict[str, list[Step]] = {}
    for step in steps:
        by_move.setdefault(step.move.id, []).append(step)
    for name, mine in by_move.items():
        move = mine[0].move
        if not all(step.done is not None for step in mine):
            found += (f"{name}: {words}" for words in earlier.broken(snapshot, move))
        earlier.add(step.act for step in mine)
    return tuple(found)


class Earlier:
    """What a plan has changed of each target before a move, so that it does not trip over it."""

    def __init__(self, acts: Iterable[Act] = ()) -> None:
        self._changed: dict[str, set[str]] = {}
        self._renewed: set[str] = set()
        self.add(acts)

    def add(self, acts: Iterable[Act]) -> None:
        """These come before all that is asked about from now on."""
        for act in acts:
            for name in targets(act):
                self._changed.setdefault(name, set()).update(changed_by(act))
                if isinstance(act, Resubmit):
                    self._renewed.add(name)

    def broken(self, snapshot: Snapshot, move: Move) -> tuple[str, ...]:
        """What of a move's precondition no longer holds, in sentences of what was and what is."""
        if move.target.id in self._renewed:
            return ()
        changed = frozenset(self._changed.get(move.target.id, ()))
        return broken(snapshot, move, changed=changed)


def touched(steps: Sequence[Step], snapshot: Snapshot) -> int:
    """How many targets are touched, each task of an array for itself."""
    tasks = {run.id: run.count for run in snapshot.runs}
    names = dict.fromkeys(one for step in steps for one in targets(step.act))
    return sum(tasks.get(name, 1) for name in names)
