"""Reports on a real Slurm's accounting, laid beside three others who read the same database.

The others are a sum over a raw `sacct` dump, which must give the same seconds, `sreport`, whose
differences are named one by one, and reportseff. What a young lab cannot have is made: its rows lie
two days back, and one is marked OUT_OF_MEMORY, because that state takes cgroups (with
`jobacct_gather/linux` and OverMemoryKill, Slurm 22.05 calls such a job FAILED by signal 9).
"""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from itertools import pairwise

import pytest

from tests.lab import reportseff
from tests.lab.books import HOSTILE, HOUR_S, Books, moment, sreport
from tests.lab.components import require
from tests.lab.slurm import SlurmLab
from tests.stories.reported import (
    WORTH_MILLI,
    Reports,
    by_account,
    clock_s,
    hours,
    hours_of,
    login,
    raw_sum,
    second,
    tries,
)

ENDS = {
    "array": ["cancelled"] * 3,
    "requeued": ["requeued", "cancelled"],
    "failed": ["failed"],
    "cancelled": ["cancelled"],
    "timed out": ["timeout"],
    "shards": ["cancelled"],
    "preempted": ["preempted", "cancelled"],
    "two kinds": ["cancelled"],
    "suspended": ["cancelled"],
    "out of memory": ["out_of_memory"],
    "whole": ["cancelled"],
    "heterogeneous": ["cancelled"] * 2,
    "mps": ["cancelled"],
    "dead node": ["node_fail"],
    **{what: ["completed"] for what in HOSTILE},
    "runaway": ["running"],
}


@pytest.fixture(scope="module")
def books(slurm_lab: SlurmLab) -> Books:
    """Jobs of every kind in the lab's accounting; there is no history of what GPUs did."""
    slurm_lab.reset()
    return Books.fill(slurm_lab)


@pytest.fixture(scope="module")
def reports(books: Books, tmp_path_factory: pytest.TempPathFactory) -> Reports:
    """`foundry report` on the login node of that lab."""
    return Reports(*login(books.lab, tmp_path_factory.mktemp("reports")))


@pytest.mark.parametrize("cut", ["hour before", "hour after", "both", "10 s"])
def test_r10_gpu_seconds_are_exactly_those_of_a_raw_dump(
    books: Books, reports: Reports, cut: str
) -> None:
    window = (books.border - 3, books.border + 7) if cut == "10 s" else hours_of(books, cut)
    expected = raw_sum(books.lab, window, WORTH_MILLI)
    assert len(expected) == 2, "a window in which both accounts held GPUs"
    jobs, _ = reports("jobs", window)
    assert by_account(jobs) == expected
    for name in ("usage-by-account", "usage-by-user"):
        rows, meta = reports(name, window)
        assert hours(rows) == expected
        totals = meta["totals"]
        assert totals["allocated_gpu_ms"] == sum(expected.values())
        parts = ("active_gpu_ms", "idle_gpu_ms", "unknown_gpu_ms")
        assert sum(totals[part] for part in parts) == totals["allocated_gpu_ms"]
        assert meta["reconciliation"]["accounting"]["exact"] is True


def test_r02_adjacent_windows_add_up_for_every_try_cut_through_its_middle(
    books: Books, reports: Reports
) -> None:
    start, end = hours_of(books, "both")
    cuts = (start, books.border - 6, books.border + 9, end)
    seconds: defaultdict[tuple[str, str], int] = defaultdict(int)
    accounts: Counter[str] = Counter()
    for window in pairwise(cuts):
        rows, _ = reports("jobs", window)
        for row in rows:
            seconds[row["job_id"], row["submit_utc"]] += int(row["elapsed_in_window_s"] or 0)
        accounts.update(hours(reports("usage-by-account", window)[0]))
    whole, _ = reports("jobs", (start, end))
    ended = [row for row in whole if row["end_utc"]]
    assert len(ended) > 20
    for row in ended:
        assert seconds[row["job_id"], row["submit_utc"]] == int(row["elapsed_s"]), row
    assert accounts == hours(reports("usage-by-account", (start, end))[0])


