"""Moves that go together are never torn apart."""

from __future__ import annotations

from dataclasses import replace

from foundry_tui.estate.passages import passages, whole
from foundry_tui.estate.plan import Move, Target


def move(
    number: int, run: str, *, displaces: tuple[str, ...] = (), awaits: str | None = None
) -> Move:
    return Move(
        id=f"m{number}",
        target=Target("run", run),
        action="start",
        displaces=displaces,
        awaits=awaits,
    )


MOVES = (
    move(1, "lab/1"),
    move(2, "lab/big", displaces=("lab/x", "lab/y")),
    move(3, "lab/other", displaces=("lab/z",)),
    move(4, "lab/x", awaits="lab/big"),
    move(5, "lab/z", awaits="lab/other"),
    move(6, "lab/y", awaits="lab/big"),
    move(7, "lab/z", awaits="lab/big"),
)


def test_a_group_is_the_move_and_those_that_start_again_what_it_displaced() -> None:
    found = [[m.id for m in group] for group in passages(MOVES)]
    assert found == [["m1"], ["m2", "m4", "m6"], ["m3", "m5"], ["m7"]]


def test_one_move_of_a_group_brings_the_others_in_the_order_of_the_plan() -> None:
    assert whole(MOVES, ["m6"]) == whole(MOVES, ("m2",)) == ("m2", "m4", "m6")
    assert whole(MOVES, ["m5", "m1"]) == ("m1", "m3", "m5")
    assert whole(MOVES, ()) == whole((), ["m1"]) == ()


def test_what_awaits_a_run_that_displaces_nothing_stands_alone() -> None:
    alone = replace(MOVES[3], awaits="lab/1")
    assert passages((MOVES[0], alone)) == ((MOVES[0],), (alone,))
