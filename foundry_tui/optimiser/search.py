"""The sequence of exact searches: growing neighbourhoods of an incumbent, then everything.

HiGHS takes no start and tells nothing while it works, so one long call would give nothing when it
is cut off. A neighbourhood is a few places with every task on them: what starts there, and what
could, is decided anew and exactly, all else stays. The incumbent never gets worse. A neighbourhood
of all places is the whole problem: its answer is optimal.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from random import Random

from foundry_tui.optimiser.patterns import pattern_bound
from foundry_tui.optimiser.problem import CLOSE, Place, Problem, Task, covers, objective, worth
from foundry_tui.optimiser.solver import Answer, solve

WHOLE = 6000
"""A problem with at most so many variables is first given to the solver as a whole."""

FIRST = 4
"""Places of the first neighbourhoods."""

TRIES = 4
"""So many neighbourhoods of one size without gain, and they grow; they shrink where time ends."""

MOST_KINDS = 60
"""A neighbourhood has so many kinds that could start there, beside those that do."""

PART_S = 3.0
"""No neighbourhood but the whole problem gets more seconds."""

SEED = 42

SEARCH = "branch and bound on the whole problem"
PATTERNS = "linear program over the sets of shares that fit on a GPU; equal nodes are pooled"


@dataclass(frozen=True, slots=True)
class State:
    """Where the search stands: the best tasks, a bound on the objective and what was looked at."""

    tasks: tuple[Task, ...]
    objective: int
    bound: float | None
    bound_kind: str | None
    proven: bool
    searches: int
    places: int

    @property
    def close(self) -> bool:
        """Whether at most `CLOSE` of the objective can be missing."""
        return self.bound is not None and self.bound - self.objective <= CLOSE * abs(self.bound)


Tell = Callable[[State], None]


def search(
    problem: Problem,
    start: tuple[Task, ...],
    time_limit_s: float,
    tell: Tell,
    clock: Callable[[], float] = time.monotonic,
) -> State:
    """Make `start` better until it is proven best or the time is over; tells every step."""
    ends_s = clock() + time_limit_s
    state = State(start, objective(problem, start), None, None, False, 0, 0)
    if not problem.mix:
        bound = pattern_bound(problem, (ends_s - clock()) / 3)
        if bound is not None:
            state = _bounded(state, bound, PATTERNS)
            tell(state)
    if not state.proven and size(problem) <= WHOLE:
        answer = solve(problem, (ends_s - clock()) / 2)
        state = _with(state, problem, answer, answer.tasks, len(problem.places))
        tell(state)
    random, count, failures = Random(SEED), FIRST, 0
    while not state.proven and not state.close and ends_s - clock() > 0:
        chosen = neighbourhood(problem, state.tasks, count, random)
        whole = len(chosen) == len(problem.places)
        others = None if whole else candidates(problem, state.tasks, random)
        part, kept = restrict(problem, state.tasks, chosen, others)
        left_s = ends_s - clock()
        part_s = left_s if count >= len(problem.places) else min(left_s, PART_S)
        reached = None if problem.mix else state.objective - worth(problem, kept)
        answer = solve(part.problem, part_s, reached)
        tasks = None if answer.tasks is None else (*kept, *map(part.back, answer.tasks))
        better = _with(state, problem, answer, tasks, len(chosen))
        failures = 0 if better.objective > state.objective else failures + 1
        state = better
        tell(state)
        if not answer.proven:
            count, failures = max(FIRST, count // 2), 0
        elif failures >= TRIES:
            count, failures = min(2 * count, len(problem.places)), 0
    return state


def _with(
    state: State, problem: Problem, answer: Answer, tasks: tuple[Task, ...] | None, places: int
) -> State:
    """The state after one more search, on so many places."""
    state = replace(state, searches=state.searches + 1, places=max(state.places, places))
    value = None if tasks is None else objective(problem, tasks)
    if tasks is not None and value is not None and value > state.objective:
        state = replace(state, tasks=tasks, objective=value)
    if places < len(problem.places):
        return _bounded(state, state.bound, state.bound_kind)
    bound = state.objective if answer.proven else answer.bound
    return _bounded(state, bound, SEARCH)


def _bounded(state: State, bound: float | None, kind: str | None) -> State:
    """The state with the lower of its bound and this one."""
    if bound is not None and (state.bound is None or bound < state.bound):
        state = replace(state, bound=bound, bound_kind=kind)
    return replace(state, proven=state.bound is not None and state.bound <= state.objective)


def size(problem: Problem) -> int:
    """About how many variables the program of a problem has."""
    found = 0
    for kind in problem.kinds:
        for option in kind.options:
            each = 1
            if option.gpus and option.profile is None and option.gpu_milli < 1000:
                each = 1 + max((len(p.levels[0].gpus) for p in problem.places), default=0)
            found += each * len(option.places)
    devices = sum(len(p.levels[0].gpus) for p in problem.places)
    return found + 2 * len(problem.mix) * devices


def neighbourhood(
    problem: Problem, tasks: Sequence[Task], count: int, random: Random
) -> tuple[int, ...]:
    """Places (indices) to look at anew: those that a kind which is left could use."""
    if count >= len(problem.places):
        return tuple(range(len(problem.places)))
    started = Counter(task.kind for task in tasks)
    left = [k for k, kind in enumerate(problem.kinds) if started[k] < kind.count]
    weights = [max(o.worth for o in problem.kinds[k].options) for k in left]
    room = [sum(place.levels[0].gpus) for place in problem.places]
    for task in tasks:
        option = problem.kinds[task.kind].options[task.option]
        for at, gpus in task.parts:
            room[at] -= len(gpus) * option.gpu_milli
    chosen: dict[int, None] = {}
    while left and len(chosen) < count:
        kind = problem.kinds[random.choices(left, weights)[0]]
        places = sorted({p for option in kind.options for p in option.places} - chosen.keys())
        if not places:
            break
        wanted = min(len(places), max(kind.nodes, count // 2), count - len(chosen))
        chosen.update(dict.fromkeys(_drawn(random, places, room, wanted)))
    rest = [p for p in range(len(problem.places)) if p not in chosen]
    chosen.update(dict.fromkeys(_drawn(random, rest, room, count - len(chosen))))
    return tuple(sorted(chosen))


def candidates(problem: Problem, tasks: Sequence[Task], random: Random) -> frozenset[int]:
    """Some of the kinds of which something is left, rather those that are worth much."""
    started = Counter(task.kind for task in tasks)
    left = [k for k, kind in enumerate(problem.kinds) if started[k] < kind.count]
    worths = [max(o.worth for o in kind.options) // kind.nodes for kind in problem.kinds]
    return frozenset(_drawn(random, left, worths, MOST_KINDS))


def _drawn(random: Random, among: Sequence[int], weights: Sequence[int], count: int) -> list[int]:
    """Different ones, by chance, with these weights (Efraimidis and Spirakis, IPL 97(5), 2006)."""
    keys = {one: random.random() ** (1 / (50 + weights[one])) for one in among}
    return sorted(among, key=lambda one: -keys[one])[: max(0, count)]


@dataclass(frozen=True, slots=True)
class Part:
    """A problem on some of the places, and the way back to the whole one."""

    problem: Problem
    places: tuple[int, ...]
    kinds: tuple[int, ...]
    options: tuple[tuple[int, ...], ...]

    def back(self, task: Task) -> Task:
        """A task of the part as one of the whole problem."""
        return Task(
            self.kinds[task.kind],
            self.options[task.kind][task.option],
            tuple((self.places[at], gpus) for at, gpus in task.parts),
        )


def restrict(
    problem: Problem,
    tasks: Sequence[Task],
    chosen: Sequence[int],
    others: Collection[int] | None = None,
) -> tuple[Part, tuple[Task, ...]]:
    """The problem on the chosen places, and the tasks that stay: those with a part elsewhere.

    With `others` only those kinds are in it, and the kinds of the tasks that do not stay.
    """
    number = {place: n for n, place in enumerate(chosen)}
    stays = [any(at not in number for at, _ in t.parts) for t in tasks]
    kept = tuple(task for task, stay in zip(tasks, stays, strict=True) if stay)
    inside = {task.kind for task, stay in zip(tasks, stays, strict=True) if not stay}
    places = [problem.places[at] for at in chosen]
    limits = list(problem.limits)
    count = [k.count for k in problem.kinds]
    least = [k.at_least for k in problem.kinds]
    for task in kept:
        kind = problem.kinds[task.kind]
        option = kind.options[task.option]
        count[task.kind] -= 1
        least[task.kind] = max(0, least[task.kind] - 1)
        for limit, amount in option.limits:
            limits[limit] -= amount
        for at, gpus in task.parts:
            if at in number:
                place = places[number[at]]
                places[number[at]] = _without(place, task, problem, gpus)
    kinds, names, ways = [], [], []
    for k, kind in enumerate(problem.kinds):
        options = []
        for o, option in enumerate(kind.options):
            here = tuple(number[p] for p in option.places if p in number)
            if len(here) >= kind.nodes:
                options.append((o, replace(option, places=here)))
        if options and count[k] > 0 and (others is None or k in others or k in inside):
            found = tuple(option for _, option in options)
            kinds.append(replace(kind, count=count[k], at_least=least[k], options=found))
            names.append(k)
            ways.append(tuple(o for o, _ in options))
    mix = tuple(
        replace(t, places=tuple(number[p] for p in t.places if p in number)) for t in problem.mix
    )
    part = Problem(tuple(places), tuple(kinds), tuple(limits), mix)
    return Part(part, tuple(chosen), tuple(names), tuple(ways)), kept


def _without(place: Place, task: Task, problem: Problem, gpus: Sequence[int]) -> Place:
    """A place when one part of a task is on it."""
    kind = problem.kinds[task.kind]
    option = kind.options[task.option]
    levels = list(place.levels)
    for n in range(covers(place, kind.runs_s)):
        level = levels[n]
        left = list(level.gpus)
        for g in gpus:
            left[g] -= option.gpu_milli
        levels[n] = replace(
            level,
            gpus=tuple(left),
            cpu_milli=level.cpu_milli - option.cpu_milli,
            memory_mib=level.memory_mib - option.memory_mib,
        )
    instances = dict(place.instances)
    if option.profile is not None:
        instances[option.profile] = instances.get(option.profile, 0) - option.gpus
    return replace(place, levels=tuple(levels), instances=instances)
