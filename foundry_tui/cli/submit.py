"""Submitting job specs and batch scripts."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from foundry_tui.actions import act, dryrun
from foundry_tui.actions.beside import NOT_SENT, Beside
from foundry_tui.actions.errors import PARTLY, ActionError, WrongUse
from foundry_tui.actions.link import Unlinkable
from foundry_tui.actions.scripts import program_of, split_submit
from foundry_tui.actions.together import is_named_spec, ordered
from foundry_tui.actions.whatif import room
from foundry_tui.cli import output
from foundry_tui.cli.act import CODES, report, show
from foundry_tui.cli.context import Context, command
from foundry_tui.cli.look import style
from foundry_tui.cli.specs import for_specs
from foundry_tui.estate.acts import ReceiptStatus, Submit
from foundry_tui.estate.run import Run
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.presenters import records
from foundry_tui.presenters.draft import room_words, start_words
from foundry_tui.presenters.spectotals import totals_lines

FLAGS = {
    "--json": "as_json",
    "--demo": "demo",
    "--read-only": "read_only",
    "--ascii": "ascii_only",
    "--dry-run": "dry_run",
    "--new": "again",
    "--unlinked": "unlinked",
}
WORDS = {"--source": "source", "--experiment": "experiment", "--entry": "entry"}
LISTS = {"--set": "sets", "--param": "params", "-P": "params"}
VALUED = {**WORDS, **LISTS, "--config": "config", "--estate": "estate"}
"""Options of our own that may stand among those of sbatch."""

PAUSE_S = 0.2
SOON_S = 4.0
"""How long a new run is waited for until its source lists it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for beside the files. `passed` is a submit whose preflight is over."""

    source: str | None = None
    experiment: str | None = None
    unlinked: bool = False
    dry_run: bool = False
    again: bool = False
    options: tuple[str, ...] = ()
    script_args: tuple[str, ...] = ()
    beside: Beside = field(default_factory=Beside)
    passed: act.Prepared | None = None


def _sorted_out(
    words: tuple[str, ...], *, of_project: bool = False
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The options for sbatch, and those of our own that stood among them.

    `-e` is sbatch's own, except behind a folder with an MLproject.
    """
    valued = {**VALUED, **({"-e": "entry"} if of_project else {})}
    options: list[str] = []
    own: dict[str, Any] = {}
    left = list(words)
    while left:
        word = left.pop(0)
        name, equals, value = word.partition("=")
        if word in FLAGS:
            own[FLAGS[word]] = True
        elif name in valued:
            if not equals and not left:
                raise WrongUse(f"submit: option {word} lacks its value")
            text = value if equals else left.pop(0)
            if name in LISTS:
                own[LISTS[name]] = (*own.get(LISTS[name], ()), text)
            else:
                own[valued[name]] = Path(text) if name in ("--config", "--estate") else text
        else:
            options.append(word)
    return tuple(options), own


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
@for_specs
@click.argument("argv", metavar="SPEC...|FOLDER|SCRIPT [ARGS]...", nargs=-1, type=click.UNPROCESSED)
def submit(context: Context, argv: tuple[str, ...], **given: Any) -> int:
    words, script, script_args = split_submit(argv, frozenset(VALUED))
    of_project = program_of(script) != script
    options, own = _sorted_out(words, of_project=of_project)
    paths = [script]
    if is_named_spec(script):
        # A spec takes no arguments, so ours may follow it, and other specs.
        script_args, more = _sorted_out(script_args, of_project=of_project)
        for name in ("sets", "params"):
            more[name] = (*own.get(name, ()), *more.get(name, ()))
        own |= more
        paths += [word for word in script_args if is_named_spec(word)]
        script_args = tuple(word for word in script_args if word not in paths)
    context = context.with_more(own)
    beside = Beside(
        sets=(*given.pop("sets"), *own.pop("sets", ())),
        params=(*given.pop("params"), *own.pop("params", ())),
        entry=own.pop("entry", None) or given.pop("entry"),
    )
    given.pop("entry", None)
    wishes = {k: v for k, v in {**given, **own}.items() if k in given}
    asked = Asked(options=options, script_args=script_args, beside=beside, **wishes)
    if len(paths) == 1:
        code, run_id = submit_one(context, asked, script)
        return code if run_id is None else tell_run(context, run_id)
    return _several(context, asked, paths)


