"""What an experiment is worth, held against a slow count after every arrival."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from scheduler_sim.arrivals.decisions import Decisions, Move
from scheduler_sim.arrivals.metrics import Curve, curve, metrics
from scheduler_sim.arrivals.published import decide
from scheduler_sim.arrivals.replay import replay
from scheduler_sim.arrivals.rules import NAMES
from scheduler_sim.arrivals.stream import Stream, stream
from scheduler_sim.arrivals.trace import Trace, TraceError
from scheduler_sim.cluster import NodeSpec, Request
from scheduler_sim.fragmentation import typical
from tests.scheduler_sim.arrivals import reference, small


def test_the_course_is_what_a_slow_count_says() -> None:
    for number in range(60):
        trace = small.trace(number)
        arrivals = stream(trace, number)
        decisions = decide(trace, arrivals, NAMES[number % 6])
        course = curve(trace, arrivals, decisions)
        nodes = [reference.Node(s, [1000] * s.gpus, s.cpu_milli, s.memory_mib)
                 for s in (trace.nodes[row] for row in arrivals.order)]  # fmt: skip
        mix = typical(trace.kinds[kind] for kind in trace.kind_of)
        arrived = allocated = 0
        for arrival, kind in enumerate(arrivals.kinds):
            pod, node = trace.kinds[kind], int(decisions.node[arrival])
            arrived += pod.total_milli
            if node >= 0:
                allocated += pod.total_milli
                gpus = [g for g in range(16) if decisions.gpus[arrival] >> g & 1]
                nodes[node] = nodes[node].without(pod, gpus)
            stranded = sum(reference.stranded(node, mix) for node in nodes)
            assert course.arrived[arrival] == arrived
            assert course.allocated[arrival] == course.served[arrival] == allocated
            assert course.stranded[arrival] == stranded
        assert course.weight == mix.total


def one_node(*pods: Request, gpus: int = 10) -> Trace:
    nodes = [NodeSpec("n", gpus, "T4", 10_000, 1000)]
    return Trace.of("t", nodes, [(f"p{i}", pod) for i, pod in enumerate(pods)])


def arriving(trace: Trace, *rows: int, inflate: float = 1.3) -> Stream:
    pods = np.array(rows, dtype=np.int32)
    rank = np.arange(len(trace.nodes), dtype=np.int32)
    return Stream(trace.kind_of[pods], pods, rank, 0, inflate)


def test_metrics_by_hand() -> None:
    """Ten GPUs: one of 8 is placed, another refused, then two wholes and a half come."""
    trace = one_node(Request(8), Request(1), Request(1, 500))
    arrivals = arriving(trace, 1, 0, 2, 0, 1)
    node = np.array([0, 0, 0, -1, -1], dtype=np.int32)
    gpus = np.array([1, 0b111111110, 1 << 9, 0, 0], dtype=np.uint16)
    found = metrics(trace, arrivals, Decisions(node, gpus))
    # arrived: 10, 90, 95, 175, 185 %
    assert found == {
        "alloc_pct_at_100": None,
        "alloc_pct_at_130": None,
        "frag_pct_at_130": None,
        "first_refusal_pct": 175.0,
        "refused_8gpu_milli": 8000,
        "migrations": 0,
        "served_pct_of_original": None,
    }
    course = curve(trace, arrivals, Decisions(node, gpus))
    assert course.at(course.allocated, 95) == 95.0
    assert course.at(course.allocated, 175) == 95.0
    # half a GPU is left: no use to the typical whole (2 of 3), of use to the half (1 of 3)
    assert course.at(course.stranded, 95, course.weight) == pytest.approx(100 / 30)


def test_a_column_is_the_mean_of_its_arrivals() -> None:
    course = Curve(
        arrived=np.array([994, 995, 1000, 1004, 1005]),
        allocated=np.array([1, 10, 20, 60, 900]),
        served=np.zeros(5, dtype=np.int64),
        stranded=np.zeros(5, dtype=np.int64),
        weight=1,
        capacity_milli=1000,
    )
    assert course.at(course.allocated, 100) == 3.0
    assert course.at(course.allocated, 101) == 90.0
    assert course.at(course.allocated, 98) is None
    assert course.at(course.allocated, 100, 3) == 1.0


def test_nothing_refused_is_the_whole_list() -> None:
    trace = one_node(Request(1, 500, 1, 1))
    found = metrics(trace, arriving(trace, 0), decide(trace, arriving(trace, 0), "fgd"))
    assert found["first_refusal_pct"] == 130.0
    nothing = arriving(trace, inflate=0.5)
    found = metrics(trace, nothing, decide(trace, nothing, "fgd"))
    assert found["first_refusal_pct"] == 50.0
    assert found["alloc_pct_at_100"] is None


def test_moves_count_and_change_what_is_stranded() -> None:
    trace = one_node(Request(1, 500), Request(1), gpus=2)
    arrivals = arriving(trace, 0, 0, 1)
    node = np.array([0, 0, 0], dtype=np.int32)
    gpus = np.array([1, 2, 2], dtype=np.uint16)
    moved = Decisions(node, gpus, (Move(2, 1, 0, 1),))
    found = metrics(trace, arrivals, moved)
    assert found["migrations"] == 1
    course = curve(trace, arrivals, moved)
    assert course.allocated.tolist() == [500, 1000, 2000]
    # two halves on two GPUs: 1000 left that the whole (1 of 2) cannot use; then nothing is left
    assert [Fraction(int(x), course.weight) for x in course.stranded] == [250, 500, 0]


def test_served_counts_what_was_asked_before_requests_were_cut() -> None:
    asked = one_node(Request(1, 810), Request(1, 200), gpus=1)
    cut = one_node(Request(1, 770), Request(1, 200), gpus=1)
    arrivals = arriving(cut, 0, 1)
    decisions = decide(cut, arrivals, "fgd")
    course = curve(cut, arrivals, decisions, asked)
    assert course.arrived.tolist() == course.served.tolist() == [810, 1010]
    assert course.allocated.tolist() == [770, 970]


def test_an_experiment_repeats_itself() -> None:
    trace = small.trace(77, most_pods=60)
    one, same, other = (replay(trace, "FGD", seed, 1.5) for seed in (42, 42, 43))
    measured = {"placements_per_s", "cpu_s"}
    assert one.policy == "fgd" and one.seed == 42
    assert {k: v for k, v in one.metrics.items() if k not in measured} == {
        k: v for k, v in same.metrics.items() if k not in measured
    }
    assert (one.curve.stranded == same.curve.stranded).all()
    assert one.curve.allocated.tolist() != other.curve.allocated.tolist()
    assert float(one.metrics["cpu_s"] or 0) > 0
    assert float(one.metrics["placements_per_s"] or 0) > 0


def test_a_decision_that_breaks_a_rule_has_no_metrics() -> None:
    trace = small.trace(77)
    arrivals = stream(trace, 1)
    decisions = decide(trace, arrivals, "fgd")
    with pytest.raises(ValueError, match="arrival 0"):
        metrics(trace, arrivals, replace(decisions, gpus=~decisions.gpus))


def test_bad_questions_are_refused() -> None:
    with pytest.raises(ValueError, match=r"policy: must be one of random, .*got worst"):
        replay(small.trace(1), "worst", 1)
    with pytest.raises(ValueError, match="migrations: policy fgd moves nothing"):
        replay(small.trace(1), "fgd", 1, migrations=3)
    with pytest.raises(ValueError, match="inflate"):
        replay(small.trace(1), "fgd", 1, -1.0)


def test_requests_of_too_many_sizes_are_refused() -> None:
    nodes = [NodeSpec("n", 8, "T4", 1, 1)]
    pods = [(f"p{i}", Request(1, 1 + i % 1000, i, 1)) for i in range(20_000)]
    with pytest.raises(TraceError, match=r"cpu_milli, gpu_milli: .* too many to measure"):
        replay(Trace.of("t", nodes, pods), "fgd", 1)


def test_numba_is_loaded_by_the_first_replay_and_not_before() -> None:
    program = "import scheduler_sim.arrivals.replay, sys; print('numba' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "False"
