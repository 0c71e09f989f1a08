"""One dominant reason, with numbers, from nouns made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tui.estate.node import NodeState
from foundry_tui.estate.run import ArrayPart, RunState
from foundry_tui.estate.text import safe
from foundry_tui.explain.verdict import ADMIN, Deed, Kind
from tests.explain.made import GIB, NOW, asks, diagnosed, later, rights, running, steps, waiting

FULL = {"h1": 8, "h2": 8}


def test_a_run_that_does_not_wait() -> None:
    found = diagnosed(replace(waiting(), state=RunState.COMPLETED, reason=None))
    assert found.kind is Kind.NOT_WAITING
    assert found.sentence == "it does not wait: it is completed"
    assert found.candidates == ()


@pytest.mark.parametrize(
    ("reason", "kind", "owner"),
    [
        ("JobHeldUser", Kind.HELD_BY_USER, "alice"),
        ("JobHeldAdmin", Kind.HELD_BY_ADMIN, ADMIN),
        ("launch failed requeued held", Kind.HELD_BY_USER, "alice"),
    ],
)
def test_a_held_run_is_released_by_who_may(reason: str, kind: Kind, owner: str) -> None:
    found = diagnosed(waiting(reason=reason, held=True, priority=0))
    assert (found.kind, found.reason) == (kind, reason)
    assert [(c.act, c.owner) for c in found.candidates] == [(Deed.RELEASE, owner)]


def test_what_stands_behind_a_hold_is_evidence() -> None:
    run = waiting(reason="JobHeldUser", held=True, priority=0, request=asks(3, nodes=3))
    found = diagnosed(run)
    assert found.evidence[-1] == (
        "even then: it can never start in queue h100, which has 2 nodes; it asks for 3"
    )


def test_a_dependency_names_the_run_and_its_end() -> None:
    found = diagnosed(
        waiting(reason="Dependency"),
        running("9", {"h1": 1}, ends_in=45),
        details={"reason": "Dependency", "dependency": "afterok:9(unfulfilled)"},
    )
    assert found.kind is Kind.DEPENDENCY
    assert found.sentence == "it waits for run 9 to end"
    assert found.evidence == (
        "dependency afterok:9: run 9 of bob is running, at the latest until 12:45 UTC",
    )
    assert steps(found) == [(("dependency", ""),), "wait"]
    assert found.candidates[1].not_before == later(45)


@pytest.mark.parametrize("reason", ["Dependency", "None", "Priority"])
def test_a_dependency_on_a_failed_run_never_ends_whatever_the_word(reason: str) -> None:
    failed = replace(running("9", {}), state=RunState.FAILED, ends_by=None, placement=())
    found = diagnosed(
        waiting(reason=reason), failed, details={"dependency": "afterok:9(unfulfilled)"}
    )
    assert found.kind is Kind.DEPENDENCY_NEVER
    assert "run 9" in found.sentence
    assert steps(found) == [(("dependency", ""),)]


def test_afterany_is_content_with_a_failed_run() -> None:
    failed = replace(running("9", {}), state=RunState.FAILED, ends_by=None, placement=())
    found = diagnosed(waiting(reason="Dependency"), failed, details={"dependency": "afterany:9"})
    assert found.kind is Kind.DEPENDENCY


def test_a_begin_time_to_come_is_seen_without_the_word() -> None:
    found = diagnosed(waiting(reason="None", eligible_at=later(90)))
    assert found.kind is Kind.BEGIN_TIME
    assert found.sentence == "it may not start before 13:30 UTC, in 1 h 30 min"
    assert found.candidates[-1].not_before == later(90)


@pytest.mark.parametrize("reason", ["Resources", "Priority", None])
def test_a_run_that_can_never_start_is_told_so_whatever_the_word(reason: str | None) -> None:
    found = diagnosed(
        waiting(reason=reason, request=asks(1, minutes=120)),
        queues={"h100": {"time_limit_s": 1800}},
    )
    assert found.kind is Kind.PARTITION_TIME_LIMIT
    assert found.sentence == (
        "it can never start in queue h100, which allows 30 min per run; it asks for 2 h"
    )
    assert steps(found) == [(("queue", "gpu"),), (("queue", "a100"),), (("time_limit_s", "1800"),)]


def test_one_open_queue_of_several_is_enough() -> None:
    found = diagnosed(
        waiting(queue="h100,a100"), running("1", FULL), queues={"h100": {"state": "down"}}
    )
    assert found.kind is not Kind.PARTITION_DOWN


def test_all_queues_shut() -> None:
    shut = {"state": "inactive"}
    found = diagnosed(waiting(queue="h100,a100"), queues={"h100": shut, "a100": shut})
    assert found.kind is Kind.PARTITION_DOWN
    assert "queue h100 is inactive" in found.sentence
    assert "queue a100 is inactive" in found.evidence[-1]
    assert steps(found) == [(("queue", "gpu"),), "ask"]


def test_a_draining_queue_still_starts_what_waits_in_it() -> None:
    assert diagnosed(waiting(), queues={"h100": {"state": "drain"}}).kind is not Kind.PARTITION_DOWN


def test_a_queue_that_the_snapshot_does_not_know_is_not_judged() -> None:
    found = diagnosed(waiting(queue="elsewhere", reason="PartitionDown"))
    assert found.kind is Kind.PARTITION_DOWN
    assert "show no such rule" in found.evidence[0]


def test_hardware_that_no_node_has() -> None:
    found = diagnosed(waiting(request=asks(9)))
    assert found.kind is Kind.BAD_CONSTRAINTS
    assert found.evidence == ("node list: nodes h1 and h2: 8 GPUs of 9",)
    assert steps(found) == [(("gpus_per_node", "8"),)]


def test_a_constraint_that_shuts_out_every_node_is_named() -> None:
    found = diagnosed(waiting(queue="a100"), details={"features": "ib"})
    assert found.kind is Kind.BAD_CONSTRAINTS
    assert steps(found)[0] == (("features", ""),)
    assert found.evidence == ("node list: node a1: no feature ib",)


@pytest.mark.parametrize(
    ("shown", "change"),
    [("300G", ("memory_per_node", "262144")), ("150G", ("memory_per_cpu", "131072"))],
)
def test_too_much_memory_is_cut_as_it_was_asked(shown: str, change: tuple[str, str]) -> None:
    request = asks(1, memory_bytes=300 * GIB, cpu_milli=2000)
    found = diagnosed(waiting(request=request), details={"min_memory": shown})
    assert found.kind is Kind.CPU_MEMORY
    assert "asks for 300 GiB of memory on one node; queue h100 has 256 GiB" in found.sentence
    assert steps(found) == [(change,)]


def test_too_many_cpus_on_a_node() -> None:
    found = diagnosed(waiting(request=asks(0, cpu_milli=64_000)))
    assert (found.kind, steps(found)) == (Kind.CPU_MEMORY, [(("cpus", "32"),)])


def test_an_array_that_limits_itself() -> None:
    part = ArrayPart("17", "2-9%2", 8)
    tasks = [
        running(f"17_{i}", {"h1": 1}, ends_in=5 + i, array=ArrayPart("17", str(i), 1))
        for i in range(2)
    ]
    found = diagnosed(waiting("17_[2-9%2]", "JobArrayTaskLimit", array=part), *tasks)
    assert found.kind is Kind.ARRAY_LIMIT
    assert found.sentence == (
        "array 17 may run 2 tasks at once, and 2 run; 8 tasks wait for one of them to end"
    )
    assert steps(found) == [(("array_limit", "3"),), "wait"]
    assert found.candidates[1].not_before == later(5)


def test_nodes_out_of_service_are_named_with_their_reason() -> None:
    down = {"state": NodeState.DRAINED, "reason": safe("fan broken")}
    found = diagnosed(waiting(reason="Priority", request=asks(2, nodes=2)), nodes={"h1": down})
    assert found.kind is Kind.NODE_UNAVAILABLE
    assert found.evidence == (
        "node list: 1 of 2 nodes that suit it are in service",
        "node list: h1 is drained (fan broken)",
    )
    assert steps(found) == [(("queue", "gpu"),), (("nodes", "1"),), "wait", "ask"]
    assert found.candidates[-1].sentence == "an administrator returns node h1 to service"


def test_resources_tell_the_largest_free_block_and_when_there_is_room() -> None:
    found = diagnosed(
        waiting(request=asks(8)),
        running("1", {"h1": 5}, ends_in=30),
        running("2", {"h2": 6}, ends_in=20),
        running("3", {"a1": 4}),
    )
    assert found.kind is Kind.RESOURCES
    assert found.evidence == (
        "node list: largest free block on nodes of h100: 3 GPUs on h1; "
        "it asks for 8 GPUs on 1 node",
        "job list: room by 12:20 UTC at the latest, when run 2 of bob reaches its time limit",
    )
    assert steps(found) == [(("gpus_per_node", "3"),), "wait"]


def test_a_shard_fits_on_a_gpu_that_is_shared_and_not_on_scattered_rests() -> None:
    share = asks(1, gpu_milli=250)
    assert diagnosed(waiting(request=share), running("1", FULL)).kind is Kind.RESOURCES
    found = diagnosed(waiting(request=share), running("1", {"h1": 8, "h2": 7}))
    assert found.kind is not Kind.RESOURCES or "though the lists show room" in found.sentence


def test_gpus_asked_for_the_whole_run_may_be_scattered() -> None:
    held = (running("1", {"h1": 5}), running("2", {"h2": 4}))
    per_job = {"tres_per_job": "gres:gpu:7"}
    assert "show room" in diagnosed(waiting(request=asks(7)), *held, details=per_job).sentence
    found = diagnosed(waiting(request=asks(8)), *held, details={"tres_per_job": "gres:gpu:8"})
    assert found.kind is Kind.RESOURCES
    assert (("gpus", "7"),) in steps(found)


def test_priority_counts_the_runs_ahead() -> None:
    ahead = [waiting(str(i), "Resources", priority=2000 + i, request=asks(8)) for i in (20, 21)]
    found = diagnosed(
        waiting(reason="Priority"),
        *ahead,
        running("1", {"h1": 7, "h2": 7}),
        running("2", {"a1": 4}),
    )
    assert found.kind is Kind.PRIORITY
    assert found.sentence == (
        "2 runs with higher priority wait before it for the same nodes; "
        "there is room for it now, but not before their turn"
    )
    assert found.evidence[0] == "job list: ahead of it by priority: 2 runs asking for 16 GPUs"
    assert found.candidates[-1].changes == (("priority", "2022"),)
    assert found.candidates[-1].owner == ADMIN


def test_a_short_run_may_slip_in_before_the_planned_start_of_those_ahead() -> None:
    ahead = waiting("20", priority=2000, request=asks(8), estimated_start_at=later(30))
    found = diagnosed(
        waiting(reason="Priority"), ahead, running("1", {"h1": 7, "h2": 7}), running("2", {"a1": 4})
    )
    assert (("time_limit_s", str(28 * 60)),) in steps(found)


def test_a_fresh_run_is_not_explained_away() -> None:
    found = diagnosed(waiting(reason=None, submitted_at=later(-0.2)))
    assert found.kind is Kind.NEXT_CYCLE
    assert steps(found) == ["wait"]


def test_a_word_that_the_lists_contradict_is_said_to_be_doubtful() -> None:
    found = diagnosed(waiting(reason="Resources"))
    assert found.kind is Kind.RESOURCES
    assert "though the lists show room for it" in found.sentence


def test_an_unknown_word_is_passed_on() -> None:
    found = diagnosed(waiting(reason="BurstBufferStageIn"))
    assert (found.kind, found.reason) == (Kind.UNKNOWN, "BurstBufferStageIn")
    assert "BurstBufferStageIn" in found.sentence


_WORDS = """JobHeldUser Dependency BeginTime PartitionDown PartitionConfig InvalidQOS QOSGrpGRES
    AssocMaxJobsLimit JobArrayTaskLimit Reservation Licenses BadConstraints MaxMemPerLimit
    Priority Resources None ReqNodeNotAvail Cleaning"""


@settings(deadline=None)
@given(
    reason=st.sampled_from(_WORDS.split()) | st.text(max_size=12),
    tasks=st.none() | st.text("0123456789-,%…", max_size=8),
    queue=st.sampled_from(["h100", "h100,a100", "nowhere", ""]),
    gpus=st.integers(0, 20),
    nodes=st.integers(1, 5),
    words=st.dictionaries(
        st.sampled_from(["dependency", "features", "required_nodes", "tres_per_job", "min_memory"]),
        st.text(max_size=12),
    ),
)
def test_no_word_of_a_scheduler_is_too_odd(
    reason: str, tasks: str | None, queue: str, gpus: int, nodes: int, words: dict[str, str]
) -> None:
    run = waiting(
        reason=safe(reason),
        queue=queue or None,
        request=asks(gpus, nodes=nodes),
        priority=None,
        array=None if tasks is None else ArrayPart("17", tasks, 1),
    )
    found = diagnosed(run, running("1", FULL), details=words, rights=rights())
    assert found.kind in Kind
    assert found.sentence
    assert found.at == NOW
