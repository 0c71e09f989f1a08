"""Advice: the optimiser's plan, each placement checked with the scheduler itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime

from foundry_tui.actions import permitted
from foundry_tui.actions.fractions import measured
from foundry_tui.actions.site import Site
from foundry_tui.estate.permission import told
from foundry_tui.estate.plan import Move, Plan
from foundry_tui.estate.rights import Rights
from foundry_tui.estate.run import LIVE
from foundry_tui.estate.snapshot import Snapshot, find_run
from foundry_tui.estate.verdict import RuleRecord
from foundry_tui.optimiser.advise import advise
from foundry_tui.optimiser.fractions import Known
from foundry_tui.optimiser.result import Refused
from foundry_tui.optimiser.shrink import asks_whole, likeness
from foundry_tui.optimiser.verify import checked, refusals, what_if
from foundry_tui.schedulers.ports import SchedulerError

ROUNDS = 3
"""So often a plan is made anew without the places that the scheduler refused."""

TIME_LIMIT_S = 10.0
"""Seconds for the exact search, where nobody says how many."""

CHECKS = 50
"""At most so many placements are checked with the scheduler; each costs it one job id."""


def advice(
    site: Site,
    snapshot: Snapshot,
    *,
    policy: str,
    limit: int | None,
    check: bool,
    progress: Callable[[str], None],
    objective: str = "start",
    time_limit_s: float = TIME_LIMIT_S,
    cancelled: Callable[[], bool] = lambda: False,
    room: bool = True,
    trust: tuple[RuleRecord, ...] = (),
) -> Plan:
    """The plan for the estate as it is now.

    `objective` and `policy` are words of the optimiser; its exact search gets `time_limit_s` in
    all, in equal parts where a plan may have to be made anew, and is ended when `cancelled` says
    so. Without `room` no running run is moved for a waiting one. `trust` is how well each rule of
    advice kept its promises so far.

    Raises:
        ValueError: an argument that the optimiser does not know; names it.
    """
    rights: dict[str, Rights] = {}
    if site.saved is None:
        # Kept, so that whoever shows the plan can tell what of it this user may do.
        for name in site.schedulers:
            found = permitted.rights_of(site, name)
            if found is None or not told(found):
                why = "" if found is None else found.reason
                progress(f"{name}: rights are not known: {why}")
            else:
                rights[name] = found
    thresholds = site.config.thresholds
    refused: Refused = {}
    use = _measured(site, snapshot)
    alone = not check or site.saved is not None
    for attempt in range(1, ROUNDS + 1):
        plan = advise(
            snapshot,
            rights_by_source=rights,
            now=snapshot.generated_at,
            policy=policy,
            limit=limit,
            idle_util_pct=thresholds.idle_util_pct,
            idle_after_s=thresholds.idle_after_s,
            refused=refused,
            room=room,
            trust=trust,
            known=use,
            objective=objective,
            time_limit_s=time_limit_s if alone else time_limit_s / ROUNDS,
            cancelled=cancelled,
            progress=progress,
        )
        moves = [m for m in plan.moves if what_if(m) is not None][:CHECKS]
        if alone or not moves:
            return plan
        progress(f"asking the scheduler about {len(moves)} placements")
        with ThreadPoolExecutor(max_workers=4) as pool:
            answers = dict(pool.map(lambda move: (move.id, _ask(site, snapshot, move)), moves))
        known = refusals(plan, answers, refused)
        if known == refused or attempt == ROUNDS:
            break
        refused = known
    return checked(plan, answers)


def _measured(site: Site, snapshot: Snapshot) -> Mapping[str, Known]:
    """What was measured of the runs that wait for a whole GPU, and of those that are like them."""
    wanted = {likeness(run) for run in snapshot.runs if asks_whole(run)}
    runs = tuple(r for r in snapshot.runs if r.state in LIVE and likeness(r) in wanted)
    return measured(site, replace(snapshot, runs=runs)) if runs else {}


def _ask(site: Site, snapshot: Snapshot, move: Move) -> datetime | str | None:
    """When the scheduler would start it there, or why not; None when it told neither."""
    run = find_run(snapshot.runs, move.target.id)
    changes = what_if(move)
    if run is None or changes is None:
        return None
    try:
        estimate = site.scheduler(run.source).estimate(run, changes=changes)
    except (SchedulerError, ValueError):
        return None
    return estimate.starts_at or estimate.reason
