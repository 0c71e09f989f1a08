"""The overview page."""

from __future__ import annotations

from dataclasses import replace

import pytest

from foundry_tui.estate import waste
from foundry_tui.estate.gpu import Share, Tenant
from foundry_tui.estate.reading import Fault, FaultKind
from foundry_tui.estate.run import RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import SafeText, cells, safe
from foundry_tui.presenters import totals
from foundry_tui.presenters.estatelines import idle_line
from foundry_tui.presenters.overview import overview
from foundry_tui.presenters.page import Style
from tests.presenters.estate import GPUS, NODES, NOW, RUNS, SNAPSHOT, ago, gpu, run

GOLDEN = """\
foundry, 03-14 09:30Z

SOURCE  KIND       STATE  AGE  WHY
lab     slurm      ok      3s
nvml    telemetry  off      —  no NVML library on this host

GPUs   20: 12.75 allocated, 69% used, 2.25 free, 4 out of service, 1 unknown
       idle while allocated: 2 = 109 GPU-hours lost (8 of 13 measured)
Nodes  4: 1 idle, 1 mixed, 1 allocated, 1 drained
Runs   42 pending, 4 running, 1 failed

QUEUE  RUNNING  WAITING  GPUS USED  ASKED  QUOTA  LONGEST WAIT
prod         4       42      12.75    172      —         9h02m
and 1 more: foundry queues

WAITING LONGEST  USER   QUEUE   GPUS  WAITED  WHY
lab/21           carol  prod       8   9h02m  Priority
lab/18_[2-41]    bob    prod   4 x40   2h00m  Resources
lab/22           dan    prod     <=2   4m00s  JobHeldUser

IDLE, ALLOCATED  USER  GPUS  IDLE FOR  GPU-H LOST  WHERE
lab/23           zoe      2     2d06h         109  a01:6-7"""


def test_the_whole_estate_fits_a_screen_of_80_by_24() -> None:
    text = overview(SNAPSHOT, now=NOW, style=Style(width=80))
    assert text == GOLDEN
    lines = text.split("\n")
    assert len(lines) <= 24
    assert max(cells(SafeText(line)) for line in lines) <= 80


@pytest.mark.parametrize("width", [20, 40, 60])
def test_it_fits_narrow_terminals(width: int) -> None:
    text = overview(SNAPSHOT, now=NOW, style=Style(width=width))
    assert max(cells(SafeText(line)) for line in text.split("\n")) <= width


def test_ascii_holds_only_ascii() -> None:
    text = overview(SNAPSHOT, now=NOW, style=Style(ascii=True))
    assert text.isascii()
    assert [len(line) for line in text.split("\n")] == [len(line) for line in GOLDEN.split("\n")]


def test_an_estate_without_anything_says_so() -> None:
    text = overview(Snapshot(generated_at=NOW), now=NOW, style=Style())
    assert "No source. `foundry doctor`" in text
    assert "GPUs   0: 0 allocated, 0 free" in text
    assert "no GPU is allocated" in text
    assert "Nodes  none" in text
    assert "No run waits." in text


def test_without_readings_idleness_is_unknown_not_zero() -> None:
    blind = tuple(replace(g, util_pct=None, idle_since=None) for g in GPUS)
    text = overview(replace(SNAPSHOT, gpus=blind), now=NOW, style=Style())
    assert "idle while allocated: unknown, no allocated GPU is measured" in text
    assert "IDLE, ALLOCATED" not in text


def test_a_reading_of_zero_without_its_start_is_not_called_busy() -> None:
    live = tuple(replace(g, idle_since=None) for g in GPUS)
    sums = totals.gpu_totals(NODES, live, NOW)
    assert (sums.at_zero_count, sums.idle_count) == (2, 0)
    text = overview(replace(SNAPSHOT, gpus=live), now=NOW, style=Style(width=120))
    told = "idle while allocated: 0; at 0-1 % now: 2 (8 of 13 measured)"
    assert told in text
    half = tuple(replace(g, idle_since=None) if g.index == 6 else g for g in GPUS)
    text = overview(replace(SNAPSHOT, gpus=half), now=NOW, style=Style(width=120))
    assert "idle while allocated: 1 = 55 GPU-hours lost; at 0-1 % now: 2 (8 of 13" in text


def test_a_gpu_is_called_idle_only_after_the_configured_time() -> None:
    sums = totals.gpu_totals(NODES, GPUS, NOW, idle_after_s=2 * 86_400 + 7 * 3600)
    assert (sums.idle_count, sums.idle_gpu_hours) == (1, 55.0)
    none = overview(SNAPSHOT, now=NOW, style=Style(), idle_after_s=1e6)
    assert "IDLE, ALLOCATED" not in none
    assert "idle while allocated: 0; at 0-1 % now: 2" in none


