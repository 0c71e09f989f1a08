"""Reports of runs: the accounting of every source, part by part, joined with the history."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from foundry_tui.actions.errors import ActionError, SourceMissing
from foundry_tui.actions.reports import notes as reportnotes
from foundry_tui.actions.reports.given import Input
from foundry_tui.actions.site import Site
from foundry_tui.estate.usage import Account, Accounting, OwnTotals, UsageRecord, Window
from foundry_tui.reports import periods
from foundry_tui.reports.columns import Column, Row, Value, line, names
from foundry_tui.reports.jobs import rows as jobs
from foundry_tui.reports.joining.join import Join
from foundry_tui.reports.joining.remembered import FORGETFUL, with_remembered
from foundry_tui.reports.made import Made, Progress, Totals
from foundry_tui.reports.usage import columns as usagecolumns
from foundry_tui.reports.usage import rows as usage
from foundry_tui.reports.writing import files, sidecar
from foundry_tui.reports.writing.checks import Tally
from foundry_tui.schedulers.ports import Bookkeeper, SchedulerError, SchedulerReader

if TYPE_CHECKING:
    from foundry_tui.reports.part import Part

SCHEMA_VERSION = 1

PARTITIONED = frozenset({"slurm"})
"""Kinds of schedulers whose queues are partitions, and not who is charged."""

Go = Callable[[Progress], None]


class Report(Protocol):
    """A report that is fed part by part."""

    @property
    def columns(self) -> Sequence[Column]: ...
    def add(self, part: Part) -> None: ...
    def rows(self) -> Iterator[Sequence[Value]]: ...


@dataclass(slots=True)
class Books:
    """What the sources told beside their tries."""

    sources: list[sidecar.Source] = field(default_factory=list)
    accounts: dict[tuple[str, str], Account] = field(default_factory=dict)
    own: dict[str, OwnTotals] = field(default_factory=dict)
    memory_mib: dict[tuple[str, str | None], int] = field(default_factory=dict)


def make(site: Site, given: Input, most: int | None, go: Go) -> Made:
    """Make a report of runs.

    Raises:
        SourceMissing: no accounting answered.
        ActionError: the history cannot be read, or there is no room for what has to be sorted.
    """
    from foundry_tui.store.history import HistoryError

    books = Books()
    schedulers = {name: one.kind for name, one in site.schedulers.items()}
    report, edges = _report(given, books, schedulers)
    now_s = int(given.now.timestamp())
    join = Join(edges, now_s, given.past, given.readings)
    tally = Tally(given.window, given.now, books.own)
    try:
        for part_of in parts(site, given, books, go):
            part = join.part(part_of)
            if not isinstance(report, jobs.Jobs):
                _sizes(given, part, books)
            tally.add(part)
            report.add(part if given.pseudonyms is None else given.pseudonyms.part(part))
    except (HistoryError, files.ReportError) as error:
        raise ActionError(f"report {given.asked.name}: {error}") from error
    if books.sources and not any(source.answered for source in books.sources):
        raise SourceMissing("; ".join(given.notes) or "no source keeps accounts")
    if given.pseudonyms is not None:
        shown = given.pseudonyms.accounts(books.accounts)
        books.accounts.clear()
        books.accounts.update(shown)
    go(Progress(0.95, "adds up"))
    return _made(given, report, tally, join, books, most)


def _report(
    given: Input, books: Books, schedulers: dict[str, str]
) -> tuple[Report, tuple[int, ...]]:
    """The report, and the borders of the periods that its parts must have."""
    if given.asked.name == "jobs":
        if given.asked.by is not None:
            given.notes.append(f"jobs has a row per try, which is not cut by {given.asked.by}")
        changes = given.prices.changes_s if given.prices is not None else ()
        edges = periods.edges(given.window, None)
        return (
            jobs.Jobs(given.window, given.now, given.prices),
            periods.split(edges, changes),
        )
    facts: dict[str, Any] = {
        "accounts": books.accounts,
        "schedulers": schedulers,
        "memory_mib": books.memory_mib,
    }
    if given.asked.name == "usage-by-account":
        report = usage.ByAccount(given.edges, given.prices, **facts)
    else:
        now_s = int(given.now.timestamp())
        report = usage.ByUser(given.edges, given.prices, now_s=now_s, **facts)
    return report, report.edges


def parts(
    site: Site, given: Input, books: Books, go: Go, *, compared: bool = True
) -> Iterator[Sequence[UsageRecord]]:
    """The tries of all sources; what one does not tell becomes a note.

    `compared`: the schedulers' own sums are wanted too.
    """
    asked, window = given.asked, given.window
    length_s = max(1.0, (window.end - window.start).total_seconds())
    for number, (name, scheduler) in enumerate(site.schedulers.items()):
        notes: dict[str, None] = {}
        rejects: list[str] = []
        answered, reached = True, window.start
        known = False
        try:
            for told in _usage(scheduler, window, asked.users or None):
                if not known:  # a source that hangs is waited for once
                    known = True
                    _accounts(name, scheduler, given, books)
                    if compared and not given.filtered:
                        _own_totals(name, scheduler, given, books)
                accounting = told
                if scheduler.kind in FORGETFUL and given.past is not None:
                    accounting = with_remembered(given.past, told, name, asked.users or None)
                reached = max(reached, min(accounting.window.end, window.end))
                share = (reached - window.start).total_seconds() / length_s
                done = (number + share) / len(site.schedulers)
                go(Progress(0.9 * done, f"{name}: {reached:%Y-%m-%d %H:%M}"))
                notes.update(dict.fromkeys(accounting.notes))
                rejects += accounting.rejects
                if given.pseudonyms is not None and accounting.notes:
                    given.pseudonyms.meet(accounting.records)
                found = [r for r in accounting.records if _wanted(r, given)]
                yield found if scheduler.kind in PARTITIONED else list(map(_charged, found))
        except SchedulerError as error:
            answered = False
            since = f" from {reached:%Y-%m-%d %H:%M} UTC on" if reached > window.start else ""
            notes[f"its rows are missing{since}: {error}"] = None
        if rejects:
            given.notes.append(
                f"{name}: {len(rejects)} rows of accounting could not be read: {rejects[0]}"
            )
        given.notes += [f"{name}: {note}" for note in notes]
        books.sources.append(
            sidecar.Source(
                name=name,
                scheduler=scheduler.kind,
                answered=answered,
                notes=tuple(notes),
                rejects=tuple(rejects),
            )
        )


def _accounts(name: str, scheduler: SchedulerReader, given: Input, books: Books) -> None:
    """Learn who is charged; without that, parents and quotas stay empty."""
    if isinstance(scheduler, Bookkeeper):
        try:
            found = scheduler.accounts()
        except SchedulerError as error:
            given.notes.append(f"{name}: parents and quotas of accounts are unknown: {error}")
            return
        books.accounts.update(((name, account.name), account) for account in found)


def _usage(
    scheduler: SchedulerReader, window: Window, users: tuple[str, ...] | None
) -> Iterator[Accounting]:
    if isinstance(scheduler, Bookkeeper):
        return scheduler.usage(window, users=users)
    return iter((scheduler.accounting(window, users=users),))


def _wanted(record: UsageRecord, given: Input) -> bool:
    asked = given.asked
    return (
        (not asked.users or record.user in asked.users)
        and (not asked.accounts or (record.account or record.queue) in asked.accounts)
        and (not asked.queues or record.queue in asked.queues)
    )


def _charged(record: UsageRecord) -> UsageRecord:
    """The project of Run:ai or KAI is who is charged; where it ran is the node pool."""
    if record.account is not None:
        return record
    return replace(record, account=record.queue, queue=record.node_pool)


def _own_totals(name: str, scheduler: SchedulerReader, given: Input, books: Books) -> None:
    """Learn the scheduler's own sums, to be laid beside those of all tries."""
    if isinstance(scheduler, Bookkeeper):
        try:
            own = scheduler.own_totals(given.window)
        except SchedulerError as error:
            given.notes.append(f"{name}: its own sums are not to be had: {error}")
            return
        if own is not None:
            books.own[name] = own


