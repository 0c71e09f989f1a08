"""The sidecar of a report: where its rows come from, what they add up to, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from foundry_tui import __version__
from foundry_tui.estate.csvtext import rfc3339
from foundry_tui.estate.usage import Window
from foundry_tui.reports.columns import Column
from foundry_tui.reports.prices import Prices
from foundry_tui.reports.writing.anonymise import WITHHELD, Pseudonyms
from foundry_tui.reports.writing.checks import EDGE_S, AccountSum, Tally

REJECTS_SHOWN = 20
_MILLI = 1000
_MS_PER_HOUR = 3_600_000
_ROUNDING_MS = 180
"""Half of the fourth place of an hour: as much as a row may be off."""

OF_RUNS = (
    "a window is start <= t < end in UTC; a try belongs to it with the whole seconds that lie in "
    "it, so that adjacent windows add up exactly",
    "GPU-seconds are GPUs as the scheduler bills them x seconds of work; a share of a GPU counts "
    "as that part of one",
    "suspended time is taken off, and is spread evenly over a try, for accounting does not say "
    "when it was",
    "allocated = active + idle + unknown, exactly; unknown is time that nobody measured, and is "
    "neither",
    "a try that still runs is counted up to as_of",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source that was asked: its scheduler, and what it says of its own answer.

    `answered` is False where it did not; a note says why.
    """

    name: str
    scheduler: str
    answered: bool = True
    notes: tuple[str, ...] = ()
    rejects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """The readings that a report stands on: none when `resolution_s` is None, `reason` says why.

    `idle_pct`: a device whose highest utilisation was above it was at work.
    """

    resolution_s: int | None
    idle_pct: float | None
    start: datetime | None = None
    end: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What every report says of itself; see `meta`.

    `by` are the periods, None for the window as a whole. `definitions` are added to those that
    hold for all reports of runs. `written_hours` is the sum of the allocated hours as they stand
    in the rows, each rounded to four places; None for a report without them.
    """

    report: str
    schema_version: int
    columns: Sequence[Column]
    window: Window
    by: str | None
    as_of: datetime
    command: Sequence[str]
    sources: Sequence[Source]
    telemetry: Telemetry
    rows: int
    tally: Tally | None = None
    written_hours: Decimal | None = None
    prices: Prices | None = None
    definitions: Sequence[str] = ()
    filters: Mapping[str, Sequence[str]] | None = None


def meta(facts: Facts, pseudonyms: Pseudonyms | None = None) -> dict[str, Any]:
    """The sidecar as a mapping for JSON, without names where there are `pseudonyms`.

    Amounts are whole GPU-seconds with their thousandths beside them, so that nothing is lost.
    The tally of an anonymised report holds the names themselves, so that they can be laid beside
    the scheduler's own sums; they are replaced here.
    """
    tally = facts.tally
    whole: dict[str, Any] = {
        "schema_version": facts.schema_version,
        "report": facts.report,
        "tool": f"foundry {__version__}",
        "command": pseudonyms.command(facts.command) if pseudonyms else list(facts.command),
        "timezone": "UTC",
        "window": {
            "start": rfc3339(facts.window.start),
            "end": rfc3339(facts.window.end),
            "half_open": True,
            "by": facts.by,
        },
        "as_of": rfc3339(facts.as_of),
        "filters": _filters(facts.filters, pseudonyms),
        "sources": [_source(source, pseudonyms) for source in facts.sources],
        "telemetry": _telemetry(facts.telemetry, pseudonyms),
        "rows": facts.rows,
        "columns": [column.name for column in facts.columns],
        "rejects": _rejects(facts.sources, pseudonyms),
        "prices": _prices(facts.prices, pseudonyms),
        "anonymised": pseudonyms is not None,
    }
    if tally is not None:
        whole |= {
            "tries": tally.tries,
            "totals": _totals(tally),
            "coverage": _coverage(tally, facts.telemetry, pseudonyms),
            "counted_apart": _apart(tally, pseudonyms),
            "reconciliation": {
                "accounting": _checked(tally, facts.written_hours, facts.rows),
                "schedulers": [_own(tally, name, pseudonyms) for name in sorted(tally.own)],
                "not_compared": _not_compared(facts, tally),
            },
        }
    runs = OF_RUNS if tally is not None else ()
    whole["definitions"] = [*runs, *facts.definitions]
    return whole


def _gpu_s(name: str, milli: int) -> dict[str, int]:
    """Whole GPU-seconds and the thousandths beside them, rounded down: together they are exact."""
    return {f"{name}_gpu_s": milli // _MILLI, f"{name}_gpu_ms": milli}


def _totals(tally: Tally) -> dict[str, Any]:
    return {
        **_gpu_s("allocated", tally.allocated_ms),
        **_gpu_s("weighted", tally.weighted_ms),
        **_gpu_s("active", tally.used_ms),
        **_gpu_s("idle", tally.idle_ms),
        **_gpu_s("unknown", tally.unknown_ms),
        **_gpu_s("active_beside_others", tally.joint_ms),
        **_gpu_s("power_known", tally.powered_ms),
        "energy_j": round(tally.energy_j),
    }


def _coverage(tally: Tally, telemetry: Telemetry, pseudonyms: Pseudonyms | None) -> dict[str, Any]:
    seen, whole = tally.used_ms + tally.idle_ms, tally.allocated_ms
    return {
        "telemetry_pct": _pct(seen, whole),
        "energy_pct": _pct(tally.powered_ms, whole),
        "reason": _words(telemetry.reason, pseudonyms),
    }


def _pct(part: int, whole: int) -> float | None:
    return float(round(Decimal(100 * part) / whole, 2)) if whole else None


def _apart(tally: Tally, pseudonyms: Pseudonyms | None) -> dict[str, Any]:
    """Tries that are in the rows and not, or not for long, in the totals."""
    doubtful = [
        {
            "reason": pseudonyms.text(reason) if pseudonyms else reason,
            "tries": apart.tries,
            **_gpu_s("not_billed", apart.gpu_ms),
        }
        for reason, apart in sorted(tally.doubtful.items())
    ]
    return {
        "running": tally.running,
        "doubtful": doubtful,
        "gpus_unknown": tally.gpus_unknown,
        "end_unknown": tally.end_unknown,
        "end_before_start": tally.end_before_start,
    }


def _checked(tally: Tally, written_hours: Decimal | None, rows: int) -> dict[str, Any]:
    """The total of the rows beside a second sum over the tries themselves.

    That of the rows as they are written counts, where it is further from that of the cells than
    rounding them can be.
    """
    rows_ms = tally.allocated_ms
    if written_hours is not None:
        written_ms = round(written_hours * _MS_PER_HOUR)
        if abs(written_ms - rows_ms) > _ROUNDING_MS * rows:
            rows_ms = written_ms
    difference = rows_ms - tally.checked_ms
    return {
        **_gpu_s("rows", rows_ms),
        **_gpu_s("accounting", tally.checked_ms),
        "rows_written_hours": None if written_hours is None else str(written_hours),
        "difference_gpu_ms": difference,
        "exact": difference == 0,
    }


def _own(tally: Tally, source: str, pseudonyms: Pseudonyms | None) -> dict[str, Any]:
    """A scheduler's own sums beside those of the tries, account by account."""
    own = tally.own[source]
    ours = {name: total for (of, name), total in tally.accounts.items() if of == source}
    lines = [
        _account(name, ours.get(name, AccountSum()), own.gpu_s.get(name), pseudonyms)
        for name in sorted(ours.keys() | own.gpu_s.keys())
    ]
    total_ms, theirs = sum(total.ours_ms for total in ours.values()), sum(own.gpu_s.values())
    return {
        "source": source,
        "by": own.by,
        "window": {"start": rfc3339(own.window.start), "end": rfc3339(own.window.end)},
        "rows_gpu_s": total_ms // _MILLI,
        "own_gpu_s": theirs,
        "difference_gpu_s": total_ms // _MILLI - theirs,
        "explained": all(line["explained"] for line in lines),
        "accounts": sorted(lines, key=lambda line: str(line["account"])),
        "notes": [pseudonyms.text(note) if pseudonyms else note for note in own.notes],
        "tolerance": "an hour of the GPUs that tries held across an edge of this window",
    }


