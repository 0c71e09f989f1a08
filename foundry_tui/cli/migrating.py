"""`foundry migrate plan|quotas|estimate|board`: what moves, with which quota, when, how far."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from foundry_tui.actions.errors import PARTLY, SourceMissing, WrongUse
from foundry_tui.cli import output
from foundry_tui.cli.context import Context, command
from foundry_tui.cli.look import style, told, write_atomically
from foundry_tui.presenters import records

SERVES = frozenset({"--json", "--csv"})
DAYS = 30
SCRIPTS = 100

_tables = click.option("--tables", type=click.Path(path_type=Path), help="Mapping tables.")
_scripts = click.option(
    "--scripts",
    type=click.IntRange(0, 10_000),
    default=SCRIPTS,
    show_default=True,
    help="Read at most so many scripts, those of most GPU-hours.",
)


def _windowed(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that name a window."""
    for option in (
        click.option("--to", "end", metavar="TIME", help="End, UTC; not included. [default: now]"),
        click.option("--from", "start", metavar="TIME", help="Begin, UTC, instead of --days."),
        click.option(
            "--days", type=click.IntRange(1, 3660), help=f"The last N days.  [default: {DAYS}]"
        ),
    ):
        function = option(function)
    return function


def _window(
    context: Context, days: int | None, start: str | None, end: str | None
) -> tuple[datetime, datetime]:
    from foundry_tui.actions.reports.windows import window

    if days is not None and (start is not None or end is not None):
        raise WrongUse("--days stands for --from and --to: give one or the other")
    return window(start or f"{days or DAYS}d", end, None, context.site.clock())


@command("plan", serves=SERVES)
@_windowed
@_tables
@click.option("--account", "accounts", multiple=True, help="Only this account.")
@click.option("--user", "users", multiple=True, help="Only this user.")
@_scripts
def plan(
    context: Context,
    days: int | None,
    start: str | None,
    end: str | None,
    tables: Path | None,
    accounts: tuple[str, ...],
    users: tuple[str, ...],
    scripts: int,
) -> int:
    """What of the work of the last days moves: per account, and what is in the way."""
    from foundry_tui.actions.migrate import counting
    from foundry_tui.cli.report import progress_bar
    from foundry_tui.presenters.census import census_csv, census_record, census_text, scope_notes

    begins, ends = _window(context, days, start, end)
    site = context.site
    with progress_bar() as bar:
        counted = counting.count(
            site,
            begins,
            ends,
            tables=counting.tables_of(site, tables),
            accounts=accounts,
            users=users,
            scripts=scripts,
            go=bar or counting.silent,
        )
    told(counted.snapshot)
    census = counted.census
    notes = (*scope_notes(census), *counted.notes)
    if context.as_json:
        payload = census_record(census, counted.window)
        sources = counted.snapshot.sources
        output.emit(
            records.envelope(
                "migration_plan", payload, sources=sources, now=site.clock(), partial=notes
            )
        )
    elif context.as_csv:
        output.emit(census_csv(census))
    else:
        several = len({row.source for row in census.accounts}) > 1
        page = census_text(census, counted.window, counted.notes, style(context), source=several)
        output.emit(page)
    return PARTLY if counted.incomplete else 0


