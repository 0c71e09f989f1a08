"""Commands about single runs: why, inspect, logs."""

from __future__ import annotations

import click

from foundry_tui.actions import look
from foundry_tui.actions.errors import NothingMatched
from foundry_tui.actions.select import resolve, resolve_in
from foundry_tui.cli import output
from foundry_tui.cli.context import Context, command
from foundry_tui.cli.look import age_code, style, told
from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.presenters import records
from foundry_tui.presenters.details import run_details
from foundry_tui.presenters.why import why_page

named = click.argument("references", metavar="RUN...", nargs=-1, required=True)


def chosen(
    context: Context, references: tuple[str, ...], *, measured: bool = False
) -> tuple[Snapshot, tuple[Run, ...]]:
    """The estate and the runs named in it, the finished ones of accounting too."""
    snapshot = context.site.whole(measured=measured)
    told(snapshot)
    try:
        return snapshot, resolve_in(snapshot, references)
    except NothingMatched:
        # The job list forgets what has ended; accounting takes longer, and may be silent.
        rows, notes = look.with_finished(context.site, snapshot, 7 * 86_400.0)
        for note in notes:
            output.narrate(note)
        return snapshot, resolve(rows, references)


@command("why")
@named
def why(context: Context, references: tuple[str, ...]) -> int:
    snapshot, runs = chosen(context, references)
    # Of an array the tasks that wait are meant, as long as there are any.
    runs = tuple(r for r in runs if r.state is RunState.PENDING) or runs
    found = [look.why(context.site, snapshot, run) for run in runs]
    now = snapshot.generated_at
    if context.as_json:
        payload = [records.why_record(w.run.id, w.explanation, w.command) for w in found]
        output.emit(records.envelope("why", payload, sources=snapshot.sources, now=now))
    else:
        pages = [
            why_page(one.run, one.explanation, one.command, now=now, style=style(context))
            for one in found
        ]
        output.emit("\n\n".join(pages))
    return age_code(snapshot)


@command("inspect")
@named
def inspect(context: Context, references: tuple[str, ...]) -> int:
    snapshot, runs = chosen(context, references, measured=True)
    found = [look.inspect(context.site, snapshot, run) for run in runs]
    if context.as_json:
        payload = [
            {
                **records.run_record(i.run),
                "details": i.details,
                "missing": list(i.missing),
                "mlflow": records.tracked_record(i.tracked),
            }
            for i in found
        ]
        output.emit(
            records.envelope("runs", payload, sources=snapshot.sources, now=snapshot.generated_at)
        )
    else:
        output.emit(
            "\n\n".join(
                run_details(
                    i.run,
                    now=snapshot.generated_at,
                    style=style(context),
                    details=i.details,
                    missing=i.missing,
                    tracked=i.tracked,
                )
                for i in found
            )
        )
    return age_code(snapshot)


@command("logs")
@click.argument("reference", metavar="RUN")
@click.option("-n", "--lines", "tail", default=100, show_default=True, help="Lines from the end.")
@click.option("--errors", is_flag=True, help="The error file instead of the output file.")
def logs(context: Context, reference: str, tail: int, errors: bool) -> int:
    snapshot, runs = chosen(context, (reference,))
    if len(runs) > 1:
        ids = ", ".join(r.native_id for r in runs[:5])
        raise click.UsageError(f"{reference} is an array; name one task of it: {ids} …")
    log = look.logs(context.site, snapshot, runs[0], tail_lines=max(0, tail), errors=errors)
    if context.as_json:
        payload = {
            "run": runs[0].id,
            "path": log.path,
            "lines": list(log.lines),
            "truncated": log.truncated,
            "reason": log.reason,
        }
        output.emit(
            records.envelope("log", payload, sources=snapshot.sources, now=snapshot.generated_at)
        )
    elif log.lines:
        output.emit("\n".join(log.lines))
    if log.reason:
        output.narrate(f"{log.path or runs[0].id}: {log.reason}")
        return age_code(snapshot) or 1
    return 0
