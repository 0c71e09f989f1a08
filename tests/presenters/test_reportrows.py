"""The table of any report: columns, cells, filters, keys and CSV from the report's own columns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import pytest

from foundry_tui.estate.filter import parse
from foundry_tui.presenters import csvout
from foundry_tui.presenters.reportask import asked_lines
from foundry_tui.presenters.rows import Rows
from foundry_tui.presenters.rows.report import NOTHING_YET, TELLING, report_rows, title
from foundry_tui.reports.columns import Column, Kind, Row, names
from foundry_tui.reports.gpus import capacity, health
from foundry_tui.reports.jobs import columns as jobcolumns
from foundry_tui.reports.queues import balance
from foundry_tui.reports.usage import columns as usagecolumns
from tests.presenters.estate import NOW
from tests.presenters.reports import START, a_job, a_row, an_account

REPORTS = {
    "usage-by-account": usagecolumns.BY_ACCOUNT,
    "usage-by-user": usagecolumns.BY_USER,
    "jobs": jobcolumns.COLUMNS,
    "gpu-health": health.COLUMNS,
    "capacity": capacity.COLUMNS,
    "queue-balance": balance.COLUMNS,
}
JOBS = report_rows("jobs", jobcolumns.COLUMNS)


def cell(model: Rows[Row], row: Row, column: str) -> str:
    place = model.place(column)
    assert place is not None
    return model.cells(row, NOW)[place]


@pytest.mark.parametrize("name", REPORTS)
def test_every_column_of_a_report_is_in_its_table_once(name: str) -> None:
    columns = REPORTS[name]
    model = report_rows(name, columns)
    assert sorted(c.id for c in model.columns) == sorted(names(columns))
    assert model.csv == names(columns)
    assert len({c.column.title for c in model.columns}) == len(columns)
    empty = a_row(columns)
    assert set(model.cells(empty, NOW)) <= {"—", "(all)"}
    for column in model.columns:
        assert column.order(empty, NOW) is None


@pytest.mark.parametrize("name", REPORTS)
def test_the_columns_that_stand_first_are_columns_of_the_report(name: str) -> None:
    told = TELLING[name].split()
    assert set(told) <= set(names(REPORTS[name]))
    model = report_rows(name, REPORTS[name])
    assert [c.id for c in model.columns][: len(told)] == told


def test_a_period_that_all_rows_have_does_not_stand_first() -> None:
    whole = report_rows("capacity", capacity.COLUMNS, cut=False)
    assert [c.id for c in whole.columns][:3] == ["cluster", "partition", "gpu_type"]
    assert whole.place("period_start_utc") is not None


def test_cells_are_for_reading_and_unknown_is_no_zero() -> None:
    row = a_job(7, used=None, unknown="2.5")
    assert cell(JOBS, row, "gpu_hours_in_window") == "2.50"
    assert cell(JOBS, row, "gpu_active_hours") == "—"
    assert cell(JOBS, row, "gpu_idle_hours") == "—"
    assert cell(JOBS, row, "gpu_unknown_hours") == "2.50"
    assert cell(JOBS, row, "wait_s") == "1m15s"
    assert cell(JOBS, row, "start_utc") == "11-01 07:00Z"
    assert cell(JOBS, {**row, "gpus_alloc": Decimal("0.250")}, "gpus_alloc") == "0.25"
    assert cell(JOBS, {**row, "job_name": "a\x1b[2Jb"}, "job_name").count("\x1b") == 0
    capacities = report_rows("capacity", capacity.COLUMNS)
    assert cell(capacities, a_row(capacity.COLUMNS), "partition") == "(all)"


def test_the_glyph_says_failed_or_wholly_unknown() -> None:
    assert JOBS.glyph(a_job(1)) == ""
    assert JOBS.glyph(a_job(1, used=None)) == "?"
    assert JOBS.glyph({**a_job(1), "state": "failed"}) == "x"
    accounts = report_rows("usage-by-account", usagecolumns.BY_ACCOUNT)
    assert accounts.glyph(an_account("bio")) == ""
    nothing = an_account("bio", gpu_allocated_hours=Decimal(0), gpu_unknown_hours=Decimal(0))
    assert accounts.glyph(nothing) == ""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("idle>1", {1, 2}),
        ("unknown>=3", {3}),
        ("user=zoe", {1, 3}),
        ("queue=gpu wait>1m", {1, 2, 3}),
        ("wait>2m", set()),
        ("train-2", {2}),
        ("start_utc=2026-11-01T03*", {3}),
        ("gpu_util_pct<50", set()),
    ],
)
def test_filters_know_every_column_and_short_names(text: str, found: set[int]) -> None:
    rows = {1: a_job(1), 2: a_job(2), 3: a_job(3, used=None, unknown="3")}
    match = parse(text, JOBS.fields).match
    assert {n for n, row in rows.items() if match(JOBS.get(row, NOW))} == found


def test_keys_tell_rows_apart() -> None:
    rows = [a_job(1), {**a_job(1), "run": 2}, a_job(2), {**a_job(2), "cluster": "other"}]
    assert len({JOBS.key(row) for row in rows}) == len(rows)
    accounts = report_rows("usage-by-account", usagecolumns.BY_ACCOUNT)
    days = [an_account("bio", day) for day in range(3)]
    assert len({accounts.key(row) for row in days}) == 3


def test_the_csv_of_shown_rows_has_the_reports_columns_also_without_rows() -> None:
    head = ",".join(names(jobcolumns.COLUMNS))
    assert csvout.to_csv("rows", [], JOBS.csv).decode() == head + "\r\n"
    row = {**a_job(1), "job_name": "=cmd()"}
    written = csvout.to_csv("rows", [JOBS.record(row, NOW)], JOBS.csv).decode().splitlines()
    assert written[0] == head
    assert "'=cmd()" in written[1].split(",")


def test_titles_carry_the_unit() -> None:
    assert title("stranded_hours") == "STRANDED H"
    assert title("energy_kwh") == "ENERGY KWH"
    assert title("gpu_mem_peak_pct") == "MEM PEAK %"


def test_before_any_report_there_is_a_table_without_rows() -> None:
    assert [c.id for c in NOTHING_YET.columns] == ["report"]
    assert report_rows("new", (Column("a_flag", Kind.FLAG, ""),)).cells({"a_flag": True}, NOW) == [
        "yes"
    ]


@dataclass(frozen=True)
class Wanted:
    start = START
    end = START + timedelta(days=31)
    by = "week"
    prices = None
    command = ("foundry", "report", "jobs", "--user", "a b")


def test_what_is_asked_for_is_told_before_it_is_made() -> None:
    lines = asked_lines(Wanted(), None, 90)
    said = "\n".join("".join(text for text, _ in line) for line in lines)
    assert "2026-11-01T00:00:00Z up to 2026-12-02T00:00:00Z: 31d00h, cut by week in UTC" in said
    assert "prices   none: no cost" in said
    assert "foundry report jobs --user 'a b'" in said
