"""The words of the help, made from what a place can do; the search runs over the same words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from foundry_tui.actions.onscreen import key_text
from foundry_tui.presenters.heat import LEGEND
from foundry_tui.presenters.page import wrap
from foundry_tui.tui.bars import Part
from foundry_tui.tui.command import SYNTAX

if TYPE_CHECKING:
    from foundry_tui.tui.place import Place

Line = list[Part]

IN_LISTS = (
    ("up down j k", "one row"),
    ("pgup pgdn", "one page"),
    ("home end g G", "the first, the last row"),
    ("left right", "columns that have no room"),
)
"""Keys of every list and table; they cannot be given to an action."""

SIGNS = (
    *((meaning.split(" ", 1)[0], meaning.split(" ", 1)[1]) for meaning in LEGEND.values()),
    ("*", "marked for the next act"),
    ("—", "not known (never 0)"),
)
"""Signs on the screens and what they mean."""

KEY_CELLS = 14


def help_lines(place: Place, width: int, searched: str = "") -> list[Line]:
    """The help of a place in lines of `width` cells; only entries with every searched word."""
    words = searched.casefold().split()
    lines: list[Line] = []
    if place.about and not words:
        lines += [[(line, "")] for line in wrap(place.about, width, first=" ", rest=" ")]
    for title, entries in _parts(place):
        told = [e for e in entries if all(w in " ".join(e).casefold() for w in words)]
        if told:
            lines += [[], [(f" {title}", "title")]]
        for key, does, refused in told:
            lines += _entry(key, does, refused, width)
    if words and not lines:
        lines = [[(f" Nothing in the help has {searched!r}.", "warn")]]
    return lines[1:] if lines and not lines[0] else lines


def _parts(place: Place) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Title -> entries: key, what it does, and why it does not now (empty: it does)."""
    here = []
    for action in place.abilities():
        key = key_text(place.foundry.keys.key_of(action.id)) or f":{action.id}"
        here.append((key, f"{action.title}. {action.help}", place.refusal(action) or ""))
    yield "What works here", here
    yield "In every list", [(key, does, "") for key, does in IN_LISTS]
    yield "Typed after :", [(line, does, "") for line, does in SYNTAX]
    yield "Signs", [(sign, meaning, "") for sign, meaning in SIGNS]


def _entry(key: str, does: str, refused: str, width: int) -> list[Line]:
    head = f"  {key:<{KEY_CELLS}} "
    if len(key) > KEY_CELLS:
        head = f"  {key}  "
    rest = " " * (KEY_CELLS + 3)
    first, *more = wrap(does, width, first=head, rest=rest)
    lines: list[Line] = [
        [(first[: len(head)], "dim" if refused else "key"), (first[len(head) :], "")]
    ]
    lines += [[(line, "")] for line in more]
    if refused:
        lines += [
            [(line, "warn")] for line in wrap(f"not now: {refused}", width, first=rest, rest=rest)
        ]
    return lines
