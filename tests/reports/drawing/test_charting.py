"""A report as bars: what each bar holds adds up, and what is unknown is a part of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.reports.columns import names
from foundry_tui.reports.drawing.charting import IDLE, MOST_BARS, UNKNOWN, USED, Chart, chart_of
from foundry_tui.reports.gpus import capacity, health
from foundry_tui.reports.jobs import columns as jobcolumns
from foundry_tui.reports.queues import balance
from foundry_tui.reports.usage import columns as usagecolumns

COLUMNS = (
    "period_start_utc",
    "account",
    "gpu_allocated_hours",
    "gpu_active_hours",
    "gpu_idle_hours",
    "gpu_unknown_hours",
)
DAY = datetime(2026, 11, 1, tzinfo=UTC)


def a_row(
    account: str | None, used: object, idle: object, unknown: object, day: int = 0
) -> list[object]:
    amounts = [Decimal(str(one)) for one in (used, idle, unknown) if one is not None]
    start = DAY + timedelta(days=day)
    return [start, account, sum(amounts, Decimal(0)), used, idle, unknown]


def bars(chart: Chart) -> dict[str, dict[str, float]]:
    return {
        label: {part: float(a) for part, a in zip(chart.parts, amounts, strict=True) if a}
        for label, amounts in zip(chart.labels, chart.amounts, strict=True)
    }


def by_account(rows: Sequence[Sequence[object]]) -> Chart:
    return chart_of("usage-by-account", COLUMNS, rows)


def test_one_period_is_drawn_by_account_the_longest_first() -> None:
    chart = by_account([a_row("bio", 1, 2, 0), a_row("ml", 4, 0, 1), a_row("bio", 1, 0, 0)])
    assert (chart.by, chart.unit) == ("account", "GPU-hours")
    assert bars(chart) == {"ml": {USED: 4, UNKNOWN: 1}, "bio": {USED: 2, IDLE: 2}}
    assert chart.labels == ("ml", "bio")
    assert chart.largest == 5


def test_several_periods_are_drawn_in_their_order() -> None:
    chart = by_account([a_row("bio", 1, 0, 0, day=1), a_row("ml", 2, 0, 0), a_row("bio", 3, 0, 0)])
    assert chart.by == "period"
    assert bars(chart) == {"2026-11-01": {USED: 5}, "2026-11-02": {USED: 1}}
    hours = by_account([a_row("bio", 1, 0, 0), _at(6)])
    assert hours.labels == ("2026-11-01 00:00Z", "2026-11-01 06:00Z")


def _at(hour: int) -> list[object]:
    return [DAY + timedelta(hours=hour), *a_row("bio", 1, 0, 0)[1:]]


def test_r08_what_nobody_measured_is_unknown_and_not_idle() -> None:
    row = [DAY, "bio", Decimal(7), None, None, None]
    assert bars(by_account([row])) == {"bio": {UNKNOWN: 7}}
    told = [DAY, "bio", Decimal(7), Decimal(2), None, None]
    assert bars(by_account([told])) == {"bio": {USED: 2, UNKNOWN: 5}}


def test_rows_whose_amount_nobody_knows_are_counted_and_in_no_bar() -> None:
    chart = by_account([[DAY, "bio", None, None, None, None], a_row("ml", 1, 0, 0)])
    assert chart.untold_count == 1
    assert chart.labels == ("ml",)


def test_the_lines_of_the_file_give_the_same_chart_as_the_rows() -> None:
    rows = [a_row("bio", 1, 2, 3), a_row("ml", 1, 1, 1, day=3)]
    written = [["2026-11-01T00:00:00Z", *map(str, rows[0][1:])]]
    written.append(["2026-11-04T00:00:00Z", *map(str, rows[1][1:])])
    assert by_account(written) == by_account(rows)


def test_many_accounts_are_the_largest_ones_and_the_others_together() -> None:
    chart = by_account([a_row(f"a{n:03}", n + 1, 0, 0) for n in range(100)])
    assert len(chart.labels) == MOST_BARS
    assert chart.labels[-1] == "81 others"
    assert sum(amounts[0] for amounts in chart.amounts) == sum(range(101))


def test_a_run_without_an_account_is_its_projects() -> None:
    columns = names(jobcolumns.COLUMNS)
    row: list[object] = [None] * len(columns)
    row[columns.index("partition")] = "vision"
    row[columns.index("gpu_hours_in_window")] = Decimal(2)
    assert bars(chart_of("jobs", columns, [row])) == {"vision": {UNKNOWN: 2}}
    row[columns.index("partition")] = None
    assert bars(chart_of("jobs", columns, [row])) == {"(none)": {UNKNOWN: 2}}


def test_capacity_counts_each_gpu_once() -> None:
    columns = [
        *("cluster", "partition", "gpus_total_hours", "allocated_hours", "idle_hours"),
        *("drained_hours", "down_hours", "maint_hours", "unknown_hours"),
    ]
    whole = ["lab", "", 10, 4, 3, 1, 1, 0, 1]
    chart = chart_of("capacity", columns, [whole, ["lab", "gpu", *whole[2:]]])
    assert chart.by == "cluster"
    assert bars(chart) == {"lab": {"allocated": 4, IDLE: 3, "drained": 1, "down": 1, UNKNOWN: 1}}


def test_a_gpu_that_works_while_nobody_holds_it_makes_no_bar_longer() -> None:
    columns = ("node", "allocated_hours", "busy_hours", "idle_while_allocated_hours")
    assert bars(chart_of("gpu-health", columns, [["a01", 3, 5, 1]])) == {"a01": {USED: 2, IDLE: 1}}
    assert bars(chart_of("gpu-health", columns, [["a01", 9, 5, 1]])) == {
        "a01": {USED: 5, IDLE: 1, UNKNOWN: 3}
    }


def test_queues_have_what_is_busy_of_what_they_hold() -> None:
    columns = ("asof_utc", "queue", "allocated_gpus", "used_gpus")
    rows = [[DAY, "gpu", 8, 5], [DAY, "dev", 2, None]]
    chart = chart_of("queue-balance", columns, rows)
    assert chart.unit == "GPUs"
    assert bars(chart) == {"gpu": {USED: 5, IDLE: 3}, "dev": {UNKNOWN: 2}}
    before = [[DAY - timedelta(days=1), "gpu", 7, 7], *rows]
    assert chart_of("queue-balance", columns, before) == chart, "GPUs of two days do not add up"


def test_every_report_has_the_columns_that_its_chart_is_made_of() -> None:
    for name, columns in (
        ("usage-by-account", usagecolumns.BY_ACCOUNT),
        ("usage-by-user", usagecolumns.BY_USER),
        ("jobs", jobcolumns.COLUMNS),
        ("gpu-health", health.COLUMNS),
        ("capacity", capacity.COLUMNS),
        ("queue-balance", balance.COLUMNS),
    ):
        assert chart_of(name, names(columns), []).labels == ()


AMOUNT = st.none() | st.integers(0, 10**6)


@given(st.lists(st.tuples(st.sampled_from("abc"), AMOUNT, AMOUNT, AMOUNT), max_size=30))
def test_r10_the_parts_of_all_bars_are_the_allocated_time(
    rows: list[tuple[str, int | None, int | None, int | None]],
) -> None:
    told = [a_row(*row) for row in rows]
    chart = by_account(told)
    whole = sum((Decimal(str(row[2])) for row in told), Decimal(0))
    assert sum((sum(bar, Decimal(0)) for bar in chart.amounts), Decimal(0)) == whole
