"""Slurm's reason words and the kind of obstacle that each stands for.

They are those of Slurm 22.05 to 25.11; workloads of Run:ai and KAI are looked at in `workload`.

The word is the start of the search, not its end: it can be minutes old, and `Priority`,
`Resources` and `None` are also shown for runs that can never start.
"""

from __future__ import annotations

import re

from foundry_tui.explain.verdict import Kind

_KINDS: tuple[tuple[str, Kind], ...] = (
    (r"JobHeldUser|job requeued in held state|launch failed requeued held", Kind.HELD_BY_USER),
    (r"JobHeldAdmin|JobHoldMaxRequeue", Kind.HELD_BY_ADMIN),
    (r"DependencyNeverSatisfied", Kind.DEPENDENCY_NEVER),
    (r"Dependency", Kind.DEPENDENCY),
    (r"BeginTime", Kind.BEGIN_TIME),
    (r"PartitionDown|PartitionInactive", Kind.PARTITION_DOWN),
    (r"PartitionTimeLimit", Kind.PARTITION_TIME_LIMIT),
    (r"PartitionNodeLimit|PartitionConfig", Kind.PARTITION_NODE_LIMIT),
    (
        r"InvalidAccount|InvalidQOS|QOSNotAllowed|AccountNotAllowed|Job's (account|QOS)",
        Kind.ACCOUNT,
    ),
    (r"QOS", Kind.QOS_LIMIT),
    (r"Assoc", Kind.ASSOCIATION_LIMIT),
    (r"JobArrayTaskLimit", Kind.ARRAY_LIMIT),
    (r"ReqNodeNotAvail, ?May be reserved|Reservation|ReservationDeleted", Kind.RESERVATION),
    (r"ReqNodeNotAvail|Nodes required for job are DOWN|NodeDown", Kind.NODE_UNAVAILABLE),
    (r"Licenses", Kind.LICENSES),
    (r"BadConstraints", Kind.BAD_CONSTRAINTS),
    (r"MaxMemPerLimit", Kind.CPU_MEMORY),
    (r"Priority", Kind.PRIORITY),
    (r"Resources", Kind.RESOURCES),
)
_COMPILED = tuple((re.compile(pattern), kind) for pattern, kind in _KINDS)


def kind_of(reason: str) -> Kind:
    """The kind that a reason word stands for; `UNKNOWN` for a word that is not in the table."""
    text = reason.replace("_", " ")
    return next((kind for pattern, kind in _COMPILED if pattern.match(text)), Kind.UNKNOWN)
