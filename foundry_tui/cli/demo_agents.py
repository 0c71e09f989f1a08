"""The command `foundry demo-agents`."""

from __future__ import annotations

from pathlib import Path

import click

from foundry_tui.actions.demo_agents import serve
from foundry_tui.cli import output
from foundry_tui.cli.context import Context, command


@command("demo-agents", serves=frozenset())
@click.argument("count", metavar="N", type=click.IntRange(1, 10_000))
@click.option(
    "-o",
    "--output",
    "out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for the list of nodes, as Prometheus' file_sd_configs takes it.",
)
def demo_agents(context: Context, count: int, out: Path) -> None:
    serve(count, out, output.emit, output.narrate)
