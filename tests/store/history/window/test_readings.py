"""Readings of a whole window at once say what the history says of one GPU and one time."""

from __future__ import annotations

import itertools
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foundry_tui.store.history import History, Past, Use, use
from foundry_tui.store.history.measured import Stay
from foundry_tui.store.history.window.grid import UNKNOWN, Uses
from foundry_tui.store.history.window.readings import CHUNK, Readings
from tests.store.history.estate import (
    KEEP_LITTLE,
    WHOLE,
    gpu,
    minute,
    node,
    opened,
    past,
    record_levels,
    run,
    snapshot,
    stays,
    tables,
)

some = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)

LEVEL = st.one_of(st.none(), st.sampled_from([0.0, 0.05, 1.0, 1.1, 50.0, 100.0]), st.floats(0, 100))
LEVELS = st.dictionaries(
    st.integers(1, 200), st.fixed_dictionaries({0: LEVEL, 1: LEVEL}), min_size=1, max_size=40
)
BASE = int(minute(0, 0).timestamp())
END_S = 210 * 60
CUTS = st.lists(st.integers(0, END_S), min_size=2, max_size=6, unique=True).map(sorted)
MOST = st.sampled_from([1, 40, 8_000_000])
"""Rows that make it hours, quarters of an hour, minutes."""


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def asked(readings: Readings, device: int, since: int, until: int) -> Mapping[str, int]:
    """What the readings say of one device and time, in seconds from BASE on."""
    found = readings.use(*(np.array([n]) for n in (device, BASE + since, BASE + until)))
    return {field.name: int(getattr(found, field.name)[0]) for field in fields(Uses)}


def expected(found: Past, readings: Readings, device: int, since: int, until: int) -> Use:
    """The same, piece by piece: of the readings' periods, and minutes where these begin.

    The history is to be rolled up.
    """
    last = readings.grids[-1] if readings.grids else None
    minutes = last.since if last is not None and last.period == 60 else BASE + END_S
    low, high = BASE + since, BASE + until
    with found.reading() as measured:
        assert measured is not None
        stay = Stay(device, *stays(found.file.parent)[device])
        periods = measured.by(readings.resolution_s, stay, low, min(high, minutes))
        young = measured.by(60, stay, max(low, minutes), high)
        return use.of(itertools.chain(periods, young), low, high)


def window(found: Past, until: int = END_S, most_rows: int = 8_000_000) -> Readings:
    return found.readings(BASE, BASE + until, most_rows=most_rows)


def agree(one: Mapping[str, int], other: Use, cuts: int = 2) -> None:
    """Seconds are equal; what is no whole number of each period is, but for the rounding."""
    assert (one["used_s"], one["idle_s"]) == (other.used_s, other.idle_s)
    for name, value in (
        ("busy_milli_s", other.busy_s * 1000),
        ("energy_j", other.energy_j),
        ("powered_s", other.power_s),
    ):
        assert abs(one[name] - value) < cuts + 1e-6


@some
@given(LEVELS, st.booleans(), MOST, CUTS)
def test_r10_readings_are_the_use_of_the_history_and_add_up(
    levels: dict[int, dict[int, float | None]], compacted: bool, most: int, cuts: list[int]
) -> None:
    with folder() as here:
        history = opened(here)
        record_levels(history, levels)
        if compacted:
            history.compact()
        found = past(here)
        readings = window(found, most_rows=most)
        history.compact()  # it makes no difference when that is done
        for device in stays(here):
            parts = [asked(readings, device, a, b) for a, b in itertools.pairwise(cuts)]
            for part, (a, b) in zip(parts, itertools.pairwise(cuts), strict=True):
                agree(part, expected(found, readings, device, a, b))
                assert min(part["used_s"], part["idle_s"]) >= 0
                assert part["used_s"] + part["idle_s"] <= b - a
            whole = asked(readings, device, cuts[0], cuts[-1])
            for name in whole.keys() - {"mem_peak_mib"}:
                assert sum(part[name] for part in parts) == whole[name], name
        history.close()


