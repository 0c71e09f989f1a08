"""What a report tells beside its rows, so that nobody takes a part of it for the whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from foundry_tui.actions.errors import WrongUse
from foundry_tui.actions.reports import make as report
from foundry_tui.config.model import Reporting
from foundry_tui.estate.text import safe
from foundry_tui.estate.usage import Accounting, OwnTotals, Window
from tests.actions.reports.test_make import DAY, TWO, Books, asked, site
from tests.reports.joining.test_join import ALONE, held_try, recorded

PRICES = "gpu_type,price_per_gpu_hour,currency,valid_from_utc,valid_to_utc\n"


class Telling(Books):
    """A source with a note that names a job."""

    def usage(
        self, window: Window, *, users: tuple[str, ...] | None = None
    ) -> Iterator[Accounting]:
        for part in super().usage(window, users=users):
            yield replace(part, notes=(safe("secret-model: it was stopped and resumed"),))


def test_r11_tries_that_are_not_billed_are_told_with_the_reason(tmp_path: Path) -> None:
    lost = held_try("17", 0, 60, doubt=safe("its nodes are down: a01"))
    silent = held_try("18", 0, 60, gpu_count=None, gpu_milli=None)
    back = replace(TWO[1], started_at=TWO[1].ended_at, ended_at=TWO[1].started_at)
    made = report.make(site(tmp_path, Books("alpha", [[lost, silent, back]])), asked())
    assert [note for note in made.notes if note.startswith("not billed")] == [
        "not billed: 1 try in doubt: its nodes are down: a01",
        "not billed: 1 try whose GPUs accounting does not tell",
        "not billed: 1 try that end before they begin",
    ]


@pytest.mark.parametrize(("theirs", "told"), [(3600, 0), (0, 1)])
def test_r10_sums_that_nothing_explains_are_told(tmp_path: Path, theirs: int, told: int) -> None:
    own = OwnTotals(window=DAY, gpu_s={safe("nlp"): theirs, safe("bio"): 3600}, by="sreport")
    made = report.make(site(tmp_path, Books("alpha", [TWO], own=own)), asked())
    odd = [note for note in made.notes if "its own sums differ for nlp by more" in note]
    assert len(odd) == told


def test_a_filter_that_leaves_nothing_is_told_and_one_that_leaves_some_is_not(
    tmp_path: Path,
) -> None:
    where = site(tmp_path, Books("alpha", [TWO]))
    made = report.make(where, asked(users=("alcie",)))
    assert "nothing in this window is of --user alcie" in made.notes
    made = report.make(where, asked(users=("alice", "alcie")))
    assert not any("nothing in this window" in note for note in made.notes)


def test_a_queue_that_nothing_is_known_of_is_told_for_reports_of_gpus(tmp_path: Path) -> None:
    past = recorded(tmp_path / "h", [(ALONE, {0: 100.0})] * 30)
    where = site(tmp_path, Books("alpha", [TWO]), past=past)
    made = report.make(where, asked("capacity", queues=("prdo",)))
    assert made.row_count == 0
    assert "nothing in this window is of --queue prdo" in made.notes


def test_prices_are_read_for_reports_with_money_only(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("no table")
    past = recorded(tmp_path / "h", [(ALONE, {0: 100.0})] * 30)
    where = site(tmp_path, Books("alpha", [TWO]), past=past)
    where.config = replace(where.config, reports=Reporting(prices=tmp_path / "p.csv"))
    with pytest.raises(WrongUse, match=r"^reports\.prices: prices .*p\.csv: no column gpu_type"):
        report.make(where, asked())
    assert report.make(where, asked("gpu-health")).row_count > 0
    made = report.make(where, asked("gpu-health", prices=tmp_path / "p.csv"))
    assert "the report gpu-health is not about money: prices are left out" in made.notes


def test_r14_types_without_a_price_are_told(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(PRICES + "l40s,1,EUR,,\n")
    made = report.make(site(tmp_path, Books("alpha", [TWO])), asked(prices=tmp_path / "p.csv"))
    assert "no price, so that the cost is empty: GPUs of type h100" in made.notes


@pytest.mark.parametrize("only", [(), ("bob",)])
def test_a_note_names_no_job_in_an_anonymous_report(tmp_path: Path, only: tuple[str, ...]) -> None:
    """Not even one that the filters left out."""
    job = held_try("17", 0, 60, name=safe("secret-model"))
    where = site(tmp_path, Telling("alpha", [[job, TWO[1]]]))
    made = report.make(where, asked("jobs", users=only, anonymise=True))
    (note,) = made.meta["sources"][0]["notes"]
    assert note.startswith("job-")
    assert note.endswith(": it was stopped and resumed")
    assert "secret-model" not in json.dumps(made.meta)
