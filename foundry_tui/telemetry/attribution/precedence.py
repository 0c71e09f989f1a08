"""One reading per GPU out of what several sources say. Two sources are never added up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from foundry_tui.estate.merge import tells
from foundry_tui.estate.reading import Fault, Reading
from foundry_tui.telemetry.names import canonical

WINDOW_S = 60.0
STALE_WINDOWS = 3
"""A reading older than so many windows is not used; one from so far in the future neither."""

LAG_S = 90.0
"""A source that is preferred may lag so far behind another one; after that the newer one wins."""

ORDER = {"prometheus": 0, "agents": 1, "dcgm": 1, "nvml": 2}
"""Kinds of sources, the preferred one first."""

_Key = tuple[str, str | int]
_T = TypeVar("_T")


def chosen(
    readings: Iterable[Reading], *, kinds: Mapping[str, str], now: datetime
) -> tuple[Reading, ...]:
    """The one reading of each GPU that is used.

    Args:
        readings: of all sources, in any order.
        kinds: the kind of each source by its name; a source that is missing is its own kind.
        now: readings too old for it are left out.

    A reading that has values goes before one that failed, then the kind counts, then the age. A
    whole reading is taken, never single values of several. Only what does not measure is filled in
    from the others of the same time: the keys of the device, who was seen on it (`how` says so),
    and faults, since a fault that one source missed is still one.
    """
    fresh = [r for r in readings if _fresh(r, now)]
    host = canonical({r.node for r in fresh})
    uuids: dict[tuple[str, int], str] = {
        (host[r.node], r.index): r.uuid.casefold() for r in fresh if r.uuid
    }
    found: dict[_Key, list[Reading]] = {}
    for reading in fresh:
        name = host[reading.node]
        uuid = reading.uuid.casefold() if reading.uuid else uuids.get((name, reading.index))
        found.setdefault((name, uuid or reading.index), []).append(reading)
    return tuple(of[0] if len(of) == 1 else _best(of, kinds) for of in found.values())


def _fresh(reading: Reading, now: datetime) -> bool:
    window_s = max(WINDOW_S, reading.window_s or 0.0)
    return abs((now - reading.read_at).total_seconds()) <= STALE_WINDOWS * window_s


def _best(readings: Sequence[Reading], kinds: Mapping[str, str]) -> Reading:
    telling = [r for r in readings if tells(r)] or readings
    newest = max(r.read_at for r in telling)
    best = min(
        (r for r in telling if (newest - r.read_at).total_seconds() <= LAG_S),
        key=lambda r: (_rank(r, kinds), -r.read_at.timestamp()),
    )
    beside = [
        r
        for r in sorted(readings, key=lambda r: (_rank(r, kinds), -r.read_at.timestamp()))
        if r is not best and abs((r.read_at - best.read_at).total_seconds()) <= LAG_S
    ]
    return _filled(best, beside) if beside else best


def _rank(reading: Reading, kinds: Mapping[str, str]) -> int:
    return ORDER.get(kinds.get(reading.source, reading.source), len(ORDER))


def _filled(best: Reading, beside: Sequence[Reading]) -> Reading:
    seen = next((r for r in beside if r.holders is not None), None)
    if best.holders is not None or seen is None:
        holders, how = best.holders, best.how
    else:
        holders, how = seen.holders, f"{best.how}; processes by {seen.source}"
    faults: dict[tuple[str, str], Fault] = {}
    for fault in (f for r in (best, *beside) for f in r.faults):
        faults.setdefault((fault.kind, fault.words), fault)
    return replace(
        best,
        uuid=_first(best.uuid, (r.uuid for r in beside)),
        minor=_first(best.minor, (r.minor for r in beside)),
        pci_bus_id=_first(best.pci_bus_id, (r.pci_bus_id for r in beside)),
        holders=holders,
        how=how,
        faults=tuple(sorted(faults.values(), key=lambda f: not f.grave)),
    )


def _first(own: _T | None, others: Iterable[_T | None]) -> _T | None:
    return own if own is not None else next((o for o in others if o is not None), None)
