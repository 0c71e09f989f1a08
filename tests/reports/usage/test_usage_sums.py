"""What the rows of the usage reports add up to, whatever is held by whom and when."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tui.estate.run import RunState
from foundry_tui.estate.usage import Account
from foundry_tui.reports import periods
from foundry_tui.reports.columns import line, names
from foundry_tui.reports.joining.elapsed import second
from foundry_tui.reports.prices import Price, Prices
from foundry_tui.reports.usage.rows import ByAccount, ByUser
from tests.reports.handmade import Hold, part_of
from tests.reports.parts import MARCH_S, at, try_of

LENGTH_S = 10_000
MOMENTS = st.integers(0, LENGTH_S)
STATES = (RunState.COMPLETED, RunState.FAILED, RunState.REQUEUED)
KEYS = ("period_start_utc", "cluster", "account", "partition", "qos", "gpu_type")
AMOUNTS = ("allocated", "weighted", "active", "idle", "unknown")
TYPES = (("h100", 1000, 1000), ("1g.10gb", 1000, 143), ("a100", 250, 250), (None, 8000, 8000))


@st.composite
def holds(draw: st.DrawFn, whole: bool = False) -> Hold:
    """A try somewhere in the window or over its borders, of which a part was seen."""
    start = draw(st.integers(-LENGTH_S // 2, LENGTH_S))
    length = draw(st.integers(1, LENGTH_S))
    used = draw(st.integers(0, length))
    gpu_type, billed, weighted = draw(st.sampled_from(TYPES[:2] if whole else TYPES))
    count = draw(st.integers(1, 9))
    record = try_of(
        str(draw(st.integers(1, 9))),
        user=draw(st.sampled_from(("alice", "bob", None))),
        account=draw(st.sampled_from(("nlp", "vision"))),
        queue=draw(st.sampled_from(("prod", "test"))),
        state=draw(st.sampled_from(STATES)),
        eligible_at=draw(st.sampled_from((None, at(start - 500), at(start - 7)))),
        started_at=at(start),
        ended_at=at(start + length),
        time_limit_s=draw(st.sampled_from((None, 20_000))),
    )
    return Hold(
        record=record,
        gpu_type=gpu_type,
        billed=billed * count,
        weighted=weighted * count,
        used_s=used,
        idle_s=draw(st.integers(0, length - used)),
    )


HOLDS = st.lists(holds(), max_size=12)
BORDERS = st.lists(MOMENTS, min_size=2, max_size=5, unique=True).map(
    lambda found: tuple(MARCH_S + s for s in sorted(found))
)


def report_of(edges: Sequence[int], *parts: Sequence[Hold], **given: Any) -> ByAccount:
    report = ByAccount(edges, **given)
    for part in parts:
        report.add(part_of(report.edges, part))
    return report


def lines_of(report: ByAccount) -> list[str]:
    """The report as it is written."""
    return [line(names(report.columns)), *(line(row) for row in report.rows())]


def read(report: ByAccount) -> list[dict[str, str]]:
    return list(csv.DictReader(lines_of(report), strict=True))


def hours(row: dict[str, str], name: str) -> Decimal:
    return Decimal(row[f"gpu_{name}_hours"] or 0)


def told(report: ByAccount) -> Counter[tuple[str, ...]]:
    """Thousandths of GPU-seconds by key without the period, and by name of the amount."""
    found = Counter[tuple[str, ...]]()
    for row in report._tally.tallied():
        amounts, who = row.amounts, row.who
        key = (who.source, who.account or "", who.partition or "", row.kind.gpu_type or "")
        found[*key, "allocated"] += amounts.allocated_ms
        found[*key, "weighted"] += amounts.weighted_ms
        found[*key, "active"] += amounts.used_ms
        found[*key, "idle"] += amounts.idle_ms
        found[*key, "unknown"] += amounts.unknown_ms
    return found


def by_hand(edges: Sequence[int], held: Sequence[Hold]) -> Counter[tuple[str, ...]]:
    """The same, try by try."""
    found = Counter[tuple[str, ...]]()
    for one in held:
        record = one.record
        used, idle, unknown = one.seconds(edges[0], edges[-1])
        elapsed = used + idle + unknown
        key = (record.source, record.account or "", record.queue or "", one.gpu_type or "")
        found[*key, "allocated"] += elapsed * one.billed
        found[*key, "weighted"] += elapsed * one.weighted
        found[*key, "active"] += used * one.billed
        found[*key, "idle"] += idle * one.billed
        found[*key, "unknown"] += unknown * one.billed
    return found


@settings(deadline=None, max_examples=30)
@given(BORDERS, HOLDS)
def test_r10_rows_read_back_add_up_and_are_the_sum_of_the_tries(
    edges: tuple[int, ...], held: list[Hold]
) -> None:
    rows = read(report_of(edges, held))
    for row in rows:
        parts = sum(hours(row, name) for name in ("active", "idle", "unknown"))
        assert parts == hours(row, "allocated")
    assert +told(report_of(edges, held)) == +by_hand(edges, held)
    keys = [tuple(row[name] for name in KEYS) for row in rows]
    assert keys == sorted(set(keys))


@settings(deadline=None, max_examples=30)
@given(BORDERS, st.lists(holds(whole=True), max_size=12))
def test_r10_whole_gpu_seconds_come_back_from_the_hours(
    edges: tuple[int, ...], held: list[Hold]
) -> None:
    """Row by row, to the second: four decimals of an hour are less than half a second off."""
    expected = defaultdict[tuple[str, ...], list[int]](lambda: [0, 0, 0, 0])
    for one in held:
        for begin, end in pairwise(edges):
            used, idle, unknown = (s * one.billed // 1000 for s in one.seconds(begin, end))
            record = one.record
            key = (str(begin), record.account or "", record.queue or "", one.gpu_type or "")
            added = (used + idle + unknown, used, idle, unknown)
            if added[0]:
                expected[key] = [a + b for a, b in zip(expected[key], added, strict=True)]
    found = {}
    for row in read(report_of(edges, held)):
        moment = row["period_start_utc"].replace("Z", "+00:00")
        begin = second(type(at(0)).fromisoformat(moment))
        key = (str(begin), row["account"], row["partition"], row["gpu_type"])
        read_back = (hours(row, n) for n in ("allocated", "active", "idle", "unknown"))
        found[key] = [round(h * 3600) for h in read_back]
    assert found == expected


@settings(deadline=None, max_examples=30)
@given(BORDERS, HOLDS)
def test_r02_adjacent_windows_add_up(edges: tuple[int, ...], held: list[Hold]) -> None:
    whole = told(report_of((edges[0], edges[-1]), held))
    parts = Counter[tuple[str, ...]]()
    for window in pairwise(edges):
        parts.update(told(report_of(window, held)))
    assert +parts == +whole
    assert +told(report_of(edges, held)) == +whole


@settings(deadline=None, max_examples=30)
@given(BORDERS, HOLDS, st.data())
def test_the_same_tries_make_the_same_file_in_whatever_parts(
    edges: tuple[int, ...], held: list[Hold], data: st.DataObject
) -> None:
    """A file depends on what was run and not on how accounting was asked for it."""
    mixed = data.draw(st.permutations(held))
    cut = data.draw(st.integers(0, len(held)))
    for made in (ByAccount, ByUser):
        given_: dict[str, Any] = {} if made is ByAccount else {"now_s": edges[-1]}
        one, other = made(edges, **given_), made(edges, **given_)
        one.add(part_of(edges, held))
        other.add(part_of(edges, mixed[:cut]))
        other.add(part_of(edges, mixed[cut:]))
        assert lines_of(one) == lines_of(other)


def price(amount: str, since: int | None, until: int | None, gpu_type: str = "*") -> Price:
    return Price(
        gpu_type=gpu_type,
        per_gpu_hour=Decimal(amount),
        currency="EUR",
        since_s=since,
        until_s=until,
        cluster=None,
        line=2,
    )


@settings(deadline=None, max_examples=30)
@given(BORDERS, HOLDS, MOMENTS.map(lambda s: MARCH_S + s))
def test_r14_a_change_of_price_parts_rows_and_costs_add_up(
    edges: tuple[int, ...], held: list[Hold], change: int
) -> None:
    """Each second costs what it cost then; a row is rounded once, to half a cent at most."""
    amounts = (Decimal("100.1"), Decimal("7"))
    table = Prices(
        (
            price("100.1", None, change),
            price("7", change, None),
            price("9", None, None, "1g.10gb"),
        ),
        "prices.csv",
        "",
    )
    priced, plain = report_of(edges, held, prices=table), report_of(edges, held)
    assert +told(priced) == +told(plain)
    rows = read(priced)
    exact = Fraction(0)
    for one in held:
        for begin, end in pairwise(periods.split(edges, (change,))):
            elapsed, named = sum(one.seconds(begin, end)), one.gpu_type == "1g.10gb"
            rate = Fraction(9) if named else Fraction(amounts[begin >= change])
            milli = one.billed if named else one.weighted
            exact += Fraction(elapsed * milli, 3_600_000) * rate
    billed = sum(Fraction(row["cost_allocated"]) for row in rows)
    assert abs(billed - exact) <= Fraction(len(rows), 200)
    for row in rows:
        start, end = (
            second(type(at(0)).fromisoformat(row[f"period_{e}_utc"].replace("Z", "+00:00")))
            for e in ("start", "end")
        )
        assert row["gpu_type"] == "1g.10gb" or not start < change < end


@settings(deadline=None, max_examples=30)
@given(BORDERS, HOLDS)
def test_users_add_up_to_accounts(edges: tuple[int, ...], held: list[Hold]) -> None:
    """The rows of users are those of accounts, told apart; so are what failed and was lost."""
    users = ByUser(edges, now_s=edges[-1])
    users.add(part_of(edges, held))
    assert +told(users) == +told(report_of(edges, held))
    kept = {state: [h for h in held if h.record.state is state] for state in STATES[1:]}
    lost = {state: by_hand(edges, some) for state, some in kept.items()}
    rows = read(users)
    for state, name in ((RunState.FAILED, "failed"), (RunState.REQUEUED, "requeue_lost")):
        exact = sum(ms for key, ms in lost[state].items() if key[-1] == "allocated")
        found = sum(Decimal(row[f"{name}_gpu_hours"]) for row in rows)
        assert abs(found - Decimal(exact) / 3_600_000) <= Decimal("0.00005") * len(rows)


@settings(deadline=None, max_examples=30)
@given(BORDERS, HOLDS)
def test_r12_the_quota_of_all_looks_at_all(edges: tuple[int, ...], held: list[Hold]) -> None:
    """A parent's use is that of its children and its own; each hour counts in it once."""
    accounts = {
        ("lab", name): Account(name=name, parent="all", quota_gpu_milli=10**9)
        for name in ("nlp", "vision")
    }
    accounts["lab", "all"] = Account(name="all", quota_gpu_milli=1000)
    own = Hold(record=try_of("99", account="all", started_at=at(0), ended_at=at(LENGTH_S)))
    window = (edges[0], edges[-1])
    rows = read(report_of(window, [*held, own], accounts=accounts))
    (row,) = [row for row in rows if row["account"] == "all"]
    exact = sum(ms for k, ms in by_hand(window, [*held, own]).items() if k[-1] == "allocated")
    quota = 1000 * (window[1] - window[0])
    assert Decimal(row["quota_used_pct"]) == round(Decimal(100 * exact) / quota, 2)


def test_r04_tries_of_one_run_are_one_job_in_the_rows_that_they_share() -> None:
    one = Hold(record=try_of("7", started_at=at(0), ended_at=at(10)))
    other = replace(one, record=try_of("7", started_at=at(20), ended_at=at(30)))
    third = replace(one, record=try_of("8", started_at=at(20), ended_at=at(30)))
    edges = (MARCH_S, MARCH_S + 15, MARCH_S + 40)
    assert [r["jobs_count"] for r in read(report_of(edges, [one], [other, third]))] == ["1", "2"]
    assert [r["jobs_count"] for r in read(report_of(edges[::2], [one], [other, third]))] == ["2"]
