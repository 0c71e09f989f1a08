"""Lines of text with tones, for the panels of the screens: pairs, paragraphs, bars of use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from foundry_tui.estate.text import SafeText, cells, safe
from foundry_tui.presenters.page import wrap

Line = list[tuple[str, str]]
"""Parts of one line, each a text and its tone."""


def paragraph(text: str, width: int, *, tone: str = "", indent: int = 1) -> list[Line]:
    """A text in lines of at most `width` cells."""
    space = " " * indent
    return [[(line, tone)] for line in wrap(text, max(8, width), first=space, rest=space)]


def pairs(rows: Iterable[tuple[str, str]], width: int, *, tone: str = "") -> list[Line]:
    """Names and values, the values below each other."""
    told = [(safe(name), value) for name, value in rows]
    wide = max((cells(name) for name, _ in told), default=0)
    lines: list[Line] = []
    for name, value in told:
        head = f" {name}{' ' * (wide - cells(name))}  "
        for n, line in enumerate(wrap(value, max(8, width), first=head, rest=" " * len(head))):
            cut = len(head) if n == 0 and line.startswith(head) else 0
            lines.append([(line[:cut], "dim"), (line[cut:], tone)] if cut else [(line, tone)])
    return lines


def beside(left: Sequence[Line], right: Sequence[Line], left_width: int) -> list[Line]:
    """Two blocks of lines next to each other."""
    lines: list[Line] = []
    for n in range(max(len(left), len(right))):
        first = list(left[n]) if n < len(left) else []
        taken = sum(cells(SafeText(text)) for text, _ in first)
        gap = (" " * max(1, left_width - taken), "")
        lines.append([*first, gap, *right[n]] if n < len(right) else first)
    return lines


def heading(text: str) -> Line:
    """The name of a part of a panel."""
    return [(f" {text}", "strong")]
