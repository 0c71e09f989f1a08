"""The sidecar: everything that a reader of the file must know, and no name that was hidden."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from foundry_tui import __version__
from foundry_tui.estate.run import RunState
from foundry_tui.estate.text import safe
from foundry_tui.estate.usage import OwnTotals, Window
from foundry_tui.reports.columns import names
from foundry_tui.reports.jobs.columns import COLUMNS
from foundry_tui.reports.prices import Prices
from foundry_tui.reports.writing import sidecar
from foundry_tui.reports.writing.anonymise import Pseudonyms
from foundry_tui.reports.writing.checks import Tally
from foundry_tui.reports.writing.sidecar import Facts, Source, Telemetry
from tests.reports.jobs.test_rows import MONTH, NOW, part_of, seen
from tests.reports.parts import at, try_of

NAMES = Pseudonyms(b"0123456789abcdef")
READINGS = Telemetry(resolution_s=3600, idle_pct=1.0, start=at(0), end=at(7200))


def facts(**more: Any) -> Facts:
    """What a report without tries says of itself."""
    base = Facts(
        report="jobs",
        schema_version=1,
        columns=COLUMNS,
        window=MONTH,
        by="week",
        as_of=NOW,
        command=("foundry", "report", "jobs", "--user", "alice"),
        sources=(Source(name="lab", scheduler="slurm"),),
        telemetry=READINGS,
        rows=3,
    )
    return replace(base, **more)


def tally(own: OwnTotals | None = None) -> Tally:
    """Two tries that were seen in part, one in doubt."""
    found = Tally(MONTH, NOW, {} if own is None else {"lab": own})
    part = part_of(try_of("1"), try_of("2", user="bob", account="vision", gpu_count=1))
    cells = {"used_ms": [1500, 0], "idle_ms": [0, 500], "powered_ms": [1000, 0]}
    found.add(seen(part, **cells, energy_j=[2.6, 0.0]))
    doubt = safe("alice: node a01 is down")
    found.add(part_of(try_of("3", state=RunState.RUNNING, ended_at=None, doubt=doubt)))
    return found


def test_it_says_what_was_asked_of_whom_and_when() -> None:
    meta = sidecar.meta(facts(filters={"users": ("alice",), "accounts": ()}))
    assert meta["tool"] == f"foundry {__version__}"
    assert meta["command"] == ["foundry", "report", "jobs", "--user", "alice"]
    assert meta["window"] == {
        "start": "2026-03-01T00:00:00Z",
        "end": "2026-04-01T00:00:00Z",
        "half_open": True,
        "by": "week",
    }
    assert (meta["as_of"], meta["timezone"]) == ("2026-05-10T00:00:00Z", "UTC")
    assert (meta["report"], meta["schema_version"], meta["rows"]) == ("jobs", 1, 3)
    assert tuple(meta["columns"]) == names(COLUMNS)
    assert meta["filters"] == {"users": ["alice"]}
    assert (meta["prices"], meta["anonymised"]) == (None, False)
    assert meta["sources"] == [{"name": "lab", "scheduler": "slurm", "answered": True, "notes": []}]


def test_a_report_of_state_has_no_totals_of_runs() -> None:
    meta = sidecar.meta(facts(definitions=("stranded: idle, and no CPU is left",)))
    assert meta["definitions"] == ["stranded: idle, and no CPU is left"]
    assert {"totals", "coverage", "counted_apart", "reconciliation"}.isdisjoint(meta)


def test_r08_the_threshold_of_idle_and_the_resolution_are_told() -> None:
    assert sidecar.meta(facts())["telemetry"] == {
        "resolution_s": 3600,
        "idle_threshold_pct": 1.0,
        "start": "2026-03-01T00:00:00Z",
        "end": "2026-03-01T02:00:00Z",
        "reason": None,
    }
    none = Telemetry(resolution_s=None, idle_pct=None, reason="there is no history")
    assert sidecar.meta(facts(telemetry=none))["telemetry"]["reason"] == "there is no history"


def test_r10_totals_are_whole_gpu_seconds_with_their_thousandths() -> None:
    meta = sidecar.meta(facts(tally=tally()))
    totals = meta["totals"]
    assert (totals["allocated_gpu_s"], totals["allocated_gpu_ms"]) == (10_800, 10_800_000)
    assert (totals["active_gpu_s"], totals["active_gpu_ms"]) == (1, 1500)
    assert (totals["idle_gpu_ms"], totals["unknown_gpu_ms"]) == (500, 10_798_000)
    assert totals["energy_j"] == 3
    assert meta["coverage"] == {"telemetry_pct": 0.02, "energy_pct": 0.01, "reason": None}
    assert meta["tries"] == 3
    assert any("allocated = active + idle + unknown" in words for words in meta["definitions"])


def test_coverage_of_no_time_is_not_zero() -> None:
    meta = sidecar.meta(facts(tally=Tally(MONTH, NOW)))
    assert meta["coverage"]["telemetry_pct"] is None


def test_r11_what_is_not_billed_is_told_with_its_reason_and_its_gpu_seconds() -> None:
    apart = sidecar.meta(facts(tally=tally()))["counted_apart"]
    (doubtful,) = apart.pop("doubtful")
    going_s = int((MONTH.end - at(100)).total_seconds())
    assert doubtful == {
        "reason": "alice: node a01 is down",
        "tries": 1,
        "not_billed_gpu_s": 2 * going_s,
        "not_billed_gpu_ms": 2000 * going_s,
    }
    assert apart == {"running": 0, "gpus_unknown": 0, "end_unknown": 0, "end_before_start": 0}


def test_r10_the_rows_reconcile_with_the_accounting() -> None:
    meta = sidecar.meta(facts(tally=tally()))["reconciliation"]
    assert meta["accounting"]["exact"] is True
    assert meta["accounting"]["difference_gpu_ms"] == 0
    assert meta["schedulers"] == []
    wrong = tally()
    wrong.allocated_ms += 1
    found = sidecar.meta(facts(tally=wrong))["reconciliation"]["accounting"]
    assert (found["exact"], found["difference_gpu_ms"]) == (False, 1)


def own(start: float, end: float, **gpu_s: int) -> OwnTotals:
    """The scheduler's own sums of a window."""
    return OwnTotals(
        window=Window(at(start), at(end)),
        gpu_s=gpu_s,
        by="sreport cluster AccountUtilizationByUser",
        notes=(safe("idle time of reservations is split; nlp has one"),),
    )


