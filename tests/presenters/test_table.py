"""Tables fit their terminal, whatever is in them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tui.estate.text import SafeText, cells, safe
from foundry_tui.presenters.page import Style, finish, wrap
from foundry_tui.presenters.table import Column, draw

TEXT = st.text(
    st.one_of(st.characters(), st.sampled_from("日本語ｆ한é\u0301\u200d\x1b[]\t\n🧪")), max_size=30
)
COLUMNS = (
    Column("ID", min_width=4, stretch=True),
    Column("NAME", min_width=6, priority=2, stretch=True),
    Column("GPUS", "right", priority=1),
    Column("STATE", state=True),
)


def safe_rows(rows: list[list[str]]) -> list[list[SafeText]]:
    """Rows as an adapter hands them on."""
    return [[safe(cell) for cell in row] for row in rows]


@settings(max_examples=200)
@given(
    st.lists(st.lists(TEXT, min_size=4, max_size=4), max_size=6),
    st.integers(min_value=1, max_value=200),
    st.booleans(),
)
def test_no_line_is_wider_than_the_terminal(
    rows: list[list[str]], width: int, ascii_only: bool
) -> None:
    style = Style(width=width, ascii=ascii_only)
    drawn = draw(COLUMNS, safe_rows(rows), style)
    for line in finish(drawn.lines, style).split("\n"):
        assert cells(SafeText(line)) <= width
        assert safe(line, max_cells=1000) == line
        assert line.isascii() or not ascii_only


@settings(max_examples=100)
@given(st.lists(st.lists(TEXT, min_size=4, max_size=4), min_size=1, max_size=6))
def test_columns_stand_straight_under_their_titles(rows: list[list[str]]) -> None:
    plain = [[*row[:3], "running"] for row in rows]
    style = Style(width=200)
    lines = draw(COLUMNS, safe_rows(plain), style).lines
    starts = {cells(SafeText(line[: line.rindex("running")])) for line in lines[1:]}
    assert starts == {cells(SafeText(lines[0][: lines[0].rindex("STATE")]))}


def test_room_is_made_by_shrinking_then_by_the_lowest_priority() -> None:
    rows = safe_rows([["a-long-id", "a-very-long-name-indeed", "1000", "running"]])
    wide = draw(COLUMNS, rows, Style(width=60))
    assert wide.lines[1] == "a-long-id  a-very-long-name-indeed  1000  running"
    tight = draw(COLUMNS, rows, Style(width=30))
    assert tight.hidden == ()
    assert tight.lines[1] == "a-long…  a-ver…  1000  running"
    tighter = draw(COLUMNS, rows, Style(width=24))
    assert tighter.hidden == ("NAME",)
    assert tighter.lines == ["ID         GPUS  STATE", "a-long-id  1000  running"]


def test_wide_shows_everything_whole() -> None:
    rows = safe_rows([["a-long-id", "a-very-long-name-indeed", "1000", "running"]])
    drawn = draw(COLUMNS, rows, Style(width=10, wide=True))
    assert drawn.hidden == ()
    assert "a-very-long-name-indeed" in drawn.lines[1]


def test_only_states_are_coloured_and_the_text_stays_the_same() -> None:
    rows = safe_rows([["running", "x", "1", "running"], ["2", "x", "1", "failed"]])
    plain = draw(COLUMNS, rows, Style()).lines
    coloured = draw(COLUMNS, rows, Style(colour=True)).lines
    assert coloured[1].count("\x1b[") == 2
    assert coloured[1].startswith("running")
    assert "\x1b[32mrunning" in coloured[1]
    assert "\x1b[31mfailed" in coloured[2]
    stripped = [line.replace("\x1b[32m", "").replace("\x1b[31m", "") for line in coloured]
    assert [line.replace("\x1b[0m", "").rstrip() for line in stripped] == plain


@given(TEXT, st.integers(min_value=1, max_value=100))
def test_wrapped_text_fits_and_loses_no_letter(text: str, width: int) -> None:
    lines = wrap(text, width)
    for line in lines:
        assert cells(SafeText(line)) <= max(width, 8)  # a stand-in such as ‹202e› is not cut
    shown = safe(text, max_cells=8 * len(text))
    assert "".join("".join(lines).split()) == "".join(shown.split())


def test_wrapped_lines_are_indented() -> None:
    assert wrap("one two three", 9, first="- ", rest="  ") == ["- one two", "  three"]
    assert wrap("abcdefgh", 5, first="- ", rest="  ") == ["- abc", "  def", "  gh"]


def test_ascii_replaces_cell_by_cell() -> None:
    style = Style(ascii=True)
    assert finish(["— x… é日 ·"], style) == "- x~ ??? |"