@some
@given(LEVELS, CUTS)
def test_readings_of_minutes_are_what_every_second_tells(
    levels: dict[int, dict[int, float | None]], cuts: list[int]
) -> None:
    with folder() as here:
        history = opened(here)
        record_levels(history, levels)
        readings = window(past(here))
        assert readings.resolution_s == 60
        by_second: dict[int, bool] = {}
        for number, values in levels.items():
            level = values[0]
            if level is not None:
                kept = max(round(level * 10), 1 if level > 0 else 0)
                by_second.update((number * 60 - s, kept > 10) for s in range(1, 61))
        for since, until in itertools.pairwise(cuts):
            told = [by_second[t] for t in range(since, until) if t in by_second]
            found = asked(readings, first_of(here), since, until)
            assert (found["used_s"], found["idle_s"]) == (sum(told), len(told) - sum(told))
        history.close()


@some
@given(LEVELS, CUTS)
def test_where_every_minute_is_kept_it_is_the_use_of_one_gpu(
    levels: dict[int, dict[int, float | None]], cuts: list[int]
) -> None:
    with folder() as here:
        history = opened(here)
        record_levels(history, levels)
        found = past(here)
        readings = window(found)
        for a, b in itertools.pairwise(cuts):
            one = found.use("alpha", "n1", 0, when(a), when(b))
            agree(asked(readings, first_of(here), a, b), one)
        history.close()


def first_of(here: Path) -> int:
    """The number of the device with the index 0."""
    [[number]] = tables(here, "SELECT id FROM device WHERE idx = 0")
    return int(number)


def when(seconds: int) -> datetime:
    return minute(0, 0) + timedelta(seconds=seconds)


def swapped(history: History) -> None:
    """Device A for 40 minutes, B until 100, then A again; ten minutes are missing of each."""
    for number in range(1, 150):
        if number % 50 < 10:
            continue
        at = minute(number)
        uuid = "GPU-B" if 40 < number <= 100 else "GPU-A"
        history.record(snapshot(at, [gpu(0, 80.0, at=at, uuid=uuid)], nodes=[node(at=at)]))


@pytest.mark.parametrize("most", [1, 8_000_000])
def test_swapped_devices_have_their_own_readings(tmp_path: Path, most: int) -> None:
    history = opened(tmp_path)
    swapped(history)
    history.compact()
    found = past(tmp_path)
    readings = window(found, most_rows=most)
    here = stays(tmp_path)
    assert len(here) == 3
    for (since, until), device in zip(here.values(), here, strict=True):
        end = END_S if until is None else until - BASE
        whole = asked(readings, device, 0, END_S)
        assert whole == asked(readings, device, since - BASE, end)
        agree(whole, expected(found, readings, device, 0, END_S))
        assert 0 < whole["used_s"] <= end - (since - BASE)
        assert asked(readings, device, 0, since - BASE)["used_s"] == 0
    for a, b in itertools.pairwise(range(0, END_S, 997)):
        parts = [asked(readings, device, a, b)["used_s"] for device in here]
        if most > 1:
            assert sum(parts) == found.use("alpha", "n1", 0, when(a), when(b)).used_s
    history.close()


def test_r08_what_was_not_measured_is_neither_used_nor_idle(tmp_path: Path) -> None:
    history = opened(tmp_path)
    record_levels(history, {n: {0: None if n < 20 else 0.0, 1: 90.0} for n in range(1, 61)})
    readings = window(past(tmp_path))
    nothing = dict.fromkeys(("used_s", "idle_s", "busy_milli_s", "energy_j", "powered_s"), 0)
    assert asked(readings, 1, 0, 1140) == {**nothing, "mem_peak_mib": UNKNOWN}
    assert asked(readings, 1, 0, 3600)["idle_s"] == 41 * 60
    assert asked(readings, 1, 3600, END_S) == {**nothing, "mem_peak_mib": UNKNOWN}, "the future"
    assert asked(readings, 77, 0, 3600) == {**nothing, "mem_peak_mib": UNKNOWN}, "no such device"
    assert asked(readings, 1, 2000, 1000) == {**nothing, "mem_peak_mib": UNKNOWN}, "upside down"
    before = asked(readings, 2, -5000, 0)
    assert before["used_s"] == 0, "before the window"
    narrow = past(tmp_path).readings(BASE + 90, BASE + 150)
    assert asked(narrow, 2, 0, 3600)["used_s"] == 60, "readings end with their window"
    history.close()


