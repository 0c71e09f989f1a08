"""`scheduler-sim queue`: runs with durations through a queue, under one or several disciplines."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scheduler_sim.cli import given, output
from scheduler_sim.cli.app import COMMANDS
from scheduler_sim.cli.errors import SimError
from scheduler_sim.cli.pool import Failure, run_all
from scheduler_sim.cli.progress import Progress

if TYPE_CHECKING:
    from scheduler_sim.cli.playing import Play, Played

FORMATS = ("auto", "helios", "openb", "pai", "philly", "sacct", "swf")
DISCIPLINES = ("fifo", "priority", "easy", "priority-easy", "conservative", "fairshare")
PLACEMENTS = ("firstfit", "bestfit", "fgd", "best")


@click.command(help=COMMANDS["queue"])
@click.option(
    "--history",
    "--pods",
    "history_path",
    type=click.Path(path_type=Path),
    required=True,
    help="What ran: a published trace, a pod list with times, or a dump of sacct.",
)
@click.option(
    "--format",
    "form",
    type=given.one_of("format", FORMATS),
    metavar="NAME",
    default="auto",
    show_default=True,
    help=f"One of {', '.join(FORMATS)}.",
)
@click.option(
    "--nodes",
    "nodes_path",
    type=click.Path(path_type=Path),
    help="Node list, .csv or .csv.gz; not needed where the history tells the nodes.",
)
@click.option(
    "--discipline",
    "disciplines",
    type=given.several_of("discipline", DISCIPLINES),
    metavar="NAME,…",
    default="easy",
    show_default=True,
    help=f"One or several of {', '.join(DISCIPLINES)}.",
)
@click.option(
    "--placement",
    "placements",
    type=given.several_of("placement", PLACEMENTS),
    metavar="NAME,…",
    default="bestfit",
    show_default=True,
    help=f"One or several of {', '.join(PLACEMENTS)}.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 10**18),
    metavar="N",
    default=0,
    show_default=True,
    help="Order of the nodes that breaks ties; 0 is that of the list.",
)
@click.option(
    "--estimate",
    type=given.number(1, 1000, "it is the time limit over the true duration; 1 to 1000"),
    metavar="F",
    help="Plan with limits of F times the true durations; else with those of the history.",
)
@click.option(
    "--load",
    type=given.number(0, 1e6, "runs come so many times as fast: 2 is twice; above 0", above=True),
    metavar="X",
    default="1",
    show_default=True,
    help="Let the runs come X times as fast, to see what a fuller cluster does.",
)
@given.jobs_option
@given.json_option
@given.csv_option
def queue(
    history_path: Path,
    form: str,
    nodes_path: Path | None,
    disciplines: tuple[str, ...],
    placements: tuple[str, ...],
    seed: int,
    estimate: float | None,
    load: float,
    jobs: int | None,
    want_json: bool,
    want_csv: bool,
) -> None:
    given.check_form(want_json, want_csv)
    if "conservative" in disciplines and "best" in placements:
        raise click.UsageError(
            "--placement best asks the policy at each start, and --discipline conservative plans "
            "ahead; play them in two commands"
        )
    from scheduler_sim.cli.playing import Play

    plays = [
        Play(history_path, form, nodes_path, discipline, placement, seed, estimate, load)
        for discipline, placement in product(disciplines, placements)
    ]
    played = _played(plays, jobs)
    rows = [
        {"discipline": one.discipline, "placement": one.placement, **played[one].metrics}
        for one in plays
    ]
    first = played[plays[0]]
    if first.never == first.runs:
        raise SimError(
            f"{history_path}: none of the {first.runs} runs fits on these nodes; one asks for "
            f"{first.example}; give the --nodes they ran on"
        )
    if want_json:
        payload = {
            "history": str(history_path),
            "format": first.format,
            "runs": first.runs,
            "nodes": first.nodes,
            "rejected": first.rejected,
            "notes": list(first.notes),
            "seed": seed,
            "results": rows,
        }
        output.emit(output.as_json(payload))
        return
    for note in (*first.notes, *_never(first)):
        output.narrate(note)
    if want_csv:
        flat = [flattened(row) for row in rows]
        output.emit(output.as_csv(tuple(flat[0]), flat))
    else:
        output.emit(_table(history_path.name, first, rows))


def flattened(row: dict[str, Any]) -> dict[str, Any]:
    """Values of values as columns of their own, `wait_s` with `p50` as `wait_s_p50`."""
    made: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            made |= {f"{name}_{inner}": v for inner, v in value.items()}
        else:
            made[name] = value
    return made


def _never(first: Played) -> list[str]:
    if not first.never:
        return []
    words = f"{first.never} of {first.runs} runs fit on no set of these nodes and never join"
    return [f"{words}, for example one that asks for {first.example}"]


def _played(plays: list[Play], jobs: int | None) -> dict[Play, Played]:
    from scheduler_sim.cli.playing import play

    if len(plays) == 1:
        with Progress(1, plays[0].discipline) as bar:
            return {plays[0]: play(plays[0], bar.reached)}
    found: dict[Play, Played] = {}

    def keep(asked: Play, result: Played | Failure) -> None:
        if isinstance(result, Failure):
            raise SimError(result.reason)
        found[asked] = result
        bar.step()

    with Progress(len(plays), "queue") as bar:
        run_all(play, plays, jobs, keep)
    return found


def _table(name: str, first: Played, rows: list[dict[str, Any]]) -> str:
    flat = [flattened(row) for row in rows]
    lines = []
    for metric in flat[0]:
        if metric in ("discipline", "placement"):
            continue
        lines.append([metric, *(output.number(row[metric]) for row in flat)])
    heads = ["", *(f"{row['discipline']} {row['placement']}" for row in rows)]
    said = f"{name} ({first.format}): {first.runs:,} runs on {first.nodes:,} nodes"
    return "\n".join([output.visible(said), "", output.table(heads, lines)])
