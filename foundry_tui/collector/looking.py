"""One look at the estate for the verdict on an applied plan; and who waited when it was applied."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from foundry_tui.estate.acts import Requeue, Suspend
from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.observed import Look, RunSeen, Waiter, family, family_of
from foundry_tui.estate.plan import Plan
from foundry_tui.estate.run import HOLDING, LIVE, Placement, Run, RunState, run_id
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.usage import UsageRecord


def look_at(
    snapshot: Snapshot,
    plan: Plan,
    families: Collection[str],
    before: Mapping[str, RunSeen],
    *,
    stranded: bool,
) -> Look:
    """What the reading tells of these runs that is new, and the measures of the estate.

    `before` is what was last told of them (`observed.known`). What is stranded is reckoned where
    it is asked for. The look is as old as the oldest of its sources that answered.
    """
    silent = silent_sources(snapshot)
    shown = [r for r in snapshot.runs if r.source not in silent and family(r) in families]
    seen = {r.id: _seen(r) for r in shown}
    fresh = tuple(one for key, one in seen.items() if before.get(key) != one)
    gone = tuple(
        key
        for key, one in before.items()
        if key not in seen and one.state in LIVE and one.source not in silent
    )
    total, allocated, free = _gpus(snapshot) if not silent else (None, None, None)
    newer = [
        r
        for r in snapshot.runs
        if r.state in HOLDING
        and any(at is not None and at > plan.generated_at for at in (r.submitted_at, r.started_at))
        and family(r) not in families
    ]
    return Look(
        at=_read_at(snapshot, silent),
        runs=fresh,
        gone=gone,
        silent=tuple(sorted(silent)),
        gpus_total=total,
        gpus_allocated=allocated,
        gpus_free=free,
        stranded_gpus=stranded_gpus(snapshot) if stranded and not silent else None,
        newer_gpus=sum(r.request.gpu_milli or 0 for r in newer) / WHOLE_MILLI,
    )


def silent_sources(snapshot: Snapshot) -> frozenset[str]:
    """The schedulers that did not answer just now."""
    others = ("telemetry", "mlflow")
    return frozenset(s.name for s in snapshot.sources if s.kind not in others and not s.usable)


def _read_at(snapshot: Snapshot, silent: Collection[str]) -> datetime:
    times = [
        s.read_at
        for s in snapshot.sources
        if s.read_at is not None and s.name not in silent and s.kind not in ("telemetry", "mlflow")
    ]
    return min(times, default=snapshot.generated_at)


def _seen(run: Run) -> RunSeen:
    return RunSeen(
        id=run.id,
        family=family(run),
        state=run.state,
        count=run.count,
        held=run.held,
        started_at=None if run.state is RunState.PENDING else run.started_at,
        ended_at=run.ended_at,
        placement=run.placement,
    )


def _gpus(snapshot: Snapshot) -> tuple[float | None, float | None, float | None]:
    """All GPUs, those allocated and those that are free on nodes that take new runs."""
    nodes = [n for n in snapshot.nodes if n.gpu_count]
    if any(n.gpu_milli_allocated is None for n in nodes):
        return float(sum(n.gpu_count for n in nodes)), None, None
    taken = sum(n.gpu_milli_allocated or 0 for n in nodes)
    free = sum(n.gpu_milli_free or 0 for n in nodes if n.placeable)
    return (
        float(sum(n.gpu_count for n in nodes)),
        taken / WHOLE_MILLI,
        free / WHOLE_MILLI,
    )


def stranded_gpus(snapshot: Snapshot) -> float | None:
    """GPUs that are free and that the present requests cannot use, as the optimiser reckons it."""
    from foundry_tui.optimiser import arrays, measures

    boards = {}
    for name in dict.fromkeys(n.source for n in snapshot.nodes):
        nodes, _ = arrays.sift(snapshot, name)
        if nodes:
            boards[name] = arrays.build(snapshot, name, nodes)
    mixes = {name: measures.mix_of(r for r in snapshot.runs if r.source == name) for name in boards}
    return measures.before(snapshot, boards, mixes, 0)["fragmentation_gpus"]


def waiters(snapshot: Snapshot, plan: Plan) -> tuple[Waiter, ...]:
    """Who waited for room when the plan was made, as the optimiser counts, and whom it moves.

    What has started since then waited too; what was submitted since did not.
    """
    from foundry_tui.optimiser import arrays
    from foundry_tui.optimiser.demand import demands, running_tasks

    found: dict[str, Waiter] = {}
    moved = displaced(plan)
    for name in dict.fromkeys(n.source for n in snapshot.nodes):
        nodes, _ = arrays.sift(snapshot, name)
        if not nodes or name in silent_sources(snapshot):
            continue
        board = arrays.build(snapshot, name, nodes)
        runs = [r for r in snapshot.runs if r.source == name]
        active = running_tasks(runs)
        for run in runs:
            if run.id in moved:
                if run.started_at is not None:
                    _count(found, run, 1, since=run.started_at)
            elif run.submitted_at is not None and run.submitted_at > plan.generated_at:
                continue
            elif run.state is RunState.PENDING:
                needs = demands(run, snapshot.generated_at, active, board.stock)
                if not isinstance(needs, str) and needs[0].profile is None:
                    _count(found, run, needs[0].tasks)
            elif run.started_at is not None and run.started_at >= plan.generated_at:
                _count(found, run, 1)
    return tuple(found.values())


def displaced(plan: Plan) -> frozenset[str]:
    """The runs that the plan stops, to start them again."""
    steps = (step for move in plan.moves for step in move.steps)
    stopping = (step for step in steps if isinstance(step, Requeue | Suspend))
    return frozenset(run for step in stopping for run in step.runs)


def _count(
    found: dict[str, Waiter], run: Run, tasks: int, *, since: datetime | None = None
) -> None:
    key = family(run)
    before = found[key].count if key in found else 0
    found[key] = Waiter(
        family=key,
        count=before + tasks,
        user=run.user,
        account=run.account,
        queue=run.queue,
        since=since,
    )


def told_by(records: Iterable[UsageRecord], families: Collection[str]) -> tuple[RunSeen, ...]:
    """What the accounting tells of these runs, try after try."""
    found = []
    for record in records:
        key = run_id(record.source, record.native_id)
        if family_of(key) in families:
            ran = record.started_at is not None and bool(record.nodes)
            found.append(
                RunSeen(
                    id=key,
                    family=family_of(key),
                    state=record.state,
                    started_at=record.started_at if ran else None,
                    ended_at=record.ended_at,
                    placement=tuple(Placement(node, None) for node in record.nodes),
                )
            )
    return tuple(sorted(found, key=lambda r: (_second(r.started_at), r.id)))


def _second(at: datetime | None) -> float:
    return float("inf") if at is None else at.timestamp()
