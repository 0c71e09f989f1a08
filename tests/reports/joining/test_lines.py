"""The GPUs that tries held, in columns, and the seconds of each period."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.gpu import Share
from foundry_tui.estate.run import RunState
from foundry_tui.estate.text import safe
from foundry_tui.estate.usage import HeldGpus, UsageRecord
from foundry_tui.reports.joining import lines as lining
from tests.reports.parts import MARCH_S, at, try_of

NOW_S = MARCH_S + 40 * 86400


def elapsed(records: list[UsageRecord], *edges: int, now_s: int = NOW_S) -> list[list[int]]:
    """By line: the seconds in each period; edges count from the begin of March."""
    lines, times = lining.of(records, now_s)
    pairs = lining.overlaps(times, [MARCH_S + e for e in edges])
    table = np.zeros((len(lines.record), len(edges) - 1), np.int64)
    table[pairs.line, pairs.period] = pairs.elapsed_s
    return [[int(s) for s in row] for row in table]


def test_r01_typed_and_untyped_gpus_are_counted_once() -> None:
    kinds = (HeldGpus("h100", 3, 3000), HeldGpus("a100", 1, 1000))
    lines, _ = lining.of([try_of(gpu_count=4, held=kinds)], NOW_S)
    assert list(zip(lines.gpu_type, lines.billed.tolist(), strict=True)) == [
        ("h100", 3000),
        ("a100", 1000),
    ]


def test_r02_time_is_cut_at_the_window() -> None:
    assert elapsed([try_of()], 0, 1000) == [[900]]
    assert elapsed([try_of()], 1000, 2000) == [[1000]]
    assert elapsed([try_of()], 3000, 9000) == [[700]]
    assert elapsed([try_of()], 3700, 9000) == [[0]]
    assert elapsed([try_of()], 0, 100) == [[0]]


def test_r02_a_try_that_touches_a_border_is_in_one_period_alone() -> None:
    """Else the row of the next period would count a run that has no second in it."""
    _, times = lining.of([try_of()], NOW_S)
    for edges, period in (((0, 3700, 9000), 0), ((0, 100, 9000), 1), ((0, 100, 3700, 9000), 1)):
        pairs = lining.overlaps(times, [MARCH_S + e for e in edges])
        assert (pairs.period.tolist(), pairs.elapsed_s.tolist()) == ([period], [3600])


def test_r02_suspended_time_is_taken_off_everywhere() -> None:
    record = try_of(suspended_s=900)
    assert elapsed([record], 0, 5000) == [[2700]]
    assert elapsed([record], 0, 1900, 5000) == [[1350, 1350]]


def test_r09_an_instance_is_billed_as_a_gpu_and_worth_a_part() -> None:
    kinds = (HeldGpus("1g.10gb", 2, 286, Share.MIG),)
    lines, _ = lining.of([try_of(held=kinds)], NOW_S)
    assert (lines.billed.tolist(), lines.weighted.tolist()) == ([2000], [286])
    kinds = (HeldGpus("h100", 3, 375, Share.SHARD),)
    lines, _ = lining.of([try_of(held=kinds)], NOW_S)
    assert (lines.billed.tolist(), lines.weighted.tolist()) == ([375], [375])


def test_r11_a_running_try_ends_now() -> None:
    record = try_of(ended_at=None, state=RunState.RUNNING)
    assert elapsed([record], 0, 9000, now_s=MARCH_S + 400) == [[300]]


@pytest.mark.parametrize(
    "record",
    [
        try_of(ended_at=None, state=RunState.NODE_FAIL),
        try_of(ended_at=None, state=RunState.RUNNING, doubt=safe("runaway")),
        try_of(started_at=None),
        try_of(started_at=at(4000), ended_at=at(100)),
        try_of(gpu_count=0),
        try_of(gpu_count=None),
        try_of(held=(HeldGpus("h100", 1, None, Share.SHARD),)),
    ],
)
def test_r11_what_is_not_known_is_no_line(record: UsageRecord) -> None:
    lines, _ = lining.of([record, try_of("18")], NOW_S)
    assert lines.record.tolist() == [1]


@given(
    start=st.integers(0, 500),
    length=st.integers(1, 500),
    suspended=st.integers(0, 600),
    cuts=st.lists(st.integers(0, 1200), min_size=2, max_size=8, unique=True),
)
def test_r02_adjacent_periods_add_up(
    start: int, length: int, suspended: int, cuts: list[int]
) -> None:
    record = try_of(started_at=at(start), ended_at=at(start + length), suspended_s=suspended)
    edges = sorted(cuts)
    (parts,) = elapsed([record], *edges)
    ((whole,),) = elapsed([record], edges[0], edges[-1])
    assert sum(parts) == whole
    assert all(0 <= p <= high - low for p, low, high in zip(parts, edges, edges[1:], strict=False))
    ((everything,),) = elapsed([record], -1, 5000)
    assert everything == max(0, length - suspended)


def test_no_records_are_no_lines() -> None:
    assert elapsed([], 0, 100) == []
    assert elapsed([try_of(started_at=at(0) - timedelta(days=9), ended_at=at(-5))], 0, 9) == [[0]]
