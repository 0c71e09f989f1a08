"""Who held which device when, of many runs at once, and where others held a part of it too."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from foundry_tui.estate.gpu import Share
from foundry_tui.store.history.values import text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Flags = NDArray[np.bool_]

UNTOLD = -1
"""Stands for a part of a device of which nobody tells how large it is."""

_TIME_BITS = 35
"""Times below 2^35 s and devices below 2^28 fit into one number, in the order of both."""

SHARES = tuple(Share)
_SHARE = (
    f"CASE a.share {' '.join(f'WHEN {one.value!r} THEN {n}' for n, one in enumerate(SHARES))} END"
)
"""A share by its place in SHARES: whole rows of numbers are read in half the time."""

_OF_RUNS = f"""
SELECT j.key, a.gpu, a.since, coalesce(a.until, s.seen + 1), coalesce(a.milli, {UNTOLD}),
  a.suspended, {_SHARE}
FROM json_each(:runs) j CROSS JOIN run r ON r.run = j.value JOIN allocation a ON a.run = r.id
JOIN device d ON d.id = a.gpu JOIN source s ON s.id = d.source
WHERE max(a.since, :start) < min(coalesce(a.until, s.seen + 1), :end)
ORDER BY j.key, a.gpu, a.since
"""

_HELD = f"""
SELECT (a.gpu << {_TIME_BITS}) | max(a.since, :start),
  (a.gpu << {_TIME_BITS}) | min({{until}}, :end) FROM allocation a {{join}}
WHERE a.since < :end AND {{open}}
"""
_ALL_HELD = (
    _HELD.format(until="a.until", join="", open="a.until > :start"),
    _HELD.format(
        until="s.seen + 1",
        join="JOIN device d ON d.id = a.gpu JOIN source s ON s.id = d.source",
        open="a.until IS NULL AND s.seen >= :start",
    ),
)
"""Begins and ends of all that was held in a time; an index serves each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """Times `since <= t < until` (whole seconds) in which runs held devices.

    All of one length, ordered by run, device and time; no two of one run and device overlap. `run`
    is the place of the run among those asked for. `milli` are thousandths of the device, UNTOLD
    where nobody said how much. `joint` says that another run held a part of the device too, all of
    that time: a time in which others came or went is several here.
    """

    run: Ints
    device: Ints
    since: Ints
    until: Ints
    milli: Ints
    share: Sequence[Share]
    suspended: Flags
    joint: Flags


def of(
    db: sqlite3.Connection, run_ids: Sequence[str], start: int, end: int, borders: Ints
) -> Holdings:
    """What these runs held in `start <= t < end`; `borders` are `joint` of that time.

    A run that still holds a device does so until its source was last seen.
    """
    asked = {"runs": json.dumps([text(run) for run in run_ids]), "start": start, "end": end}
    rows = _numbers(db.execute(_OF_RUNS, asked), columns=7)
    since, until = np.maximum(rows[:, 2], start), np.minimum(rows[:, 3], end)
    low, high = _at(rows[:, 1], since), _at(rows[:, 1], until)
    first = np.searchsorted(borders, low, "right")
    cuts = np.searchsorted(borders, high, "left") - first
    owner = np.repeat(np.arange(len(rows)), cuts + 1)
    within = np.arange(owner.size) - np.repeat(np.cumsum(cuts + 1) - (cuts + 1), cuts + 1)
    border = first[owner] + within
    begins = np.where(within == 0, low[owner], _get(borders, border - 1))
    ends = np.where(within == cuts[owner], high[owner], _get(borders, border))
    time = (1 << _TIME_BITS) - 1
    return Holdings(
        run=rows[owner, 0],
        device=rows[owner, 1],
        since=begins & time,
        until=ends & time,
        milli=rows[owner, 4],
        share=[SHARES[number] for number in rows[owner, 6].tolist()],
        suspended=rows[owner, 5].astype(bool),
        joint=border % 2 == 1,
    )


def _numbers(rows: Iterable[Sequence[int]], columns: int) -> Ints:
    return np.fromiter(chain.from_iterable(rows), dtype=np.int64).reshape(-1, columns)


def _at(device: Ints, when: Ints) -> Ints:
    """Device and time as one number."""
    return (device << _TIME_BITS) | when


def _get(values: Ints, at: Ints) -> Ints:
    """Values by their places; any value where there is no such place."""
    return values[np.clip(at, 0, values.size - 1)] if values.size else np.zeros_like(at)


def joint(db: sqlite3.Connection, start: int, end: int) -> Ints:
    """Where two or more held a device: begins and ends in turns, device and time in one number.

    Times that touch are one, so that a begin never is an end as well.
    """
    values = {"start": start, "end": end}
    found = chain.from_iterable(db.execute(query, values) for query in _ALL_HELD)
    begins, ends = (np.sort(column) for column in _numbers(found, columns=2).T)
    before = np.arange(1, begins.size + 1) - np.searchsorted(ends, begins, "right")
    after = np.searchsorted(begins, ends, "left") - np.arange(ends.size)
    borders = np.sort(np.concatenate([begins[before == 2], ends[after == 2]]))
    same = np.flatnonzero(borders[1:] == borders[:-1])  # one goes and another comes
    return np.delete(borders, np.concatenate([same, same + 1]))
