"""Which devices runs held when, also together with others, and what these devices are."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foundry_tui.estate.gpu import Share, Tenant
from foundry_tui.estate.run import RunState
from foundry_tui.estate.text import safe
from foundry_tui.store.history import History
from foundry_tui.store.history.window.facts import DeviceFacts
from foundry_tui.store.history.window.holdings import UNTOLD, Holdings
from tests.store.history.estate import (
    gpu,
    minute,
    node,
    opened,
    past,
    run,
    snapshot,
    stays,
    tables,
)

some = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)

BASE = int(minute(0, 0).timestamp())
RUNS = ("1", "2", "3")


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


Row = tuple[int, int, int, int, int, Share, bool, bool]
"""Run, device, since and until in seconds from BASE on, milli, share, suspended, joint."""


def rows(held: Holdings) -> list[Row]:
    return [
        (run, device, since - BASE, until - BASE, milli, share, suspended, joint)
        for run, device, since, until, milli, share, suspended, joint in zip(
            held.run.tolist(),
            held.device.tolist(),
            held.since.tolist(),
            held.until.tolist(),
            held.milli.tolist(),
            held.share,
            held.suspended.tolist(),
            held.joint.tolist(),
            strict=True,
        )
    ]


def look(
    history: History,
    number: int,
    *tenants: tuple[Tenant, ...] | None,
    suspended: str = "",
    second: int = 4,
    uuid: str | None = "GPU-A",
    **times: int,
) -> None:
    """One look: who holds the GPUs of the node; `times` are begins of runs, as `r1=30`."""
    at = minute(number, second)
    gpus = [gpu(i, 50.0, at=at, tenants=held, uuid=uuid) for i, held in enumerate(tenants)]
    runs = [
        run(
            name,
            at=at,
            state=RunState.SUSPENDED if name == suspended else RunState.RUNNING,
            started=minute(0, 0) + timedelta(seconds=times[f"r{name}"])
            if f"r{name}" in times
            else None,
        )
        for name in RUNS
    ]
    history.record(snapshot(at, gpus, nodes=[node(at=at)], runs=runs))


def one(name: str, milli: int = 1000, share: Share = Share.WHOLE) -> tuple[Tenant, ...]:
    return (Tenant(f"alpha/{name}", milli, share),)


def half(name: str) -> tuple[Tenant, ...]:
    return one(name, 500, Share.FRACTION)


def test_a_run_holds_its_devices_from_begin_to_end(tmp_path: Path) -> None:
    history = opened(tmp_path)
    look(history, 1, (), ())
    look(history, 2, one("1"), one("1"), r1=100)
    look(history, 3, one("1"), ())
    look(history, 4, one("2"), ())
    found = past(tmp_path)
    held = found.holdings(["alpha/2", "alpha/1", "alpha/none"], minute(0), minute(60))
    whole = (1000, Share.WHOLE, False, False)
    assert rows(held) == [
        (0, 1, 244, 245, *whole),  # it is held still: as long as the source was seen
        (1, 1, 100, 244, *whole),
        (1, 2, 100, 184, *whole),
    ]
    clipped = found.holdings(["alpha/1"], minute(2, 0), minute(3, 0))
    assert rows(clipped) == [(0, 1, 120, 180, *whole), (0, 2, 120, 180, *whole)]
    assert rows(found.holdings(["alpha/1"], minute(5), minute(6))) == []
    assert rows(found.holdings(["alpha/1"], minute(2, 0), minute(2, 0))) == []
    assert rows(found.holdings([], minute(0), minute(60))) == []
    twice = found.holdings(["alpha/2", "alpha/2"], minute(0), minute(60))
    assert [row[0] for row in rows(twice)] == [0, 1]
    with pytest.raises(ValueError, match="end: not before"):
        found.holdings(["alpha/1"], minute(2), minute(1))
    history.close()


def test_where_others_come_and_go_a_time_is_several(tmp_path: Path) -> None:
    history = opened(tmp_path)
    look(history, 1, half("1"))
    look(history, 2, half("1") + half("2"))
    look(history, 3, half("1") + half("2"))
    look(history, 4, half("2"))
    look(history, 5, half("2") + half("1"))
    look(history, 6, ())
    found = past(tmp_path)
    part = (500, Share.FRACTION, False)
    held = found.holdings(["alpha/1", "alpha/2"], minute(0), minute(60))
    assert rows(held) == [
        (0, 1, 64, 124, *part, False),
        (0, 1, 124, 244, *part, True),
        (0, 1, 304, 364, *part, True),
        (1, 1, 124, 244, *part, True),
        (1, 1, 244, 304, *part, False),
        (1, 1, 304, 364, *part, True),
    ]
    alone = found.holdings(["alpha/2"], minute(3, 0), minute(5, 0))
    assert rows(alone) == [(0, 1, 180, 244, *part, True), (0, 1, 244, 300, *part, False)]
    history.close()


def test_r05_a_requeued_run_holds_devices_of_each_try(tmp_path: Path) -> None:
    history = opened(tmp_path)
    for number, tenants in enumerate([one("1"), (), (), one("1"), one("1"), ()], 1):
        look(history, number, tenants)
    held = past(tmp_path).holdings(["alpha/1"], minute(0), minute(60))
    assert [row[2:4] for row in rows(held)] == [(64, 124), (244, 364)]
    history.close()


def test_suspended_times_unknown_parts_and_slices_are_told(tmp_path: Path) -> None:
    history = opened(tmp_path)
    slices = (Tenant("alpha/2", 142, Share.MIG), Tenant("alpha/2", 142, Share.MIG))
    look(history, 1, one("1"), slices, None)
    look(history, 2, one("1"), slices, None, suspended="1")
    look(history, 3, (), (), ())
    found = past(tmp_path)
    held = found.holdings(["alpha/1", "alpha/2"], minute(0), minute(60))
    assert rows(held) == [
        (0, 1, 64, 124, 1000, Share.WHOLE, False, False),
        (0, 1, 124, 184, 1000, Share.WHOLE, True, False),
        (1, 2, 64, 184, 284, Share.MIG, False, False),
    ]
    history.close()
    with opened_file(tmp_path) as db:
        db.execute("UPDATE allocation SET milli = NULL WHERE run = 1")
    untold = found.holdings(["alpha/1"], minute(0), minute(60))
    assert [row[4] for row in rows(untold)] == [UNTOLD, UNTOLD]


@contextmanager
def opened_file(here: Path) -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(here / "history.sqlite")
    try:
        with db:
            yield db
    finally:
        db.close()


TENANTS = st.one_of(
    st.none(),
    st.just(()),
    st.sampled_from(RUNS).map(one),
    st.sets(st.sampled_from(RUNS), min_size=1).map(
        lambda names: tuple(Tenant(f"alpha/{n}", 250, Share.FRACTION) for n in sorted(names))
    ),
)
LOOKS = st.lists(
    st.tuples(st.sampled_from([1, 1, 1, 2, 5]), TENANTS, TENANTS, st.sampled_from(["", "1"])),
    min_size=1,
    max_size=12,
)


@some
@given(LOOKS, st.tuples(st.integers(0, 2000), st.integers(0, 2000)).map(sorted), st.booleans())
def test_holdings_are_what_every_moment_tells(
    looks: list[tuple[int, tuple[Tenant, ...] | None, tuple[Tenant, ...] | None, str]],
    cut: list[int],
    all_runs: bool,
) -> None:
    with folder() as here:
        history = opened(here)
        number = 0
        for gap, first, second, suspended in looks:
            number += gap
            look(history, number, first, second, suspended=suspended)
        names = RUNS if all_runs else RUNS[:1]
        start, end = BASE + cut[0], BASE + cut[1]
        held = past(here).holdings([f"alpha/{n}" for n in names], start, end)
        table = tables(
            here,
            "SELECT r.native_id, a.gpu, a.since, coalesce(a.until, s.seen + 1), a.suspended "
            "FROM allocation a LEFT JOIN run r ON r.id = a.run JOIN device d ON d.id = a.gpu "
            "JOIN source s ON s.id = d.source",
        )
        told = rows(held)
        assert told == sorted(told, key=lambda row: row[:3])
        assert all(0 <= row[2] < row[3] and cut[0] <= row[2] and row[3] <= cut[1] for row in told)
        moments = {start, *(t for row in table for t in row[2:4])} | {
            BASE + t for row in told for t in row[2:4]
        }
        for at in sorted(t for t in moments if start <= t < end):
            holders: dict[int, list[str]] = {}
            for name, device, since, until, _ in table:
                if since <= at < until:
                    holders.setdefault(device, []).append(name)
            wanted = sorted(
                (names.index(name), device, bool(suspended), len(holders[device]) > 1)
                for name, device, since, until, suspended in table
                if since <= at < until and name in names
            )
            assert wanted == sorted(
                (row[0], row[1], row[6], row[7]) for row in told if row[2] <= at - BASE < row[3]
            )
        history.close()


def test_many_runs_are_asked_for_at_once(tmp_path: Path) -> None:
    history = opened(tmp_path)
    look(history, 1, one("1"))
    names = [f"alpha/x{n}" for n in range(40_000)]
    names[31_234] = "alpha/1"
    assert [row[0] for row in rows(past(tmp_path).holdings(names, minute(0), minute(9)))] == [
        31_234
    ]
    history.close()


def test_names_are_matched_as_the_history_keeps_them(tmp_path: Path) -> None:
    history = opened(tmp_path)
    hostile = "alpha/\x1b[31m9\n"
    at = minute(1)
    tenants = (Tenant(hostile, 1000, Share.WHOLE),)
    history.record(snapshot(at, [gpu(0, 1.0, at=at, tenants=tenants)], nodes=[node(at=at)]))
    assert len(rows(past(tmp_path).holdings([hostile], minute(0), minute(9)))) == 1
    history.close()


def test_devices_are_told_by_number_and_by_node(tmp_path: Path) -> None:
    history = opened(tmp_path)
    assert past(tmp_path).devices_of([1]) == {}
    assert past(tmp_path).devices_on("alpha") == {}
    look(history, 1, (), ())
    look(history, 2, (), ())
    look(history, 3, (), (), uuid="GPU-B")
    found = past(tmp_path)
    facts = found.devices_of([3, 1, 99])
    assert facts == {
        1: DeviceFacts("alpha", safe("n1"), 0, safe("H200"), safe("GPU-A-n1-0"), 0, 143_771),
        3: DeviceFacts("alpha", safe("n1"), 0, safe("H200"), safe("GPU-B-n1-0"), 0, 143_771),
    }
    swap = BASE + 120
    assert stays(tmp_path)[1] == (BASE, swap)
    assert found.devices_on("alpha") == {
        "n1": ((1, BASE, swap), (3, swap, None), (2, BASE, swap), (4, swap, None))
    }
    assert found.devices_on("other") == {}
    history.close()


def test_what_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    history = opened(tmp_path)
    assert rows(past(tmp_path).holdings(["alpha/1"], minute(0), minute(9))) == []
    history.close()


def test_a_later_question_sees_who_came_meanwhile(tmp_path: Path) -> None:
    history = opened(tmp_path)
    look(history, 1, half("1"))
    found = past(tmp_path)

    def told() -> list[tuple[int, int, bool]]:
        held = found.holdings(["alpha/1"], minute(0), minute(4, 0))
        return [(row[2], row[3], row[7]) for row in rows(held)]

    assert told() == [(64, 65, False)]
    look(history, 2, half("1") + half("2"))
    assert told() == [(64, 124, False), (124, 125, True)]
    look(history, 3, half("1") + half("3"))
    assert told() == [(64, 124, False), (124, 185, True)], "one goes and another comes"
    look(history, 9, ())
    assert told() == [(64, 124, False), (124, 185, True)], "nobody looked for five minutes"
    assert found.holdings(["alpha/3"], minute(3, 30), minute(3, 40)).joint.tolist() == [False] * 0
    history.close()
