"""What may start now, as numbers: places with what they have left, and kinds of waiting tasks.

It is what the exact search is given: plain data that goes to the worker as JSON. A place is a node.
What it has left is known at a few moments (levels): now, and at each moment from which a part of it
is kept for a run that waits ahead. A task that starts now counts at every level that begins before
its time limit ends. Tasks that nothing tells apart are one kind.
"""

from __future__ import annotations

from dataclasses import dataclass

CLOSE = 1e-4
"""A relative gap to the bound at which it is not worth while to search on."""


@dataclass(frozen=True, slots=True)
class Level:
    """What a place has left for tasks that still run `from_s` seconds from now.

    `gpus` are thousandths by position.
    """

    from_s: float
    gpus: tuple[int, ...]
    cpu_milli: int
    memory_mib: int


@dataclass(frozen=True, slots=True)
class Place:
    """A node: row of the board, its levels (the first is now), free MIG instances by profile."""

    row: int
    levels: tuple[Level, ...]
    instances: dict[str, int]


@dataclass(frozen=True, slots=True)
class Option:
    """One way to run a task: what it takes on each node, and on which places (indices) it may go.

    `worth` is in thousandths of a weighted GPU. `limits` are pairs of an index into the problem's
    limits and what one task takes from it.
    """

    worth: int
    places: tuple[int, ...]
    gpus: int
    gpu_milli: int
    cpu_milli: int
    memory_mib: int
    profile: str | None = None
    limits: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """`count` equal tasks on `nodes` different places each.

    `runs_s` is their time limit, None for none. At least `at_least` of them have to start.
    """

    count: int
    nodes: int
    runs_s: float | None
    options: tuple[Option, ...]
    at_least: int = 0


@dataclass(frozen=True, slots=True)
class Typical:
    """One kind of request of the mix by which stranded share is told: F of FGD."""

    count: int
    gpus: int
    gpu_milli: int
    cpu_milli: int
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """Start what is worth most, or, with a mix, strand least.

    With `mix` the objective is the stranded share F of the places, to be made small; without it is
    the worth of what starts, to be made large.
    """

    places: tuple[Place, ...]
    kinds: tuple[Kind, ...]
    limits: tuple[int, ...]
    mix: tuple[Typical, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """One task that starts: its kind and option, and per place (index) the GPU positions."""

    kind: int
    option: int
    parts: tuple[tuple[int, tuple[int, ...]], ...]


def covers(place: Place, runs_s: float | None) -> int:
    """How many of the levels of a place a task that starts now counts at, at least the first."""
    if runs_s is None:
        return len(place.levels)
    return max(1, sum(level.from_s < runs_s for level in place.levels))


def worth(problem: Problem, tasks: tuple[Task, ...]) -> int:
    """What these tasks are worth together."""
    return sum(problem.kinds[t.kind].options[t.option].worth for t in tasks)


def pooled(problem: Problem) -> int:
    """A bound on the worth of what can start: all that is free is filled, as if it were one device.

    The tasks that are worth most per thousandth go first; those that ask for no device all start.
    """
    total, room = 0.0, sum(sum(p.levels[0].gpus) for p in problem.places)
    asking: list[tuple[float, int]] = []
    for kind in problem.kinds:
        most = max(option.worth for option in kind.options)
        each = [o.gpus * o.gpu_milli if o.profile is None else 0 for o in kind.options]
        milli = kind.nodes * min(each)
        if milli:
            asking.append((most / milli, kind.count * milli))
        else:
            total += kind.count * most
    for density, milli in sorted(asking, reverse=True):
        taken = min(room, milli)
        total += density * taken
        room -= taken
    return int(total + 1e-6)


def stranded(problem: Problem, tasks: tuple[Task, ...]) -> int:
    """F of the places when these tasks have started, times the number of runs in the mix.

    Thousandths of a GPU; the definition is that of `scheduler_sim.fragmentation`.
    """
    gpus = [list(p.levels[0].gpus) for p in problem.places]
    cpu = [p.levels[0].cpu_milli for p in problem.places]
    for task in tasks:
        option = problem.kinds[task.kind].options[task.option]
        for at, positions in task.parts:
            cpu[at] -= option.cpu_milli
            for position in positions:
                gpus[at][position] -= option.gpu_milli
    total = sum(t.count for t in problem.mix) * sum(map(sum, gpus))
    for typical in problem.mix:
        for at in typical.places if typical.gpus else ():
            useful = [left for left in gpus[at] if left >= typical.gpu_milli]
            if cpu[at] >= typical.cpu_milli and len(useful) >= typical.gpus:
                total -= typical.count * sum(useful)
    return total


def objective(problem: Problem, tasks: tuple[Task, ...]) -> int:
    """The figure of these tasks that is to be made large; minus F where there is a mix."""
    return -stranded(problem, tasks) if problem.mix else worth(problem, tasks)


def broken(problem: Problem, tasks: tuple[Task, ...]) -> str | None:
    """The first rule that these tasks break, in words; None when they may start together."""
    gpus = {
        (at, n): list(level.gpus)
        for at, place in enumerate(problem.places)
        for n, level in enumerate(place.levels)
    }
    cpu = {(at, n): problem.places[at].levels[n].cpu_milli for at, n in gpus}
    memory = {(at, n): problem.places[at].levels[n].memory_mib for at, n in gpus}
    free = {(at, p): n for at, pl in enumerate(problem.places) for p, n in pl.instances.items()}
    limits = list(problem.limits)
    counts = [0] * len(problem.kinds)
    for task in tasks:
        kind = problem.kinds[task.kind]
        option = kind.options[task.option]
        counts[task.kind] += 1
        places = [at for at, _ in task.parts]
        if len(set(places)) != kind.nodes or len(places) != kind.nodes:
            return f"kind {task.kind} needs {kind.nodes} different places, got {places}"
        for limit, amount in option.limits:
            limits[limit] -= amount
        for at, positions in task.parts:
            if at not in option.places:
                return f"kind {task.kind} may not go to place {at}"
            devices = option.gpus if option.profile is None else 0
            if len(set(positions)) != devices or len(positions) != devices:
                return f"kind {task.kind} needs {devices} GPUs of place {at}, got {positions}"
            if option.profile is not None:
                free[at, option.profile] = free.get((at, option.profile), 0) - option.gpus
            for n in range(covers(problem.places[at], kind.runs_s)):
                cpu[at, n] -= option.cpu_milli
                memory[at, n] -= option.memory_mib
                for position in positions:
                    gpus[at, n][position] -= option.gpu_milli
    for at, n in gpus:
        if min([cpu[at, n], memory[at, n], *gpus[at, n]]) < 0:
            return f"place {at} gives more than it has left at level {n}"
    if min([0, *free.values()]) < 0:
        return "more MIG instances are given away than are free"
    if min([0, *limits]) < 0:
        return "a limit is broken"
    for number, (kind, count) in enumerate(zip(problem.kinds, counts, strict=True)):
        if not kind.at_least <= count <= kind.count:
            return f"kind {number}: {count} start, of {kind.at_least} to {kind.count}"
    return None
