"""The census: tries counted into kinds, what accounting and scripts say of them, the board."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from foundry_tui.estate.gpu import Share
from foundry_tui.estate.run import RunState
from foundry_tui.estate.text import safe
from foundry_tui.estate.usage import HeldGpus, UsageRecord, Window
from foundry_tui.migration import tally as tallies
from foundry_tui.migration.board import board
from foundry_tui.migration.census import Census, Fate, Reading, interactive, judge, reading, unread
from foundry_tui.migration.nouns import Rank, Tables
from foundry_tui.migration.tally import Group, Sums, Tally
from foundry_tui.migration.translate import translate

START = datetime(2026, 11, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
WINDOW = Window(START, START + 10 * HOUR)
TABLES = Tables(
    partitions=(("gpu", "pool"),),
    accounts=(("nlp", "team-a"), ("vision", "team-b")),
    qos=(("normal", Rank("medium")),),
    image="registry.example.org/train:1",
)


def a_try(**given: Any) -> UsageRecord:
    """A try of two GPUs for two hours from the begin of the window, changed as given."""
    facts: dict[str, Any] = {
        "source": "lab",
        "native_id": "7",
        "raw_id": "7",
        "name": safe("train"),
        "user": "ann",
        "account": "nlp",
        "queue": "gpu",
        "qos": "normal",
        "state": RunState.COMPLETED,
        "submitted_at": START,
        "eligible_at": START,
        "started_at": START,
        "ended_at": START + 2 * HOUR,
        "gpu_count": 2,
        "gpu_milli": 2000,
    }
    return UsageRecord(**{**facts, **given})


def counted(*tries: UsageRecord) -> Tally:
    tally = Tally(WINDOW, WINDOW.end)
    tally.add(tries)
    return tally


def judged(*tries: UsageRecord, told: Reading | None = None) -> Census:
    tally = counted(*tries)
    readings = {} if told is None else dict.fromkeys(tally.groups, told)
    return judge(tally, readings, TABLES)


def fates(census: Census) -> dict[str, int]:
    return {fate.value: sums.runs for fate, sums in census.whole.fates.items() if sums.runs}


def test_gpu_hours_are_those_within_the_window_and_a_requeued_run_counts_once() -> None:
    before = a_try(started_at=START - HOUR, ended_at=START + HOUR, state=RunState.REQUEUED)
    later = a_try(started_at=START + HOUR, ended_at=START + 3 * HOUR, suspended_s=3600)
    running = a_try(raw_id="8", started_at=START + 9 * HOUR, ended_at=None, state=RunState.RUNNING)
    tally = counted(before, later, running, a_try(doubt=safe("no end")))
    (sums,) = tally.kinds.values()
    assert (sums.runs, sums.gpu_s / 3600, tally.doubtful) == (2, 2 + 2 + 2, 1)
    (hours,) = tally.hours.values()
    assert [round(gpu_s / 3600, 6) for gpu_s in hours.gpu_s] == [2, 1, 1, 0, 0, 0, 0, 0, 0, 2]
    assert tally.latest[Group("lab", "nlp", "ann", "train")].live == "8"


def test_names_beyond_the_most_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "MOST_GROUPS", 2)
    tally = counted(*(a_try(name=safe(f"run-{n}")) for n in range(5)))
    assert (len(tally.groups), len(tally.latest), tally.folded) == (3, 2, 3)
    census = judge(tally, dict.fromkeys(tally.latest, Reading()), TABLES)
    assert fates(census) == {"clean": 2, "not seen": 3}


def test_what_a_try_held_stays_unknown_where_it_is() -> None:
    tally = counted(a_try(held=(HeldGpus(None, 2, None),)), a_try())
    (sums,) = tally.kinds.values()
    assert (sums.runs, sums.unknown, sums.gpu_s / 3600) == (2, 1, 4)
    (hours,) = tally.hours.values()
    assert hours.unknown == {0, 1}
    assert Sums(1, 0.0, 1).gpu_hours is None


@pytest.mark.parametrize(
    ("given", "fate", "what"),
    [
        ({}, Fate.CLEAN, None),
        ({"queue": "old,gpu"}, Fate.HAND, "partition old"),
        ({"account": "bio"}, Fate.HAND, "account bio"),
        ({"qos": "urgent"}, Fate.HAND, "QOS urgent"),
        ({"reservation": "course"}, Fate.HAND, "reservation"),
        ({"het_offset": 0}, Fate.CANNOT, "heterogeneous job"),
        ({"held": (HeldGpus("1g", 1, 142, Share.MIG),)}, Fate.HAND, "MIG"),
        ({"held": (HeldGpus(None, 50, 500, Share.MPS),)}, Fate.HAND, "MPS"),
        ({"held": (HeldGpus(None, 1, 250, Share.SHARD),)}, Fate.HAND, "shards"),
    ],
)
def test_accounting_alone_says_what_is_in_the_way(
    given: dict[str, Any], fate: Fate, what: str | None
) -> None:
    census = judged(a_try(**given), told=Reading())
    assert fates(census) == {fate.value: 1}
    assert [reason.what for reason in census.whole.blocked] == ([what] if what else [])
    (row,) = census.accounts
    assert row.share(fate) == 1.0


def test_the_line_of_a_table_that_mends_it_is_told() -> None:
    (reason,) = judged(a_try(account='b"io'), told=Reading()).whole.blocked
    assert reason.mend == '"b\\"io" = "PROJECT"   in [accounts] of the tables'


def test_a_script_that_nobody_saw_is_unknown_unless_the_books_say_more() -> None:
    census = judged(a_try(), a_try(account="bio"), told=unread("refused"))
    assert fates(census) == {"not seen": 1, "hand": 1}
    assert (census.whole.by_books.runs, census.read, census.groups) == (1, 0, 2)


@pytest.mark.parametrize(
    ("script", "fate", "what"),
    [
        ("#SBATCH --account=nlp\n#SBATCH --partition=gpu\npython a.py", Fate.CLEAN, ()),
        ("#SBATCH --account=other\n#SBATCH --time=5\npython a.py", Fate.CLEAN, ()),
        (
            "#SBATCH --licenses=cfd\n#SBATCH --mail-type=END\npython a.py",
            Fate.HAND,
            ("--licenses",),
        ),
        ("python /data/a.py", Fate.HAND, ("path",)),
        ("#SBATCH --time='5\ntrue", Fate.CANNOT, ("script",)),
    ],
)
def test_a_script_adds_what_its_translation_found(
    script: str, fate: Fate, what: tuple[str, ...]
) -> None:
    made = translate("a.sh", f"#!/bin/sh\n{script}\n".encode(), TABLES, "runai")
    census = judged(a_try(), told=reading(made))
    assert fates(census) == {fate.value: 1}
    assert {reason.what for reason in census.whole.blocked} >= set(what)


def test_an_interactive_run_needs_a_person() -> None:
    assert fates(judged(a_try(), told=interactive())) == {"hand": 1}


def test_the_board_lays_both_sides_beside_each_other() -> None:
    census = judged(a_try(), a_try(account="vision"), a_try(account="bio"))
    there = {("ai", "team-a"): Sums(3, 4 * 3600.0), ("ai", "other"): Sums(1, 3600.0)}
    made = board(census, TABLES, there)
    moved = {line.row.account: line.moved for line in made.lines}
    assert moved == {"nlp": 0.5, "vision": 0.0, "bio": None}
    assert made.moved == 0.25
    assert [name for name, _ in made.others] == ["other"]
    unknown = board(census, TABLES, there, known=False)
    assert {line.moved for line in unknown.lines} == {unknown.moved} == {None}
    shared = Tables(accounts=(("nlp", "team-a"), ("vision", "team-a")))
    lines = {line.row.account: line for line in board(census, shared, there).lines}
    assert (lines["nlp"].moved, lines["nlp"].shared) == (None, ("vision",))
