"""Roll-ups against a straightforward recomputation, late readings, and retention."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from foundry_tui.store.history import HistoryError, Keep
from tests.store.history.estate import (
    KEEP_LITTLE,
    Levels,
    gpu,
    minute,
    node,
    opened,
    past,
    recomputed,
    record_levels,
    rolled,
    run,
    snapshot,
    stays,
    tables,
)  # fmt: skip


def levels(windows: int, gpus: int = 3, seed: int = 1) -> Levels:
    """Work with pauses, some missing samples, some windows without a look."""
    chance = random.Random(seed)
    return {
        n: {
            i: chance.choice([None, 0.0, 0.0, 0.05, 40.0, 99.9, 100.0]) for i in range(gpus)
        }
        for n in range(1, windows + 1)
        if chance.random() > 0.1
    }  # fmt: skip


def test_rollups_equal_the_recomputation(tmp_path: Path) -> None:
    history = opened(tmp_path)
    record_levels(history, levels(150))
    history.compact()
    rows, here = tables(tmp_path, "SELECT * FROM raw"), stays(tmp_path)
    ready = max(r[0] for r in rows) - 180
    for table, period in (("quarter", 900), ("hour", 3600)):
        wanted = recomputed(rows, here, period)
        found = rolled(tmp_path, table)
        assert found == {k: v for k, v in wanted.items() if k[0] <= ready}
        assert len(found) > 3


def test_expected_windows_are_those_of_the_stay(tmp_path: Path) -> None:
    history = opened(tmp_path)
    for number in range(1, 40):
        at = minute(number)
        if 5 < number < 10:  # nobody looked
            continue
        gpus = [gpu(0, 10.0, at=at)] + ([gpu(1, 20.0, at=at)] if 10 <= number <= 12 else [])
        history.record(snapshot(at, gpus, nodes=[node(at=at)]))
    history.compact()
    found = {(k[1], k[0]): v[:2] for k, v in rolled(tmp_path, "quarter").items()}
    first, second = (int(minute(n, 0).timestamp()) for n in (15, 30))
    assert found == {(1, first): (15, 11), (1, second): (15, 15), (2, first): (3, 3)}


def test_a_period_waits_for_three_more_windows(tmp_path: Path) -> None:
    history = opened(tmp_path)
    for number in range(1, 19):
        record_levels(history, {number: {0: 10.0}})
        history.compact()
        assert (rolled(tmp_path, "quarter") != {}) == (number == 18)


def test_compacting_again_changes_nothing(tmp_path: Path) -> None:
    history = opened(tmp_path)
    record_levels(history, levels(70))
    history.compact()
    before = [rolled(tmp_path, t) for t in ("quarter", "hour")]
    history.compact()
    assert [rolled(tmp_path, t) for t in ("quarter", "hour")] == before


def test_a_late_reading_is_rolled_up_too(tmp_path: Path) -> None:
    history = opened(tmp_path)
    record_levels(history, {n: {0: 10.0} for n in range(1, 130) if n != 7})
    history.compact()
    late = minute(7)
    history.record(snapshot(late, [gpu(0, 100.0, at=late)]))
    found = past(tmp_path).use("alpha", "n1", 0, minute(0, 0), minute(60, 0))
    assert (found.used_s, found.unknown_s) == (3600, 0)  # seen at once, before it is rolled up
    history.compact()
    quarter = rolled(tmp_path, "quarter")[int(minute(15, 0).timestamp()), 1]
    hour = rolled(tmp_path, "hour")[int(minute(60, 0).timestamp()), 1]
    assert (quarter[1], quarter[2]) == (15, 14 * 100 + 1000)
    assert (hour[1], hour[2]) == (60, 59 * 100 + 1000)


def test_what_is_too_old_goes_and_what_was_rolled_up_stays(tmp_path: Path) -> None:
    history = opened(tmp_path, keep=KEEP_LITTLE)
    record_levels(history, {n: {0: 50.0} for n in range(1, 200)})
    history.compact()
    raw = tables(tmp_path, "SELECT min(ts), max(ts) FROM raw")
    assert raw == [(minute(121, 0).timestamp(), minute(199, 0).timestamp())]
    assert len(rolled(tmp_path, "quarter")) == 13
    found = past(tmp_path)
    assert found.use("alpha", "n1", 0, minute(0, 0), minute(199, 0)).used_s == 199 * 60
    span = found.span()
    assert span is not None
    assert (span.first, span.minutes_since) == (minute(0, 0), minute(120, 0))


def test_a_reading_of_forgotten_minutes_is_refused_in_words(tmp_path: Path) -> None:
    history = opened(tmp_path, keep=KEEP_LITTLE)
    record_levels(history, {n: {0: 50.0} for n in range(1, 200)})
    history.compact()
    before = rolled(tmp_path, "quarter")
    with pytest.raises(HistoryError, match=r"of 2026-11-21 08:30 UTC no minutes are kept any more"):
        history.record(snapshot(minute(30), [gpu(0, 1.0, at=minute(30))]))
    history.record(snapshot(minute(200), [gpu(0, 1.0, at=minute(200))]))  # and it goes on
    history.compact()
    assert rolled(tmp_path, "quarter") == before


def test_every_level_has_its_own_time(tmp_path: Path) -> None:
    history = opened(tmp_path, keep=Keep(raw_hours=1, quarter_days=1 / 8, hourly_days=1 / 4))
    record_levels(history, {n: {0: 50.0} for n in range(1, 60 * 9)})
    history.compact()
    last = minute(60 * 9 - 1)
    for table, hours in (("raw", 1), ("quarter", 3), ("hour", 6)):
        (first,) = tables(tmp_path, f"SELECT min(ts) FROM {table}")[0]
        kept = (last.timestamp() - first) / 3600
        assert hours - 0.5 <= kept <= hours + 1, table
    history.compact()  # nothing more to do
    assert tables(tmp_path, "SELECT count(*) FROM run") == [(1,)]


def test_long_nothing_is_not_written_down(tmp_path: Path) -> None:
    history = opened(tmp_path)
    record_levels(history, {1: {0: 10.0}, 20_000: {0: 20.0}, 20_020: {0: 20.0}})
    history.compact()
    assert len(rolled(tmp_path, "quarter")) == 2
    found = past(tmp_path).use("alpha", "n1", 0, minute(0, 0), minute(20_020, 0))
    assert (found.used_s, found.unknown_s) == (180, 20_020 * 60 - 180)


def test_space_is_given_back(tmp_path: Path) -> None:
    history = opened(tmp_path, keep=KEEP_LITTLE)

    def record(begin: int, end: int, count: int) -> None:
        for number in range(begin, end):
            at = minute(number)
            gpus = [gpu(i, 10.0, at=at) for i in range(count)]
            history.record(snapshot(at, gpus, nodes=[node(at=at)]))

    record(1, 100, 400)
    history.compact()
    (full,) = tables(tmp_path, "PRAGMA page_count")[0]
    assert full > 120
    record(100, 260, 2)
    history.compact()
    (pages,), (free,) = (
        tables(tmp_path, f"PRAGMA {p}")[0] for p in ("page_count", "freelist_count")
    )
    assert pages < full * 0.7
    assert free <= 0.2 * pages + 100
    assert (tmp_path / "history.sqlite-wal").stat().st_size == 0
    assert (tmp_path / "history.sqlite").stat().st_size == pages * 8192


def test_ended_runs_are_forgotten_with_their_intervals(tmp_path: Path) -> None:
    history = opened(tmp_path, keep=Keep(raw_hours=1, quarter_days=1 / 24, hourly_days=1 / 12))

    def look(number: int, native: str) -> None:
        from foundry_tui.estate.gpu import Tenant

        at = minute(number)
        tenants = (Tenant(f"alpha/{native}", 1000),)
        history.record(
            snapshot(at, [gpu(0, 5.0, at=at, tenants=tenants)], runs=[run(native, at=at)])
        )

    look(1, "1")
    for number in range(2, 400, 3):
        look(number, "2")
    history.compact()
    assert tables(tmp_path, "SELECT run FROM run") == [("alpha/2",)]
    look(401, "1")  # its number was let go of
    then = past(tmp_path).at(minute(401))
    assert then is not None
    assert [r.id for r in then.runs] == ["alpha/1"]
