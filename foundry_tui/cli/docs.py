"""Writes `docs/cli.md` from the commands themselves: `python -m foundry_tui.cli.docs`."""

from __future__ import annotations

from pathlib import Path

import click

from foundry_tui.actions.table import ACTIONS
from foundry_tui.cli.app import COMMANDS, foundry
from foundry_tui.cli.context import _OPTIONS

TARGET = Path("docs/cli.md")


def page() -> str:
    """The page: global options, then every command with its own options."""
    shared = {_name(option) for option in _shared()}
    lines = [
        "# Commands",
        "",
        "Made by `make docs` from the commands themselves.",
        "",
        "## Global options",
        "",
        "They may stand before the command or after it.",
        "",
        *_table(_shared()),
    ]
    context = click.Context(foundry, info_name="foundry")
    titles = {action.id: action.help for action in ACTIONS}
    for name in COMMANDS:
        command = foundry.get_command(context, name)
        assert command is not None
        lines += ["", f"## foundry {name}", "", titles.get(name) or (command.help or "").strip()]
        usage = " ".join(command.collect_usage_pieces(click.Context(command, info_name=name)))
        lines += ["", f"    foundry {name} {usage}"]
        own = [p for p in command.params if isinstance(p, click.Option) and _name(p) not in shared]
        if own:
            lines += ["", *_table(own)]
        for sub in getattr(command, "commands", {}).values():
            lines += ["", f"`foundry {name} {sub.name}`: {sub.help}"]
    return "\n".join(lines) + "\n"


def _shared() -> list[click.Option]:
    holder = click.Command("shared", params=[])
    function = lambda: None  # noqa: E731  (click hangs the options on any function)
    for option in _OPTIONS:
        function = option(function)
    holder.params = list(reversed(function.__click_params__))  # type: ignore[attr-defined]
    return [p for p in reversed(holder.params) if isinstance(p, click.Option)]


def _name(option: click.Option) -> str:
    return option.name or ""


def _table(options: list[click.Option]) -> list[str]:
    rows = ["| option | does |", "|---|---|"]
    for option in options:
        names = ", ".join((*option.opts, *option.secondary_opts))
        value = "" if option.is_flag else f" {option.make_metavar(click.Context(foundry))}"
        rows.append(f"| `{names}{value}` | {option.help or ''} |")
    return rows


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
