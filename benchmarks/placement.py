"""Placement on the public traces: published, reproduced, ours, and the most anybody could do.

    python -m benchmarks.placement TRACES [--seeds 42-51] [--prefix 90]

TRACES is a folder with `openb_node_list_gpu_node.csv`, `openb_pod_list_NAME.csv.gz` and the
published means `fgd_published.csv` (docs/placement.md says where they come from). The bound is for
the arrivals of the first seed when those of the first `--prefix` percent have to be placed; where
that cannot be, the prefix is lowered by ten until it can. CPU seconds are the medians per seed.
"""

from __future__ import annotations

import argparse
import csv
import statistics
from collections.abc import Iterable
from pathlib import Path

from scheduler_sim.arrivals.replay import POLICIES, SeedResult, replay
from scheduler_sim.arrivals.trace import Trace, read_trace
from scheduler_sim.bound.arrivals import bound

TRACES = ("default", "cpu100", "gpushare40", "multigpu20", "gpuspec33")
BOUND_LIMIT_S = 120.0


def main() -> None:
    """Print one table per trace."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", default="42-51")
    parser.add_argument("--prefix", type=int, default=90)
    parser.add_argument("--policies", default=",".join(POLICIES))
    parser.add_argument("--traces", default=",".join(TRACES))
    asked = parser.parse_args()
    first, _, last = asked.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    published = _published(asked.folder / "fgd_published.csv")
    for name in asked.traces.split(","):
        pods = asked.folder / f"openb_pod_list_{name}.csv.gz"
        trace = read_trace(asked.folder / "openb_node_list_gpu_node.csv", pods)
        print(f"\n{name}: {len(trace.nodes)} nodes, {len(trace.pods)} pods, seeds {asked.seeds}")
        print(f"{'':14}{'published':>10}{'here':>8}{'sd':>6}{'least':>8}{'at 100':>8}", end="")
        print(f"{'refusal':>9}{'CPU s':>7}{'placed/s':>10}")
        for policy in asked.policies.split(","):
            results = [replay(trace, policy, seed) for seed in seeds]
            print(_row(policy, published.get((name, policy)), results), flush=True)
        print(_bound_row(trace, seeds[0], asked.prefix), flush=True)


def _published(path: Path) -> dict[tuple[str, str], float]:
    """(trace, policy) -> published mean of allocation at 130 % arrived."""
    with path.open(newline="") as lines:
        return {
            (row["trace"], row["policy"].lower()): float(row["mean"])
            for row in csv.DictReader(lines)
            if row["metric"] == "alloc_pct" and float(row["arrived_pct_of_gpu_capacity"]) == 130
        }


def _row(policy: str, published: float | None, results: Iterable[SeedResult]) -> str:
    values = [result.metrics for result in results]

    def column(key: str) -> list[float]:
        return [float(found) for v in values if (found := v[key]) is not None]

    at_130 = column("alloc_pct_at_130")
    sd = statistics.stdev(at_130) if len(at_130) > 1 else 0.0
    was = "-" if published is None else f"{published:.2f}"
    return (
        f"  {policy:12}{was:>10}{statistics.mean(at_130):8.2f}{sd:6.2f}{min(at_130):8.2f}"
        f"{statistics.mean(column('alloc_pct_at_100')):8.2f}"
        f"{statistics.mean(column('first_refusal_pct')):9.2f}"
        f"{statistics.median(column('cpu_s')):7.2f}"
        f"{statistics.median(column('placements_per_s')):10.0f}"
    )


def _bound_row(trace: Trace, seed: int, prefix: int) -> str:
    """The bound at the highest prefix that can be placed, tens below the one asked for."""
    while prefix > 0:
        found = bound(trace, seed, prefix, time_limit_s=BOUND_LIMIT_S)
        if found.bound_pct is not None:
            proven = "" if found.proven else ", not its least"
            return (
                f"  {'bound':12}{'':10}{found.bound_pct:8.2f}   seed {seed}, the first {prefix} %"
                f" placed{proven}; {found.cpu_s:.1f} s CPU"
            )
        prefix -= 10
    return f"  {'bound':12}{'':10}{'':8}   nothing can be forced"


if __name__ == "__main__":
    main()
