"""Fractions: a cost is always named, advice is only given where something carries it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from foundry_tui.estate.fractions import Assumed
from foundry_tui.estate.gpu import Gpu, Share, Tenant
from foundry_tui.estate.run import ArrayPart, Placement, Request, Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import safe
from foundry_tui.optimiser.fractions import Known, cost, fractions, only, readings, tariffs
from scheduler_sim.fractions.history import Histogram, Usage

NOW = datetime(2026, 3, 14, 9, 30, tzinfo=UTC)
GIB = 1 << 30
DEVICE = 80 * GIB


def run(number: int, milli: int | None, *, source: str = "ai", **given: object) -> Run:
    """A running run with a share of GPU `number` of a01; None for an unknown share."""
    plain: dict[str, object] = {
        "id": f"{source}/{number}",
        "native_id": str(number),
        "source": source,
        "scheduler": "runai",
        "name": safe(f"r{number}"),
        "state": RunState.RUNNING,
        "user": "zoe",
        "request": Request(gpu_count=1, gpu_milli=milli),
        "placement": (Placement("a01", (number,)),),
    }
    return Run(**{**plain, **given})  # type: ignore[arg-type]


def estate(*runs: Run, gpus: tuple[Gpu, ...] = ()) -> Snapshot:
    return Snapshot(generated_at=NOW, sources=(), nodes=(), gpus=gpus, queues=(), runs=runs)


def gpu(index: int, *runs: str, util_pct: float | None = 30.0, **given: object) -> Gpu:
    plain: dict[str, object] = {
        "node": "a01",
        "index": index,
        "source": "ai",
        "tenants": tuple(Tenant(r, 100, Share.FRACTION) for r in runs),
        "util_pct": util_pct,
        "mem_used_bytes": 10 * GIB,
        "mem_total_bytes": DEVICE,
    }
    return Gpu(**{**plain, **given})  # type: ignore[arg-type]


MIX = tuple(run(n, 810) for n in range(4)) + tuple(run(n, 230) for n in range(4, 8))
"""The published example: 0.81 has no partner of 0.19, and 0.77 would have one of 0.23."""


def usage(level: float, samples: int = 500, peak: int = 10 * GIB) -> Known:
    return Known(
        Usage(
            gpu_util=Histogram.of([level] * samples),
            memory_util=Histogram.of([level / 10] * samples),
            mem_peak_bytes=peak,
        ),
        DEVICE,
        "h100",
    )


def test_a_share_without_partners_costs_the_whole_gpu_and_a_smaller_one_finds_them() -> None:
    found = fractions(estate(*MIX))
    first = found.costs[0]
    assert (first.milli, first.asked_by, first.source) == (810, 4, "ai")
    assert first.effective_milli == pytest.approx(1000)
    assert first.stranded_milli == pytest.approx(190)
    assert first.partners == ()
    assert first.instead_milli == 770
    assert first.why == (
        "0.81 GPU costs 1.00 here: it strands 0.19; 0.77 finds partners (0.23 beside it): it "
        "gives up 0.04 and saves 0.25"
    )


def test_nothing_is_advised_from_no_data() -> None:
    found = fractions(estate(*MIX))
    assert len(found.runs) == 8
    for advice in found.runs:
        assert (advice.safe_milli, advice.advised_milli, advice.basis) == (None, None, "none")
        assert advice.why == "not advised: no history"
        assert advice.effective_milli > 0


def test_one_reading_is_no_history() -> None:
    found = fractions(estate(*MIX, gpus=(gpu(0, "ai/0"),)))
    by_run = {a.run: a for a in found.runs}
    assert by_run["ai/0"].why == "not advised: no history, 1 reading"
    assert by_run["ai/0"].advised_milli is None


def test_a_history_is_advised_by_down_to_what_finds_partners() -> None:
    found = fractions(estate(*MIX), known={"ai/0": usage(0.3)})
    advice = found.runs[0]
    assert advice.run == "ai/0"
    assert advice.basis == "measured"
    assert advice.safe_milli is not None
    assert advice.safe_milli < 770
    assert advice.advised_milli == 770
    assert advice.mig_profile is None  # 0.7 of the speed is needed: only the whole device has that
    light = fractions(estate(*MIX), known={"ai/0": usage(0.1)}).runs[0]
    assert light.mig_profile == "4g.40gb of H100-80GB"
    assert "ask for 0.77, after a canary" in advice.why
    assert any("500 samples" in words for words in advice.evidence)
    assert [a.advised_milli for a in found.runs[1:]] == [None] * 7


def test_memory_is_hard() -> None:
    found = fractions(estate(*MIX), known={"ai/0": usage(0.05, peak=60 * GIB)})
    advice = found.runs[0]
    assert advice.safe_milli is not None
    assert advice.safe_milli >= 1000 * 1.1 * 60 / 80
    assert advice.advised_milli is not None
    assert advice.advised_milli >= advice.safe_milli
    assert advice.why.startswith("0.81 is too little, ask for 0.84")


def test_a_thin_history_is_none() -> None:
    found = fractions(estate(*MIX), known={"ai/0": usage(0.3, samples=50)})
    assert found.runs[0].advised_milli is None
    assert any("50 samples" in a.why for a in found.runs)


def test_a_stated_prior_stands_in_for_a_history_and_says_so() -> None:
    said = Assumed(
        gpu_util_pct=20, mem_peak_bytes=10 * GIB, device_bytes=DEVICE, origin="the users' own word"
    )
    found = fractions(estate(*MIX), assumed=said)
    assert {a.basis for a in found.runs} == {"prior"}
    assert all(any("the users' own word" in w for w in a.evidence) for a in found.runs)
    measured = fractions(estate(*MIX), assumed=said, known={"ai/0": usage(0.3)})
    assert {a.run: a.basis for a in measured.runs}["ai/0"] == "measured"


def test_a_prior_on_a_device_of_unknown_size_advises_nothing() -> None:
    said = Assumed(gpu_util_pct=20, mem_peak_bytes=GIB)
    found = fractions(estate(*MIX), assumed=said)
    assert {a.advised_milli for a in found.runs} == {None}
    assert {a.why for a in found.runs} == {
        "not advised: no history, and the memory of its device is not known"
    }


def test_a_shared_devices_reading_is_nobodys_own() -> None:
    gpus = (gpu(0, "ai/0", "ai/1"), gpu(2, "ai/2"), gpu(3, "ai/3", util_pct=None))
    found = readings(estate(*MIX, gpus=gpus))
    assert found["ai/0"] == found["ai/1"] == Known(Usage(), DEVICE)
    assert found["ai/2"].usage.gpu_util == Histogram.of([0.3])
    silent = found["ai/3"].usage.gpu_util
    assert silent is not None
    assert (silent.seen, silent.missing) == (0, 1)


def test_sources_do_not_lend_each_other_partners() -> None:
    lab = replace(run(9, 190), id="lab/9", source="lab")
    costs = {(c.source, c.milli): c for c in fractions(estate(*MIX, lab)).costs}
    assert costs["ai", 810].stranded_milli == pytest.approx(190)


def test_few_shares_alone_are_not_free() -> None:
    found = fractions(estate(run(0, 250), run(1, 250)))
    assert found.costs[0].effective_milli >= 250


def test_arrays_count_their_tasks_and_what_has_ended_counts_nothing() -> None:
    array = replace(MIX[0], array=ArrayPart("0", "1-1000", 1000), state=RunState.PENDING)
    ended = replace(MIX[1], state=RunState.COMPLETED)
    found = fractions(estate(array, ended, *MIX[4:]))
    assert {c.milli: c.asked_by for c in found.costs} == {810: 1000, 230: 4}
    assert len(found.runs) == 5


def test_whole_and_unknown_shares_are_left_out_and_the_unknown_counted() -> None:
    found = fractions(estate(*MIX, run(8, 1000), run(9, None)))
    assert len(found.runs) == 8
    assert "left out: 1 run tells no share of a GPU" in found.notes


def test_a_whole_gpu_of_which_a_tenth_is_used_is_advised_a_share() -> None:
    small = usage(0.05, peak=4 * GIB)
    runs = (run(0, 1000), run(1, 1000), run(2, 1000), run(3, 1000))
    known = {"ai/0": small, "ai/1": usage(0.9), "ai/2": usage(0.05, samples=5)}
    found = fractions(estate(*runs), known=known)
    (advice,) = found.runs
    assert (advice.run, advice.asked_milli, advice.basis) == ("ai/0", 1000, "measured")
    assert advice.advised_milli is not None
    assert advice.safe_milli is not None
    assert advice.safe_milli <= advice.advised_milli <= 500, advice.why
    assert found.costs == (), "nobody asks for a share yet, so none has a cost"
    named = only(found, (), {"ai/0", "ai/1"})
    assert [a.run for a in named.runs] == ["ai/0"]
    assert "1 of the runs ask for no share" in named.notes[-1]


def test_several_whole_gpus_and_the_waiting_are_not_cut() -> None:
    small = usage(0.05, peak=4 * GIB)
    several = run(0, 2000, request=Request(gpu_count=2, gpu_milli=2000))
    ended = run(1, 1000, state=RunState.COMPLETED)
    assert fractions(estate(several, ended), known={"ai/0": small, "ai/1": small}).runs == ()


def test_without_any_share_no_price_is_known_and_that_is_said() -> None:
    found = fractions(estate(run(8, 1000)), wanted=(810,))
    assert found.costs == ()
    assert found.notes == (
        "no live run asks for a share of a GPU: what the rest of one is worth is not known",
    )


def test_a_share_that_nobody_asks_for_yet_has_a_cost_too() -> None:
    found = only(fractions(estate(*MIX), wanted=(770, 810)), (770,), set())
    assert [(c.milli, c.asked_by) for c in found.costs] == [(770, 0)]
    assert found.costs[0].stranded_milli < 190
    assert found.runs == ()


def test_named_runs_come_with_the_cost_of_their_shares() -> None:
    found = only(fractions(estate(*MIX)), (), {"ai/4", "ai/99"})
    assert [a.run for a in found.runs] == ["ai/4"]
    assert [c.milli for c in found.costs] == [230]
    assert found.notes[-1].startswith("1 of the runs ask for no share, and are not known")


@pytest.mark.parametrize("milli", [0, 1001, -1])
def test_no_share_of_one_gpu(milli: int) -> None:
    with pytest.raises(ValueError, match="milli"):
        cost(tariffs(MIX)["ai"], "ai", milli, 0)
