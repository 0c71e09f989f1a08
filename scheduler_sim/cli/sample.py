"""Writes the small invented trace of the docs: `python -m scheduler_sim.cli.sample -d data`.

16 nodes of three models and as many pods as ask for 98 % of their GPUs, with times of
about a day. Only `random.Random(seed).random()` is drawn from, so the bytes are the same
everywhere.
"""

from __future__ import annotations

import random
from pathlib import Path

import click

from scheduler_sim.cli.output import as_csv, write_whole

NODES_FILE = "openb-small-nodes.csv"
PODS_FILE = "openb-small-pods.csv"

_NODE_COLUMNS = ("sn", "cpu_milli", "memory_mib", "gpu", "model")
_POD_COLUMNS = (
    "name",
    "cpu_milli",
    "memory_mib",
    "num_gpu",
    "gpu_milli",
    "gpu_spec",
    "creation_time",
    "deletion_time",
    "scheduled_time",
)

_MACHINES = (
    (10, 96_000, 786_432, 8, "h100"),
    (4, 128_000, 524_288, 8, "a100"),
    (2, 64_000, 262_144, 4, "l4"),
)
"""How many, thousandths of a core, MiB, GPUs, model."""

_SHAPES = (
    # weight, cores, GiB, GPUs, thousandths of each, models
    (22, 4, 16, 0, 0, ""),
    (4, 12, 64, 0, 0, ""),
    (25, 4, 16, 1, 810, ""),
    (9, 6, 24, 1, 470, ""),
    (13, 3, 12, 1, 230, ""),
    (13, 2, 8, 1, 190, ""),
    (9, 9, 48, 1, 1000, ""),
    (3, 11, 64, 1, 1000, "h100"),
    (1, 20, 96, 2, 1000, "h100|a100"),
    (1, 40, 192, 4, 1000, ""),
)


def nodes() -> list[dict[str, object]]:
    """The rows of the node list."""
    rows: list[dict[str, object]] = []
    for count, cpu_milli, memory_mib, gpus, model in _MACHINES:
        for _ in range(count):
            values = (f"small-node-{len(rows):02d}", cpu_milli, memory_mib, gpus, model)
            rows.append(dict(zip(_NODE_COLUMNS, values, strict=True)))
    return rows


def pods(seed: int) -> list[dict[str, object]]:
    """The rows of the pod list: drawn until 98 % of the GPUs are asked for."""
    draw = random.Random(seed).random
    capacity = 1000 * sum(count * gpus for count, _, _, gpus, _ in _MACHINES)
    weights = [shape[0] for shape in _SHAPES]
    rows: list[dict[str, object]] = []
    asked, now_s = 0, 0
    while True:
        at = draw() * sum(weights)
        chosen = next(i for i in range(len(weights)) if at < sum(weights[: i + 1]))
        _, cores, gib, gpus, milli, models = _SHAPES[chosen]
        if asked + gpus * milli > 98 * capacity // 100:
            return rows
        asked += gpus * milli
        now_s += int(draw() * 60)
        wait_s = int(draw() * 30)
        life_s = 60 + int(86_400 * draw() ** 3)
        values = (
            f"small-pod-{len(rows):03d}",
            cores * 1000,
            gib * 1024,
            gpus,
            milli,
            models,
            now_s,
            now_s + wait_s + life_s,
            now_s + wait_s,
        )
        rows.append(dict(zip(_POD_COLUMNS, values, strict=True)))


@click.command()
@click.option("-d", "folder", type=click.Path(path_type=Path), default=Path("data"))
@click.option("--seed", default=7, show_default=True)
def sample(folder: Path, seed: int) -> None:
    """Write both lists into a folder."""
    write_whole(folder / NODES_FILE, as_csv(_NODE_COLUMNS, nodes()))
    write_whole(folder / PODS_FILE, as_csv(_POD_COLUMNS, pods(seed)))


if __name__ == "__main__":
    sample()