def test_readings_are_the_finest_that_are_kept_for_all_of_the_time(tmp_path: Path) -> None:
    history = opened(tmp_path, keep=KEEP_LITTLE)
    levels = {n: {0: 50.0 if n % 2 else 0.0} for n in range(1, 60 * 30)}
    record_levels(history, levels)
    history.compact()
    found = past(tmp_path)
    span = found.span()
    assert span is not None

    def kept(hours_ago: float, most: int = 8_000_000) -> int:
        begin = span.last - timedelta(hours=hours_ago) if span is not None else minute(0)
        return found.readings(begin, minute(60 * 30), most_rows=most).resolution_s

    assert (kept(0.9), kept(3), kept(29)) == (60, 900, 3600)
    assert (kept(0.9, 50), kept(0.9, 1), kept(3, 1)) == (900, 3600, 3600)
    readings = found.readings(minute(0, 0), minute(60 * 30))
    for a, b in ((0, 108_000), (1234, 99_999), (100_000, 107_000)):
        agree(asked(readings, 1, a, b), expected(found, readings, 1, a, b), 6)
    assert readings.idle_pct == 1.0
    history.close()


def test_a_memory_peak_is_of_periods_that_lie_whole_in_the_time(tmp_path: Path) -> None:
    history = opened(tmp_path)
    for number in range(1, 181):
        at = minute(number)
        memory = {30: 5000, 70: 9000, 170: 7000}.get(number, 1000 + number)
        history.record(snapshot(at, [gpu(0, 10.0, at=at, mem=None if number == 100 else memory)]))
    minutes = window(past(tmp_path))
    peak = [
        asked(minutes, 1, a, b)["mem_peak_mib"]
        for a, b in ((0, 10_800), (0, 1741), (1740, 1800), (1741, 1800), (5940, 6000), (4200, 9000))
    ]
    assert peak == [9000, 1029, 5000, UNKNOWN, UNKNOWN, 1150]
    history.compact()
    hours = window(past(tmp_path), 10_800, most_rows=1)
    assert hours.resolution_s == 3600
    spans = ((0, 10_800), (0, 7199), (100, 3599), (3600, 7200))
    assert [asked(hours, 1, a, b)["mem_peak_mib"] for a, b in spans] == [
        9000, 5000, UNKNOWN, 9000,
    ]  # fmt: skip
    many = hours.use(*(np.array(column) for column in zip(*(
        (1, BASE + a, BASE + b) for a, b in reversed(spans)
    ), strict=True)))  # fmt: skip
    assert many.mem_peak_mib.tolist() == [9000, UNKNOWN, 5000, 9000]
    history.close()


def test_more_times_than_one_chunk_are_answered_in_their_order(tmp_path: Path) -> None:
    history = opened(tmp_path)
    record_levels(history, {n: {0: 90.0, 1: 0.0} for n in range(1, 61)})
    readings = window(past(tmp_path))
    count = CHUNK + 1000
    device = np.arange(count) % 3 + 1  # the third does not exist
    until = BASE + np.arange(count) % 3600
    found = readings.use(device, np.full(count, BASE), until)
    assert (found.used_s == np.where(device == 1, until - BASE, 0)).all()
    assert (found.idle_s == np.where(device == 2, until - BASE, 0)).all()
    history.close()


