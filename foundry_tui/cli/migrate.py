"""`foundry migrate`: batch scripts to job specs and manifests; mapping tables proposed.

Without a sub-command the words behind it are scripts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from foundry_tui.actions.errors import ActionError, WrongUse
from foundry_tui.actions.site import utc_now
from foundry_tui.actions.table import BY_ID
from foundry_tui.cli import output
from foundry_tui.cli.context import Context, command, global_options
from foundry_tui.cli.look import style, told, write_atomically
from foundry_tui.cli.migrating import board, estimate, plan, quotas
from foundry_tui.presenters import records

TARGETS = ("runai", "kai")
SCRIPTS = "scripts"
"""The sub-command that holds where none is named."""


class Migrate(click.Group):
    """A group whose first word may be a script: a file of the name of a sub-command is `./NAME`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        flags = {o for p in self.params if getattr(p, "is_flag", False) for o in p.opts}
        first = next((word for word in args if word not in flags), None)
        named = first in self.commands or first in ("-h", "--help")
        return super().parse_args(ctx, args if named else [SCRIPTS, *args])


@click.group(
    "migrate",
    cls=Migrate,
    help=BY_ID["migrate"].help,
    subcommand_metavar="SCRIPT... | COMMAND [ARGS]...",
    epilog="The options of a translation: foundry migrate scripts --help.",
)
@global_options
@click.pass_context
def migrate(ctx: click.Context, /, **given: Any) -> None:
    ctx.obj = (ctx.find_object(Context) or Context()).with_more(given)


@command(SCRIPTS, serves=frozenset({"--json", "--csv"}))
@click.option(
    "--target", type=click.Choice(TARGETS), default="runai", show_default=True, help="Where to."
)
@click.option("--tables", type=click.Path(path_type=Path), help="Mapping tables, a TOML file.")
@click.option(
    "-o", "--output", "folder", type=click.Path(path_type=Path), help="Folder for the files."
)
@click.option("--force", is_flag=True, help="Write over files that are there.")
@click.argument("paths", metavar="SCRIPT...", nargs=-1)
def scripts(
    context: Context,
    paths: tuple[str, ...],
    target: str,
    tables: Path | None,
    folder: Path | None,
    force: bool,
) -> int:
    """Translate batch scripts (what `foundry migrate SCRIPT...` does)."""
    from foundry_tui.actions.migrate import translating
    from foundry_tui.presenters.migration import (
        migration_csv,
        migration_record,
        migration_text,
    )

    if not paths:
        raise WrongUse("migrate: name batch scripts; foundry migrate [OPTIONS] SCRIPT...")
    known = translating.tables(tables, context.config)
    made = translating.translations(paths, known, target)
    if folder is not None:
        _write(folder, translating.files_of(made), force=force)
    if context.as_json:
        payload = [migration_record(one) for one in made]
        output.emit(
            records.envelope(
                "migration", payload, sources=(), now=utc_now(), partial=(translating.NOT_SEEN,)
            )
        )
    elif context.as_csv:
        output.emit(migration_csv(made))
    else:
        output.emit(migration_text(made, style(context), notes=(translating.NOT_SEEN,)))
    return translating.code_of(made)


def _write(folder: Path, files: tuple[tuple[str, str], ...], *, force: bool) -> None:
    """All files, or none where one of them is there with other contents."""
    if not files:
        return
    data = {folder / name: text.encode() for name, text in files}
    there = [place for place, text in data.items() if place.exists() and _other(place, text)]
    if there and not force:
        raise ActionError(f"{there[0]} is there and differs: give --force, or another folder")
    folder.mkdir(parents=True, exist_ok=True)
    for place, text in data.items():
        write_atomically(place, text)
    count = f"{len(data)} file{'' if len(data) == 1 else 's'}"
    output.narrate(f"wrote {count} into {folder}")


def _other(place: Path, text: bytes) -> bool:
    return not place.is_file() or place.read_bytes() != text


@command("tables", serves=frozenset({"--json", "--csv"}))
@click.option("-o", "--output", "target", type=click.Path(path_type=Path), help="File to write.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def tables(context: Context, target: Path | None, force: bool) -> int:
    """Propose mapping tables from what both schedulers report."""
    from foundry_tui.actions.migrate.proposing import proposals, tables_text
    from foundry_tui.presenters.migration import proposal_record, proposals_csv, proposals_text

    snapshot = context.site.snapshot(measured=False)
    found = proposals(snapshot)
    told(snapshot)
    if target is not None:
        _write(target.parent, ((target.name, tables_text(found)),), force=force)
    elif context.as_json:
        payload = [proposal_record(one) for one in found]
        now = snapshot.generated_at
        output.emit(records.envelope("proposals", payload, sources=snapshot.sources, now=now))
    elif context.as_csv:
        output.emit(proposals_csv(found))
    else:
        output.emit(proposals_text(found, style(context)))
    return 0


for _command in (scripts, tables, plan, quotas, estimate, board):
    migrate.add_command(_command)
