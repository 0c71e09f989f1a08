"""The reports of usage: every rule that a row must obey, named by its test."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from foundry_tui.estate.run import RunState
from foundry_tui.estate.usage import Account
from foundry_tui.reports.columns import line, names
from foundry_tui.reports.prices import Price, Prices
from foundry_tui.reports.usage.rows import ByAccount, ByUser
from tests.reports.handmade import Hold, part_of
from tests.reports.parts import MARCH_S, at, try_of

HOUR = 3600
DAY = (MARCH_S, MARCH_S + 24 * HOUR)
Read = list[dict[str, str]]


def price(gpu_type: str, amount: str, since: int | None = None, until: int | None = None) -> Price:
    """A price in euros, valid between seconds of the day."""
    return Price(
        gpu_type=gpu_type,
        per_gpu_hour=Decimal(amount),
        currency="EUR",
        since_s=None if since is None else MARCH_S + since,
        until_s=None if until is None else MARCH_S + until,
        cluster=None,
        line=2,
    )


def prices(*table: Price) -> Prices:
    return Prices(table, "prices.csv", "0" * 64)


def read(report: ByAccount) -> Read:
    """The rows as they come back from the CSV file."""
    text = [line(names(report.columns)), *(line(row) for row in report.rows())]
    found = list(csv.DictReader(text, strict=True))
    assert all(None not in row and None not in row.values() for row in found)
    return found


def by_account(*holds: Hold, edges: Sequence[int] = DAY, **given: Any) -> Read:
    report = ByAccount(edges, **given)
    report.add(part_of(report.edges, holds))
    return read(report)


def by_user(*holds: Hold, edges: Sequence[int] = DAY, **given: Any) -> Read:
    report = ByUser(edges, now_s=DAY[1], **given)
    report.add(part_of(report.edges, holds))
    return read(report)


def hold(raw_id: str = "1", *, hours: float = 1, begin: float = 0, **fields: Any) -> Hold:
    """One GPU from an hour of the day on; fields of the hold, the others of the record."""
    own = {k: fields.pop(k) for k in tuple(fields) if k in Hold.__dataclass_fields__}
    times = {"started_at": at(begin * HOUR), "ended_at": at((begin + hours) * HOUR)}
    return Hold(record=try_of(raw_id, **{**times, **fields}), **own)


def test_r10_one_row_says_what_came_of_the_hours() -> None:
    (row,) = by_account(
        hold(hours=2, billed=4000, weighted=4000, used_s=HOUR, idle_s=HOUR // 2, mem_mib=40_000),
        schedulers={"lab": "slurm"},
        memory_mib={("lab", "h100"): 80_000},
    )
    assert row == {
        "period_start_utc": "2026-03-01T00:00:00Z",
        "period_end_utc": "2026-03-02T00:00:00Z",
        "cluster": "lab",
        "scheduler": "slurm",
        "account": "nlp",
        "parent_account": "",
        "partition": "prod",
        "qos": "normal",
        "gpu_type": "h100",
        "gpu_weight": "1.0000",
        "jobs_count": "1",
        "users_count": "1",
        "gpu_allocated_hours": "8.0000",
        "gpu_weighted_hours": "8.0000",
        "gpu_active_hours": "4.0000",
        "gpu_idle_hours": "2.0000",
        "gpu_unknown_hours": "2.0000",
        "gpu_busy_equiv_hours": "2.0000",
        "gpu_util_pct": "33.33",
        "telemetry_coverage_pct": "75.00",
        "gpu_mem_peak_pct": "50.00",
        "energy_kwh": "0.4000",
        "energy_coverage_pct": "50.00",
        "unit_price": "",
        "currency": "",
        "cost_allocated": "",
        "cost_idle": "",
        "quota_gpu_hours": "",
        "quota_used_pct": "",
    }


def test_r08_missing_is_not_zero() -> None:
    """Without telemetry all is unknown; what is not known is an empty field."""
    (row,) = by_account(hold(), prices=prices(price("h100", "2")))
    unseen = ("gpu_active_hours", "gpu_idle_hours", "gpu_busy_equiv_hours", "gpu_util_pct")
    assert [row[name] for name in unseen] == [""] * 4
    assert [row[name] for name in ("gpu_mem_peak_pct", "energy_kwh", "cost_idle")] == [""] * 3
    assert (row["gpu_unknown_hours"], row["telemetry_coverage_pct"]) == ("1.0000", "0.00")
    assert (row["energy_coverage_pct"], row["cost_allocated"]) == ("0.00", "2.00")


def test_r08_no_utilisation_is_told_of_less_than_a_twentieth() -> None:
    for used_s, told in ((179, ""), (180, "50.00")):
        (row,) = by_account(hold(used_s=used_s))
        assert row["gpu_util_pct"] == told
        assert row["gpu_active_hours"] != ""


def test_r09_a_mig_instance_is_billed_whole_and_weighs_a_seventh() -> None:
    holds = (
        hold("1", hours=7, gpu_type="1g.10gb", billed=1000, weighted=143, idle_s=HOUR),
        hold("2", hours=7, gpu_type="h100"),
        hold("3", hours=8, gpu_type="a100", billed=250, weighted=250),
    )
    table = prices(price("*", "10"), price("h100", "7"))
    rows = {row["gpu_type"]: row for row in by_account(*holds, prices=table)}
    mig = rows["1g.10gb"]
    assert (mig["gpu_allocated_hours"], mig["gpu_weighted_hours"]) == ("7.0000", "1.0010")
    assert (mig["gpu_weight"], mig["unit_price"]) == ("0.1430", "10.00")
    assert (mig["cost_allocated"], mig["cost_idle"]) == ("10.01", "1.43")
    assert rows["h100"]["cost_allocated"] == "49.00"
    shards = rows["a100"]
    assert (shards["gpu_allocated_hours"], shards["gpu_weighted_hours"]) == ("2.0000", "2.0000")
    own = prices(price("1g.10gb", "10"))
    assert by_account(holds[0], prices=own)[0]["cost_allocated"] == "70.00"


def test_r12_parents_hold_none_of_the_hours_of_their_children() -> None:
    """Every hour stands in one row; only the quota looks at what is below."""
    accounts = {
        ("lab", "science"): Account(name="science", quota_gpu_milli=1000),
        ("lab", "nlp"): Account(name="nlp", parent="science", quota_gpu_milli=500),
        ("lab", "vision"): Account(name="vision", parent="science"),
    }
    holds = (
        hold("1", hours=6),
        hold("2", hours=6, account="vision"),
        hold("3", hours=1.2, account="science"),
        hold("4", hours=6, qos="high"),
    )
    rows = by_account(*holds, accounts=accounts)
    told = [
        (r["account"], r["parent_account"], r["gpu_allocated_hours"], r["quota_used_pct"])
        for r in rows
    ]
    assert told == [
        ("nlp", "science", "6.0000", "100.00"),
        ("nlp", "science", "6.0000", "100.00"),
        ("science", "", "1.2000", "80.00"),
        ("vision", "science", "6.0000", ""),
    ]
    assert [row["quota_gpu_hours"] for row in rows] == ["12.0000", "12.0000", "24.0000", ""]
    assert sum(Decimal(row["gpu_allocated_hours"]) for row in rows) == Decimal("19.2")


def test_r12_an_account_that_is_gone_keeps_its_name() -> None:
    accounts = {("lab", "other"): Account(name="other")}
    (row,) = by_account(hold(account="closed"), accounts=accounts)
    assert (row["account"], row["parent_account"]) == ("closed", "")


def test_accounts_and_memory_may_be_told_while_the_parts_come() -> None:
    accounts: dict[tuple[str, str], Account] = {}
    memory_mib: dict[tuple[str, str | None], int] = {}
    report = ByAccount(DAY, accounts=accounts, memory_mib=memory_mib)
    report.add(part_of(DAY, [hold(used_s=1, mem_mib=20)]))
    accounts["lab", "nlp"] = Account(name="nlp", parent="science")
    memory_mib["lab", "h100"] = 80
    (row,) = read(report)
    assert (row["parent_account"], row["gpu_mem_peak_pct"]) == ("science", "25.00")


def test_r12_parents_in_a_circle_end() -> None:
    accounts = {
        ("lab", "nlp"): Account(name="nlp", parent="b", quota_gpu_milli=1000),
        ("lab", "b"): Account(name="b", parent="nlp"),
    }
    (row,) = by_account(hold(hours=6), accounts=accounts)
    assert row["quota_used_pct"] == "25.00"


def test_r12_the_same_account_of_two_clusters_is_two() -> None:
    rows = by_account(hold("1"), hold("1", source="west", account="nlp"))
    assert [(row["cluster"], row["jobs_count"]) for row in rows] == [("lab", "1"), ("west", "1")]


def test_r04_the_tries_of_one_run_count_once_wherever_they_come() -> None:
    report = ByAccount(DAY)
    first = hold("7", state=RunState.REQUEUED)
    report.add(part_of(DAY, [first, hold("8", user="bob"), hold("x-1", user=None)]))
    report.add(part_of(DAY, [replace(first, record=replace(first.record, started_at=at(9)))]))
    (row,) = read(report)
    assert (row["jobs_count"], row["users_count"]) == ("3", "2")


def test_users_that_nobody_knows_are_not_counted_as_none() -> None:
    assert by_account(hold(user=None))[0]["users_count"] == ""


def test_r14_a_change_of_price_parts_the_rows_of_that_price_alone() -> None:
    table = prices(
        price("h100", "2", None, 6 * HOUR),
        price("h100", "3", 6 * HOUR, 12 * HOUR),
        price("h100", "3.00", 12 * HOUR),
        price("*", "1"),
    )
    holds = (hold("1", hours=10, begin=4, idle_s=3 * HOUR), hold("2", gpu_type="a100"))
    rows = by_account(*holds, prices=table)
    told = [
        (
            r["gpu_type"],
            r["period_start_utc"][11:13],
            r["period_end_utc"][8:13],
            r["unit_price"],
            r["cost_allocated"],
            r["cost_idle"],
            r["jobs_count"],
        )
        for r in rows
    ]
    assert told == [
        ("a100", "00", "02T00", "1.00", "1.00", "", "1"),
        ("h100", "00", "01T06", "2.00", "4.00", "4.00", "1"),
        ("h100", "06", "02T00", "3.00", "24.00", "3.00", "1"),
    ]


def test_r14_time_without_a_price_has_no_cost() -> None:
    table = prices(price("h100", "0.125", 6 * HOUR, None))
    rows = by_account(hold(hours=2, begin=5), prices=table)
    told = [(row["unit_price"], row["currency"], row["cost_allocated"]) for row in rows]
    assert told == [("", "", ""), ("0.125", "EUR", "0.12")]


def test_the_quota_of_a_period_that_a_price_parts_is_that_of_its_part() -> None:
    table = prices(price("h100", "2", None, 6 * HOUR), price("h100", "3", 6 * HOUR))
    accounts = {("lab", "nlp"): Account(name="nlp", quota_gpu_milli=2000)}
    rows = by_account(hold(hours=12), prices=table, accounts=accounts)
    told = [(row["quota_gpu_hours"], row["quota_used_pct"]) for row in rows]
    assert told == [("12.0000", "50.00"), ("36.0000", "16.67")]


def test_rows_by_user_say_what_was_lost() -> None:
    states = {
        RunState.FAILED: 1,
        RunState.OUT_OF_MEMORY: 2,
        RunState.NODE_FAIL: 3,
        RunState.CANCELLED: 4,
        RunState.TIMEOUT: 5,
        RunState.REQUEUED: 6,
        RunState.PREEMPTED: 7,
        RunState.COMPLETED: 8,
        RunState.RUNNING: 9,
    }
    holds = [hold(str(h), hours=h, state=state) for state, h in states.items()]
    (row,) = by_user(*holds)
    assert (row["user"], row["account"], row["jobs_count"]) == ("alice", "nlp", "9")
    lost = ("failed", "cancelled", "timeout", "requeue_lost")
    told = [row[f"{name}_gpu_hours"] for name in lost]
    assert told == ["6.0000", "4.0000", "5.0000", "13.0000"]
    assert row["gpu_allocated_hours"] == "45.0000"


def test_r13_waits_stand_where_tries_started() -> None:
    """By nearest rank; a try of two kinds of GPU in one row waited once, not twice."""
    edges = (MARCH_S, MARCH_S + 12 * HOUR, MARCH_S + 24 * HOUR)
    holds = [hold(str(n), hours=20, begin=1, eligible_at=at(HOUR - 10 * n)) for n in range(1, 10)]
    holds.append(replace(holds[0], billed=2000))
    holds.append(hold("50", begin=1, eligible_at=None))
    holds.append(hold("51", begin=13, eligible_at=at(14 * HOUR)))  # a clock that jumped
    first, second = by_user(*holds, edges=edges)
    waits = [f"wait_p{p}_s" for p in (50, 90, 99)]
    assert [first[name] for name in waits] == ["50", "90", "90"]
    assert [second[name] for name in waits] == ["0", "0", "0"]
    (unknown,) = by_user(hold("50", eligible_at=None))
    assert [unknown[name] for name in waits] == ["", "", ""]


def test_r13_a_try_that_starts_at_a_border_waited_in_the_period_that_begins_there() -> None:
    edges = (MARCH_S, MARCH_S + 12 * HOUR, MARCH_S + 24 * HOUR)
    before = hold("1", begin=1, hours=11, eligible_at=at(HOUR - 5))
    after = hold("2", begin=12, hours=12, eligible_at=at(12 * HOUR - 70))
    rows = by_user(before, after, edges=edges)
    assert [(row["wait_p50_s"], row["jobs_count"]) for row in rows] == [("5", "1"), ("70", "1")]


def test_r13_what_still_waits_is_counted_apart() -> None:
    report = ByUser(DAY, now_s=MARCH_S + HOUR)
    pending = [
        try_of(str(n), state=RunState.PENDING, eligible_at=moment, started_at=None, ended_at=None)
        for n, moment in enumerate((at(0), at(3000), at(5000), None))
    ]
    report.add(replace(part_of(DAY, []), records=tuple(pending)))
    assert report.waiting() == {
        "pending_count": 4,
        "wait_so_far_p50_s": 600,
        "wait_so_far_p90_s": 3600,
        "wait_so_far_p99_s": 3600,
    }
    assert list(report.rows()) == []


def test_time_limits_are_those_of_tries_that_ended_in_the_period() -> None:
    edges = (MARCH_S, MARCH_S + 12 * HOUR, MARCH_S + 24 * HOUR)
    holds = (
        hold("1", hours=3, time_limit_s=6 * HOUR, suspended_s=HOUR),
        hold("2", hours=10, begin=2, time_limit_s=20 * HOUR),  # ends on the border
        hold("3", hours=10, begin=10, time_limit_s=10 * HOUR),
        hold("4", hours=1, time_limit_s=None),
    )
    first, second = by_user(*holds, edges=edges)
    assert (first["time_limit_used_pct"], second["time_limit_used_pct"]) == ("46.15", "100.00")
    assert by_user(hold())[0]["time_limit_used_pct"] == ""


def test_users_share_the_quota_of_their_account() -> None:
    accounts = {("lab", "nlp"): Account(name="nlp", parent="root", quota_gpu_milli=1000)}
    rows = by_user(hold("1", hours=6), hold("2", hours=6, user="bob"), accounts=accounts)
    assert [row["user"] for row in rows] == ["alice", "bob"]
    assert [row["parent_account"] for row in rows] == ["root", "root"]
    assert [row["quota_used_pct"] for row in rows] == ["50.00", "50.00"]


def test_rows_are_sorted_by_their_key_and_names_stay_harmless() -> None:
    holds = (
        hold("1", account="z"),
        hold("2", account=None, queue="=cmd()"),
        hold("3", account="a", gpu_type=None, user="-2+3"),
        hold("4", account="a", begin=13),
        hold("5", source="alpha", account='q"uote'),
    )
    edges = (MARCH_S, MARCH_S + 12 * HOUR, MARCH_S + 24 * HOUR)
    schedulers = {"lab": "slurm", "alpha": "slurm"}
    rows = by_account(*holds, edges=edges, schedulers=schedulers)
    told = [(r["cluster"], r["account"], r["partition"], r["gpu_type"]) for r in rows]
    assert told == [
        ("alpha", 'q"uote', "prod", "h100"),
        ("lab", "", "'=cmd()", "h100"),
        ("lab", "a", "prod", ""),
        ("lab", "z", "prod", "h100"),
        ("lab", "a", "prod", "h100"),
    ]
    assert by_user(holds[2])[0]["user"] == "'-2+3"


def test_nothing_gives_no_rows() -> None:
    for edges in (DAY, DAY[:1]):
        assert by_account(edges=edges) == []
        assert by_user(edges=edges) == []


def test_a_part_of_other_periods_is_refused() -> None:
    report = ByAccount(DAY, prices(price("h100", "2", HOUR)))
    with pytest.raises(ValueError, match="part: its periods are not the 2 of the report"):
        report.add(part_of(DAY, [hold()]))
