"""Commands about the tracking server: sync, tracking up."""

from __future__ import annotations

from typing import Any

import click

from foundry_tui.actions import track
from foundry_tui.actions.errors import PARTLY, SourceMissing
from foundry_tui.actions.table import BY_ID
from foundry_tui.actions.tracker import up as run_server
from foundry_tui.cli import output
from foundry_tui.cli.context import Context, command, global_options
from foundry_tui.cli.look import style
from foundry_tui.presenters import records
from foundry_tui.presenters.tracked import sync_text

PORT = 5000
"""MLflow's own port."""


@command("sync")
@click.option("--dry-run", is_flag=True, help="Show what would be changed, and change nothing.")
def sync(context: Context, dry_run: bool) -> int:
    report = track.sync(context.site, dry_run=dry_run)
    if context.as_json:
        payload = [records.sync_record(item) for item in report.items]
        output.emit(records.envelope("sync", payload, sources=(), now=context.site.clock()))
    elif report.items or not (report.down or report.silent or report.problems):
        output.emit(sync_text(report.items, style(context)))
    for words in report.problems:
        output.narrate(words)
    for source, why in report.silent.items():
        output.narrate(f"{source} did not answer for all of its runs: {why}")
    failed = sum(item.did == "failed" for item in report.items)
    done = sum(item.did in ("wrote", "repaired", "orphaned") for item in report.items)
    if report.down is not None:
        output.narrate(str(report.down))
    if report.down is not None or (report.silent and not done):
        return PARTLY if done else SourceMissing.code
    return PARTLY if report.silent or report.problems or failed else 0


@click.group("tracking", help=BY_ID["tracking"].help)
@global_options
@click.pass_context
def tracking(ctx: click.Context, /, **given: Any) -> None:
    ctx.obj = (ctx.find_object(Context) or Context()).with_more(given)


@tracking.command(
    "up", help=f"Run an MLflow server on SQLite, on loopback, until Ctrl-C; --port is {PORT}."
)
@click.option(
    "--port",
    default=PORT,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Where it listens; 0 for any port that is free.",
)
@click.pass_obj
def up(context: Context, port: int) -> int:
    return run_server(context.site, port, output.narrate)
