"""Moves as acts, in the manner of each scheduler."""

from __future__ import annotations

from dataclasses import replace

import pytest

from foundry_tui.estate.acts import Act, ChangeRun
from foundry_tui.estate.run import ArrayPart
from foundry_tui.optimiser import steps
from tests.optimiser.estates import estate, node, plan_for, told, waiting


def change(*fields: tuple[str, str], run: str = "lab/w") -> tuple[Act, ...]:
    return (ChangeRun(source="lab", runs=(run,), fields=fields),)


def test_slurm_pins_to_just_the_nodes_that_are_needed() -> None:
    run = waiting("w")
    assert steps.start(run, ["a1"], None) == (change(("nodelist", "a1")), None)
    both = change(("queue", "h100"), ("nodelist", "a1,a2"))
    assert steps.start(run, ["a1", "a2"], "h100") == (both, None)


def test_what_asks_for_just_these_nodes_needs_no_step() -> None:
    run = told(waiting("w"), required_nodes="a2,a1")
    assert steps.start(run, ["a1", "a2"], None) == ((), steps.BOUND)
    assert steps.start(run, ["a1"], None) == (change(("nodelist", "a1")), None)


@pytest.mark.parametrize("scheduler", ["kai", "runai"])
def test_who_packs_by_itself_is_not_told_where(scheduler: str) -> None:
    run = replace(waiting("w"), scheduler=scheduler)
    assert steps.start(run, ["a1"], None) == ((), steps.PACKS)
    assert steps.start(run, ["a1"], "team") == (change(("queue", "team")), None)


def test_slurm_pins_no_array() -> None:
    whole = waiting("9_[1-2]", array=ArrayPart("9", "1-2", 2))
    (move,) = plan_for(estate([node("n1", 3)], [whole])).moves
    assert (move.steps, steps.BY_ARRAY in move.why) == ((), True)
    parts = plan_for(estate([node("n1", 1), node("n2", 1)], [whole])).moves
    assert [m.steps for m in parts] == [(), ()]
    throttled = waiting("9_[1-4%2]", array=ArrayPart("9", "1-4%2", 4))
    (move,) = plan_for(estate([node("n1", 4)], [throttled])).moves
    assert move.steps == ()