def test_r04_every_try_is_a_row_with_its_own_end(books: Books, reports: Reports) -> None:
    rows, _ = reports("jobs", hours_of(books, "both"))
    ends = {what: [row["state"] for row in tries(rows, books.jobs[what])] for what in ENDS}
    assert ends == ENDS
    for what in ("requeued", "preempted"):
        first, second = tries(rows, books.jobs[what])
        assert (first["run"], second["run"]) == ("1", "2")
        assert first["end_utc"] <= second["start_utc"]
    assert len({(r["job_id_raw"], r["submit_utc"], r["start_utc"]) for r in rows}) == len(rows)


def test_r05_a_requeued_try_waits_from_its_own_eligible_time(
    books: Books, reports: Reports
) -> None:
    rows, _ = reports("jobs", hours_of(books, "both"))
    first, second = tries(rows, books.jobs["requeued"])
    assert first["submit_utc"] < second["submit_utc"]
    assert second["first_submit_utc"] == first["submit_utc"]
    assert int(second["wait_s"]) < 10


def test_r06_array_tasks_and_parts_of_a_heterogeneous_job_are_rows_of_their_own(
    books: Books, reports: Reports
) -> None:
    rows, _ = reports("jobs", hours_of(books, "both"))
    array, het = books.jobs["array"], books.jobs["heterogeneous"]
    tasks = sorted(tries(rows, array), key=lambda row: row["job_id"])
    assert [task["job_id"] for task in tasks] == [f"{array}_{n}" for n in range(3)]
    assert {(task["array_job_id"], float(task["gpus_alloc"])) for task in tasks} == {(array, 1)}
    parts = tries(rows, het)
    assert [(part["het_offset"], part["gpu_type"]) for part in parts] == [
        ("0", "h100"),
        ("1", "a100"),
    ]


def test_r01_gpus_of_two_kinds_are_counted_once(books: Books, reports: Reports) -> None:
    window = hours_of(books, "both")
    (job,) = tries(reports("jobs", window)[0], books.jobs["two kinds"])
    assert (float(job["gpus_alloc"]), job["nodes_count"]) == (4, "2")
    assert set(job["gpu_type"].split(";")) == {"a100", "h100"}
    rows, _ = reports("usage-by-user", window)
    held = {r["gpu_type"]: r for r in rows if (r["user"], r["account"]) == ("lab_bob", "bio")}
    assert set(held) == {"a100", "h100"}
    half = 2 * int(job["elapsed_s"])
    assert {round(3600 * float(r["gpu_allocated_hours"])) for r in held.values()} == {half}


@pytest.mark.parametrize(("what", "gpus"), [("shards", 1.0), ("mps", 0.5)])
def test_r09_shares_of_a_gpu_count_as_the_part_that_they_are(
    books: Books, reports: Reports, what: str, gpus: float
) -> None:
    rows, _ = reports("jobs", hours_of(books, "both"))
    (row,) = tries(rows, books.jobs[what])
    assert float(row["gpus_alloc"]) == gpus


def test_r11_a_job_that_nobody_knows_any_more_stands_apart_and_costs_nothing(
    books: Books, reports: Reports
) -> None:
    window = hours_of(books, "hour after")
    rows, meta = reports("jobs", window)
    (lost,) = tries(rows, books.jobs["runaway"])
    assert (lost["state"], lost["end_utc"]) == ("running", "")
    assert float(lost["gpu_hours_in_window"] or 0) == 0
    (doubt,) = meta["counted_apart"]["doubtful"]
    assert doubt["tries"] == 1
    assert doubt["not_billed_gpu_s"] == 2 * (window[1] - second(lost["start_utc"]))


