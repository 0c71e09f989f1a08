"""`foundry triage`: what the site's rules find, who would be told, and the plan that they make."""

from __future__ import annotations

from pathlib import Path

import click

from foundry_tui.actions import notices
from foundry_tui.actions import triage as triaging
from foundry_tui.actions.errors import PARTLY, WrongUse
from foundry_tui.actions.reports.windows import window
from foundry_tui.cli import output
from foundry_tui.cli.context import Context, command
from foundry_tui.cli.look import style, told, write_atomically
from foundry_tui.estate import csvtext
from foundry_tui.estate.text import safe
from foundry_tui.presenters import records
from foundry_tui.presenters.triage import (
    CSV,
    finding_record,
    judged_record,
    notice_text,
    triage_text,
)


@command("triage", serves=frozenset({"--json", "--csv"}))
@click.option("--since", metavar="TIME", help="Begin, such as 7d.  [default: 7d]")
@click.option("--from", "start", metavar="TIME", help="The same, as `report` has it.")
@click.option("--to", "end", metavar="TIME", help="End, UTC; not included.  [default: now]")
@click.option("--rule", "names", metavar="NAME", multiple=True, help="Only this rule.")
@click.option("--user", "users", metavar="USER", multiple=True, help="Only this user.")
@click.option("--notify", is_flag=True, help="Print what each owner would be told.")
@click.option("--yes", is_flag=True, help="With --notify: tell them, by the configured program.")
@click.option(
    "-o",
    "--output",
    "target",
    type=click.Path(path_type=Path),
    help="Write a plan of the rules' acts; `foundry apply` previews and carries it out.",
)
def triage(
    context: Context,
    since: str | None,
    start: str | None,
    end: str | None,
    names: tuple[str, ...],
    users: tuple[str, ...],
    notify: bool,
    yes: bool,
    target: Path | None,
) -> int:
    if since is not None and start is not None:
        raise WrongUse("--since and --from are the same: give one of them")
    if yes and not notify:
        raise WrongUse("--yes is for --notify; a plan of -o is applied with `foundry apply`")
    site = context.site
    if yes:
        notices.ready(site)
    begins, ends = window(start or since or "7d", end, None, site.clock())
    found = triaging.triage(site, begins, ends, names=names, users=users)
    told(found.snapshot)
    if target is not None:
        plan = triaging.planned(site, found)
        record = {**records.plan_record(plan), "tradeoffs": []}
        now = found.snapshot.generated_at
        sources = found.snapshot.sources
        write_atomically(target, records.envelope("plan", record, sources=sources, now=now))
        output.narrate(
            f"wrote {target}: {len(plan.moves)} moves; nothing was sent, "
            f"`foundry apply {target} --dry-run` shows what would be"
        )
        for one in plan.not_proposed:
            output.narrate(f"not in it: {one.target.id}, {one.why}")
    failed = _notify(context, found, yes=yes) if notify else False
    if not notify:
        _show(context, found)
    return PARTLY if found.incomplete or failed else 0


def _show(context: Context, found: triaging.Triage) -> None:
    if context.as_json:
        payload = {
            "start": found.window.start,
            "end": found.window.end,
            "rules": [judged_record(one) for one in found.judged],
        }
        output.emit(
            records.envelope(
                "triage",
                payload,
                sources=found.snapshot.sources,
                now=context.site.clock(),
                partial=found.notes,
            )
        )
    elif context.as_csv:
        output.emit(csvtext.write(map(finding_record, found.findings), CSV))
    else:
        output.emit(triage_text(found.judged, found.window, found.notes, style(context)))


def _notify(context: Context, found: triaging.Triage, *, yes: bool) -> bool:
    """Print or send what owners are told; True when one could not be told."""
    site = context.site

    def text(one: notices.Due, now: object) -> str:
        return notice_text(one.user, one.findings, site.clock())

    waiting, already = notices.due(site, found)
    if already:
        output.narrate(f"{already} findings were told within the period and are left out")
    if not yes:
        for one in waiting:
            output.emit(text(one, None))
        command = " ".join(site.config.notices.command) or "no program is configured"
        output.narrate(f"{len(waiting)} owners would be told; with --yes by: {safe(command)}")
        return False
    outcomes = notices.tell(site, found, text)
    for outcome in outcomes:
        words = "told" if outcome.error is None else f"not told: {outcome.error}"
        output.narrate(f"{outcome.user}: {words} ({outcome.findings} findings)")
    if not outcomes:
        output.narrate("nobody is to be told")
    return any(outcome.error is not None for outcome in outcomes)
