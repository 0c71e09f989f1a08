"""The report of jobs: every rule that a row must obey, named by its test."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.gpu import Share
from foundry_tui.estate.run import RunState
from foundry_tui.estate.text import safe
from foundry_tui.estate.usage import HeldGpus, UsageRecord, Window
from foundry_tui.reports import prices
from foundry_tui.reports.columns import line, names
from foundry_tui.reports.jobs.columns import COLUMNS
from foundry_tui.reports.jobs.rows import Jobs
from foundry_tui.reports.joining.join import Join
from foundry_tui.reports.part import Part
from foundry_tui.reports.prices import Prices
from tests.reports.joining.test_elapsed import any_try
from tests.reports.parts import MARCH, at, try_of

NOW = MARCH + timedelta(days=70)
MONTH = Window(MARCH, MARCH + timedelta(days=31))

HEADER = (
    "cluster,job_id,job_id_raw,sluid,run,array_job_id,array_task_id,het_offset,user,account,"
    "partition,qos,reservation,job_name,state,exit_code,submit_utc,eligible_utc,start_utc,end_utc,"
    "window_start_utc,window_end_utc,elapsed_s,elapsed_in_window_s,suspended_s,wait_s,nodes_count,"
    "gpus_alloc,gpu_type,gpu_hours,gpu_hours_in_window,gpu_util_pct,gpu_util_peak_pct_slurm,"
    "gpu_mem_peak_mib,gpu_active_hours,gpu_idle_hours,gpu_unknown_hours,gpu_busy_equiv_hours,"
    "energy_kwh,telemetry_coverage_pct,attribution,cost,currency,first_submit_utc"
)


def part_of(*records: UsageRecord, window: Window = MONTH, cuts: Sequence[int] = ()) -> Part:
    """These tries without readings; `cuts` are further edges in seconds after the start."""
    start, end = int(window.start.timestamp()), int(window.end.timestamp())
    edges = [start, *(start + cut for cut in cuts), end]
    return Join(edges, int(NOW.timestamp()), None, None).part(records)


def seen(part: Part, **cells: Sequence[float]) -> Part:
    """The part with readings: the given amounts instead of what is unknown."""
    found = replace(part.cells, **{k: np.array(v) for k, v in cells.items()})
    unknown = found.allocated_ms - found.used_ms - found.idle_ms
    return replace(part, cells=replace(found, unknown_ms=unknown))


def report(*parts: Part, window: Window = MONTH, table: Prices | None = None) -> Jobs:
    """The report of these parts."""
    jobs = Jobs(window, NOW, table)
    for part in parts:
        jobs.add(part)
    return jobs


def rows(*records: UsageRecord, window: Window = MONTH) -> list[dict[str, Any]]:
    """The rows of tries without readings."""
    return read(report(part_of(*records, window=window), window=window))


def read(jobs: Jobs) -> list[dict[str, Any]]:
    """The rows by column."""
    return [dict(zip(names(COLUMNS), row, strict=True)) for row in jobs.rows()]


def csv_rows(jobs: Jobs) -> list[dict[str, str]]:
    """The file, read back by the standard library."""
    text = "\r\n".join(jobs.lines()) + "\r\n"
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_one_try_in_full_to_the_byte() -> None:
    record = try_of(
        "20",
        native_id="18_3",
        het_offset=1,
        reservation="maint",
        gpu_util_peak_pct=97.0,
        restarts=1,
        suspended_s=60,
    )
    part = seen(
        part_of(record),
        used_ms=[5_040_000],
        idle_ms=[720_000],
        joint_ms=[0],
        busy_ms=[2_880_000],
        powered_ms=[1],
        energy_j=[3_600_000.0],
        mem_peak_mib=[40_960],
    )
    header, written = report(part).lines()
    assert header == HEADER
    assert written == (
        "lab,18_3,20,,2,18,3,1,alice,nlp,prod,normal,maint,train,completed,0,"
        "2026-03-01T00:00:00Z,2026-03-01T00:00:40Z,2026-03-01T00:01:40Z,2026-03-01T01:01:40Z,"
        "2026-03-01T00:00:00Z,2026-04-01T00:00:00Z,3540,3540,60,60,1,2.000,h100,1.9667,1.9667,"
        "50.00,97.00,40960,1.4000,0.2000,0.3667,0.8000,1.0000,81.36,whole,,,"
    )


def test_lines_are_the_rows() -> None:
    jobs = report(part_of(try_of("17", name=safe('=a,"b"')), try_of("9", user=None)))
    assert list(jobs.lines())[1:] == [line(row) for row in jobs.rows()]
    assert len(jobs) == 2


def test_r01_gpu_hours_are_gpus_times_time_in_the_window() -> None:
    (row,) = rows(try_of(gpu_count=4), window=Window(at(1900), at(100_000)))
    assert (row["elapsed_s"], row["elapsed_in_window_s"]) == (3600, 1800)
    assert (row["gpu_hours"], row["gpu_hours_in_window"]) == (4, 2)


def test_r01_several_kinds_of_gpus_add_up_and_are_all_named() -> None:
    kinds = (HeldGpus("h100", 3, 3000), HeldGpus("a100", 1, 1000), HeldGpus("h100", 2, 2000))
    (row,) = rows(try_of(held=kinds))
    assert (row["gpus_alloc"], row["gpu_type"]) == (6, "a100;h100")
    assert (row["gpu_hours_in_window"], row["elapsed_in_window_s"]) == (6, 3600)


def test_r02_time_of_several_periods_is_counted_once() -> None:
    (row,) = read(report(part_of(try_of(), cuts=(1000, 2000))))
    assert (row["elapsed_in_window_s"], row["gpu_hours_in_window"]) == (3600, 2)


def test_r02_an_end_before_its_start_counts_nothing() -> None:
    (row,) = rows(try_of(ended_at=at(50)))
    assert (row["elapsed_s"], row["elapsed_in_window_s"], row["gpu_hours_in_window"]) == (0, 0, 0)


def test_r04_every_try_of_a_requeued_job_is_a_row_of_its_own() -> None:
    first = try_of("17", state=RunState.PREEMPTED)
    second = try_of(
        "17", submitted_at=at(4000), eligible_at=at(4000), started_at=at(4100), ended_at=at(4200)
    )
    found = rows(second, try_of("17", source="other"), first)
    assert [(row["cluster"], row["run"]) for row in found] == [
        ("lab", 1),
        ("lab", 2),
        ("other", 1),
    ]
    assert [row["elapsed_s"] for row in found] == [3600, 100, 3600]
    (later,) = rows(replace(second, restarts=1))
    assert later["run"] == 2, "the row itself says which try it is"


def test_r05_each_try_waits_from_being_eligible() -> None:
    assert rows(try_of())[0]["wait_s"] == 60
    assert rows(try_of(eligible_at=None))[0]["wait_s"] is None
    assert rows(try_of(eligible_at=at(200)))[0]["wait_s"] == 0
    waiting = try_of(started_at=None, ended_at=None, state=RunState.PENDING)
    assert rows(waiting)[0]["wait_s"] is None


def test_r05_the_first_submission_stays_where_the_window_shows_the_first_try() -> None:
    first = try_of("17", state=RunState.REQUEUED)
    second = try_of("17", submitted_at=at(4000), started_at=at(4100), ended_at=at(4200))
    assert [row["first_submit_utc"] for row in rows(first, second)] == [at(0), at(0)]
    assert [row["submit_utc"] for row in rows(first, second)] == [at(0), at(4000)]
    (alone,) = rows(replace(second, restarts=1))
    assert alone["first_submit_utc"] is None, "the first try lies before the window"


@pytest.mark.parametrize(
    ("native", "array", "task"),
    [
        ("18_3", "18", "3"),
        ("18_[4-9%2]", "18", "[4-9%2]"),
        ("17", None, None),
        ("17+1", None, None),
    ],
)
def test_r06_array_tasks_name_their_array(native: str, array: object, task: object) -> None:
    (row,) = rows(try_of("20", native_id=native))
    assert (row["array_job_id"], row["array_task_id"]) == (array, task)


def test_r06_parts_of_a_heterogeneous_job_are_rows_that_add_up_once() -> None:
    parts = [try_of(str(17 + i), native_id=f"17+{i}", het_offset=i) for i in range(3)]
    found = rows(*parts)
    assert [(row["job_id"], row["het_offset"]) for row in found] == [
        ("17+0", 0),
        ("17+1", 1),
        ("17+2", 2),
    ]
    assert sum(row["gpu_hours_in_window"] for row in found) == 6


def test_r07_utilisation_is_of_the_time_that_was_seen() -> None:
    part = seen(part_of(try_of()), used_ms=[1_200_000], idle_ms=[1_200_000], busy_ms=[600_000])
    (row,) = read(report(part))
    assert row["gpu_util_pct"] == 25
    assert row["telemetry_coverage_pct"] == Decimal("33.33")


@pytest.mark.parametrize(("used_ms", "util"), [(360_000, Decimal(50)), (359_999, None)])
def test_r08_utilisation_of_less_than_five_per_cent_of_the_time_is_empty(
    used_ms: int, util: Decimal | None
) -> None:
    part = seen(part_of(try_of()), used_ms=[used_ms], idle_ms=[0], busy_ms=[used_ms // 2])
    (row,) = read(report(part))
    assert row["gpu_util_pct"] == util
    assert row["gpu_active_hours"] == Decimal("0.1000")


def test_r08_missing_is_not_zero() -> None:
    (row,) = csv_rows(report(part_of(try_of())))
    assert row["gpu_unknown_hours"] == row["gpu_hours_in_window"] == "2.0000"
    for name in ("gpu_util_pct", "gpu_active_hours", "gpu_idle_hours", "gpu_busy_equiv_hours"):
        assert row[name] == "", name
    for name in ("energy_kwh", "gpu_mem_peak_mib", "gpu_util_peak_pct_slurm", "cost", "currency"):
        assert row[name] == "", name
    assert (row["telemetry_coverage_pct"], row["attribution"]) == ("0.00", "none")


def test_r08_idle_is_not_missing() -> None:
    part = seen(part_of(try_of()), used_ms=[0], idle_ms=[7_200_000], busy_ms=[0])
    (row,) = csv_rows(report(part))
    assert (row["gpu_active_hours"], row["gpu_idle_hours"]) == ("0.0000", "2.0000")
    assert (row["gpu_util_pct"], row["gpu_unknown_hours"]) == ("0.00", "0.0000")


def test_r09_a_share_is_billed_as_its_part_of_a_gpu() -> None:
    kinds = (HeldGpus("h100", 1, 250, Share.SHARD),)
    (row,) = csv_rows(report(part_of(try_of(held=kinds))))
    assert (row["gpus_alloc"], row["gpu_hours_in_window"]) == ("0.250", "0.2500")


def test_r09_a_share_of_unknown_worth_is_empty_and_the_rest_is_billed() -> None:
    kinds = (HeldGpus("h100", 1, 1000), HeldGpus(None, 3, None, Share.SHARD))
    (row,) = rows(try_of(held=kinds))
    assert (row["gpus_alloc"], row["gpu_hours"]) == (None, None)
    assert row["gpu_hours_in_window"] == 1
    (row,) = rows(try_of(held=kinds[1:]))
    assert row["gpu_hours_in_window"] is None


def test_r10_no_gpus_are_zero_and_unknown_gpus_are_empty() -> None:
    none, unknown = try_of("17", gpu_count=0), try_of("18", gpu_count=None, gpu_milli=None)
    found = rows(none, unknown)
    assert [row["gpus_alloc"] for row in found] == [0, None]
    assert [row["gpu_hours"] for row in found] == [0, None]
    assert [row["gpu_hours_in_window"] for row in found] == [0, None]
    assert [row["attribution"] for row in found] == [None, None]
    assert [row["telemetry_coverage_pct"] for row in found] == [None, None]


@given(st.lists(st.tuples(any_try(), st.floats(0, 1), st.floats(0, 1)), max_size=6))
def test_r10_active_idle_and_unknown_are_what_is_allocated_row_by_row(
    tries: list[tuple[UsageRecord, float, float]],
) -> None:
    part = part_of(*(record for record, _, _ in tries))
    allocated = part.cells.allocated_ms
    owner = part.lines.record[part.cells.line]
    share = np.array([tries[i][1] for i in owner.tolist()])
    used = (allocated * share * [tries[i][2] for i in owner.tolist()]).astype(np.int64)
    idle = (allocated * share).astype(np.int64) - used
    jobs = report(seen(part, used_ms=used.tolist(), idle_ms=idle.tolist()))
    found = read(jobs)
    assert len(found) == len(tries)
    for row in found:
        known = [row[f"gpu_{name}_hours"] for name in ("active", "idle", "unknown")]
        if row["gpu_hours_in_window"] is None:
            assert known == [None, None, None]
        else:
            assert sum(hours or 0 for hours in known) == row["gpu_hours_in_window"]
    exact = Decimal(int(allocated.sum())) / 3_600_000
    total = sum((row["gpu_hours_in_window"] or 0 for row in found), Decimal(0))
    assert abs(total - exact) <= Decimal("0.00005") * len(found)


def test_r11_a_running_run_is_counted_up_to_now() -> None:
    going = try_of(state=RunState.RUNNING, ended_at=None, started_at=NOW - timedelta(hours=1))
    (row,) = rows(going, window=Window(MARCH, NOW + timedelta(days=1)))
    assert (row["elapsed_in_window_s"], row["gpu_hours"], row["end_utc"]) == (3600, 2, None)


def test_r11_a_run_that_ended_nobody_knows_when_is_not_billed() -> None:
    (row,) = rows(try_of(state=RunState.NODE_FAIL, ended_at=None))
    assert (row["elapsed_s"], row["gpu_hours"], row["gpu_hours_in_window"]) == (None, None, None)
    assert row["gpus_alloc"] == 2


def test_r11_a_try_in_doubt_stands_there_and_is_not_billed() -> None:
    doubt = safe("the controller does not know it any more")
    (row,) = rows(try_of(state=RunState.RUNNING, ended_at=None, doubt=doubt))
    assert (row["state"], row["gpus_alloc"]) == ("running", 2)
    for name in ("elapsed_s", "elapsed_in_window_s", "gpu_hours", "gpu_hours_in_window"):
        assert row[name] is None, name


def table(tmp_path: Path, *lines: str) -> Prices:
    """A table of prices with these lines."""
    path = tmp_path / "prices.csv"
    head = "gpu_type,price_per_gpu_hour,currency,valid_from_utc,valid_to_utc"
    path.write_text("\n".join((head, *lines)) + "\n")
    return prices.read(path)


def test_r14_money_is_decimal_and_follows_a_change_of_price(tmp_path: Path) -> None:
    found = table(
        tmp_path,
        "h100,2.10,EUR,,2026-03-01T00:31:40Z",
        "h100,4.20,EUR,2026-03-01T00:31:40Z,",
    )
    part = part_of(try_of(), cuts=(1900,))
    (row,) = read(report(part, table=found))
    assert (row["cost"], row["currency"]) == (Decimal("6.30"), "EUR")


def test_r14_a_price_for_all_is_by_worth_and_one_of_a_profile_as_billed(tmp_path: Path) -> None:
    record = try_of(held=(HeldGpus("1g.10gb", 1, 143, Share.MIG),))
    (row,) = read(report(part_of(record), table=table(tmp_path, "*,10.00,EUR,,")))
    assert row["cost"] == Decimal("1.43")
    (row,) = read(report(part_of(record), table=table(tmp_path, "1g.10gb,10.00,EUR,,")))
    assert row["cost"] == 10


def test_r14_half_a_cent_goes_to_the_even_one(tmp_path: Path) -> None:
    for price, cost in (("0.0125", "0.02"), ("0.0075", "0.02"), ("0.0025", "0.00")):
        (row,) = read(report(part_of(try_of()), table=table(tmp_path, f"*,{price},EUR,,")))
        assert row["cost"] == Decimal(cost), price


def test_r14_a_missing_price_or_two_currencies_are_no_cost(tmp_path: Path) -> None:
    for lines in (("a100,1.00,EUR,,",), ("*,1,EUR,,2026-03-01T00:31:40Z",), ()):
        found = table(tmp_path, *lines) if lines else None
        (row,) = read(report(part_of(try_of(), cuts=(1900,)), table=found))
        assert (row["cost"], row["currency"]) == (None, None)
    both = table(tmp_path, "*,1,EUR,,2026-03-01T00:31:40Z", "*,1,USD,2026-03-01T00:31:40Z,")
    (row,) = read(report(part_of(try_of(), cuts=(1900,)), table=both))
    assert (row["cost"], row["currency"]) == (None, None)


@pytest.mark.parametrize(
    ("used_ms", "joint_ms", "word"), [(10, 0, "whole"), (10, 1, "joint"), (0, 0, "none")]
)
def test_attribution_says_whose_work_it_was(used_ms: int, joint_ms: int, word: str) -> None:
    part = seen(part_of(try_of()), used_ms=[used_ms], idle_ms=[0], joint_ms=[joint_ms])
    assert read(report(part))[0]["attribution"] == word


def test_a_run_that_never_started_used_nothing() -> None:
    (row,) = rows(try_of(state=RunState.CANCELLED, started_at=None, gpu_count=None))
    assert (row["elapsed_s"], row["gpu_hours"]) == (0, 0)


HOSTILE = (
    "=cmd|' /C calc'!A0",
    "+1",
    "-1",
    "@SUM(A1)",
    "a\r\nlab,18,18",
    'x","y";=1',
    "nul\0",
    "\x1b[31mred",
    "\u202egnp",
    b"\xff\xfe".decode("utf-8", "surrogateescape"),
    "",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_makes_a_row_a_cell_or_a_formula(name: str) -> None:
    hostile = try_of("17", name=safe(name), user=name, account=name, queue=name, qos=name)
    jobs = report(part_of(hostile, try_of("18")))
    found = csv_rows(jobs)
    assert [row["job_id_raw"] for row in found] == ["17", "18"]
    assert {None, HEADER}.isdisjoint(found[0]), "every field has its column"
    for column in ("job_name", "user", "account", "partition", "qos"):
        assert not found[0][column].startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\0"))
    assert all(text.isprintable() for text in jobs.lines())


def test_rows_are_sorted_by_number_whatever_order_they_come_in() -> None:
    ids = ("100", "9", "b-uid", "11", "a-uid", "9" * 40)
    records = [try_of(raw) for raw in ids] + [try_of("9", source="alpha")]
    order = [(row["cluster"], row["job_id_raw"]) for row in rows(*records)]
    assert order == [
        ("alpha", "9"),
        ("lab", "9" * 40),
        ("lab", "a-uid"),
        ("lab", "b-uid"),
        ("lab", "9"),
        ("lab", "11"),
        ("lab", "100"),
    ]


@given(st.lists(any_try(), max_size=8), st.randoms(use_true_random=False), st.integers(0, 8))
def test_the_same_tries_in_any_order_of_parts_are_the_same_bytes(
    records: list[UsageRecord], random: Any, cut: int
) -> None:
    shuffled = list(records)
    random.shuffle(shuffled)
    whole = report(part_of(*records))
    parts = report(part_of(*shuffled[:cut]), part_of(*shuffled[cut:]))
    assert list(whole.lines()) == list(parts.lines())


def test_an_empty_window_has_a_header_and_no_time() -> None:
    nothing = Window(MARCH, MARCH)
    assert list(report(part_of(window=nothing), window=nothing).lines()) == [HEADER]
    (row,) = rows(try_of(), window=Window(at(200), at(200)))
    assert row["elapsed_in_window_s"] == 0


def test_a_window_in_the_future_holds_nothing_yet() -> None:
    going = try_of(state=RunState.RUNNING, ended_at=None)
    later = Window(NOW + timedelta(days=1), NOW + timedelta(days=2))
    (row,) = rows(going, window=later)
    assert (row["elapsed_in_window_s"], row["gpu_hours_in_window"]) == (0, 0)


def test_every_column_is_named_once_and_documented() -> None:
    assert len(set(names(COLUMNS))) == len(COLUMNS)
    assert all(column.doc for column in COLUMNS)
