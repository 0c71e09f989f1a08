"""Sorting and filtering in the mirror: only the columns that are asked for are read.

They are read in blocks of runs, and of a run that is chosen only its row, its start and its value
are held; only the rows that are shown are unpacked. So a page of 50,000 runs takes little more
memory than one of 500. One look-up per run and column in SQL takes twice the time.
"""

from __future__ import annotations

import math
import operator
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

from foundry_tui.estate.filter import Filter
from foundry_tui.estate.predicates import SEARCHED
from foundry_tui.estate.tracked import TrackedRun
from foundry_tui.store.mirror.body import noun, unpack, us
from foundry_tui.store.mirror.errors import MirrorDamaged
from foundry_tui.store.mirror.fields import COLUMNS, filtered, sort_field
from foundry_tui.store.mirror.partial import partial

BLOCK = 5_000
"""Runs whose columns are in memory at once."""

NAMES_AT_ONCE = 500
NAN = "NaN"
"""What stands for a metric that is NaN: a text is no number to any comparison."""

BETWEEN = "\x1f"
"""Stands between the values of searched text, as in `estate.predicates`."""

Entry = tuple[float, str, int, Any]

_VALUE, _OTHER, _NONE = range(3)
"""Classes of what is sorted by, in this order in both directions; NaN and, among numbers, text
are other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which runs: of these experiments (None for all), chosen by `where`, the first `most`.

    `sort` is a name of `fields`; runs without it, and NaN, come last in both directions, and those
    that are equal the last begun first. With `keys`, such as `metric.loss`, a run comes with these
    alone: for questions about very many runs.
    """

    experiment_ids: tuple[str, ...] | None = None
    where: str = ""
    sort: str = ""
    descending: bool = True
    most: int = 200
    now: datetime
    me: frozenset[str] | None = None
    keys: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The runs of one page, and how many there are in all."""

    runs: tuple[TrackedRun, ...]
    total: int


def ask(db: sqlite3.Connection, query: Query) -> Found:
    """The answer, within the moment that the connection sees.

    Raises:
        FilterError: the filter cannot be understood.
        NoField: there is nothing of this name to sort by.
        MirrorDamaged: a run cannot be unpacked.
        sqlite3.Error: the file cannot be read.
    """
    sort = sort_field(db, query.sort)
    if sort == "started" and query.descending and not query.where.strip():
        return _newest(db, query)
    chosen, names = filtered(db, query.where, query.me)
    best: list[list[Entry]] = [[], [], []]
    total = 0
    for found in _chosen(db, query, chosen, names, sort):
        total += sum(map(len, found))
        for kind, entries in enumerate(found):
            by_value = kind == _VALUE or (kind == _OTHER and sort.startswith(("param.", "tag.")))
            best[kind] = _first(best[kind], entries, query, by_value=by_value)
    rows = [entry[2] for entries in best for entry in entries][: query.most]
    return Found(_read(db, rows, query), total)


def unpacked(db: sqlite3.Connection, rows: Sequence[int]) -> tuple[TrackedRun, ...]:
    """The runs of these rows, in this order.

    Raises:
        MirrorDamaged: one of them cannot be unpacked.
    """
    found: dict[int, TrackedRun] = {}
    for start in range(0, len(rows), NAMES_AT_ONCE):
        block = rows[start : start + NAMES_AT_ONCE]
        marks = ", ".join("?" * len(block))
        for row, data in db.execute(f"SELECT run, data FROM body WHERE run IN ({marks})", block):
            try:
                found[row] = noun(unpack(data))
            except (ValueError, TypeError) as error:
                raise MirrorDamaged(f"copy of the tracked runs: row {row}: {error}") from error
    return tuple(found[row] for row in rows if row in found)


def _newest(db: sqlite3.Connection, query: Query) -> Found:
    """The first page in the order that an index has."""
    where, within = _within(query)
    (total,) = db.execute(f"SELECT count(*) FROM run{where}", within).fetchone()
    rows = db.execute(
        f"SELECT id FROM run{where} ORDER BY started_us DESC, run_id LIMIT ?",
        (*within, query.most),
    )
    return Found(_read(db, [row for (row,) in rows], query), int(total))


def _read(db: sqlite3.Connection, rows: Sequence[int], query: Query) -> tuple[TrackedRun, ...]:
    return unpacked(db, rows) if query.keys is None else partial(db, rows, query.keys)


def _chosen(
    db: sqlite3.Connection, query: Query, chosen: Filter, names: Sequence[str], sort: str
) -> Iterator[tuple[list[Entry], ...]]:
    """Block by block and by class: start, id, row and what is sorted by, of each run that the
    filter chooses."""
    experiments = dict(db.execute("SELECT id, name FROM experiment"))
    in_run = [name for name in dict.fromkeys((*names, sort)) if name in COLUMNS]
    at = {name: place for place, name in enumerate(in_run, 3)}
    text = ", ".join(("id", "started_us", "run_id", *(COLUMNS[name] for name in in_run)))
    now = [us(query.now)] * text.count("?")
    where, within = _within(query)
    select = f"SELECT {text} FROM run{where or ' WHERE 1'} AND id BETWEEN ? AND ?"
    keyed = [name for name in names if name not in COLUMNS]
    texts = [name for name, spec in chosen.fields.items() if spec.kind in ("text", "set")]
    columns: dict[str, dict[int, Any]] = {}
    row: tuple[Any, ...] = ()

    def get(name: str) -> object:
        place = at.get(name)
        if place is not None:
            return row[place]
        if name in columns:
            return columns[name].get(row[0])
        if name == SEARCHED:  # the text that `predicates.searched` would put together slowly
            values = [value for one in texts if (value := get(one)) is not None]
            return BETWEEN.join(map(str, values)).casefold()
        return None

    match = chosen.match if chosen.predicates else None
    sort_at, experiment = at.get(sort), at.get("experiment")
    (last,) = db.execute("SELECT max(id) FROM run").fetchone()
    for first in range(0, (last or 0) + 1, BLOCK):
        block = (first, first + BLOCK - 1)
        columns |= {
            name: dict(_column(db, name, block, number=chosen.fields[name].kind == "number"))
            for name in keyed
        }
        order = {} if sort in COLUMNS else dict(_order(db, sort, block))
        found: tuple[list[Entry], ...] = ([], [], [])
        for row in db.execute(select, (*now, *within, *block)):
            if experiment is not None:
                name = experiments.get(row[experiment])
                row = (*row[:experiment], name, *row[experiment + 1 :])
            if match is not None and not match(get):
                continue
            if sort_at is None:
                kind, value = order.get(row[0], (_NONE, None))
            else:
                value = row[sort_at]
                kind = _NONE if value is None else _VALUE
                value = value.casefold() if isinstance(value, str) else value
            started = -math.inf if row[1] is None else row[1]
            found[kind].append((started, row[2], row[0], value))
        yield found


def _first(best: list[Entry], more: list[Entry], query: Query, *, by_value: bool) -> list[Entry]:
    """Those of one class that can be on the page, in order; `best` were it so far."""
    place, descending = (3, query.descending) if by_value else (0, True)
    if len(best) >= query.most > 0:
        last = best[-1][place]
        better = operator.ge if descending else operator.le
        more = [entry for entry in more if better(entry[place], last)]
    entries = best + more
    entries.sort(key=itemgetter(1))
    entries.sort(key=itemgetter(0), reverse=True)
    if by_value:
        entries.sort(key=itemgetter(3), reverse=descending)
    return entries[: query.most]


def _column(
    db: sqlite3.Connection, name: str, block: tuple[int, int], *, number: bool
) -> Iterator[tuple[int, Any]]:
    """Row and value of a metric, param or tag."""
    if name.startswith("metric."):
        return ((row, NAN if v is None else v) for row, v in _values(db, name, "value", block))
    return iter(_values(db, name, "coalesce(number, text)" if number else "text", block))


def _order(
    db: sqlite3.Connection, name: str, block: tuple[int, int]
) -> Iterator[tuple[int, tuple[int, Any]]]:
    """Row, and class and value of what is sorted by."""
    if name.startswith("metric."):
        for row, value in _values(db, name, "value", block):
            yield row, (_OTHER if value is None else _VALUE, value)
        return
    for row, value in _values(db, name, "coalesce(number, text)", block):
        text = isinstance(value, str)
        yield row, (_OTHER, value.casefold()) if text else (_VALUE, value)


def _values(db: sqlite3.Connection, name: str, what: str, block: tuple[int, int]) -> sqlite3.Cursor:
    kind, _, own = name.partition(".")
    table = "metric" if kind == "metric" else "word"
    return db.execute(
        f"SELECT run, {what} FROM {table} WHERE key = "
        "(SELECT id FROM key WHERE kind = ? AND name = ?) AND run BETWEEN ? AND ?",
        (kind, own, *block),
    )


def _within(query: Query) -> tuple[str, tuple[str, ...]]:
    """The experiments; many of them are named in the text of a statement with one value."""
    if query.experiment_ids is None:
        return "", ()
    if len(query.experiment_ids) == 1:
        return " WHERE experiment = ?", query.experiment_ids
    import json

    among = " WHERE experiment IN (SELECT value FROM json_each(?))"
    return among, (json.dumps(query.experiment_ids),)