@command("quotas", serves=SERVES)
@_windowed
@_tables
@click.option("--pool-gpus", type=click.IntRange(0, 10_000_000), help="GPUs to give away.")
@click.option("--source", help="Where the projects are, if there are several.")
@click.option("-o", "--output", "target", type=click.Path(path_type=Path), help="Plan as a file.")
def quotas(
    context: Context,
    days: int | None,
    start: str | None,
    end: str | None,
    tables: Path | None,
    pool_gpus: int | None,
    source: str | None,
    target: Path | None,
) -> int:
    """Propose quota and weight of projects from Slurm's shares and from real use."""
    from foundry_tui.actions.migrate import counting, dividing
    from foundry_tui.cli.report import progress_bar
    from foundry_tui.presenters.migratequotas import quota_record, quotas_csv, quotas_text

    begins, ends = _window(context, days, start, end)
    site = context.site
    with progress_bar() as bar:
        counted = counting.count(
            site,
            begins,
            ends,
            tables=counting.tables_of(site, tables),
            scripts=0,
            go=bar or counting.silent,
        )
    told(counted.snapshot)
    found = dividing.divide(site, counted, pool_gpus, source)
    if target is not None:
        _write(target, counted, found)
    notes = (*found.notes, *counted.notes)
    if context.as_json:
        payload = {
            "start": counted.window.start,
            "end": counted.window.end,
            "pool_gpus": found.pool,
            "pool": found.how,
            "source": found.source,
            "accounts": [quota_record(q, found.projects.get(q.account)) for q in found.quotas],
        }
        sources = counted.snapshot.sources
        output.emit(
            records.envelope("quotas", payload, sources=sources, now=site.clock(), partial=notes)
        )
    elif context.as_csv:
        output.emit(quotas_csv(found.quotas, found.projects))
    else:
        pool = f"{found.pool}: {found.how}"
        output.emit(quotas_text(found.quotas, found.projects, pool, notes, style(context)))
    return PARTLY if counted.incomplete else 0


def _write(target: Path, counted: Any, found: Any) -> None:
    from foundry_tui.actions.migrate import dividing

    made = dividing.planned(counted, found)
    record = {**records.plan_record(made), "tradeoffs": []}
    snapshot = counted.snapshot
    data = records.envelope("plan", record, sources=snapshot.sources, now=snapshot.generated_at)
    write_atomically(target, data)
    output.narrate(
        f"wrote {target}: {len(made.moves)} moves; nothing was sent, "
        f"`foundry apply {target} --dry-run` shows what would be"
    )
    for one in made.not_proposed:
        output.narrate(f"not in it: {one.target.id}, {one.why}")


@command("estimate", serves=SERVES)
@click.argument("script")
@click.option("--target", type=click.Choice(("runai", "kai")), help="One of the two alone.")
@_tables
def estimate(context: Context, script: str, target: str | None, tables: Path | None) -> int:
    """When a script would start on Slurm, and its translation on Run:ai or KAI."""
    from foundry_tui.actions.migrate import counting, estimating
    from foundry_tui.presenters.migratestart import (
        estimate_record,
        estimates_csv,
        estimates_text,
    )

    site = context.site
    known = counting.tables_of(site, tables)
    found = estimating.estimates(site, script, known, target)
    now = site.clock()
    if context.as_json:
        payload = [estimate_record(one, now) for one in found]
        output.emit(records.envelope("estimates", payload, sources=(), now=now))
    elif context.as_csv:
        output.emit(estimates_csv(found, now))
    else:
        output.emit(estimates_text(found, now, style(context)))
    return 0 if any(one.asked for one in found) else SourceMissing.code


@command("board", serves=SERVES)
@_windowed
@_tables
@_scripts
def board(
    context: Context,
    days: int | None,
    start: str | None,
    end: str | None,
    tables: Path | None,
    scripts: int,
) -> int:
    """Per account: what has moved, what is left, and what blocks it."""
    from foundry_tui.actions.migrate import boarding, counting
    from foundry_tui.cli.report import progress_bar
    from foundry_tui.presenters.board import board_csv, board_notes, board_record, board_text

    begins, ends = _window(context, days, start, end)
    site = context.site
    with progress_bar() as bar:
        found = boarding.boarded(
            site,
            begins,
            ends,
            tables=counting.tables_of(site, tables),
            scripts=scripts,
            go=bar or counting.silent,
        )
    if context.as_json:
        payload = board_record(found.board, found.window)
        notes = (*board_notes(found.board), *found.notes)
        output.emit(records.envelope("board", payload, sources=(), now=site.clock(), partial=notes))
    elif context.as_csv:
        output.emit(board_csv(found.board.lines))
    else:
        output.emit(board_text(found.board, found.window, found.notes, style(context)))
    return PARTLY if found.incomplete else 0
