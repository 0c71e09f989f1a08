"""The certificate in words: never more sure than the plan is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from foundry_tui.presenters.plancert import UNPROVEN, certificate, not_proven, summary
from foundry_tui.presenters.planpanel import certificate_lines, strip_lines
from tests.presenters.test_plan import PLAN


def rows(**changed: object) -> dict[str, str]:
    return dict(certificate(replace(PLAN, **changed)))  # type: ignore[arg-type]


def test_every_part_has_its_row() -> None:
    assert rows(bound_kind="free GPUs, as if they were one", unproven=("that it is best",)) == {
        "objective": "GPU-hours sooner 129",
        "bound": "at most 131 (free GPUs, as if they were one)",
        "gap": "1.5%",
        "status": "feasible",
        "time": "0.82 s",
        "not proven": "that it is best",
    }


def test_what_is_not_known_is_not_zero() -> None:
    told = rows(objective=None, bound=None, gap=None, status="heuristic")
    assert told["objective"] == "GPU-hours sooner: not known"
    assert told["bound"] == "none was proven"
    assert told["gap"] == "not known"
    assert told["not proven"] == UNPROVEN


def test_a_small_gap_is_no_proof() -> None:
    assert rows(gap=0.0004)["gap"] == "<0.1%"
    assert rows(gap=0.0)["gap"] == "0.0%"
    assert rows(solve_s=0.001)["time"] == "under 0.01 s"


@pytest.mark.parametrize(
    ("status", "left", "expected"),
    [
        ("heuristic", (), (UNPROVEN,)),
        ("bound only", ("one", "two"), ("one", "two")),
        ("optimal", (), ()),
        ("optimal", ("the kept places",), ("the kept places",)),
    ],
)
def test_what_is_left_open(status: str, left: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert not_proven(replace(PLAN, status=status, unproven=left)) == expected


def test_little_is_good_has_a_bound_from_below() -> None:
    plan = replace(PLAN, sense="min", objective=6.0, bound=4.5, gap=0.25, status="time limit")
    assert dict(certificate(plan))["bound"] == "at least 4.5"
    assert summary(plan) == "GPU-hours sooner 6 · at least 4.5 · gap 25.0% · time limit · 0.82 s"


def test_one_line_without_a_bound() -> None:
    plan = replace(PLAN, bound=None, gap=None, status="heuristic")
    assert summary(plan) == "GPU-hours sooner 129 · no bound was proven · heuristic · 0.82 s"


def test_the_strip_counts_what_it_has_no_room_for() -> None:
    plan = replace(PLAN, unproven=("that " + "very " * 30 + "much is true", "another", "third"))
    first, second = strip_lines(plan, 80)
    assert first[0][1] == "warn"
    words = second[0][0]
    assert words.endswith("…; 2 more below")
    assert len(words) <= 80
    proven = replace(PLAN, status="optimal", unproven=())
    assert strip_lines(proven, 80)[0][0][1] == "good"
    assert strip_lines(proven, 80)[1][0][0] == " Nothing is left unproven"


def test_the_panel_has_every_row_within_its_width() -> None:
    lines = ["".join(text for text, _ in line) for line in certificate_lines(PLAN, 30)]
    assert all(len(line) <= 30 for line in lines)
    assert [line.split()[0] for line in lines if line[1] != " "][:5] == [
        "objective",
        "bound",
        "gap",
        "status",
        "time",
    ]
