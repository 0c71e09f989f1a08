"""A table that cuts nothing."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.text import SafeText, cells, safe
from foundry_tui.presenters.page import Style
from foundry_tui.presenters.wrapped import Section, wrapped

WORDS = st.lists(st.text("abcé漢-", min_size=1, max_size=30), min_size=1, max_size=4).map(
    lambda words: safe(" ".join(words))
)


@st.composite
def sections(draw: st.DrawFn) -> list[Section]:
    count = draw(st.integers(2, 6))
    row = st.lists(WORDS, min_size=count, max_size=count)
    return draw(st.lists(st.tuples(row, st.lists(row, max_size=3)), min_size=1, max_size=3))


@given(sections(), st.integers(12, 120))
def test_every_character_is_shown_and_no_line_is_too_wide(made: list[Section], width: int) -> None:
    lines = wrapped(made, Style(width=width))
    assert all(cells(SafeText(line)) <= width for line in lines)
    told = Counter("".join(cell for _, rows in made for row in rows for cell in row))
    shown = Counter("".join(lines))
    assert all(shown[char] >= count for char, count in told.items() if char != " ")


@given(sections())
def test_wide_takes_a_line_for_each_row(made: list[Section]) -> None:
    lines = wrapped(made, Style(width=20, wide=True))
    assert len(lines) == sum(2 + len(rows) for _, rows in made)
    for _, rows in made:
        for row in rows:
            assert any(all(cell in line for cell in row) for line in lines)


def test_columns_are_the_same_in_all_sections() -> None:
    one = ([safe("A"), safe("x"), safe("y")], [[safe("key"), safe("1"), safe("2")]])
    two = ([safe("B"), safe("x"), safe("y")], [[safe("longer key"), safe("12"), safe("word " * 9)]])
    assert wrapped([one, two], Style(width=40)) == [
        "A           x   y",
        "key         1   2",
        "",
        "B           x   y",
        "longer key  12  word word word word word",
        "                word word word word",
        "",
    ]


def test_too_narrow_for_columns() -> None:
    long = safe("value " * 4)
    made = ([safe("Params"), *[safe(f"run-{n}") for n in range(4)]], [[safe("lr"), *[long] * 4]])
    lines = wrapped([made], Style(width=30))
    assert lines[:4] == ["Params:", "lr", "  run-0  value value value", "         value"]
