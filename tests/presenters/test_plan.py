"""Plans as text."""

from __future__ import annotations

from dataclasses import replace

from foundry_tui.estate.plan import Move, NotProposed, Plan, Target
from foundry_tui.estate.run import Placement
from foundry_tui.estate.text import SafeText, cells
from foundry_tui.presenters.page import Style
from foundry_tui.presenters.plan import plan_text
from tests.presenters.estate import NOW, ago

MOVE = Move(
    id="1",
    target=Target("run", "lab/21"),
    action="place",
    placement=(Placement("a02", (0, 1, 2, 3)),),
    gpu_milli=4000,
    queue="research",
    gain=129.0,
    owner="bob",
    why="a02 has four free devices side by side, and nobody else asks for them before tomorrow.",
    displaces=("lab/18_1",),
    command=("scontrol", "update", "JobId=21", "ReqNodeList=a02"),
    starts_at=NOW,
)
PLAN = Plan(
    id="p-1",
    generated_at=ago(seconds=4),
    estate_id="abc",
    objective_name="GPU-hours sooner",
    objective=129.0,
    bound=131.0,
    gap=0.015,
    status="feasible",
    solve_s=0.82,
    moves=(MOVE,),
    before={"gpus_allocated": 12.75, "mean_util_pct": 40.0, "wait_p50_s": None},
    after={"gpus_allocated": 16.0, "mean_util_pct": 57.3, "wait_p50_s": 2040.0},
    assumptions=("the last hour goes on",),
    not_proposed=(NotProposed(Target("run", "lab/22"), "it is held by its user"),),
)


def test_the_whole_plan_at_eighty_columns() -> None:
    expected = """\
Plan p-1, 4s old: 1 move
  objective   GPU-hours sooner 129
  bound       at most 131
  gap         1.5%
  status      feasible
  time        0.82 s
  not proven  that no better plan exists

MOVE  ACTION  TARGET  TO             GPUS  GAIN  COST  RISK  OWNER  STARTS
1     place   lab/21  research a02…     4   129     —  low   bob    03-14 09:30Z

MEASURE           NOW   AFTER
GPUs allocated  12.75      16
mean util         40%     57%
wait p50            —  34m00s

Why 1
  a02 has four free devices side by side, and nobody else asks for them before
  tomorrow.
  bob must agree
  displaces lab/18_1
  scontrol update JobId=21 ReqNodeList=a02

Not proposed
  run lab/22: it is held by its user

Assumes
  - the last hour goes on"""
    assert plan_text(PLAN, now=NOW, style=Style()) == expected


def test_a_plan_without_moves_says_so() -> None:
    text = plan_text(replace(PLAN, moves=(), bound=None), now=NOW, style=Style())
    assert "Nothing to move" in text
    assert "bound       none was proven" in text


def test_long_plans_are_cut_below_the_table_and_say_so() -> None:
    moves = tuple(replace(MOVE, id=str(n)) for n in range(1, 31))
    text = plan_text(replace(PLAN, moves=moves), now=NOW, style=Style())
    assert text.count("Why ") == 20
    assert "and 10 more (--json has all)" in text
    assert sum(line.startswith(("1 ", "30 ")) for line in text.split("\n")) == 2


def test_only_commands_are_wider_than_the_terminal() -> None:
    text = plan_text(PLAN, now=NOW, style=Style(width=30))
    wide = [line for line in text.split("\n") if cells(SafeText(line)) > 30]
    assert wide == ["  scontrol update JobId=21 ReqNodeList=a02"]
