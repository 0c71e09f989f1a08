"""Trade-offs as sentences, cells, curve and rows."""

from __future__ import annotations

from typing import Any

from foundry_tui.estate.tradeoff import TradeOff
from foundry_tui.presenters import csvout
from foundry_tui.presenters.page import Style
from foundry_tui.presenters.rows.tradeoffs import TRADEOFF_ROWS
from foundry_tui.presenters.tradeoffs import MOST_POINTS, best, curve, told, tradeoff_text
from tests.presenters.estate import NOW


def point(moves: int, gain: float, cost: float = 0.0, **given: Any) -> TradeOff:
    plain: dict[str, Any] = {
        "added": (f"m{moves}",) if moves else (),
        "gain_unknown": 0,
        "worth": None,
        "gpus_allocated": 4.0 + moves,
        "owners": (),
        "stopped": (),
    }
    return TradeOff(moves=moves, gain=gain, cost=cost, **{**plain, **given})


NONE = point(0, 0.0)


def test_the_few_moves_that_bring_most_are_named_with_whom_they_disturb() -> None:
    points = (NONE, point(1, 80, owners=("bo",)), point(2, 95, owners=("bo",)), point(3, 100))
    assert told(points) == [
        "The first of 3 moves brings 80 % of the net gain of 100 GPU-hours; 1 person has to agree."
    ]
    quiet = (NONE, point(1, 50), point(2, 90, stopped=("lab/1", "lab/2")), point(3, 100))
    assert told(quiet)[0].endswith(
        "bring 90 % of the net gain of 100 GPU-hours; 2 runs are stopped."
    )


def test_moves_that_cost_more_than_they_gain_are_told() -> None:
    points = (NONE, point(1, 10), point(2, 12, 6))
    assert told(points)[1] == ("After the first, moves cost more than they are known to gain.")
    top = best(points)
    assert top is not None
    assert top.moves == 1
    assert told((NONE, point(1, 1, 5)))[0] == "No move is known to gain more than it costs."


def test_unknown_gain_is_not_called_zero() -> None:
    points = (NONE, point(1, 0, gain_unknown=1), point(2, 0, gain_unknown=2))
    assert told(points) == [
        "No move is known to gain more than it costs.",
        "The gain of 2 is not known: they come last, and add none.",
    ]
    assert TRADEOFF_ROWS.cells(points[1], NOW)[2] == "0+?"
    assert TRADEOFF_ROWS.glyph(points[1]) == "?"


def test_without_moves_there_is_nothing_to_trade() -> None:
    assert told((NONE,)) == ["There is nothing to trade: the plan has no moves."]
    assert tradeoff_text((NONE,), Style()) == []
    assert best((NONE,)) is None


def test_the_curve_is_what_is_left_of_the_gain() -> None:
    assert curve((NONE, point(1, 10, 4), point(3, 20, 5))) == [(0, 0), (1, 6), (3, 15)]


def test_a_page_has_few_points_of_many_with_the_first_and_the_last() -> None:
    points = (NONE, *(point(n, 100 - 100 / n) for n in range(1, 501)))
    lines = tradeoff_text(points, Style())
    shown = [int(line.split()[0]) for line in lines[2:-1] if line.split()[0].isdecimal()]
    assert shown[:3] == [1, 2, 3]
    assert shown[-1] == 500
    assert shown == sorted(set(shown))
    assert len(shown) <= MOST_POINTS
    assert any(f"shown are {len(shown)} of 500 points" in line for line in lines)


def test_a_row_per_point_for_filter_sort_and_csv() -> None:
    one = point(2, 12, 6, owners=("bo",), added=("m1", "m2"))
    get = TRADEOFF_ROWS.get(one, NOW)
    assert {name: get(name) for name in TRADEOFF_ROWS.fields} == {
        "moves": 2,
        "gain": 12,
        "cost": 6,
        "net": 6,
        "asks": 1,
        "stops": 0,
        "adds": ("m1", "m2"),
    }
    assert len(TRADEOFF_ROWS.cells(one, NOW)) == len(TRADEOFF_ROWS.columns)
    csv = csvout.to_csv("tradeoffs", [TRADEOFF_ROWS.record(one, NOW)]).decode()
    head, row = csv.replace("\r", "").strip().split("\n")
    assert dict(zip(head.split(","), row.split(","), strict=True))["added"] == '"m1;m2"'
