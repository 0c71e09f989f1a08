"""The report of GPUs: what each one did and suffered, against what the history says of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.gpu import GpuSlice, Share, Tenant
from foundry_tui.estate.node import NodeState
from foundry_tui.estate.reading import Fault, FaultKind
from foundry_tui.reports.columns import names
from foundry_tui.reports.gpus import capacity, health
from foundry_tui.store.history.window import spanload
from foundry_tui.telemetry.health import from_values
from tests.store.history.estate import KEEP_LITTLE, WHOLE, minute, opened, past
from tests.store.history.looks import LOOKS, LOST, Look, record, recorded, shown
from tests.store.history.test_properties import folder, some

BASE = int(minute(0, 0).timestamp())
CUTS = st.lists(st.integers(-200, 1500), min_size=2, max_size=4, unique=True).map(sorted)


def edge(number: int) -> int:
    return int(minute(number, 0).timestamp())


def rows(here: Path, edges: Sequence[int]) -> list[dict[str, Any]]:
    found = past(here)
    readings = found.readings(edges[0], edges[-1]) if edges else found.readings(0, 0)
    made = list(health.rows(found, readings, edges))
    return [dict(zip(names(health.COLUMNS), row, strict=True)) for row in made]


def first(here: Path, *edges: int) -> dict[str, Any]:
    """The row of the first GPU of n1 in a window."""
    return next(r for r in rows(here, edges) if (r["node"], r["gpu_index"]) == ("n1", 0))


def seconds(hours: Decimal | None) -> int:
    return 0 if hours is None else round(hours * 3600)


@some
@given(LOOKS, CUTS)
def test_r10_a_gpu_did_what_the_history_says_of_it(looks: list[Look], cuts: list[int]) -> None:
    with folder() as here:
        recorded(here, *looks)
        found = past(here)
        edges = [BASE + cut for cut in cuts]
        made = rows(here, edges)
        told: dict[tuple[str, int, object], list[int]] = {}
        for row in made:
            key = (row["node"], row["gpu_index"], row["period_start_utc"])
            sums = told.setdefault(key, [0, 0, 0])
            sums[0] += seconds(row["seen_hours"])
            sums[1] += seconds(row["busy_hours"])
            sums[2] += round((row["energy_kwh"] or 0) * 3_600_000)
            assert seconds(row["idle_while_allocated_hours"]) <= min(
                seconds(row["allocated_hours"]),
                seconds(row["seen_hours"]) - seconds(row["busy_hours"]),
            )
            assert (row["busy_hours"] is None) == (row["seen_hours"] == 0)
        for (node, index, start), sums in told.items():
            until = next(r["period_end_utc"] for r in made if r["period_start_utc"] == start)
            use = found.use("alpha", node, index, start, until)  # type: ignore[arg-type]
            assert sums[:2] == [use.used_s + use.idle_s, use.used_s]
            assert sums[2] == pytest.approx(use.energy_j, abs=3 * 360)


@some
@given(LOOKS, CUTS)
def test_r10_the_gpus_add_up_to_the_capacity(looks: list[Look], cuts: list[int]) -> None:
    with folder() as here:
        recorded(here, *looks)
        found = past(here)
        edges = [BASE + cut for cut in cuts]
        readings = found.readings(edges[0], edges[-1])
        with found.reading() as db:
            assert db is not None
            spans = spanload.load(db, edges[0], edges[-1])
        by_period: dict[int, list[int]] = {}
        for _, period, did in health.measured(spans, readings, edges):
            sums = by_period.setdefault(period, [0, 0, 0])
            sums[0] += 1000 * did.here_s
            sums[1] += did.allocated_ms
            sums[2] += did.down_ms
        whole = {
            period: [row.total_ms, row.allocated_ms, row.down_ms]
            for (period, _, partition, _), row in capacity.sums(spans, edges).items()
            if not partition
        }
        assert by_period == whole


@some
@given(LOOKS, CUTS)
def test_r02_adjacent_windows_add_up(looks: list[Look], cuts: list[int]) -> None:
    with folder() as here:
        recorded(here, *looks)
        edges = [BASE + cut for cut in cuts]

        def sums(windows: Sequence[Sequence[int]]) -> dict[tuple[Any, ...], list[int]]:
            added: dict[tuple[Any, ...], list[int]] = {}
            for window in windows:
                for row in rows(here, window):
                    into = added.setdefault((row["node"], row["gpu_index"], row["uuid"]), [0, 0])
                    for place, name in enumerate(("seen", "busy")):
                        into[place] += seconds(row[f"{name}_hours"])
            return added

        assert sums(list(pairwise(edges))) == sums([(edges[0], edges[-1])])


def test_a_row_says_who_the_gpu_is_and_what_it_did(tmp_path: Path) -> None:
    looks = [Look(levels=(50.0 if n > 2 else 0.0, None, None), tenants=(WHOLE, (), ()))
             for n in range(5)]  # fmt: skip
    recorded(tmp_path, *looks)
    row = first(tmp_path, edge(1) + 4, edge(5))
    assert [row[n] for n in ("cluster", "node", "gpu_index", "minor", "uuid", "model")] == [
        "alpha", "n1", 0, 0, "GPU-A-n1-0", "H200",
    ]  # fmt: skip
    assert (row["pci_bus_id"], row["mig_profile"], row["last_xid"]) == (None, None, None)
    told = {n: seconds(row[f"{n}_hours"])
            for n in ("seen", "allocated", "busy", "idle_while_allocated", "down")}  # fmt: skip
    assert told == {
        "seen": 236, "allocated": 236, "busy": 120, "idle_while_allocated": 116, "down": 0,
    }  # fmt: skip
    assert row["util_pct"] == Decimal("25.42")  # 120 of 236 s at half
    assert row["power_avg_w"] == 200
    assert row["energy_kwh"] == Decimal("0.0131")
    assert row["temp_max_c"] == 40


def test_r08_what_was_not_measured_is_empty(tmp_path: Path) -> None:
    recorded(tmp_path, *[Look(tenants=(WHOLE, (), ()))] * 4)
    row = first(tmp_path, edge(1) + 4, edge(4))
    assert seconds(row["allocated_hours"]) == 176
    assert row["seen_hours"] == 0
    for name in ("busy_hours", "idle_while_allocated_hours", "util_pct", "power_avg_w",
                 "energy_kwh", "temp_max_c", "throttle_thermal_s", "throttle_power_s",
                 "ecc_dbe_count", "row_remap_failure"):  # fmt: skip
        assert row[name] is None, name


def test_r08_a_utilisation_is_not_told_of_what_nobody_saw(tmp_path: Path) -> None:
    recorded(tmp_path, Look(levels=(80.0, None, None)), *[Look()] * 30)
    row = first(tmp_path, edge(0), edge(30))
    assert (seconds(row["seen_hours"]), row["util_pct"]) == (60, None)
    row = first(tmp_path, edge(0), edge(19))
    assert row["util_pct"] == 80


def test_a_shared_gpu_is_allocated_by_what_is_held_of_it(tmp_path: Path) -> None:
    quarter = (Tenant("alpha/1", 250, Share.FRACTION),)
    recorded(tmp_path, *[Look(tenants=(quarter, (), ()), levels=(0.0, None, None))] * 4)
    row = first(tmp_path, edge(1) + 4, edge(3) + 4)
    assert (seconds(row["allocated_hours"]), seconds(row["idle_while_allocated_hours"])) == (30, 30)


def test_a_swapped_gpu_is_another_row(tmp_path: Path) -> None:
    looks = [Look(uuid=u, levels=(9.0, None, None)) for u in ("GPU-B", "GPU-A", "GPU-B")]
    recorded(tmp_path, *looks, looks[-1])
    found = [
        r for r in rows(tmp_path, (edge(0), edge(4))) if (r["node"], r["gpu_index"]) == ("n1", 0)
    ]
    told = [(r["uuid"], seconds(r["seen_hours"])) for r in found]
    assert told == [("GPU-B-n1-0", 180), ("GPU-A-n1-0", 60)]


def test_down_is_its_node_or_the_lost_gpu_itself(tmp_path: Path) -> None:
    down = Look(state=NodeState.DOWN)
    recorded(tmp_path, Look(), down, Look(fault=LOST), Look(), Look())
    found = rows(tmp_path, (edge(1) + 4, edge(5)))
    told = {(r["node"], r["gpu_index"]): seconds(r["down_hours"]) for r in found}
    assert told == {("n1", 0): 120, ("n1", 1): 60, ("n2", 0): 0}


def with_faults(here: Path, *faults: tuple[Fault, ...], level: float | None = 50.0) -> None:
    """A look each minute in which the first GPU has these faults."""
    history = opened(here)
    for number, mine in enumerate(faults, 1):
        one = shown(Look(levels=(level, level, level)), number)
        history.record(replace(one, gpus=(replace(one.gpus[0], faults=mine), *one.gpus[1:])))
    history.close()


def test_faults_are_those_that_telemetry_tells(tmp_path: Path) -> None:
    hot, brake, both = 0x40, 0x80, 0xC0
    with_faults(
        tmp_path,
        (),
        from_values(throttle=hot, ecc_dbe=2),
        from_values(throttle=both, ecc_dbe=3, xid=48),
        from_values(throttle=brake, xid=79, rows_failure=1),
        from_values(throttle=0x8),
        (),
    )
    row = first(tmp_path, edge(1), edge(6))
    names_ = ("throttle_thermal_s", "throttle_power_s", "ecc_dbe_count", "row_remap_failure")
    assert [row[n] for n in names_] == [120, 120, 3, True]
    assert (row["last_xid"], row["last_xid_utc"]) == (79, minute(4))
    before = first(tmp_path, edge(0), edge(2))
    assert [before[n] for n in names_] == [0, 0, 0, False]
    assert before["last_xid"] is None
    sound = rows(tmp_path, (edge(1), edge(6)))[1]
    assert [sound[n] for n in names_] == [0, 0, 0, False]


def test_a_row_that_waits_for_a_reset_is_no_failure(tmp_path: Path) -> None:
    with_faults(tmp_path, *[from_values(rows_pending=1)] * 3)
    assert first(tmp_path, edge(1), edge(3))["row_remap_failure"] is False


def test_a_fault_of_an_unmeasured_gpu_is_told(tmp_path: Path) -> None:
    xid = Fault(kind=FaultKind.XID, words=from_values(xid=79)[0].words, grave=True)
    with_faults(tmp_path, *[(xid,)] * 3, level=None)
    row = first(tmp_path, edge(2), edge(3))
    assert (row["seen_hours"], row["last_xid"], row["ecc_dbe_count"]) == (0, 79, 0)
    assert row["last_xid_utc"] == minute(1), "when it was told first, also before the window"


def test_the_mig_instances_are_the_last_ones_of_the_period(tmp_path: Path) -> None:
    history = opened(tmp_path)
    small = tuple(GpuSlice(uuid=None, profile="1g.18gb", milli=143, gi=n) for n in (1, 2))
    large = GpuSlice(uuid=None, profile="3g.71gb", milli=429, gi=5)
    for number, slices in enumerate(((), (large,), (large, *small), ()), 1):
        one = shown(Look(), number)
        history.record(replace(one, gpus=(replace(one.gpus[0], slices=slices), *one.gpus[1:])))
    history.close()
    cut = [first(tmp_path, edge(a), edge(b))["mig_profile"] for a, b in ((1, 2), (2, 3), (2, 5))]
    assert cut == [None, "3g.71gb", "1g.18gb x2 + 3g.71gb"]


def test_temperatures_survive_that_the_minutes_are_forgotten(tmp_path: Path) -> None:
    history = opened(tmp_path, keep=KEEP_LITTLE)
    for number in range(1, 260):
        one = shown(Look(levels=(5.0, None, None)), number)
        hot = replace(one.gpus[0], temp_c=30.0 + number // 10)
        history.record(replace(one, gpus=(hot, *one.gpus[1:])))
    windows = [(60, 120), (120, 180), (75, 90), (240, 260)]
    before = [first(tmp_path, edge(a), edge(b))["temp_max_c"] for a, b in windows]
    assert before == [42, 48, 39, 55]
    history.compact()
    after = [first(tmp_path, edge(a), edge(b))["temp_max_c"] for a, b in windows]
    assert after == before
    history.close()


@pytest.mark.parametrize(
    "edges", [(), (BASE,), (BASE, BASE), (BASE - 900, BASE - 60), (BASE + 90_000, BASE + 99_000)]
)
def test_a_window_in_which_nothing_was_seen_has_no_rows(
    tmp_path: Path, edges: tuple[int, ...]
) -> None:
    recorded(tmp_path, Look(), Look())
    assert rows(tmp_path, edges) == []


def test_rows_are_sorted_by_gpu_and_period(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(tmp_path, *[Look(levels=(5.0, 6.0, 7.0))] * 5)
    edges = [edge(n) for n in (0, 2, 4)]
    found = rows(tmp_path, edges)
    keys = [(r["node"], r["gpu_index"], r["period_start_utc"]) for r in found]
    assert keys == sorted(keys)
    assert len(set(keys)) == 6
    monkeypatch.setattr(health, "BLOCK_STAYS", 1)
    assert rows(tmp_path, edges) == found


def test_a_device_that_came_back_is_one_row_also_at_the_end_of_a_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "BLOCK_STAYS", 2)
    history = opened(tmp_path)
    there, gone = Look(levels=(5.0, 5.0, 5.0)), Look(gpus=1, levels=(5.0, 5.0, 5.0))
    record(history, [there, there, gone, gone, there, there])
    history.close()
    found = [
        r for r in rows(tmp_path, (edge(0), edge(6))) if (r["node"], r["gpu_index"]) == ("n1", 1)
    ]
    assert [seconds(r["seen_hours"]) for r in found] == [240]
    db = sqlite3.connect(tmp_path / "history.sqlite")
    assert db.execute("SELECT count(*) FROM device WHERE idx = 1").fetchone() == (2,)
    db.close()
