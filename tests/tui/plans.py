"""Plans that can be carried out on the simulated estate whose clock stands still."""

from __future__ import annotations

from datetime import datetime

from foundry_tui.actions import apply
from foundry_tui.actions.site import Site
from foundry_tui.estate.acts import ChangeRun
from foundry_tui.estate.plan import Move, Plan, Target
from foundry_tui.estate.run import Run, RunState
from tests.tui.estates import NOW

LIMIT_S = 3540
"""Seconds that a move gives its run: every waiting run asks for another time."""

SENT = "TimeLimit=59"
"""The same as it is sent."""


def _one(site: Site, state: RunState, *users: str) -> Run:
    return next(
        run
        for run in site.schedulers["sim-slurm"].snapshot().runs
        if run.user in users and run.state is state and run.count == 1
    )


def of_bio(site: Site) -> Run:
    """A waiting run that the simulated user may change as a coordinator."""
    return _one(site, RunState.PENDING, "bo", "eli")


def of_dara(site: Site) -> Run:
    """A run that the simulated user may not change."""
    return _one(site, RunState.RUNNING, "dara")


def now(site: Site, run: Run) -> Run:
    """The run as it is now."""
    return next(r for r in site.schedulers["sim-slurm"].snapshot().runs if r.id == run.id)


def a_move(name: str, run: Run) -> Move:
    """A move that gives a waiting run another time limit, and promises its start."""
    step = ChangeRun(source=run.source, runs=(run.id,), fields=(("time_limit_s", str(LIMIT_S)),))
    return Move(
        id=name,
        target=Target("run", run.id),
        action="start",
        gpu_milli=1000,
        precondition={"state": run.state.value, "queue": run.queue, "held": run.held},
        inverse="its time limit is set back",
        gain=2.0,
        cost=0.0,
        owner=run.user,
        why="it fits into the gap",
        steps=(step,),
        starts_within_s=90.0,
        rule="start",
    )


def plan_of(site: Site, *moves: Move) -> Plan:
    """A plan of these moves for the simulated estate."""
    seen = site.snapshot()
    return Plan(
        id="abcdef123456",
        generated_at=NOW,
        estate_id="demo",
        seen={one.name: seen.source_id(one.name) for one in seen.sources},
        objective_name="weighted GPUs started",
        objective=1.0,
        bound=1.0,
        gap=0.0,
        status="optimal",
        solve_s=0.1,
        moves=moves,
        before={"gpus_allocated": 6.0},
        after={"gpus_allocated": 7.0},
    )


def applied(
    site: Site, plan: Plan, *, why: str | None = None, until: datetime | None = None
) -> apply.Applied:
    """Carry a plan out; all of it is done."""
    prepared = apply.prepare(site, plan, None, site.snapshot())
    came = apply.carry_out(site, prepared, why=why, until=until)
    assert came.stopped is None
    return came
