"""Workloads as runs and nodes as nodes: states, amounts, and what is not told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.node import NodeState
from foundry_tui.estate.run import Run, RunState
from foundry_tui.schedulers.kai import nouns, objects
from foundry_tui.schedulers.kai.shares import placed, wish
from foundry_tui.schedulers.kai.workloads import workloads
from tests.schedulers.kai.things import (
    as_bind,
    as_node,
    as_pod,
    bind,
    ended,
    group,
    job,
    node,
    pod,
    read,
    shared,
)

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
CONFIG = KubernetesConfig(name="lab")
VALUES = {"train": 50, "build": 100}


def runs(*pods: dict[str, Any], config: KubernetesConfig = CONFIG, **more: Any) -> list[Run]:
    """The runs of these pods, and of the jobs, groups and binds given by name."""
    seen = [as_pod(p) for p in pods]
    owners = [read(objects.Job, j) for j in more.get("jobs", ())]
    owners_too = [read(objects.PyTorchJob, j) for j in more.get("trainings", ())]
    groups = [read(objects.PodGroup, g) for g in more.get("groups", ())]
    binds = [as_bind(b) for b in more.get("binds", ())]
    found = workloads(seen, [*owners, *owners_too], groups, binds, config)
    wishes = {p.metadata.uid: placed(wish(p), 80 << 30) for p in seen}
    reserved = more.get("reserved")
    return [
        nouns.run_of(one, "lab", config, wishes, VALUES, NOW, reserved=reserved) for one in found
    ]


def run(*pods: dict[str, Any], **more: Any) -> Run:
    (found,) = runs(*pods, **more)
    return found


def training(name: str, workers: int, *, suspend: bool | None = None) -> dict[str, Any]:
    template = pod(f"{name}-template", gpus=2)
    replica = {"template": {"metadata": {}, "spec": template["spec"]}}
    made = job(name)
    made["spec"] = {
        "pytorchReplicaSpecs": {"Master": replica, "Worker": {"replicas": workers, **replica}},
        "runPolicy": {"suspend": suspend},
    }
    return made


def words(found: Run) -> dict[str, str]:
    return dict(found.native or {})


# -- states


def test_a_running_pod_is_a_run() -> None:
    found = run(pod("train", "gpu00", gpus=2))
    assert (found.id, found.native_id, found.name) == ("lab/uid-train", "uid-train", "train")
    assert (found.scheduler, found.queue, found.state) == ("kai", "team-a", RunState.RUNNING)
    assert (found.request.gpu_count, found.request.gpu_milli) == (2, 2000)
    assert (found.request.cpu_milli, found.request.memory_bytes) == (500, 1 << 30)
    assert found.submitted_at == datetime(2026, 11, 1, 8, tzinfo=UTC)
    assert found.started_at == datetime(2026, 11, 1, 9, tzinfo=UTC)
    assert (found.ended_at, found.exit_code) == (None, None)
    assert words(found)["kind"] == "Pod"
    assert words(found)["namespace"] == "team-a"
    assert words(found)["workload"] == "train"


@pytest.mark.parametrize(
    ("thing", "state"),
    [
        (pod("p"), RunState.PENDING),
        (pod("p", "gpu00", phase="Pending"), RunState.RUNNING),
        (pod("p", "gpu00", phase="Unknown"), RunState.RUNNING),
        (pod("p", "gpu00", deletionTimestamp="2026-11-01T11:00:00Z"), RunState.COMPLETING),
        (pod("p", "gpu00", phase="Succeeded", status=ended(0)), RunState.COMPLETED),
        (pod("p", "gpu00", phase="Failed", status=ended(3)), RunState.FAILED),
        (pod("p", "gpu00", phase="Failed", status=ended(137, "OOMKilled")), RunState.OUT_OF_MEMORY),
        (
            pod("p", "gpu00", phase="Failed", status={"reason": "DeadlineExceeded"}),
            RunState.TIMEOUT,
        ),
        (pod("p", "gpu00", phase="Failed", status={"reason": "NodeLost"}), RunState.NODE_FAIL),
        (
            pod(
                "p",
                "gpu00",
                phase="Failed",
                status={
                    "conditions": [
                        {
                            "type": "DisruptionTarget",
                            "status": "True",
                            "reason": "TerminationByKaiScheduler",
                        }
                    ]
                },
            ),
            RunState.PREEMPTED,
        ),
        (pod("p", phase="Levitating"), RunState.PENDING),
        (pod("p", phase="Unknown"), RunState.UNKNOWN),
    ],
)
def test_the_state_of_a_pod(thing: dict[str, Any], state: RunState) -> None:
    assert run(thing).state is state


def test_an_end_has_its_time_and_code() -> None:
    found = run(pod("p", "gpu00", phase="Failed", status=ended(3)))
    assert (found.exit_code, found.ended_at) == (3, datetime(2026, 11, 1, 10, tzinfo=UTC))
    found = run(pod("p", "gpu00", phase="Failed"))
    assert (found.exit_code, found.ended_at) == (None, None)


def test_pods_of_a_job_are_one_run() -> None:
    pods = [pod(f"j-{n}", "gpu00", gpus=1, owner=("Job", "j")) for n in range(2)]
    found = run(*pods, jobs=[job("j", pods=3)])
    assert (found.native_id, found.name, found.state) == ("uid-j", "j", RunState.RUNNING)
    # The third pod is not made yet and is like the others.
    assert (found.request.gpu_count, found.request.gpu_milli) == (3, 3000)
    assert (words(found)["pods_wanted"], words(found)["pods_running"]) == ("3", "2")
    assert found.seen_as == ("uid-j-0", "team-a/j-0", "uid-j-1", "team-a/j-1")


def test_a_job_whose_object_may_not_be_read_is_still_a_run() -> None:
    found = run(pod("j-0", "gpu00", gpus=1, owner=("Job", "j")))
    assert (found.native_id, found.name, words(found)["kind"]) == ("uid-j", "j", "Job")


def test_a_job_without_pods_asks_for_what_its_template_says() -> None:
    found = run(jobs=[job("j", pods=2)])
    assert (found.state, found.request.gpu_count) == (RunState.PENDING, 2)
    assert words(found)["pods_running"] == "0"


def test_a_suspended_job_has_given_its_gpus_away() -> None:
    found = run(jobs=[job("j", suspend=True)])
    assert (found.state, found.held, found.placement) == (RunState.SUSPENDED, False, ())
    assert words(found)["suspended"] == "true"


def test_a_held_job_waits() -> None:
    found = run(jobs=[job("j", suspend=True, notes={"foundry/held": "true"})])
    assert (found.state, found.held) == (RunState.PENDING, True)


def test_a_suspended_job_whose_pods_end_is_completing() -> None:
    gone = pod("j-0", "gpu00", owner=("Job", "j"), deletionTimestamp="2026-11-01T11:00:00Z")
    found = run(gone, jobs=[job("j", suspend=True)])
    assert found.state is RunState.COMPLETING


@pytest.mark.parametrize(
    ("kind", "message", "state"),
    [
        ("Complete", "", RunState.COMPLETED),
        ("Failed", "BackoffLimitExceeded", RunState.FAILED),
        ("Failed", "DeadlineExceeded", RunState.TIMEOUT),
    ],
)
def test_a_job_that_ended(kind: str, message: str, state: RunState) -> None:
    told = {"type": kind, "status": "True", "message": message}
    found = run(jobs=[job("j", status={"conditions": [told]})])
    assert found.state is state


def test_a_job_whose_pod_failed_and_is_tried_again_waits() -> None:
    failed = pod("j-0", "gpu00", phase="Failed", owner=("Job", "j"), status=ended(1))
    assert run(failed, jobs=[job("j")]).state is RunState.PENDING


def test_a_training_counts_master_and_workers() -> None:
    found = run(trainings=[training("t", 3)])
    assert (found.request.gpu_count, found.request.gpu_milli) == (8, 8000)
    assert words(found)["pods_wanted"] == "4"
    assert run(trainings=[training("t", 1, suspend=True)]).state is RunState.SUSPENDED


def test_an_absurd_number_of_pods_costs_nothing() -> None:
    assert run(jobs=[job("j", pods=2**31 - 1)]).request.gpu_count == 2**31 - 1
    some = pod("j-0", "gpu00", gpus=1, owner=("Job", "j"))
    assert run(some, jobs=[job("j", pods=2**31 - 1)]).request.gpu_count == 2**31 - 1


def test_roles_may_differ() -> None:
    told = training("t", 2)
    cheap = pod("worker", gpus=1)["spec"]
    told["spec"]["pytorchReplicaSpecs"]["Worker"]["template"] = {"spec": cheap}
    assert run(trainings=[told]).request.gpu_count == 4


def test_a_template_asks_by_annotation_too() -> None:
    told = job("j", pods=2)
    del told["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    told["spec"]["template"]["metadata"] = {"annotations": {"gpu-fraction": "0.5"}}
    found = run(jobs=[told])
    assert (found.request.gpu_count, found.request.gpu_milli) == (2, 1000)


def test_a_deployment_is_named_by_its_pod_group() -> None:
    notes = {"pod-group-name": "pg"}
    pods = [pod(f"d-{n}", "gpu00", owner=("ReplicaSet", "d-rs"), notes=notes) for n in range(2)]
    found = run(*pods, groups=[group("pg", owner=("Deployment", "d"))])
    assert (found.native_id, words(found)["kind"], found.name) == ("uid-d", "Deployment", "d")


# -- amounts


def test_fractions_are_added_up() -> None:
    found = run(shared("p", "gpu00", "0.5", "g", "h"))
    assert (found.request.gpu_count, found.request.gpu_milli) == (2, 1000)
    pods = [shared(f"j-{n}", "gpu00", "0.3", f"g{n}", owner=("Job", "j")) for n in range(3)]
    found = run(*pods, jobs=[job("j", pods=3)])
    assert (found.request.gpu_count, found.request.gpu_milli) == (3, 900)


def test_memory_is_unknown_as_a_portion_until_it_is_placed() -> None:
    thing = pod("p", notes={"gpu-memory": "20480"})
    config = KubernetesConfig(name="lab")
    seen = as_pod(thing)
    (one,) = workloads([seen], [], [], [], config)
    waits = nouns.run_of(one, "lab", config, {"uid-p": wish(seen)}, VALUES, NOW)
    assert (waits.request.gpu_count, waits.request.gpu_milli) == (1, None)
    assert waits.request.gpu_memory_bytes == 20 << 30
    assert run(thing).request.gpu_milli == 250


@pytest.mark.parametrize("fraction", ["-1", "NaN", "17", "1e309", "½"])
def test_an_absurd_fraction_is_unknown_and_says_why(fraction: str) -> None:
    found = run(pod("p", notes={"gpu-fraction": fraction}))
    assert (found.request.gpu_count, found.request.gpu_milli) == (1, None)
    assert "gpu-fraction" in words(found)["amount"]
    assert found.reason == "AbsurdRequest"


def test_a_run_without_gpus() -> None:
    found = run(pod("p"))
    assert (found.request.gpu_count, found.request.gpu_milli) == (0, 0)


# -- names, queues, classes


def test_what_submit_wrote_is_read() -> None:
    notes = {"foundry/name": "train llama", "foundry/user": "ada", "foundry/submit-token": "t-1"}
    found = run(pod("train-1f", notes=notes))
    assert (found.name, found.user, found.submit_token) == ("train llama", "ada", "t-1")
    assert words(found)["workload"] == "train-1f"


def test_the_user_of_runai_stands_in_a_label() -> None:
    assert run(pod("p", labels={"user": "bob"})).user == "bob"
    assert run(pod("p")).user is None


def test_the_queue_is_the_label_or_that_of_the_pod_group() -> None:
    config = KubernetesConfig(name="lab", queue_label="runai/queue")
    (found,) = runs(pod("p", labels={"runai/queue": "old-name"}), config=config)
    assert (found.queue, words(found)["queue_label"]) == ("old-name", "old-name")
    bare = pod("p", queue=None, notes={"pod-group-name": "pg"})
    found = run(bare, groups=[group("pg", queue="default-queue")])
    assert found.queue == "default-queue"
    assert "queue_label" not in words(found)


def test_the_priority_class_decides_what_can_be_reclaimed() -> None:
    found = run(pod("p", labels={"priorityClassName": "build"}))
    assert (found.qos, found.priority, words(found)["preemptible"]) == ("build", 100, "false")
    found = run(pod("p", labels={"priorityClassName": "train"}))
    assert (found.priority, words(found)["preemptible"]) == (50, "true")
    labels = {"priorityClassName": "build", "kai.scheduler/preemptibility": "preemptible"}
    assert words(run(pod("p", labels=labels)))["preemptible"] == "true"
    assert "preemptible" not in words(run(pod("p", labels={"priorityClassName": "unheard-of"})))


def test_text_from_outside_is_made_safe() -> None:
    notes = {"foundry/name": "a\x1b[31mb", "foundry/user": "x\ny", "gpu-fraction": "\x1b]0;t\x07"}
    found = run(pod("p", notes=notes, labels={"priorityClassName": "ü\u202e"}))
    told = [found.name, found.user or "", found.qos or "", *words(found).values()]
    assert all(text.isprintable() for text in told)


# -- who is a run


def test_other_schedulers_pods_are_no_runs() -> None:
    assert runs(pod("p", "gpu00", scheduler="default-scheduler", queue=None)) == []
    assert runs(pod("p", "gpu00", namespace=CONFIG.reservation_namespace)) == []


def test_a_pod_that_forgot_its_scheduler_is_shown_while_it_waits() -> None:
    found = run(pod("p", scheduler="default-scheduler"))
    assert words(found)["scheduler_name"] == "default-scheduler"


def test_a_pod_without_labels_is_a_run_without_a_queue() -> None:
    thing = pod("p", queue=None)
    del thing["metadata"]["labels"], thing["metadata"]["annotations"]
    found = run(thing)
    assert (found.queue, found.state) == (None, RunState.PENDING)


# -- why it waits


def waiting(**reason: Any) -> dict[str, Any]:
    told = {"type": "UnschedulableOnNodePool", "nodePool": "default", "reasons": [reason]}
    return group("pg", queue="team-a", minMember=4, status={"schedulingConditions": [told]})


def test_the_reason_of_the_pod_group_is_told_in_milli() -> None:
    details = {
        "queueDetails": {
            "name": "research",
            "queueRequestedResources": {"nvidia.com/gpu": "2639110113n"},
            "queueDeservedResources": {"nvidia.com/gpu": "4"},
            "queueAllocatedResources": {"nvidia.com/gpu": "500m"},
            "queueResourceLimits": {"nvidia.com/gpu": "0"},
        }
    }
    why = waiting(reason="NonPreemptibleOverQuota", message="over the quota", details=details)
    found = run(pod("p", notes={"pod-group-name": "pg"}), groups=[why])
    told = words(found)
    assert found.reason == "NonPreemptibleOverQuota"
    assert told["unscheduled_message"] == "over the quota"
    assert (told["unscheduled_queue"], told["unscheduled_pool"]) == ("research", "default")
    assert told["unscheduled_requested"] == "2640"
    assert (told["unscheduled_deserved"], told["unscheduled_allocated"]) == ("4000", "500")
    # 0 stands for unlimited.
    assert "unscheduled_limit" not in told
    assert told["min_member"] == "4"


def test_a_node_that_does_not_fit_is_told() -> None:
    text = "Resources were found for 3 pods; no nodes with enough resources were found: GPUs"
    why = waiting(reason="PodSchedulingErrors", message=text)
    found = run(pod("p", notes={"pod-group-name": "pg"}), groups=[why])
    assert words(found)["node_fit"] == "no nodes with enough resources were found: GPUs"


def test_a_run_that_runs_waits_for_nothing() -> None:
    why = waiting(reason="PodSchedulingErrors", message="old words")
    found = run(pod("p", "gpu00", notes={"pod-group-name": "pg"}), groups=[why])
    assert found.reason is None
    assert "unscheduled_reason" not in words(found)


@pytest.mark.parametrize(
    ("reserved", "word"), [({}, "missing"), ({"g": False}, "waiting"), ({"g": True}, "ready")]
)
def test_a_bind_that_fails_is_told(reserved: dict[str, bool], word: str) -> None:
    failing = bind("p", "g", phase="Failed", failedAttempts=3, reason="no config map")
    told = words(run(pod("p"), binds=[failing], reserved=reserved))
    assert (told["bind_phase"], told["bind_failures"]) == ("Failed", "3")
    assert (told["bind_reason"], told["reservation"]) == ("no config map", word)


def test_a_container_that_does_not_start_is_told() -> None:
    stuck = {"containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff"}}}]}
    assert run(pod("p", "gpu00", phase="Pending", status=stuck)).reason == "ImagePullBackOff"


# -- nodes


def as_seen(thing: dict[str, Any], held_milli: int | None = 0) -> Any:
    return nouns.node_of(as_node(thing), "lab", held_milli, (1500, 1 << 30), "default", NOW)


def test_a_node_has_its_amounts() -> None:
    found = as_seen(node("gpu00", 8), 2500)
    assert (found.name, found.state, found.gpu_count) == ("gpu00", NodeState.MIXED, 8)
    assert (found.gpu_milli_allocated, found.gpu_model) == (2500, "NVIDIA-A100-SXM4-80GB")
    assert (found.cpu_milli, found.cpu_milli_allocated) == (64000, 1500)
    assert (found.memory_bytes, found.memory_bytes_allocated) == (512 << 30, 1 << 30)
    assert found.queues == ("default",)


def test_the_states_of_a_node() -> None:
    assert as_seen(node("n", 8), 0).state is NodeState.IDLE
    assert as_seen(node("n", 8), 8000).state is NodeState.ALLOCATED
    assert as_seen(node("n", 0), 0).state is NodeState.IDLE
    cordoned = node("n", 8)
    cordoned["spec"]["unschedulable"] = True
    assert as_seen(cordoned, 0).state is NodeState.DRAINED
    assert as_seen(cordoned, 1000).state is NodeState.DRAINING
    # What is held and not known is not nothing.
    assert as_seen(cordoned, None).state is NodeState.DRAINING
    assert as_seen(node("n", 8), None).state is NodeState.MIXED
    cordoned["metadata"]["annotations"] = {
        "foundry/drain-reason": "fan",
        "foundry/drained-by": "eve",
    }
    assert as_seen(cordoned, 0).reason == "fan [eve]"
    dead = node("n", 8)
    dead["status"]["conditions"] = [
        {"type": "Ready", "status": "Unknown", "message": "Kubelet stopped\nposting"}
    ]
    assert as_seen(dead).state is NodeState.DOWN
    assert as_seen(dead).reason == "Kubelet stopped␊posting"
    del dead["status"]["conditions"]
    assert as_seen(dead).state is NodeState.DOWN


def test_taints_are_told() -> None:
    thing = node("n", 8)
    thing["spec"]["taints"] = [
        {"key": "dedicated", "effect": "NoSchedule"},
        {"key": "soft", "effect": "PreferNoSchedule"},
    ]
    assert as_seen(thing).reason == "taints: dedicated"


@pytest.mark.parametrize("text", ["", "yesterday", "0001-01-01T00:00:00Z", "2026-01-01T00:00:00"])
def test_what_is_no_time_is_none(text: str) -> None:
    assert nouns.time_of(text) is None
    assert nouns.time_of(None) is None
