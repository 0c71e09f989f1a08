"""The exact search: its answers are the best ones, its bounds hold, and it never makes worse."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest

from foundry_tui.optimiser.patterns import pattern_bound
from foundry_tui.optimiser.problem import Problem, Task, broken, objective, pooled, worth
from foundry_tui.optimiser.search import State, restrict, search
from foundry_tui.optimiser.solver import solve
from tests.optimiser import problems
from tests.optimiser.problems import best_of_all, by_patterns, random_problem

LONG_S = 60.0


def _solved(problem: Problem) -> tuple[Task, ...]:
    answer = solve(problem, LONG_S)
    assert answer.proven
    assert answer.tasks is not None
    assert broken(problem, answer.tasks) is None
    assert answer.bound == objective(problem, answer.tasks)
    return answer.tasks


def test_on_up_to_four_nodes_and_seven_runs_it_equals_trying_everything() -> None:
    random = Random(5)
    several = 0
    for _ in range(80):
        problem = random_problem(random, random.randint(1, 4), random.randint(1, 7), most_gpus=3)
        tasks = _solved(problem)
        assert worth(problem, tasks) == best_of_all(problem), problem
        several += len(tasks) > 2
    assert several > 20


def test_stranded_share_too_equals_trying_everything() -> None:
    random = Random(6)
    for _ in range(40):
        problem = random_problem(
            random, random.randint(1, 3), random.randint(1, 5), strand=True, most_gpus=2
        )
        assert objective(problem, _solved(problem)) == best_of_all(problem), problem


def test_on_up_to_twelve_nodes_and_thirty_runs_it_equals_a_second_formulation() -> None:
    random = Random(7)
    for _ in range(12):
        problem = random_problem(random, random.randint(5, 12), random.randint(12, 30), most_gpus=2)
        assert worth(problem, _solved(problem)) == by_patterns(problem), problem


def test_the_second_formulation_equals_trying_everything() -> None:
    random = Random(8)
    for _ in range(25):
        problem = random_problem(random, random.randint(1, 3), random.randint(1, 5), most_gpus=2)
        assert by_patterns(problem) == best_of_all(problem), problem


def test_every_bound_is_at_least_the_best() -> None:
    random, told = Random(9), 0
    for _ in range(40):
        problem = random_problem(random, random.randint(1, 5), random.randint(1, 9))
        best = worth(problem, _solved(problem))
        assert pooled(problem) >= best
        bound = pattern_bound(problem, LONG_S)
        assert bound is None or bound >= best
        told += bound is not None
    assert told > 30


@pytest.mark.parametrize("strand", [False, True])
def test_the_sequence_only_gets_better_and_ends_at_the_best(
    strand: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small neighbourhoods first, although the problem could be solved whole."""
    monkeypatch.setattr("foundry_tui.optimiser.search.WHOLE", 0)
    monkeypatch.setattr("foundry_tui.optimiser.search.CLOSE", 0.0)
    random = Random(10)
    for _ in range(8):
        problem = random_problem(random, 7, 14, strand=strand, most_gpus=2)
        told: list[State] = []
        found = search(problem, (), LONG_S, told.append)
        assert broken(problem, found.tasks) is None
        values = [state.objective for state in told]
        assert all(a <= b for a, b in pairwise(values))
        assert found.proven
        assert found.objective == objective(problem, _solved(problem))
        for state in told:
            assert state.bound is None or state.bound >= found.objective


def test_what_has_to_start_does_start() -> None:
    random = Random(11)
    forced = 0
    for _ in range(30):
        problem = random_problem(random, 3, 6)
        first = next((k for k in range(len(problem.kinds)) if problem.kinds[k].count == 1), None)
        if first is None:
            continue
        kinds = list(problem.kinds)
        kinds[first] = replace(kinds[first], at_least=1)
        answer = solve(replace(problem, kinds=tuple(kinds)), LONG_S)
        if answer.tasks is not None:
            assert any(task.kind == first for task in answer.tasks)
            assert worth(problem, answer.tasks) <= worth(problem, _solved(problem))
            forced += 1
    assert forced > 10


def test_a_part_of_a_problem_leaves_the_rest_as_it_is() -> None:
    random = Random(12)
    for _ in range(30):
        problem = random_problem(random, 6, 12)
        tasks = _solved(problem)
        part, kept = restrict(problem, tasks, (0, 2, 3))
        inside = [t for t in tasks if all(at in (0, 2, 3) for at, _ in t.parts)]
        assert sorted(map(str, (*kept, *inside))) == sorted(map(str, tasks))
        answer = solve(part.problem, LONG_S)
        assert answer.tasks is not None
        again = (*kept, *map(part.back, answer.tasks))
        assert broken(problem, again) is None
        assert worth(problem, again) == worth(problem, tasks)


def test_with_no_time_nothing_is_said() -> None:
    problem = random_problem(Random(1), 2, 3)
    assert solve(problem, 0.0) == solve(problem, -1.0)
    assert solve(problem, 0.0).tasks is None
    assert not solve(problem, 0.0).proven


def test_every_rule_is_checked() -> None:
    """One task over what is there breaks a rule, whichever it is."""
    random, rules = Random(13), set()
    for _ in range(300):
        problem = random_problem(random, 3, 4, most_gpus=2)
        for k in range(len(problem.kinds)):
            for task in list(problems._starts(problem, k))[:6]:
                words = broken(problem, (task,) * (problem.kinds[k].count + 1))
                assert words is not None
                rules.add(words.split(" ")[0])
    assert rules >= {"kind", "place", "more", "a"}
