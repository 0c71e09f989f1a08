"""Tries joined with readings: what is known of the time that accounting tells, and what is not."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tui.estate.gpu import Share, Tenant
from foundry_tui.estate.run import RunState
from foundry_tui.estate.usage import HeldGpus, UsageRecord
from foundry_tui.reports.joining import join as joining
from foundry_tui.reports.joining import lines as lining
from foundry_tui.reports.joining.join import Join
from foundry_tui.reports.joining.seen import Seen
from foundry_tui.reports.part import Part
from foundry_tui.store.history import Past
from foundry_tui.store.history.window.grid import Uses
from tests.reports.parts import try_of
from tests.store.history import estate
from tests.store.history.estate import START

BEGIN_S = int(START.timestamp())
WHOLE = 1000
RUNNING, SUSPENDED = RunState.RUNNING, RunState.SUSPENDED

Held = Mapping[int, Sequence[tuple[str, int]]]
"""GPU index -> native ids of its runs with the thousandths that each holds."""


def recorded(
    folder: Path,
    minutes: Sequence[tuple[Held, Mapping[int, float | None]]],
    gpus: int = 2,
    suspended: Collection[str] = (),
) -> Past:
    """A history of these minutes: who held what at its end, and what the GPUs did in it."""
    history = estate.opened(folder)
    for number, (held, util) in enumerate(minutes, 1):
        at = estate.minute(number, second=0)
        devices = []
        for index in range(gpus):
            tenants = [
                Tenant(f"alpha/{native}", milli, Share.WHOLE if milli == WHOLE else Share.SHARD)
                for native, milli in held.get(index, ())
            ]
            devices.append(estate.gpu(index, util.get(index), at=at, tenants=tenants))
        natives = {native for each in held.values() for native, _ in each}
        runs = [
            estate.run(native, at=at, state=SUSPENDED if native in suspended else RUNNING)
            for native in sorted(natives)
        ]
        history.record(estate.snapshot(at, devices, runs=runs))
    history.close()
    return estate.past(folder)


def joined(
    past: Past | None, *records: UsageRecord, edges: Sequence[int] = (0, 86400)
) -> tuple[Join, Part]:
    """The records joined; edges are seconds since the history began."""
    borders = [BEGIN_S + e for e in edges]
    readings = None
    if past is not None:
        readings = past.readings(
            START + timedelta(seconds=edges[0]), START + timedelta(seconds=edges[-1])
        )
    join = Join(borders, BEGIN_S + 80_000, past, readings)
    return join, join.part(records)


def held_try(native: str, start_min: float, end_min: float, **fields: object) -> UsageRecord:
    base: dict[str, object] = {
        "source": "alpha",
        "native_id": native,
        "started_at": START + timedelta(minutes=start_min),
        "ended_at": START + timedelta(minutes=end_min),
        "gpu_count": 1,
        "nodes": ("n1",),
    }
    return try_of(**{"raw_id": native, **base, **fields})  # type: ignore[arg-type]


def seconds(part: Part) -> list[tuple[int, int, int, int]]:
    """By cell: GPU-seconds allocated, used, idle and unknown."""
    c = part.cells
    rows = zip(c.allocated_ms, c.used_ms, c.idle_ms, c.unknown_ms, strict=True)
    return [(int(a) // 1000, int(u) // 1000, int(i) // 1000, int(x) // 1000) for a, u, i, x in rows]


ALONE: Held = {0: [("17", WHOLE)]}


def test_r08_each_second_is_used_idle_or_unknown(tmp_path: Path) -> None:
    past = recorded(tmp_path, [(ALONE, {0: util}) for util in (80.0, 40.0, 0.0, None)])
    _, part = joined(past, held_try("17", 1, 4))
    assert seconds(part) == [(180, 60, 60, 60)]
    assert int(part.cells.busy_ms[0]) == 24_000
    assert int(part.cells.mem_peak_mib[0]) == 1000
    assert float(part.cells.energy_j[0]) == pytest.approx(24_000)


def test_r08_without_a_history_all_is_unknown() -> None:
    _, part = joined(None, held_try("17", 1, 4))
    assert seconds(part) == [(180, 0, 0, 180)]
    assert int(part.cells.mem_peak_mib[0]) == -1


def test_r07_every_device_of_a_try_is_joined_by_itself(tmp_path: Path) -> None:
    both: Held = {0: [("17", WHOLE)], 1: [("17", WHOLE)]}
    past = recorded(tmp_path, [(both, {0: 100.0, 1: 0.0})] * 3)
    _, part = joined(past, held_try("17", 1, 3, gpu_count=2))
    assert seconds(part) == [(240, 120, 120, 0)]
    assert int(part.cells.busy_ms[0]) == 120_000


def test_what_another_held_is_not_ours(tmp_path: Path) -> None:
    minutes = [(ALONE, {0: 100.0, 1: 100.0})] * 2 + [({1: [("17", WHOLE)]}, {0: 100.0, 1: 0.0})] * 2
    past = recorded(tmp_path, minutes)
    _, part = joined(past, held_try("17", 1, 4))
    allocated, used, idle, unknown = seconds(part)[0]
    assert allocated == 180
    assert used + idle + unknown == 180
    assert idle == 60


def test_two_tries_of_one_run_get_what_lies_in_their_time(tmp_path: Path) -> None:
    past = recorded(tmp_path, [(ALONE, {0: 100.0})] * 2 + [(ALONE, {0: 0.0})] * 2)
    _, part = joined(past, held_try("17", 1, 2), held_try("17", 2, 4))
    assert seconds(part) == [(60, 60, 0, 0), (120, 0, 120, 0)]


def test_r06_a_part_of_a_het_job_is_seen_by_its_raw_id(tmp_path: Path) -> None:
    past = recorded(tmp_path, [(ALONE, {0: 100.0})] * 3)
    part_of_a_job = held_try("17", 1, 3, native_id="16+1", het_offset=1)
    _, part = joined(past, part_of_a_job)
    assert seconds(part) == [(120, 120, 0, 0)]


def test_r09_a_share_counts_as_much_as_it_holds(tmp_path: Path) -> None:
    past = recorded(tmp_path, [({0: [("17", 250), ("18", 500)]}, {0: 60.0})] * 3)
    quarter = (HeldGpus("H200", 2, 250, Share.SHARD),)
    _, part = joined(past, held_try("17", 1, 3, held=quarter))
    assert int(part.cells.allocated_ms[0]) == 250 * 120
    assert int(part.cells.used_ms[0]) == 250 * 120
    assert int(part.cells.joint_ms[0]) == 250 * 120, "nobody knows which of the two worked"
    assert int(part.cells.busy_ms[0]) == 250 * 72


def test_r09_an_instance_is_billed_whole_and_its_use_with_it(tmp_path: Path) -> None:
    past = recorded(tmp_path, [({0: [("17", 143)]}, {0: 100.0})] * 3)
    instance = (HeldGpus("1g.10gb", 1, 143, Share.MIG),)
    _, part = joined(past, held_try("17", 1, 3, held=instance))
    assert int(part.cells.allocated_ms[0]) == 1000 * 120
    assert int(part.cells.used_ms[0]) == 1000 * 120
    assert int(part.cells.weighted_ms[0]) == 143 * 120
    assert int(part.cells.joint_ms[0]) == 0


def test_r09_several_instances_are_each_billed_whole(tmp_path: Path) -> None:
    """Four sevenths are 571 thousandths and a seventh 143: what was rounded must not add up."""
    spread: Held = {0: [("17", 143)], 1: [("17", 429)]}
    past = recorded(tmp_path, [(spread, {0: 100.0, 1: 0.0})] * 3)
    instances = (HeldGpus("1g.10gb", 4, 571, Share.MIG),)
    join, part = joined(past, held_try("17", 1, 3, held=instances))
    assert seconds(part) == [(480, 120, 360, 0)]
    assert join.over_ms == 0


def test_a_whole_node_is_known_without_anybody_looking(tmp_path: Path) -> None:
    past = recorded(tmp_path, [({}, {0: 100.0, 1: 0.0})] * 3)
    _, part = joined(past, held_try("17", 1, 3, gpu_count=2))
    assert seconds(part) == [(240, 120, 120, 0)]
    _, part = joined(past, held_try("17", 1, 3, gpu_count=1))
    assert seconds(part) == [(120, 0, 0, 120)], "which of the two it held nobody knows"


def test_readings_never_tell_more_than_accounting(tmp_path: Path) -> None:
    past = recorded(tmp_path, [(ALONE, {0: 100.0})] * 4)
    join, part = joined(past, held_try("17", 1, 4, suspended_s=120))
    assert seconds(part) == [(60, 60, 0, 0)]
    assert join.over_ms == 120_000
    assert int(part.cells.busy_ms[0]) == 60_000


def test_two_kinds_of_gpu_have_a_line_each(tmp_path: Path) -> None:
    both: Held = {0: [("17", WHOLE)], 1: [("17", WHOLE)]}
    past = recorded(tmp_path, [(both, {0: 100.0, 1: 0.0})] * 3)
    kinds = (HeldGpus("a100", 1, 1000), HeldGpus("h200", 2, 2000))
    _, part = joined(past, held_try("17", 1, 3, held=kinds))
    assert [part.lines.gpu_type[i] for i in part.cells.line] == ["a100", "h200"]
    assert seconds(part) == [(120, 0, 0, 120), (240, 120, 120, 0)]


def test_hundreds_of_gpus_for_a_year_are_added_up_exactly() -> None:
    """Thousandths of seconds times thousandths of GPUs, twice, do not fit into 63 bits."""
    year_s, count = 366 * 86_400, 512
    edges = (BEGIN_S, BEGIN_S + year_s)
    record = held_try("17", 0, year_s / 60, gpu_count=count)
    lines, times = lining.of([record], edges[1])
    pairs = lining.overlaps(times, edges)
    each = np.arange(count, dtype=np.int64)
    whole = np.full(count, year_s, np.int64)
    zeros = np.zeros(count, np.int64)

    class Busy:
        def use(self, *_: object) -> Uses:
            return Uses(
                used_s=whole,
                idle_s=zeros,
                busy_milli_s=whole * 1000,
                energy_j=zeros,
                powered_s=whole,
                mem_peak_mib=zeros,
            )

    seen = Seen(
        line=zeros, device=each, since=zeros + edges[0], until=zeros + edges[1],
        milli=zeros + WHOLE, joint=zeros,
    )  # fmt: skip
    sums = joining._Sums.none(1)
    joining._add(sums, seen, lines, pairs, cast(Any, Busy()), np.asarray(edges))
    assert sums.used.tolist() == sums.busy.tolist() == [year_s * count * 1000]


def test_a_device_of_another_model_belongs_to_the_line_without_one(tmp_path: Path) -> None:
    """Accounting may keep one type only, and tell of the others how many they are."""
    both: Held = {0: [("17", WHOLE)], 1: [("17", WHOLE)]}
    past = recorded(tmp_path, [(both, {0: 100.0, 1: 0.0})] * 3)
    kinds = (HeldGpus("a100", 1, 1000), HeldGpus(None, 2, 2000))
    _, part = joined(past, held_try("17", 1, 3, held=kinds))
    assert seconds(part) == [(120, 0, 0, 120), (240, 120, 120, 0)]


def test_what_was_done_while_a_run_was_suspended_is_not_its_own(tmp_path: Path) -> None:
    """Another run may have had the whole node meanwhile."""
    held: Held = {0: [("17", WHOLE)], 1: [("17", WHOLE)]}
    past = recorded(tmp_path, [(held, {0: 100.0, 1: 100.0})] * 4, suspended={"17"})
    _, part = joined(past, held_try("17", 1, 4, gpu_count=2, suspended_s=60))
    assert seconds(part) == [(240, 0, 0, 240)]


@settings(max_examples=40, deadline=None)
@given(
    utils=st.lists(st.sampled_from([None, 0.0, 0.5, 3.0, 100.0]), min_size=2, max_size=8),
    start=st.integers(0, 400),
    length=st.integers(1, 500),
    cuts=st.lists(st.integers(-50, 700), min_size=2, max_size=5, unique=True),
    milli=st.sampled_from([143, 250, 1000]),
)
def test_r10_used_idle_and_unknown_are_what_was_allocated(
    utils: list[float | None], start: int, length: int, cuts: list[int], milli: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        held: Held = {0: [("17", milli), ("18", 100)]} if milli < WHOLE else ALONE
        past = recorded(Path(folder), [(held, {0: u}) for u in utils])
        share = Share.WHOLE if milli == WHOLE else Share.SHARD
        record = held_try(
            "17", start / 60, (start + length) / 60, held=(HeldGpus("H200", 1, milli, share),)
        )
        edges = sorted(cuts)
        join, part = joined(past, record, edges=edges)
        c = part.cells
        assert (c.used_ms + c.idle_ms + c.unknown_ms == c.allocated_ms).all()
        assert (c.used_ms >= 0).all()
        assert (c.idle_ms >= 0).all()
        assert (c.unknown_ms >= 0).all()
        assert (c.joint_ms <= c.used_ms).all()
        assert (c.busy_ms <= c.used_ms + c.idle_ms).all()
        assert join.over_ms == 0
        _, whole = joined(past, record, edges=(edges[0], edges[-1]))
        for name in ("elapsed_s", "allocated_ms", "used_ms", "idle_ms", "unknown_ms", "joint_ms"):
            assert getattr(c, name).sum() == getattr(whole.cells, name).sum(), name
