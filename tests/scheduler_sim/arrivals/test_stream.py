"""The arrival list: a seed's own, up to the target, and the same everywhere."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from scheduler_sim.arrivals.arrays import kind_arrays, model_names, node_arrays
from scheduler_sim.arrivals.stream import stream
from scheduler_sim.arrivals.trace import Trace, TraceError
from scheduler_sim.cluster import NodeSpec, Request
from tests.scheduler_sim.arrivals import small


def asked_milli(trace: Trace, inflate: float, seed: int = 5) -> int:
    return sum(trace.kinds[kind].total_milli for kind in stream(trace, seed, inflate).kinds)


def spread(pods: int = 40) -> Trace:
    nodes = [NodeSpec(f"n{i}", 8, "T4", 1000, 1000) for i in range(9)]
    return Trace.of("t", nodes, [(f"p{i:02}", Request(1, 501 + i)) for i in range(pods)])


def test_every_pod_comes_once_before_any_comes_again() -> None:
    trace = spread()
    arrivals = stream(trace, 5)
    assert sorted(arrivals.pods[:40].tolist()) == list(range(40))
    assert arrivals.pods[:40].tolist() != list(range(40))
    assert arrivals.pods.size > 100
    assert np.array_equal(arrivals.kinds, trace.kind_of[arrivals.pods])
    assert min(Counter(arrivals.pods.tolist()).values()) >= 1


def test_the_list_ends_with_the_last_pod_within_the_target() -> None:
    for inflate, target in ((1.3, 93_600), (1.1, 79_200), (2.0, 144_000)):
        asked = asked_milli(spread(), inflate)
        assert target - 541 < asked <= target


def test_the_target_is_the_decimal_as_written() -> None:
    """1.1 times 10,000 is 11,000 and not a hair more or less."""
    nodes = [NodeSpec("n", 10, "T4", 1, 1)]
    trace = Trace.of("t", nodes, [("p", Request(1, 1000))])
    assert asked_milli(trace, 1.1) == 11_000
    assert asked_milli(trace, 0.7) == 7000


def test_a_trace_beyond_the_target_is_thinned() -> None:
    trace = spread()
    whole, thin = stream(trace, 5), stream(trace, 5, 0.2)
    assert 14_400 - 541 < asked_milli(trace, 0.2) <= 14_400
    assert len(set(thin.pods.tolist())) == thin.pods.size
    assert np.array_equal(thin.pods, whole.pods[: thin.pods.size])
    assert np.array_equal(thin.rank, whole.rank)


def test_seeds_differ_and_repeat() -> None:
    trace = spread()
    one, same, other = stream(trace, 1), stream(trace, 1), stream(trace, 2)
    assert np.array_equal(one.pods, same.pods) and np.array_equal(one.rank, same.rank)
    assert not np.array_equal(one.pods[:40], other.pods[:40])
    assert not np.array_equal(one.rank, other.rank)


def test_a_seed_is_the_same_on_every_machine() -> None:
    arrivals = stream(spread(), 42)
    assert arrivals.pods[:8].tolist() == [20, 7, 12, 3, 28, 19, 9, 4]
    assert arrivals.pods[40:44].tolist() == [11, 25, 14, 14]
    assert arrivals.rank.tolist() == [4, 2, 3, 6, 7, 1, 0, 8, 5]


def test_rank_and_order_are_inverse() -> None:
    arrivals = stream(spread(), 3)
    assert arrivals.rank[arrivals.order].tolist() == list(range(9))
    assert sorted(arrivals.rank.tolist()) == list(range(9))


@pytest.mark.parametrize("inflate", [0, -1, float("nan"), float("inf")])
def test_a_senseless_target_is_refused(inflate: float) -> None:
    with pytest.raises(ValueError, match="inflate: must be a positive number"):
        stream(spread(), 1, inflate)


def test_a_trace_that_asks_for_no_gpu_is_refused() -> None:
    trace = Trace.of("t", [NodeSpec("n", 1, "T4", 9, 9)], [("p", Request(cpu_milli=1))])
    with pytest.raises(TraceError, match="num_gpu: no pod of the trace asks for a GPU"):
        stream(trace, 1)


def test_a_target_below_the_smallest_pod_leaves_no_arrival() -> None:
    trace = Trace.of("t", [NodeSpec("n", 1, "T4", 9, 9)], [("p", Request(1, 1000))])
    assert stream(trace, 1, 0.5).pods.size == 0


def test_arrays_say_what_the_trace_says() -> None:
    trace = small.trace(7)
    arrivals = stream(trace, 7)
    nodes, kinds, names = node_arrays(trace, arrivals), kind_arrays(trace), model_names(trace)
    assert nodes.gpu_left.shape == (len(trace.nodes), 8)
    for row, spec in enumerate(trace.nodes):
        at = int(arrivals.rank[row])
        assert nodes.gpu_left[at].tolist() == [1000] * spec.gpus + [0] * (8 - spec.gpus)
        assert names[nodes.model[at]] == spec.model
        assert int(nodes.gpus[at]) == spec.gpus
        assert (nodes.cpu_left[at], nodes.memory_left[at]) == (spec.cpu_milli, spec.memory_mib)
    for row, kind in enumerate(trace.kinds):
        assert (kinds.gpus[row], kinds.milli[row]) == (kind.gpus, kind.gpu_milli)
        assert (kinds.cpu[row], kinds.memory[row]) == (kind.cpu_milli, kind.memory_mib)
        accepted = [name for name, yes in zip(names, kinds.accepts[row], strict=True) if yes]
        assert accepted == [name for name in names if not kind.models or name in kind.models]


def test_a_list_that_would_fill_the_memory_is_refused() -> None:
    nodes = [NodeSpec("n", 8, "T4", 1000, 1000)]
    idle = [(f"c{i}", Request(0, 1000, 1, 1)) for i in range(3000)]
    trace = Trace.of("t", nodes, [("p", Request(1, 1)), *idle])
    with pytest.raises(TraceError, match="num_gpu, gpu_milli: 3001 pods ask for so little GPU"):
        stream(trace, 1)
    assert stream(trace, 1, 0.01).pods.size > 3000
