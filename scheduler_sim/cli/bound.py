"""`scheduler-sim bound`: the most any policy could allocate of one seed's arrivals, proven."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from scheduler_sim.cli import given, output
from scheduler_sim.cli.app import COMMANDS
from scheduler_sim.cli.progress import Progress


@click.command(help=COMMANDS["bound"])
@given.nodes_option
@given.pods_option
@click.option(
    "--seed",
    type=click.IntRange(0, 10**18),
    metavar="N",
    default=42,
    show_default=True,
    help="Whose arrivals.",
)
@given.inflate_option
@click.option(
    "--prefix",
    type=given.number(0, 1000, "it is the arrived GPU request in percent of all GPUs: 96"),
    default="0",
    show_default=True,
    metavar="Q",
    help="What arrives in the first Q % must be placed; 0 leaves all to choice.",
)
@click.option(
    "--time-limit",
    "limit_s",
    type=given.number(0, 86_400, "it is in seconds, at most a day; 0 gives the bound at hand"),
    default="60",
    show_default=True,
    metavar="S",
    help="Seconds after which the best bound so far is the answer.",
)
@given.json_option
@given.csv_option
def bound(
    nodes_path: Path,
    pods_path: Path,
    seed: int,
    inflate: float,
    prefix: float,
    limit_s: float,
    want_json: bool,
    want_csv: bool,
) -> None:
    given.check_form(want_json, want_csv)
    from scheduler_sim.cli.experiment import certificate

    with Progress(1, "bound"):
        found = certificate(nodes_path, pods_path, seed, prefix, inflate, limit_s)
    if want_json:
        output.emit(output.as_json(found))
    elif want_csv:
        output.emit(output.as_csv(tuple(found), [found]))
    else:
        output.emit(_words(found))


def _words(found: dict[str, Any]) -> str:
    asked = f"all that arrives in the first {found['prefix']:g} % placed"
    lines = [
        f"{found['trace']}, seed {found['seed']}, {found['inflate']:g} times the GPUs asked for"
    ]
    if found["feasible"] is False:
        lines.append(f"not even fractions of pods allow {asked}: proven")
    elif found["bound_pct"] is None:
        lines.append("no bound was found; give a larger --time-limit")
    else:
        how = asked if found["prefix"] else "free to refuse any pod"
        lines.append(f"at most {found['bound_pct']:.2f} % of all GPUs can be allocated, {how}")
    if found["feasible"] is None:
        lines.append(f"time ended before it was known whether {asked} can be")
    if not found["proven"] and found["bound_pct"] is not None:
        gap = found["gap_pct"]
        far = f"{gap:.2f} points" if gap is not None else "any number of points"
        lines.append(f"time ended first: the bound may lie {far} too high")
    if found["unplaceable_kinds"]:
        lines.append(f"{found['unplaceable_kinds']} kinds of pod fit on no node; none was forced")
    lines.append(f"{found['cpu_s']:.1f} s CPU")
    return "\n".join(output.visible(line) for line in lines)
