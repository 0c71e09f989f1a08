"""Text from outside as Markdown that shows it and obeys none of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from foundry_tui.estate.text import safe

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "`": "&#96;"}
"""Written as entities: a table splits at `|` even behind a backslash in some readers."""

_MARKS = frozenset("\\*_[]~#$@^{}!")
"""Punctuation that begins something in CommonMark, GitHub's dialect or its mathematics."""

_ADDRESS = re.compile(r"(?i)(?<=[a-z0-9+.-]):(?=//)|(?<=\bwww)\.|(?<=mailto):|(?<=xmpp):")
MOST_CELLS = 500
"""Longer values end in `…`: a report is read, and the record has the whole."""


def escape(text: str, *, most: int = MOST_CELLS) -> str:
    """One line of Markdown that shows `text`, in a table or a heading, and makes no link of it.

    Blanks at its ends go. Invisible and control characters are shown by name, as on the screens.
    """
    shown = " ".join(safe(text, max_cells=most).split())
    marked = _ADDRESS.sub(lambda found: f"\0{found[0]}", shown)
    return "".join(map(_escaped, marked)).replace("\0", "\\")


def table(header: Sequence[str], rows: Iterable[Sequence[str | None]]) -> list[str]:
    """A table whose cells are escaped; None is `—`."""
    lines = [_line(header), "|" + " --- |" * len(header)]
    lines += [_line(row) for row in rows]
    return lines


def block(lines: Iterable[str]) -> list[str]:
    """Lines as they are, in a fence that is longer than any of theirs."""
    kept = [safe(line, max_cells=MOST_CELLS) for line in lines]
    longest = max((len(run) for line in kept for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", *kept, fence]


def _line(row: Sequence[str | None]) -> str:
    cells = ("—" if cell is None else escape(cell) or " " for cell in row)
    return "| " + " | ".join(cells) + " |"


def _escaped(char: str) -> str:
    if char in _ENTITIES:
        return _ENTITIES[char]
    return f"\\{char}" if char in _MARKS else char
