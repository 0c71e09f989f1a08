"""Tries without an end that nobody runs, and the peaks that Slurm itself saw."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import pytest

from foundry_tui.estate.usage import Window
from foundry_tui.schedulers.ports import Unavailable
from foundry_tui.schedulers.slurm.accounting.ledger import Ledger
from tests.schedulers.slurm.accounting.sacctbooks import DAY, NOW, TRES, Books, Job, ledger
from tests.schedulers.slurm.accounting.sacctrows import MARK, T0, at


def doubts(books: Books, private: Callable[[], frozenset[str]] = frozenset) -> list[str | None]:
    opened = ledger(books, private)
    (part,) = opened.parts(Window(at(T0), at(T0 + DAY)), at(NOW))
    return [r.doubt for r in part.records]


RUNS: Job = ("7", T0, T0 + 10, None)


def test_r11_a_job_that_the_controller_forgot_is_in_doubt() -> None:
    known = f"7|R|{T0 + 10}\n".encode()
    assert doubts(Books(jobs=[RUNS], squeue=known)) == [None]
    (forgotten,) = doubts(Books(jobs=[RUNS], squeue=b"8|R|1\n"))
    assert forgotten is not None
    assert "does not know it any more" in forgotten
    (later,) = doubts(Books(jobs=[RUNS], squeue=f"7|R|{T0 + 99}\n".encode()))
    assert later is not None
    assert "a later try" in later


def test_r11_what_ended_waits_or_is_about_to_end_is_in_no_doubt() -> None:
    over: Job = ("7", T0, T0 + 10, T0 + 20)
    waits: Job = ("7", T0, None, None)
    books = Books(jobs=[over, waits])
    assert doubts(books) == [None, None]
    assert not [a for a in books.asked if a[0] == "squeue"]
    just_over = f"7|CD|{T0 + 10}\n".encode()
    assert doubts(Books(jobs=[RUNS], squeue=just_over)) == [None]
    planned = f"7|PD|{T0 + 999}\n".encode()
    assert doubts(Books(jobs=[RUNS], squeue=planned)) == [None]


@pytest.mark.parametrize(
    ("states", "believed"),
    [("h01|down\n", False), ("h01|down*\n", False), ("h01|mixed*\n", True), ("h02|down\n", True)],
)
def test_r11_a_job_on_a_dead_node_is_in_doubt(states: str, believed: bool) -> None:
    known = f"7|R|{T0 + 10}\n".encode()
    (doubt,) = doubts(Books(jobs=[RUNS], squeue=known, sinfo=states.encode()))
    assert (doubt is None) == believed
    assert believed or (doubt is not None and doubt.endswith("nodes are down: h01"))


def test_r11_a_controller_that_is_silent_is_noted_and_nobody_is_doubted() -> None:
    books = Books(jobs=[RUNS], squeue=Unavailable("squeue", "connection refused"))
    (part,) = ledger(books).parts(Window(at(T0), at(T0 + DAY)), at(NOW))
    assert [r.doubt for r in part.records] == [None]
    assert "connection refused" in part.notes[0]


def test_r11_a_silent_controller_is_asked_once_for_all_parts() -> None:
    jobs: list[Job] = [(str(day), T0 + day * DAY, T0 + day * DAY, None) for day in range(3)]
    books = Books(jobs=jobs, squeue=Unavailable("squeue", "timed out"))
    found = list(ledger(books).parts(Window(at(T0), at(T0 + 3 * DAY)), at(NOW)))
    assert [len(part.records) for part in found] == [1, 1, 1]
    assert [len(part.notes) for part in found] == [1, 0, 0]
    assert len([a for a in books.asked if a[0] == "squeue"]) == 1

    def silent() -> NoReturn:
        raise Unavailable("scontrol show nodes", "connection refused")

    opened = Ledger.opened(books, "lab", silent, frozenset)
    (first, *_) = opened.parts(Window(at(T0), at(T0 + 3 * DAY)), at(NOW))
    assert "connection refused" in first.notes[0]
    assert len([a for a in books.asked if a[0] == "squeue"]) == 1


def test_r11_where_others_are_hidden_nobody_is_doubted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 20001)
    hidden = Books(jobs=[RUNS], squeue=b"")
    opened = ledger(hidden, lambda: frozenset({"jobs"}))
    (part,) = opened.parts(Window(at(T0), at(T0 + DAY)), at(NOW))
    assert [r.doubt for r in part.records] == [None]
    assert any("PrivateData" in note for note in part.notes)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    (doubt,) = doubts(hidden, lambda: frozenset({"jobs"}))
    assert doubt is not None


def step(name: str, start: int, usage: str) -> bytes:
    return b"".join(cell.encode() + MARK for cell in (name, str(start), usage)) + b"\n"


def test_peaks_are_those_of_the_steps_of_a_try() -> None:
    steps = (
        step("7", T0 + 10, "")
        + step("7.batch", T0 + 10, "cpu=00:00:01,gres/gpumem=900M,gres/gpuutil=41,mem=2M")
        + step("7.0", T0 + 12, "gres/gpuutil=87")
        + step("7.1", T0 + 300, "gres/gpuutil=99")
        + step("7.2", T0 + 301, "gres/gpuutil=?")
        + step("8.0", T0 + 12, "gres/gpuutil=100")
    )
    tries: list[Job] = [("7", T0, T0 + 10, T0 + 20), ("7", T0 + 200, T0 + 300, T0 + 400)]
    keeps = TRES + b"gres|gpuutil\n"
    books = Books(jobs=tries, tres=keeps, steps=steps)
    (part,) = ledger(books).parts(Window(at(T0), at(T0 + DAY)), at(NOW))
    assert [r.gpu_util_peak_pct for r in part.records] == [87.0, 99.0]
    asked = [a for a in books.asked if a[0] == "sacct"]
    assert ["-X" in a for a in asked] == [True, False]
    assert all("-D" in a for a in asked)


def test_no_peaks_are_asked_for_where_slurmdbd_keeps_none() -> None:
    books = Books(jobs=[("7", T0, T0 + 10, T0 + 20)], steps=step("7.0", T0 + 12, "gres/gpuutil=9"))
    (part,) = ledger(books).parts(Window(at(T0), at(T0 + DAY)), at(NOW))
    assert [r.gpu_util_peak_pct for r in part.records] == [None]
    assert len([a for a in books.asked if a[0] == "sacct"]) == 1
