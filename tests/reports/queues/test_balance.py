"""Queue-balance: what queues are entitled to, have, lend and lack, from a real history file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.gpu import Share, Tenant
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.run import Run
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.reports.columns import Row, names
from foundry_tui.reports.queues import balance
from foundry_tui.reports.queues.quotas import Need, recommended, shared
from foundry_tui.reports.queues.steps import steps_of
from foundry_tui.store.history import Past
from foundry_tui.store.history.window.queuelog import Facts, QueueSamples
from tests.store.history.estate import gpu, minute, node, opened, past, run, snapshot

MINUTES = 60
WINDOW = (int(minute(1).timestamp()), int(minute(MINUTES).timestamp()))
LONG_MIN = (WINDOW[1] - WINDOW[0]) // 60


def queue(name: str, at: datetime, **more: Any) -> Queue:
    kind = "department" if name == "dept" else "project"
    parent = None if name == "dept" else "dept"
    told = {"total_gpu_milli": 8000, "limit_gpu_milli": 8000, **more}
    return Queue(name=name, source="alpha", kind=kind, parent=parent, read_at=at, **told)


def of_queue(native: str, name: str, at: datetime) -> Run:
    return replace(run(native, at=at), queue=name)


def seen(at: datetime, *, utils: Sequence[float | None], starved: bool = True) -> Snapshot:
    """Run 1 of `greedy` on the first six GPUs, run 2 of `hungry` on the last two."""
    gpus = [
        gpu(i, util, at=at, tenants=[Tenant(f"alpha/{1 if i < 6 else 2}", 1000, Share.WHOLE)])
        for i, util in enumerate(utils)
    ]
    queues = [
        queue("dept", at, quota_gpu_milli=8000, allocated_gpu_milli=8000,
              requested_gpu_milli=3000 if starved else 0),
        queue("greedy", at, quota_gpu_milli=4000, allocated_gpu_milli=6000,
              requested_gpu_milli=0, over_quota_weight=2.5, priority=7),
        queue("hungry", at, quota_gpu_milli=4000, allocated_gpu_milli=2000,
              requested_gpu_milli=3000 if starved else 0, fair_share_gpu_milli=4000),
    ]  # fmt: skip
    runs = [of_queue("1", "greedy", at), of_queue("2", "hungry", at)]
    return snapshot(at, gpus, nodes=[node(at=at)], runs=runs, queues=queues)


HALF_IDLE = (90.0, 90.0, 90.0, 0.0, 0.0, 0.0, 50.0, 50.0)


def recorded(folder: Path, **more: Any) -> Past:
    history = opened(folder)
    for number in range(1, MINUTES + 1):
        history.record(seen(minute(number), **{"utils": HALF_IDLE, **more}))
    history.close()
    return past(folder)


def by_queue(rows: Sequence[Row]) -> dict[Any, Row]:
    return {row["queue"]: row for row in rows}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[Any, Row]:
    site = recorded(tmp_path_factory.mktemp("history"))
    return by_queue(balance.rows(site, site.readings(*WINDOW), WINDOW))


def test_every_row_has_the_columns_of_the_schema(found: dict[Any, Row]) -> None:
    assert names(balance.COLUMNS) == (
        "asof_utc", "cluster", "queue", "parent", "node_pool", "gpu_type", "quota_gpus",
        "limit_gpus", "weight", "priority", "allocated_gpus", "used_gpus", "pending_gpus",
        "borrowed_gpus", "lent_gpus", "fair_share_gpus", "starved_minutes", "util_pct",
        "coverage_pct", "recommended_quota_gpus", "reason",
    )  # fmt: skip
    assert all(tuple(row) == names(balance.COLUMNS) for row in found.values())
    assert list(found) == ["dept", "greedy", "hungry"]


def test_what_one_borrows_the_other_has_lent(found: dict[Any, Row]) -> None:
    greedy, hungry = found["greedy"], found["hungry"]
    assert (greedy["quota_gpus"], greedy["allocated_gpus"]) == (Decimal(4), Decimal(6))
    assert (greedy["borrowed_gpus"], greedy["lent_gpus"]) == (Decimal(2), Decimal(0))
    assert (hungry["borrowed_gpus"], hungry["lent_gpus"]) == (Decimal(0), Decimal(2))
    assert (greedy["weight"], greedy["priority"]) == (Decimal("2.5"), 7)
    assert hungry["fair_share_gpus"] == Decimal(4)
    assert greedy["fair_share_gpus"] is None
    assert greedy["asof_utc"] == minute(MINUTES)


def test_a_queue_below_its_quota_that_waits_is_starved(found: dict[Any, Row]) -> None:
    assert found["hungry"]["starved_minutes"] == LONG_MIN
    assert found["greedy"]["starved_minutes"] == 0
    assert found["dept"]["starved_minutes"] == 0  # it has all that it is entitled to
    assert found["hungry"]["pending_gpus"] == Decimal(3)


def test_used_is_what_was_busy_of_what_its_runs_held(found: dict[Any, Row]) -> None:
    greedy, hungry, dept = found["greedy"], found["hungry"], found["dept"]
    assert greedy["used_gpus"] == Decimal(3)
    assert (hungry["used_gpus"], dept["used_gpus"]) == (Decimal(2), Decimal(5))
    assert greedy["util_pct"] == Decimal("45.00")
    assert hungry["util_pct"] == Decimal("50.00")
    assert dept["util_pct"] == Decimal("46.25")
    assert greedy["gpu_type"] == "H200"
    assert greedy["node_pool"] == "gpu"
    assert Decimal(98) < (greedy["coverage_pct"] or 0) <= Decimal(100)  # type: ignore[operator]


def test_quota_moves_from_who_does_not_need_it_to_who_is_starved(found: dict[Any, Row]) -> None:
    assert found["hungry"]["recommended_quota_gpus"] == Decimal(5)
    assert found["greedy"]["recommended_quota_gpus"] == Decimal(3)
    assert found["dept"]["recommended_quota_gpus"] == Decimal(8)
    assert found["hungry"]["reason"] == (
        f"starved for {LONG_MIN} min below its quota; for 90 % of the time 5 or less were needed"
    )
    assert "3 or less were needed of 4; sisters are starved" in str(found["greedy"]["reason"])


def test_r08_missing_is_not_zero(tmp_path: Path) -> None:
    site = recorded(tmp_path, utils=(None,) * 8)
    rows = by_queue(balance.rows(site, site.readings(*WINDOW), WINDOW))
    greedy = rows["greedy"]
    assert (greedy["used_gpus"], greedy["util_pct"]) == (None, None)
    assert greedy["coverage_pct"] == Decimal(0)
    # what nobody measured counts as needed, so that nobody is told to give it away
    assert rows["hungry"]["recommended_quota_gpus"] == Decimal(4)
    assert "nothing is to be had" in str(rows["hungry"]["reason"])
    blind = by_queue(balance.rows(site, None, WINDOW))
    assert blind["greedy"]["used_gpus"] is None


def test_what_a_parent_should_get_is_there_for_its_children(tmp_path: Path) -> None:
    history = opened(tmp_path)
    for number in range(1, 10):
        at = minute(number)
        told = {"total_gpu_milli": 20_000, "quota_gpu_milli": 8000, "limit_gpu_milli": None}
        child = {**told, "allocated_gpu_milli": 3000, "requested_gpu_milli": 9000}
        above = {**told, "allocated_gpu_milli": 6000, "requested_gpu_milli": 18_000}
        queues = [
            queue("dept", at, **above),
            queue("a", at, **{**child, "quota_gpu_milli": 4000}),
            queue("b", at, **{**child, "quota_gpu_milli": 4000}),
        ]
        history.record(snapshot(at, nodes=[node(at=at)], queues=queues))
    history.close()
    edges = (int(minute(1).timestamp()), int(minute(9).timestamp()))
    rows = by_queue(balance.rows(past(tmp_path), None, edges))
    told_quotas = {name: row["recommended_quota_gpus"] for name, row in rows.items()}
    assert told_quotas == {"dept": Decimal(20), "a": Decimal(10), "b": Decimal(10)}


def test_nothing_moves_while_nobody_is_starved(tmp_path: Path) -> None:
    site = recorded(tmp_path, starved=False)
    rows = balance.rows(site, site.readings(*WINDOW), WINDOW)
    assert all(row["recommended_quota_gpus"] == row["quota_gpus"] for row in rows)
    assert all("never starved" in str(row["reason"]) for row in rows)


def test_r15_each_period_has_its_rows_and_an_unseen_time_no_judgement(tmp_path: Path) -> None:
    site = recorded(tmp_path)
    start, end = WINDOW
    middle, far = start + 1200, end + 10 * (end - start)
    edges = (start, middle, far)
    rows = balance.rows(site, site.readings(start, far), edges)
    first = by_queue(
        [r for r in rows if r["asof_utc"] == datetime.fromtimestamp(middle).astimezone()]
    )
    second = by_queue(rows[len(first) :])
    assert first["hungry"]["starved_minutes"] == 20
    assert second["hungry"]["starved_minutes"] == LONG_MIN - 20
    assert second["hungry"]["allocated_gpus"] == Decimal(2)  # the mean over what was seen
    assert second["hungry"]["recommended_quota_gpus"] is None
    assert "too little is known: it was seen for 6 %" in str(second["hungry"]["reason"])
    assert balance.rows(site, None, (far, far + 60)) == []


def test_without_a_history_only_the_present_is_told() -> None:
    at = minute(1)
    rows = by_queue(balance.rows_now(seen(at, utils=HALF_IDLE)))
    hungry = rows["hungry"]
    assert (hungry["allocated_gpus"], hungry["lent_gpus"]) == (Decimal(2), Decimal(2))
    assert (hungry["starved_minutes"], hungry["recommended_quota_gpus"]) == (None, None)
    assert hungry["reason"] == "no history: only the present is known"
    assert hungry["asof_utc"] == at


def test_a_partition_without_quota_is_neither_starved_nor_judged(tmp_path: Path) -> None:
    history = opened(tmp_path)
    for number in range(1, 5):
        at = minute(number)
        partition = Queue(
            name="gpu",
            source="alpha",
            kind="partition",
            total_gpu_milli=2000,
            allocated_gpu_milli=1000,
            requested_gpu_milli=9000,
            read_at=at,
        )
        held = gpu(0, 10.0, at=at, tenants=[Tenant("alpha/17", 1000, Share.WHOLE)])
        history.record(
            snapshot(at, [held], nodes=[node(at=at)], runs=[run(at=at)], queues=[partition])
        )
    history.close()
    edges = (int(minute(1).timestamp()), int(minute(4).timestamp()))
    site = past(tmp_path)
    (row,) = balance.rows(site, site.readings(*edges), edges)
    assert (row["queue"], row["allocated_gpus"], row["pending_gpus"]) == ("gpu", 1, 9)
    assert (row["quota_gpus"], row["starved_minutes"], row["borrowed_gpus"]) == (None, None, None)
    assert (row["node_pool"], row["gpu_type"]) == (None, "H200")
    assert (row["recommended_quota_gpus"], row["reason"]) == (None, "it has no quota")


# -- the pieces, against a second-by-second recomputation


AMOUNT = st.integers(-1, 5).map(lambda n: n * 1000 if n >= 0 else -1)
PIECE = st.tuples(st.integers(0, 3), st.integers(1, 9), AMOUNT, AMOUNT)


def sampled(name: str, quota: int | None, pieces: Sequence[tuple[int, int, int, int]]) -> Any:
    """A queue from (gap, length, allocated, requested), and the same second by second."""
    rows, seconds, at = [], [], 0
    for gap, length, allocated, requested in pieces:
        rows.append((at + gap, at + gap + length, allocated, requested))
        seconds += [None] * gap + [(allocated, requested)] * length
        at += gap + length
    table = np.array(rows, np.int64).reshape(-1, 4)
    facts = Facts(0, at, {"quota_gpu_milli": quota, "parent": None})
    made = QueueSamples(
        source="s", kind="queue", name=name, facts=(facts,), since=table[:, 0], until=table[:, 1],
        allocated=table[:, 2], requested=table[:, 3], fair_share=table[:, 3],
    )  # fmt: skip
    return made, seconds


@given(
    st.lists(PIECE, max_size=6),
    st.lists(PIECE, max_size=6),
    st.none() | st.integers(0, 4).map(lambda n: n * 1000),
    st.integers(0, 20),
    st.integers(1, 40),
)
def test_steps_are_what_each_second_was(
    pieces: list[tuple[int, int, int, int]],
    others: list[tuple[int, int, int, int]],
    quota: int | None,
    start: int,
    length: int,
) -> None:
    mine, seconds = sampled("a", quota, pieces)
    sister, _ = sampled("b", 1000, others)
    told = steps_of([mine, sister], start, start + length)[0]
    known = [s for s in seconds[start : start + length] if s is not None and min(s) >= 0]
    assert told.seen_s == len(known)
    starved = [a < min(quota or 0, a + r) and r > 0 for a, r in known]
    assert told.starved_s == (sum(starved) if known and quota is not None else None)
    mean = told.mean(told.allocated)
    assert mean == (pytest.approx(sum(a for a, _ in known) / len(known)) if known else None)
    ranked = sorted(a + r for a, r in known)
    nearest = ranked[-(-90 * len(ranked) // 100) - 1] if ranked else None
    assert told.percentile(told.allocated + told.requested, 90) == nearest


@given(
    st.lists(st.integers(0, 50), max_size=8).flatmap(
        lambda w: st.tuples(st.just(w), st.integers(0, sum(w)))
    )
)
def test_a_shared_amount_is_given_out_whole_and_never_above_a_weight(
    given_: tuple[list[int], int],
) -> None:
    weights, amount = given_
    parts = shared(amount, weights)
    assert sum(parts) == amount
    assert all(0 <= part <= weight for part, weight in zip(parts, weights, strict=True))


NEEDS = st.lists(
    st.builds(
        Need,
        quota=st.integers(0, 40).map(lambda n: n * 500),
        limit=st.none() | st.integers(0, 20).map(lambda n: n * 1000),
        needed=st.none() | st.integers(0, 20).map(lambda n: n * 1000),
        starved=st.booleans(),
    ),
    max_size=6,
)


@given(NEEDS, st.integers(0, 60).map(lambda n: n * 1000))
def test_recommended_quotas_keep_within_their_parent(sisters: list[Need], room: int) -> None:
    quotas = recommended(sisters, room)
    before = sum(one.quota for one in sisters)
    assert sum(quotas) <= max(before, room)
    for one, quota in zip(sisters, quotas, strict=True):
        assert quota >= 0
        if quota > one.quota:
            assert one.starved
            assert quota <= (one.needed or 0)
            assert one.limit is None or quota <= one.limit
        if quota < one.quota:
            assert not one.starved
            assert any(q > s.quota for q, s in zip(quotas, sisters, strict=True))
            assert quota >= (one.needed or 0)