def test_what_is_not_well_has_a_line_and_only_then() -> None:
    grave = Fault(kind=FaultKind.XID, words=safe("XID 79: fell off the bus"), grave=True)
    mild = Fault(kind=FaultKind.THROTTLED, words=safe("throttled: heat"))
    first, second, third, *rest = GPUS
    ill = (
        replace(first, faults=(grave, mild)),
        replace(second, faults=(mild,)),
        replace(third, faults=(mild,)),
        *rest,
    )
    text = overview(replace(SNAPSHOT, gpus=ill), now=NOW, style=Style(width=120))
    assert "Health FAULT a01 GPU 0 XID 79: fell off the bus; 2 throttled (a01 GPU 1, …)\n" in text
    assert totals.gpu_totals(NODES, ill, NOW).faulty_count == 1
    assert "Health" not in overview(SNAPSHOT, now=NOW, style=Style())


def test_only_allocated_devices_at_most_at_the_threshold_count_as_at_zero() -> None:
    mine = Tenant("lab/1", 1000)
    seen = (
        gpu("a02", 0, mine, util_pct=totals.AT_ZERO_PCT),
        gpu("a02", 1, mine, util_pct=totals.AT_ZERO_PCT + 0.1),
        gpu("a02", 2, mine),
        gpu("a02", 3, util_pct=0.0),
    )
    assert totals.gpu_totals((), seen, NOW).at_zero_count == 1


def test_what_is_missing_is_told() -> None:
    text = overview(replace(SNAPSHOT, partial=("lab: as last read",)), now=NOW, style=Style())
    assert "note: lab: as last read" in text


def test_long_lists_end_with_the_command_that_shows_all() -> None:
    waiting = tuple(
        run(str(i), "x", RunState.PENDING, submitted_at=ago(minutes=i)) for i in range(100, 109)
    )
    text = overview(replace(SNAPSHOT, runs=waiting), now=NOW, style=Style())
    order = [line.split()[0] for line in text.split("\n") if line.startswith("lab/1")]
    assert order == ["lab/108", "lab/107", "lab/106", "lab/105", "lab/104"]
    assert "and 4 more: foundry runs --where state=pending" in text


def test_gpu_totals_add_up() -> None:
    sums = totals.gpu_totals(NODES, GPUS, NOW)
    parts = (sums.allocated_milli, sums.free_milli, sums.out_of_service_milli, sums.unknown_milli)
    assert parts == (12_750, 2_250, 4_000, 1_000)
    assert sums.total_milli == sum(parts)
    assert (sums.allocated_count, sums.measured_count) == (13, 8)
    assert (sums.at_zero_count, sums.idle_count) == (2, 2)


def test_devices_that_a_node_counts_and_nobody_describes_are_unknown() -> None:
    sums = totals.gpu_totals(NODES, GPUS[:3], NOW)
    assert (sums.total_milli, sums.unknown_milli) == (20_000, 17_000)


def test_a_device_that_is_given_away_twice_counts_once() -> None:
    twice = gpu("a02", 0, Tenant("lab/1", 1000), Tenant("lab/2", 1000))
    sums = totals.gpu_totals((), (twice,), NOW)
    assert (sums.total_milli, sums.allocated_milli, sums.free_milli) == (1000, 1000, 0)


def test_idle_gpus_are_grouped_by_their_run() -> None:
    (idle,) = waste.idle(GPUS, RUNS, NOW, 1800.0)
    assert (idle.run, idle.user, idle.count) == ("lab/23", "zoe", 2)
    assert (idle.milli, idle.gpu_hours) == (2000, 54.0 + 55.0)
    assert idle.since == ago(days=2, hours=6)  # all of its GPUs have been idle since then
    assert idle.placement[0].gpus == (6, 7)


def test_the_run_that_wastes_most_stands_first_whatever_it_holds() -> None:
    held = (
        gpu("a02", 0, Tenant("lab/1", 1000), idle_since=ago(hours=1)),
        gpu("a02", 1, Tenant("lab/1", 1000), idle_since=ago(hours=1)),
        gpu("a02", 2, Tenant("lab/2", 500, Share.FRACTION), idle_since=ago(hours=12)),
        gpu("a02", 3, Tenant("lab/3", 1000), idle_since=ago(minutes=5)),
        gpu("a02", 4, idle_since=ago(days=1)),
    )
    found = waste.idle(held, (), NOW, 1800.0)
    assert [(i.run, i.gpu_hours) for i in found] == [("lab/2", 6.0), ("lab/1", 2.0)]
    line = "".join(part for part, _ in idle_line(found, NOW, 78))
    assert line == (
        "Idle but allocated: ? 2 0.5 GPUs 12h00m = 6 GPU-h · ? 1 2 GPUs 1h00m = 2 GPU-h"
    )
    assert "".join(t for t, _ in idle_line(found, NOW, 60)).endswith("= 6 GPU-h · +1")
    assert idle_line((), NOW, 78) == []


def test_arrays_count_with_their_tasks() -> None:
    assert totals.runs_by_state(RUNS) == {"pending": 42, "running": 4, "failed": 1}
    assert totals.nodes_by_state(NODES) == {"idle": 1, "mixed": 1, "allocated": 1, "drained": 1}
