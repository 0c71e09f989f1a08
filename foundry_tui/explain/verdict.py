"""What an explanation is made of: the kind of obstacle, the diagnosis, and candidate changes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

ADMIN = "administrator"
"""Owner of a candidate that no user of the queue can carry out."""


class Kind(StrEnum):
    """Our stable word for what keeps a run from starting; the same for every scheduler."""

    HELD_BY_USER = "held_by_user"
    HELD_BY_ADMIN = "held_by_admin"
    DEPENDENCY = "dependency"
    DEPENDENCY_NEVER = "dependency_never"
    BEGIN_TIME = "begin_time"
    PRIORITY = "priority"
    RESOURCES = "resources"
    NODE_UNAVAILABLE = "node_unavailable"
    PARTITION_DOWN = "partition_down"
    PARTITION_TIME_LIMIT = "partition_time_limit"
    PARTITION_NODE_LIMIT = "partition_node_limit"
    QOS_LIMIT = "qos_limit"
    ASSOCIATION_LIMIT = "association_limit"
    QUEUE_LIMIT = "queue_limit"
    ARRAY_LIMIT = "array_limit"
    RESERVATION = "reservation"
    LICENSES = "licenses"
    BAD_CONSTRAINTS = "bad_constraints"
    CPU_MEMORY = "cpu_memory"
    ACCOUNT = "account"
    NO_QUEUE = "no_queue"
    GANG = "gang"
    BIND = "bind"
    NEXT_CYCLE = "next_cycle"
    NOT_WAITING = "not_waiting"
    UNKNOWN = "unknown"


class Deed(StrEnum):
    """What a candidate asks for.

    `change`: change fields of the waiting run. `release`: end its hold. `wait`: nothing.
    `resubmit`: the fields cannot be changed in place everywhere, so submit the run again with
    them. `ask`: somebody else must act, in the words of the sentence.
    """

    CHANGE = "change"
    RELEASE = "release"
    WAIT = "wait"
    RESUBMIT = "resubmit"
    ASK = "ask"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One way to get the run started.

    `changes` are pairs in the words of `ChangeRun.fields`; a what-if takes them as they are.
    `owner` is the user who must do it, or `ADMIN`. `what_if` False means that the scheduler's
    what-if does not know this obstacle (a limit, a dependency), so that asking it would mislead:
    the start is then `not_before`, or unknown. `not_before` (UTC) bounds the start from below.
    `behind_s` are the seconds that a what-if adds because it lets a copy of the run queue behind
    the run itself. `known_by` tells where `not_before` comes from.
    """

    sentence: str
    act: Deed = Deed.CHANGE
    changes: tuple[tuple[str, str], ...] = ()
    owner: str | None = None
    what_if: bool = True
    not_before: datetime | None = None
    behind_s: float = 0.0
    known_by: str = "time limits and plans in the job list"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The one dominant reason for which a run waits.

    `reason` is the scheduler's own word, `sentence` ours. `evidence` are facts with numbers and
    the list they come from. `candidates` stand with the smallest change first: what takes nothing
    from the run, then what makes it smaller, then waiting, then what others must do. `at` is the
    moment (UTC) that the diagnosis holds for.
    """

    kind: Kind
    reason: str
    sentence: str
    evidence: tuple[str, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    at: datetime
