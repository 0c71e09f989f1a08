"""`scheduler-sim compare`: a trace through several policies, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from scheduler_sim.cli import given, output
from scheduler_sim.cli.app import COMMANDS


@click.command(help=COMMANDS["compare"])
@given.nodes_option
@given.pods_option
@given.policies_option
@given.seeds_option
@given.inflate_option
@given.migrations_option
@given.max_cut_option
@given.jobs_option
@given.form_options
def compare(
    nodes_path: Path,
    pods_path: Path,
    policies: tuple[str, ...],
    seeds: tuple[int, ...],
    inflate: float,
    migrations: int,
    max_cut: float,
    jobs: int | None,
    **form: Any,
) -> None:
    wanted = given.Form(**form)
    wanted.check()
    if migrations and "best" not in policies:
        raise click.UsageError("--migrations: of the policies only best moves; name it too")
    from scheduler_sim.cli import cells, show

    base = cells.Cell(
        nodes_path, pods_path, policies[0], seeds[0], inflate, migrations, max_cut, wanted.draws
    )
    outcomes = cells.run_policies(base, policies, seeds, jobs)
    if wanted.want_json:
        output.emit(show.compared_json(outcomes))
    elif wanted.want_csv:
        output.emit(show.as_csv(outcomes))
    else:
        show.page(show.many_table(outcomes), wanted)
    show.draw(outcomes, wanted)