def test_r08_what_nobody_measured_is_unknown_and_not_idle(books: Books, reports: Reports) -> None:
    rows, meta = reports("usage-by-account", hours_of(books, "both"))
    assert rows
    for row in rows:
        assert row["gpu_unknown_hours"] == row["gpu_allocated_hours"]
        measured = ("gpu_active_hours", "gpu_idle_hours", "gpu_util_pct", "energy_kwh")
        assert {row[column] for column in measured} == {""}
    assert meta["totals"]["unknown_gpu_ms"] == meta["totals"]["allocated_gpu_ms"]
    assert meta["coverage"]["reason"]


@pytest.mark.parametrize("cut", ["hour before", "hour after", "both"])
def test_r10_the_difference_to_sreport_has_four_named_parts(
    books: Books, reports: Reports, cut: str
) -> None:
    start, end = window = hours_of(books, cut)
    own = sreport(books.lab, start, end)
    assert set(own) == {"ml", "bio"}
    jobs, meta = reports("jobs", window)
    ours = by_account(jobs)
    whole = raw_sum(books.lab, window, {"gres/gpu": 1000})
    twice = raw_sum(books.lab, window, {"gres/gpu": 1000}, twice=True)
    (suspended,) = tries(jobs, books.jobs["suspended"])
    lost = tries(jobs, books.jobs["runaway"])
    first, last = (second(suspended[f"{word}_utc"]) for word in ("start", "end"))
    at_rest_s = min(end, last) - max(start, first) - int(suspended["elapsed_in_window_s"])
    parts = {
        # sreport knows no shares of GPUs
        "shares": {account: ours[account] - whole[account] for account in own},
        # and counts twice what a job held before its size was changed
        "resized": {account: whole[account] - twice[account] for account in own},
        # a suspended job keeps its GPUs there
        "suspended": {"bio": -2000 * at_rest_s},
        # and what has no end runs up to the end of the last hour
        "no end": {"bio": -2000 * (end - second(lost[0]["start_utc"])) if lost else 0},
    }
    for account, own_s in own.items():
        named = sum(part.get(account, 0) for part in parts.values())
        assert ours[account] - named == 1000 * own_s, (account, parts)
    assert parts["shares"]["ml"] > 0 == parts["shares"]["bio"]
    (scheduler,) = meta["reconciliation"]["schedulers"]
    lines = {line["account"]: line for line in scheduler["accounts"]}
    assert {account: lines[account]["own_gpu_s"] for account in own} == own
    for account in own:
        line = lines[account]
        assert line["rows_gpu_s"] == ours[account] // 1000
        assert line["difference_gpu_s"] == line["rows_gpu_s"] - own[account]
        assert line["of_it_in_shares_gpu_s"] == parts["shares"][account] // 1000
        for part, name in (("suspended", "suspended"), ("no end", "in_doubt")):
            assert 1000 * line[f"of_it_{name}_gpu_s"] == parts[part].get(account, 0)
    assert lines["bio"]["explained"] is True


def test_reportseff_reads_the_same_jobs(books: Books, reports: Reports) -> None:
    require("reportseff", reportseff.missing())
    start, end = books.border - HOUR_S, books.border + HOUR_S
    words = (f"--since={moment(start)}", f"--until={moment(end)}", "--extra-args=--allusers")
    columns = ("State", "Elapsed", "Start", "End", "AllocTRES", "NNodes", "Account")
    env = {**books.lab.env, "TZ": "UTC"}
    theirs = reportseff.jobs(env, columns, *words)
    rows, _ = reports("jobs", (start, end))
    last = {row["job_id"]: row for row in rows}  # it keeps the last try of a job
    # it leaves heterogeneous jobs out, and mixes the two rows of a resized job
    apart = {books.jobs["resized"], books.jobs["runaway"]}
    shared = sorted(theirs.keys() & last.keys() - apart)
    left_out = last.keys() - theirs.keys()
    assert left_out == {f"{books.jobs['heterogeneous']}+{n}" for n in (0, 1)}
    assert len(shared) > 20
    for job in shared:
        mine, other = last[job], theirs[job]
        held = dict(item.split("=") for item in other["AllocTRES"].split(","))
        of_theirs = (
            other["State"].split(" ")[0].lower(),
            clock_s(other["Elapsed"]),
            f"{other['Start']}Z",
            f"{other['End']}Z",
            sum(int(held.get(name, 0)) * each for name, each in WORTH_MILLI.items()),
            other["NNodes"],
            other["Account"],
        )
        of_mine = (
            mine["state"],
            int(mine["elapsed_s"]),
            mine["start_utc"],
            mine["end_utc"],
            round(1000 * float(mine["gpus_alloc"])),
            mine["nodes_count"],
            mine["account"],
        )
        assert of_mine == of_theirs, job


