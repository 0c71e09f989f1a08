"""The command that holds applied plans against what was measured: verdicts."""

from __future__ import annotations

import click

from foundry_tui.actions import verdicts as judged
from foundry_tui.actions.errors import NothingMatched
from foundry_tui.cli import output
from foundry_tui.cli.context import Context, command
from foundry_tui.cli.look import age_code, style, told, watched, watching
from foundry_tui.presenters import csvout, records
from foundry_tui.presenters.records.verdicts import promise_record, rule_record, verdict_record
from foundry_tui.presenters.verdicts import verdict_text, verdicts_text


@command("verdicts", serves=frozenset({"--json", "--csv"}))
@click.argument("plan", metavar="[PLAN]", required=False)
@watching
def verdicts(context: Context, plan: str | None, seconds: float | None) -> int:
    def once() -> int:
        site = context.site
        snapshot = site.whole(measured=False)
        told(snapshot)
        every = judged.all_verdicts(site, snapshot)
        if not every:
            raise NothingMatched("no plan was applied here; `foundry apply PLAN` applies one")
        rules = judged.records_of(every)
        found = every if plan is None else (judged.chosen(every, plan),)
        if context.as_json:
            payload = {
                "plans": [verdict_record(v) for v in found],
                "rules": [rule_record(r) for r in rules],
            }
            sources, now = snapshot.sources, snapshot.generated_at
            output.emit(records.envelope("verdicts", payload, sources=sources, now=now))
        elif context.as_csv and plan is None:
            output.emit(csvout.to_csv("verdicts", (verdict_record(v) for v in found)))
        elif context.as_csv:
            rows = ({"plan": v.plan, **promise_record(p)} for v in found for p in v.promises)
            output.emit(csvout.to_csv("promises", rows))
        elif plan is None:
            output.emit(verdicts_text(found, rules, style(context)))
        else:
            output.emit(verdict_text(found[0], rules, style(context)))
        return age_code(snapshot)

    return watched(context, seconds, once)
