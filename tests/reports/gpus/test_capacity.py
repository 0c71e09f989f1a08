"""The report of capacity: every second of every GPU is exactly one thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.gpu import Share, Tenant
from foundry_tui.estate.node import NodeState
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.run import RunState
from foundry_tui.estate.text import safe
from foundry_tui.estate.usage import UsageRecord
from foundry_tui.reports.columns import names
from foundry_tui.reports.gpus import capacity
from foundry_tui.reports.gpus.capacity import Capacity, Key
from foundry_tui.reports.gpus.demand import Waits
from foundry_tui.store.history import Past
from foundry_tui.store.history.window import spanload
from foundry_tui.store.history.window.spans import Rest
from tests.store.history.estate import WHOLE, minute, opened, past, queue
from tests.store.history.looks import LOOKS, Look, recorded, shown, truth
from tests.store.history.test_properties import folder, some

BASE = int(minute(0, 0).timestamp())
PARTS = ("allocated", "idle", "drained", "down", "maint", "unknown")
CUTS = st.lists(st.integers(-200, 1500), min_size=2, max_size=5, unique=True).map(sorted)


def edge(number: int) -> int:
    return int(minute(number, 0).timestamp())


def rows(
    here: Path | Past, edges: Sequence[int], waits: Waits | None = None
) -> list[dict[str, Any]]:
    found = here if isinstance(here, Past) else past(here)
    made = list(capacity.rows(found, edges, waits))
    return [dict(zip(names(capacity.COLUMNS), row, strict=True)) for row in made]


def sums(here: Path, edges: Sequence[int]) -> dict[Key, Capacity]:
    with past(here).reading() as found:
        assert found is not None
        return capacity.sums(spanload.load(found, edges[0], edges[-1]), edges)


def seconds(hours: Decimal) -> int:
    """Whole GPU-seconds of a cell."""
    return round(hours * 3600)


@some
@given(LOOKS, CUTS)
def test_r10_the_parts_are_the_total_in_whole_gpu_seconds(
    looks: list[Look], cuts: list[int]
) -> None:
    with folder() as here:
        recorded(here, *looks)
        edges = [BASE + cut for cut in cuts]
        for row in rows(here, edges):
            cells = [row[f"{part}_hours"] for part in PARTS]
            assert sum(seconds(cell) for cell in cells) == seconds(row["gpus_total_hours"])
            assert sum(cells) == row["gpus_total_hours"]
            assert min(cells) >= 0
            assert (row["stranded_hours"] or 0) <= row["idle_hours"]
            length = row["period_end_utc"] - row["period_start_utc"]
            assert row["gpus_total_hours"] * 3600 <= 4 * length.total_seconds()


@some
@given(LOOKS, CUTS)
def test_r10_the_rows_are_what_every_second_was(looks: list[Look], cuts: list[int]) -> None:
    with folder() as here:
        recorded(here, *looks)
        edges = [BASE + cut for cut in cuts]
        expected: dict[tuple[int, str], dict[str, int]] = {}
        words = {
            Rest.UNKNOWN: "unknown", Rest.DRAINED: "drained", Rest.DOWN: "down",
            Rest.MAINT: "maint",
        }  # fmt: skip
        for second in truth(here, edges[0], edges[-1]):
            period = sum(border <= second.at for border in edges) - 1
            for partition in ("", *second.queues):
                row = expected.setdefault((period, partition), dict.fromkeys(PARTS, 0))
                row["allocated"] += second.held_milli
                row[words.get(second.rest, "idle")] += 1000 - second.held_milli
        found = {
            (period, partition): dict(zip(PARTS, row.parts(), strict=True))
            for (period, _, partition, _), row in sums(here, edges).items()
        }
        assert found == expected


@some
@given(LOOKS, CUTS)
def test_r02_adjacent_windows_add_up(looks: list[Look], cuts: list[int]) -> None:
    with folder() as here:
        recorded(here, *looks)
        edges = [BASE + cut for cut in cuts]
        whole = sums(here, (edges[0], edges[-1]))
        for made in (
            sums(here, edges),
            {
                (n, *key[1:]): row
                for n, window in enumerate(pairwise(edges))
                for key, row in sums(here, window).items()
            },
        ):
            added: dict[tuple[str, ...], dict[str, int]] = {}
            for (_, *place), row in made.items():
                into = added.setdefault(tuple(place), {})
                for name in Capacity.__slots__:
                    into[name] = into.get(name, 0) + getattr(row, name)
            assert {key: Capacity(**amounts) for key, amounts in added.items()} == {
                tuple(place): row for (_, *place), row in whole.items()
            }


def test_a_cluster_has_each_gpu_once_and_each_partition_its_own(tmp_path: Path) -> None:
    look = Look(queues=("gpu", "long"), tenants=(WHOLE, (), WHOLE))
    recorded(tmp_path, *[look] * 4)
    found = rows(tmp_path, (edge(2), edge(4)))
    told = {
        row["partition"]: [seconds(row[f"{n}_hours"]) for n in ("gpus_total", *PARTS[:2])]
        for row in found
    }
    assert told == {None: [360, 240, 120], "gpu": [360, 240, 120], "long": [240, 120, 120]}
    assert {(row["cluster"], row["gpu_type"]) for row in found} == {("alpha", "H200")}


def test_drained_down_and_maintenance_stand_apart(tmp_path: Path) -> None:
    states = (NodeState.MIXED, NodeState.DRAINED, NodeState.DOWN, NodeState.MAINTENANCE)
    recorded(tmp_path, *[Look(state=state, gpus=1) for state in states], Look(gpus=1))
    [row] = [r for r in rows(tmp_path, (edge(1) + 4, edge(5) + 4)) if r["partition"] is None]
    assert [seconds(row[f"{part}_hours"]) for part in PARTS] == [0, 300, 60, 60, 60, 0]


def test_the_parts_of_shared_gpus_are_whole_gpu_seconds_too(tmp_path: Path) -> None:
    third = (Tenant("alpha/1", 333, Share.FRACTION),)
    recorded(tmp_path, *[Look(tenants=(third, third, third), gpus=1)] * 3)
    [row] = [r for r in rows(tmp_path, (edge(2), edge(2) + 7)) if r["partition"] is None]
    assert [seconds(row[f"{part}_hours"]) for part in PARTS] == [4, 10, 0, 0, 0, 0]


def test_stranded_is_idle_on_used_up_nodes_and_empty_where_nobody_tells(tmp_path: Path) -> None:
    looks = [Look(free_cores=0, gpus=2), Look(free_cores=8), Look(free_cores=None), Look()]
    recorded(tmp_path, *looks)
    edges = [edge(n) + 4 for n in (1, 2, 3, 4)]
    found = [r for r in rows(tmp_path, edges) if r["partition"] is None]
    assert [seconds(r["stranded_hours"]) for r in found] == [120, 0, 0]
    assert [r["fragmentation_pct"] for r in found] == [Decimal("66.67"), 0, 0]
    history = opened(tmp_path)
    untold = Look(free_cores=None)
    for number in (5, 6):
        one = shown(untold, number)
        nodes = tuple(replace(n, cpu_milli=None, memory_bytes=None) for n in one.nodes)
        history.record(replace(one, nodes=nodes))
    history.close()
    [row] = [r for r in rows(tmp_path, (edge(5) + 4, edge(6))) if r["partition"] is None]
    assert (row["stranded_hours"], row["fragmentation_pct"]) == (None, None)


def test_without_idle_time_there_is_no_fragmentation(tmp_path: Path) -> None:
    recorded(tmp_path, *[Look(tenants=(WHOLE, WHOLE, WHOLE), free_cores=0)] * 3)
    [row] = [r for r in rows(tmp_path, (edge(2), edge(3))) if r["partition"] is None]
    assert (row["stranded_hours"], row["fragmentation_pct"]) == (0, None)


@pytest.mark.parametrize(
    "edges", [(), (BASE,), (BASE, BASE), (BASE - 900, BASE - 60), (BASE + 90_000, BASE + 99_000)]
)
def test_a_window_in_which_nothing_was_seen_has_no_rows(
    tmp_path: Path, edges: tuple[int, ...]
) -> None:
    recorded(tmp_path, Look(), Look())
    assert rows(tmp_path, edges) == []


def test_an_empty_history_has_no_rows(tmp_path: Path) -> None:
    history = opened(tmp_path)
    assert rows(tmp_path, (BASE, BASE + 60)) == []
    history.close()


def waiting(here: Path, *queues: Sequence[Queue]) -> None:
    """A look each minute with these queues."""
    history = opened(here)
    for number, mine in enumerate(queues, 1):
        history.record(replace(shown(Look(), number), queues=tuple(mine)))
    history.close()


def test_what_waited_is_what_the_queues_asked_for_over_time(tmp_path: Path) -> None:
    at = minute(1)
    gpu = [replace(queue(at, waiting=n), requested_gpu_milli=1000 * n) for n in (6, 2, 0, 0)]
    other = replace(queue(at, waiting=1), name="cpu", requested_gpu_milli=0)
    waiting(tmp_path, *[(one, other) for one in gpu])
    found = rows(tmp_path, (edge(1) + 4, edge(3) + 4, edge(4) + 4))
    told = [(r["partition"], r["pending_gpu_hours"], r["pending_jobs_count"]) for r in found]
    hours = Decimal("0.1333")  # 60 s x 6 + 60 s x 2
    assert told == [(None, hours, 7), ("gpu", hours, 6), (None, 0, 1), ("gpu", 0, 0)]


def test_r08_what_nobody_told_of_the_waiting_is_not_zero(tmp_path: Path) -> None:
    recorded(tmp_path, Look(), Look())
    assert {r["pending_gpu_hours"] for r in rows(tmp_path, (edge(1), edge(2)))} == {None}
    assert {r["pending_jobs_count"] for r in rows(tmp_path, (edge(1), edge(2)))} == {None}
    at = minute(3)
    history = opened(tmp_path)
    for number in (3, 4):
        none = replace(queue(at), requested_gpu_milli=None, waiting=None)
        history.record(replace(shown(Look(), number), queues=(none,)))
    history.close()
    assert {r["pending_gpu_hours"] for r in rows(tmp_path, (edge(3), edge(4)))} == {None}


def test_r12_a_parent_does_not_wait_once_more(tmp_path: Path) -> None:
    at = minute(1)
    project = replace(queue(at), kind="project", name="nlp", parent="nlp")
    other = replace(queue(at), kind="project", name="vision", parent="nlp")
    department = replace(queue(at), kind="department", name="nlp", requested_gpu_milli=6000)
    waiting(tmp_path, *[(project, other, department)] * 3)
    [row] = [r for r in rows(tmp_path, (edge(2), edge(3))) if r["partition"] is None]
    assert row["pending_gpu_hours"] == Decimal("0.1000")
    assert row["pending_jobs_count"] == 6


def test_demand_is_told_once_where_there_are_several_models(tmp_path: Path) -> None:
    history = opened(tmp_path)
    for number in (1, 2, 3):
        one = shown(Look(), number)
        gpus = (replace(one.gpus[0], model="A100"), *one.gpus[1:])
        history.record(replace(one, gpus=gpus, queues=(queue(minute(1)),)))
    history.close()
    found = [r for r in rows(tmp_path, (edge(2), edge(3))) if r["partition"] is None]
    assert [(r["gpu_type"], r["pending_gpu_hours"] is None) for r in found] == [
        (None, False), ("A100", True), ("H200", True),
    ]  # fmt: skip
    assert [r["gpus_total_hours"] is None for r in found] == [True, False, False]


def try_of(wait_s: int, start_s: int, **fields: Any) -> UsageRecord:
    start = minute(0, 0) + timedelta(seconds=start_s)
    base = UsageRecord(
        source="alpha",
        native_id="1",
        raw_id="1",
        name=safe("train"),
        user="ada",
        account="ml",
        queue="gpu",
        qos=None,
        state=RunState.COMPLETED,
        submitted_at=start,
        eligible_at=start - timedelta(seconds=wait_s),
        started_at=start,
        ended_at=start + timedelta(seconds=1),
        gpu_count=1,
    )
    return replace(base, **fields)


def test_r13_waits_are_nearest_rank_and_empty_of_nothing(tmp_path: Path) -> None:
    recorded(tmp_path, *[Look()] * 4)
    edges = (edge(1), edge(2), edge(3))
    waits = Waits(edges)
    waits.add(try_of(wait, 60) for wait in range(1, 11))
    waits.add(
        [
            try_of(999, 60, gpu_count=0),
            try_of(999, 60, eligible_at=None),
            try_of(999, 60, started_at=None),
            try_of(999, 180),
            try_of(999, 59),
            try_of(77, 61, queue="elsewhere"),
        ]
    )
    found = rows(tmp_path, edges, waits)
    told = {
        (r["period_start_utc"], r["partition"]): tuple(r[f"wait_p{p}_s"] for p in (50, 90, 99))
        for r in found
    }
    assert told == {
        (minute(1, 0), None): (6, 10, 77),
        (minute(1, 0), "gpu"): (5, 9, 10),
        (minute(2, 0), None): (None, None, None),
        (minute(2, 0), "gpu"): (None, None, None),
    }


def test_rows_are_sorted_and_the_same_each_time(tmp_path: Path) -> None:
    recorded(tmp_path, *[Look(queues=("long", "gpu"))] * 5)
    edges = [edge(n) for n in (0, 2, 4)]
    found = rows(tmp_path, edges)
    keys = [(r["period_start_utc"], r["partition"] or "") for r in found]
    assert keys == sorted(keys)
    assert found == rows(tmp_path, edges)
