"""One waiting run with everything that is known around it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from foundry_tui.estate.node import Node
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.rights import Association, Limit, Rights
from foundry_tui.estate.run import HOLDING, Run, RunState
from foundry_tui.estate.snapshot import Snapshot

CLOSED = frozenset({"down", "inactive"})
"""Queue states in which nothing starts; a draining queue still starts what it holds."""

PARTITION = "partition"
"""The kind of queue that is a set of nodes."""

_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGT]?)")
_SHIFTS = {"K": 10, "": 20, "M": 20, "G": 30, "T": 40}
_GRES = re.compile(r"(?:gres[:/])?gpu(?::(?P<model>[^:,=]*[^:,=\d][^:,=]*))?(?:[:=]\d+)?(?=,|$)")


@dataclass(frozen=True, slots=True)
class Case:
    """A run, the snapshot it was seen in, the scheduler's own words on it, its owner's rights.

    `rights` of another user than the run's owner tell only the limits of QOS and accounts.
    `promised` names the nodes for which runs with higher priority wait.
    """

    run: Run
    snapshot: Snapshot
    details: Mapping[str, str]
    rights: Rights | None
    now: datetime
    promised: frozenset[str] = frozenset()

    def word(self, name: str) -> str:
        """What the scheduler says about the run under this name; empty when unset or unknown."""
        return str(self.details.get(name) or (self.run.native or {}).get(name) or "")

    @property
    def reason(self) -> str:
        """The scheduler's reason: the details are read after the snapshot, so they go first."""
        word = str(self.details.get("reason") or self.run.reason or "")
        return "" if word == "None" else word

    @property
    def queues(self) -> tuple[Queue, ...]:
        """The queues the run may start in, as far as the snapshot knows them."""
        names = self.run.queues
        return tuple(
            q for q in self.snapshot.queues if q.source == self.run.source and q.name in names
        )

    @property
    def other_queues(self) -> tuple[Queue, ...]:
        """Partitions of the source that the run does not wait in; a project is no place to go."""
        return tuple(
            q
            for q in self.snapshot.queues
            if q.source == self.run.source and q.kind == PARTITION and q.name not in self.run.queues
        )

    def nodes_of(self, *queues: Queue) -> tuple[Node, ...]:
        """The nodes of these queues, each once. A project has no nodes of its own: it has all."""
        names = {q.name for q in queues}
        every = any(q.kind != PARTITION for q in queues)
        return tuple(
            n
            for n in self.snapshot.nodes
            if n.source == self.run.source and (every or names & set(n.queues))
        )

    @property
    def others(self) -> tuple[Run, ...]:
        """The other runs of the same source."""
        mine = self.run
        return tuple(r for r in self.snapshot.runs if r.source == mine.source and r.id != mine.id)

    @property
    def holding(self) -> tuple[Run, ...]:
        """Runs that hold resources now."""
        return tuple(r for r in self.others if r.state in HOLDING)

    @property
    def waiting(self) -> tuple[Run, ...]:
        """The other runs that wait."""
        return tuple(r for r in self.others if r.state is RunState.PENDING)

    @property
    def associations(self) -> tuple[Association, ...] | None:
        """What the run's owner may charge; None when that is not known."""
        if self.rights is None or self.rights.user != self.run.user:
            return None
        return self.rights.associations

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The limits that may bind the run; those of another user are left out."""
        if self.rights is None:
            return ()
        mine = self.rights.user == self.run.user
        return tuple(limit for limit in self.rights.limits if mine or limit.scope != "user")

    @property
    def planned(self) -> datetime | None:
        """When the scheduler itself plans to start the run, if it does and that is to come."""
        planned = self.run.estimated_start_at
        return planned if planned is not None and planned > self.now else None

    @property
    def memory_per_cpu(self) -> bool:
        """Whether the memory is asked for per CPU; where both read the same, it is per node."""
        found = _SIZE.match(self.word("min_memory"))
        total, nodes = self.run.request.memory_bytes, max(1, self.run.request.nodes)
        if found is None or total is None:
            return False
        return int(float(found[1]) * (1 << _SHIFTS[found[2]])) * nodes != total

    def admits(self, queue: Queue, account: str | None, qos: str | None) -> bool:
        """Whether the queue takes runs of this account and QOS, and the owner may use it."""
        if queue.accounts is not None and account not in queue.accounts:
            return False
        if queue.qos is not None and qos not in queue.qos:
            return False
        found = self.associations
        if found is None or account is None:
            return True
        mine = [a for a in found if a.account == account]
        return any(a.queues is None or queue.name in a.queues for a in mine)

    def gpu_field(self) -> tuple[str, str] | None:
        """The changeable field that states the GPUs, and the prefix of its value (`h100:`).

        None when the run asks for GPUs in a way that cannot be changed in place (per task, or
        shares of a GPU).
        """
        for field, word in (("gpus_per_node", "tres_per_node"), ("gpus", "tres_per_job")):
            text = self.word(word)
            if text:
                found = _GRES.fullmatch(text)
                if found is None:
                    return None
                return field, f"{found['model']}:" if found["model"] else ""
        if self.word("tres_per_task") or not self.run.request.gpu_count:
            return None
        model = self.run.request.gpu_model
        return "gpus_per_node", f"{model}:" if model else ""
