"""`best` on the public traces: more than FGD on every seed, and nobody is refused earlier.

Floors are a little below what was measured on seeds 42 to 51; three seeds of the trace that the
policy was tuned on and one of each other are played here, the rest by `benchmarks.placement`.
"""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from scheduler_sim import kernels
from scheduler_sim.arrivals.best import decide
from scheduler_sim.arrivals.replay import metrics, replay
from scheduler_sim.arrivals.stream import stream
from scheduler_sim.arrivals.trace import Trace, read_trace

EARLIER_PCT = 0.1
"""So much earlier than with FGD may the first pod be refused."""

pytestmark = pytest.mark.skipif(not kernels.FAST, reason="takes minutes without numba")


def public(traces: Path, name: str) -> Trace:
    pods = traces / f"openb_pod_list_{name}.csv.gz"
    return read_trace(traces / "openb_node_list_gpu_node.csv", pods)


def beats_fgd(trace: Trace, seed: int) -> float:
    """What `best` allocates at 130 %, in percent, once it was held against FGD."""
    ours, theirs = (replay(trace, name, seed).metrics for name in ("best", "fgd"))
    found: dict[str, tuple[float, float]] = {}
    for name in ("alloc_pct_at_130", "first_refusal_pct"):
        one, other = ours[name], theirs[name]
        assert one is not None and other is not None
        found[name] = one, other
    one, other = found["alloc_pct_at_130"]
    assert one > other
    first, their_first = found["first_refusal_pct"]
    assert first >= their_first - EARLIER_PCT
    return one


def test_default_comes_near_the_bound(traces: Path) -> None:
    trace = public(traces, "default")
    found = [beats_fgd(trace, seed) for seed in (42, 43, 44)]
    assert min(found) >= 96.2
    assert statistics.mean(found) >= 96.3


@pytest.mark.parametrize(
    ("name", "floor"),
    [("cpu100", 96.25), ("gpushare40", 94.9), ("multigpu20", 96.65), ("gpuspec33", 95.8)],
)
def test_the_traces_it_was_not_tuned_on(name: str, floor: float, traces: Path) -> None:
    assert beats_fgd(public(traces, name), 42) >= floor


def test_default_without_knowing_the_mix(traces: Path) -> None:
    trace = public(traces, "default")
    arrivals = stream(trace, 42)
    found = metrics(trace, arrivals, decide(trace, arrivals, learn=True))
    allocated = found["alloc_pct_at_130"]
    assert allocated is not None and allocated >= 96.2
