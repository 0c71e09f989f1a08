"""Commands that change something, and the journal of what was changed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from foundry_tui.actions import act
from foundry_tui.actions.errors import PARTLY, ActionError, NothingMatched, WrongUse
from foundry_tui.actions.link import Unlinkable
from foundry_tui.actions.select import compiled, resolve_in
from foundry_tui.actions.whatif import room
from foundry_tui.cli import output
from foundry_tui.cli.context import Context, command
from foundry_tui.cli.look import style, told
from foundry_tui.estate import filter as filters
from foundry_tui.estate.acts import Change, ReceiptStatus
from foundry_tui.estate.run import LIVE, Run
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.presenters import filterable, records
from foundry_tui.presenters.changes import journal_text, preview_text, receipts_text
from foundry_tui.presenters.draft import room_words
from foundry_tui.presenters.rendered import rendered_text

CODES = {"done": 0, "part": PARTLY, "unchanged": 1, "refused": 1, "unknown": 1, "not_sent": 1}
"""Status of a change -> exit code."""

FLAGS = {
    "--json": "as_json",
    "--demo": "demo",
    "--read-only": "read_only",
    "--ascii": "ascii_only",
    "--dry-run": "dry_run",
    "--new": "again",
    "--unlinked": "unlinked",
}
WORDS = {"--source": "source", "--experiment": "experiment"}
VALUED = {**WORDS, "--config": "config", "--estate": "estate"}
"""Options of our own that may stand among those of sbatch."""

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
    wanted = compiled(context.where, filters.RUN_FIELDS, context.site.me)
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
        _show(context, prepared)
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
    code = _report(context, changes)
    return code if failed is None else PARTLY


def _show(context: Context, prepared: tuple[act.Prepared, ...]) -> None:
    """What would be sent, on standard output: nothing is sent."""
    if context.as_json:
        payload = [records.preview_record(one.preview) for one in prepared]
        output.emit(records.envelope("preview", payload, sources=(), now=context.site.clock()))
        return
    for one in prepared:
        output.emit(preview_text(one.preview, style(context)))


def _sorted_out(words: tuple[str, ...]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The options for sbatch, and those of our own that stood among them."""
    options: list[str] = []
    own: dict[str, Any] = {}
    left = list(words)
    while left:
        word = left.pop(0)
        name, equals, value = word.partition("=")
        if word in FLAGS:
            own[FLAGS[word]] = True
        elif name in VALUED:
            if not equals and not left:
                raise WrongUse(f"submit: option {word} lacks its value")
            text = value if equals else left.pop(0)
            own[VALUED[name]] = text if name in WORDS else Path(text)
        else:
            options.append(word)
    return tuple(options), own


def _report(context: Context, changes: list[Change]) -> int:
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


@command(
    "submit",
    # -h would be found in `-ph100` too.
    context_settings={
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
        "help_option_names": ["--help"],
    },
    options_metavar="[OPTIONS] [SBATCH OPTIONS]",
)
@click.option("--source", metavar="NAME", help="Where to submit, when there are several.")
@click.option("--dry-run", is_flag=True, help="Show what would be sent, and send nothing.")
@click.option("--new", "again", is_flag=True, help="Do not look for a broken-off first try.")
@click.option("--experiment", metavar="NAME", help="The MLflow experiment of the run's record.")
@click.option("--unlinked", is_flag=True, help="Without an MLflow record.")
@click.argument("argv", metavar="SPEC|SCRIPT [ARGS]...", nargs=-1, type=click.UNPROCESSED)
def submit(context: Context, argv: tuple[str, ...], **given: Any) -> int:
    words, script, script_args = act.split_submit(argv, frozenset(VALUED))
    options, own = _sorted_out(words)
    if script.lower().endswith(act.SPECS):
        # A spec takes no arguments, so ours may follow it.
        script_args, more = _sorted_out(script_args)
        own |= more
    context = context.with_more(own)
    asked = {**given, **own}
    site = context.site

    def prepare(*, unlinked: bool) -> act.Prepared:
        return act.prepare_submit(
            site,
            asked["source"],
            options,
            script,
            script_args,
            experiment=asked["experiment"],
            unlinked=unlinked,
        )

    prepared = prepare(unlinked=asked["unlinked"])
    for note in prepared.notes:
        output.narrate(note)
    found_room = room(site, prepared)
    if found_room is not None:
        output.narrate(f"start: {room_words(found_room.obstacle, found_room.changes)}")
    if asked["dry_run"]:
        _show(context, (prepared,))
        return 1 if prepared.preview.refused else 0
    for item in prepared.preview.refused:
        raise ActionError(f"nothing was sent: {item.refusal}")
    found = None if asked["again"] else act.first_try(site, prepared)
    if found is not None:
        record, receipt = found
        output.narrate(
            f"the first try ({record.change.id}) had reached {record.source} as {receipt.target}: "
            "not submitted again"
        )
        return _submitted(context, record.source, receipt.target)
    try:
        change = act.perform(site, prepared)
    except Unlinkable as error:
        if sys.stdin is None or not sys.stdin.isatty():
            raise
        output.narrate(str(error))
        output.confirm("submit it without a record?", count=1, one_own=True, yes=False, typed=None)
        prepared = prepare(unlinked=True)
        change = act.perform(site, prepared)
    for receipt in change.receipts:
        if receipt.message:
            output.narrate(receipt.message)
    if change.receipts[0].status in (ReceiptStatus.DONE, ReceiptStatus.ACCEPTED):
        return _submitted(context, prepared.source, change.receipts[0].target)
    if context.as_json:
        return _report(context, [change])
    return CODES.get(change.status, 1)


