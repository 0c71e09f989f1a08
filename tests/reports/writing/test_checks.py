"""What the tries of a report add up to, and the two ways in which that is checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.gpu import Share
from foundry_tui.estate.run import RunState
from foundry_tui.estate.text import safe
from foundry_tui.estate.usage import HeldGpus, OwnTotals, UsageRecord, Window
from foundry_tui.reports.joining.elapsed import elapsed_s
from foundry_tui.reports.writing.checks import AccountSum, Apart, Tally
from tests.reports.jobs.test_rows import MONTH, NOW, part_of, seen
from tests.reports.joining.test_elapsed import any_try
from tests.reports.parts import at, try_of


def tally(
    *parts: Sequence[UsageRecord], own: OwnTotals | None = None, window: Window = MONTH
) -> Tally:
    """The sum of these parts, without readings."""
    found = Tally(window, NOW, {} if own is None else {"lab": own})
    for records in parts:
        found.add(part_of(*records, window=window))
    return found


@given(st.lists(any_try(), max_size=8), st.integers(0, 8))
def test_r10_the_total_is_the_sum_over_the_tries_to_the_second(
    records: list[UsageRecord], cut: int
) -> None:
    expected = sum(
        (elapsed_s(record, MONTH, NOW) or 0) * (record.gpu_count or 0) for record in records
    )
    found = tally(records[:cut], records[cut:])
    assert found.allocated_ms == found.checked_ms == found.unknown_ms == 1000 * expected
    assert found.tries == len(records)


def test_r10_a_total_that_is_not_that_of_the_accounting_shows() -> None:
    part = part_of(try_of())
    wrong = replace(part.cells, allocated_ms=part.cells.allocated_ms + 1)
    found = Tally(MONTH, NOW)
    found.add(replace(part, cells=wrong))
    assert (found.allocated_ms, found.checked_ms) == (7_200_001, 7_200_000)


def test_readings_add_up_in_any_order_of_the_parts() -> None:
    parts = [
        seen(part_of(try_of(str(n))), used_ms=[100], idle_ms=[20], energy_j=[e], powered_ms=[7])
        for n, e in enumerate((0.1, 1e17, -1e17, 0.2))
    ]
    sums = []
    for order in (parts, parts[::-1]):
        found = Tally(MONTH, NOW)
        for part in order:
            found.add(part)
        sums.append((found.used_ms, found.idle_ms, found.powered_ms, found.energy_j))
    assert sums[0] == sums[1]
    assert sums[0][:3] == (400, 80, 28)


def test_r11_what_is_not_billed_as_it_stands_is_counted_apart() -> None:
    going = {"state": RunState.RUNNING, "ended_at": None}
    gone = safe("the controller does not know it")
    share = (HeldGpus(None, 1, None, Share.SHARD),)
    found = tally(
        (
            try_of("1"),
            try_of("2", **going),
            try_of("3", **going, doubt=gone),
            try_of("4", started_at=at(100), ended_at=at(50)),
            try_of("5", state=RunState.NODE_FAIL, ended_at=None),
            try_of("6", gpu_count=None, gpu_milli=None),
            try_of("7", held=share),
            try_of("8", state=RunState.PENDING, started_at=None, ended_at=None, gpu_count=None),
        ),
        (try_of("9", doubt=gone),),
        window=Window(at(0), at(1000)),
    )
    assert found.running == 1
    assert found.end_before_start == 1
    assert found.end_unknown == 1
    assert found.gpus_unknown == 2
    assert found.doubtful == {gone: Apart(tries=2, gpu_ms=2 * 2 * 900 * 1000)}
    assert found.allocated_ms == found.checked_ms == 2 * 2 * 900 * 1000


def test_r09_shares_and_instances_are_billed_as_the_scheduler_counts_them() -> None:
    kinds = (HeldGpus("1g.10gb", 2, 286, Share.MIG), HeldGpus("h100", 1, 250, Share.SHARD))
    found = tally((try_of(held=kinds),))
    assert found.allocated_ms == found.checked_ms == 2250 * 3600
    assert found.weighted_ms == 536 * 3600


def own(start: float, end: float, **gpu_s: int) -> OwnTotals:
    """The scheduler's own sums of a window."""
    return OwnTotals(window=Window(at(start), at(end)), gpu_s=gpu_s, by="sreport")


def test_r10_the_schedulers_own_window_is_summed_up_by_account() -> None:
    records = (
        try_of("1", account="nlp"),
        try_of("2", account="vision", gpu_count=1),
        try_of("3", account="nlp", held=(HeldGpus("h100", 1, 500, Share.SHARD),)),
        try_of("4", account=None, queue="prod", gpu_count=4),
        try_of("5", account="later", started_at=at(9000), ended_at=at(9999)),
        try_of("6", account="doubt", doubt=safe("gone")),
        try_of("7", account="nlp", source="other"),
    )
    found = tally(records[:3], records[3:], own=own(1000, 2000, nlp=2000))
    assert found.accounts == {
        ("lab", "nlp"): AccountSum(2_500_000, 500_000, 2 * (2000 + 500)),
        ("lab", "vision"): AccountSum(1_000_000, 0, 2 * 1000),
        ("lab", ""): AccountSum(4_000_000, 0, 2 * 4000),
        ("lab", "doubt"): AccountSum(doubtful_ms=2_000_000),
    }


def test_r10_suspended_time_is_in_slurms_own_sums_where_whole_gpus_are_held() -> None:
    records = (
        try_of("1", account="nlp", suspended_s=600),
        try_of("2", account="nlp", suspended_s=600, held=(HeldGpus("h", 1, 500, Share.SHARD),)),
    )
    found = tally(records, own=own(0, 7200, nlp=7200)).accounts[("lab", "nlp")]
    assert (found.ours_ms, found.shared_ms) == (2500 * 3000, 500 * 3000)
    assert found.suspended_ms == 2000 * 600


def test_r10_only_gpus_across_an_edge_widen_the_tolerance() -> None:
    inside = tally((try_of(),), own=own(0, 7200, nlp=7200))
    assert inside.accounts[("lab", "nlp")].edge_milli == 0
    across = tally((try_of(),), own=own(0, 3600, nlp=7000))
    assert across.accounts[("lab", "nlp")] == AccountSum(7_000_000, 0, 2000)


def test_a_part_without_tries_adds_nothing() -> None:
    found = tally((), own=own(0, 3600))
    assert (found.tries, found.allocated_ms, found.accounts, found.energy_j) == (0, 0, {}, 0)