def _sizes(given: Input, part: Part, books: Books) -> None:
    """Learn how much memory a GPU of each type has, where all of them have the same.

    A part is of one source.
    """
    if given.past is None or not part.records:
        return
    source = part.records[0].source
    for kind in set(part.lines.gpu_type):
        if (source, kind) in books.memory_mib:
            continue
        ids = [d for on in given.past.devices_on(source).values() for d, _, _ in on]
        facts = given.past.devices_of(ids).values()
        sizes = {
            one.mem_mib
            for one in facts
            if kind is None or kind.casefold() in (one.model or "").casefold()
        }
        size = next(iter(sizes)) if len(sizes) == 1 else None
        books.memory_mib[source, kind] = size or 0


def _made(
    given: Input, report: Report, tally: Tally, join: Join, books: Books, most: int | None
) -> Made:
    rows: Callable[[], Iterator[Sequence[Value]]]
    lines: Callable[[], Iterator[str]]
    definitions: list[str] = []
    if isinstance(report, jobs.Jobs):
        rows, lines, count = report.rows, report.lines, len(report)
        hours = report.written_hours
    else:
        table = list(report.rows())
        place = names(report.columns).index("gpu_allocated_hours")
        hours = sum((told for row in table if isinstance(told := row[place], Decimal)), Decimal())
        rows = partial(iter, table)
        lines, count = partial(written, report.columns, rows), len(table)
        definitions += usagecolumns.DEFINITIONS
        if given.prices is not None:
            given.notes += reportnotes.unpriced(report.columns, table)
    if join.over_ms:
        definitions.append(
            f"{join.over_ms // 1000} GPU-seconds of readings lay outside the time that accounting "
            "tells, and were left out"
        )
    meta = sidecar.meta(
        sidecar.Facts(
            report=given.asked.name,
            schema_version=SCHEMA_VERSION,
            columns=report.columns,
            window=given.window,
            by=None if isinstance(report, jobs.Jobs) else given.asked.by,
            as_of=given.now,
            command=given.asked.command,
            sources=books.sources,
            telemetry=given.telemetry,
            rows=count,
            tally=tally,
            written_hours=hours,
            prices=given.prices,
            definitions=definitions,
            filters=given.filters,
        ),
        given.pseudonyms,
    )
    if isinstance(report, usage.ByUser):
        meta["counted_apart"]["waiting"] = report.waiting()
    if not count:
        given.notes += reportnotes.unmatched(given)
    given.notes += reportnotes.apart(tally)
    given.notes += reportnotes.unexplained(meta)
    allocated, used, idle = (
        ms // 1000 for ms in (tally.allocated_ms, tally.used_ms, tally.idle_ms)
    )
    return Made(
        asked=given.asked,
        columns=report.columns,
        rows=kept(report.columns, rows, most),
        row_count=count,
        totals=Totals(
            allocated_s=allocated, used_s=used, idle_s=idle, unknown_s=allocated - used - idle
        ),
        meta=meta,
        notes=tuple(given.notes),
        lines=lines,
        incomplete=not all(s.answered for s in books.sources) or bool(meta["rejects"]["count"]),
    )


def written(
    columns: Sequence[Column], rows: Callable[[], Iterator[Sequence[Value]]]
) -> Iterator[str]:
    """The CSV file line by line, without line ends."""
    yield line(names(columns))
    for values in rows():
        yield line(values)


def kept(
    columns: Sequence[Column], rows: Callable[[], Iterator[Sequence[Value]]], most: int | None
) -> list[Row]:
    """The first rows by column, to look at."""
    header = names(columns)
    return [dict(zip(header, values, strict=True)) for values in islice(rows(), most)]
