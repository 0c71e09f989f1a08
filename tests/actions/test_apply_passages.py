"""A choice of moves takes along what goes together with them."""

from __future__ import annotations

from foundry_tui.actions.apply import chosen
from tests.optimiser.estates import plan_for, waiting
from tests.optimiser.test_room import in_pieces


def test_who_makes_room_is_started_again_whatever_was_chosen() -> None:
    plan = plan_for(in_pieces(None, waiting("small", 0, priority=1)))
    assert [move.action for move in plan.moves] == ["start", "make_room", "restart"]
    for name in ("m2", "m3", "2"):
        assert [move.id for move in chosen(plan, [name])] == ["m2", "m3"]
    assert [move.id for move in chosen(plan, ["m1"])] == ["m1"]