def test_hostile_job_names_are_one_harmless_cell_each(books: Books, reports: Reports) -> None:
    rows, meta = reports("jobs", hours_of(books, "both"))
    named = {what: tries(rows, books.jobs[what])[0]["job_name"] for what in HOSTILE}
    assert named["pipe"] == HOSTILE["pipe"]
    assert named["formula"] == f"'{HOSTILE['formula']}"
    assert named["at"] == f"'{HOSTILE['at']}"
    for name in named.values():
        assert name.isprintable(), name
    assert meta["rejects"]["count"] == 0
    assert {float(tries(rows, books.jobs[what])[0]["gpus_alloc"]) for what in HOSTILE} == {1}


def test_the_same_books_give_the_same_bytes(books: Books, reports: Reports) -> None:
    window = hours_of(books, "both")
    for name in ("usage-by-user", "jobs"):
        first = reports.asked(name, window, "--by", "day")
        assert first.code == 0, first.err
        assert first.out == reports.asked(name, window, "--by", "day").out
        assert len(first.out.splitlines()) > 2


def test_an_anonymous_report_holds_the_figures_and_no_name(books: Books, reports: Reports) -> None:
    window = hours_of(books, "both")
    plain, _ = reports("usage-by-user", window)
    rows, meta = reports("usage-by-user", window, "--anonymise")
    text = json.dumps([rows, meta])
    for name in ("lab_alice", "lab_bob", "lab_carol", '"ml"', '"bio"'):
        assert name not in text
    assert sum(hours(rows).values()) == sum(hours(plain).values())
    assert sorted(r["gpu_allocated_hours"] for r in rows) == sorted(
        r["gpu_allocated_hours"] for r in plain
    )


def test_windows_without_a_job_are_empty_reports(books: Books, reports: Reports) -> None:
    at = books.border - 5 * HOUR_S
    for window in ((at, at), (at + 400 * 86400, at + 401 * 86400)):
        rows, meta = reports("usage-by-account", window)
        assert (rows, meta["totals"]["allocated_gpu_ms"]) == ([], 0)


def test_without_slurmdbd_no_report_is_written_and_the_message_says_why(
    books: Books, reports: Reports
) -> None:
    folder = reports.foundry.home / "nothing"
    folder.mkdir()
    with books.lab.dbd_down():
        answer = reports.asked("jobs", hours_of(books, "both"), "-o", str(folder))
    assert answer.code == 3, answer.err
    assert "sacct" in answer.err
    assert "Connection refused" in answer.err
    assert not list(folder.iterdir())


def test_without_the_controller_the_books_are_read_and_what_it_alone_knows_is_missing(
    books: Books, reports: Reports
) -> None:
    window = hours_of(books, "both")
    folder = reports.foundry.home / "alone"
    with books.lab.controller_down():
        answer = reports.asked("jobs", window, "-o", str(folder))
    assert answer.code == 0, answer.err
    assert "whether tries without an end still run is not known" in answer.err
    with (folder / "jobs.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, strict=True))
    assert by_account(rows) == raw_sum(books.lab, window, {"gres/gpu": 1000})
    for what in ("shards", "mps"):
        (row,) = tries(rows, books.jobs[what])
        assert (row["gpus_alloc"], row["gpu_hours"]) == ("", ""), "not 0"
