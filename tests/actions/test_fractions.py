"""The command's words for runs, shares and assumptions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from foundry_tui.actions.errors import NothingMatched, WrongUse
from foundry_tui.actions.fractions import fractions, measured, share
from foundry_tui.actions.site import Site
from foundry_tui.cli.app import run
from foundry_tui.estate.fractions import Assumed
from foundry_tui.estate.snapshot import Snapshot, encode
from foundry_tui.store.history import HistoryError, RunHistory
from tests.tui.estates import still

GIB = 1 << 30


@pytest.fixture(scope="module")
def seen() -> Snapshot:
    return still().whole()


@pytest.fixture(scope="module")
def saved(seen: Snapshot, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("estate") / "estate.json"
    path.write_bytes(encode(seen))
    return str(path)


@pytest.mark.parametrize(
    ("text", "milli"), [("0.81", 810), ("1.0", 1000), (".5", 500), ("0.125", 125), ("0.001", 1)]
)
def test_a_decimal_is_a_share(text: str, milli: int) -> None:
    assert share(text) == milli


@pytest.mark.parametrize("text", ["810", "4340", "17_3", "sim-runai/0cad.26", "1.2.3", "zoe"])
def test_anything_else_is_a_run(text: str) -> None:
    assert share(text) is None


@pytest.mark.parametrize("text", ["1.5", "0.0", "0.0001", "0.8105"])
def test_no_share_of_one_gpu_is_refused_with_its_words(text: str) -> None:
    with pytest.raises(WrongUse, match=f"the share '{text}'"):
        share(text)


def test_a_share_and_a_run_are_answered_alone(seen: Snapshot) -> None:
    some = next(a for a in fractions(seen).runs)
    found = fractions(seen, ("0.77", some.run))
    assert {c.milli for c in found.costs} == {770, some.asked_milli}
    assert [a.run for a in found.runs] == [some.run]


def test_an_unknown_run_is_not_passed_over(seen: Snapshot) -> None:
    with pytest.raises(NothingMatched):
        fractions(seen, ("99999999",))


def test_what_is_assumed_is_named_as_evidence(seen: Snapshot) -> None:
    found = fractions(seen, assumed=Assumed(gpu_util_pct=20, mem_peak_bytes=4 * GIB))
    assert {a.basis for a in found.runs} == {"prior"}
    assert all("what you said" in " ".join(a.evidence) for a in found.runs)


def test_an_impossible_assumption_is_wrong_use(seen: Snapshot) -> None:
    with pytest.raises(WrongUse, match="mem_peak_bytes"):
        fractions(seen, assumed=Assumed(gpu_util_pct=20, mem_peak_bytes=90, device_bytes=80))


def test_the_command_prints_the_page_json_and_csv(
    saved: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--estate", saved, "fractions", "0.81"]) == 0
    page = capsys.readouterr().out
    assert "0.81 GPU costs 1.00 here: it strands 0.19" in page
    assert run(["--estate", saved, "--json", "fractions"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == "foundry.fractions/1"
    first = told["fractions"]["runs"][0]
    assert (first["safe_milli"], first["advised_milli"], first["basis"]) == (None, None, "none")
    assert told["fractions"]["costs"][0]["instead_milli"] == 700
    assert run(["--estate", saved, "--csv", "fractions"]) == 0
    assert capsys.readouterr().out.startswith("run,user,state,asked_milli,effective_milli")


def test_half_an_assumption_is_refused(saved: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--estate", saved, "fractions", "--memory", "4"]) == 2
    assert "--gpu-util and --memory together" in capsys.readouterr().err


def test_advice_carries_its_trade_offs_and_its_proof(saved: str, tmp_path: Path) -> None:
    target = tmp_path / "plan.json"
    words = ["advise", "--time-limit", "0", "--no-check", "-o", str(target)]
    assert run(["--estate", saved, *words]) == 0
    plan = json.loads(target.read_text())["plan"]
    points = plan["tradeoffs"]
    assert [p["moves"] for p in points] == list(range(len(plan["moves"]) + 1))
    assert {i for p in points for i in p["added"]} == {m["id"] for m in plan["moves"]}
    assert plan["unproven"]
    assert plan["sense"] in ("max", "min")


@pytest.mark.parametrize(
    "words",
    [
        ("advise", "--time-limit", "nan"),
        ("advise", "--time-limit", "inf"),
        ("fractions", "--gpu-util", "30", "--memory", "nan"),
        ("fractions", "--gpu-util", "30", "--memory", "1e300"),
        ("fractions", "--gpu-util", "30", "--memory", "3", "--device", "inf"),
    ],
)
def test_numbers_that_are_none_are_wrong_use(
    words: tuple[str, ...], saved: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--estate", saved, *words]) == 2
    told = capsys.readouterr().err
    assert words[-2] in told
    assert "give a finite number" in told


@dataclass
class Recorded:
    """A site whose history knows one run."""

    run: str
    told: list[str] = field(default_factory=list)
    broken: bool = False

    @property
    def past(self) -> Recorded:
        if self.broken:
            raise HistoryError("history.db: damaged; move it away")
        return self

    def tell(self, words: str) -> None:
        self.told.append(words)

    def runs(self, ids: Sequence[str]) -> dict[str, RunHistory]:
        assert self.run in ids
        start = datetime(2026, 11, 20, tzinfo=UTC)
        return {
            self.run: RunHistory(
                run=self.run,
                since=start,
                until=start + timedelta(hours=10),
                gpus=1,
                gpu_model="a100",
                shared=False,
                allocated_gpu_s=36_000,
                used_gpu_s=36_000,
                idle_gpu_s=0,
                unknown_gpu_s=0,
                util_counts=(0,) * 12 + (600,) + (0,) * 88,
                util_missing=0,
                mem_peak_bytes=4 * GIB,
                mem_total_bytes=80 * GIB,
            )
        }


def test_a_recorded_history_makes_advice(seen: Snapshot) -> None:
    run = next(a.run for a in fractions(seen).runs if a.basis == "none")
    site = Recorded(run)
    known = measured(cast(Site, site), seen)
    (advice,) = (a for a in fractions(seen, known=known).runs if a.run == run)
    assert advice.basis == "measured"
    assert advice.safe_milli is not None
    assert advice.safe_milli == 520, "12 % busy by the conservative rule; memory would ask for 62"


def test_a_broken_history_is_told_and_the_look_stands(seen: Snapshot) -> None:
    site = Recorded("", broken=True)
    known = measured(cast(Site, site), seen)
    assert site.told == ["history.db: damaged; move it away"]
    assert fractions(seen, known=known).runs == fractions(seen).runs
