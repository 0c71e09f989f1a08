"""The journal of what was changed, by whom and for what."""

from __future__ import annotations

import click

from foundry_tui.actions import act, reverting
from foundry_tui.actions.errors import NothingMatched
from foundry_tui.cli import output
from foundry_tui.cli.context import Context, command
from foundry_tui.cli.look import style
from foundry_tui.presenters import records
from foundry_tui.presenters.changes import journal_text


@command("journal")
@click.option("--verify", is_flag=True, help="Check that no line was changed or lost.")
@click.option("--plan", metavar="ID", help="Only the changes of this plan.")
@click.option("-n", "--lines", "count", default=50, show_default=True, help="The newest so many.")
def journal(context: Context, verify: bool, plan: str | None, count: int) -> int:
    if verify:
        return _verify(context)
    for record, receipt in act.settle(context.site):
        output.narrate(f"{record.change.id} was broken off: {receipt.message}")
    for words in reverting.overdue(context.site):
        output.narrate(words)
    changes = context.site.journal.changes()
    if plan is not None:
        changes = tuple(record for record in changes if record.purpose.plan == plan)
        if not changes:
            raise NothingMatched(f"no change of plan {plan} in the journal")
    kept = changes[-max(1, count) :]
    if context.as_json:
        payload = [records.journal_record(r) for r in kept]
        output.emit(records.envelope("journal", payload, sources=(), now=context.site.clock()))
    else:
        output.emit(journal_text(kept, style(context)))
    return 0


def _verify(context: Context) -> int:
    path = context.site.journal.path
    problems = context.site.journal.verify()
    if context.as_json:
        found = [{"line": p.line, "kind": p.kind, "text": p.text} for p in problems]
        record = {"path": str(path), "intact": not problems, "problems": found}
        output.emit(records.envelope("verify", record, sources=(), now=context.site.clock()))
    for problem in problems:
        output.narrate(f"{path}: {problem}")
    if not problems:
        lines = path.read_bytes().count(b"\n") if path.exists() else 0
        output.narrate(f"{path}: every line is as it was written ({lines})")
        return 0
    output.narrate(
        "compare these lines with the system log: each of its `foundry` lines carries the hash of "
        "the journal line that was written with it"
    )
    return 1
