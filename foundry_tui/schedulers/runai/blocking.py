"""What runs hold in each node pool, and the numbers that keep a waiting run from starting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from foundry_tui.estate.queue import Queue
from foundry_tui.estate.run import Run, RunState
from foundry_tui.schedulers.runai import gpus, nouns
from foundry_tui.schedulers.runai.pairing import Seat
from foundry_tui.schedulers.runai.queues import NO_POOL, quotas_of
from foundry_tui.schedulers.runai.tables import Tables
from foundry_tui.schedulers.runai.wire import text


def held_by_run(
    hosts: dict[tuple[str | None, str], gpus.Host],
    seats: dict[tuple[str | None, str], list[Seat]],
) -> dict[tuple[str, str], int | None]:
    """(run, node pool) -> thousandths of GPU; None where a part is not known."""
    found: dict[tuple[str, str], int | None] = {}
    for raw, held in seats.items():
        pool = text(hosts[raw].told.node_pool) or NO_POOL
        for seat in held:
            before = found.get((seat.run, pool), 0)
            whole = before is not None and seat.milli is not None
            amount = (before or 0) + (seat.milli or 0) * seat.devices
            found[seat.run, pool] = amount if whole else None
    return found


def with_quota(
    run: Run,
    listed_queues: Sequence[Queue],
    tables: Tables,
    totals: Mapping[str, int],
    used: Mapping[tuple[str, str], int | None],
) -> Run:
    """A waiting run with the numbers of the project that keeps it from starting.

    They are those of the node pool that the message names, or of the only one that is asked for;
    else the sums over all pools. `used` are thousandths by project and pool.
    """
    native = run.native or {}
    queue = next((q for q in listed_queues if q.name == run.queue), None)
    if run.state is not RunState.PENDING or "unscheduled_reason" not in native or queue is None:
        return run
    pool = _blocking_pool(native)
    unit = tables.project(queue.name)
    quota = quotas_of(unit, totals).get(pool) if unit is not None and pool is not None else None
    found: dict[str, object] = {
        "unscheduled_queue": queue.name,
        "unscheduled_requested": run.request.gpu_milli,
        "unscheduled_deserved": queue.quota_gpu_milli,
        "unscheduled_allocated": queue.allocated_gpu_milli,
        "unscheduled_limit": queue.limit_gpu_milli,
    }
    if quota is not None and pool is not None:
        found |= {
            "unscheduled_pool": pool,
            "unscheduled_deserved": quota.deserved,
            "unscheduled_allocated": used.get((queue.name, pool), 0),
            "unscheduled_limit": quota.limit,
        }
    return replace(run, native={**native, **nouns.words(found)})


def _blocking_pool(native: Mapping[str, str]) -> str | None:
    pools = [p for p in native.get("node_pools", "").split(",") if p]
    if len(pools) == 1:
        return pools[0]
    message = native.get("unscheduled_message", "").split()
    return next((p for p in pools if p in message), None)


def held_by_queue(
    held: Mapping[tuple[str, str], int | None], runs: Sequence[Run]
) -> dict[tuple[str, str], int | None]:
    """(project, node pool) -> thousandths of GPU."""
    queue = {run.id: run.queue or "" for run in runs}
    found: dict[tuple[str, str], int | None] = {}
    for (run, pool), amount in held.items():
        before = found.get((queue[run], pool), 0)
        found[queue[run], pool] = (
            None if None in (before, amount) else (before or 0) + (amount or 0)
        )
    return found