def _not_compared(facts: Facts, tally: Tally) -> list[dict[str, str]]:
    """The sources whose own sums do not stand beside those of the rows, and why."""
    if facts.filters and any(facts.filters.values()):
        reason = "the rows are limited to some accounts, users or queues"
    else:
        reason = "it gave no sums of its own for a part of this window"
    return [
        {"source": source.name, "reason": reason}
        for source in facts.sources
        if source.name not in tally.own
    ]


def _account(
    name: str, ours: AccountSum, own_gpu_s: int | None, pseudonyms: Pseudonyms | None
) -> dict[str, Any]:
    """One account, and what explains its difference: see `AccountSum`."""
    difference = ours.ours_ms // _MILLI - (own_gpu_s or 0)
    named_ms = ours.shared_ms - ours.suspended_ms - ours.doubtful_ms
    rest_ms = ours.ours_ms - _MILLI * (own_gpu_s or 0) - named_ms
    tolerance = EDGE_S * ours.edge_milli // _MILLI
    return {
        "account": pseudonyms.account(name) if pseudonyms else name,
        "rows_gpu_s": ours.ours_ms // _MILLI,
        "own_gpu_s": own_gpu_s,
        "difference_gpu_s": difference,
        "of_it_in_shares_gpu_s": ours.shared_ms // _MILLI,
        "of_it_suspended_gpu_s": -(ours.suspended_ms // _MILLI),
        "of_it_in_doubt_gpu_s": -(ours.doubtful_ms // _MILLI),
        "gpus_across_edges": ours.edge_milli / _MILLI,
        "tolerance_gpu_s": tolerance,
        "explained": abs(difference) <= tolerance or abs(rest_ms) < _MILLI * (tolerance + 1),
    }


def _filters(
    filters: Mapping[str, Sequence[str]] | None, pseudonyms: Pseudonyms | None
) -> dict[str, list[str]]:
    """What the rows are limited to; queues may be projects, which are charged."""
    kinds = {"users": "user"}
    return {
        kind: [
            (pseudonyms.user if kinds.get(kind) else pseudonyms.account)(name)
            if pseudonyms
            else name
            for name in names
        ]
        for kind, names in (filters or {}).items()
        if names
    }


def _source(source: Source, pseudonyms: Pseudonyms | None) -> dict[str, Any]:
    notes = [pseudonyms.text(note) if pseudonyms else note for note in source.notes]
    return {
        "name": source.name,
        "scheduler": source.scheduler,
        "answered": source.answered,
        "notes": notes,
    }


def _rejects(sources: Sequence[Source], pseudonyms: Pseudonyms | None) -> dict[str, Any]:
    """Rows of accounting that could not be read; they hold names, which nobody can tell apart."""
    reasons = [f"{source.name}: {reject}" for source in sources for reject in source.rejects]
    shown: list[str] = reasons[:REJECTS_SHOWN]
    if pseudonyms and shown:
        shown = [WITHHELD]
    return {"count": len(reasons), "first": shown}


def _telemetry(telemetry: Telemetry, pseudonyms: Pseudonyms | None) -> dict[str, Any]:
    start, end = telemetry.start, telemetry.end
    return {
        "resolution_s": telemetry.resolution_s,
        "idle_threshold_pct": telemetry.idle_pct,
        "start": None if start is None else rfc3339(start),
        "end": None if end is None else rfc3339(end),
        "reason": _words(telemetry.reason, pseudonyms),
    }


def _words(words: str | None, pseudonyms: Pseudonyms | None) -> str | None:
    """Words that may hold a name or the path of a home."""
    return words if words is None or pseudonyms is None else pseudonyms.text(words)


def _prices(prices: Prices | None, pseudonyms: Pseudonyms | None) -> dict[str, str] | None:
    if prices is None:
        return None
    return {"file": WITHHELD if pseudonyms else prices.name, "sha256": prices.sha256}
