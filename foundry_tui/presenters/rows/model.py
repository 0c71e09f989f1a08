"""The shape of a live table: its columns, and how a row is named, compared, toned and found."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Generic, Literal, TypeVar

from foundry_tui.estate.filter import Fields
from foundry_tui.estate.predicates import SEARCHED, Get, searched
from foundry_tui.estate.text import SafeText
from foundry_tui.presenters.records import Record
from foundry_tui.presenters.table import Column

N = TypeVar("N")

Tone = Literal["", "good", "warn", "bad", "dim", "strong"]
"""What a cell's colour means. A word or a glyph of the same row always says it too."""

GLYPH_TONES: Mapping[str, Tone] = {"": "", "x": "bad", "!": "warn", "?": "warn"}
"""A row's glyph -> its tone: `x` is broken, `!` wants a look, `?` is unknown."""

_WORDS: Mapping[Tone, str] = {
    "good": "running idle completed up",
    "warn": "pending held completing suspended draining drained drain maintenance reserved "
    "inactive",
    "bad": "failed timeout preempted out_of_memory node_fail down",
    "dim": "cancelled unknown",
}
_TONE_OF: Mapping[str, Tone] = {w: tone for tone, words in _WORDS.items() for w in words.split()}

_DIGITS = re.compile("([0-9]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class GridColumn(Generic[N]):
    """One column of a live table; `id` is its name in saved views.

    `order` is the key to sort by, None where the value is unknown: such rows stand last in either
    direction. `typical` is the width in cells of a usual wide value, so that the column need not
    grow while its numbers do.
    """

    id: str
    column: Column
    order: Callable[[N, datetime], Any]
    tone: Callable[[N, SafeText], Tone] | None = None
    typical: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows(Generic[N]):
    """All that a table needs to know of one noun. Pure functions only.

    `key` names a row as long as it lives, `cells` are its texts in the order of `columns`, and
    `glyph` says before any colour how bad things are (`GLYPH_TONES`). `fields` and `get` are for
    the filter language, `record` for CSV under the name `plural`, and `copied` are the texts that
    can be copied, by their title. `sorted_by` is the column that a new table is sorted by; empty
    keeps the order in which rows are given. `csv` are the columns of a CSV file of such rows, where
    `plural` does not name them.
    """

    noun: str
    plural: str
    columns: tuple[GridColumn[N], ...]
    key: Callable[[N], str]
    cells: Callable[[N, datetime], Sequence[SafeText]]
    glyph: Callable[[N], str]
    fields: Fields
    get: Callable[[N, datetime], Get]
    record: Callable[[N, datetime], Record]
    copied: tuple[tuple[str, Callable[[N], str]], ...]
    sorted_by: str = ""
    csv: tuple[str, ...] = ()

    def place(self, column_id: str) -> int | None:
        """The place of a column among `columns`; None when there is none of this id."""
        return next((i for i, c in enumerate(self.columns) if c.id == column_id), None)


MOST_KEPT = 20_000
"""Rows whose searched text is kept: more than one screen of a large site has."""


def lazy(
    key: Callable[[N], str],
    fields: Fields,
    plain: Mapping[str, Callable[[N], object]],
    timed: Mapping[str, Callable[[N, datetime], object]],
) -> Callable[[N, datetime], Get]:
    """A getter of filter fields that computes only what is asked for.

    A filter asks ten thousand rows for a few fields at every keystroke; to put all fields of each
    row together would take twice the time. The text that loose words are searched in is put
    together once and kept as long as its row is the same object.
    """
    texts = [name for name, field in fields.items() if field.kind == "text"]
    sets = [name for name, field in fields.items() if field.kind == "set"]
    kept: dict[str, tuple[N, str]] = {}

    def text_of(row: N) -> str:
        name = key(row)
        known = kept.get(name)
        if known is None or known[0] is not row:
            if len(kept) >= MOST_KEPT:
                kept.clear()
            text = searched(lambda field: plain[field](row), texts, sets)
            known = kept[name] = (row, text)
        return known[1]

    every = {**plain, SEARCHED: text_of}

    def get(row: N, now: datetime) -> Get:
        return lambda name: every[name](row) if name in every else timed[name](row, now)

    return get


def state_tone(_row: object, text: SafeText) -> Tone:
    """The tone of a state's word."""
    return _TONE_OF.get(text, "")


@lru_cache(maxsize=16_384)
def natural(text: str) -> tuple[Any, ...]:
    """A key that sorts numbers within names by their value: `a9` before `a10`.

    Digits are compared by their count and then as text, which holds for any number of them. Keys
    are kept, because a table that is sorted by name is sorted again with every snapshot.
    """
    parts: list[Any] = _DIGITS.split(text.casefold())
    for i in range(1, len(parts), 2):
        digits = parts[i].lstrip("0")
        parts[i] = (len(digits), digits)
    return tuple(parts)


def folded(text: str | None) -> str | None:
    """A text to sort by, without regard to case; None when it is missing or empty."""
    return text.casefold() if text else None


def sort_letters(columns: Sequence[GridColumn[N]]) -> dict[str, str]:
    """Letter -> id of the column that it sorts by: the first letter of its title that is free."""
    letters: dict[str, str] = {}
    for column in columns:
        spare = "abcdefghijklmnopqrstuvwxyz"
        for letter in column.column.title.lower() + spare:
            if letter in spare and letter not in letters:
                letters[letter] = column.id
                break
    return letters
