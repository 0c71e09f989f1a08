"""The measure of stranded share, in exact integers."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler_sim.cluster import Cluster, NodeSpec, Request
from scheduler_sim.fragmentation import Mix, fragmentation, score_thresholds, typical
from tests.scheduler_sim import reference
from tests.scheduler_sim.strategies import clusters, mixes


@settings(deadline=None, max_examples=200)
@given(clusters(), mixes)
def test_f_times_the_counts_is_the_exact_integer(cluster: Cluster, mix: Mix) -> None:
    expected = [
        reference.fragmentation(
            reference.left(cluster, n), int(cluster.cpu_left[n]), spec.model, mix
        )
        for n, spec in enumerate(cluster.nodes)
    ]
    assert [Fraction(int(f), mix.total) for f in fragmentation(cluster, mix)] == expected


def test_by_hand() -> None:
    cluster = Cluster([NodeSpec("n", 2, "A100", 10_000, 100)])
    cluster.place(0, [0], Request(gpus=1, gpu_milli=700))
    # R is 1300. A 500-milli run can use one GPU and strands the other's 300; a whole one too;
    # two whole GPUs and a run without GPUs can use nothing.
    mix = Mix(
        (Request(gpus=1, gpu_milli=500), Request(gpus=1), Request(gpus=2), Request()), (4, 3, 2, 1)
    )
    assert fragmentation(cluster, mix).tolist() == [4 * 300 + 3 * 300 + 2 * 1300 + 1300]


@pytest.mark.parametrize("total", [1, 7, 8152])
def test_thresholds_are_those_of_the_truncated_sigmoid(total: int) -> None:
    thresholds = score_thresholds(total).tolist()
    assert len(thresholds) == 99
    assert thresholds[49] == 0
    for k, fall in enumerate(thresholds, 1):
        for value, reached in ((fall, True), (fall - 1, False)):
            if value:
                score = int(100 / (1 + math.exp(-value / total / 1000)))
                assert (score >= k) is reached, (k, value)


def test_typical_takes_the_most_frequent_kinds_up_to_the_share() -> None:
    one, half, rare = Request(gpus=1), Request(gpus=1, gpu_milli=500), Request(gpus=8)
    mix = typical([one] * 60 + [half] * 36 + [rare] * 4)
    assert mix == Mix((one, half), (60, 36))
    assert typical([one] * 60 + [half] * 34 + [rare] * 6).counts == (60, 34, 6)


def test_memory_does_not_make_a_kind_of_its_own() -> None:
    mix = typical([Request(gpus=1, memory_mib=m) for m in (1, 2, 3)])
    assert mix == Mix((Request(gpus=1),), (3,))


@settings(deadline=None)
@given(st.permutations([Request(gpus=g, cpu_milli=c) for g in (1, 2) for c in (1, 2, 3)]))
def test_the_order_of_the_requests_does_not_matter(requests: list[Request]) -> None:
    assert typical(requests, 50) == typical(sorted(requests, key=repr), 50)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^requests: "):
        typical([])
    with pytest.raises(ValueError, match=r"^share_pct: "):
        typical([Request()], 0)
    with pytest.raises(ValueError, match=r"^counts: "):
        Mix((Request(),), (0,))
    with pytest.raises(ValueError, match=r"^counts: "):
        Mix((Request(),), ())
