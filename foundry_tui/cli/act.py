"""Commands that change something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from foundry_tui.actions import act
from foundry_tui.actions.errors import PARTLY, ActionError, NothingMatched, WrongUse
from foundry_tui.actions.select import compiled, resolve_in
from foundry_tui.cli import output
from foundry_tui.cli.context import Context, command
from foundry_tui.cli.look import style, told
from foundry_tui.estate import fields
from foundry_tui.estate.acts import Change
from foundry_tui.estate.run import LIVE, Run
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.presenters import filterable, records
from foundry_tui.presenters.changes import preview_text, receipts_text

CODES = {"done": 0, "part": PARTLY, "unchanged": 1, "refused": 1, "unknown": 1, "not_sent": 1}
"""Status of a change -> exit code."""

agreeing = (
    click.option("--yes", is_flag=True, help="Agree, for one run of your own."),
    click.option("--confirm", "typed", type=int, metavar="COUNT", help="Agree to so many runs."),
    click.option("--dry-run", is_flag=True, help="Show what would be sent, and send nothing."),
)


def asks(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options by which a change is agreed to."""
    for option in reversed(agreeing):
        function = option(function)
    return function


def _verb(verb: str) -> click.Command:
    @command(verb, serves=frozenset({"--json", "--where"}))
    @click.argument("references", metavar="RUN...", nargs=-1)
    @asks
    def run_act(
        context: Context, references: tuple[str, ...], yes: bool, typed: int | None, dry_run: bool
    ) -> int:
        snapshot = context.site.whole()
        told(snapshot)
        prepared = act.prepare(
            context.site, verb, snapshot, _selected(context, snapshot, references)
        )
        return _send(context, prepared, verb, yes=yes, typed=typed, dry_run=dry_run)

    return run_act


def _selected(context: Context, snapshot: Snapshot, references: tuple[str, ...]) -> tuple[Run, ...]:
    """Runs by id, or live runs by `--where`; never both, never all by silence."""
    if references and context.where:
        raise WrongUse("name runs by id or select them with --where, not both")
    if references:
        return resolve_in(snapshot, references)
    wanted = compiled(context.where, fields.RUN_FIELDS, context.site.me)
    if wanted is None or not (context.where or "").strip():
        raise WrongUse("name at least one run, or select with --where EXPR")
    now = context.site.clock()
    live = [r for r in snapshot.runs if r.state in LIVE]
    kept = tuple(r for r in live if wanted.match(filterable.run_fields(r, now)))
    if not kept:
        raise NothingMatched(f"none of {len(live)} live runs matches {context.where!r}")
    return kept


def _send(
    context: Context,
    prepared: tuple[act.Prepared, ...],
    verb: str,
    *,
    yes: bool,
    typed: int | None,
    dry_run: bool,
) -> int:
    if dry_run:
        show(context, prepared)
        return 1 if all(len(p.preview.refused) == len(p.preview.items) for p in prepared) else 0
    for one in prepared:
        output.block(preview_text(one.preview, style(context)))
    if all(len(one.preview.refused) == len(one.preview.items) for one in prepared):
        raise ActionError(f"{verb}: nothing was sent, for the reasons above")
    count = sum(one.count for one in prepared)
    one_own = len(prepared) == 1 and prepared[0].one_own
    output.confirm(
        f"{verb} {count} run{'s' if count != 1 else ''}?",
        count=count,
        one_own=one_own,
        yes=yes,
        typed=typed,
    )
    changes: list[Change] = []
    failed: ActionError | None = None
    for one in prepared:
        try:
            changes.append(act.perform(context.site, one))
        except ActionError as error:
            failed = error
            output.narrate(str(error))
    if not changes and failed is not None:
        return failed.code
    code = report(context, changes)
    return code if failed is None else PARTLY


def show(context: Context, prepared: tuple[act.Prepared, ...]) -> None:
    """What would be sent, on standard output: nothing is sent."""
    if context.as_json:
        payload = [records.preview_record(one.preview) for one in prepared]
        output.emit(records.envelope("preview", payload, sources=(), now=context.site.clock()))
        return
    for one in prepared:
        output.emit(preview_text(one.preview, style(context)))


def report(context: Context, changes: list[Change]) -> int:
    if context.as_json:
        payload = [records.change_record(c) for c in changes]
        shown: Any = payload[0] if len(payload) == 1 else payload
        output.emit(records.envelope("change", shown, sources=(), now=context.site.clock()))
    else:
        for change in changes:
            output.emit(receipts_text(change, style(context)))
    codes = {CODES.get(c.status, 1) for c in changes}
    return codes.pop() if len(codes) == 1 else PARTLY


cancel, hold, release, requeue, suspend, resume = (
    _verb(v) for v in ("cancel", "hold", "release", "requeue", "suspend", "resume")
)
