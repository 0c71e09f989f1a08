"""What stands beside a report: totals, coverage, reconciliation, what is counted apart."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from foundry_tui.presenters.reportpanel import report_lines, row_lines
from foundry_tui.presenters.toned import Line
from foundry_tui.reports.jobs.columns import COLUMNS as JOBS
from foundry_tui.reports.made import Totals
from tests.presenters.reports import a_job, made

SOME = Totals(allocated_s=36_000, used_s=7_200, idle_s=3_600, unknown_s=25_200)


def said(lines: list[Line]) -> str:
    return "\n".join("".join(text for text, _ in line) for line in lines)


def panel(totals: Totals | None = SOME, width: int = 78, **given: Any) -> str:
    report = made("jobs", JOBS, [a_job(1)], totals=totals, **given)
    return said(report_lines(report, width, ascii_only=False))


def tones(totals: Totals, words: str) -> set[str]:
    lines = report_lines(made("jobs", JOBS, [], totals=totals), 78, ascii_only=False)
    return {tone for line in lines for text, tone in line if words in text}


def reconciliation(**given: Any) -> dict[str, Any]:
    plain = {
        "accounting": {"rows_gpu_s": 36_000, "accounting_gpu_s": 36_000, "exact": True},
        "schedulers": [],
    }
    return {"reconciliation": {**plain, **given}}


def own(difference: int, *, explained: bool, accounts: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "source": "lab",
        "by": "sreport",
        "rows_gpu_s": 36_000,
        "own_gpu_s": 36_000 - difference,
        "difference_gpu_s": difference,
        "explained": explained,
        "accounts": accounts,
    }


def test_totals_are_a_bar_and_numbers_that_add_up() -> None:
    lines = panel().splitlines()
    assert lines[0] == " " + "█" * 15 + "░" * 8 + "?" * 53
    assert lines[1] == " allocated 10.00 GPU-hours  █ used 2.00  ░ idle 1.00  ? unknown 7.00"
    assert lines[2] == " 30.0 % of it was measured; the rest is unknown, which is not idle."


def test_r08_without_readings_it_says_that_unknown_is_not_idle() -> None:
    nothing = Totals(allocated_s=3600, used_s=0, idle_s=0, unknown_s=3600)
    text = panel(nothing, meta={"telemetry": {"resolution_s": None, "reason": "no history"}})
    assert "░░" not in text
    assert "all of it is unknown. Unknown is not idle." in " ".join(text.split())
    assert "█ used —  ░ idle —  ? unknown 1.00" in text
    assert "No readings: no history." in text
    both = panel(
        nothing, notes=("unknown: no history",), meta={"telemetry": {"reason": "no history"}}
    )
    assert both.count("no history") == 1
    assert tones(nothing, "Not measured") == {"warn"}


def test_full_and_no_coverage_are_never_rounded_to() -> None:
    almost = Totals(allocated_s=10**7, used_s=10**7 - 1, idle_s=0, unknown_s=1)
    hardly = Totals(allocated_s=10**7, used_s=1, idle_s=0, unknown_s=10**7 - 1)
    whole = Totals(allocated_s=10**7, used_s=10**7, idle_s=0, unknown_s=0)
    assert ">99.9 % of it was measured" in panel(almost)
    assert "<0.1 % of it was measured" in panel(hardly)
    assert "All of it was measured." in panel(whole)
    nothing = Totals(allocated_s=0, used_s=0, idle_s=0, unknown_s=0)
    assert "Nothing was allocated in this window." in panel(nothing)


def test_readings_say_how_fine_they_are_and_what_idle_means() -> None:
    told = {"telemetry": {"resolution_s": 60, "idle_threshold_pct": 1.0}}
    assert "Readings of 1m00s; idle is 1 % or less in all of it." in panel(meta=told)


def test_notes_stand_before_the_rest() -> None:
    text = panel(notes=("theta: no accounting: 403",), meta=reconciliation())
    assert text.index("! theta: no accounting: 403") < text.index("Reconciliation")


def test_rows_that_are_equal_to_accounting_say_so_with_the_seconds() -> None:
    assert "= accounting to the GPU-second: 36,000 GPU-seconds" in panel(meta=reconciliation())
    assert "No scheduler's own sums" in panel(meta=reconciliation())


def test_a_total_that_differs_from_accounting_is_called_a_fault() -> None:
    sums = {"rows_gpu_s": 36_001, "accounting_gpu_s": 36_000, "exact": False}
    text = " ".join(panel(meta=reconciliation(accounting=sums)).split())
    assert "! the rows have 36,001 GPU-seconds, accounting 36,000: do not use them" in text


@pytest.mark.parametrize(
    ("difference", "explained", "words"),
    [
        (0, True, "= lab: sreport says 36,000 GPU-seconds, as the rows do"),
        (40, True, "~ lab: sreport says 35,960 GPU-seconds, the rows 36,000: +40, which runs"),
        (-900, False, "! lab: sreport says 36,900 GPU-seconds, the rows 36,000: -900, not"),
    ],
)
def test_the_schedulers_own_sums_stand_beside_the_rows(
    difference: int, explained: bool, words: str
) -> None:
    accounts = [
        {"account": "bio", "explained": False, "difference_gpu_s": -900, "own_gpu_s": 901},
        {"account": "ml", "explained": True, "difference_gpu_s": 0, "own_gpu_s": 5},
    ]
    found = own(difference, explained=explained, accounts=accounts)
    text = " ".join(panel(meta=reconciliation(schedulers=[found])).split())
    assert words in text
    assert ("bio -900 (it says 901)" in text) is not explained
    assert " ml " not in text


def test_what_is_counted_apart_is_told_with_its_reason() -> None:
    apart = {
        "running": 2,
        "gpus_unknown": 0,
        "end_unknown": 1,
        "end_before_start": 0,
        "doubtful": [{"reason": "no end, its node is down", "tries": 3, "not_billed_gpu_s": 7200}],
    }
    text = " ".join(panel(meta={"counted_apart": apart}).split())
    assert "Counted apart 2 still run, counted up to now 1 ended, nobody knows when" in text
    assert "3 in doubt, 2.00 GPU-hours not billed: no end, its node is down" in text
    assert "GPUs nobody told" not in text
    assert "Counted apart" not in panel(meta={"counted_apart": {"running": 0, "doubtful": []}})


def test_reports_of_gpus_have_no_totals() -> None:
    assert panel(None) == ""


@pytest.mark.parametrize("width", [30, 62, 78])
def test_no_line_is_wider_than_there_is_room(width: int) -> None:
    text = panel(width=width, meta=reconciliation(), notes=("a note of many words " * 9,))
    assert max(map(len, text.splitlines())) <= width


def test_one_row_in_full_says_what_each_column_is() -> None:
    row = {
        **a_job(1),
        "job_name": "train\x1b[31m\n=cmd",
        "cost": Decimal("0.10"),
        "end_utc": datetime(2026, 11, 1, 2, 3, 4, tzinfo=UTC),
    }
    lines = said(row_lines(JOBS, row, 160)).splitlines()
    assert len(lines) == len(JOBS)
    narrow = said(row_lines(JOBS, row, 78))
    assert max(map(len, narrow.splitlines())) <= 78
    assert all(" ".join(column.doc.split()) in " ".join(narrow.split()) for column in JOBS)
    by_name = {line.split()[0]: line for line in lines}
    assert "2026-11-01T02:03:04Z" in by_name["end_utc"]
    assert "\x1b" not in by_name["job_name"]
    assert by_name["cost"].split()[1] == "0.10"
    assert by_name["energy_kwh"].split()[1] == "—"
    assert by_name["user"].endswith("who ran it")
