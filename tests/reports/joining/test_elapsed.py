"""The one rule of seconds, try by try and in columns."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.run import RunState
from foundry_tui.estate.usage import UsageRecord, Window
from foundry_tui.reports.joining import lines as lining
from foundry_tui.reports.joining.elapsed import Spans, elapsed_s, second
from tests.reports.parts import MARCH, at, try_of

NOW = MARCH + timedelta(days=70)
SECONDS = st.integers(min_value=0, max_value=5_000_000)


@st.composite
def any_try(draw: st.DrawFn) -> UsageRecord:
    """A try of any length, suspended for any part of it, that ended, runs, or never started."""
    start, length = draw(SECONDS), draw(st.integers(-100, 5_000_000))
    part = draw(st.floats(min_value=0, max_value=0.999))
    states = (RunState.COMPLETED, RunState.RUNNING, RunState.NODE_FAIL, RunState.CANCELLED)
    state = draw(st.sampled_from(states))
    return try_of(
        str(draw(st.integers(1, 9))),
        state=state,
        started_at=None if state is RunState.CANCELLED else at(start + part),
        ended_at=at(start + length) if state is RunState.COMPLETED else None,
        suspended_s=draw(st.integers(0, 1_000_000)),
        gpu_count=draw(st.integers(0, 64)),
    )


def test_r02_time_is_cut_at_the_window() -> None:
    assert elapsed_s(try_of(), None, NOW) == 3600
    assert elapsed_s(try_of(), Window(at(0), at(1000)), NOW) == 900
    assert elapsed_s(try_of(), Window(at(1000), at(2000)), NOW) == 1000
    assert elapsed_s(try_of(), Window(at(3700), at(9000)), NOW) == 0
    assert elapsed_s(try_of(), Window(at(200), at(200)), NOW) == 0


def test_r02_suspended_time_is_taken_off_and_never_more_than_there_is() -> None:
    assert elapsed_s(try_of(suspended_s=600), None, NOW) == 3000
    assert elapsed_s(try_of(suspended_s=99_999), None, NOW) == 0


def test_r02_an_end_before_the_start_is_no_time() -> None:
    assert elapsed_s(try_of(ended_at=at(50)), None, NOW) == 0


def test_r11_what_runs_is_counted_up_to_now_and_an_unknown_end_is_unknown() -> None:
    going = try_of(state=RunState.RUNNING, ended_at=None)
    assert elapsed_s(going, None, at(1100)) == 1000
    assert elapsed_s(going, None, at(50)) == 0
    assert elapsed_s(try_of(state=RunState.NODE_FAIL, ended_at=None), None, NOW) is None
    assert elapsed_s(try_of(started_at=None, ended_at=None), None, NOW) == 0


@given(st.lists(any_try(), max_size=8), SECONDS, SECONDS)
def test_columns_are_what_the_rule_says_of_every_try(
    records: list[UsageRecord], start: int, length: int
) -> None:
    window = Window(at(start), at(start + length))
    spans = Spans.of(records, NOW)
    for found, limits in ((spans.elapsed_s(), None), (spans.elapsed_s(window), window)):
        expected = [elapsed_s(record, limits, NOW) for record in records]
        assert found.tolist() == [e or 0 for e in expected]
        assert spans.known.tolist() == [e is not None for e in expected]


@given(any_try(), st.lists(SECONDS, max_size=6))
def test_r02_r10_adjacent_windows_add_up_exactly(record: UsageRecord, cuts: list[int]) -> None:
    edges = [-20_000_000, *sorted(cuts), 20_000_000]
    parts = [elapsed_s(record, Window(at(a), at(b)), NOW) or 0 for a, b in pairwise(edges)]
    assert sum(parts) == (elapsed_s(record, None, NOW) or 0)
    assert min(parts) >= 0


def test_a_try_is_held_at_an_edge_that_it_crosses_only() -> None:
    spans = Spans.of([try_of()], NOW)
    held = [spans.held_at(at(s)).tolist() for s in (50, 100, 101, 3699, 3700)]
    assert held == [[0], [0], [1], [1], [0]]


def test_r02_an_end_in_a_far_future_is_cut_like_any_other() -> None:
    """Seconds times seconds do not fit into 63 bits then."""
    day = Window(at(0), at(86_400))
    for start, end, suspended_s in ((-9e7, 9.8e10, 0), (-9e7, 9.8e10, 1000), (-1.7e9, 9.8e10, 0)):
        record = try_of(started_at=at(start), ended_at=at(end), suspended_s=suspended_s)
        assert Spans.of([record], NOW).elapsed_s(day).tolist() == [elapsed_s(record, day, NOW)]
        _, times = lining.of([record], second(NOW))
        pairs = lining.overlaps(times, (second(day.start), second(day.end)))
        assert pairs.elapsed_s.tolist() == [elapsed_s(record, day, NOW)]
