"""Commands about the program itself: config, completion."""

from __future__ import annotations

from pathlib import Path

import click

from foundry_tui.actions.errors import ActionError
from foundry_tui.actions.setup import init_config, policy_template, template
from foundry_tui.actions.table import BY_ID
from foundry_tui.cli import output
from foundry_tui.cli.context import Context, global_options


@click.group("config", help=BY_ID["config"].help)
@global_options
@click.pass_context
def config(ctx: click.Context, /, **given: object) -> None:
    ctx.obj = (ctx.find_object(Context) or Context()).with_more(given)


@config.command("init", help="Write a commented configuration file; zero configuration works too.")
@click.option("--print", "only_print", is_flag=True, help="Print it instead.")
@click.pass_obj
def init(context: Context, only_print: bool) -> None:
    if only_print:
        output.emit(template())
        return
    target = init_config(context.config)
    output.narrate(f"wrote {target}; every line is a comment until you change it")


@config.command("policy", help="Print a commented policy file (docs/policy.md).")
def policy() -> None:
    output.emit(policy_template())


@config.command("show", help="Which file is read.")
@click.pass_obj
def show(context: Context) -> None:
    from foundry_tui.actions.setup import used_file

    path: Path | None = used_file(context.config)
    output.emit(str(path) if path else "no configuration file: everything is found by itself")


@click.command("completion", help="The completion script of a shell: bash, zsh or fish.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    from click.shell_completion import get_completion_class

    from foundry_tui.cli.app import foundry

    made = get_completion_class(shell)
    if made is None:
        raise ActionError(f"no completion for {shell}")
    output.emit(made(foundry, {}, "foundry", "_FOUNDRY_COMPLETE").source())
