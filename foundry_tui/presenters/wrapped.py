"""A table whose cells take several lines where they are long: nothing is cut."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from foundry_tui.estate.text import SafeText, cells, pad
from foundry_tui.presenters.page import Style, wrap
from foundry_tui.presenters.table import GAP, Column, fit

LEAST_CELLS = 9
"""A column narrower than this is no longer read: the values then stand below each other."""


Section = tuple[Sequence[SafeText], Sequence[Sequence[SafeText]]]
"""The titles of the columns, the first of which names the section, and its rows."""


def wrapped(sections: Sequence[Section], style: Style) -> list[str]:
    """Sections with the same columns below each other, an empty line behind each.

    They take at most `style.width` cells, or one line for each row when `wide`. Where the columns
    would get too narrow, each row is a block: its first cell, and below it the others with their
    titles.
    """
    whole = [row for header, rows in sections for row in (header, *rows)]
    natural = [max(map(cells, column)) for column in zip(*whole, strict=True)]
    widths = natural
    if not style.wide:
        columns = [Column("", min_width=LEAST_CELLS, stretch=True) for _ in natural]
        fitted = fit(columns, natural, style.width)
        widths = [fitted.get(n, 0) for n in range(len(natural))]
    narrow = any(width < min(LEAST_CELLS, natural[n]) for n, width in enumerate(widths))
    lines: list[str] = []
    for header, rows in sections:
        if narrow:
            lines += _blocks(header, rows, style)
        else:
            lines += [line for row in (header, *rows) for line in _row(row, widths)]
        lines.append("")
    return lines


def _row(row: Sequence[SafeText], widths: Sequence[int]) -> list[str]:
    parts = [wrap(cell, max(1, width)) for cell, width in zip(row, widths, strict=True)]
    lines = []
    for line in zip_longest(*parts, fillvalue=""):
        padded = (pad(SafeText(text), width) for text, width in zip(line, widths, strict=True))
        lines.append((" " * GAP).join(padded).rstrip())
    return lines


def _blocks(
    header: Sequence[SafeText], rows: Sequence[Sequence[SafeText]], style: Style
) -> list[str]:
    longest = max(cells(title) for title in header[1:])
    wide = min(longest, style.width // 3)
    lines = wrap(f"{header[0]}:", style.width)
    for row in rows:
        lines += wrap(row[0], style.width)
        for title, cell in zip(header[1:], row[1:], strict=True):
            first = f"  {pad(title, wide)}  "
            lines += wrap(cell, style.width, first=first, rest=" " * (wide + 4))
    return lines
