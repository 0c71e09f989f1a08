"""Problems for the tests of the exact search, and two other ways to solve them.

`best_of_all` tries every set of starts. `by_patterns` is a formulation of its own: a variable for
every set of tasks that fits on one node together, found by counting, instead of one for every task
on every device.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from random import Random

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from foundry_tui.optimiser.problem import (
    Kind,
    Level,
    Option,
    Place,
    Problem,
    Task,
    Typical,
    broken,
    covers,
    objective,
)

Lefts = tuple[tuple[tuple[int, ...], ...], tuple[int, ...], tuple[int, ...]]
"""What one place has left at each level: devices, CPU, memory."""


def random_problem(
    random: Random, places: int, tasks: int, *, strand: bool = False, most_gpus: int = 4
) -> Problem:
    """Partly used nodes with 0 to 4 devices, some with a kept part, and tasks of every sort."""
    found = tuple(_place(random, n, most_gpus) for n in range(places))
    limits = tuple(random.randint(1, 4) * 1000 for _ in range(random.choice((0, 1, 2))))
    kinds: list[Kind] = []
    left = tasks
    while left:
        count = min(left, random.choice((1, 1, 1, 2, 3)))
        left -= count
        kinds.append(_kind(random, places, count, len(limits)))
    mix: tuple[Typical, ...] = ()
    if strand:
        mix = tuple(
            Typical(
                count=random.randint(1, 5),
                gpus=random.choice((0, 1, 1, 2)),
                gpu_milli=random.choice((250, 500, 1000)),
                cpu_milli=random.choice((0, 1000, 4000)),
                places=tuple(p for p in range(places) if random.random() < 0.8),
            )
            for _ in range(random.randint(1, 3))
        )
    return Problem(found, tuple(kinds), limits, mix)


def _place(random: Random, row: int, most_gpus: int) -> Place:
    gpus = tuple(
        random.choice((1000, 1000, 1000, 750, 500, 0)) for _ in range(random.randint(0, most_gpus))
    )
    cpu, memory = random.choice((4000, 8000, 12000)), random.choice((8, 16))
    levels = [Level(0.0, gpus, cpu, memory)]
    if random.random() < 0.4:
        later = tuple(random.choice((g, 1000, 0)) for g in gpus)
        levels.append(Level(600.0, later, random.choice((cpu, 2000)), memory))
    instances = {"1g.10gb": random.randint(1, 3)} if random.random() < 0.3 else {}
    return Place(row, tuple(levels), instances)


def _kind(random: Random, places: int, count: int, limits: int) -> Kind:
    nodes = random.choice((1, 1, 1, 2)) if places > 1 else 1
    gpus = random.choice((0, 1, 1, 1, 2, 3))
    whole = random.random() < 0.5
    milli = 1000 if whole or gpus == 0 else random.choice((250, 300, 500, 700))
    profile = "1g.10gb" if random.random() < 0.15 and gpus == 1 else None
    options = []
    for _ in range(random.choice((1, 1, 2))):
        allowed = tuple(p for p in range(places) if random.random() < 0.8)
        if len(allowed) >= nodes:
            options.append(
                Option(
                    worth=random.randint(1, 40) * 100,
                    places=allowed,
                    gpus=gpus,
                    gpu_milli=milli,
                    cpu_milli=random.choice((0, 1000, 2000, 4000)),
                    memory_mib=random.choice((0, 1, 4)),
                    profile=profile,
                    limits=tuple((n, gpus * milli) for n in range(limits) if random.random() < 0.5),
                )
            )
    if not options:
        options = [Option(100, tuple(range(places)), gpus, milli, 1000, 1, profile)]
    return Kind(count, nodes, random.choice((None, 300.0, 900.0)), tuple(options))


def best_of_all(problem: Problem) -> int:
    """The best objective, by trying every set of starts with every choice of devices."""
    queue = [k for k, kind in enumerate(problem.kinds) for _ in range(kind.count)]
    seen: set[object] = set()

    def best(at: int, started: tuple[Task, ...]) -> int:
        if at == len(queue):
            return objective(problem, started)
        key = at, _state(problem, started)
        if key in seen:
            return -(1 << 60)
        seen.add(key)
        found = best(at + 1, started)
        for task in _starts(problem, queue[at]):
            more = (*started, task)
            if broken(problem, more) is None:
                found = max(found, best(at + 1, more))
        return found

    return best(0, ())


def _state(problem: Problem, tasks: Sequence[Task]) -> object:
    """What decides how good the rest can be, devices of equal lefts not told apart."""
    used: dict[tuple[int, int], list[int]] = {}
    cpu: dict[tuple[int, int], tuple[int, int, int]] = {}
    limits = [0] * len(problem.limits)
    counts: dict[int, int] = {}
    for task in tasks:
        kind = problem.kinds[task.kind]
        option = kind.options[task.option]
        counts[task.kind] = counts.get(task.kind, 0) + 1
        for limit, amount in option.limits:
            limits[limit] += amount
        for place, gpus in task.parts:
            cuts = option.gpus if option.profile else 0
            for n in range(covers(problem.places[place], kind.runs_s)):
                a, b, c = cpu.get((place, n), (0, 0, 0))
                cpu[place, n] = a + option.cpu_milli, b + option.memory_mib, c + cuts
                held = used.setdefault((place, n), [0] * len(problem.places[place].levels[0].gpus))
                for g in gpus:
                    held[g] += option.gpu_milli
    devices = []
    for at, here in enumerate(problem.places):
        each = [
            tuple(
                level.gpus[g] - used.get((at, n), [0] * len(level.gpus))[g]
                for n, level in enumerate(here.levels)
            )
            for g in range(len(here.levels[0].gpus))
        ]
        devices.append(tuple(sorted(each)))
    value = sum(problem.kinds[t.kind].options[t.option].worth for t in tasks)
    return tuple(devices), tuple(sorted(cpu.items())), tuple(limits), value, len(tasks)


def _starts(problem: Problem, k: int) -> Iterator[Task]:
    kind = problem.kinds[k]
    for o, option in enumerate(kind.options):
        for places in combinations(option.places, kind.nodes):
            yield from _devices(problem, k, o, places, ())


def _devices(
    problem: Problem,
    k: int,
    o: int,
    places: Sequence[int],
    done: tuple[tuple[int, tuple[int, ...]], ...],
) -> Iterator[Task]:
    if len(done) == len(places):
        yield Task(k, o, done)
        return
    option, at = problem.kinds[k].options[o], places[len(done)]
    count = option.gpus if option.profile is None else 0
    for gpus in combinations(range(len(problem.places[at].levels[0].gpus)), count):
        yield from _devices(problem, k, o, places, (*done, (at, gpus)))


def by_patterns(problem: Problem) -> int:
    """The most that can start is worth, with one variable for each set of tasks on one node.

    Raises:
        RuntimeError: HiGHS did not prove it.
    """
    columns: list[tuple[int, dict[tuple[int, int], int]]] = []
    for at in range(len(problem.places)):
        columns += [(at, pattern) for pattern in _patterns(problem, at)]
    keys = [(k, o) for k, kind in enumerate(problem.kinds) for o in range(len(kind.options))]
    first = len(columns)
    number = {key: first + n for n, key in enumerate(keys)}
    rows: list[tuple[dict[int, float], float]] = []
    for at in range(len(problem.places)):
        rows.append(({n: 1.0 for n, (p, _) in enumerate(columns) if p == at}, 1.0))
    for k, o in keys:
        nodes = problem.kinds[k].nodes
        row = {n: -float(p[k, o]) for n, (_, p) in enumerate(columns) if (k, o) in p}
        rows.append(({**row, number[k, o]: float(nodes)}, 0.0))
        if nodes > 1:  # of one task a node holds one part
            for at in range(len(problem.places)):
                here = {
                    n: float(p[k, o])
                    for n, (place, p) in enumerate(columns)
                    if place == at and (k, o) in p
                }
                rows.append(({**here, number[k, o]: -1.0}, 0.0))
    for k, kind in enumerate(problem.kinds):
        rows.append(({number[k, o]: 1.0 for o in range(len(kind.options))}, float(kind.count)))
    for limit, most in enumerate(problem.limits):
        row = {
            number[k, o]: float(sum(a for n, a in kind.options[o].limits if n == limit))
            for k, kind in enumerate(problem.kinds)
            for o in range(len(kind.options))
        }
        rows.append((row, float(most)))
    matrix = np.zeros((len(rows), first + len(keys)))
    for n, (row, _) in enumerate(rows):
        for column, value in row.items():
            matrix[n, column] = value
    cost = np.zeros(first + len(keys))
    for k, o in keys:
        cost[number[k, o]] = -problem.kinds[k].options[o].worth
    found = milp(
        cost,
        integrality=np.ones(len(cost)),
        bounds=Bounds(0, np.inf),
        constraints=[LinearConstraint(matrix, -np.inf, np.array([top for _, top in rows]))],
        options={"mip_rel_gap": 0.0},
    )
    if found.status != 0:
        raise RuntimeError(found.message)
    return round(-float(found.fun))


def _patterns(problem: Problem, at: int) -> list[dict[tuple[int, int], int]]:
    """Every multiset of tasks that fits on one place."""
    place = problem.places[at]
    keys = [
        (k, o)
        for k, kind in enumerate(problem.kinds)
        for o, option in enumerate(kind.options)
        if at in option.places
    ]
    empty: Lefts = (
        tuple(sorted(zip(*(level.gpus for level in place.levels), strict=True))),
        tuple(level.cpu_milli for level in place.levels),
        tuple(level.memory_mib for level in place.levels),
    )
    found: list[dict[tuple[int, int], int]] = []

    def extend(n: int, states: set[Lefts], cuts: int, pattern: dict[tuple[int, int], int]) -> None:
        if n == len(keys):
            if pattern:
                found.append(dict(pattern))
            return
        k, o = keys[n]
        kind, option = problem.kinds[k], problem.kinds[k].options[o]
        now, count = states, 0
        while now and cuts >= 0:
            more = {**pattern, (k, o): count} if count else pattern
            extend(n + 1, now, cuts, more)
            count += 1
            if count > kind.count:
                break
            if option.profile is not None:
                cuts -= option.gpus
            now = {after for state in now for after in _put(place, kind, option, state)}

    extend(0, {empty}, place.instances.get("1g.10gb", 0), {})
    return found


def _put(place: Place, kind: Kind, option: Option, state: Lefts) -> Iterator[Lefts]:
    """What is left when one part was added, for each choice of devices."""
    devices, cpu, memory = state
    active = covers(place, kind.runs_s)
    cpu = tuple(c - option.cpu_milli * (n < active) for n, c in enumerate(cpu))
    memory = tuple(m - option.memory_mib * (n < active) for n, m in enumerate(memory))
    if min(*cpu, *memory, 0) < 0:
        return
    count = option.gpus if option.profile is None else 0
    for chosen in combinations(range(len(devices)), count):
        left = [
            tuple(v - option.gpu_milli * (g in chosen and n < active) for n, v in enumerate(each))
            for g, each in enumerate(devices)
        ]
        if all(min(each) >= 0 for each in left):
            yield tuple(sorted(left)), cpu, memory
