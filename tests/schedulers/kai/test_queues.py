"""KAI's queues as a tree: amounts, sums in the parents, and trees that are none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from foundry_tui.estate.queue import Queue
from foundry_tui.estate.run import Request, Run, RunState
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.kai import objects
from foundry_tui.schedulers.kai.queues import Use, queues
from tests.schedulers.kai.things import queue, read

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def made(
    *things: dict[str, Any], runs: tuple[Run, ...] = (), uses: dict[str, Use] | None = None
) -> dict[str, Queue]:
    found = queues([read(objects.KaiQueue, t) for t in things], runs, 12000, "lab", NOW, uses)
    return {q.name: q for q in found}


def run(
    name: str, where: str, milli: int | None, *, waits: bool = False, firm: bool = False
) -> Run:
    return Run(
        id=f"lab/{name}",
        native_id=name,
        source="lab",
        scheduler="kai",
        name=safe(name),
        state=RunState.PENDING if waits else RunState.RUNNING,
        queue=where,
        request=Request(gpu_count=1, gpu_milli=milli),
        submitted_at=datetime(2026, 11, 1, 11, tzinfo=UTC),
        native={"preemptible": safe("false" if firm else "true")},
    )


TREE = (
    queue("research", quota=12, limit=-1, overQuotaWeight=1),
    queue("team-a", "research", quota=4, limit=8.5, overQuotaWeight=2),
    queue("team-b", "research", quota=-1, limit=-1, overQuotaWeight=0),
)


def test_amounts_are_in_thousandths_and_unlimited_is_none() -> None:
    found = made(*TREE)
    team = found["team-a"]
    assert (team.kind, team.source, team.parent) == ("queue", "lab", "research")
    assert (team.quota_gpu_milli, team.limit_gpu_milli, team.over_quota_weight) == (4000, 8500, 2.0)
    assert (team.total_gpu_milli, team.priority) == (12000, 100)
    assert team.created_at == datetime(2026, 11, 1, 8, tzinfo=UTC)
    other = found["team-b"]
    assert (other.quota_gpu_milli, other.limit_gpu_milli) == (None, None)
    assert found["research"].parent is None


def test_a_queue_without_amounts_has_no_quota_and_no_limit() -> None:
    found = made(queue("bare"))["bare"]
    assert (found.quota_gpu_milli, found.limit_gpu_milli) == (0, None)
    assert found.over_quota_weight is None


def test_parents_have_the_sums_of_their_children() -> None:
    runs = (
        run("a", "team-a", 1000, firm=True),
        run("b", "team-a", 500),
        run("c", "team-b", 250),
        run("d", "team-b", 4000, waits=True),
    )
    found = made(*TREE, runs=runs)
    assert found["team-a"].allocated_gpu_milli == 1500
    assert found["team-a"].allocated_non_preemptible_gpu_milli == 1000
    assert found["team-b"].requested_gpu_milli == 4000
    top = found["research"]
    assert (top.allocated_gpu_milli, top.requested_gpu_milli) == (1750, 4000)
    assert (top.running, top.waiting, top.oldest_wait_s) == (3, 1, 3600.0)
    assert top.allocated_non_preemptible_gpu_milli == 1000


def test_what_the_pods_hold_counts_and_not_what_the_whole_asks_for() -> None:
    part, stopped = run("part", "team-a", 12000, firm=True), run("stopped", "team-b", 4000)
    stopped = replace(stopped, state=RunState.SUSPENDED)
    uses = {"lab/part": Use(9000, 3000), "lab/stopped": Use(0, 0)}
    found = made(*TREE, runs=(part, stopped, run("w", "team-a", 500, waits=True)), uses=uses)
    team, other, top = found["team-a"], found["team-b"], found["research"]
    assert (team.allocated_gpu_milli, team.requested_gpu_milli) == (9000, 3500)
    assert team.allocated_non_preemptible_gpu_milli == 9000
    assert (other.allocated_gpu_milli, other.requested_gpu_milli) == (0, 0)
    assert (top.allocated_gpu_milli, top.requested_gpu_milli) == (9000, 3500)


def test_a_waiting_part_that_is_unknown_makes_the_sum_unknown() -> None:
    found = made(*TREE, runs=(run("part", "team-a", 2000),), uses={"lab/part": Use(1000, None)})
    assert found["team-a"].allocated_gpu_milli == 1000
    assert found["team-a"].requested_gpu_milli is None


def test_an_unknown_amount_makes_the_sums_unknown() -> None:
    found = made(*TREE, runs=(run("a", "team-a", None), run("b", "team-b", 500)))
    assert found["team-a"].allocated_gpu_milli is None
    assert found["team-b"].allocated_gpu_milli == 500
    assert found["research"].allocated_gpu_milli is None


def test_a_request_that_makes_no_sense_blinds_nobody() -> None:
    absurd = run("absurd", "team-a", None, waits=True)
    absurd = replace(absurd, native={"amount": safe("gpu-fraction is 'NaN'")})
    found = made(*TREE, runs=(absurd, run("fine", "team-b", 2000, waits=True)))
    assert (found["team-a"].requested_gpu_milli, found["team-a"].waiting) == (0, 1)
    assert found["team-b"].fair_share_gpu_milli == 2000


def test_fair_shares_are_filled() -> None:
    runs = tuple(run(f"a{n}", "team-a", 1000) for n in range(8))
    found = made(*TREE, runs=runs)
    assert found["team-a"].fair_share_gpu_milli == 8000
    assert found["team-b"].fair_share_gpu_milli == 0


def test_a_ring_and_a_missing_parent_are_no_crash() -> None:
    found = made(queue("a", "b"), queue("b", "a"), queue("c", "c"), queue("d", "gone"))
    assert set(found) == {"a", "b", "c", "d"}


def test_names_are_made_safe() -> None:
    assert set(made(queue("ü\x1b"))) == {"ü␛"}
