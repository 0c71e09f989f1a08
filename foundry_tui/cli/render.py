"""`foundry render`: what would be sent for a job spec or a batch script."""

from __future__ import annotations

import click

from foundry_tui.actions import act
from foundry_tui.actions.beside import Beside
from foundry_tui.actions.errors import ActionError, WrongUse
from foundry_tui.actions.site import utc_now
from foundry_tui.cli import output
from foundry_tui.cli.context import Context, command
from foundry_tui.cli.look import style
from foundry_tui.cli.specs import for_specs
from foundry_tui.presenters import records
from foundry_tui.presenters.rendered import rendered_text

TARGETS = ("slurm", "runai", "kai")


@command("render")
@click.option("--source", metavar="NAME", help="For which source, when there are several.")
@click.option(
    "--target",
    type=click.Choice(TARGETS),
    help="For a kind of scheduler instead: one script or one request, and nobody is asked.",
)
@click.option("--schema", is_flag=True, help="The JSON Schema of a job spec, for editors.")
@click.option("--experiment", metavar="NAME", help="The MLflow experiment of the run's record.")
@click.option("--unlinked", is_flag=True, help="Without an MLflow record.")
@for_specs
@click.option("-e", "entry_short", metavar="NAME", hidden=True)
@click.argument("spec", metavar="SPEC|FOLDER|SCRIPT", required=False)
def render(
    context: Context,
    spec: str | None,
    source: str | None,
    target: str | None,
    schema: bool,
    experiment: str | None,
    unlinked: bool,
    sets: tuple[str, ...],
    entry: str | None,
    entry_short: str | None,
    params: tuple[str, ...],
) -> int:
    if schema:
        from foundry_tui.actions.rendering import schema_text

        output.emit(schema_text().rstrip("\n"))
        return 0
    if spec is None:
        raise WrongUse("render: name a job spec or a batch script; foundry render [OPTIONS] FILE")
    beside = Beside(sets=sets, entry=entry or entry_short, params=params, later=True)
    if target is not None:
        if source is not None:
            raise WrongUse("--target and --source exclude each other: --target asks no source")
        return _pure(context, spec, target, beside)
    prepared = act.prepare_submit(
        context.site,
        source,
        (),
        spec,
        (),
        experiment=experiment,
        unlinked=unlinked,
        sends=False,
        beside=beside,
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


def _pure(context: Context, path: str, target: str, beside: Beside) -> int:
    from foundry_tui.actions.rendering import document

    made = document(path, target, beside)
    if context.as_json:
        record = {"target": made.target, "text": made.text, "notes": list(made.notes)}
        output.emit(records.envelope("render", record, sources=(), now=utc_now()))
        return 0
    for note in made.notes:
        output.narrate(note)
    output.emit(made.text.rstrip("\n"))
    return 0
