"""What of a run's inputs can be had again, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from foundry_tui.estate.text import SafeText, safe
from foundry_tui.presenters.page import Style, finish, wrap
from foundry_tui.presenters.records.nouns import Record
from foundry_tui.presenters.table import Column, draw

COLUMNS = (Column("INPUT"), Column("HELD", state=True), Column("HOW IT IS KNOWN", stretch=True))
MARGIN = 2
MOST_CELLS = 1 << 22
"""More than a spec can hold: the terminal breaks long lines."""


class HeldInput(Protocol):
    """One kind of input, and whether it can be had as it was."""

    @property
    def what(self) -> str: ...
    @property
    def held(self) -> str: ...
    @property
    def words(self) -> SafeText: ...


def inputs_text(title: str, inputs: Sequence[HeldInput], promise: str, style: Style) -> str:
    """The list of inputs, whole words, in the width of the page."""
    told = max((len(str(one.words)) for one in inputs), default=0)
    names = max((len(one.what) for one in inputs), default=0)
    lines = wrap(title, style.width)
    if names + told + 14 <= style.width or style.wide:
        rows = [(safe(one.what), safe(str(one.held)), one.words) for one in inputs]
        lines += ["", *draw(COLUMNS, rows, style).lines]
    else:
        lines.append("")
        for one in inputs:
            first = f"{one.what}: {one.held}: "
            lines += wrap(str(one.words), style.width, first=first, rest=" " * MARGIN)
    lines += ["", *wrap(f"The promise is {promise}.", style.width)]
    return finish(lines, style)


def whole_text(title: str, text: str) -> str:
    """A text of somebody else's to be read before it is used: nothing of it is cut off."""
    lines = text.splitlines() or [""]
    return "\n".join((title, "", *(f"  {safe(line, max_cells=MOST_CELLS)}" for line in lines)))


def input_records(inputs: Sequence[HeldInput]) -> list[Record]:
    """The inputs as JSON objects."""
    return [{"input": one.what, "held": str(one.held), "how": str(one.words)} for one in inputs]
