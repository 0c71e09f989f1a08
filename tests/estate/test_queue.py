"""The use of queues, counted from their runs: what is unknown is no zero."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from foundry_tui.estate.queue import Queue, with_use
from foundry_tui.estate.run import ArrayPart, Request, Run, RunState
from foundry_tui.estate.text import safe

NOW = datetime(2026, 3, 14, 9, 30, tzinfo=UTC)


def run(native_id: str, state: RunState, queue: str = "a", **more: Any) -> Run:
    return Run(
        id=f"lab/{native_id}",
        native_id=native_id,
        source="lab",
        scheduler="slurm",
        name=safe("x"),
        state=state,
        queue=queue,
        **more,
    )


def queues(*names: str) -> tuple[Queue, ...]:
    return tuple(Queue(name=n, source="lab", kind="partition") for n in names)


def test_amounts_and_tasks_are_counted_in_every_queue_where_a_run_waits() -> None:
    runs = (
        run("1", RunState.RUNNING, "a,b", request=Request(gpu_count=2, gpu_milli=2000)),
        run(
            "2",
            RunState.PENDING,
            "a,b",
            request=Request(gpu_count=1, gpu_milli=500),
            array=ArrayPart("2", "1-3", 3),
            submitted_at=NOW - timedelta(minutes=1),
        ),
    )
    a, b = with_use(queues("a", "b"), runs, NOW)
    assert (a.running, a.allocated_gpu_milli, a.waiting, a.requested_gpu_milli) == (
        1,
        2000,
        3,
        1500,
    )
    assert (b.running, b.allocated_gpu_milli, b.waiting, b.requested_gpu_milli) == (0, 0, 3, 1500)
    assert a.oldest_wait_s == b.oldest_wait_s == 60.0


def test_an_unknown_wait_is_no_wait_of_zero_seconds() -> None:
    unknown = run("1", RunState.PENDING)
    known = run("2", RunState.PENDING, submitted_at=NOW - timedelta(seconds=7))
    (alone,) = with_use(queues("a"), (unknown,), NOW)
    assert (alone.waiting, alone.oldest_wait_s) == (1, None)
    (both,) = with_use(queues("a"), (known, unknown), NOW)
    assert (both.waiting, both.oldest_wait_s) == (2, 7.0)


def test_one_unknown_amount_makes_the_sum_unknown() -> None:
    runs = (
        run("1", RunState.RUNNING, request=Request(gpu_count=1, gpu_milli=None)),
        run("2", RunState.RUNNING, request=Request(gpu_count=1, gpu_milli=1000)),
    )
    (queue,) = with_use(queues("a"), runs, NOW)
    assert (queue.running, queue.allocated_gpu_milli) == (2, None)
