"""The report of jobs: every rule that a row must obey, named by its test."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.run import RunState
from foundry_tui.estate.text import safe
from foundry_tui.estate.usage import Accounting, UsageRecord, Window
from foundry_tui.reports import jobs

MARCH = datetime(2026, 3, 1, tzinfo=UTC)
NOW = MARCH + timedelta(days=40)
MONTH = Window(MARCH, MARCH + timedelta(days=31))


def at(seconds: float) -> datetime:
    """Seconds after the start of the window."""
    return MARCH + timedelta(seconds=seconds)


def record(raw_id: str = "17", **fields: Any) -> UsageRecord:
    """Two GPUs for an hour, after a minute of waiting."""
    base = UsageRecord(
        source="lab",
        native_id=raw_id,
        raw_id=raw_id,
        name=safe("train"),
        user="alice",
        account="nlp",
        queue="prod",
        qos="normal",
        state=RunState.COMPLETED,
        submitted_at=at(0),
        eligible_at=at(40),
        started_at=at(100),
        ended_at=at(3700),
        nodes=("a01",),
        gpu_count=2,
        gpu_milli=2000,
        gpu_model="h100",
        exit_code=0,
    )
    if fields.get("gpu_count") is not None:
        fields.setdefault("gpu_milli", 1000 * fields["gpu_count"])
    return replace(base, **fields)


def rows(*records: UsageRecord, window: Window = MONTH, now: datetime = NOW) -> list[jobs.Row]:
    """The report of these records."""
    return jobs.rows(Accounting(window=window, records=records), now)


def gpu_s(found: list[jobs.Row], window: Window = MONTH) -> Any:
    """The GPU-seconds in the window, as the sidecar tells them."""
    meta: Any = jobs.meta(
        Accounting(window=window, records=()), found, now=NOW, command=(), sources=()
    )
    return meta["totals"]["gpu_seconds_allocated_in_window"]


def test_one_row_in_full() -> None:
    (row,) = rows(record("17"))
    assert row == {
        "cluster": "lab",
        "job_id": "17",
        "job_id_raw": "17",
        "run": 1,
        "array_job_id": None,
        "array_task_id": None,
        "user": "alice",
        "account": "nlp",
        "partition": "prod",
        "qos": "normal",
        "job_name": "train",
        "state": "completed",
        "exit_code": 0,
        "submit_utc": at(0),
        "eligible_utc": at(40),
        "start_utc": at(100),
        "end_utc": at(3700),
        "window_start_utc": MONTH.start,
        "window_end_utc": MONTH.end,
        "elapsed_s": 3600,
        "elapsed_in_window_s": 3600,
        "suspended_s": 0,
        "wait_s": 60,
        "nodes_count": 1,
        "gpus_alloc": 2,
        "gpu_type": "h100",
        "gpu_hours": Decimal("2.0000"),
        "gpu_hours_in_window": Decimal("2.0000"),
        "gpu_unknown_hours": Decimal("2.0000"),
    }


def test_r1_gpu_hours_are_devices_times_time_in_the_window() -> None:
    window = Window(at(1900), at(100_000))
    (row,) = rows(record(gpu_count=4), window=window)
    assert row["elapsed_s"] == 3600
    assert row["elapsed_in_window_s"] == 1800
    assert row["gpu_hours"] == Decimal(4)
    assert row["gpu_hours_in_window"] == Decimal(2)


def test_r2_an_end_before_its_start_counts_nothing_and_is_told() -> None:
    wrong = record(ended_at=at(50))
    (row,) = rows(wrong)
    assert (row["elapsed_s"], row["elapsed_in_window_s"]) == (0, 0)
    meta: Any = jobs.meta(
        Accounting(window=MONTH, records=(wrong,)), [row], now=NOW, command=(), sources=()
    )
    assert meta["counted_apart"]["end_before_start"] == 1


def test_r2_suspended_time_is_taken_off() -> None:
    (row,) = rows(record(suspended_s=600))
    assert row["elapsed_s"] == 3000
    (row,) = rows(record(suspended_s=99_999))
    assert row["elapsed_s"] == 0


def test_r4_every_try_of_a_requeued_job_is_a_row_of_its_own() -> None:
    first = record("17", state=RunState.PREEMPTED)
    second = record(
        "17", submitted_at=at(4000), eligible_at=at(4000), started_at=at(4100), ended_at=at(4200)
    )
    found = rows(second, first)
    assert [row["run"] for row in found] == [1, 2]
    assert [row["elapsed_s"] for row in found] == [3600, 100]
    (later,) = rows(replace(second, restarts=1))
    assert later["run"] == 2, "the row itself says which try it is"


def test_r5_each_try_waits_from_being_eligible() -> None:
    assert rows(record())[0]["wait_s"] == 60
    assert rows(record(eligible_at=None))[0]["wait_s"] is None
    assert rows(record(started_at=None, ended_at=None, state=RunState.PENDING))[0]["wait_s"] is None


@pytest.mark.parametrize(
    ("native", "array", "task"),
    [
        ("18_3", "18", "3"),
        ("18_[4-9%2]", "18", "[4-9%2]"),
        ("17", None, None),
        ("17+1", None, None),
    ],
)
def test_r6_array_tasks_name_their_array(native: str, array: object, task: object) -> None:
    (row,) = rows(record("20", native_id=native))
    assert (row["array_job_id"], row["array_task_id"]) == (array, task)


def test_r8_without_telemetry_all_allocated_time_is_unknown_and_nothing_is_zero() -> None:
    found = rows(record())
    (read,) = csv.DictReader(io.StringIO(jobs.csv(found).decode(), newline=""))
    assert read["gpu_unknown_hours"] == read["gpu_hours_in_window"] == "2.0000"
    for name in ("gpu_util_pct", "gpu_active_hours", "gpu_idle_hours", "telemetry_coverage_pct"):
        assert read[name] == "", name


def test_a_share_is_not_billed_as_a_whole_gpu() -> None:
    (row,) = rows(record(gpu_count=1, gpu_milli=250))
    assert row["gpus_alloc"] is None
    assert row["gpu_hours"] is None


def test_r10_the_total_is_the_sum_of_whole_gpu_seconds() -> None:
    found = rows(record("17"), record("18", gpu_count=1, ended_at=at(107)))
    assert gpu_s(found) == 2 * 3600 + 7


def test_r10_a_row_without_gpus_adds_nothing_and_one_with_unknown_gpus_is_counted_apart() -> None:
    none = record("17", gpu_count=0, gpu_milli=0)
    share = record("18", gpu_count=0, gpu_milli=None)
    unknown = record("19", gpu_count=None, gpu_milli=None)
    found = rows(none, share, unknown)
    assert [row["gpus_alloc"] for row in found] == [0, None, None]
    assert [row["gpu_hours"] for row in found] == [Decimal(0), None, None]
    assert gpu_s(found) == 0
    meta: Any = jobs.meta(
        Accounting(window=MONTH, records=()), found, now=NOW, command=(), sources=()
    )
    assert meta["counted_apart"]["gpus_unknown"] == 2


def test_r11_a_running_run_is_counted_up_to_now() -> None:
    going = record(state=RunState.RUNNING, ended_at=None)
    assert rows(going, now=at(1100))[0]["elapsed_in_window_s"] == 1000
    assert rows(going, now=at(50))[0]["elapsed_in_window_s"] == 0
    (row,) = rows(going, window=Window(at(0), at(600)), now=at(1100))
    assert row["elapsed_in_window_s"] == 500


def test_r11_a_run_that_ended_nobody_knows_when_is_not_billed() -> None:
    (row,) = rows(record(state=RunState.NODE_FAIL, ended_at=None))
    assert row["elapsed_s"] is None
    assert row["gpu_hours_in_window"] is None


def test_a_run_that_never_started_used_nothing() -> None:
    (row,) = rows(record(state=RunState.CANCELLED, started_at=None, gpu_count=None))
    assert (row["elapsed_s"], row["gpu_hours"]) == (0, Decimal(0))


def test_the_header_is_the_contract_and_every_row_fits_it() -> None:
    found = rows(record(name=safe("=1+1")), record("18", user=None))
    lines = list(csv.reader(io.StringIO(jobs.csv(found).decode(), newline=""), strict=True))
    assert tuple(lines[0]) == jobs.COLUMNS
    assert {len(line) for line in lines} == {len(jobs.COLUMNS)}
    assert lines[1][jobs.COLUMNS.index("job_name")] == "'=1+1"
    assert lines[2][jobs.COLUMNS.index("user")] == ""
    assert set().union(*found) <= set(jobs.COLUMNS)


def test_rows_are_sorted_by_number_whatever_order_they_come_in() -> None:
    records = [record(str(n)) for n in (100, 9, 11)] + [record("9", source="alpha")]
    found = rows(*records)
    order = [(row["cluster"], row["job_id_raw"]) for row in found]
    assert order == [("alpha", "9"), ("lab", "9"), ("lab", "11"), ("lab", "100")]


def test_an_empty_window_has_a_header_and_no_total() -> None:
    assert jobs.csv(rows(window=Window(MARCH, MARCH))).decode().count("\r\n") == 1
    (row,) = rows(record(), window=Window(at(200), at(200)))
    assert row["elapsed_in_window_s"] == 0


def test_a_window_in_the_future_holds_nothing_yet() -> None:
    going = record(state=RunState.RUNNING, ended_at=None)
    (row,) = rows(going, window=Window(at(10_000), at(20_000)), now=at(1000))
    assert row["elapsed_in_window_s"] == 0


def test_the_sidecar_says_where_the_rows_come_from() -> None:
    accounting = Accounting(window=MONTH, records=(record(),), rejects=(safe("12x: no number"),))
    found = jobs.rows(accounting, NOW)
    meta: Any = jobs.meta(accounting, found, now=NOW, command=("report", "jobs"), sources=("lab",))
    assert meta["window"] == {
        "start": "2026-03-01T00:00:00Z",
        "end": "2026-04-01T00:00:00Z",
        "half_open": True,
    }
    assert meta["as_of"] == "2026-04-10T00:00:00Z"
    assert meta["command"] == ["report", "jobs"]
    assert (meta["rows"], meta["sources"]) == (1, ["lab"])
    assert meta["rejects"] == {"count": 1, "reasons": ["12x: no number"]}
    assert meta["totals"]["gpu_seconds_unknown"] == 7200
    assert meta["totals"]["gpu_seconds_idle"] is None
    assert meta["coverage"]["telemetry_pct"] is None


SECONDS = st.integers(min_value=0, max_value=5_000_000)


@st.composite
def any_record(draw: st.DrawFn) -> UsageRecord:
    """A run of any length, suspended for any part of it, perhaps still running."""
    start, length = draw(SECONDS), draw(SECONDS)
    part = draw(st.floats(min_value=0, max_value=0.999))
    ended = draw(st.booleans())
    return record(
        str(draw(st.integers(1, 9))),
        state=RunState.COMPLETED if ended else RunState.RUNNING,
        submitted_at=at(start - draw(SECONDS)),
        started_at=at(start + part),
        ended_at=at(start + length) if ended else None,
        suspended_s=draw(st.integers(0, length)),
        gpu_count=draw(st.integers(0, 64)),
    )


@given(st.lists(any_record(), max_size=8), st.lists(SECONDS, max_size=6))
def test_r2_r10_adjacent_windows_add_up_exactly(
    records: list[UsageRecord], cuts: list[int]
) -> None:
    now, far = at(6_000_000), 20_000_000
    edges = [-far, *sorted(cuts), far]
    parts = [
        rows(*records, window=Window(at(first), at(last)), now=now)
        for first, last in pairwise(edges)
    ]
    whole = rows(*records, window=Window(at(-far), at(far)), now=now)
    assert sum(gpu_s(part) for part in parts) == gpu_s(whole)
    for i, row in enumerate(whole):
        assert row["elapsed_in_window_s"] == row["elapsed_s"]
        seconds: list[Any] = [part[i]["elapsed_in_window_s"] for part in parts]
        assert sum(seconds) == row["elapsed_s"]
        assert min(seconds) >= 0


@given(st.lists(any_record(), max_size=6), st.randoms(use_true_random=False))
def test_the_same_records_in_any_order_are_the_same_bytes(
    records: list[UsageRecord], random: Any
) -> None:
    shuffled = list(records)
    random.shuffle(shuffled)
    assert jobs.csv(rows(*records)) == jobs.csv(rows(*shuffled))
