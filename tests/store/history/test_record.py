"""What one look adds to the history, and what the next one makes of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from foundry_tui.estate.gpu import GpuSlice, Share, Tenant
from foundry_tui.estate.node import NodeState
from foundry_tui.estate.reading import Fault, FaultKind
from foundry_tui.estate.run import RunState
from foundry_tui.estate.source import SourceState
from foundry_tui.estate.text import safe
from foundry_tui.store.history import HistoryError
from tests.store.history.estate import (
    WHOLE,
    gpu,
    minute,
    node,
    opened,
    past,
    queue,
    record_levels,
    run,
    snapshot,
    tables,
)  # fmt: skip

TS = int(datetime(2026, 11, 21, 8, 1, tzinfo=UTC).timestamp())


def test_a_minute_is_one_row_of_integers(tmp_path: Path) -> None:
    history = opened(tmp_path)
    at = minute(1)
    rows = [gpu(0, 0.02, at=at, util_max=3.2), gpu(1, 0.0, at=at), gpu(2, 55.55, at=at, power=None)]
    history.record(snapshot(at, rows))
    assert tables(tmp_path, "SELECT * FROM raw") == [
        (TS, 1, 1, 4, 1000, 200, 40),  # any activity is at least 1
        (TS, 2, 0, None, 1000, 200, 40),
        (TS, 3, 556, None, 1000, None, 40),
    ]


def test_an_unmeasured_gpu_gets_no_row(tmp_path: Path) -> None:
    history = opened(tmp_path)
    at = minute(1)
    history.record(snapshot(at, [gpu(0, None, at=at), gpu(1, float("nan"), at=at, mem=None)]))
    assert tables(tmp_path, "SELECT ts, gpu, util FROM raw") == [(TS, 2, None)]


def test_a_second_record_of_a_window_changes_nothing(tmp_path: Path) -> None:
    history = opened(tmp_path)
    at = minute(1)
    shown = snapshot(
        at, [gpu(0, 5.0, at=at, tenants=WHOLE)], nodes=[node(at=at)], runs=[run(at=at)]
    )
    history.record(shown)
    names = ("raw", "device", "allocation", "node_state", "node_facts", "source_state", "run")
    before = [tables(tmp_path, f"SELECT * FROM {name}") for name in names]
    history.record(shown)
    history.close()
    again = opened(tmp_path)
    again.record(shown)
    assert [tables(tmp_path, f"SELECT * FROM {name}") for name in names] == before


def test_a_stale_reading_is_not_a_new_one(tmp_path: Path) -> None:
    history = opened(tmp_path)
    for number in range(1, 8):
        history.record(snapshot(minute(number), [gpu(0, 50.0, at=minute(1))]))
    assert tables(tmp_path, "SELECT ts FROM raw") == [(TS,)]


def test_a_reading_one_window_behind_keeps_its_own_window(tmp_path: Path) -> None:
    history = opened(tmp_path)
    for number in (2, 3, 4):
        history.record(snapshot(minute(number), [gpu(0, 10.0 * number, at=minute(number - 1))]))
    rows = tables(tmp_path, "SELECT ts, util FROM raw")
    assert rows == [(TS, 200), (TS + 60, 300), (TS + 120, 400)]
    assert tables(tmp_path, "SELECT since FROM device") == [
        (TS - 60,)
    ]  # it was there when measured


def test_intervals_are_written_on_change_only(tmp_path: Path) -> None:
    history = opened(tmp_path)
    for number in range(1, 6):
        at = minute(number)
        tenants = WHOLE if number < 4 else ()
        state = NodeState.MIXED if number < 5 else NodeState.DRAINED
        history.record(
            snapshot(
                at,
                [gpu(0, 1.0, at=at, tenants=tenants)],
                nodes=[node(state=state, at=at)],
                runs=[run(at=at)],
                queues=[queue(at)],
            )
        )
    assert tables(tmp_path, "SELECT milli, share, since, until FROM allocation") == [
        (1000, "whole", TS + 4, TS + 184)
    ]
    assert tables(tmp_path, "SELECT state, reason, since, until FROM node_state") == [
        ("mixed", None, TS + 4, TS + 244),
        ("drained", "bad fan", TS + 244, None),
    ]
    assert len(tables(tmp_path, "SELECT * FROM node_facts")) == 1
    assert len(tables(tmp_path, "SELECT * FROM queue_sample")) == 1  # its oldest wait only grew


def test_begin_and_end_are_the_schedulers_where_it_tells_them(tmp_path: Path) -> None:
    history = opened(tmp_path)
    began, ended = minute(1, 30), minute(2, 40)
    for number in (1, 2, 3):
        at = minute(number)
        held = number == 2
        mine = run(at=at, started=began, ended=ended if number == 3 else None)
        history.record(
            snapshot(at, [gpu(0, 9.0, at=at, tenants=WHOLE if held else ())], runs=[mine])
        )
    assert tables(tmp_path, "SELECT since, until FROM allocation") == [
        (began.timestamp(), ended.timestamp())
    ]


def test_a_silent_source_ends_nothing(tmp_path: Path) -> None:
    history = opened(tmp_path)
    at = minute(1)
    history.record(snapshot(at, [gpu(0, 1.0, at=at, tenants=WHOLE)], nodes=[node(at=at)]))
    history.record(snapshot(minute(2), state=SourceState.DOWN, reason="timeout"))
    history.record(snapshot(minute(3)))  # it answers, and names no node at all
    at = minute(4)
    history.record(snapshot(at, [gpu(0, 1.0, at=at, tenants=WHOLE)], nodes=[node(at=at)]))
    assert tables(tmp_path, "SELECT since, until FROM allocation") == [(TS + 4, None)]
    assert tables(tmp_path, "SELECT state, reason FROM source_state") == [
        ("ok", None), ("down", "timeout"), ("ok", None),
    ]  # fmt: skip


def test_after_a_long_silence_what_is_true_begins_anew(tmp_path: Path) -> None:
    history = opened(tmp_path)
    for number in (1, 2, 60, 61):
        at = minute(number)
        history.record(snapshot(at, [gpu(0, 1.0, at=at, tenants=WHOLE)], nodes=[node(at=at)]))
        if number == 2:
            history.close()  # as when it is killed: nothing is written at the end
            history = opened(tmp_path)
    seen = TS + 64
    assert tables(tmp_path, "SELECT since, until FROM allocation ORDER BY id") == [
        (TS + 4, seen + 1), (TS + 59 * 60 + 4, None),
    ]  # fmt: skip
    assert tables(tmp_path, "SELECT since, until FROM device") == [(TS - 60, None)]
    assert past(tmp_path).at(minute(2)) is not None
    assert past(tmp_path).at(minute(30)) is None


def test_a_swapped_gpu_is_another_device(tmp_path: Path) -> None:
    history = opened(tmp_path)
    for number, uuid in ((1, None), (2, "GPU-A"), (3, None), (4, "GPU-B")):
        at = minute(number)
        history.record(snapshot(at, [gpu(0, 7.0, at=at, uuid=uuid)], nodes=[node(at=at)]))
    found = tables(tmp_path, "SELECT id, uuid, since, until FROM device")
    assert found == [
        (1, "GPU-A-n1-0", TS - 60, TS + 120), (2, "GPU-B-n1-0", TS + 120, None),
    ]  # fmt: skip
    assert [r[1] for r in tables(tmp_path, "SELECT ts, gpu FROM raw")] == [1, 1, 1, 2]


def test_a_gpu_that_leaves_and_comes_back_was_not_expected_between(tmp_path: Path) -> None:
    history = opened(tmp_path)
    for number in range(1, 7):
        at = minute(number)
        gpus = [gpu(0, 7.0, at=at)] + ([gpu(1, 8.0, at=at)] if number in (1, 2, 6) else [])
        history.record(snapshot(at, gpus, nodes=[node(at=at)]))
    assert tables(tmp_path, "SELECT since, until FROM device WHERE idx = 1") == [
        (TS - 60, TS + 60), (TS + 240, None),
    ]  # fmt: skip


def test_untold_tenants_are_not_nobody(tmp_path: Path) -> None:
    history = opened(tmp_path)
    at = minute(1)
    history.record(snapshot(at, [gpu(0, 7.0, at=at, tenants=None)], nodes=[node(at=at)]))
    at = minute(2)
    history.record(snapshot(at, [gpu(0, 7.0, at=at, tenants=())], nodes=[node(at=at)]))
    found = [past(tmp_path).at(minute(n)) for n in (1, 2)]
    assert [s.gpus[0].tenants for s in found if s] == [None, ()]


def test_slices_and_faults_come_back(tmp_path: Path) -> None:
    history = opened(tmp_path)
    at = minute(1)
    cut = (
        GpuSlice(uuid="MIG-1", profile="1g.18gb", milli=143, run="alpha/17", gi=7),
        GpuSlice(uuid=None, profile="3g.71gb", milli=429, gi=2, mem_total_bytes=71 << 30),
    )
    fault = Fault(kind=FaultKind.XID, words=safe("XID 79: it fell off the bus"), grave=True)
    tenants = (Tenant("alpha/17", 143, Share.MIG),)
    one = replace(gpu(0, None, at=at, tenants=tenants), slices=cut, faults=(fault,))
    history.record(snapshot(at, [one], nodes=[node(at=at)], runs=[run(at=at)]))
    history.record(snapshot(minute(2), [gpu(0, None, at=minute(2))], nodes=[node(at=minute(2))]))
    then, later = past(tmp_path).at(minute(1, 30)), past(tmp_path).at(minute(2))
    assert then is not None
    assert later is not None
    assert (then.gpus[0].slices, then.gpus[0].faults) == (cut, (fault,))
    assert then.gpus[0].tenants == tenants
    assert (later.gpus[0].slices, later.gpus[0].faults) == ((), ())


def test_two_parts_of_one_run_are_one_tenant(tmp_path: Path) -> None:
    history = opened(tmp_path)
    at = minute(1)
    tenants = (Tenant("alpha/17", 143, Share.MIG), Tenant("alpha/17", 286, Share.MIG))
    history.record(snapshot(at, [gpu(0, None, at=at, tenants=tenants)], runs=[run(at=at)]))
    then = past(tmp_path).at(at)
    assert then is not None
    assert then.gpus[0].tenants == (Tenant("alpha/17", 429, Share.MIG),)


def test_a_suspended_run_is_shown_as_one(tmp_path: Path) -> None:
    history = opened(tmp_path)
    for number, state in ((1, RunState.RUNNING), (2, RunState.SUSPENDED)):
        at = minute(number)
        mine = run(at=at, state=state)
        history.record(snapshot(at, [gpu(0, 0.0, at=at, tenants=WHOLE)], runs=[mine]))
    found = [past(tmp_path).at(minute(n)) for n in (1, 2)]
    assert [s.runs[0].state for s in found if s] == [RunState.RUNNING, RunState.SUSPENDED]


def test_a_requeued_run_is_brought_up_to_date(tmp_path: Path) -> None:
    history = opened(tmp_path)
    for number in (1, 2, 3):
        at = minute(number)
        mine = run(at=at, started=minute(0) if number < 3 else minute(2, 30))
        tenants = () if number == 2 else WHOLE
        history.record(snapshot(at, [gpu(0, 5.0, at=at, tenants=tenants)], runs=[mine]))
    assert tables(tmp_path, "SELECT run, started FROM run") == [
        ("alpha/17", minute(2, 30).timestamp())
    ]


@pytest.mark.parametrize("restarted", [False, True])
def test_a_run_that_was_first_seen_by_its_gpu_alone_gets_its_name_later(
    tmp_path: Path, restarted: bool
) -> None:
    history = opened(tmp_path)
    first = minute(0)
    history.record(snapshot(first, [gpu(0, 5.0, at=first, tenants=WHOLE)], runs=[]))
    if restarted:
        history.close()
        history = opened(tmp_path)
    for number in (1, 2):
        at = minute(number)
        held = gpu(0, 5.0, at=at, tenants=WHOLE)
        history.record(snapshot(at, [held], runs=[run(at=at)]))
    seen = past(tmp_path).at(minute(2))
    assert seen is not None
    assert [(r.user, r.name) for r in seen.runs] == [("ada", "train")]


def test_idle_since_the_last_work_also_after_a_restart(tmp_path: Path) -> None:
    history = opened(tmp_path)
    record_levels(history, {n: {0: 50.0 if n == 2 else 0.4, 1: 90.0} for n in range(1, 6)})
    key = ("alpha", "n1", 0)
    assert history.idle() == {key: minute(2, 0)}
    history.close()
    assert past(tmp_path).idle() == {key: minute(2, 0)}
    history = opened(tmp_path)
    record_levels(history, {6: {0: 0.0, 1: 80.0}})
    assert history.idle() == past(tmp_path).idle() == {key: minute(2, 0)}
    record_levels(history, {7: {0: 2.0, 1: 0.0}})
    assert history.idle() == past(tmp_path).idle() == {("alpha", "n1", 1): minute(6, 0)}


@pytest.mark.parametrize(("missing", "since"), [(2, 0), (3, 5)])
def test_a_long_gap_breaks_the_idle_time(tmp_path: Path, missing: int, since: int) -> None:
    history = opened(tmp_path)
    levels: dict[int, dict[int, float | None]] = {n: {0: 0.0} for n in (1, 2)}
    levels |= {n: {0: None} for n in range(3, 3 + missing)}
    levels[3 + missing] = {0: 0.0}
    record_levels(history, levels)
    assert past(tmp_path).idle() == {("alpha", "n1", 0): minute(since, 0)}


def test_the_highest_value_of_a_minute_says_whether_it_was_idle(tmp_path: Path) -> None:
    history = opened(tmp_path, idle_util_pct=5.0)
    at = minute(1)
    history.record(snapshot(at, [gpu(0, 0.3, at=at, util_max=6), gpu(1, 4.9, at=at, util_max=5)]))
    assert list(history.idle()) == [("alpha", "n1", 1)]


def test_a_late_reading_fills_its_gap_and_changes_nothing_else(tmp_path: Path) -> None:
    history = opened(tmp_path)
    record_levels(history, {1: {0: 10.0}, 3: {0: 30.0}})
    history.record(snapshot(minute(2), [gpu(0, 20.0, at=minute(2))]))
    history.record(snapshot(minute(3, 0), [gpu(0, 99.0, at=minute(3))]))  # there is one already
    assert tables(tmp_path, "SELECT util FROM raw") == [(100,), (200,), (300,)]
    assert tables(tmp_path, "SELECT until FROM allocation") == [(None,)]


def test_a_late_reading_of_another_device_than_was_seen_then_is_dropped(tmp_path: Path) -> None:
    history = opened(tmp_path)
    for number in (1, 3):
        at = minute(number)
        history.record(snapshot(at, [gpu(0, 5.0, at=at, uuid="GPU-A")]))
    history.record(snapshot(minute(2), [gpu(0, 50.0, at=minute(2), uuid="GPU-B")]))
    assert len(tables(tmp_path, "SELECT * FROM raw")) == 2
    history.record(snapshot(minute(0), [gpu(0, 50.0, at=minute(0), uuid="GPU-B")]))
    assert tables(tmp_path, "SELECT since, until FROM device WHERE id = 2") == [(TS - 120, TS - 60)]


def test_a_backfill_before_the_first_look_is_taken(tmp_path: Path) -> None:
    history = opened(tmp_path)
    record_levels(history, {100: {0: 10.0}})
    for number in range(80, 100):
        history.record(snapshot(minute(number), [gpu(0, 20.0, at=minute(number))]))
    assert tables(tmp_path, "SELECT since, until FROM device") == [(TS + 78 * 60, None)]
    found = past(tmp_path).gpu("alpha", "n1", 0, minute(79, 0), minute(100, 0), 100)
    assert found.util_pct == (20.0,) * 20 + (10.0,)


def test_a_clock_that_is_wrong_is_told(tmp_path: Path) -> None:
    history = opened(tmp_path, clock=lambda: minute(5))
    with pytest.raises(HistoryError, match=r"the snapshot is of 2026-11-21 09:00 UTC.*set the clo"):
        history.record(snapshot(minute(60)))
    history.record(snapshot(minute(5)))
    history.close()
    history = opened(tmp_path, clock=lambda: minute(5) - timedelta(days=1))
    with pytest.raises(HistoryError, match="its last record is of 2026-11-21 08:05"):
        history.record(snapshot(minute(5) - timedelta(days=1)))


def test_windows_have_one_length(tmp_path: Path) -> None:
    history = opened(tmp_path)
    with pytest.raises(ValueError, match="step_s"):
        history.record(snapshot(minute(1)), step_s=70)
    history.record(snapshot(minute(1)))
    with pytest.raises(HistoryError, match="windows of 60 s, and 30 s"):
        history.record(snapshot(minute(2)), step_s=30)


def test_an_odd_name_is_kept_as_it_is_shown(tmp_path: Path) -> None:
    history = opened(tmp_path)
    for number in (1, 2):
        at = minute(number)
        tenants = (Tenant("alpha/\udcff", 1000),)
        one = gpu(0, 5.0, at=at, node="n\udcff\x1b[1m", tenants=tenants)
        history.record(snapshot(at, [one], runs=[run("\udcff", at=at)]))
        history.close()
        history = opened(tmp_path)
    assert len(tables(tmp_path, "SELECT * FROM device")) == 1
    then = past(tmp_path).at(minute(2))
    assert then is not None
    assert then.gpus[0].node.isprintable()
    assert [r.id.isprintable() for r in then.runs] == [True]


def test_what_cannot_be_kept_is_told_and_nothing_of_it_is(tmp_path: Path) -> None:
    history = opened(tmp_path)
    at = minute(1)
    huge = replace(node(at=at), memory_bytes=1 << 70)
    with pytest.raises(HistoryError, match=r"not recorded: .*a value cannot be kept"):
        history.record(snapshot(at, [gpu(0, 5.0, at=at)], nodes=[huge]))
    assert tables(tmp_path, "SELECT * FROM raw") == []
    history.record(snapshot(at, [gpu(0, 5.0, at=at)], nodes=[node(at=at)]))


def test_closed_is_closed(tmp_path: Path) -> None:
    history = opened(tmp_path)
    history.close()
    history.close()
    with pytest.raises(HistoryError, match="it was closed"):
        history.record(snapshot(minute(1)))