def test_r10_differences_to_the_schedulers_own_sums_are_itemised() -> None:
    meta = sidecar.meta(facts(tally=tally(own(0, 3600, nlp=7000, vision=0, other=50))))
    (found,) = meta["reconciliation"]["schedulers"]
    assert found["window"] == {"start": "2026-03-01T00:00:00Z", "end": "2026-03-01T01:00:00Z"}
    assert (found["rows_gpu_s"], found["own_gpu_s"]) == (10_500, 7050)
    assert (found["difference_gpu_s"], found["explained"]) == (3450, False)
    lines = {line["account"]: line for line in found["accounts"]}
    assert lines["nlp"] == {
        "account": "nlp",
        "rows_gpu_s": 7000,
        "own_gpu_s": 7000,
        "difference_gpu_s": 0,
        "of_it_in_shares_gpu_s": 0,
        "of_it_suspended_gpu_s": 0,
        "of_it_in_doubt_gpu_s": -7000,
        "gpus_across_edges": 2.0,
        "tolerance_gpu_s": 7200,
        "explained": True,
    }
    vision, other = lines["vision"], lines["other"]
    assert (vision["difference_gpu_s"], vision["tolerance_gpu_s"]) == (3500, 3600)
    assert vision["explained"]
    assert (other["difference_gpu_s"], other["tolerance_gpu_s"]) == (-50, 0)
    assert not other["explained"]


def test_a_source_without_sums_of_its_own_is_told_with_the_reason() -> None:
    plain = sidecar.meta(facts(tally=tally()))["reconciliation"]["not_compared"]
    limited = sidecar.meta(facts(tally=tally(), filters={"users": ("alice",)}))
    assert [(one["source"], "no sums" in one["reason"]) for one in plain] == [("lab", True)]
    assert "limited" in limited["reconciliation"]["not_compared"][0]["reason"]
    compared = sidecar.meta(facts(tally=tally(own(0, 3600, nlp=7000))))
    assert compared["reconciliation"]["not_compared"] == []


