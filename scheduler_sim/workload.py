"""Where runs come from: a seeded stream of arrivals, and the reader of a small trace.

Only `random.Random.random` is drawn from, whose values are the same on every Python version, so
that a seed means the same runs everywhere.
"""

from __future__ import annotations

import csv
import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import TypeVar

from scheduler_sim.cluster import WHOLE_MILLI, Request
from scheduler_sim.jobs import JobSpec, State

T = TypeVar("T")

TRACE_FIELDS = (
    "name",
    "cpu_milli",
    "memory_mib",
    "num_gpu",
    "gpu_milli",
    "submit_s",
    "duration_s",
)

_SPREAD = (0.1, 0.3, 0.6, 1.3, 2.7)
"""Durations as multiples of the mean: many short runs, a few long ones; their mean is 1."""

_HALF_HOUR_S = 1800


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who submits; `weight` is how often, compared with the others."""

    user: str
    account: str
    weight: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One kind of work that people submit; `weight` is how often, compared with the others.

    `queues` are alternatives, one of which is drawn; empty for the person's account.
    `longest_limit_s` is the longest time limit that people ask for, None if they ask for none.
    `idle_pct`, `held_pct`, `follow_pct` and `fail_pct` are the shares that stop working early, are
    held, wait for the user's previous run, and fail.
    """

    name: str
    request: Request
    mean_s: int
    weight: int
    queues: tuple[str, ...] = ()
    nodes: int = 1
    qos: str = "normal"
    util_pct: int = 70
    idle_pct: int = 0
    held_pct: int = 0
    follow_pct: int = 0
    fail_pct: int = 8
    tasks: int = 0
    throttle: int = 0
    longest_limit_s: int | None = 48 * 3600
    preemptible: bool = True

    @property
    def mean_milli_s(self) -> int:
        """Mean GPU thousandths times seconds of one arrival."""
        return self.nodes * self.request.total_milli * self.mean_s * max(1, self.tasks)


class Arrivals:
    """An endless stream of (second, run), the same for the same seed and arguments.

    `load` is the share of `total_milli` GPU thousandths that the stream would keep busy.

    Raises:
        ValueError: no templates or people, or a stream that asks for no GPU at all.
    """

    def __init__(
        self,
        templates: Sequence[Template],
        people: Sequence[Person],
        *,
        total_milli: int,
        load: float,
        start_s: int,
        seed: int,
    ) -> None:
        if not templates or not people:
            raise ValueError("templates, people: at least one of each")
        work = sum(t.weight * t.mean_milli_s for t in templates) / sum(t.weight for t in templates)
        if work <= 0:
            raise ValueError("templates: none of them asks for GPUs, so the load has no meaning")
        self._templates, self._people = tuple(templates), tuple(people)
        self._template_weights = tuple(accumulate(t.weight for t in templates))
        self._people_weights = tuple(accumulate(p.weight for p in people))
        self._gap_s = work / (total_milli * load)
        self._random = Random(seed)
        self._at_s = float(start_s)

    def __iter__(self) -> Iterator[tuple[int, JobSpec]]:
        return self

    def __next__(self) -> tuple[int, JobSpec]:
        self._at_s += -self._gap_s * math.log(1.0 - self._random.random())
        return int(self._at_s), self.draw()

    def draw(self) -> JobSpec:
        """The next run, without the time until it comes."""
        template = self._templates[self._drawn(self._template_weights)]
        person = self._people[self._drawn(self._people_weights)]
        spread = self._one_of(_SPREAD) * (0.8 + 0.4 * self._random.random())
        duration_s = max(60, int(template.mean_s * spread))
        outcome, exit_code = self._outcome(template)
        if outcome in (State.FAILED, State.CANCELLED):
            duration_s = max(30, int(duration_s * self._random.random()))
        asked = 0.7 if self._chance(4) else 1.1 + 2.4 * self._random.random()
        idle = self._chance(template.idle_pct)
        return JobSpec(
            name=f"{template.name}-{int(self._random.random() * 900) + 100}",
            user=person.user,
            account=person.account,
            queue=self._one_of(template.queues) if template.queues else person.account,
            request=template.request,
            duration_s=duration_s,
            nodes=template.nodes,
            limit_s=_limit(duration_s * asked, template.longest_limit_s),
            qos=template.qos,
            preemptible=template.preemptible,
            util_pct=max(5, min(99, template.util_pct + int(self._random.random() * 30) - 15)),
            idle_from_s=int(duration_s * 0.3 * self._random.random()) if idle else None,
            outcome=outcome,
            exit_code=exit_code,
            tasks=tuple(range(template.tasks)),
            throttle=template.throttle,
            held=self._chance(template.held_pct),
            after="previous" if self._chance(template.follow_pct) else None,
        )

    def _outcome(self, template: Template) -> tuple[State, int]:
        if not self._chance(template.fail_pct):
            return State.COMPLETED, 0
        kinds = ((State.FAILED, 1), (State.FAILED, 1), (State.OUT_OF_MEMORY, 137))
        return self._one_of((*kinds, (State.CANCELLED, 0)))

    def _chance(self, pct: int) -> bool:
        return self._random.random() * 100 < pct

    def _one_of(self, items: Sequence[T]) -> T:
        return items[int(self._random.random() * len(items))]

    def _drawn(self, sums: Sequence[int]) -> int:
        """An index, drawn by the weights whose running sums these are."""
        return bisect_right(sums, int(self._random.random() * sums[-1]))


def _limit(asked_s: float, longest_s: int | None) -> int | None:
    """A time limit in whole half hours, as people ask for it."""
    if longest_s is None:
        return None
    return min(longest_s, -(-int(asked_s) // _HALF_HOUR_S) * _HALF_HOUR_S)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One row of a trace: what arrives when, and how long it works."""

    name: str
    request: Request
    submit_s: int
    duration_s: int


def read_trace(lines: Iterable[str]) -> tuple[Arrival, ...]:
    """The rows of a trace in CSV with the columns `TRACE_FIELDS`, in order of arrival.

    Raises:
        ValueError: a column is missing, or a value is no number or out of range; names line and
            column.
    """
    rows = csv.DictReader(lines)
    missing = [f for f in TRACE_FIELDS if f not in (rows.fieldnames or ())]
    if missing:
        raise ValueError(f"trace: the header has no column {', '.join(missing)}")
    found = [_arrival(row, rows.line_num) for row in rows]
    return tuple(sorted(found, key=lambda a: (a.submit_s, a.name)))


def _arrival(row: dict[str, str], line: int) -> Arrival:
    numbers = {}
    for field in TRACE_FIELDS[1:]:
        try:
            numbers[field] = int(row[field])
        except (TypeError, ValueError):
            problem = f"no whole number: {row[field]!r}"
            raise ValueError(f"trace line {line}: {field}: {problem}") from None
        if numbers[field] < 0:
            raise ValueError(f"trace line {line}: {field}: below 0: {numbers[field]}")
    gpus = numbers["num_gpu"]
    try:
        request = Request(
            gpus=gpus,
            gpu_milli=numbers["gpu_milli"] if gpus else WHOLE_MILLI,
            cpu_milli=numbers["cpu_milli"],
            memory_mib=numbers["memory_mib"],
        )
    except ValueError as error:
        raise ValueError(f"trace line {line}: {error}") from None
    return Arrival(row["name"], request, numbers["submit_s"], numbers["duration_s"])
