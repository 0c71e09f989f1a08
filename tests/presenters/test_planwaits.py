"""Who wins and who loses by a plan, in the words of the page and of the panel."""

from __future__ import annotations

from dataclasses import replace

from foundry_tui.estate.plan import Prediction, WaitChange
from foundry_tui.presenters import planwaits
from foundry_tui.presenters.page import Style
from foundry_tui.presenters.plan import plan_text
from foundry_tui.presenters.planpanel import measure_lines, rest_lines
from tests.presenters.estate import NOW
from tests.presenters.test_plan import PLAN

TOLD = Prediction(
    horizon_s=86_400.0,
    runs=12,
    wait_mean_without_s=7200.0,
    wait_mean_with_s=3600.0,
    wait_p90_without_s=None,
    wait_p90_with_s=None,
    not_started_without=4,
    not_started_with=3,
    allocated_without=70.5,
    allocated_with=72.0,
    changes=(
        WaitChange("user", "bo", 1, 60.0, 660.0),
        WaitChange("user", "zoe", 2, 7200.0, 3600.0),
        WaitChange("account", "ml", 8, 7200.0, 3600.0),
    ),
    assumes=("work ends at its time limit",),
)


def test_winners_and_losers_with_most_waiting_first() -> None:
    assert planwaits.winners(TOLD) == (
        "account ml wins 1h00m: 2h00m to 1h00m, mean of 8 tasks",
        "user zoe wins 1h00m: 2h00m to 1h00m, mean of 2 tasks",
    )
    assert planwaits.losers(TOLD) == ("user bo loses 10m00s: 1m00s to 11m00s, mean of 1 task",)


def test_many_winners_are_counted() -> None:
    many = tuple(WaitChange("user", f"u{n}", 1, 60.0 + n, 0.0) for n in range(9))
    told = planwaits.winners(replace(TOLD, changes=many))
    assert len(told) == planwaits.MOST_CHANGES + 1
    assert told[-1] == "and 3 more"
    assert told[0].startswith("user u8 ")


def test_an_unknown_wait_is_not_zero() -> None:
    rows = {str(row[0]): row[1:] for row in planwaits.rows(TOLD)}
    assert rows["wait p90"] == ("—", "—")
    assert rows["mean wait"] == ("2h00m", "1h00m")
    assert rows["GPUs in use"] == ("70.5", "72")


def test_the_page_and_the_panel_tell_both() -> None:
    plan = replace(PLAN, prediction=TOLD)
    text = plan_text(plan, now=NOW, style=Style())
    assert "Predicted over 1d00h; 12 waiting tasks, at most 1d00h of each counts" in text
    assert "account ml wins 1h00m" in text
    assert "user bo loses 10m00s" in text
    assert "  - work ends at its time limit" in text
    panel = "\n".join("".join(t for t, _ in line) for line in rest_lines(plan, 60))
    assert panel.index("wins") < panel.index("loses") < panel.index("Not proven")
    measured = "\n".join("".join(t for t, _ in line) for line in measure_lines(plan, 33))
    assert "mean wait" in measured
    assert "predicted" in measured


def test_a_plan_that_changes_nobodys_wait_says_so() -> None:
    plan = replace(PLAN, prediction=replace(TOLD, changes=()))
    panel = "\n".join("".join(t for t, _ in line) for line in rest_lines(plan, 60))
    assert "nobody's mean wait changes" in panel
