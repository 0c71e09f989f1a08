"""Where the columns of a table stand, and the text of its lines. No styles, no Textual."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from foundry_tui.estate.text import SafeText, cells, pad
from foundry_tui.presenters.page import Style, finish
from foundry_tui.presenters.rows import GridColumn, Rows
from foundry_tui.presenters.table import GAP, fit

N = TypeVar("N")

GUTTER = 2
"""Cells before the first column: one for the mark or the row's glyph, one blank."""

SAMPLED = 200
"""Rows beyond the visible ones whose cells are measured."""

_ASCII = Style(ascii=True)


@dataclass(frozen=True, slots=True)
class Place:
    """One column on the screen: its place among the model's columns, its first cell and width."""

    at: int
    x: int
    width: int

    @property
    def end(self) -> int:
        """The cell behind the column and its gap."""
        return self.x + self.width + GAP


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns on the screen, from left to right.

    `skipped` columns behind the first one are scrolled out on the left; `hidden` are the places
    of those for which there is no room, and `cut` says that a column is narrower than its cells.
    """

    width: int
    places: tuple[Place, ...] = ()
    skipped: int = 0
    hidden: tuple[int, ...] = ()
    cut: bool = False


def outgrown(
    model: Rows[N], natural: Mapping[int, int], texts: Sequence[SafeText]
) -> dict[int, int]:
    """Place -> the width that `texts` need, where that is more than is known to be natural.

    Only columns that must be read whole count: the first one, and those that never shrink.
    """
    more = {}
    for at, width in natural.items():
        if len(texts[at]) * 2 > width and (not at or not model.columns[at].column.stretch):
            needed = cells(texts[at])
            if needed > width:
                more[at] = needed
    return more


def natural_widths(
    model: Rows[N], places: Iterable[int], rows: Iterable[Sequence[SafeText]], sorted_by: str
) -> dict[int, int]:
    """Place -> the cells that a column takes to show its title and these rows' texts whole."""
    widths = {}
    for at in places:
        column = model.columns[at]
        arrow = 1 if column.id == sorted_by else 0
        widths[at] = max(len(column.column.title) + arrow, column.typical)
    for texts in rows:
        for at, width in widths.items():
            text = texts[at]
            if len(text) * 2 > width and (needed := cells(text)) > width:
                widths[at] = needed
    return widths


def sampled(rows: Sequence[N], top: int, height: int) -> Iterable[N]:
    """The visible rows, and others at even distances."""
    yield from rows[top : top + height]
    step = max(1, len(rows) // SAMPLED)
    yield from rows[::step][:SAMPLED]


def arrange(
    columns: Sequence[GridColumn[N]], natural: Mapping[int, int], width: int, skipped: int
) -> Layout:
    """Place columns in `width` cells; `natural` names the chosen ones with their widths.

    Without scrolling they shrink and go as on the command line. With `skipped` columns scrolled
    out, the first one stays and the others follow whole, as many as there is room for, so that
    each can be brought to the screen; so it is too where the first one would be cut short.
    """
    room = width - GUTTER
    chosen = list(natural)
    skipped = max(0, min(skipped, len(chosen) - 2))
    found = fit([columns[at].column for at in chosen], [natural[at] for at in chosen], room)
    widths = {chosen[i]: size for i, size in found.items()}
    if skipped or widths.get(chosen[0], 0) < min(_needed(columns, natural, chosen[0]), room // 2):
        widths = _in_turn(chosen[:1] + chosen[1 + skipped :], natural, room)
    places = []
    x = GUTTER
    for at, size in widths.items():
        places.append(Place(at, x, size))
        x += size + GAP
    passed = chosen[1 : 1 + skipped]
    hidden = tuple(at for at in chosen if at not in widths and at not in passed)
    cut = any(size < natural[at] for at, size in widths.items())
    return Layout(width, tuple(places), skipped, hidden, cut)


def _needed(columns: Sequence[GridColumn[N]], natural: Mapping[int, int], at: int) -> int:
    """The cells below which a column names nothing any more."""
    column = columns[at].column
    least = max(column.min_width, len(column.title)) if column.stretch else natural[at]
    return min(natural[at], least)


def _in_turn(chosen: Sequence[int], natural: Mapping[int, int], room: int) -> dict[int, int]:
    """Widths of the first columns that there is room for.

    The first one takes at most half of it, and the next is cut to what is left.
    """
    widths: dict[int, int] = {}
    for at in chosen:
        size = natural[at]
        if len(widths) < 2:
            size = min(size, room if widths or len(chosen) == 1 else room // 2)
        if not 0 < size <= room:
            break
        widths[at] = size
        room -= size + GAP
    return widths


def cell_text(text: SafeText, place: Place, column: GridColumn[N], *, ascii_only: bool) -> str:
    """A cell as exactly `place.width` cells and the gap behind it."""
    return drawable(pad(text, place.width, column.column.align), ascii_only) + " " * GAP


def drawable(text: str, ascii_only: bool) -> str:
    """The text as the terminal can draw it, in as many cells as before."""
    if not ascii_only or text.isascii():
        return text
    return finish((text,), _ASCII).ljust(cells(SafeText(text)))


def title_text(
    column: GridColumn[N], place: Place, *, arrow: str, letter: str, ascii_only: bool
) -> str:
    """A column's title as exactly `place.width` cells and the gap behind it.

    With a `letter` it stands alone in upper case: `sTATE` turns into `State` for s.
    """
    title = column.column.title
    if letter:
        title = title.lower().replace(letter, letter.upper(), 1)
    return cell_text(SafeText(title + arrow), place, column, ascii_only=ascii_only)
