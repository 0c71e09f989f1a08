"""The chart of a report as text."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.presenters.page import Style
from foundry_tui.presenters.reportchart import chart_lines, chart_text, charted, stacked
from foundry_tui.presenters.toned import Line
from foundry_tui.reports.drawing.charting import Chart
from foundry_tui.reports.jobs.columns import COLUMNS as JOBS
from foundry_tui.reports.usage.columns import BY_ACCOUNT
from tests.presenters.reports import a_job, an_account, made

PARTS = ("used", "idle", "unknown")


def text(line: Line) -> str:
    return "".join(one for one, _ in line)


def test_used_idle_and_unknown_look_different_with_and_without_colours() -> None:
    report = made("usage-by-account", BY_ACCOUNT, [an_account("bio"), an_account("ml")])
    drawn = chart_text(report, Style(width=40)).splitlines()
    assert drawn[0] == " GPU-hours of usage-by-account by account"
    assert drawn[1] == " bio ███████░░░░░░░░░░░░░░░??????? 4.00"
    assert drawn[-1] == " █ used ░ idle ? unknown"
    plain = chart_text(report, Style(width=40, ascii=True)).splitlines()
    assert plain[1] == " bio #######...............??????? 4.00"
    assert plain[-1] == " # used . idle ? unknown"


def test_without_telemetry_all_is_unknown_and_nothing_idle() -> None:
    report = made("jobs", JOBS, [a_job(1, used=None, unknown="3")])
    drawn = chart_text(report, Style(width=60))
    assert "░" not in drawn
    assert "idle" not in drawn
    assert "?" * 20 in drawn
    assert drawn.splitlines()[-1] == " ? unknown"


def test_it_is_of_all_rows_also_where_the_first_ones_are_shown() -> None:
    rows = [a_job(n) for n in range(50)]
    assert charted(made("jobs", JOBS, rows, shown=3)) == charted(made("jobs", JOBS, rows))


def test_a_report_of_nothing_says_so() -> None:
    report = made("jobs", JOBS, [])
    assert chart_text(report, Style(width=60)) == " GPU-hours of jobs: nothing was held."


def test_rows_without_an_amount_are_told() -> None:
    rows = [a_job(1), {**a_job(2), "gpu_hours_in_window": None}]
    drawn = chart_text(made("jobs", JOBS, rows), Style(width=60))
    assert drawn.splitlines()[-1] == " 1 row is in no bar: it tells no GPU-hours."


@pytest.mark.parametrize("width", [30, 78, 200])
def test_lines_are_no_wider_than_there_is_room(width: int) -> None:
    rows = [an_account("account-with-a-name-that-is-long" * 3), an_account("名前" * 9)]
    chart = charted(made("usage-by-account", BY_ACCOUNT, rows))
    for line in chart_lines(chart, width, ascii_only=False)[1:]:
        shown = text(line)
        assert len(shown) + sum(ord(c) > 0x2FFF for c in shown) <= width


AMOUNTS = st.lists(st.integers(0, 10**9), min_size=3, max_size=3)


@given(AMOUNTS, st.integers(8, 120))
def test_a_bar_is_whole_and_no_part_of_it_is_lost(amounts: list[int], width: int) -> None:
    bar = stacked(PARTS, amounts, sum(amounts), width, ascii_only=False)
    assert len(text(bar)) == (width if sum(amounts) else 0)
    assert len(bar) == sum(1 for amount in amounts if amount)


@given(AMOUNTS, AMOUNTS)
def test_the_longest_bar_takes_the_room_and_no_other_takes_more(
    one: list[int], other: list[int]
) -> None:
    full = max(sum(one), sum(other))
    drawn = [len(text(stacked(PARTS, a, full, 40, ascii_only=True))) for a in (one, other)]
    assert max(drawn) == (40 if full else 0)


def test_a_chart_without_bars_is_one_line() -> None:
    nothing = Chart(title="t", unit="GPUs", by="queue", parts=PARTS, labels=(), amounts=())
    assert nothing.largest == Decimal(0)
    assert [text(line) for line in chart_lines(nothing, 40, ascii_only=True)] == [
        " t: nothing was held."
    ]
