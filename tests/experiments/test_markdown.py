"""Text from outside in Markdown: shown as it is, and obeyed in nothing."""

from __future__ import annotations

import html

from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from foundry_tui.estate.text import safe
from foundry_tui.experiments.markdown import block, escape, table

READER = MarkdownIt("gfm-like", {"html": True, "linkify": False}).enable("table")
NASTY = st.text(alphabet="|`*_[]()<>~#!\\&;:/.@$^{}=+-\"' aw1\n\t\x1bé漢", max_size=40)


def cells(lines: list[str]) -> list[list[Token]]:
    """The inline tokens of each cell of a table."""
    tokens = READER.parse("\n".join(lines))
    return [t.children or [] for t in tokens if t.type == "inline"]


def shown(text: str) -> str:
    return " ".join(safe(text, max_cells=500).split())


@given(NASTY | st.text(max_size=40))
@example("a | b")
@example("\\| x \\")
@example("[a](javascript:alert(1))")
@example("<img src=x onerror=alert(1)>")
@example("<!-- ")
@example("``` `a` ~~~")
@example("![x](http://y)")
@example("&lt;b&gt; &#124;")
@example("__init__ **x** ~~y~~ $z$")
def test_a_cell_shows_the_text_and_nothing_else(text: str) -> None:
    found = cells(table(["a", "b"], [[text, "end"]]))
    assert len(found) == 4, "as many cells as there are"
    assert all(t.type in ("text", "text_special") for t in found[2]), found[2]
    assert "".join(t.content for t in found[2]).strip() == shown(text)
    assert "".join(t.content for t in found[3]) == "end"


@given(NASTY)
def test_a_heading_stays_one(text: str) -> None:
    tokens = READER.parse(f"# x {escape(text)}")
    assert [t.type for t in tokens] == ["heading_open", "inline", "heading_close"]
    assert "".join(t.content for t in tokens[1].children or []) == f"x {shown(text)}".strip()


@given(st.lists(NASTY, max_size=4))
def test_a_block_ends_where_it_should(lines: list[str]) -> None:
    tokens = READER.parse("\n".join([*block(lines), "after"]))
    assert [t.type for t in tokens] == ["fence", "paragraph_open", "inline", "paragraph_close"]
    assert tokens[0].content == "".join(f"{safe(line, max_cells=500)}\n" for line in lines)


def test_no_address_becomes_a_link() -> None:
    linking = MarkdownIt("gfm-like", {"html": True})
    for text in ("https://evil.example/x", "www.evil.example", "mailto:a@b.example"):
        rendered = linking.render(escape(text))
        assert "<a " not in rendered, rendered
        assert text in html.unescape(rendered)


def test_a_long_value_says_that_it_was_cut() -> None:
    assert escape("x" * 600).endswith("…")
    assert table(["a"], [[None], [""]])[2:] == ["| — |", "|   |"]
