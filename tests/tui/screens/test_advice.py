"""Advice: the plan with its certificate, before and after, why, and every state it can be in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from textual.pilot import Pilot

from foundry_tui.actions.errors import ActionError
from foundry_tui.estate.plan import Move, NotProposed, Plan, Prediction, Target, WaitChange
from foundry_tui.estate.run import Placement
from foundry_tui.estate.source import SourceState
from foundry_tui.tui.app import Foundry
from foundry_tui.tui.screens import advice as shown
from tests.tui.estates import NOW, a_run, an_estate, on, saved, screen, until, waiting

ESTATE = an_estate([*(a_run(n) for n in range(6)), waiting(7), waiting(8)])

START = Move(
    id="m1",
    target=Target("run", "lab/7"),
    action="start",
    placement=(Placement("h01", (6,)),),
    gpu_milli=1000,
    gain=12.0,
    cost=0.0,
    owner="zoe",
    why="h01 has 2 GPUs left and it takes 1: 1 stays free there",
    starts_at=NOW,
)
REVIEW = replace(
    START,
    id="m2",
    target=Target("run", "lab/1"),
    action="review_idle",
    placement=(Placement("h01", (1,)),),
    gain=3.0,
    cost=1.0,
    why="zoe holds 1 GPU on h01, at most 0 % busy",
    starts_at=None,
)
PLAN = Plan(
    id="abcdef123456",
    generated_at=NOW,
    estate_id="lab",
    objective_name="weighted GPUs started",
    objective=3.5,
    bound=4.0,
    gap=0.125,
    status="time limit",
    solve_s=1.5,
    moves=(START, REVIEW),
    before={"gpus_allocated": 6.0, "waiting_runs": 2.0, "fragmentation_gpus": None},
    after={"gpus_allocated": 7.0, "waiting_runs": 1.0, "fragmentation_gpus": None},
    assumptions=("running work ends at its time limit",),
    not_proposed=(NotProposed(Target("run", "lab/8"), "fits nowhere now"),),
    bound_kind="linear program",
    unproven=("that nothing better exists", "that the kept places are the best ones"),
    prediction=Prediction(
        horizon_s=86_400.0,
        runs=2,
        wait_mean_without_s=7200.0,
        wait_mean_with_s=3600.0,
        wait_p90_without_s=7200.0,
        wait_p90_with_s=3600.0,
        not_started_without=1,
        not_started_with=0,
        allocated_without=6.0,
        allocated_with=7.0,
        changes=(WaitChange("user", "zoe", 1, 7200.0, 3600.0),),
    ),
)

Answer = Callable[..., Plan]


def answering(monkeypatch: pytest.MonkeyPatch, answer: Plan | Answer) -> None:
    """Let the optimiser answer with this plan, or as the call does."""

    def made(*args: Any, **given: Any) -> Plan:
        return answer if isinstance(answer, Plan) else answer(*args, **given)

    monkeypatch.setattr(shown, "advice", made)


def test_the_plan_its_proof_and_why_at_eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, PLAN)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("4")
        await until(pilot, lambda: "Plan abcdef · 2 moves" in screen(app))
        drawn = screen(app)
        assert "weighted GPUs started 3.5 · at most 4 · gap 12.5% · time limit · 1.5 s" in drawn
        assert "Not proven: that nothing better exists; 1 more below" in drawn
        row = next(line for line in drawn.splitlines() if "GPUs allocated" in line)
        assert row.split()[-2:] == ["6", "7*"]
        row = next(line for line in drawn.splitlines() if "GPUs stranded" in line)
        assert row.split()[-2:] == ["—", "—"]
        assert "h01  ██████·· → ██████+·  7" in drawn
        assert "h01 has 2 GPUs left and it takes 1" in drawn
        assert "zoe must agree" in drawn

    on(saved(ESTATE), test)


def test_all_of_the_certificate_and_who_wins_on_a_large_screen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answering(monkeypatch, PLAN)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("4")
        await until(pilot, lambda: "Certificate" in screen(app))
        drawn = screen(app)
        for words in (
            "at most 4 (linear program)",
            "time limit: the best that was found until then",
            "user zoe wins 1h00m: 2h00m to 1h00m, mean of 1 task",
            "- that the kept places are the best ones",
            "lab/8: fits nowhere now",
            "Nodes now → after",
        ):
            assert words in drawn
        mean = next(line for line in drawn.splitlines() if "mean wait" in line)
        assert mean.split()[-2:] == ["2h00m", "1h00m*"]

    on(saved(ESTATE), test, size=(200, 50))


@pytest.mark.parametrize("size", [(80, 24), (120, 30), (200, 50), (40, 10)])
def test_no_line_is_wider_than_the_screen(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, PLAN)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("4")
        await until(pilot, lambda: "m1" in screen(app))
        assert all(len(line) <= size[0] for line in screen(app).splitlines())

    on(saved(ESTATE), test, size=size)


def test_while_it_solves_it_tells_how_far_and_escape_ends_the_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun = threading.Event()

    def slow(*args: Any, **given: Any) -> Plan:
        given["progress"]("lab: 3.50 of at most 4.00")
        begun.set()
        stop = threading.Event()
        while not given["cancelled"]():
            stop.wait(0.01)
        return PLAN

    answering(monkeypatch, slow)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("4")
        await until(pilot, begun.is_set)
        await until(pilot, lambda: "lab: 3.50 of at most 4.00 … " in screen(app))
        assert "esc ends the search" in screen(app)
        await pilot.press("t")
        await until(pilot, lambda: "no plan yet" in screen(app))
        await pilot.press("escape")
        await until(pilot, lambda: "Plan abcdef" in screen(app))
        assert app.current_mode == "advise"

    on(saved(ESTATE), test)


def test_leaving_the_program_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ended = threading.Event(), threading.Event()

    def slow(*args: Any, **given: Any) -> Plan:
        begun.set()
        stop = threading.Event()
        while not given["cancelled"]():
            stop.wait(0.01)
        ended.set()
        return PLAN

    answering(monkeypatch, slow)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("4")
        await until(pilot, begun.is_set)

    on(saved(ESTATE), test)
    assert ended.wait(10)


def test_an_empty_plan_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, replace(PLAN, moves=()))

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("4")
        await until(pilot, lambda: "Nothing to move" in screen(app))
        assert "lab/8: fits nowhere now" in screen(app)

    on(saved(ESTATE), test)


def test_a_fault_is_told_and_the_next_try_may_succeed(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def first_fails(*args: Any, **given: Any) -> Plan:
        tries.append(1)
        if len(tries) == 1:
            raise ActionError("lab: no answer within 15 s")
        if len(tries) == 3:
            raise ActionError("lab: gone")
        return PLAN

    answering(monkeypatch, first_fails)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("4")
        await until(pilot, lambda: "No plan: lab: no answer within" in screen(app))
        await pilot.press("r")
        await until(pilot, lambda: "Plan abcdef" in screen(app))
        await pilot.press("r")
        await until(pilot, lambda: "not made anew: lab: gone" in screen(app))
        assert "m1" in screen(app)

    on(saved(ESTATE), test, size=(120, 30))


def test_an_old_plan_says_that_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    old = replace(PLAN, generated_at=NOW.replace(hour=13))
    answering(monkeypatch, old)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("4")
        await until(pilot, lambda: "1h old, r makes it anew" in screen(app))

    on(saved(ESTATE), test, size=(120, 30))


@pytest.mark.parametrize("state", [SourceState.DENIED, SourceState.DOWN, SourceState.STALE])
def test_a_source_that_is_ill_is_not_advised_on(state: SourceState) -> None:
    source = replace(ESTATE.sources[0], state=state, reason="squeue: no answer")

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("4")
        await until(pilot, lambda: "Nothing to move" in screen(app))
        drawn = " ".join(screen(app).split())
        assert f"lab is {state}: what was seen of it may no longer hold" in drawn

    on(saved(replace(ESTATE, sources=(source,))), test, size=(160, 45))


def test_enter_opens_the_run_that_is_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, PLAN)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("4")
        await until(pilot, lambda: "m1" in screen(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.crumbs() == ["Advice", "7"])

    on(saved(ESTATE), test)


def test_trade_offs_are_a_table_a_curve_and_words(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, PLAN)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("4")
        await until(pilot, lambda: "m1" in screen(app))
        await pilot.press("t")
        await until(pilot, lambda: app.crumbs() == ["Advice", "Trade-offs"])
        await until(pilot, lambda: "The first of 2 moves brings 86 %" in screen(app))
        drawn = screen(app)
        assert "last 14 at 2 moves" in drawn
        assert "Adds m1: start lab/7" in drawn
        await pilot.press("down")
        await until(pilot, lambda: "Adds m2: review_idle lab/1" in screen(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.crumbs()[-1] == "1")
        await pilot.press("escape", "escape")
        await until(pilot, lambda: app.crumbs() == ["Advice"])

    on(saved(ESTATE), test)


def test_trade_offs_of_nothing_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, replace(PLAN, moves=()))

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("4")
        await until(pilot, lambda: "Nothing to move" in screen(app))
        await pilot.press("t")
        await until(pilot, lambda: "nothing to trade: the plan has" in screen(app))

    on(saved(ESTATE), test)


def test_the_curve_is_drawn_in_ascii_too(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, PLAN)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("4")
        await until(pilot, lambda: "m1" in screen(app))
        assert "######.. > ######+." in screen(app)
        await pilot.press("t")
        await until(pilot, lambda: "moves brings" in screen(app))
        assert screen(app).isascii()

    on(saved(ESTATE), test, ascii_only=True)
