"""The wait reasons that the lab can produce, each with the words and the change to expect."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from foundry_tui.explain.verdict import Deed, Kind
from tests.explain import waits
from tests.lab.slurm import SlurmLab


@dataclass(frozen=True, slots=True)
class Wait:
    """`reason` is how Slurm's word begins, `says` a part of the sentence.

    `step` is the advised change, as pairs, or the deed; `starts` whether it is carried out here
    and must start the run.
    """

    make: Callable[[SlurmLab], AbstractContextManager[str]]
    reason: str
    kind: Kind
    says: str
    step: tuple[tuple[str, str], ...] | Deed
    starts: bool = True


WAITS = (
    Wait(waits.held_by_user, "JobHeldUser", Kind.HELD_BY_USER, "on hold", Deed.RELEASE),
    Wait(waits.held_by_admin, "JobHeldAdmin", Kind.HELD_BY_ADMIN, "administrator", Deed.RELEASE),
    Wait(waits.dependency, "Dependency", Kind.DEPENDENCY, "to end", (("dependency", ""),)),
    Wait(
        waits.dependency_never,
        "DependencyNeverSatisfied",
        Kind.DEPENDENCY_NEVER,
        "can never start",
        (("dependency", ""),),
    ),
    Wait(waits.begin_time, "BeginTime", Kind.BEGIN_TIME, "in 59 min", (("begin", "now"),)),
    Wait(
        waits.time_limit,
        "PartitionTimeLimit",
        Kind.PARTITION_TIME_LIMIT,
        "allows 30 min per run; it asks for 1 h",
        (("queue", "gpu"),),
    ),
    Wait(
        waits.node_limit,
        "PartitionNodeLimit",
        Kind.PARTITION_NODE_LIMIT,
        "has 4 nodes; it asks for 5",
        (("nodes", "4"),),
    ),
    Wait(
        waits.max_nodes,
        "PartitionNodeLimit",
        Kind.PARTITION_NODE_LIMIT,
        "allows 1 node per run; it asks for 2",
        (("queue", "gpu"),),
    ),
    Wait(
        waits.partition_down,
        "PartitionDown",
        Kind.PARTITION_DOWN,
        "queue a100 is down",
        (("queue", "gpu"),),
    ),
    Wait(
        waits.drained_node,
        "ReqNodeNotAvail",
        Kind.NODE_UNAVAILABLE,
        "node h03 is out of service",
        (("nodelist", ""),),
    ),
    Wait(
        waits.too_few_nodes,
        "Nodes required for job are DOWN",
        Kind.NODE_UNAVAILABLE,
        "needs 4 nodes",
        (("nodes", "3"),),
    ),
    Wait(
        waits.resources,
        "Resources",
        Kind.RESOURCES,
        "asks for 2 GPUs on 1 node, and the most free on one node is 1 GPU",
        (("queue", "gpu"),),
    ),
    Wait(
        waits.priority,
        "Priority",
        Kind.PRIORITY,
        "1 run with higher priority waits before it",
        (("queue", "gpu"),),
    ),
    Wait(
        waits.room_before_others,
        "Priority",
        Kind.PRIORITY,
        "there is room for it now, but not before their turn",
        (("time_limit_s", "1020"),),
    ),
    Wait(
        waits.qos_gpus_per_user,
        "QOSMaxGRESPerUser",
        Kind.QOS_LIMIT,
        "QOS low allows 2 GPUs per user, and lab_alice holds 2 GPUs with run",
        (("qos", "normal"),),
    ),
    Wait(
        waits.qos_gpus_of_all,
        "QOSGrpGRES",
        Kind.QOS_LIMIT,
        "QOS low allows 3 GPUs, and its runs hold 2 GPUs",
        (("qos", "normal"),),
    ),
    Wait(
        waits.qos_runs,
        "QOSMaxJobsPerUserLimit",
        Kind.QOS_LIMIT,
        "QOS low allows 1 run at once per user",
        (("qos", "normal"),),
    ),
    Wait(
        waits.qos_wall,
        "QOSMaxWallDurationPerJobLimit",
        Kind.QOS_LIMIT,
        "QOS normal allows 10 min per run, and this run asks for 20 min",
        (("qos", "high"),),
    ),
    Wait(
        waits.account_gpus,
        "AssocGrpGRES",
        Kind.ASSOCIATION_LIMIT,
        "account ml is allowed 4 GPUs, and its runs hold 3 GPUs",
        (("gpus_per_node", "1"),),
    ),
    Wait(
        waits.account_gpus_other,
        "AssocGrpGRES",
        Kind.ASSOCIATION_LIMIT,
        "account ml is allowed 4 GPUs",
        (("account", "bio"),),
    ),
    Wait(
        waits.user_runs,
        "AssocMaxJobsLimit",
        Kind.ASSOCIATION_LIMIT,
        "lab_alice is allowed in account ml 1 run at once",
        Deed.WAIT,
        starts=False,
    ),
    Wait(
        waits.runs_of_each_user,
        "AssocMaxJobsLimit",
        Kind.ASSOCIATION_LIMIT,
        "of lab_alice takes the place",
        Deed.WAIT,
        starts=False,
    ),
    Wait(
        waits.array_limit,
        "JobArrayTaskLimit",
        Kind.ARRAY_LIMIT,
        "may run 1 task at once, and 1 run",
        (("array_limit", "2"),),
    ),
    Wait(
        waits.own_reservation,
        "Reservation",
        Kind.RESERVATION,
        "only in reservation explained",
        (("reservation", ""),),
    ),
    Wait(
        waits.others_reservation,
        "ReqNodeNotAvail",
        Kind.RESERVATION,
        "reserved for others",
        (("queue", "gpu"),),
    ),
    Wait(waits.licences, "Licenses", Kind.LICENSES, "asks for cfd:1", (("licenses", ""),)),
    Wait(
        waits.bad_feature,
        "BadConstraints",
        Kind.BAD_CONSTRAINTS,
        "no nodes can take it",
        (("features", ""),),
    ),
    Wait(
        waits.bad_nodelist,
        "BadConstraints",
        Kind.BAD_CONSTRAINTS,
        "no nodes can take it",
        (("nodelist", ""),),
    ),
    Wait(
        waits.bad_memory,
        "BadConstraints",
        Kind.CPU_MEMORY,
        "queue a100 has 250 GiB at most",
        (("memory_per_node", "256000"),),
    ),
    Wait(
        waits.partition_memory,
        "MaxMemPerLimit",
        Kind.CPU_MEMORY,
        "more memory on a node",
        (("queue", "gpu"),),
    ),
    Wait(
        waits.wrong_account,
        "Job's account not permitted",
        Kind.ACCOUNT,
        "does not take account ml: it takes bio",
        (("account", "bio"),),
    ),
    Wait(
        waits.lost_qos,
        "InvalidQOS",
        Kind.ACCOUNT,
        "may no longer use QOS low",
        (("qos", "normal"),),
    ),
)
