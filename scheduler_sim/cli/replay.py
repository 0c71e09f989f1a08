"""`scheduler-sim replay`: a trace through one policy, over several seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from scheduler_sim.cli import given, output
from scheduler_sim.cli.app import COMMANDS


@click.command(help=COMMANDS["replay"])
@given.nodes_option
@given.pods_option
@click.option(
    "--policy",
    type=given.POLICY,
    metavar="NAME",
    default="best",
    show_default=True,
    help=f"One of {', '.join(given.POLICIES)}.",
)
@given.seeds_option
@given.inflate_option
@given.migrations_option
@given.max_cut_option
@given.jobs_option
@given.form_options
def replay(
    nodes_path: Path,
    pods_path: Path,
    policy: str,
    seeds: tuple[int, ...],
    inflate: float,
    migrations: int,
    max_cut: float,
    jobs: int | None,
    **form: Any,
) -> None:
    wanted = given.Form(**form)
    wanted.check()
    if migrations and policy != "best":
        raise click.UsageError(f"--migrations: policy {policy} moves nothing; it needs best")
    from scheduler_sim.cli import cells, show

    base = cells.Cell(
        nodes_path, pods_path, policy, seeds[0], inflate, migrations, max_cut, wanted.draws
    )
    (outcome,) = cells.run_policies(base, [policy], seeds, jobs)
    if wanted.want_json:
        output.emit(show.as_json(outcome))
    elif wanted.want_csv:
        output.emit(show.as_csv([outcome]))
    else:
        show.page(show.one_table(outcome), wanted)
    show.draw([outcome], wanted)
