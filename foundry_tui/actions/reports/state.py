"""Reports of GPUs and queues: what the history kept of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from foundry_tui.actions.errors import ActionError, SourceMissing, WrongUse
from foundry_tui.actions.reports import notes as reportnotes
from foundry_tui.actions.reports.given import Input
from foundry_tui.actions.reports.runs import PARTITIONED, SCHEMA_VERSION, Books, Go, parts
from foundry_tui.actions.site import Site
from foundry_tui.reports.columns import Column, Value, names
from foundry_tui.reports.gpus import capacity, health
from foundry_tui.reports.made import Asked, Made, Progress
from foundry_tui.reports.queues import balance
from foundry_tui.reports.writing import sidecar
from foundry_tui.reports.writing.files import ReportError
from foundry_tui.reports.writing.spool import Spool

if TYPE_CHECKING:
    from foundry_tui.reports.gpus.demand import Waits


def check(asked: Asked) -> None:
    """Refuse filters that mean nothing here, before anything is read.

    Raises:
        WrongUse: names the option.
    """
    for option, values in (("--user", asked.users), ("--account", asked.accounts)):
        if values:
            raise WrongUse(f"{option}: the report {asked.name} is not about users and accounts")
    if asked.queues and asked.name == "gpu-health":
        raise WrongUse("--queue: the report gpu-health is not about queues")


def make(site: Site, given: Input, most: int | None, go: Go) -> Made:
    """Make a report of GPUs or queues.

    Raises:
        SourceMissing: there is no history of the window.
        ActionError: the history cannot be read, or there is no room for so many rows.
    """
    from foundry_tui.store.history import HistoryError

    asked = given.asked
    books = Books()
    try:
        columns, found, definitions = _rows(site, given, books, go)
        rows = _limited(columns, found, asked.queues)
        if given.pseudonyms is not None:
            rows = (_hidden(site, given, columns, row) for row in rows)
        spool = Spool(columns, rows, most, lambda count: go(Progress(0.9, f"{count} rows")))
    except (HistoryError, ReportError) as error:
        raise ActionError(f"report {asked.name}: {error}") from error
    if not spool.count:
        given.notes += reportnotes.unmatched(given)
    sources = books.sources or [
        sidecar.Source(name=name, scheduler=one.kind) for name, one in site.schedulers.items()
    ]
    meta = sidecar.meta(
        sidecar.Facts(
            report=asked.name,
            schema_version=SCHEMA_VERSION,
            columns=columns,
            window=given.window,
            by=asked.by,
            as_of=given.now,
            command=asked.command,
            sources=sources,
            telemetry=given.telemetry,
            rows=spool.count,
            definitions=definitions,
            filters=given.filters,
        ),
        given.pseudonyms,
    )
    return Made(
        asked=asked,
        columns=columns,
        rows=spool.kept,
        row_count=spool.count,
        totals=None,
        meta=meta,
        notes=tuple(given.notes),
        lines=spool.lines,
        incomplete=not all(s.answered for s in sources) or bool(meta["rejects"]["count"]),
    )


def _rows(
    site: Site, given: Input, books: Books, go: Go
) -> tuple[Sequence[Column], Iterable[Sequence[Value]], Sequence[str]]:
    """Columns, rows and definitions of the report."""
    past, readings, edges = given.past, given.readings, given.edges
    if given.asked.name == "queue-balance":
        header = names(balance.COLUMNS)
        if past is None or readings is None:
            if not given.window.start <= given.now <= given.window.end:
                raise SourceMissing(f"report queue-balance: {given.telemetry.reason}")
            found = balance.rows_now(site.whole(measured=False))
            given.notes.append("without a history the queues are told as they are now")
        else:
            found = balance.rows(past, readings, edges)
        return balance.COLUMNS, ([row[n] for n in header] for row in found), balance.DEFINITIONS
    if past is None:
        raise SourceMissing(f"report {given.asked.name}: {given.telemetry.reason}")
    if given.asked.name == "capacity":
        go(Progress(0.05, "asks how long runs waited"))
        return (
            capacity.COLUMNS,
            capacity.rows(past, edges, _waits(site, given, books, go)),
            capacity.DEFINITIONS,
        )
    gpus = health.rows(past, readings, edges) if readings is not None else ()
    return health.COLUMNS, gpus, health.DEFINITIONS


def _waits(site: Site, given: Input, books: Books, go: Go) -> Waits:
    """How long runs waited, from the accounting of all sources."""
    from foundry_tui.reports.gpus.demand import Waits

    waits = Waits(given.edges)
    for records in parts(site, given, books, go, compared=False):
        waits.add(records)
    return waits


def _limited(
    columns: Sequence[Column], rows: Iterable[Sequence[Value]], queues: Sequence[str]
) -> Iterator[Sequence[Value]]:
    header = names(columns)
    place = next((header.index(n) for n in ("partition", "queue") if n in header), None)
    for row in rows:
        if not queues or place is None or row[place] in queues:
            yield row


def _hidden(
    site: Site, given: Input, columns: Sequence[Column], row: Sequence[Value]
) -> Sequence[Value]:
    """A row in which projects and departments stand by pseudonym."""
    assert given.pseudonyms is not None
    header = names(columns)
    scheduler = site.schedulers.get(str(row[header.index("cluster")]))
    if scheduler is not None and scheduler.kind in PARTITIONED:
        return row
    shown = list(row)
    for name in ("queue", "parent", "partition"):
        if name in header and isinstance(value := shown[header.index(name)], str):
            shown[header.index(name)] = given.pseudonyms.account(value)
    if "reason" in header and isinstance(value := shown[header.index("reason")], str):
        shown[header.index("reason")] = given.pseudonyms.text(value)
    return shown
