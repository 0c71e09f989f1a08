"""The `foundry` command: global options, the commands, and errors as exit codes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from foundry_tui import __version__
from foundry_tui.actions.errors import code_of
from foundry_tui.actions.table import BY_ID
from foundry_tui.cli import output
from foundry_tui.cli.context import Context, global_options

if TYPE_CHECKING:
    from foundry_tui.cli import Screens

COMMANDS = {
    "doctor": "foundry_tui.cli.look",
    "overview": "foundry_tui.cli.look",
    "nodes": "foundry_tui.cli.look",
    "gpus": "foundry_tui.cli.look",
    "queues": "foundry_tui.cli.look",
    "runs": "foundry_tui.cli.look",
    "why": "foundry_tui.cli.run",
    "inspect": "foundry_tui.cli.run",
    "logs": "foundry_tui.cli.run",
    "snapshot": "foundry_tui.cli.look",
    "init": "foundry_tui.cli.start",
    "submit": "foundry_tui.cli.submit",
    "render": "foundry_tui.cli.render",
    "preflight": "foundry_tui.cli.preflight",
    "reproduce": "foundry_tui.cli.reproduce",
    "cancel": "foundry_tui.cli.act",
    "hold": "foundry_tui.cli.act",
    "release": "foundry_tui.cli.act",
    "requeue": "foundry_tui.cli.act",
    "suspend": "foundry_tui.cli.act",
    "resume": "foundry_tui.cli.act",
    "apply": "foundry_tui.cli.apply",
    "diff-plan": "foundry_tui.cli.apply",
    "undo": "foundry_tui.cli.apply",
    "journal": "foundry_tui.cli.journal",
    "triage": "foundry_tui.cli.triage",
    "rights": "foundry_tui.cli.approve",
    "approve": "foundry_tui.cli.approve",
    "advise": "foundry_tui.cli.plan",
    "verdicts": "foundry_tui.cli.verdicts",
    "fractions": "foundry_tui.cli.plan",
    "migrate": "foundry_tui.cli.migrate",
    "report": "foundry_tui.cli.report",
    "collect": "foundry_tui.cli.collect",
    "sync": "foundry_tui.cli.track",
    "experiments": "foundry_tui.cli.experiments",
    "tracked": "foundry_tui.cli.experiments",
    "diff": "foundry_tui.cli.experiments",
    "best": "foundry_tui.cli.experiments",
    "report-run": "foundry_tui.cli.experiments",
    "note": "foundry_tui.cli.experiments",
    "tag": "foundry_tui.cli.experiments",
    "tracking": "foundry_tui.cli.track",
    "agent": "foundry_tui.cli.agent",
    "demo-agents": "foundry_tui.cli.demo_agents",
    "keys": "foundry_tui.cli.keys",
    "config": "foundry_tui.cli.setup",
    "completion": "foundry_tui.cli.setup",
}
"""Command -> the module that holds it; imported only when the command is used."""


class Commands(click.Group):
    """Commands that are imported when they are used, so that start-up stays short."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        from importlib import import_module

        found = getattr(import_module(COMMANDS[cmd_name]), cmd_name.replace("-", "_"))
        assert isinstance(found, click.Command)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, 1)
            hint = f"did you mean {near[0]}?" if near else f"one of: {', '.join(COMMANDS)}"
            raise click.UsageError(f"no command {args[0]!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, BY_ID[name].help) for name in COMMANDS if name in BY_ID]
        rows.append(("completion", "The shell's completion script."))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@global_options
@click.version_option(__version__, message="foundry %(version)s")
@click.pass_context
def foundry(ctx: click.Context, /, **given: Any) -> int | None:
    """The terminal for a GPU estate that is split between Slurm and Run:ai.

    Without a command it opens the screens on whatever this host offers, else on a simulated
    estate; where there is no terminal it prints the overview.

    Exit codes: 0 done, 1 failed or refused, 2 wrong use, 3 a needed source is unavailable,
    4 nothing matched, 5 done in part.
    """
    screens: Screens | None = ctx.obj
    ctx.obj = Context.of(given)
    if ctx.invoked_subcommand is None:
        context: Context = ctx.obj
        if screens and not (context.as_json or context.wide) and output.interactive():
            return int(screens(context.site, context.ascii_only))
        from foundry_tui.cli.look import overview

        return int(ctx.invoke(overview) or 0)
    return None


def run(args: list[str], screens: Screens | None = None) -> int:
    """Run the command line and turn what went wrong into one line and an exit code."""
    try:
        with foundry.make_context("foundry", list(args), obj=screens) as ctx:
            result = foundry.invoke(ctx)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.Abort:
        output.narrate("interrupted; `foundry journal` tells what was sent, if anything was")
        return 130
    except click.UsageError as error:
        error.show(sys.stderr)
        return 2
    except click.ClickException as error:
        output.narrate(error.format_message())
        return 2
    except BrokenPipeError:
        raise
    except OSError as error:
        output.narrate(f"{error.filename or 'input or output'}: {error.strerror or error}")
        return 1
    except Exception as error:
        code = code_of(error)
        if code is None:
            raise
        output.narrate(str(error))
        return code
