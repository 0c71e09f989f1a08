"""The command group: commands imported when they are used, and errors as one line and a code."""

from __future__ import annotations

import io
import sys
from importlib import import_module

import click

from scheduler_sim.cli.errors import FAILED, WRONG_USE, SimError
from scheduler_sim.cli.output import narrate, visible

COMMANDS = {
    "replay": "A trace through one policy, over several seeds.",
    "compare": "A trace through several policies, side by side.",
    "bound": "The most any policy could allocate, proven by a linear program.",
    "queue": "Jobs with durations through a queue: waits, slowdown, utilisation, fairness.",
    "sweep": "A grid of traces, policies and seeds into one results file.",
}
"""Command -> its one line. It lives in the module of its name."""


class Commands(click.Group):
    """Commands that are imported when they are used: `--help` needs no numpy."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        found = getattr(import_module(f"scheduler_sim.cli.{cmd_name}"), cmd_name)
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
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _print_version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    from importlib.metadata import version

    click.echo(f"scheduler-sim {version('foundry-tui')}")
    ctx.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def scheduler_sim() -> None:
    """GPU clusters in simulation: traces through placement policies and queues.

    Exit codes: 0 done, 1 failed or refused, 2 wrong use, 5 done in part, 130 interrupted.
    """


def run(args: list[str]) -> int:
    """Run the command line and turn what went wrong into one line and an exit code."""
    try:
        with scheduler_sim.make_context("scheduler-sim", list(args)) as ctx:
            result = scheduler_sim.invoke(ctx)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.UsageError as error:
        told = io.StringIO()
        error.show(told)
        # What was typed may have control characters, and click repeats some of it as it is.
        sys.stderr.write("\n".join(map(visible, told.getvalue().splitlines())) + "\n")
        return WRONG_USE
    except click.ClickException as error:
        narrate(error.format_message())
        return WRONG_USE
    except SimError as error:
        narrate(str(error))
        return error.code
    except ValueError as error:
        # What the rooms of the simulator say of files and values; they name file and field.
        narrate(str(error))
        return FAILED
    except BrokenPipeError:
        raise
    except OSError as error:
        narrate(f"{error.filename or 'input or output'}: {error.strerror or error}")
        return FAILED
