"""Commands that compute: advise and report."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from foundry_tui.actions import report as reporting
from foundry_tui.actions.advise import advice
from foundry_tui.actions.errors import PARTLY, WrongUse
from foundry_tui.cli import output
from foundry_tui.cli.context import Context, command
from foundry_tui.cli.look import age_code, style, told, write_atomically
from foundry_tui.presenters import csvout, records
from foundry_tui.presenters.plan import plan_text


@command("advise", serves=frozenset({"--json", "--csv"}))
@click.option(
    "--policy",
    type=click.Choice(["fgd", "best_fit"]),
    default="fgd",
    show_default=True,
    help="How a place is chosen: least fragmentation, or the fullest that fits.",
)
@click.option("--limit", type=click.IntRange(min=1), help="At most so many moves.")
@click.option("--no-check", is_flag=True, help="Do not ask the scheduler about each placement.")
@click.option("-o", "--output", "target", type=click.Path(path_type=Path), help="Plan as a file.")
def advise(
    context: Context, policy: str, limit: int | None, no_check: bool, target: Path | None
) -> int:
    snapshot = context.site.whole()
    told(snapshot)
    plan = advice(
        context.site,
        snapshot,
        policy=policy,
        limit=limit,
        check=not no_check,
        progress=output.narrate,
    )
    data = records.envelope(
        "plan", records.plan_record(plan), sources=snapshot.sources, now=snapshot.generated_at
    )
    if target is not None:
        write_atomically(target, data)
        output.narrate(f"wrote {target}: {len(plan.moves)} moves")
    if context.as_json:
        output.emit(data)
    elif context.as_csv:
        output.emit(csvout.to_csv("moves", (records.move_record(m) for m in plan.moves)))
    elif target is None:
        output.emit(plan_text(plan, now=snapshot.generated_at, style=style(context)))
    return age_code(snapshot)


def _moment(text: str, name: str, now: datetime) -> datetime:
    """A time of the command line: a date, an RFC 3339 time, `now`, or `7d` ago."""
    text = text.strip()
    if text == "now":
        return now
    unit = {"h": 1, "d": 24, "w": 168}.get(text[-1:])
    try:
        if unit is not None and text[:-1].isdecimal():
            return now - timedelta(hours=unit * int(text[:-1]))
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise WrongUse(
            f"{name} {text!r}: give a date (2026-11-01), a time (2026-11-01T06:00Z), now, or 7d"
        ) from error


@command("report", serves=frozenset({"--json", "--csv"}))
@click.argument("name", metavar="NAME", type=click.Choice(["jobs"]))
@click.option("--from", "start", default="1d", show_default=True, help="Begin, UTC.")
@click.option("--to", "end", default="now", show_default=True, help="End, UTC; not included.")
@click.option(
    "-o", "--output", "folder", type=click.Path(path_type=Path), help="Folder for the files."
)
def report(context: Context, name: str, start: str, end: str, folder: Path | None) -> int:
    now = context.site.clock()
    made = reporting.jobs(
        context.site,
        _moment(start, "--from", now),
        _moment(end, "--to", now),
        folder=folder,
        command=sys.argv[1:],
    )
    if context.as_json:
        output.emit(records.envelope("report", made.rows, sources=(), now=now))
    elif folder is None:
        output.emit(made.csv)
    else:
        output.narrate(f"wrote {made.path} ({len(made.rows)} rows) and its .meta.json")
    for note in made.notes:
        output.narrate(note)
    return PARTLY if made.notes else 0
