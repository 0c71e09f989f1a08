"""Commands that apply plans and take changes back: apply, diff-plan and undo."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from foundry_tui.actions import apply as applying
from foundry_tui.actions import reverting, undoing
from foundry_tui.actions.errors import PARTLY, ActionError, SourceMissing, WrongUse
from foundry_tui.cli import output
from foundry_tui.cli.act import asks
from foundry_tui.cli.context import Context, command
from foundry_tui.cli.look import age_code, style, told
from foundry_tui.presenters import applied as texts
from foundry_tui.presenters import records
from foundry_tui.presenters.records.applied import (
    applied_record,
    diff_record,
    prepared_record,
    taking_record,
)


@command("apply")
@click.argument("path", metavar="PLAN", type=click.Path(path_type=Path))
@click.option("--only", metavar="MOVES", help="These moves alone, by id or number: 1,3.")
@click.option("--for", "lasting", metavar="TIME", help="Take it back by itself after so long: 4h.")
@click.option("--why", metavar="TEXT", help="The reason, which the journal keeps.")
@asks
def apply(
    context: Context,
    path: Path,
    only: str | None,
    lasting: str | None,
    why: str | None,
    yes: bool,
    typed: int | None,
    dry_run: bool,
) -> int:
    site = context.site
    plan, data = applying.read_plan(path)
    moves = tuple(one.strip() for one in (only or "").split(",") if one.strip())
    if only is not None and not moves:
        raise WrongUse("--only: name moves by id or number, such as 1,3")
    after = None if lasting is None else undoing.lasting(lasting)
    snapshot = site.whole(measured=False)
    told(snapshot)
    prepared = applying.prepare(site, plan, data, snapshot, only=moves)
    seen = applying.now_of(snapshot, prepared.moves)
    now = snapshot.generated_at
    if dry_run:
        if context.as_json:
            record = prepared_record(prepared)
            output.emit(records.envelope("dry_run", record, sources=snapshot.sources, now=now))
        else:
            output.emit(texts.prepared_text(prepared, seen, now=now, style=style(context)))
        return 1 if prepared.obstacles else 0
    if prepared.applied is not None and after is not None:
        raise ActionError(
            f"--for {lasting}: plan {plan.id} was applied already, so nothing was sent and no time "
            f"is set for it; `foundry undo {plan.id}` takes it back"
        )
    if prepared.applied is None:
        output.block(texts.prepared_text(prepared, seen, now=now, style=style(context)))
        if prepared.obstacles:
            raise ActionError("nothing was sent, for the reasons above")
        output.confirm(
            f"Apply {len(prepared.moves)} moves, which touch {prepared.count}?",
            count=prepared.count,
            one_own=applying.one_own(site, prepared, snapshot),
            yes=yes,
            typed=typed,
        )
    until = None if after is None else site.clock() + after
    with _interrupt() as over:
        result = applying.carry_out(
            site,
            prepared,
            until=until,
            why=why,
            progress=output.narrate,
            stop=over.is_set,
            pause=over.wait,
        )
    if until is not None and result.changes:
        output.narrate(reverting.watched(site, until))
    return _report(context, result)


@command("diff-plan")
@click.argument("path", metavar="PLAN", type=click.Path(path_type=Path))
def diff_plan(context: Context, path: Path) -> int:
    plan, _ = applying.read_plan(path)
    snapshot = context.site.whole(measured=False)
    told(snapshot)
    moves, whole = applying.compared(plan, snapshot)
    now = snapshot.generated_at
    if context.as_json:
        record = diff_record(plan, moves, whole)
        output.emit(records.envelope("diff_plan", record, sources=snapshot.sources, now=now))
    else:
        output.emit(texts.diff_text(plan, moves, whole, now=now, style=style(context)))
    if whole or any(words for _, _, words in moves):
        return 1
    return age_code(snapshot)


@command("undo")
@click.argument("wanted", metavar="ID")
@click.option(
    "--requeue",
    is_flag=True,
    help="Put runs that have started since back into the queue; their work so far is lost.",
)
@click.option("--why", metavar="TEXT", help="The reason, which the journal keeps.")
@asks
def undo(
    context: Context,
    wanted: str,
    requeue: bool,
    why: str | None,
    yes: bool,
    typed: int | None,
    dry_run: bool,
) -> int:
    site = context.site
    snapshot = site.whole(measured=False)
    told(snapshot)
    prepared = undoing.prepare(site, wanted, snapshot, requeue=requeue)
    text = texts.taking_text(prepared.taking, count=prepared.count, style=style(context))
    if dry_run:
        if context.as_json:
            record = taking_record(prepared.taking, prepared.count)
            now = snapshot.generated_at
            output.emit(records.envelope("undo", record, sources=snapshot.sources, now=now))
        else:
            output.emit(text)
        return 0
    output.block(text)
    output.confirm(
        f"undo {wanted}: take back {prepared.count}?",
        count=prepared.count,
        one_own=prepared.one_own,
        yes=yes,
        typed=typed,
    )
    with _interrupt() as over:
        result = undoing.carry_out(
            site,
            prepared,
            why=why,
            progress=output.narrate,
            stop=over.is_set,
            pause=over.wait,
        )
    code = _report(context, result)
    return PARTLY if code == 0 and prepared.left else code


def _report(context: Context, result: applying.Applied) -> int:
    """Print what came of it; the exit code."""
    if context.as_json:
        record = applied_record(result)
        if len(result.changes) == 1:
            record = {**records.change_record(result.changes[0]), **record}
        now = context.site.clock()
        output.emit(records.envelope("change", record, sources=(), now=now))
    else:
        output.emit(texts.applied_text(result, style(context)))
    if result.stopped is None:
        return 0
    if any(change.status in ("done", "part", "unknown") for change in result.changes):
        return PARTLY
    return SourceMissing.code if result.silent else 1


@contextmanager
def _interrupt() -> Iterator[threading.Event]:
    """Ctrl-C ends after the step that is being sent; a second one ends at once."""
    over = threading.Event()

    def stop(*_: object) -> None:
        over.set()
        signal.signal(signal.SIGINT, before)
        output.narrate("stopping after this step; once more ends at once")

    before: Callable[..., object] | int | None = signal.signal(signal.SIGINT, stop)
    try:
        yield over
    finally:
        signal.signal(signal.SIGINT, before)
