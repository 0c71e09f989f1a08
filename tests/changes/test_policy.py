"""What a site's policy, the built-in limits and a user's rights let a plan do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from foundry_tui.changes.people import Person
from foundry_tui.changes.policy import Judged, judge
from foundry_tui.config.policy import Approval, Limits, Policy, Role
from foundry_tui.estate.acts import (
    Act,
    Cancel,
    ChangeNode,
    ChangeQueue,
    ChangeRun,
    Hold,
    MoveNode,
    Suspend,
)
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.plan import Move, Plan, Target
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.rights import Association, Rights
from foundry_tui.estate.run import ArrayPart, Request, Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.estate.text import safe

NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)
ANN = Person(uid=1001, user="ann", groups=("gpu-admins",))
OPEN = Policy()
OWN = Rights(user="ann", admin=False, associations=(Association(account="ml"),))


def run(n: int, user: str = "ann", account: str = "ml", gpus: int = 1, count: int = 1) -> Run:
    return Run(
        id=f"lab/{n}",
        native_id=str(n),
        source="lab",
        scheduler="slurm",
        name=safe("r"),
        state=RunState.PENDING,
        user=user,
        account=account,
        priority=50,
        request=Request(gpu_count=gpus, gpu_milli=1000 * gpus),
        array=ArrayPart(job_id=str(n), tasks=f"1-{count}", count=count) if count > 1 else None,
    )


RUNS = (run(1), run(2, "bob", gpus=4), run(3, "eve", "bio"), run(4, count=20))
NODES = tuple(
    Node(name=f"h{n}", source="lab", state=NodeState.IDLE, gpu_count=8, queues=("h100",))
    for n in range(8)
)
QUEUE = Queue(
    name="team", source="ai", kind="project", quota_gpu_milli=10_000, limit_gpu_milli=20_000
)
ESTATE = Snapshot(
    generated_at=NOW,
    sources=(
        Source(name="lab", kind="slurm", state=SourceState.OK),
        Source(name="ai", kind="runai", state=SourceState.OK),
    ),
    nodes=NODES,
    gpus=(),
    queues=(QUEUE,),
    runs=RUNS,
)


def verdict(
    *acts: Act, policy: Policy = OPEN, rights: Rights | None = None, who: Person = ANN
) -> Judged:
    moves = tuple(
        Move(id=f"m{n}", target=Target("run", "lab/1"), action="do", steps=(act,))
        for n, act in enumerate(acts, 1)
    )
    return judge(planned(moves), moves, policy, who, {"lab": rights, "ai": rights}, ESTATE)


def planned(moves: tuple[Move, ...]) -> Plan:
    return Plan(
        id="p",
        generated_at=NOW,
        estate_id="e",
        objective_name="",
        objective=None,
        bound=None,
        gap=None,
        status="heuristic",
        solve_s=0.0,
        moves=moves,
        before={},
        after={},
    )


def hold(*ids: int) -> Hold:
    return Hold(source="lab", runs=tuple(f"lab/{n}" for n in ids))


def drain(count: int) -> ChangeNode:
    names = tuple(f"h{n}" for n in range(count))
    return ChangeNode(source="lab", nodes=names, state="drain", reason="test")


def quota(**fields: str) -> ChangeQueue:
    return ChangeQueue(source="ai", queue="team", fields=tuple(fields.items()))


def roles(*made: Role) -> Policy:
    return Policy(roles=made)


def test_without_a_policy_what_the_scheduler_allows_is_allowed() -> None:
    assert verdict(hold(1), hold(2, 3), drain(1), quota(quota_gpus="11")) == Judged()


def test_a_missing_right_is_named() -> None:
    told = verdict(hold(1, 2), hold(3), rights=OWN).refusals
    assert told == (
        "m1: lab/2 belongs to bob: only bob, a coordinator of ml or a Slurm operator may hold it",
        "m2: lab/3 belongs to eve: only eve, a coordinator of bio or a Slurm operator may hold it",
    )
    over_ml = replace(OWN, coordinates=("ml",))
    assert [words[:2] for words in verdict(hold(1, 2), hold(3), rights=over_ml).refusals] == ["m2"]
    suspended = Suspend(source="lab", runs=("lab/1",))
    first = ChangeRun(source="lab", runs=("lab/1",), fields=(("priority", "99"),))
    own = verdict(suspended, first, hold(1), rights=OWN).refusals
    lower = ChangeRun(source="lab", runs=("lab/1",), fields=(("priority", "9"),))
    assert verdict(lower, rights=OWN).refusals == ()
    assert [words[:26] for words in own] == [
        "m1: needs a Slurm operator",
        "m2: needs a Slurm operator",
    ]
    no_nodes = replace(OWN, admin=True, may_nodes=False, may_queues=False)
    node, queue = verdict(drain(1), quota(quota_gpus="11"), rights=no_nodes).refusals
    assert "needs a Slurm administrator" in node
    assert "needs a Run:ai role that changes quotas" in queue


def test_rights_that_were_not_told_forbid_nothing() -> None:
    unknown = Rights(user="ann", admin=False, reason="slurmdbd does not answer")
    assert verdict(hold(2), drain(1), rights=unknown) == Judged()


@pytest.mark.parametrize(
    ("role", "act", "word"),
    [
        (Role(name="r", users=("bob",), may=("all",), on="all"), hold(1), "gives ann no role"),
        (Role(name="r", users=("*",), may=("release",)), hold(1), "that may hold"),
        (Role(name="r", users=("ann",), may=("hold",)), hold(1), None),
        (Role(name="r", users=("ann",), may=("hold",)), hold(1, 2), "lab/2 belongs to bob"),
        (Role(name="r", groups=("gpu-admins",), may=("hold",), on="account"), hold(2), None),
        (Role(name="r", users=("ann",), may=("hold",), on="account"), hold(3), "of your accounts"),
        (Role(name="r", users=("ann",), may=("all",), on="all"), hold(3), None),
        (Role(name="r", users=("ann",), may=("all",)), drain(1), 'on = "all"'),
        (Role(name="r", users=("ann",), may=("all",), on="all"), drain(1), None),
        (
            Role(name="r", users=("ann",), may=("all",), on="all", sources=("ai",)),
            hold(1),
            "no role on lab",
        ),
    ],
)
def test_roles(role: Role, act: Act, word: str | None) -> None:
    rights = replace(OWN, admin=True)
    told = verdict(act, policy=roles(role), rights=rights).refusals
    assert (told == ()) if word is None else (word in told[0])


def test_the_built_in_limits_stop_a_blast() -> None:
    assert verdict(drain(2)).refusals == ()
    assert verdict(drain(3)).refusals == (
        "3 of the 8 nodes of lab/h100 drained or moved, and limits.most_nodes_drained_pct is 25 %: "
        "2 at once",
    )
    assert "51 moves, and limits.most_moves is 50" in verdict(*[hold(1)] * 51).refusals[0]
    everything = Policy(limits=Limits(most_nodes_drained_pct=None))
    told = verdict(drain(8), policy=everything).refusals
    assert told == (
        "it touches every node of lab (8), which limits.whole_source does not let one plan do",
    )
    moved = MoveNode(source="lab", nodes=("h6", "h7"), pool=None)
    assert "4 of the 8 nodes" in verdict(drain(2), moved).refusals[0]


@pytest.mark.parametrize(
    ("limits", "act", "word"),
    [
        (Limits(most_runs=20), hold(1, 4), "21 runs"),
        (Limits(most_runs=21), hold(1, 4), None),
        (Limits(most_gpus=3), hold(2), "4 GPUs touched"),
        (Limits(most_gpus=15), drain(2), "16 GPUs touched"),
        (Limits(most_nodes_drained=1), drain(2), "2 nodes drained"),
        (Limits(most_quota_change_gpus=4), quota(quota_gpus="4"), "changes by 6 GPUs"),
        (Limits(most_quota_change_gpus=4), quota(limit_gpus="24"), None),
        (Limits(most_quota_change_pct=50), quota(quota_gpus="16"), "changes by 60 %"),
        (Limits(most_quota_change_gpus=9), quota(limit_gpus="unlimited"), "without a measure"),
    ],
)
def test_limits_of_the_site(limits: Limits, act: Act, word: str | None) -> None:
    told = verdict(act, policy=Policy(limits=limits)).refusals
    assert (told == ()) if word is None else (word in told[0])


def test_an_amount_that_is_not_known_is_not_taken_for_none() -> None:
    unknown = replace(RUNS[0], request=Request(gpu_count=1, gpu_milli=None))
    estate = replace(ESTATE, runs=(unknown,))
    move = Move(id="m1", target=Target("run", "lab/1"), action="do", steps=(hold(1),))
    policy = Policy(limits=Limits(most_gpus=100))
    told = judge(planned((move,)), (move,), policy, ANN, {}, estate).refusals
    assert told == ("how many GPUs it touches is not known, and limits.most_gpus is 100",)


def test_others_must_agree_to_what_the_policy_names() -> None:
    policy = Policy(approval=Approval(above_moves=1, acts=("cancel",), above_nodes=0, approvals=2))
    assert verdict(hold(1), policy=policy) == Judged()
    two = verdict(hold(1), Cancel(source="lab", runs=("lab/1",)), policy=policy)
    assert (two.refusals, two.approvals) == ((), 2)
    assert two.why == "2 moves, and approval.above_moves is 1; approval.acts names cancel"
    assert verdict(drain(1), policy=policy).approvals == 2
