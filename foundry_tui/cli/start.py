"""`foundry init`: a job spec to begin with."""

from __future__ import annotations

import shlex

import click

from foundry_tui.actions.site import utc_now
from foundry_tui.actions.start import TEMPLATES, begin
from foundry_tui.cli import output
from foundry_tui.cli.context import Context, command
from foundry_tui.presenters import records

_ABOUT = "; ".join(f"{name}: {words}" for name, words in TEMPLATES.items())


@command("init")
@click.option(
    "--template",
    type=click.Choice(tuple(TEMPLATES)),
    default="single",
    show_default=True,
    help=f"Which one. {_ABOUT}.",
)
@click.option(
    "-o", "--output", "place", metavar="FILE", help="The spec, or a folder for all files."
)
@click.option("--force", is_flag=True, help="Write over files that are there.")
def init(context: Context, template: str, place: str | None, force: bool) -> int:
    made = begin(context.site, template, place, force=force)
    if context.as_json:
        record = {"template": template, "files": list(made.files), "specs": list(made.specs)}
        output.emit(records.envelope("init", record, sources=(), now=utc_now()))
        return 0
    for name in made.files:
        output.emit(name)
    specs, first = shlex.join(made.specs), shlex.quote(made.specs[0])
    foundry = "foundry --demo" if context.site.options.demo else "foundry"
    where = f" --source {made.sources[0]}" if len(made.sources) > 1 else ""
    output.narrate("next, after a look into it:")
    if where:
        output.narrate(f"  (--source is one of {', '.join(made.sources)})")
    output.narrate(f"  {foundry} render {first}{where}   shows what would be sent")
    output.narrate(f"  {foundry} submit {specs}{where}   sends it, and prints its ID")
    output.narrate(f"  {foundry} inspect ID   tells how it stands; {foundry} logs ID its output")
    return 0
