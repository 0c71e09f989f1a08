"""Reading the history: a moment, a GPU's line, use that adds up, and runs."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from foundry_tui.estate.gpu import Share, Tenant
from foundry_tui.estate.node import NodeState
from foundry_tui.estate.reading import Fault, FaultKind
from foundry_tui.estate.run import RunState
from foundry_tui.estate.source import SourceState
from foundry_tui.estate.text import safe
from foundry_tui.store.history import Past, Use
from tests.store.history.estate import (
    KEEP_LITTLE,
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
)


def test_without_a_history_there_is_no_past(tmp_path: Path) -> None:
    assert Past.open(tmp_path) is None
    assert Past.open(tmp_path / "none") is None
    history = opened(tmp_path)
    found = past(tmp_path)
    assert (found.span(), found.at(minute(1)), found.idle(), found.runs(["a"])) == (
        None, None, {}, {},
    )  # fmt: skip
    history.close()


def test_the_span_is_from_the_first_look_to_the_last(tmp_path: Path) -> None:
    history = opened(tmp_path)
    record_levels(history, {n: {0: 1.0} for n in (3, 4, 5)})
    span = past(tmp_path).span()
    assert span is not None
    assert (span.first, span.last, span.minutes_since) == (minute(2, 0), minute(5), minute(2, 0))


def test_a_moment_is_the_snapshot_of_then(tmp_path: Path) -> None:
    history = opened(tmp_path)
    at = minute(1)
    shown = snapshot(
        at,
        [gpu(0, 12.3, at=at, util_max=40.0, tenants=WHOLE), gpu(1, 0.0, at=at)],
        nodes=[node(at=at), node("n2", NodeState.DRAINED, at=at)],
        runs=[run(at=at, started=minute(0))],
        queues=[queue(at)],
    )
    history.record(shown)
    for number in range(2, 30):
        later = minute(number)
        history.record(snapshot(later, [gpu(0, 99.0, at=later)], nodes=[node(at=later)]))
    then = past(tmp_path).at(at)
    assert then is not None
    assert then.generated_at == at
    [source] = then.sources
    assert (source.name, source.kind, source.state, source.read_at) == (
        "alpha", "slurm", SourceState.STALE, at,
    )  # fmt: skip
    assert [replace(n, gpu_util_pct=None, gpu_measured_count=None) for n in then.nodes] == list(
        shown.nodes
    )
    assert then.nodes[0].gpu_util_pct == pytest.approx(6.15)
    assert [replace(g, how=None) for g in then.gpus] == list(shown.gpus)
    assert then.gpus[0].how == "as recorded, one minute"
    assert then.queues == shown.queues
    assert [replace(r, gpu_util_pct=None) for r in then.runs] == list(shown.runs)
    assert then.runs[0].gpu_util_pct == 12.3
    assert "runs that waited" in then.partial[0]


def test_a_moment_knows_since_when_a_held_gpu_did_nothing(tmp_path: Path) -> None:
    history = opened(tmp_path)
    for number in range(1, 60):
        at = minute(number)
        if 31 <= number < 36:
            continue  # nobody looked
        gpus = [
            gpu(0, 90.0 if number <= 10 or number > 50 else 0.0, at=at, tenants=WHOLE),
            gpu(1, 0.0, at=at, tenants=WHOLE),  # and still
            gpu(2, 0.0, at=at),  # nobody holds it
            gpu(3, 0.0, at=at, tenants=WHOLE, util_max=40.0 if number == 20 else 0.0),
        ]
        history.record(
            snapshot(at, gpus, nodes=[node(at=at)], runs=[run(at=at, started=minute(5))])
        )

    def then(number: int) -> list[datetime | None]:
        shown = past(tmp_path).at(minute(number))
        assert shown is not None
        return [one.idle_since for one in shown.gpus]

    start = minute(5)
    assert then(8) == [None, start, None, start], "before its run started is not the run's"
    assert then(19) == [minute(10, 0), start, None, start]
    assert then(30) == [minute(10, 0), start, None, minute(20, 0)]
    gap = minute(35, 0)
    assert then(40) == [gap, gap, None, gap], "what happened in the gap is unknown"
    assert then(55) == [None, gap, None, gap]


def test_what_counted_as_idle_then_is_what_was_configured(tmp_path: Path) -> None:
    history = opened(tmp_path, idle_util_pct=5.0)
    for number in range(1, 9):
        at = minute(number)
        gpus = [
            gpu(i, u, at=at, tenants=WHOLE) for i, u in enumerate((4.0, 6.0, 90.0 * (number > 7)))
        ]
        began = run(at=at, started=minute(0))
        history.record(snapshot(at, gpus, nodes=[node(at=at)], runs=[began]))
    shown = past(tmp_path).at(minute(7))
    assert shown is not None
    start = minute(0)
    assert [one.idle_since for one in shown.gpus] == [start, None, start]


def test_a_node_with_a_lost_gpu_tells_the_mean_of_the_others(tmp_path: Path) -> None:
    history = opened(tmp_path)
    at = minute(1)
    lost = replace(
        gpu(1, at=at), faults=(Fault(kind=FaultKind.LOST, words=safe("lost"), grave=True),)
    )
    history.record(snapshot(at, [gpu(0, 30.0, at=at), lost], nodes=[node(at=at)]))
    shown = past(tmp_path).at(at)
    assert shown is not None
    assert (shown.nodes[0].gpu_util_pct, shown.nodes[0].gpu_measured_count) == (30.0, 1)


def test_older_moments_hold_means(tmp_path: Path) -> None:
    history = opened(tmp_path, keep=KEEP_LITTLE)
    record_levels(history, {n: {0: 10.0 if n % 2 else 20.0} for n in range(1, 200)})
    history.compact()
    then = past(tmp_path).at(minute(37))
    assert then is not None
    assert then.gpus[0].util_pct == pytest.approx(14.67, abs=0.01)
    assert then.gpus[0].how == (
        "as recorded: means over 15 minutes, of memory and temperature the most"
    )
    assert then.gpus[0].tenants == WHOLE
    assert then.gpus[0].power_w == 200


def test_a_source_that_was_down_then_says_so(tmp_path: Path) -> None:
    history = opened(tmp_path)
    history.record(snapshot(minute(1), [gpu(0, 5.0, at=minute(1))], nodes=[node(at=minute(1))]))
    for number in range(2, 8):
        history.record(snapshot(minute(number), state=SourceState.DOWN, reason="no route"))
    then = past(tmp_path).at(minute(7))
    assert then is not None
    assert (then.sources[0].reason, then.nodes, then.gpus) == ("down then: no route", (), ())
    last = past(tmp_path).at(minute(1))
    assert last is not None
    assert [n.name for n in last.nodes] == ["n1"]


def test_a_run_over_two_nodes_is_one_run(tmp_path: Path) -> None:
    history = opened(tmp_path)
    at = minute(1)
    tenants = (Tenant("alpha/9", 500, Share.FRACTION),)
    gpus = [gpu(i, 9.0, at=at, node=n, tenants=tenants) for n in ("n1", "n2") for i in (0, 1)]
    history.record(snapshot(at, gpus, nodes=[node(at=at), node("n2", at=at)]))
    then = past(tmp_path).at(at)
    assert then is not None
    [one] = then.runs  # of which the scheduler told nothing
    assert (one.id, one.native_id, one.state) == ("alpha/9", "9", RunState.RUNNING)
    assert [(p.node, p.gpus) for p in one.placement] == [("n1", (0, 1)), ("n2", (0, 1))]
    assert one.gpu_util_pct is None  # a share's own work is not known


def test_gaps_of_a_line_stay_gaps(tmp_path: Path) -> None:
    history = opened(tmp_path)
    record_levels(history, {n: {0: None if n in (4, 5) else 10.0 * n} for n in (1, 2, 4, 5, 7)})
    line = past(tmp_path).gpu("alpha", "n1", 0, minute(0, 0), minute(9, 0), 50)
    assert line.step_s == 60
    assert line.times == tuple(minute(n, 0) for n in range(1, 10))
    assert list(line.util_pct) == [10.0, 20.0, None, None, None, None, 70.0, None, None]
    assert list(line.power_w) == [200, 200, None, None, None, None, 200, None, None]
    assert list(line.seen) == [1, 1, 0, 0, 0, 0, 1, 0, 0]
    assert line.mem_used_bytes[0] == 1000 << 20


def test_a_gpu_that_nobody_knows_has_an_empty_line(tmp_path: Path) -> None:
    history = opened(tmp_path)
    record_levels(history, {1: {0: 10.0}})
    line = past(tmp_path).gpu("alpha", "n1", 7, minute(0, 0), minute(2, 0), 50)
    assert (line.util_pct, line.seen) == ((None, None), (0.0, 0.0))


@pytest.mark.parametrize("compacted", [False, True])
@pytest.mark.parametrize(
    ("hours", "most", "step"), [(2, 200, 60), (2, 41, 180), (8, 60, 900), (10, 11, 3600)]
)
def test_a_line_is_as_fine_as_can_be_shown(
    tmp_path: Path, hours: int, most: int, step: int, compacted: bool
) -> None:
    history = opened(tmp_path)
    record_levels(history, {n: {0: float(n % 100)} for n in range(1, hours * 60 + 1)})
    if compacted:
        history.compact()
    line = past(tmp_path).gpu("alpha", "n1", 0, minute(0, 0), minute(hours * 60, 0), most)
    assert line.step_s == step
    assert len(line.times) == hours * 3600 // step <= most
    windows = step // 60
    for number, value in enumerate(line.util_pct):
        inside = [n % 100 for n in range(number * windows + 1, (number + 1) * windows + 1)]
        assert value == pytest.approx(sum(inside) / windows), number
        assert line.util_max_pct[number] == max(inside)
    assert set(line.seen) == {1.0}


def test_odd_ends_of_a_line(tmp_path: Path) -> None:
    history = opened(tmp_path)
    record_levels(history, {n: {0: 10.0} for n in range(1, 100)})
    found = past(tmp_path)
    for begin in range(0, 70, 7):
        for most in (2, 3, 10, 33):
            line = found.gpu("alpha", "n1", 0, minute(1, begin % 60), minute(95, 3), most)
            assert len(line.times) <= most
            assert line.times[-1] >= minute(95, 3)
    with pytest.raises(ValueError, match="until"):
        found.gpu("alpha", "n1", 0, minute(5), minute(5), 10)
    with pytest.raises(ValueError, match="most"):
        found.gpu("alpha", "n1", 0, minute(5), minute(6), 1)


def test_use_is_used_idle_and_unknown(tmp_path: Path) -> None:
    history = opened(tmp_path)
    record_levels(history, {1: {0: 50.0}, 2: {0: 0.0}, 3: {0: None}, 5: {0: 100.0}})
    found = past(tmp_path)
    use = found.use("alpha", "n1", 0, minute(0, 0), minute(6, 0))
    assert use == Use(120, 60, 180, 90.0, 36_000.0, 180.0)
    assert use.coverage == 0.5
    part = found.use("alpha", "n1", 0, minute(0, 30), minute(1, 10))
    assert (part.used_s, part.idle_s, part.unknown_s, part.busy_s) == (30, 10, 0, 15.0)
    assert found.use("alpha", "n1", 0, minute(1), minute(1)).coverage is None
    assert found.use("alpha", "no", 0, minute(0, 0), minute(1, 0)).unknown_s == 60
    with pytest.raises(ValueError, match="end"):
        found.use("alpha", "n1", 0, minute(2), minute(1))


def test_what_a_run_did_with_its_gpus(tmp_path: Path) -> None:
    history = opened(tmp_path)
    for number in range(1, 11):
        at = minute(number)
        held = WHOLE if 2 <= number <= 8 else ()
        level = None if number == 5 else 0.0 if number > 6 else 12.5
        history.record(
            snapshot(
                at,
                [gpu(0, level, at=at, tenants=held, mem=100 * number), gpu(1, 99.0, at=at)],
                nodes=[node(at=at)],
                runs=[run(at=at, started=minute(1, 30))],
            )
        )
    found = past(tmp_path).runs(["alpha/17", "alpha/99"])
    assert list(found) == ["alpha/17"]
    one = found["alpha/17"]
    assert (one.since, one.until, one.gpus) == (minute(1, 30), minute(9), 1)
    assert (one.allocated_gpu_s, one.used_gpu_s, one.idle_gpu_s, one.unknown_gpu_s) == (
        454, 210, 180 + 4, 60,
    )  # fmt: skip
    assert (one.shared, one.gpu_model) == (False, "H200")
    # whole minutes 3..9 of which 5 is missing: 12.5 % in 3, 4, 6 and 0 in 7, 8, 9
    assert {k: n for k, n in enumerate(one.util_counts) if n} == {0: 3, 13: 3}
    assert one.util_missing == 1
    assert one.mem_peak_bytes == 900 << 20
    assert one.mem_total_bytes == 143_771 << 20


def test_minutes_of_a_shared_gpu_are_nobodys_samples(tmp_path: Path) -> None:
    history = opened(tmp_path)
    for number in range(1, 10):
        at = minute(number)
        tenants = [Tenant("alpha/1", 500, Share.FRACTION)]
        if 4 <= number <= 6:
            tenants.append(Tenant("alpha/2", 250, Share.FRACTION))
        history.record(snapshot(at, [gpu(0, 80.0, at=at, tenants=tenants)], nodes=[node(at=at)]))
    found = past(tmp_path).runs(["alpha/1", "alpha/2"])
    one, two = found["alpha/1"], found["alpha/2"]
    assert (one.shared, two.shared) == (True, True)
    assert one.allocated_gpu_s == pytest.approx(0.5 * (8 * 60 + 1))
    assert two.allocated_gpu_s == pytest.approx(0.25 * 180)
    assert (sum(one.util_counts), one.util_missing) == (3, 0)  # 3, 4 and 9
    assert (sum(two.util_counts), two.util_missing, two.mem_peak_bytes) == (0, 0, None)


def test_a_mig_instance_has_no_samples_of_its_own(tmp_path: Path) -> None:
    history = opened(tmp_path)
    for number in range(1, 5):
        at = minute(number)
        tenants = (Tenant("alpha/1", 143, Share.MIG),)
        history.record(snapshot(at, [gpu(0, 80.0, at=at, tenants=tenants)], nodes=[node(at=at)]))
    one = past(tmp_path).runs(["alpha/1"])["alpha/1"]
    assert (one.shared, sum(one.util_counts), one.mem_peak_bytes) == (True, 0, None)


def test_a_reader_never_stops_the_writer(tmp_path: Path) -> None:
    history = opened(tmp_path)
    record_levels(history, {n: {0: 1.0, 1: 2.0} for n in range(1, 30)})
    found, stop, wrong, reads = past(tmp_path), threading.Event(), [], []

    def read() -> None:
        while not stop.is_set():
            then = found.at(minute(10))
            line = found.gpu("alpha", "n1", 0, minute(0, 0), minute(29, 0), 40)
            if then is None or len(then.gpus) != 2 or line.util_pct != (1.0,) * 29:
                wrong.append(then)
            reads.append(1)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 10
    number = 30
    while time.monotonic() < until and (number < 150 or len(reads) < 10):
        record_levels(history, {number: {0: 1.0, 1: 2.0}})
        if number % 10 == 0:
            history.compact()
        number += 1
    stop.set()
    for thread in threads:
        thread.join()
    assert number >= 150
    assert wrong == []
    assert len(reads) >= 10


def test_the_day_before_the_first_look_is_empty(tmp_path: Path) -> None:
    history = opened(tmp_path)
    record_levels(history, {1: {0: 10.0}})
    assert past(tmp_path).at(minute(1) - timedelta(days=1)) is None
