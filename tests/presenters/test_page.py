"""Wrapping: words never stand letter below letter because of what stands before them."""

from __future__ import annotations

import pytest

from foundry_tui.presenters.page import wrap


def test_words_that_have_no_room_beside_a_wide_head_go_below_it() -> None:
    head = "lab/a-very-long-name-of-a-run  "
    assert wrap("one two", 20, first=head, rest="    ") == [head, "    one two"]
    assert wrap("one two", len(head) + 3, first=head, rest="    ") == [f"{head}one", "    two"]


def test_an_indent_takes_at_most_half_of_the_line() -> None:
    head = "  field-of-a-long-name  "
    lines = wrap("one two three", 20, first=head, rest=" " * len(head))
    assert lines == [head, " " * 10 + "one two", " " * 10 + "three"]


def test_a_word_wider_than_the_line_comes_in_pieces() -> None:
    assert wrap("abcdefgh", 6, first="  ", rest="  ") == ["  abcd", "  efgh"]
    assert wrap("a bcdef", 3) == ["a", "bcd", "ef"]


@pytest.mark.parametrize("width", range(1, 30))
@pytest.mark.parametrize("head", ["", "  ", "  - ", "GPUs   "])
def test_no_word_is_lost_and_none_is_alone_on_a_blank_line(width: int, head: str) -> None:
    lines = wrap("alpha beta gamma", width, first=head, rest=" " * len(head))
    assert "".join("".join(lines).split()) == "".join(f"{head}alphabetagamma".split())
    assert all(line.strip() for line in lines[1:])


def test_no_text_is_one_line_with_its_head() -> None:
    assert wrap("", 10, first="head ") == ["head "]