def test_r10_inside_the_window_the_sums_must_be_equal() -> None:
    meta = sidecar.meta(facts(tally=tally(own(0, 7200, nlp=7200, vision=3599))))
    lines = meta["reconciliation"]["schedulers"][0]["accounts"]
    assert [(line["account"], line["explained"]) for line in lines] == [
        ("nlp", True),
        ("vision", False),
    ]


def test_an_account_that_the_scheduler_does_not_name_is_not_zero_there() -> None:
    meta = sidecar.meta(facts(tally=tally(own(0, 3600, nlp=7000))))
    lines = meta["reconciliation"]["schedulers"][0]["accounts"]
    assert [(line["account"], line["own_gpu_s"]) for line in lines] == [
        ("nlp", 7000),
        ("vision", None),
    ]


def test_r03_rejects_are_counted_and_the_first_are_shown() -> None:
    rejects = tuple(f"row {n}: 3 fields" for n in range(25))
    source = Source(name="lab", scheduler="slurm", rejects=rejects)
    found = sidecar.meta(facts(sources=(source,)))["rejects"]
    assert found["count"] == 25
    assert found["first"] == [f"lab: row {n}: 3 fields" for n in range(20)]


def test_a_source_that_did_not_answer_is_told() -> None:
    source = Source(name="lab", scheduler="slurm", answered=False, notes=("slurmdbd is down",))
    (found,) = sidecar.meta(facts(sources=(source,)))["sources"]
    assert (found["answered"], found["notes"]) == (False, ["slurmdbd is down"])


def test_prices_are_named_by_file_and_content() -> None:
    table = Prices(table=(), name="prices.csv", sha256="ab" * 32)
    found = sidecar.meta(facts(prices=table))["prices"]
    assert found == {"file": "prices.csv", "sha256": "ab" * 32}


def test_no_name_is_left_in_the_sidecar_of_an_anonymised_report() -> None:
    given = facts(
        command=(
            "foundry",
            "report",
            "jobs",
            "--user",
            "alice",
            "-o",
            "/home/bob/x",
            "--anonymise",
        ),
        filters={"users": ("alice",), "accounts": ("nlp",), "queues": ("vision",)},
        sources=(
            Source(
                name="lab",
                scheduler="slurm",
                notes=("account nlp has no quota",),
                rejects=("99|alice|carol|3 fields",),
            ),
        ),
        tally=tally(own(0, 3600, nlp=7000, vision=0)),
        prices=Prices(table=(), name="alice.csv", sha256="ab" * 32),
    )
    NAMES.part(part_of(try_of("1"), try_of("2", user="bob", account="vision")))
    meta = sidecar.meta(given, NAMES)
    text = json.dumps(meta)
    for name in ("alice", "bob", "carol", "nlp", "vision"):
        assert name not in text, name
    assert meta["anonymised"] is True
    assert meta["rejects"] == {"count": 1, "first": ["withheld"]}
    assert meta["filters"]["users"] == [NAMES.user("alice")]
    accounts = [line["account"] for line in meta["reconciliation"]["schedulers"][0]["accounts"]]
    assert accounts == sorted([NAMES.account("nlp"), NAMES.account("vision")])
    plain = sidecar.meta(given)
    assert "alice" in json.dumps(plain), "what is hidden above is there otherwise"


def test_a_history_that_cannot_be_read_does_not_name_whose_it_is() -> None:
    why = "history not opened: /home/bob/.local/state/history.sqlite: it is damaged"
    measured = Telemetry(resolution_s=None, idle_pct=None, reason=why)
    meta = sidecar.meta(facts(telemetry=measured, tally=tally()), NAMES)
    expected = "history not opened: withheld: it is damaged"
    assert (meta["telemetry"]["reason"], meta["coverage"]["reason"]) == (expected, expected)


def test_it_is_the_same_bytes_for_the_same_report() -> None:
    texts = [json.dumps(sidecar.meta(facts(tally=tally(own(0, 3600, nlp=7000))))) for _ in range(2)]
    assert texts[0] == texts[1]
