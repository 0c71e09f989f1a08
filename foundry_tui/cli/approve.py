"""Commands about what may be changed: rights, approve."""

from __future__ import annotations

from pathlib import Path

import click

from foundry_tui.actions import apply as applying
from foundry_tui.actions import approve as approving
from foundry_tui.actions import permitted
from foundry_tui.actions.errors import SourceMissing
from foundry_tui.cli import output
from foundry_tui.cli.context import Context, command
from foundry_tui.cli.look import style, told
from foundry_tui.presenters import records
from foundry_tui.presenters.applied import diff_text
from foundry_tui.presenters.approve import approve_text
from foundry_tui.presenters.rights import rights_record, rights_text


@command("rights")
def rights(context: Context) -> int:
    site = context.site
    snapshot = site.whole(measured=False)
    told(snapshot)
    found = permitted.standings(site, snapshot)
    if context.as_json:
        payload = [rights_record(one) for one in found]
        output.emit(records.envelope("rights", payload, sources=snapshot.sources, now=site.clock()))
    else:
        output.emit(rights_text(found, permitted.policy_words(site), style(context)))
    return 0


@command("approve")
@click.argument("plan_file", metavar="PLAN", type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Agree without being asked.")
def approve(context: Context, plan_file: Path, yes: bool) -> int:
    asked = approving.read(context.site, plan_file)
    now = context.site.clock()
    try:
        snapshot = context.site.whole(measured=False)
    except SourceMissing as error:
        output.narrate(f"how the plan stands to the estate now is not known: {error}")
    else:
        told(snapshot)
        moves, whole = applying.compared(asked.plan, snapshot)
        output.block(diff_text(asked.plan, moves, whole, now=now, style=style(context)))
    output.block(
        approve_text(
            asked.plan, asked.digest, asked.given, asked.needed, now=now, style=style(context)
        )
    )
    output.confirm(
        f"Agree to plan {asked.plan.id} ({len(asked.plan.moves)} moves)?",
        count=1,
        one_own=True,
        yes=yes,
        typed=None,
    )
    path = approving.approve(context.site, asked)
    if context.as_json:
        payload = {"plan": asked.plan.id, "digest": asked.digest, "file": str(path)}
        output.emit(records.envelope("approval", payload, sources=(), now=now))
    else:
        output.narrate(f"agreed to plan {asked.plan.id}: {path}")
    return 0
