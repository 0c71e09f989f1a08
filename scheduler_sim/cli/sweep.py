"""`scheduler-sim sweep`: a grid of traces, policies and seeds into one results file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import click

from scheduler_sim.cli import given, output
from scheduler_sim.cli.app import COMMANDS
from scheduler_sim.cli.cells import METRICS, Cell, Measured, ended
from scheduler_sim.cli.errors import SimError
from scheduler_sim.cli.pool import Failure, run_all
from scheduler_sim.cli.progress import Progress
from scheduler_sim.cli.results import KEY, Key, Results, key_of

COLUMNS = (*KEY, *METRICS)
"""What a row of the results file has."""

_SHOWN = 5


@click.command(help=COMMANDS["sweep"])
@given.nodes_option
@click.option(
    "--pods",
    "pods_paths",
    type=click.Path(path_type=Path),
    required=True,
    multiple=True,
    help="Pod list; give it once for every trace.",
)
@given.policies_option
@given.seeds_option
@given.inflate_option
@given.migrations_option
@given.max_cut_option
@click.option(
    "-o",
    "--output",
    "target",
    type=click.Path(path_type=Path),
    required=True,
    help="Results, .jsonl or .csv; rows are added, and cells that are there are skipped.",
)
@given.jobs_option
@click.option("--slurm", is_flag=True, help="Run it as a Slurm job array, through submitit.")
@click.option("--partition", metavar="NAME", help="Slurm partition.")
@click.option(
    "--tasks",
    type=click.IntRange(1, 1000),
    metavar="N",
    default=100,
    show_default=True,
    help="Most tasks of the Slurm array; the cells are dealt out to them.",
)
@click.option(
    "--minutes",
    type=click.IntRange(min=1),
    metavar="N",
    default=60,
    show_default=True,
    help="Time limit of a Slurm task.",
)
@given.json_option
def sweep(
    nodes_path: Path,
    pods_paths: tuple[Path, ...],
    policies: tuple[str, ...],
    seeds: tuple[int, ...],
    inflate: float,
    migrations: int,
    max_cut: float,
    target: Path,
    jobs: int | None,
    slurm: bool,
    partition: str | None,
    tasks: int,
    minutes: int,
    want_json: bool,
) -> int:
    if partition is not None and not slurm:
        raise click.UsageError("--partition is one of Slurm; give --slurm too")
    if partition is not None and not re.fullmatch(r"[\w.,-]+", partition):
        raise click.UsageError(f"--partition: {partition!r} is no name of one; sinfo shows them")
    if slurm and jobs is not None:
        raise click.UsageError("--jobs is for this machine; with --slurm give --tasks")
    output.writable(target, "--output")
    if slurm:
        from scheduler_sim.cli.slurm import Array, check

        check()
    grid = cells_of(nodes_path, pods_paths, policies, seeds, inflate, migrations, max_cut)
    with Results(target, COLUMNS) as results:
        todo = {cell: key for cell, key in grid.items() if key not in results.present}
        book = _Book(results, todo)
        with Progress(len(todo), "sweep") as book.bar:
            if slurm:
                array = Array(folder_of(target), partition, tasks, minutes)
                array.run_all(list(todo), book.keep)
            else:
                from scheduler_sim.cli.experiment import measure

                run_all(measure, list(todo), jobs, book.keep)
    return _told(target, len(grid), len(todo), book.failed, want_json)


def cells_of(
    nodes: Path,
    pods: Sequence[Path],
    policies: Sequence[str],
    seeds: Sequence[int],
    inflate: float,
    migrations: int,
    max_cut: float,
) -> dict[Cell, Key]:
    """The grid, each cell with what tells it from the others in the results file.

    Raises:
        SimError: a list cannot be opened, or one trace is given twice.
        ValueError: a list cannot be used.
    """
    from scheduler_sim.cli.experiment import load

    prints = {path: _print(nodes, path) for path in pods}
    if len(set(prints.values())) != len(pods):
        raise SimError("--pods: two of the lists are the same; give each once")
    names = {path: load(nodes, path).name for path in pods}
    grid = {}
    for path, policy, seed in product(pods, policies, seeds):
        moves = migrations if policy == "best" else 0
        # Absolute, because a Slurm task may start in another folder.
        cell = Cell(nodes.resolve(), path.resolve(), policy, seed, inflate, moves, max_cut)
        named = (names[path], prints[path], policy, seed, inflate, moves, max_cut)
        grid[cell] = key_of(dict(zip(KEY, named, strict=True)))
    return grid


def folder_of(target: Path) -> Path:
    """Where the files of the Slurm array lie: beside the results."""
    return target.resolve().with_suffix(".slurm")


class _Book:
    """Writes down what is done, and remembers what failed."""

    def __init__(self, results: Results, keys: dict[Cell, Key]) -> None:
        self.results, self.keys = results, keys
        self.failed: list[tuple[Cell, str]] = []
        self.bar = Progress(0, "")

    def keep(self, cell: Cell, result: Measured | Failure) -> None:
        """One cell has ended."""
        if isinstance(result, Failure):
            self.failed.append((cell, result.reason))
        else:
            row: dict[str, Any] = dict(zip(KEY, self.keys[cell], strict=True))
            row |= {"seed": cell.seed, "inflate": cell.inflate}
            row |= {"max_migrations": cell.migrations, "max_cut": cell.max_cut}
            self.results.append(row | result.metrics)
        self.bar.step()


def _print(nodes: Path, pods: Path) -> str:
    digest = hashlib.sha256()
    for option, path in (("--nodes", nodes), ("--pods", pods)):
        try:
            if path.exists() and not (path.is_file() or path.is_dir()):
                raise SimError(f"{option} {path}: a pipe or a device; save it to a file first")
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise SimError(
                f"{option} {path}: {error.strerror}; name a list that is there"
            ) from None
    return digest.hexdigest()[:12]


def _told(
    target: Path, total: int, tried: int, failed: list[tuple[Cell, str]], want_json: bool
) -> int:
    for cell, reason in failed[:_SHOWN]:
        output.narrate(f"{cell.pods.name} {cell.policy} seed {cell.seed}: {reason}")
    if len(failed) > _SHOWN:
        output.narrate(f"and {len(failed) - _SHOWN} more failed")
    if want_json:
        payload = {
            "results": str(target),
            "cells": total,
            "present": total - tried,
            "added": tried - len(failed),
            "failed": [
                {"pods": str(c.pods), "policy": c.policy, "seed": c.seed, "reason": reason}
                for c, reason in failed
            ],
        }
        output.emit(output.as_json(payload))
    else:
        words = f"{tried - len(failed)} rows added, {total - tried} of {total} were there"
        output.emit(f"{output.visible(str(target))}: {words}" + _failures(len(failed)))
    return ended(len(failed), total)


def _failures(count: int) -> str:
    return f", {count} failed; run it again for those" if count else ""
