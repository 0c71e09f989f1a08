"""Writes the simulated estate as a snapshot file, of any size: always the same for the same seed.

    python -m foundry_tui.schedulers.simulated.make_estate \
        --nodes 12 --waiting 40 --seed 7 -o data/estate-12.json
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from foundry_tui.estate.merge import merge
from foundry_tui.estate.snapshot import Snapshot, encode
from foundry_tui.schedulers.simulated import NODES, SEED, WAITING, build

START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
"""The moment of every estate that is written: a Monday morning."""


def make(nodes: int, waiting: int, seed: int) -> Snapshot:
    """An estate with this many nodes and waiting records.

    Raises:
        ValueError: fewer than 3 nodes, or fewer than 0 waiting.
    """
    if waiting < 0:
        raise ValueError(f"waiting: 0 or more, got {waiting}")
    sources = build(None, lambda: START, nodes=nodes, waiting=waiting, seed=seed)
    shares = (waiting - waiting // 3, waiting // 3)
    for source, share in zip(sources, shares, strict=True):
        source.live.engine().fill(share)
    return merge([source.snapshot() for source in sources], START)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Write a simulated estate as a snapshot file.")
    parser.add_argument("--nodes", type=int, default=NODES, help="how many, at least 3")
    parser.add_argument("--waiting", type=int, default=WAITING, help="how many records wait")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    args = parser.parse_args()
    try:
        estate = make(args.nodes, args.waiting, args.seed)
    except ValueError as error:
        parser.error(str(error))
    args.output.write_bytes(encode(estate))
    waits = sum(run.state == "pending" for run in estate.runs)
    print(f"{args.output}: {len(estate.nodes)} nodes, {len(estate.gpus)} GPUs, ", end="")
    print(f"{len(estate.runs)} runs, {waits} of them waiting")


if __name__ == "__main__":
    main()