def _several(context: Context, asked: Asked, paths: list[str]) -> int:
    """Specs of one command, those that others need first; none is sent if one cannot be."""
    specs = ordered(paths, asked.beside)
    sent = {name: NOT_SENT for _, name in specs}
    passed: list[act.Prepared] = []
    code = 0
    for path, _ in specs:
        output.narrate(f"{path}:")
        prepared = _prepared(context, replace(asked, beside=replace(asked.beside, sent=sent)), path)
        planned = _told(context, prepared)
        if asked.dry_run:
            code = max(code, _dry_run(context, prepared, planned=planned))
        elif refused := prepared.preview.refused:
            raise ActionError(f"nothing was sent: {path}: {refused[0].refusal}")
        else:
            _preflight(context, prepared, commands=True)
        passed.append(prepared)
    if asked.dry_run:
        show(context, tuple(passed))
        return code
    done: list[str] = []
    for (path, name), one in zip(specs, passed, strict=True):
        looked = replace(asked, beside=replace(asked.beside, sent=sent), passed=one)
        try:
            code, run_id = submit_one(context, looked, path)
        except ActionError as error:
            if not done:
                raise
            output.narrate(str(error))
            code, run_id = PARTLY, None
        if run_id is None:
            output.narrate(f"{path} was not submitted, and nothing behind it")
            code = PARTLY if done else code
            break
        sent[name] = run_id
        done.append(run_id)
        if not context.as_json:
            tell_run(context, run_id)
    if context.as_json:
        _tell_all(context, done)
    return code


def _prepared(
    context: Context, asked: Asked, path: str, *, unlinked: bool | None = None
) -> act.Prepared:
    return act.prepare_submit(
        context.site,
        asked.source,
        asked.options,
        path,
        asked.script_args,
        experiment=asked.experiment,
        unlinked=asked.unlinked if unlinked is None else unlinked,
        beside=asked.beside,
    )


def _told(context: Context, prepared: act.Prepared) -> bool:
    """Tell the notes, and whether there is room; false where that says when it starts."""
    for note in prepared.notes:
        output.narrate(note)
    found = room(context.site, prepared)
    if found is not None:
        output.narrate(f"start: {room_words(found.obstacle, found.changes)}")
    return found is None


def submit_one(context: Context, asked: Asked, path: str) -> tuple[int, str | None]:
    """Submit one file: the exit code, and the id of its run where there is one."""
    site = context.site
    prepared = _prepared(context, asked, path)
    if asked.passed is None:
        planned = _told(context, prepared)
        if asked.dry_run:
            code = _dry_run(context, prepared, planned=planned)
            show(context, (prepared,))
            return code, None
    elif not _same(asked.passed, prepared):
        raise ActionError(f"nothing was sent of {path}: it changed after it was looked at")
    for item in prepared.preview.refused:
        raise ActionError(f"nothing was sent: {item.refusal}")
    found = None if asked.again else act.first_try(site, prepared)
    if found is not None:
        record, receipt = found
        output.narrate(
            f"the first try ({record.change.id}) had reached {record.source} as {receipt.target}: "
            "not submitted again"
        )
        return 0, f"{record.source}/{receipt.target}"
    if asked.passed is None:
        _preflight(context, prepared, commands=True)
    try:
        change = act.perform(site, prepared)
    except Unlinkable as error:
        if sys.stdin is None or not sys.stdin.isatty():
            raise
        output.narrate(str(error))
        output.confirm("submit it without a record?", count=1, one_own=True, yes=False, typed=None)
        prepared = _prepared(context, asked, path, unlinked=True)
        change = act.perform(site, prepared)
    for receipt in change.receipts:
        if receipt.message:
            output.narrate(receipt.message)
    if change.receipts[0].status in (ReceiptStatus.DONE, ReceiptStatus.ACCEPTED):
        return 0, f"{prepared.source}/{change.receipts[0].target}"
    if context.as_json and asked.passed is None:
        return report(context, [change]), None
    return CODES.get(change.status, 1), None


