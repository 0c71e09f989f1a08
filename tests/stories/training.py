#!/usr/bin/env python3
"""A small distributed training: ranks meet by the variables of torch, add up numbers, checkpoint.

Usage: training.py FOLDER [STEPS]. Each rank writes what it saw into FOLDER/rank-N.json. With STEPS
it counts them, begins at those of its checkpoint, and saves and ends when it gets SIGUSR1.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

RANK, WORLD = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
DEADLINE_S = 30


def all_reduce(value: int) -> int:
    """The sum over all ranks, which rank 0 makes."""
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    try:
        host = socket.gethostbyname(host)
    except OSError:
        host = "127.0.0.1"  # the nodes of the lab are one host
    if RANK == 0:
        with socket.create_server((host, port)) as server:
            server.settimeout(DEADLINE_S)
            others = [server.accept()[0] for _ in range(WORLD - 1)]
        total = value + sum(int(other.makefile().readline()) for other in others)
        for other in others:
            other.sendall(b"%d\n" % total)
            other.close()
        return total
    end = time.monotonic() + DEADLINE_S
    while True:
        try:
            with socket.create_connection((host, port), timeout=DEADLINE_S) as first:
                first.sendall(b"%d\n" % value)
                return int(first.makefile().readline())
        except (OSError, ValueError):
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def train(steps: int) -> tuple[int, int]:
    """Count to `steps`, a tenth of a second each; the step at which it began, and where it is."""
    checkpoint = Path(os.environ["FOUNDRY_CHECKPOINT"]) / f"rank-{RANK}"
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    begun = step = int(checkpoint.read_text()) if checkpoint.exists() else 0

    def save(*_: object) -> None:
        checkpoint.write_text(str(max(step, 1)))
        sys.exit(0)

    signal.signal(signal.SIGUSR1, save)
    (checkpoint.parent / f"up-{RANK}").touch()
    while step < steps and not begun:
        time.sleep(0.1)
        step += 1
    return begun, step


def main() -> None:
    folder = Path(sys.argv[1])
    began, _ = train(int(sys.argv[2])) if len(sys.argv) > 2 else (0, 0)
    seen = {
        "rank": RANK,
        "world": WORLD,
        "local": int(os.environ["LOCAL_RANK"]),
        "sum": all_reduce(RANK + 1),
        "node": os.environ["SLURMD_NODENAME"],
        "record": os.environ.get("MLFLOW_RUN_ID"),
        "attempt": os.environ.get("FOUNDRY_ATTEMPT"),
        "began": began,
    }
    (folder / f"rank-{RANK}.json").write_text(json.dumps(seen))


if __name__ == "__main__":
    main()
