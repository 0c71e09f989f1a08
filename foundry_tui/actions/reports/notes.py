"""What the rows of a report do not say by themselves, in a line each for whoever reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from foundry_tui.actions.reports.given import Input
from foundry_tui.reports.columns import Column, Value, names
from foundry_tui.reports.writing.checks import Tally

_FILTERS = {"accounts": "--account", "users": "--user", "queues": "--queue"}


def unmatched(given: Input) -> Iterator[str]:
    """A name that was mistyped looks like one that used nothing, so an empty report says why."""
    told = [
        f"{_FILTERS[kind]} {value}" for kind, values in given.filters.items() for value in values
    ]
    if told:
        yield f"nothing in this window is of {' '.join(told)}"


def apart(tally: Tally) -> Iterator[str]:
    """The tries that are not billed, or not as they stand, by reason."""
    for reason, found in sorted(tally.doubtful.items()):
        yield f"not billed: {_tries(found.tries)} in doubt: {reason}"
    for count, what in (
        (tally.gpus_unknown, "whose GPUs accounting does not tell"),
        (tally.end_unknown, "that are over and have no end"),
        (tally.end_before_start, "that end before they begin"),
    ):
        if count:
            yield f"not billed: {_tries(count)} {what}"


def unexplained(meta: Mapping[str, Any]) -> Iterator[str]:
    """Sums that do not agree, here or with the scheduler's own."""
    told = meta["reconciliation"]
    if not told["accounting"]["exact"]:
        yield "the rows do not add up to the accounting: a fault of foundry; please report it"
    for own in told["schedulers"]:
        odd = [line["account"] for line in own["accounts"] if not line["explained"]]
        if odd:
            yield (
                f"{own['source']}: its own sums differ for {', '.join(map(str, odd[:3]))}"
                f"{' and others' if len(odd) > 3 else ''} by more than the edges of the window "
                "explain; the sidecar has them account by account (reconciliation)"
            )


def unpriced(columns: Sequence[Column], rows: Iterable[Sequence[Value]]) -> Iterator[str]:
    """The types of GPUs for which the table of prices has none, so that their cost is empty."""
    header = names(columns)
    price, held, kind = map(header.index, ("unit_price", "gpu_allocated_hours", "gpu_type"))
    types = {str(row[kind] or "unknown") for row in rows if row[held] and row[price] is None}
    if types:
        yield f"no price, so that the cost is empty: GPUs of type {', '.join(sorted(types))}"


def _tries(count: int) -> str:
    return "1 try" if count == 1 else f"{count} tries"
