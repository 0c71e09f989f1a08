"""Limits on GPUs and runs that would keep a run from starting although there is room."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from itertools import product

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.rights import Rights
from foundry_tui.estate.run import HOLDING, Run

Key = tuple[str, ...]
"""Scope, the limited measure, and whom it binds."""

_PER_USER = ("user", "user_of_qos")
_UNITS = {"gpus": WHOLE_MILLI, "runs": 1}
_ALL = tuple(product(("queue", "account", "qos", "user", "user_of_qos"), _UNITS))


class Headroom:
    """What the limits of one source still leave, GPUs in thousandths; it counts the starts.

    `rights` are one user's, so limits that bind only others are not known. What is in use is the
    larger of what the scheduler told and what is seen to run: PrivateData can hide runs, and a
    told figure can be older than they are.
    """

    def __init__(self, queues: Sequence[Queue], rights: Rights | None, runs: Iterable[Run]) -> None:
        self._most: dict[Key, int] = {}
        self._used: dict[Key, int] = {}
        self._kinds = _ALL
        for run in runs:
            if run.state in HOLDING:
                self.count(run, run.queues, run.request.gpu_milli or 0)
        for queue in queues:
            if queue.limit_gpu_milli is not None:
                key = ("queue", "gpus", queue.name)
                self._most[key] = queue.limit_gpu_milli
                self._used[key] = max(queue.allocated_gpu_milli or 0, self._used.get(key, 0))
        if rights is not None:
            self._add(rights)
        self._kinds = tuple(k for k in _ALL if k in {key[:2] for key in self._most})

    def copy(self) -> Headroom:
        """The same headroom, which later starts do not touch."""
        other = copy(self)
        other._used = dict(self._used)
        return other

    def _add(self, rights: Rights) -> None:
        for limit in rights.limits:
            unit = _UNITS.get(limit.what)
            if unit is None:
                continue
            own: Key = (limit.scope, limit.what, limit.name)
            if limit.scope in _PER_USER:
                own = (*own, rights.user)
            # What a QOS lets one user have, it lets every user have.
            bound = own[:3] if limit.scope == "user_of_qos" else own
            self._most[bound] = round(unit * limit.value)
            if limit.used is not None:
                self._used[own] = max(round(unit * limit.used), self._used.get(own, 0))

    def bar(self, run: Run, queues: tuple[str, ...], gpu_milli: int) -> str | None:
        """The limit that one more start would break, in words; None when it breaks none."""
        for key, left, amount in self.binding(run, queues, gpu_milli):
            if amount > left:
                scope, what, unit = key[0].replace("_", " "), key[1], _UNITS[key[1]]
                used = self._used.get(key, 0)
                return (
                    f"the limit of {scope} {key[2]} is {(left + used) / unit:g} {what}, "
                    f"and {used / unit:g} are in use"
                )
        return None

    def binding(
        self, run: Run, queues: tuple[str, ...], gpu_milli: int
    ) -> Iterator[tuple[Key, int, int]]:
        """The limits on one more start: which, what is left of it, and what the start takes."""
        for key, amount in self._amounts(run, queues, gpu_milli):
            most = self._most.get(key[:3] if key[0] == "user_of_qos" else key)
            if most is not None and amount:
                yield key, most - self._used.get(key, 0), amount

    def count(self, run: Run, queues: tuple[str, ...], gpu_milli: int) -> None:
        """Reckon one start."""
        for key, amount in self._amounts(run, queues, gpu_milli):
            self._used[key] = self._used.get(key, 0) + amount

    def _amounts(
        self, run: Run, queues: tuple[str, ...], gpu_milli: int
    ) -> Iterator[tuple[Key, int]]:
        """The limits that may bind the run, and what one start of it takes from each."""
        for scope, what in self._kinds:
            amount = gpu_milli if what == "gpus" else 1
            if scope == "queue":
                for queue in queues[:1]:
                    yield (scope, what, queue), amount
            elif scope == "account":
                yield (scope, what, run.account or ""), amount
            elif scope == "qos":
                yield (scope, what, run.qos or ""), amount
            elif scope == "user":
                yield (scope, what, run.account or "", run.user or ""), amount
            else:
                yield (scope, what, run.qos or "", run.user or ""), amount
