"""How long people wait: placements and disciplines on the openb pods with their own durations.

    python -m benchmarks.waits TRACES [--nodes 120] [--load 0.95] [--samples 3]

The trace itself never fills its cluster. So the pods come, with the durations they had (cut at
`--longest` hours, or a few pods of months would be all the load), to a random sample of the nodes,
sooner one after the other than they did, by the factor that makes what they ask for `--load` of
what the sample has. Each sample is played under each pair of discipline and placement; the means
over the samples are printed.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from scheduler_sim.arrivals.trace import read_nodes
from scheduler_sim.cluster import WHOLE_MILLI, NodeSpec
from scheduler_sim.history import read_history
from scheduler_sim.queues.bidding import BidPrices
from scheduler_sim.queues.jobs import Jobs
from scheduler_sim.queues.metrics import summary
from scheduler_sim.queues.run import simulate

PLACEMENTS = ("first_fit", "best_fit", "fgd", "best")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--nodes", type=int, default=120)
    parser.add_argument("--load", type=float, default=0.95)
    parser.add_argument("--longest", type=float, default=6.0, help="hours")
    parser.add_argument("--samples", type=int, default=3)
    asked = parser.parse_args()
    jobs = read_history(asked.folder / "openb_pod_list_default.csv.gz").jobs
    pool = list(read_nodes(asked.folder / "openb_node_list_gpu_node.csv"))
    print(f"{len(jobs)} pods, {asked.nodes} nodes, load {asked.load}, {asked.samples} samples")
    print(f"{'':26}{'wait mean':>10}{'p90':>9}{'p99':>9}{'slowdown':>10}{'used %':>8}{'CPU s':>7}")
    for discipline in ("fifo", "easy"):
        for placement in PLACEMENTS:
            rows = [
                _played(
                    random.Random(seed).sample(pool, asked.nodes),
                    jobs,
                    asked.load,
                    round(asked.longest * 3600),
                    discipline,
                    placement,
                )
                for seed in range(asked.samples)
            ]
            means = [statistics.mean(column) for column in zip(*rows, strict=True)]
            print(f"{discipline:12}{placement:14}", end="")
            print("{:9.0f}s{:8.0f}s{:8.0f}s{:10.2f}{:8.2f}{:7.1f}".format(*means), flush=True)


def _played(
    nodes: list[NodeSpec],
    jobs: Jobs,
    load: float,
    longest_s: int,
    discipline: str,
    placement: str,
) -> tuple[float, ...]:
    duration_s = np.minimum(jobs.duration_s, longest_s)
    milli = np.array([kind.total_milli for kind in jobs.kinds])[jobs.kind] * jobs.nodes
    capacity = sum(node.gpus for node in nodes) * WHOLE_MILLI
    span_s = float((duration_s * milli).sum()) / (capacity * load)
    submit_s = np.floor(jobs.submit_s * (span_s / float(jobs.submit_s.max()))).astype(np.int64)
    pressed = replace(
        jobs, submit_s=submit_s, duration_s=duration_s, limit_s=np.minimum(jobs.limit_s, longest_s)
    )
    began = time.process_time()
    chosen = BidPrices() if placement == "best" else placement
    found = summary(simulate(nodes, pressed, discipline=discipline, placement=chosen))
    return (
        *(found.wait_s.mean, found.wait_s.p90, found.wait_s.p99),
        *(found.slowdown.mean, found.utilisation_pct, time.process_time() - began),
    )


if __name__ == "__main__":
    main()
