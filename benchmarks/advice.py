"""CPU seconds of advice on a large estate, without an exact search: the budget is 2 s.

    python -m benchmarks.advice

Two estates of 1,250 nodes: one that is full, with 5,000 records that wait, and the same one after a
third of its runs of one GPU have ended and only large runs wait, so that room has to be looked for.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from random import Random

from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.optimiser.advise import advise
from foundry_tui.schedulers.simulated.make_estate import make

NODES, WAITING, SEED = 1250, 5000, 7
ROUNDS = 3


def main() -> None:
    """Print one row per estate and rule."""
    full = make(NODES, WAITING, SEED)
    for name, snapshot in (("full", full), ("in pieces", in_pieces(full))):
        waits = sum(run.state is RunState.PENDING for run in snapshot.runs)
        print(f"{name}: {len(snapshot.nodes)} nodes, {waits} records wait")
        for room in (True, False):
            took_s, moves = min((_timed(snapshot, room=room) for _ in range(ROUNDS)), key=_took)
            print(f"  {'with' if room else 'without'} room: {took_s:.2f} s CPU, {dict(moves)}")


def _took(timed: tuple[float, Counter[str]]) -> float:
    return timed[0]


def _timed(snapshot: Snapshot, *, room: bool) -> tuple[float, Counter[str]]:
    began_s = time.process_time()
    plan = advise(
        snapshot,
        rights_by_source={},
        now=snapshot.generated_at,
        idle_util_pct=5.0,
        idle_after_s=1800.0,
        room=room,
    )
    return time.process_time() - began_s, Counter(move.rule for move in plan.moves)


def in_pieces(snapshot: Snapshot) -> Snapshot:
    """A third of the running runs of one GPU has ended, and only runs of four and more wait."""
    random = Random(SEED)
    ended = {
        run.id
        for run in snapshot.runs
        if run.state is RunState.RUNNING and run.request.gpu_count == 1 and random.random() < 1 / 3
    }
    cpu: Counter[tuple[str, str]] = Counter()
    memory: Counter[tuple[str, str]] = Counter()
    milli: Counter[tuple[str, str]] = Counter()
    for run in snapshot.runs:
        if run.id in ended:
            place = run.source, run.placement[0].node
            cpu[place] += run.request.cpu_milli or 0
            memory[place] += run.request.memory_bytes or 0
            milli[place] += run.request.gpu_milli or 0
    return replace(
        snapshot,
        nodes=tuple(
            replace(
                n,
                gpu_milli_allocated=(n.gpu_milli_allocated or 0) - milli[n.source, n.name],
                cpu_milli_allocated=(n.cpu_milli_allocated or 0) - cpu[n.source, n.name],
                memory_bytes_allocated=(n.memory_bytes_allocated or 0) - memory[n.source, n.name],
            )
            for n in snapshot.nodes
        ),
        gpus=tuple(
            replace(g, tenants=tuple(t for t in g.tenants or () if t.run not in ended))
            for g in snapshot.gpus
        ),
        runs=tuple(r for r in snapshot.runs if r.id not in ended and _stays(r)),
    )


def _stays(run: Run) -> bool:
    return run.state is not RunState.PENDING or run.request.gpu_count >= 4


if __name__ == "__main__":
    main()
