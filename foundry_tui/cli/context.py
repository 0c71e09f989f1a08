"""The global options: taken before the command and after it, as scripts write both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import click

from foundry_tui.actions.errors import WrongUse
from foundry_tui.actions.opening import open_site
from foundry_tui.actions.site import Options, Site

P = ParamSpec("P")
R = TypeVar("R")


@dataclass
class Context:
    """What was asked for globally, and the site it is asked of."""

    config: Path | None = None
    estate: Path | None = None
    demo: bool = False
    read_only: bool = False
    as_json: bool = False
    as_csv: bool = False
    where: str | None = None
    wide: bool = False
    ascii_only: bool = False

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Context:
        """From the values of click."""
        return cls(**{f.name: given[f.name] for f in fields(cls) if f.name in given})

    def with_more(self, given: Mapping[str, Any]) -> Context:
        """The same with what was given after the command; there, too, wins what is set."""
        more = {f.name: given[f.name] for f in fields(self) if given.get(f.name)}
        return replace(self, **more)

    def check(self, name: str, serves: frozenset[str]) -> None:
        """Refuse what excludes each other, and what the command would silently ignore."""
        given = {"--json": self.as_json, "--csv": self.as_csv, "--where": self.where is not None}
        for option, value in given.items():
            if value and option not in serves:
                raise WrongUse(f"{name} has no {option}; it does {', '.join(sorted(serves))}")
        if self.as_json and self.as_csv:
            raise WrongUse("--json and --csv exclude each other")

    @cached_property
    def site(self) -> Site:
        """The sources of this host, opened when first needed."""
        from foundry_tui.cli.output import narrate

        options = Options(
            config=self.config, estate=self.estate, demo=self.demo, read_only=self.read_only
        )
        return open_site(options, narrate)


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--config",
        type=click.Path(path_type=Path),
        help="Configuration file instead of the usual one.",
    ),
    click.option(
        "--estate",
        type=click.Path(path_type=Path),
        help="Work on a saved snapshot instead of live sources.",
    ),
    click.option("--demo", is_flag=True, help="Work on the simulated estate."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
    click.option("--csv", "as_csv", is_flag=True, help="Print CSV."),
    click.option("--where", metavar="EXPR", help="Filter, for example 'state=running gpu>=4'."),
    click.option("--read-only", is_flag=True, help="Refuse every change."),
    click.option("--wide", is_flag=True, help="All columns, however wide."),
    click.option("--ascii", "ascii_only", is_flag=True, help="Only ASCII characters."),
)


def global_options(function: Callable[P, R]) -> Callable[P, R]:
    """Add the global options to a command."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def command(
    name: str, *, serves: frozenset[str] = frozenset({"--json"}), **settings: Any
) -> Callable[[Callable[..., int | None]], click.Command]:
    """A command with its help from the action table, the global options, and its context first.

    The function gets the merged `Context` and then its own options, and returns the exit code.
    `serves` names which of --json, --csv and --where it can do: the others are refused.
    """
    from foundry_tui.actions.table import BY_ID

    def decorate(function: Callable[..., int | None]) -> click.Command:
        names = {f.name for f in fields(Context)}

        @click.pass_context
        @wraps(function)
        def call(ctx: click.Context, /, **given: Any) -> int | None:
            outer = ctx.find_object(Context) or Context()
            context = outer.with_more(given)
            context.check(name, serves)
            own = {k: v for k, v in given.items() if k not in names}
            return function(context, **own)

        help_text = BY_ID[name].help if name in BY_ID else None
        made = click.command(name, help=help_text, **settings)
        return cast("click.Command", cast("Any", made)(global_options(call)))

    return decorate