def _same(passed: act.Prepared, prepared: act.Prepared) -> bool:
    """Whether two submits of one spec are the same but for the ids of the runs that it needs."""
    specs = [replace(p.spec, needs=()) for p in (passed, prepared) if p.spec is not None]
    scripts = [
        p.preview.act.script for p in (passed, prepared) if isinstance(p.preview.act, Submit)
    ]
    return len(specs) == 2 and specs[0] == specs[1] and scripts[0] == scripts[1]


def _preflight(context: Context, prepared: act.Prepared, *, commands: bool) -> bool:
    """Look at what a spec needs before it is sent: what fails stops a submit.

    The spec's own `commands` are run by a submit alone; without them nothing is stopped, and the
    answer is whether it would be sent.

    Raises:
        Unfit: a check failed, and nothing was sent.
    """
    if prepared.spec is None:
        return True
    from foundry_tui.actions import preflight
    from foundry_tui.presenters.preflight import preflight_text

    verdict = preflight.of_submit(context.site, prepared, commands=commands, told=output.narrate)
    if verdict is None:
        return True
    output.block(preflight_text(verdict, style(context), brief=True))
    if commands:
        preflight.require(verdict)
    return not verdict.failed


def _dry_run(context: Context, prepared: act.Prepared, *, planned: bool) -> int:
    """What it asks for, and when the scheduler says it would start: 1 if it would not be sent."""
    fit = _preflight(context, prepared, commands=False)
    if prepared.spec is not None:
        for line in totals_lines(prepared.spec):
            output.narrate(line)
    if planned:
        found = dryrun.start(context.site, prepared)
        if isinstance(found, str):
            words = found
        elif found.reason is not None or found.starts_at is None:
            words = found.reason or "the scheduler does not say when"
        else:
            words = start_words(found.starts_at, found.nodes, found.queue, context.site.clock())
        output.narrate(f"start: {words}")
    return 0 if fit and not prepared.preview.refused else 1


def tell_run(context: Context, run_id: str) -> int:
    """Say which run it became, as the source lists it by now."""
    snapshot = with_run(context, run_id)
    run = _listed(snapshot, run_id)
    if context.as_json:
        output.emit(
            records.envelope(
                "run",
                _run_record(run, run_id),
                sources=snapshot.sources,
                now=context.site.clock(),
            )
        )
    elif run is None:
        output.emit(run_id)
    else:
        output.emit(f"{run_id} {run.state}")
    return 0


def _tell_all(context: Context, run_ids: list[str]) -> None:
    """The runs of several specs as one object."""
    snapshot = with_run(context, run_ids[-1])
    payload = [_run_record(_listed(snapshot, one), one) for one in run_ids]
    now = context.site.clock()
    output.emit(records.envelope("runs", payload, sources=snapshot.sources, now=now))


def with_run(context: Context, run_id: str) -> Snapshot:
    """The estate with a new run in it: what the preflight read just before may be too old."""
    site, until = context.site, time.monotonic() + SOON_S
    snapshot = site.snapshot(measured=False)
    while _listed(snapshot, run_id) is None and time.monotonic() < until:
        site.hurry()
        time.sleep(PAUSE_S)
        snapshot = site.snapshot(measured=False)
    return snapshot


def _listed(snapshot: Snapshot, run_id: str) -> Run | None:
    source, _, native = run_id.partition("/")
    return next((r for r in snapshot.runs if r.id == run_id or _of_array(r, source, native)), None)


def _run_record(run: Run | None, run_id: str) -> records.Record:
    return {"id": run_id} if run is None else records.run_record(run)


def _of_array(run: Run, source: str, native: str) -> bool:
    return run.source == source and run.array is not None and run.array.job_id == native
