"""A long window in parts: every try in exactly one, smaller parts where a day is too much."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from foundry_tui.estate.usage import Window
from foundry_tui.process import TooMuch
from foundry_tui.schedulers.ports import Denied, Unavailable
from foundry_tui.schedulers.slurm.accounting import ledger as accounting
from foundry_tui.schedulers.slurm.accounting.allocated import Allocations
from foundry_tui.schedulers.slurm.accounting.ledger import SPANS_S, Ledger, read_accounting
from foundry_tui.schedulers.slurm.commands import Commands, NoAnswer
from tests.schedulers.slurm.accounting.sacctbooks import DAY, HOUR, NOW, Books, Job, ledger
from tests.schedulers.slurm.accounting.sacctrows import NODES, T0, at, ids


def parts(books: Books, start: int, end: int, now: int = NOW) -> list[list[str]]:
    """The ids in each part."""
    window = Window(at(start), at(end))
    return [ids(p.records) for p in ledger(books).parts(window, at(now))]


def test_a_window_is_read_day_by_day() -> None:
    books = Books()
    window = Window(at(T0 + 5 * HOUR), at(T0 + 2 * DAY + HOUR))
    found = [p.window for p in ledger(books).parts(window, at(NOW))]
    assert found == [
        Window(at(T0 + 5 * HOUR), at(T0 + DAY)),
        Window(at(T0 + DAY), at(T0 + 2 * DAY)),
        Window(at(T0 + 2 * DAY), at(T0 + 2 * DAY + HOUR)),
    ]
    assert books.spans()[0] == ("2026-11-21T05:00:00", "2026-11-22T00:00:00")
    sacct = next(a for a in books.asked if a[0] == "sacct")
    assert {"-a", "-X", "-D", "--noconvert"} <= set(sacct)
    assert "-T" not in sacct


def test_r03_the_mark_is_a_new_one_for_each_call() -> None:
    books = Books()
    parts(books, T0, T0 + 3 * DAY)
    marks = {word for a in books.asked for word in a if word.startswith("--delimiter=")}
    assert len(marks) == 3
    assert all(mark.partition("=")[2].startswith("\x1f") for mark in marks)


def test_r04_a_try_comes_in_the_part_in_which_it_started() -> None:
    jobs: list[Job] = [
        ("before and on", T0 - DAY, T0 - DAY, T0 + 3 * DAY),
        ("long", T0 + DAY, T0 + DAY + 5, T0 + 3 * DAY),
        ("runs", T0, T0 + DAY, None),
        ("never started", T0 + 5, None, T0 + DAY + 7),
        ("waits", T0 + 5, None, None),
        ("waited in it", T0 + 5, T0 + 5 * DAY, T0 + 6 * DAY),
        ("ended as it began", T0 - DAY, T0 - 5, T0),
        ("came and went as it began", T0, T0, T0),
        ("clock jumped", T0 + DAY, T0 + 2 * DAY, T0 + DAY + 3),
        ("eligible after its start", T0 + DAY, T0 + 5, T0 + 2 * DAY),
    ]
    first, second, third = parts(Books(jobs=jobs), T0, T0 + 3 * DAY)
    assert first == ["before and on", "came and went as it began"]
    assert second == [
        "long",
        "runs",
        "never started",
        "clock jumped",
        "eligible after its start",
    ]
    assert third == ["waits", "waited in it"]


BORDERS = [day * DAY + off for day in range(-1, 5) for off in (-1, 0, 1)]
"""Where parts begin and end: there a try could come twice, or not at all."""

moments = (st.integers(-2 * DAY, 6 * DAY) | st.sampled_from(BORDERS)).map(lambda s: T0 + s)


@st.composite
def tries(draw: st.DrawFn, *, in_order: bool = False) -> Job:
    """Started and ended in any order, but never over before it was eligible, as in slurmdbd."""
    eligible = draw(moments)
    started, ended = draw(st.none() | moments), draw(st.none() | moments)
    if in_order and started is not None:
        started = max(started, eligible)
    return "x", eligible, started, ended if ended is None else max(ended, eligible)


@given(st.lists(tries(), max_size=8), moments, st.integers(1, 3 * DAY), moments)
@example([("x", T0, T0 + DAY, T0 + DAY)], T0, 2 * DAY, T0 + 10 * DAY)
def test_r04_each_try_that_touches_a_window_comes_exactly_once(
    jobs: list[Job], start: int, length: int, now: int
) -> None:
    named = [(str(i), *job[1:]) for i, job in enumerate(jobs)]
    window = Window(at(start), at(start + length))
    whole = read_accounting(Books(jobs=named), "lab", window, Allocations(NODES))
    found = [name for part in parts(Books(jobs=named), start, start + length, now) for name in part]
    assert sorted(found) == sorted(ids(whole.records))
    for name, eligible, started, ended in named:
        touches = eligible < start + length and (ended is None or ended > start)
        assert not touches or name in found, (name, eligible, started, ended)


@given(
    st.lists(tries(in_order=True), max_size=8), moments, st.integers(1, DAY), st.integers(1, DAY)
)
def test_r02_the_seconds_of_adjacent_windows_add_up(
    jobs: list[Job], start: int, first: int, second: int
) -> None:
    books = Books(jobs=jobs)

    def seconds(begin: int, end: int) -> int:
        window = Window(at(begin), at(end))
        found = read_accounting(books, "lab", window, Allocations(NODES)).records
        return sum(window.overlap_s(r.started_at, r.ended_at) for r in found)

    middle, end = start + first, start + first + second
    assert seconds(start, end) == seconds(start, middle) + seconds(middle, end)


def test_what_lies_ahead_is_no_part_of_its_own() -> None:
    books = Books(jobs=[("waits", T0, None, None)])
    assert parts(books, T0, T0 + 9 * DAY, now=T0 + DAY + 7) == [[], ["waits"]]
    assert books.spans()[-1] == ("2026-11-22T00:00:00", "2026-11-30T00:00:00")
    ahead = Books(jobs=[("waits", T0, None, None)])
    assert parts(ahead, T0 + 5 * DAY, T0 + 9 * DAY, now=T0) == [["waits"]]
    assert len(ahead.spans()) == 1


def test_an_empty_window_is_one_empty_part_and_asks_for_no_tries() -> None:
    books = Books(jobs=[("runs", T0, T0, None)])
    assert parts(books, T0 + 9, T0 + 9) == [[]]
    assert books.spans() == []


def too_much() -> Unavailable:
    error = Unavailable("sacct", "printed more than 1 bytes")
    error.__cause__ = TooMuch("sacct printed more than 1 bytes")
    return error


@pytest.mark.parametrize("error", [too_much(), NoAnswer("sacct", "no answer within 90 s")])
def test_where_a_day_is_too_much_parts_become_smaller(error: Exception) -> None:
    jobs: list[Job] = [(str(h), T0 + h * HOUR, T0 + h * HOUR, T0 + 40 * HOUR) for h in range(30)]
    books = Books(jobs=jobs, fails=lambda start, end: error if end - start > 6 * HOUR else None)
    found = parts(books, T0, T0 + 30 * HOUR)
    assert [name for part in found for name in part] == [str(h) for h in range(30)]
    assert len(found) == 5
    assert books.spans()[0][1] == "2026-11-22T00:00:00"
    assert len(books.spans()) == 6


def children(folder: Path, sacct: str) -> Ledger:
    """The ledger of a Slurm whose `sacct` is this script; what it is asked stands in `asked`."""
    for name, text in (("sacct", sacct), ("sacctmgr", "echo 'gres|gpu'")):
        (folder / name).write_text(f'#!/bin/sh\necho "$*" >> {folder}/asked\n{text}\n')
        (folder / name).chmod(0o755)
    return Ledger.opened(Commands(None, str(folder)), "lab", lambda: NODES, frozenset)


def test_a_real_child_that_prints_without_end_is_asked_for_less_and_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLURM_CONF", raising=False)
    monkeypatch.setattr(accounting, "PART_BYTES", 100_000)
    monkeypatch.setattr(accounting, "LAST_BYTES", 200_000)
    opened = children(tmp_path, "exec yes")
    with pytest.raises(Unavailable, match="sacct printed more than 200000 bytes"):
        list(opened.parts(Window(at(T0), at(T0 + DAY)), at(NOW)))
    asked = (tmp_path / "asked").read_text().splitlines()[1:]
    ends = [line.split(" -E ")[1].split()[0] for line in asked]
    assert ends == ["2026-11-22T00:00:00", "2026-11-21T06:00:00", "2026-11-21T01:00:00"]


def test_a_real_child_that_takes_too_long_is_asked_for_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLURM_CONF", raising=False)
    monkeypatch.setattr(accounting, "PART_TIMEOUT_S", 0.2)
    opened = children(tmp_path, 'case "$*" in *"-E 2026-11-21T02:00:00"*) sleep 60;; esac')
    # Two hours are one part by day and by quarter of a day; the last hour ends as they do.
    start = at(T0) + timedelta(minutes=30)
    read = opened.parts(Window(start, at(T0 + 2 * HOUR)), at(NOW))
    assert next(read).window == Window(start, at(T0 + HOUR))
    monkeypatch.setattr(accounting, "LAST_TIMEOUT_S", 0.2)
    with pytest.raises(Unavailable, match=r"within 0\.2 s"):
        next(read)
    assert len((tmp_path / "asked").read_text().splitlines()) == 1 + len(SPANS_S) + 1


def test_an_hour_that_is_too_much_is_an_error() -> None:
    books = Books(fails=lambda start, end: NoAnswer("sacct", f"{end - start} s"))
    with pytest.raises(Unavailable, match="3600 s"):
        parts(books, T0, T0 + 2 * DAY)
    assert len(books.spans()) == len(SPANS_S)


@pytest.mark.parametrize(
    "error", [Unavailable("sacct", "Connection refused"), Denied("sacct", "not for you")]
)
def test_an_answer_that_is_no_matter_of_size_is_not_asked_for_again(error: Exception) -> None:
    books = Books(fails=lambda start, end: error)
    with pytest.raises(type(error), match=str(error)):
        parts(books, T0, T0 + 2 * DAY)
    assert len(books.spans()) == 1


def test_r08_a_slurmdbd_that_keeps_no_gpus_is_told_and_says_nothing_of_them() -> None:
    books = Books(jobs=[("x", T0, T0, T0 + 9)], tres=b"cpu|\nmem|\n")
    (part,) = ledger(books).parts(Window(at(T0), at(T0 + DAY)), at(NOW))
    assert "AccountingStorageTRES" in part.notes[0]
    whole = Allocations(NODES, tracked=False).of(b"cpu=1,node=1", NODES_KIND, 1, True)
    assert whole.held is None


NODES_KIND = Allocations(NODES).place(b"h01").kind


def test_users_are_asked_for_by_name() -> None:
    books = Books()
    window = Window(at(T0), at(T0) + timedelta(hours=1))
    list(ledger(books).parts(window, at(NOW), users=("ada", "bob")))
    (sacct,) = (a for a in books.asked if a[0] == "sacct")
    assert sacct[1:3] == ("-u", "ada,bob")
    assert "-a" not in sacct
