"""Rules that broke their promises come last and say so."""

from __future__ import annotations

from foundry_tui.estate.plan import Move, Target
from foundry_tui.estate.verdict import RuleRecord
from foundry_tui.optimiser.trust import weighed
from tests.optimiser.estates import plan_for, waiting
from tests.optimiser.test_room import in_pieces


def move(number: int, rule: str, risk: str = "low") -> Move:
    return Move(
        id=f"m{number}", target=Target("run", f"lab/{number}"), action=rule, rule=rule, risk=risk
    )


def record(rule: str, kept: int, decided: int) -> RuleRecord:
    return RuleRecord(rule=rule, kept=kept, decided=decided)


MOVES = [move(1, "queue"), move(2, "start"), move(3, "queue", "high"), move(4, "idle", "medium")]


def test_a_rule_that_broke_its_promises_comes_last_with_the_figure() -> None:
    found = weighed(MOVES, [record("queue", 2, 8), record("start", 8, 8)])
    assert [(m.id, m.risk) for m in found] == [
        ("m2", "low"),
        ("m4", "medium"),
        ("m1", "medium"),
        ("m3", "high"),
    ]
    assert found[2].why.endswith("the rule queue kept 2 of 8 promises so far")
    assert found[0] is MOVES[1]


def test_of_few_promises_and_of_half_of_them_kept_nothing_is_concluded() -> None:
    for records in ([], [record("queue", 0, 4)], [record("queue", 4, 8)], [record("other", 0, 9)]):
        assert weighed(MOVES, records) == MOVES


def test_a_plan_keeps_a_passage_together_and_numbers_its_moves_anew() -> None:
    snapshot = in_pieces(None, waiting("small", 0, priority=1))
    plan = plan_for(snapshot, trust=[record("start", 1, 9)])
    assert [(m.id, m.action) for m in plan.moves] == [
        ("m1", "make_room"),
        ("m2", "restart"),
        ("m3", "start"),
    ]
    assert plan.moves[2].risk == "medium"
    plan = plan_for(snapshot, trust=[record("room", 1, 9)])
    assert [m.action for m in plan.moves] == ["start", "make_room", "restart"]
    assert [m.risk for m in plan.moves] == ["low", "high", "medium"]
