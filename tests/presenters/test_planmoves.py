"""What is told of a move beside its reason."""

from __future__ import annotations

from dataclasses import replace

from foundry_tui.estate.acts import ChangeRun, Requeue
from foundry_tui.estate.plan import Move, Target
from foundry_tui.estate.run import Placement
from foundry_tui.estate.verdict import RuleRecord
from foundry_tui.presenters import planmoves
from foundry_tui.presenters.actwords import act_words

ROOM = Move(
    id="m1",
    target=Target("run", "lab/9"),
    action="make_room",
    placement=(Placement("a1", (0, 1)), Placement("a1", (2,))),
    owner="ada,bob",
    displaces=("lab/7",),
    irreversible=True,
    starts_within_s=180.0,
    steps=(
        ChangeRun(source="lab", runs=("lab/9",), fields=(("nodelist", "a1"),)),
        Requeue(source="lab", runs=("lab/7",), hold=True),
    ),
)


def test_a_move_that_makes_room_says_whom_it_costs_and_how() -> None:
    assert planmoves.warnings(ROOM) == (
        "ada, bob must agree",
        "displaces lab/7",
        "cannot be taken back without loss",
    )
    assert planmoves.promises(ROOM) == ("promises a start on a1 within 3m00s",)
    first, second = planmoves.steps(ROOM)
    assert first == f"step 1: {act_words(ROOM.steps[0])}"
    assert second.startswith("step 2: requeue lab/7") and second.endswith("(final)")


def test_how_far_its_rule_is_to_be_trusted_is_told_where_that_is_known() -> None:
    kept = (RuleRecord(rule="room", kept=7, decided=9), RuleRecord(rule="queue", kept=0, decided=0))
    assert planmoves.trust(replace(ROOM, rule="room"), kept) == "rule room: kept 7 of 9 promises"
    assert planmoves.trust(replace(ROOM, rule="queue"), kept) == ""


def test_a_move_says_what_it_waits_for_and_one_without_steps_promises_nothing() -> None:
    plain = Move(id="m2", target=Target("run", "lab/7"), action="review_idle")
    assert planmoves.warnings(plain) == planmoves.promises(plain) == planmoves.steps(plain) == ()
    told = Move(
        id="m3", target=Target("run", "lab/7"), action="restart", awaits="lab/9", steps=ROOM.steps
    )
    assert planmoves.promises(told) == ("waits until lab/9 runs",)
