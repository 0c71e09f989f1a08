"""The command that runs something again with the same inputs."""

from __future__ import annotations

import sys
import time
from contextlib import chdir
from pathlib import Path

import click

from foundry_tui.actions import laidout
from foundry_tui.actions import reproduce as again
from foundry_tui.actions.act import may_change
from foundry_tui.actions.beside import Beside
from foundry_tui.actions.errors import PARTLY, ActionError, WrongUse
from foundry_tui.cli import output
from foundry_tui.cli.context import Context, command
from foundry_tui.cli.look import style
from foundry_tui.cli.submit import Asked, submit_one, tell_run, with_run
from foundry_tui.estate.run import LIVE, Run
from foundry_tui.presenters import records
from foundry_tui.presenters.reproduced import input_records, inputs_text, whole_text

WAIT_S = 10.0
"""`--wait` looks at the run every so many seconds."""


@command("reproduce")
@click.argument("reference", metavar="RUN")
@click.option("--check", is_flag=True, help="Only tell what of its inputs is still there.")
@click.option(
    "-o",
    "--output",
    "target",
    metavar="FOLDER",
    help="The new folder that the code is put into; without it one beside the repository.",
)
@click.option(
    "--repository",
    default=".",
    metavar="FOLDER",
    help="Where the repository with the commit is, unless that is here.",
)
@click.option("--source", metavar="NAME", help="Where to submit, instead of where it was.")
@click.option(
    "--set", "sets", metavar="KEY=VALUE", multiple=True, help="Another value of a spec's field."
)
@click.option("--anyway", is_flag=True, help="Also where inputs are missing or have changed.")
@click.option("--yes", is_flag=True, help="Also a run that you have not submitted yourself.")
@click.option("--dry-run", is_flag=True, help="Lay out the code, and show what would be sent.")
@click.option("--wait", is_flag=True, help="Wait for its end, and show what differs.")
def reproduce(
    context: Context,
    reference: str,
    check: bool,
    target: str | None,
    repository: str,
    source: str | None,
    sets: tuple[str, ...],
    anyway: bool,
    yes: bool,
    dry_run: bool,
    wait: bool,
) -> int:
    site = context.site
    given = frozenset(words.partition("=")[0] for words in sets)
    found = again.look(site, reference, Path(repository), given)
    if check and context.as_json:
        payload = {
            "run_id": found.run.run_id,
            "held": found.held,
            "of": len(found.inputs),
            "inputs": input_records(found.inputs),
        }
        output.emit(records.envelope("reproduce", payload, sources=(), now=site.clock()))
    else:
        title = f"{found.run.name} ({found.run.run_id}) once more"
        text = inputs_text(title, found.inputs, again.PROMISE, style(context))
        (output.emit if check else output.block)(text)
    if check:
        return 0 if found.whole else PARTLY
    may_change(site, "reproduce")
    if not dry_run:
        _agree(found, anyway=anyway, yes=yes)
    laid = laidout.lay_out(found, laidout.place(found) if target is None else Path(target))
    output.narrate(f"the code and its spec are in {laid.spec.parent}")
    if not found.own:
        _somebody_elses(found, laid, ask=not (yes or dry_run))
    asked = Asked(
        source=source or found.source,
        experiment=None if "experiment" in given else found.experiment,
        dry_run=dry_run,
        beside=Beside(sets=sets, tags=again.tags(found)),
        again=True,
    )
    with chdir(laid.start):
        code, run_id = submit_one(context, asked, str(laid.spec))
    if run_id is None:
        return code
    if wait:
        return _outcome(context, found, run_id)
    tell_run(context, run_id)
    output.narrate(f"when it has ended: foundry diff {found.run.run_id} {run_id}")
    return 0


def _agree(found: again.Reproduction, *, anyway: bool, yes: bool) -> None:
    """Ask about inputs that are not as they were; without a terminal nothing can be asked."""
    terminal = sys.stdin is not None and sys.stdin.isatty()
    if not found.own and not yes and not terminal:
        raise WrongUse(
            "reproduce: you have not submitted this run, so its command is somebody else's: look "
            "at it with --dry-run; --yes sends it; nothing was sent"
        )
    if found.whole or anyway:
        return
    lost = [
        one.what for one in found.inputs if one.held in (again.Held.CHANGED, again.Held.MISSING)
    ]
    words = f"not as they were: {', '.join(lost)}"
    if not terminal:
        raise WrongUse(f"reproduce: {words}; --anyway goes on all the same; nothing was sent")
    output.confirm(f"{words}. Go on?", count=1, one_own=True, yes=False, typed=None)


def _somebody_elses(found: again.Reproduction, laid: laidout.LaidOut, *, ask: bool) -> None:
    """Show what would run in the user's name, before anything of it runs."""
    who = f"its record says {found.run.user}" if found.run.user else "its record names nobody"
    title = f"you have not submitted this run ({who}). It would run as you:"
    output.block(whole_text(title, laid.text))
    output.narrate(f"it would start in {laid.start}")
    if ask:
        question = "its code and command run as you. Send it?"
        output.confirm(question, count=1, one_own=True, yes=False, typed=None)


def _outcome(context: Context, found: again.Reproduction, run_id: str) -> int:
    """Wait until the run has ended and its record says so; then what differs."""
    from foundry_tui.actions import track
    from foundry_tui.actions.experiments import compare
    from foundry_tui.cli.experiments import show_diff

    site = context.site
    snapshot = with_run(context, run_id)
    while left := [r for r in snapshot.runs if _is(r, run_id) and r.state in LIVE]:
        output.narrate(f"{run_id} {left[0].state}")
        time.sleep(max(WAIT_S, min(60.0, site.wait_s())))
        snapshot = site.whole(measured=False)
    try:
        track.sync(site)
    except ActionError as error:
        output.narrate(f"{error}; its record may not have its end yet")
    show_diff(context, compare.diff(site, (found.run.run_id, run_id)))
    return 0


def _is(run: Run, run_id: str) -> bool:
    """Whether a row of the job list is this run, or a task of it."""
    if run.array is not None and f"{run.source}/{run.array.job_id}" == run_id:
        return True
    return run.id == run_id