def test_without_anything_recorded_nothing_is_known(tmp_path: Path) -> None:
    history = opened(tmp_path)
    found = past(tmp_path)
    empty = window(found)
    assert empty.grids == ()
    assert asked(empty, 1, 0, 100)["used_s"] == 0
    record_levels(history, {1: {0: 90.0}, 2: {0: 90.0}})
    future = found.readings(minute(5000), minute(6000))
    assert asked(future, 1, 0, 120)["used_s"] == 0
    none = found.readings(minute(1), minute(1))
    assert asked(none, 1, 0, 120)["used_s"] == 0
    assert none.use(*(np.empty(0, dtype=np.int64) for _ in range(3))).used_s.size == 0
    with pytest.raises(ValueError, match="end: not before 2026-11-21 08:05:04"):
        found.readings(minute(5), minute(4))
    history.close()


def test_power_that_no_meter_shows_breaks_no_other_sum(tmp_path: Path) -> None:
    history = opened(tmp_path)
    for number in range(1, 61):
        at = minute(number)
        history.record(snapshot(at, [gpu(0, 10.0, at=at, power=9e99 if number < 59 else 100.0)]))
    found = asked(window(past(tmp_path)), 1, 58 * 60, 3600)
    assert (found["energy_j"], found["used_s"], found["powered_s"]) == (12_000, 120, 120)
    history.close()


def test_memory_that_no_device_has_breaks_nothing(tmp_path: Path) -> None:
    history = opened(tmp_path)
    record_levels(history, {n: {0: 10.0} for n in (1, 2)})
    at = minute(3)
    history.record(snapshot(at, [gpu(0, 10.0, at=at, mem=1 << 40)]))
    readings = window(past(tmp_path))
    assert asked(readings, 1, 0, 180)["mem_peak_mib"] == (1 << 31) - 1
    assert asked(readings, 1, 0, 120)["mem_peak_mib"] == 1000
    history.close()


def test_a_device_that_came_after_the_time_has_no_readings_in_it(tmp_path: Path) -> None:
    history = opened(tmp_path)
    record_levels(history, {n: {0: 90.0} for n in range(40, 180)})
    history.compact()
    found = past(tmp_path)
    early = window(found, 20 * 60, most_rows=1)
    assert early.grids == ()
    assert asked(early, 1, 0, END_S)["used_s"] == 0
    later = window(found, 50 * 60, most_rows=1)
    assert asked(later, 1, 0, END_S)["used_s"] == 11 * 60
    history.close()


def test_readings_of_a_window_are_one_moment_of_the_file(tmp_path: Path) -> None:
    history = opened(tmp_path)
    record_levels(history, {n: {0: 90.0} for n in range(1, 10)})
    readings = window(past(tmp_path))
    at = minute(10)
    history.record(snapshot(at, [gpu(0, 90.0, at=at, tenants=WHOLE)], runs=[run(at=at)]))
    assert asked(readings, 1, 0, END_S)["used_s"] == 540
    assert asked(window(past(tmp_path)), 1, 0, END_S)["used_s"] == 600
    history.close()


def test_reading_the_history_needs_numbers_in_bulk_for_reports_only() -> None:
    program = "import sys, foundry_tui.store.history; print('numpy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


@some
@given(LEVELS, st.integers(1, 30), CUTS)
def test_readings_are_the_same_before_and_after_the_collector_rolls_up(
    levels: dict[int, dict[int, float | None]], late: int, cuts: list[int]
) -> None:
    with folder() as here:
        history = opened(here)
        record_levels(history, levels)
        history.compact()
        at = minute(max(1, max(levels) - late))
        history.record(snapshot(at, [gpu(0, 99.0, at=at, uuid="GPU-Z")]))
        found = past(here)
        before = [window(found, most_rows=most) for most in (1, 40)]
        history.compact()
        after = [window(found, most_rows=most) for most in (1, 40)]
        for device in stays(here):
            for a, b in itertools.pairwise(cuts):
                for one, other in zip(before, after, strict=True):
                    assert asked(one, device, a, b) == asked(other, device, a, b)
                    agree(asked(one, device, a, b), expected(found, one, device, a, b))
        history.close()
