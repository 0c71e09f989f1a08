"""The command `agent`: the agent of a compute node has a command line of its own."""

from __future__ import annotations

import click

from foundry_tui.actions.table import BY_ID


@click.command(
    "agent",
    help=BY_ID["agent"].help,
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
)
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def agent(options: tuple[str, ...]) -> int:
    from foundry_tui.agent.cli import main

    return main(list(options))
