"""What is given on the command line: seeds, policies, factors, and the options commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import click

from scheduler_sim.cli.output import writable

F = TypeVar("F", bound=Callable[..., Any])
Named = TypeVar("Named", str, int)

POLICIES = ("random", "dotprod", "gpuclustering", "gpupacking", "bestfit", "fgd", "best")
"""Names of placement policies as they are given; `best` is the default of the program."""

MOST_SEEDS = 10_000
MOST_INFLATION = 10.0
_RANGE = re.compile(r"(\d{1,18})(?:-(\d{1,18}))?", re.ASCII)


def seeds(text: str) -> tuple[int, ...]:
    """`42-51`, `42,45` or both mixed: the seeds in the order given.

    Raises:
        click.BadParameter: anything else, one seed twice, or more than can be meant.
    """
    found: list[int] = []
    for part in text.split(","):
        ends = _RANGE.fullmatch(part.strip())
        if ends is None:
            raise click.BadParameter(f"{part!r} is no seed or range; write 42-51 or 42,45")
        first, last = int(ends[1]), int(ends[2] or ends[1])
        if last < first:
            raise click.BadParameter(f"{part} runs backwards; write {last}-{first}")
        if len(found) + last - first >= MOST_SEEDS:
            raise click.BadParameter(f"{part} makes more than {MOST_SEEDS:,} seeds; name fewer")
        found.extend(range(first, last + 1))
    return _each_once("seed", tuple(found))


def one_of(what: str, names: tuple[str, ...]) -> Callable[[str], str]:
    """One name of several, in any case; a typing error is told the nearest name."""

    def convert(text: str) -> str:
        name = text.strip().lower()
        if name in names:
            return name
        near = get_close_matches(name, names, 1)
        hint = f"did you mean {near[0]}?" if near else f"one of: {', '.join(names)}"
        raise click.BadParameter(f"there is no {what} {text!r}; {hint}")

    return convert


def several_of(what: str, names: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    """Names separated by commas, each once."""
    one = one_of(what, names)

    def convert(text: str) -> tuple[str, ...]:
        return _each_once(what, tuple(one(part) for part in text.split(",")))

    return convert


def number(low: float, high: float, why: str, *, above: bool = False) -> Callable[[str], float]:
    """A finite number from `low` (or above it) to `high`; `why` says what it means."""

    def convert(text: str) -> float:
        try:
            value = float("" if "_" in text else text)
        except ValueError:
            raise click.BadParameter(f"{text!r} is not a number; {why}") from None
        # NaN is below nothing and within nothing
        if not low <= value <= high or (above and value == low):
            raise click.BadParameter(f"{text} is out of range; {why}")
        return value

    return convert


def _each_once(what: str, found: tuple[Named, ...]) -> tuple[Named, ...]:
    if len(set(found)) != len(found):
        twice = next(one for one in found if found.count(one) > 1)
        raise click.BadParameter(f"{what} {twice} is named twice; name each once")
    return found


POLICY = one_of("policy", POLICIES)

_PATH = click.Path(path_type=Path)

nodes_option = click.option(
    "--nodes", "nodes_path", type=_PATH, required=True, help="Node list, .csv or .csv.gz."
)
pods_option = click.option(
    "--pods", "pods_path", type=_PATH, required=True, help="Pod list, .csv or .csv.gz."
)
policies_option = click.option(
    "--policies",
    type=several_of("policy", POLICIES),
    metavar="NAME,…",
    default=",".join(POLICIES),
    show_default=True,
    help="Policies, separated by commas.",
)
seeds_option = click.option(
    "--seeds",
    type=seeds,
    metavar="A-B",
    default="42-51",
    show_default=True,
    help="42-51, or 42,45.",
)
inflate_option = click.option(
    "--inflate",
    metavar="X",
    type=number(
        0,
        MOST_INFLATION,
        f"it is a factor: 1.3 is 130 % of the GPUs; above 0, at most {MOST_INFLATION:g}",
        above=True,
    ),
    default="1.3",
    show_default=True,
    help="GPU request that arrives, as a multiple of the GPUs there are.",
)
migrations_option = click.option(
    "--migrations",
    type=click.IntRange(min=0),
    metavar="N",
    default=0,
    show_default=True,
    help="Moves that policy best may make, so that nothing has to be refused.",
)
max_cut_option = click.option(
    "--max-cut",
    type=number(0, 0.5, "it is a share of the request: 0.06 is 6 %; 0 to 0.5"),
    metavar="X",
    default="0",
    show_default=True,
    help="Lower GPU fractions by at most this share where the smaller one finds partners.",
)
jobs_option = click.option(
    "--jobs",
    type=click.IntRange(min=1, max=1024),
    metavar="N",
    help="Processes to work on; as many as there are cores by default.",
)
json_option = click.option("--json", "want_json", is_flag=True, help="Print JSON.")
csv_option = click.option("--csv", "want_csv", is_flag=True, help="Print CSV.")
plot_option = click.option(
    "--plot", is_flag=True, help="Draw allocation and fragmentation against arrivals."
)
svg_option = click.option("--svg", type=_PATH, help="The same drawing into an SVG file.")
ascii_option = click.option("--ascii", "ascii_only", is_flag=True, help="Only ASCII characters.")


def options(*several: Callable[[F], F]) -> Callable[[F], F]:
    """Add options to a command, in the order given."""

    def add(function: F) -> F:
        for option in reversed(several):
            function = option(function)
        return function

    return add


form_options = options(json_option, csv_option, plot_option, svg_option, ascii_option)


def check_form(want_json: bool, want_csv: bool) -> None:
    """Refuse two forms of output at once."""
    if want_json and want_csv:
        raise click.UsageError("--json and --csv exclude each other")


@dataclass(frozen=True, slots=True)
class Form:
    """How outcomes are wanted: JSON, CSV or a table, and which drawings beside it."""

    want_json: bool
    want_csv: bool
    plot: bool
    svg: Path | None
    ascii_only: bool

    def check(self) -> None:
        """Refuse what excludes each other, and a picture that could not be written at the end."""
        check_form(self.want_json, self.want_csv)
        if self.plot and (self.want_json or self.want_csv):
            raise click.UsageError("--plot draws text; with --json or --csv take --svg FILE")
        if self.svg is not None:
            writable(self.svg, "--svg")

    @property
    def draws(self) -> bool:
        """Whether the courses are needed."""
        return self.plot or self.svg is not None
