"""What tracked runs are filtered and sorted by, and where in the mirror it stands.

Besides the columns below there is `metric.NAME`, `param.NAME` and `tag.NAME` for each name that any
run has. A param or tag counts as a number where each of its values is one, or where the filter
compares it by size; what is no number then satisfies no comparison of numbers.
"""

from __future__ import annotations

import re
import sqlite3

from foundry_tui.estate.fields import TRACKED_FIELDS
from foundry_tui.estate.filter import Field, Filter, FilterError, parse

KINDS = ("metric", "param", "tag")

COLUMNS = {
    "id": "run_id",
    "name": "name",
    "state": "status",
    "user": "user",
    "experiment": "experiment",
    "started": "started_us",
    "ended": "ended_us",
    "age_s": "(? - started_us) / 1e6",
    "duration_s": "(coalesce(ended_us, ?) - started_us) / 1e6",
}
"""Name -> the expression of the table `run`; a mark stands for now, in microseconds."""

_SORT_ALIASES = {"": "started", "start": "started", "end": "ended", "run": "name",
                 "status": "state", "age": "age_s", "duration": "duration_s",
                 "took": "duration_s", "exp": "experiment", "run_id": "id"}  # fmt: skip


class NoField(ValueError):
    """There is nothing of this name to sort by."""


def filtered(
    db: sqlite3.Connection, text: str, me: frozenset[str] | None
) -> tuple[Filter, tuple[str, ...]]:
    """The filter, and the fields that it asks for.

    Raises:
        FilterError: it cannot be understood.
    """
    lower = re.sub(r"\\(.)", r"\1", text.casefold())  # within quotes a name can have quotes
    fields = dict(TRACKED_FIELDS)
    names = {name.casefold(): name for name in keys(db) if name.casefold() in lower}
    for name in names.values():
        fields[name] = Field("number" if _numeric(db, name, lower) else "text")
    try:
        found = parse(text, fields, me=me)
    except FilterError as error:
        if "there is no field" not in error.message:
            raise
        parse(text, {name: Field("text") for name in keys(db)} | fields, me=me)  # nearer names
        raise
    return found, asked(found)


def asked(one: Filter) -> tuple[str, ...]:
    """The full names of the fields that a filter looks at."""
    names: dict[str, None] = {}

    def note(name: str) -> None:
        if name:
            names[name] = None

    for predicate in one.predicates:
        predicate(note)
    return tuple(names)


def keys(db: sqlite3.Connection) -> tuple[str, ...]:
    """Every metric, param and tag that a run has or had, as `metric.loss`."""
    found = db.execute("SELECT kind || '.' || name FROM key ORDER BY kind, name")
    return tuple(name for (name,) in found)


def sort_field(db: sqlite3.Connection, sort: str) -> str:
    """The full name of what is sorted by; a bare name is a metric, else a param, else a tag.

    Raises:
        NoField: there is no such thing.
    """
    name = _SORT_ALIASES.get(sort, sort)
    if name in COLUMNS:
        return name
    known = keys(db)
    candidates = (name, *(f"{kind}.{name}" for kind in KINDS))
    for one in candidates:
        if one in known:
            return one
    folded = {one.casefold(): one for one in known}
    for one in candidates:
        if one.casefold() in folded:
            return folded[one.casefold()]
    import difflib  # only needed here

    bare = (one.partition(".")[2] for one in known)
    near = difflib.get_close_matches(name, (*COLUMNS, *known, *bare), n=1)
    hint = f'did you mean "{near[0]}"?' if near else f"columns are {', '.join(COLUMNS)}"
    raise NoField(f'there is no "{name}" to sort by; {hint}, or metric.NAME, param.NAME, tag.NAME')


def _numeric(db: sqlite3.Connection, name: str, text: str) -> bool:
    """Whether a metric, param or tag is taken as a number."""
    kind, _, own = name.partition(".")
    if kind == "metric" or re.search(rf'{re.escape(name.casefold())}"?[<>]', text):
        return True
    row = db.execute(
        "SELECT count(*), count(number) FROM word WHERE key = "
        "(SELECT id FROM key WHERE kind = ? AND name = ?)",
        (kind, own),
    ).fetchone()
    return bool(row[0]) and row[0] == row[1]
