"""Bars of use: full means all of it, empty none of it, and unknown is no bar."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.text import cells
from foundry_tui.presenters.bars import bar


@pytest.mark.parametrize(
    ("used", "of", "shown"),
    [
        (0, 64_000, "░░░░░░░░"),
        (1, 64_000, "█░░░░░░░"),
        (48_000, 64_000, "██████░░"),
        (63_999, 64_000, "███████░"),
        (64_000, 64_000, "████████"),
        (64_001, 64_000, "███████+"),
        (0, 0, "░░░░░░░░"),
        (500, 0, "███████+"),
        (None, 64_000, ""),
        (48_000, None, ""),
    ],
)
def test_a_bar(used: int | None, of: int | None, shown: str) -> None:
    assert bar(used, of, 8, ascii_only=False) == shown
    ascii_bar = bar(used, of, 8, ascii_only=True)
    assert ascii_bar == shown.replace("█", "#").replace("░", ".")


@given(
    st.one_of(st.none(), st.integers(0, 10**7)),
    st.one_of(st.none(), st.integers(0, 10**7)),
    st.integers(0, 60),
)
def test_a_bar_never_lies_about_nothing_all_or_too_much(
    used: int | None, of: int | None, width: int
) -> None:
    found = bar(used, of, width, ascii_only=True)
    if used is None or of is None or not width:
        assert found == ""
        return
    assert cells(found) == width
    assert found.endswith("+") == (used > of)
    if used <= of and width > 1:
        assert ("#" in found) == (used > 0)
        assert ("." in found) == (used < of or of == 0)
