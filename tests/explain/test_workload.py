"""Why a workload of KAI or Run:ai waits: every reason, in the order in which one hides the next."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from foundry_tui.estate.node import NodeState
from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.explain.verdict import ADMIN, Deed, Diagnosis, Kind
from tests.explain.pods import GIB, node, queue, queues, running, snapshot, why, workload

FULL = (1000, 1000, 1000, 1000)


def steps(found: Diagnosis) -> list[str]:
    return [c.sentence for c in found.candidates]


def test_a_run_that_does_not_wait() -> None:
    found = why(replace(workload(), state=RunState.RUNNING), snapshot())
    assert found.kind is Kind.NOT_WAITING


# -- nobody looks at it


@pytest.mark.parametrize(
    ("run", "kind", "says", "step"),
    [
        (
            workload(native={"amount": "gpu-fraction -0.5"}),
            Kind.BAD_CONSTRAINTS,
            "its request makes no sense: gpu-fraction -0.5",
            "with a portion in (0, 1]",
        ),
        (
            workload(queue=None, native={"queue_label": None}),
            Kind.NO_QUEUE,
            "its pods name no queue",
            "with the label of its queue",
        ),
        (
            workload(native={"scheduler_name": "default-scheduler"}),
            Kind.NO_QUEUE,
            "its pods name the scheduler default-scheduler",
            "with schedulerName of KAI",
        ),
        (
            workload(queue="team-z"),
            Kind.NO_QUEUE,
            "there is no queue team-z",
            "to a queue that there is",
        ),
        (
            workload(queue="research"),
            Kind.NO_QUEUE,
            "queue research has queues below it",
            "submit it to team-a or team-b",
        ),
    ],
    ids=["amount", "no-label", "other-scheduler", "no-such-queue", "parent-queue"],
)
def test_what_no_scheduler_takes_up(run: Run, kind: Kind, says: str, step: str) -> None:
    found = why(run, snapshot())
    assert found.kind is kind
    assert says in found.sentence
    assert found.evidence
    assert found.candidates[0].act is Deed.RESUBMIT
    assert step in found.candidates[0].sentence


def test_queues_that_nobody_listed_hide_nothing() -> None:
    found = why(workload(queue="team-z"), snapshot(tree=()))
    assert found.kind is Kind.NEXT_CYCLE


def test_run_ai_schedules_projects_without_a_label_and_departments_are_its_own_affair() -> None:
    run = workload(
        queue="research",
        scheduler="runai",
        native={"scheduler_name": None, "queue_label": None},
    )
    assert why(run, snapshot()).kind is Kind.NEXT_CYCLE


def test_a_held_workload_is_released_by_its_owner() -> None:
    found = why(workload(held=True), snapshot())
    assert (found.kind, found.candidates[0].act) == (Kind.HELD_BY_USER, Deed.RELEASE)
    assert found.candidates[0].owner == "alice"


# -- quotas and limits


def test_a_quota_that_binds_with_its_numbers_and_every_way_out() -> None:
    seen = snapshot(
        tree=queues(
            team_a={"allocated_gpu_milli": 3000, "allocated_non_preemptible_gpu_milli": 3000}
        ),
        runs=[running("team-a", 3)],
    )
    run = workload(2, native={"preemptible": "false"}, reason="NonPreemptibleOverQuota")
    found = why(run, seen, may_use=["team-a", "team-b"])
    assert found.kind is Kind.QUEUE_LIMIT
    assert found.reason == "NonPreemptibleOverQuota"
    assert found.sentence == (
        "queue team-a has a quota of 4 GPUs and holds 3 GPUs; this run asks for 2 GPUs"
    )
    assert "run list: run r-team-a of queue team-a hold GPUs now" in found.evidence
    assert steps(found) == [
        "make it preemptible: it may borrow then, and can be stopped for its owners",
        "submit it to team-b, which has room for it",
        "ask for 1 GPU instead of 2",
        "wait for runs of queue team-a to end",
        "an administrator raises the quota of queue team-a by 1 GPU",
    ]
    assert found.candidates[0].not_before == found.at, "it would start now"
    assert found.candidates[-1].owner == ADMIN


def test_the_queue_above_may_be_the_one_that_binds() -> None:
    tree = queues(research={"limit_gpu_milli": 4000, "allocated_gpu_milli": 4000})
    found = why(workload(), snapshot(tree=tree, runs=[running("team-b", 4)]))
    assert "queue research has a limit of 4 GPUs and holds 4 GPUs" in found.sentence
    assert "queue tree: team-a lies below research" in found.evidence
    assert any("r-team-b of queue research" in fact for fact in found.evidence)


def test_the_scheduler_names_the_queue_and_its_numbers() -> None:
    """The lists are older or blind: what the scheduler says about the queue goes first."""
    told = {
        "unscheduled_reason": "OverLimit",
        "unscheduled_queue": "research",
        "unscheduled_limit": "6000",
        "unscheduled_allocated": "5500",
    }
    found = why(workload(native=told), snapshot())
    assert "queue research has a limit of 6 GPUs and holds 5.500 GPU" not in found.sentence
    assert "queue research has a limit of 6 GPUs and holds 5.5 GPU" in found.sentence
    assert "an administrator raises the limit of queue research by 0.5 GPU" in steps(found)


@pytest.mark.parametrize("queue_told", ["", "secret"])
def test_a_limit_that_the_lists_do_not_show_is_told_in_the_schedulers_words(
    queue_told: str,
) -> None:
    told = {
        "unscheduled_reason": "OverLimit",
        "unscheduled_queue": queue_told,
        "unscheduled_message": "team quota reached its limit",
    }
    found = why(workload(native=told), snapshot())
    assert found.kind is Kind.QUEUE_LIMIT
    assert found.sentence == "a limit of queue team-a keeps it waiting: OverLimit"
    assert found.evidence == ("team quota reached its limit",)
    assert [c.act for c in found.candidates] == [Deed.WAIT, Deed.ASK]


# -- never


def never(run: Run, seen: Snapshot, says: str) -> Diagnosis:
    found = why(run, seen)
    assert found.kind is Kind.BAD_CONSTRAINTS, found
    assert found.sentence.startswith("it can never start: ")
    assert says in found.sentence
    return found


def test_more_gpus_than_any_node_has() -> None:
    found = never(
        workload(8, native={"unscheduled_message": "no fit"}),
        snapshot(tree=queues(team_a={"quota_gpu_milli": None})),
        "it asks for 8 GPUs on one node; the largest node of the cluster has 4",
    )
    assert "ask for 4 GPUs instead of 8" in steps(found)
    assert "the scheduler: no fit" in found.evidence


def test_more_pods_than_the_cluster_holds() -> None:
    found = never(workload(4, pods=3), snapshot(), "all 3 pods together do not fit")
    assert "(2 do)" in found.sentence
    assert "start it with 2 pods instead of 3" in steps(found)


def test_a_pool_or_model_that_no_node_has() -> None:
    never(workload(native={"node_pools": "b200"}), snapshot(), "node pool b200 has no node")
    never(workload(asks={"gpu_model": "B200"}), snapshot(), "the cluster has no node with B200")


def test_more_gpu_memory_than_any_gpu_has() -> None:
    run = workload(milli=None, asks={"gpu_memory_bytes": 100 * GIB})
    found = never(run, snapshot(), "it asks for 100 GiB of GPU memory; the largest GPU")
    assert found.sentence.endswith("has 80 GiB")


def test_more_cpu_than_any_node_has() -> None:
    run = workload(asks={"cpu_milli": 100_000, "memory_bytes": GIB})
    never(run, snapshot(), "100 CPU and 1 GiB of memory on one node, more than any node")


def test_nodes_that_come_back_are_no_never() -> None:
    seen = snapshot(node("gpu00", (0, 0)), node("gpu01", state=NodeState.DRAINED))
    found = why(workload(4), seen)
    assert found.kind is Kind.NODE_UNAVAILABLE
    assert "gpu01 is drained" in found.sentence
    assert "ask for 2 GPUs instead of 4" in steps(found)


# -- binding, gangs, room


@pytest.mark.parametrize(
    ("native", "says"),
    [
        ({"bind_failures": "3", "bind_phase": "Failed"}, "binding it failed 3 times"),
        ({"bind_phase": "Failed"}, "binding it failed"),
        ({"reservation": "waiting"}, "its reservation pod is not ready"),
    ],
)
def test_a_bind_that_fails(native: dict[str, str | None], says: str) -> None:
    found = why(workload(native={**native, "bind_reason": "no device"}), snapshot())
    assert found.kind is Kind.BIND
    assert found.sentence.endswith(says)
    assert "no device" in found.evidence[0]
    assert found.candidates[0].owner == ADMIN


def test_a_gang_starts_with_all_its_pods() -> None:
    told = "Resources were found for 1 pods while 2 are required for gang scheduling."
    seen = snapshot(node("gpu00", FULL), node("gpu01"))
    run = workload(4, pods=2, native={"min_member": "2", "unscheduled_message": told})
    found = why(run, seen)
    assert found.kind is Kind.GANG
    assert found.sentence == (
        "it starts with all 2 pods at once, and now there is room for 1; each asks for 4 GPUs"
    )
    assert "the scheduler found room for 1 of 2 pods" in found.evidence
    assert steps(found)[-1] == "wait for other runs to end"
    assert "start it with 1 pod instead of 2" in steps(found)


def test_pods_that_need_not_start_together_are_no_gang() -> None:
    seen = snapshot(node("gpu00", FULL), node("gpu01"))
    loose = workload(4, pods=2, native={"min_member": "1"})
    assert why(loose, seen).kind is Kind.NEXT_CYCLE


def test_a_master_without_gpus_does_not_thin_out_its_workers() -> None:
    seen = snapshot(node("gpu00", (0, 1000, 1000, 1000)), node("gpu01", FULL))
    run = workload(asks={"gpu_count": 8, "gpu_milli": 8000}, native={"pods_wanted": "3"})
    found = why(run, seen)
    assert found.kind is Kind.GANG
    assert found.sentence.endswith("room for 0; each asks for 4 GPUs")


def test_gpus_in_pieces() -> None:
    seen = snapshot(node("gpu00", (1000, 1000, 0, 0)), node("gpu01", (1000, 0, 0, 1000)))
    fit = "2 node(s) didn't have enough resources: GPUs"
    found = why(workload(3, native={"node_fit": fit}), seen)
    assert found.kind is Kind.RESOURCES
    assert found.sentence == "no node has 3 GPUs free for it: the most on one is 2"
    assert any("in pieces" in fact for fact in found.evidence)
    assert f"the scheduler: {fit}" in found.evidence
    assert "ask for 2 GPUs instead of 3" in steps(found)


def test_a_share_for_which_no_gpu_has_room() -> None:
    seen = snapshot(node("gpu00", (700, 700)))
    found = why(workload(milli=500), seen)
    assert found.sentence == "no GPU has 0.5 GPU free: the most on one is 0.3 GPU"
    assert steps(found)[0] == "ask for 0.3 GPU instead of 0.5 GPU"
    memory = workload(milli=None, asks={"gpu_memory_bytes": 40 * GIB})
    assert why(memory, seen).sentence.startswith("no GPU has 40 GiB of GPU memory free")


def test_cpu_that_is_taken_is_no_lack_of_gpus() -> None:
    seen = snapshot(node("gpu00", cpu_milli=8000, cpu_milli_allocated=8000))
    found = why(workload(asks={"cpu_milli": 4000, "memory_bytes": GIB}), seen)
    assert found.kind is Kind.CPU_MEMORY
    assert found.sentence == "no node has 4 CPU and 1 GiB of memory free beside 1 GPU"
    without = why(workload(0, asks={"cpu_milli": 4000, "memory_bytes": GIB}), seen)
    assert without.sentence == "no node has 4 CPU and 1 GiB of memory free"


def test_what_is_owed_to_the_queue_can_be_taken_back() -> None:
    tree = queues(team_b={"allocated_gpu_milli": 8000})
    seen = snapshot(node("gpu00", FULL), node("gpu01", FULL), tree=tree)
    found = why(workload(2), seen)
    assert found.kind is Kind.RESOURCES
    assert found.evidence[-1] == (
        "queue team-a is owed 4 GPUs of its fair share, borrowed by team-b: "
        "the scheduler can take them back"
    )
    more = why(workload(4), snapshot(node("gpu00", FULL), tree=queues(team_b=_all())))
    assert any("is owed" in fact for fact in more.evidence)


def _all() -> dict[str, Any]:
    return {"allocated_gpu_milli": 4001, "fair_share_gpu_milli": 4000}


# -- its turn


def test_others_go_first_where_the_queue_has_its_share() -> None:
    tree = queues(team_a={"allocated_gpu_milli": 4000, "requested_gpu_milli": 1000})
    other = replace(workload(queue="team-b"), id="kai/u2", native_id="u2")
    run = workload(native={"queue_position": "3"})
    found = why(run, snapshot(tree=tree, runs=[run, other]))
    assert found.kind is Kind.PRIORITY
    assert "holds 4 GPUs, which is its fair share of 4 GPUs" in found.sentence
    assert "the scheduler tries it as number 3" in found.evidence
    assert why(run, snapshot(tree=tree, runs=[run])).kind is Kind.NEXT_CYCLE, "nobody else waits"
    content = queues(team_a={"allocated_gpu_milli": 4000})
    assert why(run, snapshot(tree=content, runs=[other])).kind is Kind.NEXT_CYCLE


def test_room_and_no_word_is_the_next_cycle() -> None:
    found = why(workload(), snapshot())
    assert found.kind is Kind.NEXT_CYCLE
    assert found.evidence == ("node list: 8 GPUs free on 2 nodes that suit it",)
    pooled = snapshot(node("gpu00", queues=("l40s",)))
    found = why(workload(native={"node_pools": "l40s"}), pooled)
    assert found.evidence[-1] == "a scheduler of its own has to serve node pool l40s"


def test_room_where_the_scheduler_finds_none() -> None:
    found = why(workload(native={"unscheduled_message": "untolerated taint"}), snapshot())
    assert found.kind is Kind.UNKNOWN
    assert "taint" in found.sentence
    assert "the scheduler: untolerated taint" in found.evidence


def test_nothing_is_said_of_room_where_no_node_is_known() -> None:
    seen = replace(snapshot(), nodes=(), gpus=())
    found = why(workload(99, pods=3, reason="Unschedulable"), replace(seen, queues=()))
    assert found.kind is Kind.UNKNOWN
    assert found.sentence == "the scheduler says Unschedulable, and its nodes are not known"


def test_a_hold_hides_the_quota_and_the_quota_hides_the_room() -> None:
    tree = (*queues(team_a={"limit_gpu_milli": 0}), queue("other"))
    seen = snapshot(node("gpu00", FULL), tree=tree)
    assert why(workload(9, held=True), seen).kind is Kind.HELD_BY_USER
    assert why(workload(9), seen).kind is Kind.QUEUE_LIMIT
    assert why(workload(9, queue="other"), seen).kind is Kind.BAD_CONSTRAINTS
    assert why(workload(1, queue="other"), seen).kind is Kind.RESOURCES
