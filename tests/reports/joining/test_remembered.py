"""Tries that a forgetful source does not tell any more, from the history that saw them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.gpu import Share, Tenant
from foundry_tui.estate.run import RunState
from foundry_tui.estate.usage import Accounting, HeldGpus, UsageRecord, Window
from foundry_tui.reports.joining import remembered
from foundry_tui.reports.joining.remembered import with_remembered
from foundry_tui.store.history import Past
from tests.store.history.estate import gpu, minute, node, opened, past, run, snapshot

WINDOW = Window(minute(0), minute(60))
EMPTY = Accounting(window=WINDOW, records=(), notes=("it forgets",))


def seen(folder: Path, holders: Sequence[tuple[Tenant, ...]]) -> Past:
    """A history with a look per minute: who held the one GPU in each."""
    history = opened(folder)
    for number, tenants in enumerate(holders, 1):
        at = minute(number)
        runs = [run(t.run.partition("/")[2], at=at) for t in tenants]
        history.record(snapshot(at, [gpu(0, 50.0, at=at, tenants=tenants)],
                                nodes=[node(at=at)], runs=runs))  # fmt: skip
    history.close()
    return past(folder)


def whole(native: str) -> tuple[Tenant, ...]:
    return (Tenant(f"alpha/{native}", 1000, Share.WHOLE),)


def times(records: Sequence[UsageRecord]) -> list[tuple[str, datetime | None, datetime | None]]:
    return [(r.native_id, r.started_at, r.ended_at) for r in records]


def test_a_run_that_the_source_forgot_comes_back(tmp_path: Path) -> None:
    site = seen(tmp_path, [whole("17"), whole("17"), (), whole("18"), ()])
    found = with_remembered(site, EMPTY, "alpha")
    assert times(found.records) == [
        ("17", minute(1), minute(3)),
        ("18", minute(4), minute(5)),
    ]
    first = found.records[0]
    assert first.gpus == (HeldGpus("H200", 1, 1000, Share.WHOLE),)
    assert (first.user, first.account, first.queue) == ("ada", "ml", "gpu")
    assert (first.state, first.nodes, first.raw_id) == (RunState.UNKNOWN, ("n1",), "17")
    assert found.notes == ("it forgets", "2 tries that alpha forgot come from the site's history")
    assert found.window == WINDOW


def test_r16_a_run_that_came_back_has_a_try_for_each_stay(tmp_path: Path) -> None:
    site = seen(tmp_path, [whole("17"), (), whole("17"), whole("17"), ()])
    records = with_remembered(site, EMPTY, "alpha").records
    assert times(records) == [("17", minute(1), minute(2)), ("17", minute(3), minute(5))]
    assert [r.restarts for r in records] == [0, 1]


def test_what_the_source_tells_itself_goes_first(tmp_path: Path) -> None:
    site = seen(tmp_path, [whole("17"), (), whole("17"), whole("17"), (), whole("18"), ()])
    forgot = with_remembered(site, EMPTY, "alpha").records
    told = replace(forgot[1], started_at=minute(3) - timedelta(seconds=30), name=forgot[1].name)
    found = with_remembered(site, replace(EMPTY, records=(told,)), "alpha")
    assert found.records[0] is told
    assert times(found.records[1:]) == [
        ("17", minute(1), minute(2)),
        ("18", minute(6), minute(7)),
    ]
    early = replace(forgot[0], started_at=minute(1) + timedelta(seconds=20))
    (kept, before, other) = with_remembered(site, replace(EMPTY, records=(early,)), "alpha").records
    assert kept is early
    assert times([before, other]) == [
        ("17", minute(1), early.started_at),
        ("18", minute(6), minute(7)),
    ]


def test_shares_are_what_they_were(tmp_path: Path) -> None:
    halves = (
        Tenant("alpha/17", 500, Share.FRACTION),
        Tenant("alpha/18", 250, Share.FRACTION),
    )
    site = seen(tmp_path, [halves, ()])
    records = with_remembered(site, EMPTY, "alpha").records
    assert [r.gpus for r in records] == [
        (HeldGpus("H200", 1, 500, Share.FRACTION),),
        (HeldGpus("H200", 1, 250, Share.FRACTION),),
    ]


def test_r02_a_window_takes_what_has_time_in_it(tmp_path: Path) -> None:
    site = seen(tmp_path, [whole("17"), whole("17"), (), whole("18"), ()])
    late = replace(EMPTY, window=Window(minute(3), minute(60)))
    assert [r.native_id for r in with_remembered(site, late, "alpha").records] == ["18"]
    empty = replace(EMPTY, window=Window(minute(3), minute(3)))
    assert with_remembered(site, empty, "alpha").records == ()


def test_other_sources_and_users_are_left_out(tmp_path: Path) -> None:
    site = seen(tmp_path, [whole("17"), ()])
    assert with_remembered(site, EMPTY, "beta") == EMPTY
    assert with_remembered(site, EMPTY, "alpha", ("bob",)) == EMPTY
    assert len(with_remembered(site, EMPTY, "alpha", ("ada",)).records) == 1


STAY = st.builds(
    lambda device, since, length: remembered._Stay(
        device, "n", "H200", 1000, Share.WHOLE, since, since + length
    ),
    st.integers(1, 3),
    st.integers(0, 30),
    st.integers(1, 10),
)


@given(st.lists(STAY, max_size=6))
def test_the_tries_of_a_run_are_apart_and_add_up(stays: list[remembered._Stay]) -> None:
    row: dict[str, object] = dict.fromkeys(remembered._COLUMNS)
    row |= {"native_id": "17", "name": "train"}
    records = remembered._tries("alpha", row, stays)
    held = [{s.device for s in stays if s.since <= second < s.until} for second in range(50)]
    assert sum(len(devices) for devices in held) == sum(
        int((r.ended_at - r.started_at).total_seconds()) * (r.gpu_count or 0)
        for r in records
        if r.started_at is not None and r.ended_at is not None
    )
    ends = [r.ended_at for r in records]
    starts = [r.started_at for r in records]
    assert all(e is not None and s is not None and e <= s
               for e, s in zip(ends, starts[1:], strict=False))  # fmt: skip
