"""How fast the queue simulation is: runs per second at 10^4, 10^5 and 10^6 runs.

    python -m benchmarks.queue                      FIFO and EASY backfill on 1,000 nodes
    python -m benchmarks.queue --sizes 10000 --disciplines fifo,easy,fairshare --placement fgd

Each size is played by a process of its own, so that its peak of memory is its own. A handful of
runs is played before the clock starts, so that nothing is compiled while it runs.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np

from scheduler_sim.cluster import NodeSpec, Request
from scheduler_sim.kernels import FAST
from scheduler_sim.queues.jobs import Jobs
from scheduler_sim.queues.run import DISCIPLINES, PLACEMENTS, simulate

SIZES = (10_000, 100_000, 1_000_000)
NODES = 1_000
LOAD = 0.9
"""The runs ask for this part of the GPU time there is."""

KINDS = (
    Request(1, 1000, 8_000, 32_000),
    Request(1, 500, 4_000, 16_000),
    Request(1, 250, 2_000, 8_000),
    Request(2, 1000, 16_000, 64_000),
    Request(4, 1000, 32_000, 128_000),
    Request(8, 1000, 64_000, 256_000),
    Request(0, 1000, 8_000, 16_000),
)
SHARES = (0.3, 0.15, 0.15, 0.1, 0.1, 0.1, 0.1)


def runs(count: int, nodes: int, seed: int = 1) -> Jobs:
    """Runs of an hour in the mean, limits twice as long, a third of the 8-GPU ones on 2-8 nodes."""
    draw = np.random.default_rng(seed)
    kind = draw.choice(len(KINDS), count, p=SHARES)
    gang = np.where((kind == 5) & (draw.random(count) < 0.3), draw.integers(2, 9, count), 1)
    gang = np.minimum(gang, nodes)
    duration_s = draw.exponential(3600, count).astype(np.int64) + 1
    milli = np.array([k.total_milli for k in KINDS])[kind] * gang
    gap_s = float((milli * duration_s).sum()) / (LOAD * nodes * 8000) / max(1, count)
    return Jobs.build(
        submit_s=np.cumsum(draw.exponential(gap_s, count)),
        duration_s=duration_s,
        limit_s=2 * duration_s,
        kinds=KINDS,
        kind=kind,
        nodes=gang,
        user=draw.integers(0, 50, count),
        users=[f"user{i}" for i in range(50)],
    )


def cluster(nodes: int) -> list[NodeSpec]:
    """Equal nodes of eight GPUs."""
    return [NodeSpec(f"n{i:04}", 8, "H100", 128_000, 1_000_000) for i in range(nodes)]


def measured(discipline: str, placement: str, count: int, nodes: int) -> dict[str, float]:
    """CPU seconds, runs per second and peak memory of one simulation in this process."""
    simulate(cluster(4), runs(50, 4), discipline=discipline, placement=placement)
    jobs, where = runs(count, nodes), cluster(nodes)
    start = time.process_time()
    outcome = simulate(where, jobs, discipline=discipline, placement=placement)
    spent_s = time.process_time() - start
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "cpu_s": spent_s,
        "runs_per_s": count / spent_s,
        "peak_mib": peak_kib / 1024,
        "unfinished": len(outcome.unfinished),
        "mean_wait_s": float((outcome.start_s - jobs.submit_s)[outcome.started].mean()),
    }


def main() -> None:
    """Print one line for each discipline and size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--disciplines", default="fifo,easy", help=", ".join(DISCIPLINES))
    parser.add_argument("--placement", default="best_fit", choices=sorted(PLACEMENTS))
    parser.add_argument("--nodes", type=int, default=NODES)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    sizes = [int(size) for size in given.sizes.split(",")]
    if given.child:
        found = measured(given.disciplines, given.placement, sizes[0], given.nodes)
        print(json.dumps(found))
        return
    print(f"{given.nodes:,} nodes, load {LOAD}, {given.placement}, numba {'on' if FAST else 'off'}")
    print(
        f"{'discipline':14}{'runs':>10}{'runs/s':>12}{'CPU s':>9}"
        f"{'peak MiB':>10}{'mean wait s':>13}"
    )
    for discipline in given.disciplines.split(","):
        for size in sizes:
            argv = [sys.executable, "-m", "benchmarks.queue", "--child"]
            argv += ["--disciplines", discipline, "--sizes", str(size)]
            argv += ["--placement", given.placement, "--nodes", str(given.nodes)]
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(f"{discipline} {size:,}: {done.stderr.strip().splitlines()[-1]}")
            found = json.loads(done.stdout)
            print(
                f"{discipline:14}{size:10,}{found['runs_per_s']:12,.0f}{found['cpu_s']:9.2f}"
                f"{found['peak_mib']:10.0f}{found['mean_wait_s']:13.1f}"
            )


if __name__ == "__main__":
    main()
