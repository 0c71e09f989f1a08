"""A file system that does not answer is left in time."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import pytest

from foundry_tui.jobs.preflight.patience import within
from foundry_tui.jobs.preflight.verdict import Check, State, ok


def test_what_answers_is_what_it_says() -> None:
    assert within(5, "paths", lambda: [ok("a", "b")]) == (ok("a", "b"),)


def test_what_hangs_is_left_with_a_warning() -> None:
    gone = threading.Event()

    def hangs() -> Iterable[Check]:
        gone.wait(30)
        return ()

    (check,) = within(0.05, "paths", hangs)
    gone.set()
    assert (check.name, check.state) == ("paths", State.WARN)
    assert "within 0.05 s" in check.words


def test_a_fault_is_not_swallowed() -> None:
    def fails() -> Iterable[Check]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        within(5, "paths", fails)
