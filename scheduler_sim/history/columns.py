"""The runs of a history, collected row by row in compact columns, then made into `Jobs`."""

from __future__ import annotations

from array import array

import numpy as np

from scheduler_sim.cluster import WHOLE_MILLI, NodeSpec, Request
from scheduler_sim.history.rejects import Unfit
from scheduler_sim.queues.jobs import LAST_S, NO_LIMIT_S, Jobs

LONGEST_NAME = 200
MOST_NODES = 1 << 20
"""No cluster, and no gang of a run, is larger; a larger number is a damaged one."""

MOST_GPUS = 64
"""No node has more GPUs."""

_UNKNOWN = ""
_UNTOLD = -1
"""In the limits: the history does not tell this run's limit."""


class Columns:
    """About 150 bytes for a run and its name, whatever the length of its row in the file."""

    def __init__(self) -> None:
        self._submit_s, self._duration_s, self._limit_s = array("d"), array("q"), array("q")
        self._nodes, self._kind, self._priority = array("q"), array("q"), array("q")
        self._user, self._account = array("q"), array("q")
        self._names: list[str] = []
        self._kinds: dict[tuple[int, int, int, int, tuple[str, ...]], int] = {}
        self._requests: list[Request] = []
        self._users: dict[str, int] = {}
        self._accounts: dict[str, int] = {}
        self.cut_at_limit = 0
        self.shares_rounded_up = 0

    def __len__(self) -> int:
        return len(self._names)

    def kind(
        self,
        gpus: int,
        gpu_milli: int = WHOLE_MILLI,
        cpu_milli: int = 0,
        memory_mib: int = 0,
        models: tuple[str, ...] = (),
    ) -> int:
        """The row of `Jobs.kinds` for what one node must give.

        Raises:
            Unfit: it asks for nothing, for more GPUs than nodes have, or for no share of one.
        """
        key = (gpus, gpu_milli, cpu_milli, memory_mib, models)
        row = self._kinds.get(key)
        if row is None:
            if not gpus and not cpu_milli and not memory_mib:
                raise Unfit("request", "asks for nothing")
            if gpus > MOST_GPUS:
                raise Unfit("gpus", f"more than {MOST_GPUS} on one node", gpus)
            try:
                request = Request(gpus, gpu_milli, cpu_milli, memory_mib, models)
            except ValueError:
                raise Unfit("gpu_milli", "not within 1..1000", gpu_milli) from None
            row = self._kinds[key] = len(self._requests)
            self._requests.append(request)
        return row

    def each(self, total: int, nodes: int) -> int:
        """What each of the nodes must give of a total; uneven shares are rounded up and counted."""
        if total % nodes:
            self.shares_rounded_up += 1
        return -(-total // nodes)

    def add(
        self,
        name: str,
        submit_s: float,
        duration_s: float,
        kind: int,
        *,
        nodes: int = 1,
        limit_s: int | None = None,
        user: str = _UNKNOWN,
        account: str = _UNKNOWN,
        priority: int = 0,
    ) -> None:
        """One run, `limit_s` None where the history does not tell it, `NO_LIMIT_S` for none.

        Raises:
            Unfit: a gang or a limit that cannot be, or a time that no simulation can hold.
        """
        if not 1 <= nodes <= MOST_NODES:
            raise Unfit("nodes", f"not within 1..{MOST_NODES}", nodes)
        if limit_s is not None and limit_s < 1:
            raise Unfit("limit", "a time limit of 0", limit_s)
        if not (0 <= submit_s < LAST_S and 0 <= duration_s < LAST_S):
            raise Unfit("time", "too far away")
        if limit_s is not None and duration_s > limit_s:
            self.cut_at_limit += 1
        self._submit_s.append(submit_s)
        self._duration_s.append(round(duration_s))
        self._limit_s.append(_UNTOLD if limit_s is None else limit_s)
        self._nodes.append(nodes)
        self._kind.append(kind)
        self._priority.append(priority)
        self._user.append(_row(self._users, user))
        self._account.append(_row(self._accounts, account))
        self._names.append(printable(name))

    def set_duration(self, row: int, duration_s: float) -> None:
        """Give a run another duration, where it is known only at the end of the file."""
        self._duration_s[row] = round(duration_s)

    def jobs(self) -> tuple[Jobs, float]:
        """The runs with the first submission as second 0, and when that was.

        Where the history tells no limit at all, estimates are exact; where it does not tell the
        limit of some runs, those have none.
        """
        submit_s = np.frombuffer(self._submit_s, dtype=np.float64)
        limit_s = np.frombuffer(self._limit_s, dtype=np.int64)
        untold = limit_s == _UNTOLD
        first_s = float(submit_s.min())
        jobs = Jobs.build(
            submit_s=submit_s - np.floor(first_s),
            duration_s=np.frombuffer(self._duration_s, dtype=np.int64),
            limit_s=None if untold.all() else np.where(untold, NO_LIMIT_S, limit_s),
            nodes=np.frombuffer(self._nodes, dtype=np.int64),
            kind=np.frombuffer(self._kind, dtype=np.int64),
            kinds=self._requests,
            user=np.frombuffer(self._user, dtype=np.int64),
            users=tuple(self._users),
            account=np.frombuffer(self._account, dtype=np.int64),
            accounts=tuple(self._accounts),
            priority=np.frombuffer(self._priority, dtype=np.int64),
            names=self._names,
        )
        return jobs, first_s

    def notes(self) -> tuple[str, ...]:
        """What was changed on the way, in words."""
        found = []
        if self.shares_rounded_up:
            found.append(
                f"{self.shares_rounded_up} amounts do not divide evenly among their nodes; "
                "each node's share was rounded up"
            )
        if self.cut_at_limit:
            found.append(
                f"{self.cut_at_limit} runs lasted longer than their time limit; "
                "a replay ends them at the limit"
            )
        if len(self) and max(self._limit_s) == _UNTOLD:
            found.append("no time limits are told: backfill plans with the exact durations")
        return tuple(found)


def machine(
    machines: dict[str, NodeSpec],
    name: str,
    gpus: int,
    model: str,
    cpu_milli: int = 0,
    memory_mib: int = 0,
) -> None:
    """Add a node to those of a history.

    Raises:
        Unfit: there is one of this name, it has more GPUs than a node can, or there are too many.
    """
    name = printable(name)
    if name in machines:
        raise Unfit("machine", "is there twice", name)
    if gpus > MOST_GPUS:
        raise Unfit("gpus", f"more than {MOST_GPUS} on one node", gpus)
    if len(machines) == MOST_NODES:
        raise Unfit("machine", f"more than {MOST_NODES}", name)
    machines[name] = NodeSpec(name, gpus, printable(model), cpu_milli, memory_mib)


def printable(text: str) -> str:
    """A name that can be shown on a terminal: control and bidirectional characters become `?`."""
    if text.isprintable() and len(text) <= LONGEST_NAME:
        return text
    return "".join(c if c.isprintable() else "?" for c in text[:LONGEST_NAME])


def _row(rows: dict[str, int], name: str) -> int:
    row = rows.get(name)
    if row is None:
        row = rows.setdefault(printable(name), len(rows))
    return row
