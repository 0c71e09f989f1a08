"""A problem as a mixed-integer program, and its solution as tasks.

Variables: `x`, tasks of a kind by option and place; for kinds on several places `s`, tasks by
option (each place is used once by each: x <= s and the sum of x is nodes times s, which is enough
for such an assignment to exist). Where the same devices are left at every level `z`, devices of a
place that hold one pattern of shares; elsewhere `y`, tasks that hold one device.

Stranded share, with q the useful share of a device for one typical request: q <= what is left of
the device, q <= 1000 d and q <= 1000 b, where d says that the device has the request's share left
and b that the node has its CPU and enough such devices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import LinearConstraint
from scipy.sparse import csr_array

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.optimiser.problem import Option, Place, Problem, Task, covers
from foundry_tui.optimiser.slots import Pattern, alike, devices_for, most_left, patterns, room

Ints = NDArray[np.int64]
Terms = list[tuple[int, float]]


@dataclass(slots=True)
class Model:
    """The program: cost to be made small, and for every variable its upper bound and kind.

    The objective of the problem is `scale` times (`constant` minus the cost).
    """

    problem: Problem
    cost: list[float] = field(default_factory=list)
    most: list[float] = field(default_factory=list)
    whole: list[bool] = field(default_factory=list)
    constant: float = 0.0
    scale: float = 1.0
    _terms: list[Terms] = field(default_factory=list)
    _least: list[float] = field(default_factory=list)
    _top: list[float] = field(default_factory=list)
    _allowed: dict[tuple[int, int], frozenset[int]] = field(default_factory=dict)
    _x: dict[tuple[int, int, int], int] = field(default_factory=dict)
    _y: dict[tuple[int, int, int, int], int] = field(default_factory=dict)
    _s: dict[tuple[int, int], int] = field(default_factory=dict)
    _z: list[tuple[int, list[int], Pattern, int]] = field(default_factory=list)
    _cells: dict[int, list[tuple[int, int]] | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for k, kind in enumerate(self.problem.kinds):
            for o, option in enumerate(kind.options):
                self._allowed[k, o] = frozenset(option.places)
        for at, place in enumerate(self.problem.places):
            self._tasks_of(at, place)
        self._counts()
        here: dict[int, list[tuple[int, int, int]]] = {}
        for (k, o, at), x in self._x.items():
            here.setdefault(at, []).append((k, o, x))
        for at, place in enumerate(self.problem.places):
            self._capacity(at, place, here.get(at, []))
        if self.problem.mix:
            self._strand()

    def demand(self, worth: int) -> None:
        """Only tasks that are worth so much together will do."""
        terms = [(column, cost) for column, cost in enumerate(self.cost) if cost]
        self._row(terms, -float(worth))

    def constraints(self) -> list[LinearConstraint]:
        """All rows of the program."""
        if not self._terms:
            return []
        rows = np.repeat(np.arange(len(self._terms)), [len(t) for t in self._terms])
        columns = np.array([c for terms in self._terms for c, _ in terms], dtype=np.int64)
        values = np.array([v for terms in self._terms for _, v in terms])
        matrix = csr_array((values, (rows, columns)), shape=(len(self._terms), len(self.cost)))
        return [LinearConstraint(matrix, np.array(self._least), np.array(self._top))]

    def _variable(self, cost: float, most: float, *, whole: bool = True) -> int:
        self.cost.append(cost)
        self.most.append(most)
        self.whole.append(whole)
        return len(self.cost) - 1

    def _row(self, terms: Terms, top: float, least: float = -np.inf) -> None:
        if terms:
            self._terms.append(terms)
            self._least.append(least)
            self._top.append(top)

    def _tasks_of(self, at: int, place: Place) -> None:
        """Variables of what may go to one place."""
        cells = self._sizes(at, place)
        for k, kind in enumerate(self.problem.kinds):
            for o, option in enumerate(kind.options):
                if at not in self._allowed[k, o]:
                    continue
                value = 0.0 if self.problem.mix or kind.nodes > 1 else -float(option.worth)
                devices = devices_for(place, option, covers(place, kind.runs_s))
                most = room(place, option, len(devices), kind.count)
                if most < 1:
                    continue
                x = self._x[k, o, at] = self._variable(value, most)
                if cells is not None or option.profile is not None or not option.gpus:
                    continue
                terms: Terms = [(x, -float(option.gpus))]
                for g in devices:
                    y = self._y[k, o, at, g] = self._variable(0.0, most)
                    terms.append((y, 1.0))
                    if option.gpus > 1:
                        self._row([(y, 1.0), (x, -1.0)], 0.0)
                self._row(terms, 0.0, 0.0)

    def _counts(self) -> None:
        """At most as many tasks as there are; gangs; limits."""
        limits: list[Terms] = [[] for _ in self.problem.limits]
        of: dict[tuple[int, int], list[int]] = {}
        for (k, o, _), x in self._x.items():
            of.setdefault((k, o), []).append(x)
        for k, kind in enumerate(self.problem.kinds):
            started: Terms = []
            for o, option in enumerate(kind.options):
                xs = of.get((k, o), [])
                if not xs:
                    continue
                if kind.nodes > 1:
                    value = 0.0 if self.problem.mix else -float(option.worth)
                    s = self._s[k, o] = self._variable(value, kind.count)
                    for x in xs:
                        self._row([(x, 1.0), (s, -1.0)], 0.0)
                    self._row([*((x, 1.0) for x in xs), (s, -float(kind.nodes))], 0.0, 0.0)
                    tasks: Terms = [(s, 1.0)]
                else:
                    tasks = [(x, 1.0) for x in xs]
                started += tasks
                for limit, amount in option.limits:
                    limits[limit] += [(v, amount * c) for v, c in tasks]
            self._row(started, kind.count, kind.at_least)
        for terms, left in zip(limits, self.problem.limits, strict=True):
            self._row(terms, left)

    def _capacity(self, at: int, place: Place, here: Sequence[tuple[int, int, int]]) -> None:
        """What a place has left, at every level at which that says something new."""
        kinds = self.problem.kinds
        cells = self._sizes(at, place)
        for n, level in enumerate(place.levels):
            users = [u for u in here if covers(place, kinds[u[0]].runs_s) > n]
            for name in ("cpu_milli", "memory_mib"):
                terms = [
                    (x, float(amount))
                    for k, o, x in users
                    if (amount := getattr(kinds[k].options[o], name))
                ]
                if sum(self.most[x] * amount for x, amount in terms) > getattr(level, name):
                    self._row(terms, getattr(level, name))
            for g, left in enumerate(level.gpus if cells is None else ()):
                if n and left >= place.levels[n - 1].gpus[g]:
                    continue
                terms = [
                    (y, float(kinds[k].options[o].gpu_milli))
                    for k, o, _ in users
                    if (y := self._y.get((k, o, at, g))) is not None
                ]
                self._row(terms, left)
        if cells is not None:
            self._patterns(at, place, cells, [(kinds[k].options[o], x) for k, o, x in here])
        for profile, free in place.instances.items():
            options = [(kinds[k].options[o], x) for k, o, x in here]
            self._row([(x, float(o.gpus)) for o, x in options if o.profile == profile], free)

    def _patterns(
        self,
        at: int,
        place: Place,
        cells: Sequence[tuple[int, int]],
        here: Sequence[tuple[Option, int]],
    ) -> None:
        """Enough devices with patterns for all the shares and whole devices of one place."""
        needs: dict[int, Terms] = {}
        for option, x in here:
            if option.gpus and option.profile is None:
                needs.setdefault(option.gpu_milli, []).append((x, float(option.gpus)))
        for capacity, devices in alike(place.levels[0].gpus).items():
            used: Terms = []
            for pattern in patterns(cells, capacity) or ():
                z = self._variable(0.0, len(devices))
                self._z.append((at, devices, pattern, z))
                used.append((z, 1.0))
                for (size, _), count in zip(cells, pattern, strict=True):
                    if count and size in needs:
                        needs[size].append((z, -float(count)))
            self._row(used, float(len(devices)))
        for terms in needs.values():
            self._row(terms, 0.0)

    def _strand(self) -> None:
        """The useful share of every device for every typical request, as in the module's head."""
        total = sum(t.count for t in self.problem.mix)
        self.scale = float(total)
        kinds = self.problem.kinds
        held: dict[tuple[int, int], Terms] = {}
        for (k, o, at, g), y in self._y.items():
            milli = float(kinds[k].options[o].gpu_milli)
            held.setdefault((at, g), []).append((y, milli))
            self.cost[y] -= milli
        cpu: dict[int, Terms] = {}
        for (k, o, at), x in self._x.items():
            cpu.setdefault(at, []).append((x, float(kinds[k].options[o].cpu_milli)))
        self.constant = -float(sum(sum(p.levels[0].gpus) for p in self.problem.places))
        enough: dict[tuple[int, int, int], int] = {}
        for typical in self.problem.mix:
            for at in typical.places if typical.gpus else ():
                level = self.problem.places[at].levels[0]
                fitting = [g for g, left in enumerate(level.gpus) if left >= typical.gpu_milli]
                if len(fitting) < typical.gpus or level.cpu_milli < typical.cpu_milli:
                    continue
                b = self._variable(0.0, 1)
                need = float(typical.cpu_milli)
                self._row([*cpu.get(at, []), (b, need)], float(level.cpu_milli))
                ds: Terms = []
                for g in fitting:
                    d = enough.get((at, g, typical.gpu_milli))
                    left, used = float(level.gpus[g]), held.get((at, g), [])
                    if d is None:
                        d = enough[at, g, typical.gpu_milli] = self._variable(0.0, 1)
                        self._row([*used, (d, float(typical.gpu_milli))], left)
                    ds.append((d, 1.0))
                    q = self._variable(-typical.count / total, left, whole=False)
                    self._row([(q, 1.0), *used], left)
                    self._row([(q, 1.0), (d, -left)], 0.0)
                    self._row([(q, 1.0), (b, -left)], 0.0)
                self._row([*ds, (b, -float(typical.gpus))], np.inf, 0.0)

    def _sizes(self, at: int, place: Place) -> list[tuple[int, int]] | None:
        """The shares that are asked for on a place and how many at most; None: devices differ."""
        if at in self._cells:
            return self._cells[at]
        self._cells[at] = None
        if self.problem.mix or any(level.gpus != place.levels[0].gpus for level in place.levels):
            return None
        most: dict[int, int] = {}
        for (k, o), places in self._allowed.items():
            option = self.problem.kinds[k].options[o]
            if at not in places or not option.gpus or option.profile is not None:
                continue
            if option.gpus > 1 and option.gpu_milli < WHOLE_MILLI:
                return None  # its shares are of different devices, which patterns do not tell
            most[option.gpu_milli] = most.get(option.gpu_milli, 0) + self.problem.kinds[k].count
        cells = sorted(
            ((size, min(count, WHOLE_MILLI // size)) for size, count in most.items()), reverse=True
        )
        if all(patterns(cells, c) is not None for c in alike(place.levels[0].gpus)):
            self._cells[at] = cells
        return self._cells[at]

    def _slots(self, values: Ints) -> dict[tuple[int, int], list[int]]:
        """The devices on which there is room for a share of each size, by place and size."""
        found: dict[tuple[int, int], list[int]] = {}
        used: dict[tuple[int, int], int] = {}
        for at, devices, pattern, z in self._z:
            begin = used.get((at, devices[0]), 0)
            chosen = devices[begin : begin + int(values[z])]
            used[at, devices[0]] = begin + len(chosen)
            for (size, _), count in zip(self._cells[at] or (), pattern, strict=True):
                for g in chosen:
                    found.setdefault((at, size), []).extend([g] * count)
        return found

    def tasks(self, values: Ints) -> tuple[Task, ...]:
        """The tasks that a solution stands for."""
        parts: dict[tuple[int, int], dict[int, list[tuple[int, ...]]]] = {}
        slots = self._slots(values)
        by_place: dict[tuple[int, int, int], dict[int, int]] = {}
        for (k, o, at, g), y in self._y.items():
            if values[y]:
                by_place.setdefault((k, o, at), {})[g] = int(values[y])
        for (k, o, at), x in self._x.items():
            option = self.problem.kinds[k].options[o]
            for _ in range(int(values[x])):
                if option.profile is not None or not option.gpus:
                    gpus: tuple[int, ...] = ()
                elif (held := by_place.get((k, o, at))) is not None:
                    gpus = most_left(held, option.gpus)
                else:
                    free = slots.get((at, option.gpu_milli), [])
                    gpus = tuple(free[: option.gpus])
                    del free[: option.gpus]
                parts.setdefault((k, o), {}).setdefault(at, []).append(gpus)
        found: list[Task] = []
        for (k, o), places in parts.items():
            left = {at: len(here) for at, here in places.items()}
            nodes = self.problem.kinds[k].nodes
            while sum(left.values()) >= nodes:
                chosen = most_left(left, nodes)
                found.append(Task(k, o, tuple((at, places[at].pop()) for at in chosen)))
        return tuple(found)
