"""What a live cluster is made of, and the limits that keep a run from starting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from scheduler_sim.cluster import NodeSpec
from scheduler_sim.jobs import Job, Reason
from scheduler_sim.workload import Person, Template


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """A queue: the rows of its nodes, its longest run, and minutes of rank it lends its runs."""

    name: str
    nodes: tuple[int, ...]
    max_s: int | None = None
    rank_minutes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSpec:
    """A cluster and what goes on in it.

    `user_limits` are GPU thousandths that one user may hold, by QOS; `account_limits` that one
    account may hold; `quotas` that the runs of one account may hold which cannot be preempted.
    New runs stay away while `max_waiting` wait. Nodes fail every `fail_every_s` on average, over
    the whole cluster, and come back after about `repair_s`. The queue is looked at every
    `pass_every_s`. The clock starts at `start_s`, the numbers of runs at `first_number`.
    """

    nodes: tuple[NodeSpec, ...]
    queues: tuple[QueueSpec, ...]
    templates: tuple[Template, ...]
    people: tuple[Person, ...]
    load: float = 1.2
    max_waiting: int = 25
    user_limits: Mapping[str, int] = field(default_factory=dict)
    account_limits: Mapping[str, int] = field(default_factory=dict)
    quotas: Mapping[str, int] = field(default_factory=dict)
    fail_every_s: int = 30 * 3600
    repair_s: int = 5 * 3600
    pass_every_s: int = 30
    start_s: int = 0
    first_number: int = 1001


@dataclass(frozen=True, slots=True)
class NodeNote:
    """Why a node takes no new runs: `down` or `drain`, in words, and since when.

    `by` is who closed it; None for a fault, which is repaired by itself.
    """

    kind: str
    text: str
    since_s: int
    by: str | None = None


STARTS = frozenset({"up", "drain"})
"""States of a queue in which its waiting runs start."""

TAKES = frozenset({"up", "down"})
"""States of a queue in which it takes new runs."""


class Limits:
    """GPU thousandths in use by user and QOS, by account, and by account without preemption.

    `quotas` are those of the spec until the engine is told others.
    """

    def __init__(self, spec: LiveSpec) -> None:
        self._spec = spec
        self.quotas = dict(spec.quotas)
        self.by_user: dict[tuple[str, str], int] = {}
        self.by_account: dict[str, int] = {}
        self.firm: dict[str, int] = {}

    def count(self, job: Job, sign: int) -> None:
        """Add what the run holds (`sign` 1), or take it off (-1)."""
        spec, amount = job.spec, sign * job.spec.total_milli
        who = (spec.qos, spec.user)
        self.by_user[who] = self.by_user.get(who, 0) + amount
        self.by_account[spec.account] = self.by_account.get(spec.account, 0) + amount
        if not spec.preemptible:
            self.firm[spec.account] = self.firm.get(spec.account, 0) + amount

    def bar(self, job: Job) -> Reason | None:
        """The limit that the run would break if it started now, None if it breaks none."""
        spec, amount = job.spec, job.spec.total_milli
        if not amount:
            return None
        most = self._spec.user_limits.get(spec.qos)
        if most is not None and self.by_user.get((spec.qos, spec.user), 0) + amount > most:
            return Reason.USER_LIMIT
        most = self._spec.account_limits.get(spec.account)
        if most is not None and self.by_account.get(spec.account, 0) + amount > most:
            return Reason.ACCOUNT_LIMIT
        most = None if spec.preemptible else self.quotas.get(spec.account)
        if most is not None and self.firm.get(spec.account, 0) + amount > most:
            return Reason.QUOTA
        return None
