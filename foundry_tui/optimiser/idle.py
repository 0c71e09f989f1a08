"""GPUs that somebody holds and nobody uses: shown to a person, never taken away by a program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from foundry_tui.estate.gpu import Gpu
from foundry_tui.estate.plan import Move, Target
from foundry_tui.estate.run import Placement, Run
from foundry_tui.estate.snapshot import Snapshot

ACTION = "review_idle"


@dataclass(frozen=True, slots=True)
class Idle:
    """Allocated GPUs that are idle, and how many could not be judged.

    `unread` have no utilisation, `undated` show none but since when is not known.
    """

    gpus: tuple[Gpu, ...]
    unread: int
    undated: int


def find(snapshot: Snapshot, now: datetime, *, util_pct: float, after_s: float) -> Idle:
    """GPUs with a tenant, at most `util_pct` busy, for at least `after_s` seconds."""
    idle: list[Gpu] = []
    unread = undated = 0
    for gpu in snapshot.gpus:
        if gpu.tenants is not None and not gpu.tenants:
            continue
        if gpu.util_pct is None:
            unread += 1
        elif gpu.util_pct > util_pct:
            continue
        elif gpu.idle_since is None:
            undated += 1
        elif (now - gpu.idle_since).total_seconds() >= after_s and gpu.tenants:
            idle.append(gpu)
    return Idle(tuple(idle), unread, undated)


def moves(idle: Idle, snapshot: Snapshot, now: datetime) -> list[Move]:
    """One review per run that holds idle GPUs, those that waste most first. Ids are given later."""
    runs = {r.id: r for r in snapshot.runs}
    held: dict[str, list[Gpu]] = {}
    for gpu in idle.gpus:
        for run in gpu.runs:
            held.setdefault(run, []).append(gpu)
    found = [_review(run, gpus, runs.get(run), now) for run, gpus in held.items()]
    found.sort(key=lambda pair: (-pair[0], pair[1].target.id))
    return [move for _, move in found]


def _review(run_id: str, gpus: Sequence[Gpu], run: Run | None, now: datetime) -> tuple[float, Move]:
    shares = [sum(t.milli for t in g.tenants or () if t.run == run_id) for g in gpus]
    since = [g.idle_since or now for g in gpus]
    wasted_h = sum(
        milli / 1000 * (now - s).total_seconds() / 3600
        for milli, s in zip(shares, since, strict=True)
    )
    milli = sum(shares)
    by_node: dict[str, list[int]] = {}
    for gpu in gpus:
        by_node.setdefault(gpu.node, []).append(gpu.index)
    owner = run.user if run is not None else None
    busiest = max(g.util_pct or 0.0 for g in gpus)
    where = "; ".join(f"{node} GPU {','.join(map(str, i))}" for node, i in by_node.items())
    why = (
        f"{owner or 'an unknown user'} holds {milli / 1000:g} GPU on {where}, at most "
        f"{busiest:g} % busy since {min(since):%Y-%m-%d %H:%M} UTC: "
        f"{wasted_h:.1f} GPU-hours unused so far; ask the owner"
    )
    return wasted_h, Move(
        id="",
        target=Target("run", run_id),
        action=ACTION,
        placement=tuple(Placement(node, tuple(sorted(i))) for node, i in by_node.items()),
        gpu_milli=milli,
        precondition={"state": None if run is None else str(run.state)},
        gain=_remaining_h(run, milli, now),
        cost=_worked_h(run, milli, now),
        risk="high",
        owner=owner,
        why=why,
        rule="idle",
    )


def _remaining_h(run: Run | None, milli: int, now: datetime) -> float | None:
    """GPU-hours until the time limit, which would become free; None without a limit."""
    if run is None or run.ends_by is None:
        return None
    return max(0.0, (run.ends_by - now).total_seconds()) / 3600 * milli / 1000


def _worked_h(run: Run | None, milli: int, now: datetime) -> float | None:
    """GPU-hours that were spent on these GPUs and would be thrown away."""
    if run is None or run.started_at is None:
        return None
    return max(0.0, (now - run.started_at).total_seconds()) / 3600 * milli / 1000
