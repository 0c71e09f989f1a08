"""A saved estate of the size that the budgets name: 1,250 nodes and 10,000 runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from foundry_tui.estate.run import RunState
from foundry_tui.estate.snapshot import encode
from foundry_tui.schedulers.simulated import SEED
from foundry_tui.schedulers.simulated.make_estate import make

NODES = 1250
RUNS = 10_000


def saved_estate(path: Path) -> Path:
    """Write the simulated estate with 10,000 records of runs, waiting ones last, and its GPUs."""
    estate = make(NODES, RUNS, SEED)
    runs = sorted(estate.runs, key=lambda run: run.state is RunState.PENDING)[:RUNS]
    path.write_bytes(encode(replace(estate, runs=tuple(runs))))
    return path
