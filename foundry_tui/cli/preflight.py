"""The command that looks at a job spec before it is sent."""

from __future__ import annotations

import click

from foundry_tui.actions import preflight as preflights
from foundry_tui.actions.beside import Beside
from foundry_tui.cli import output
from foundry_tui.cli.context import Context, command
from foundry_tui.cli.look import style
from foundry_tui.cli.specs import for_specs
from foundry_tui.presenters import records
from foundry_tui.presenters.preflight import preflight_record, preflight_text


@command("preflight")
@click.option("--source", metavar="NAME", help="For which source, when there are several.")
@click.option("--run-commands", is_flag=True, help="Run the commands under `preflight` too.")
@click.option("--registry", is_flag=True, help="Ask the image's registry for its digest.")
@for_specs
@click.option("-e", "entry_short", metavar="NAME", hidden=True)
@click.argument("spec", metavar="SPEC|FOLDER")
def preflight(
    context: Context,
    spec: str,
    source: str | None,
    run_commands: bool,
    registry: bool,
    sets: tuple[str, ...],
    entry: str | None,
    entry_short: str | None,
    params: tuple[str, ...],
) -> int:
    found = preflights.look(
        context.site,
        spec,
        source,
        commands=run_commands,
        registry=registry,
        told=output.narrate,
        beside=Beside(sets=sets, entry=entry or entry_short, params=params, later=True),
    )
    if context.as_json:
        record = preflight_record(found.source, found.spec.name, found.verdict)
        now = context.site.clock()
        output.emit(records.envelope("preflight", record, sources=(), now=now))
    else:
        output.emit(preflight_text(found.verdict, style(context)))
    return 1 if found.verdict.failed else 0