def _submitted(context: Context, source: str, native: str) -> int:
    run_id = f"{source}/{native}"
    snapshot = context.site.snapshot()
    run = next((r for r in snapshot.runs if r.id == run_id or _of_array(r, source, native)), None)
    if context.as_json:
        payload = {"id": run_id} if run is None else records.run_record(run)
        output.emit(
            records.envelope("run", payload, sources=snapshot.sources, now=context.site.clock())
        )
    elif run is None:
        output.emit(run_id)
    else:
        output.emit(f"{run_id} {run.state}")
    return 0


def _of_array(run: Run, source: str, native: str) -> bool:
    return run.source == source and run.array is not None and run.array.job_id == native


@command("render")
@click.option("--source", metavar="NAME", help="For which source, when there are several.")
@click.option("--experiment", metavar="NAME", help="The MLflow experiment of the run's record.")
@click.option("--unlinked", is_flag=True, help="Without an MLflow record.")
@click.argument("spec", metavar="SPEC|SCRIPT")
def render(
    context: Context, spec: str, source: str | None, experiment: str | None, unlinked: bool
) -> int:
    prepared = act.prepare_submit(
        context.site, source, (), spec, (), experiment=experiment, unlinked=unlinked, sends=False
    )
    preview = prepared.preview
    if context.as_json:
        record = records.render_record(preview, prepared.notes)
        output.emit(records.envelope("render", record, sources=(), now=context.site.clock()))
        return 1 if preview.refused else 0
    for note in prepared.notes:
        output.narrate(note)
    for item in preview.items:
        if item.refusal is not None:
            raise ActionError(f"{preview.act.source} would refuse it: {item.refusal}")
        if item.warning is not None:
            output.narrate(item.warning)
    output.emit(rendered_text(preview, style(context)))
    return 0


@command("undo")
@click.argument("change_id", metavar="ID")
@asks
def undo(context: Context, change_id: str, yes: bool, typed: int | None, dry_run: bool) -> int:
    snapshot = context.site.whole()
    told(snapshot)
    prepared = act.prepare_undo(context.site, change_id, snapshot)
    return _send(context, (prepared,), f"undo {change_id}:", yes=yes, typed=typed, dry_run=dry_run)


@command("journal")
@click.option("--verify", is_flag=True, help="Check that no line was changed or lost.")
@click.option("-n", "--lines", "count", default=50, show_default=True, help="The newest so many.")
def journal(context: Context, verify: bool, count: int) -> int:
    if verify:
        problems = context.site.journal.verify()
        for problem in problems:
            output.narrate(str(problem))
        if not problems:
            output.narrate(f"{context.site.journal.path}: every line is as it was written")
        return 1 if problems else 0
    for record, receipt in act.settle(context.site):
        output.narrate(f"{record.change.id} was broken off: {receipt.message}")
    kept = context.site.journal.changes()[-max(1, count) :]
    if context.as_json:
        payload = [records.journal_record(r) for r in kept]
        output.emit(records.envelope("journal", payload, sources=(), now=context.site.clock()))
    else:
        output.emit(journal_text(kept, style(context)))
    return 0
