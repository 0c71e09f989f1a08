"""Writes the pages that are made from the program itself: `python -m foundry_tui.cli.docs`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from foundry_tui.actions.keymap import IN_TABLES
from foundry_tui.actions.onscreen import EVERY, key_text
from foundry_tui.actions.rendering import schema_text
from foundry_tui.actions.reports.make import ABOUT, NAMES, columns_of
from foundry_tui.actions.setup import template
from foundry_tui.actions.table import ACTIONS
from foundry_tui.cli.app import COMMANDS, foundry
from foundry_tui.cli.context import _OPTIONS

TARGET = Path("docs/cli.md")
KEYS = Path("docs/screens/keys.md")
CONFIGURATION = Path("docs/configuration.md")
COLUMNS = Path("docs/report-columns.md")
SCHEMA = Path("foundry_tui/jobs/spec.schema.json")


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


def keys_page() -> str:
    """The key map as it is delivered, with the ids that `[keys]` takes."""
    lines = [
        "# Keys",
        "",
        "Made by `make docs` from the table of actions; `foundry keys` prints the map of this",
        "host. `?` shows what works on the screen you are on, and why something does not.",
        "",
        "| key | id | title | does |",
        "|---|---|---|---|",
    ]
    for action in EVERY:
        keys = " ".join(f"`{key_text(key)}`" for key in action.keys) or "none"
        changes = "Changes the estate. " if action.risk == "change" else ""
        lines.append(f"| {keys} | `{action.id}` | {action.title} | {changes}{action.help} |")
    lines += [
        "",
        "An action without a key is a command of its own: `foundry ID`.",
        "",
        "## Other keys",
        "",
        "The table `[keys]` of the [configuration](../configuration.md) gives an action another",
        'key, by its id: `help = "f1"`. A key is called by what is printed on it (`"/"`, `"X"`),',
        "or it is `f1` to `f12`, `space`, `tab`, `enter`, or `ctrl+` with a letter.",
        "",
        "Refused, with the line that is wrong: an id that there is not, a key that there is not,",
        "one key for two actions, a digit, Enter or space for an action that changes something,",
        "and the keys that move the cursor in every list:",
        f"{', '.join(f'`{key}`' for key in sorted(IN_TABLES))}.",
    ]
    return "\n".join(lines) + "\n"


def configuration_page() -> str:
    """The configuration file with every option explained."""
    lines = [
        "# Configuration",
        "",
        "Made by `make docs` from the options themselves. `foundry config init` writes this file,",
        "`foundry config show` says which file is read: `--config FILE`, else `$FOUNDRY_CONFIG`,",
        "else `~/.config/foundry/config.toml`, else `/etc/foundry/config.toml`. Without one the",
        "defaults hold. An unknown key or an impossible value is an error that names the file and",
        "the key.",
        "",
        "```toml",
        template().rstrip(),
        "```",
    ]
    return "\n".join(lines) + "\n"


def columns_page() -> str:
    """Every column of every report, with its definitions."""
    lines = [
        "# Columns of the reports",
        "",
        "Made by `make docs` from the columns themselves. [Reports](reports.md) says what holds",
        "for all of them. A field is empty where the value is not known, which is never 0. Times",
        "are UTC, hours have four decimal places, per cent and money two.",
    ]
    for name in NAMES:
        columns, definitions = columns_of(name)
        about = ABOUT[name]
        lines += ["", f"## {name}", "", f"{about[0].upper()}{about[1:]}."]
        lines += ["", "| column | holds |", "|---|---|"]
        lines += [f"| `{column.name}` | {column.doc} |" for column in columns]
        if definitions:
            lines += ["", *(f"- {words}" for words in definitions)]
    return "\n".join(lines) + "\n"


PAGES: dict[Path, Callable[[], str]] = {
    TARGET: page,
    KEYS: keys_page,
    CONFIGURATION: configuration_page,
    COLUMNS: columns_page,
    SCHEMA: schema_text,
}


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
    for path, made in PAGES.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(made(), encoding="utf-8")
