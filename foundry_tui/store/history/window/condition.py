"""What was wrong with the GPUs in a window, how they were cut, and how hot they became."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from foundry_tui.estate.reading import FaultKind
from foundry_tui.estate.text import SafeText
from foundry_tui.store.history.measured import Measured
from foundry_tui.store.history.schema import HOUR_S, QUARTER_S
from foundry_tui.store.history.values import LAYOUT, text


@dataclass(frozen=True, slots=True)
class FaultSpan:
    """A fault for as long as it was told, `since <= t < until`; `since` may lie before the window.

    The words are those of the telemetry.
    """

    kind: FaultKind
    words: SafeText
    since: int
    until: int


@dataclass(frozen=True, slots=True)
class LayoutSpan:
    """How a GPU was cut into MIG instances: their profiles, sorted."""

    profiles: tuple[SafeText, ...]
    since: int
    until: int


_OF_GPUS = """
SELECT x.gpu, x.since, coalesce(x.until, s.seen + 1), {columns} FROM {table} x
JOIN device d ON d.id = x.gpu JOIN source s ON s.id = d.source
WHERE x.since < ? AND coalesce(x.until, s.seen + 1) > ? ORDER BY x.gpu, x.since, x.id
"""

_PROFILE = LAYOUT.index("profile")


def faults(found: Measured, start: int, end: int) -> dict[int, list[FaultSpan]]:
    """The faults of a window by device, each list in the order of their begin."""
    query = _OF_GPUS.format(table="fault", columns="x.kind, x.words")
    made: dict[int, list[FaultSpan]] = {}
    for gpu, since, until, kind, words in found.db.execute(query, (end, start)):
        made.setdefault(gpu, []).append(FaultSpan(FaultKind(kind), text(words), since, until))
    return made


def layouts(found: Measured, start: int, end: int) -> dict[int, list[LayoutSpan]]:
    """How the devices were cut in a window, each list in the order of time."""
    query = _OF_GPUS.format(table="layout", columns="x.slices")
    made: dict[int, list[LayoutSpan]] = {}
    for gpu, since, until, slices in found.db.execute(query, (end, start)):
        profiles = sorted(text(one[_PROFILE]) for one in json.loads(slices))
        made.setdefault(gpu, []).append(LayoutSpan(tuple(profiles), since, until))
    return made


def hottest(found: Measured, edges: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Period, device and the highest temperature that it had then, in degrees Celsius.

    Where only roll-ups are left, one that lies partly in a period counts in it.
    """
    for period, (start, end) in enumerate(pairwise(edges)):
        most: dict[int, int] = {}
        for table, column, since, until in _tables(found, start, end):
            query = (
                f"SELECT gpu, max({column}) FROM {table} WHERE ts > ? AND ts <= ? "
                f"AND {column} IS NOT NULL GROUP BY gpu"
            )
            for gpu, temp_c in found.db.execute(query, (since, until)):
                most[gpu] = max(most.get(gpu, temp_c), temp_c)
        for gpu, temp_c in most.items():
            yield period, gpu, temp_c


def _tables(found: Measured, start: int, end: int) -> Iterator[tuple[str, str, int, int]]:
    """What to read for a time: table, column, after which end of a row and up to which.

    Whole hours that were rolled up are read as such, the rest as fine as it is kept.
    """
    hours = min(found.meta.get("rolled_900", 0), found.meta.get("rolled_3600", 0), end)
    first, last = -(-start // HOUR_S) * HOUR_S, hours // HOUR_S * HOUR_S
    if first >= last:
        first = last = end
    yield "hour", "max_temp_c", first, last
    for low, high in ((start, first), (last, end)):
        for table, column, period, begin, until in (
            ("hour", "max_temp_c", HOUR_S, low, found.quarter_from),
            ("quarter", "max_temp_c", QUARTER_S, max(low, found.quarter_from), found.raw_from),
            ("raw", "temp_c", found.step, max(low, found.raw_from), high),
        ):
            if begin < min(until, high):
                yield table, column, begin, -(-min(until, high) // period) * period
