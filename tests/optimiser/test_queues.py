"""Which queue a run is sent to: only one that takes it, and never without its owner."""

from __future__ import annotations

from dataclasses import replace

from foundry_tui.estate.plan import Plan
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.rights import Association, Rights
from foundry_tui.estate.run import Run
from tests.optimiser.estates import estate, node, plan_for, queue, running, waiting, why_not


def test_a_change_of_queue_is_marked_and_its_owner_has_to_agree() -> None:
    nodes = [node("a1", queues=("a100",)), node("h1", queues=("h100",))]
    queues = [queue("a100"), queue("h100")]
    runs = [running("r", "a1", [0, 1, 2, 3], ends=3), waiting("w", 2, queue="a100", hours=2)]
    (move,) = plan_for(estate(nodes, runs, queues)).moves
    assert (move.action, move.queue, move.owner, move.risk) == (
        "move_queue",
        "h100",
        "ada",
        "medium",
    )
    assert "owner must agree" in move.why
    assert "a100 has no room for it before 2026-03-02 12:00 UTC" in move.why
    assert move.inverse == "queue=a100 nodelist="
    assert move.gain == 4.0


def _elsewhere(full: str, queues: list[Queue], run: Run, rights: Rights | None = None) -> Plan:
    """Advice for a run whose own queue is full while the node of another stands empty."""
    nodes = [node("n1", queues=(full,)), node("n2", queues=tuple(q.name for q in queues[1:]))]
    snapshot = estate(nodes, [running("r", "n1", [0, 1, 2, 3]), run], queues)
    return plan_for(snapshot) if rights is None else plan_for(snapshot, rights=rights)


def test_no_run_is_sent_to_a_queue_that_would_not_take_it() -> None:
    own, other = queue("own"), queue("other")
    run = waiting("w", queue="own", hours=2)
    assert len(_elsewhere("own", [own, other], run).moves) == 1
    refusing = (
        replace(other, state="down"),
        replace(other, time_limit_s=3600),
        replace(other, accounts=("bio",)),
        replace(other, qos=("high",)),
        replace(other, max_nodes=0),
    )
    for closed in refusing:
        assert _elsewhere("own", [own, closed], run).moves == (), closed
    endless = replace(run, request=replace(run.request, time_limit_s=None))
    assert _elsewhere("own", [replace(own, time_limit_s=None), other], endless).moves == ()


def test_the_associations_of_a_user_bind_that_user_only() -> None:
    queues = [queue("own"), queue("other")]
    rights = Rights(
        user="ada", admin=False, associations=(Association(account="ml", queues=("own",)),)
    )
    assert _elsewhere("own", queues, waiting("w", queue="own"), rights).moves == ()
    plan = _elsewhere("own", queues, waiting("w", queue="own", user="eve"), rights)
    assert len(plan.moves) == 1
    assert any("rights that are not known here" in a for a in plan.assumptions)


def test_a_closed_queue_keeps_its_runs_waiting() -> None:
    snapshot = estate([node("n1")], [waiting("w")], [queue(state="drain")])
    plan = plan_for(snapshot)
    assert plan.moves == ()
    assert "no node of lab takes new runs" in why_not(plan, "w")
