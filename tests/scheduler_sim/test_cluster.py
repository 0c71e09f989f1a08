"""The array state: nothing is given away twice, and what is given back is as it was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler_sim.cluster import Allotment, Cluster, NodeSpec, Request
from scheduler_sim.policies import fullest_gpus
from tests.scheduler_sim import reference
from tests.scheduler_sim.strategies import clusters, requests

NODE = NodeSpec("n0", 2, "A100", 8000, 1000)


def state(cluster: Cluster) -> tuple[bytes, bytes, bytes]:
    """Every number of the state, bit by bit."""
    return cluster.gpu_left.tobytes(), cluster.cpu_left.tobytes(), cluster.memory_left.tobytes()


@settings(deadline=None)
@given(clusters(), requests)
def test_feasible_and_fits_agree_with_the_rules(cluster: Cluster, request: Request) -> None:
    expected = [reference.fits(cluster, n, request) for n in range(len(cluster.nodes))]
    assert cluster.feasible(request).tolist() == expected
    assert [cluster.fits(n, request) for n in range(len(cluster.nodes))] == expected


@settings(deadline=None)
@given(clusters(), st.lists(requests, max_size=12))
def test_place_and_release_restore_every_bit(cluster: Cluster, asked: list[Request]) -> None:
    before, placed = state(cluster), []
    for request in asked:
        for node in np.flatnonzero(cluster.feasible(request)).tolist():
            placed.append(cluster.place(node, fullest_gpus(cluster, node, request), request))
            break
        assert (cluster.gpu_left >= 0).all()
        assert (cluster.cpu_left >= 0).all()
        assert (cluster.memory_left >= 0).all()
    for allotment in placed[::2] + placed[1::2]:
        cluster.release(allotment)
    assert state(cluster) == before


@settings(deadline=None)
@given(clusters(), requests, st.integers(-1, 7), st.lists(st.integers(-1, 5), max_size=5))
def test_whatever_is_asked_place_never_gives_more_than_there_is(
    cluster: Cluster, request: Request, node: int, gpus: list[int]
) -> None:
    before = state(cluster)
    try:
        cluster.place(node, gpus, request)
    except ValueError as error:
        assert state(cluster) == before
        assert str(error).partition(":")[0] in (
            "node",
            "gpus",
            "gpu_milli",
            "models",
            "cpu_milli",
            "memory_mib",
        )
    else:
        assert (cluster.gpu_left >= 0).all()
        assert (cluster.cpu_left >= 0).all()
        assert (cluster.memory_left >= 0).all()


@pytest.mark.parametrize(
    ("request_", "gpus", "field"),
    [
        (Request(gpus=1, gpu_milli=600), (0,), "gpu_milli"),
        (Request(gpus=1, gpu_milli=500), (0, 1), "gpus"),
        (Request(gpus=2, gpu_milli=500), (1, 1), "gpus"),
        (Request(gpus=1), (2,), "gpus"),
        (Request(gpus=1, models=("H100",)), (1,), "models"),
        (Request(cpu_milli=8001), (), "cpu_milli"),
        (Request(memory_mib=1001), (), "memory_mib"),
    ],
)
def test_the_error_names_the_field(request_: Request, gpus: tuple[int, ...], field: str) -> None:
    cluster = Cluster([NODE])
    cluster.place(0, [0], Request(gpus=1, gpu_milli=500))
    with pytest.raises(ValueError, match=f"^{field}: "):
        cluster.place(0, gpus, request_)


def test_what_was_not_taken_cannot_be_given_back() -> None:
    cluster = Cluster([NODE])
    for request, gpus in (
        (Request(gpus=1, gpu_milli=1), (0,)),
        (Request(cpu_milli=1), ()),
        (Request(memory_mib=1), ()),
    ):
        with pytest.raises(ValueError, match="more"):
            cluster.release(Allotment(0, gpus, request))
    assert state(cluster) == state(Cluster([NODE]))


def test_a_closed_node_takes_nothing_and_still_gives_back() -> None:
    cluster = Cluster([NODE])
    held = cluster.place(0, [0], Request(gpus=1))
    cluster.set_usable(0, False)
    assert not cluster.feasible(Request()).any()
    with pytest.raises(ValueError, match=r"^node: n0"):
        cluster.place(0, [1], Request(gpus=1))
    cluster.release(held)
    cluster.set_usable(0, True)
    assert state(cluster) == state(Cluster([NODE]))


def test_a_copy_changes_alone() -> None:
    cluster = Cluster([NODE])
    twin = cluster.copy()
    twin.place(0, [0], Request(gpus=1))
    assert cluster.gpu_left.tolist() == [[1000, 1000]]
    assert twin.gpu_left.tolist() == [[0, 1000]]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"gpus": -1}, "gpus"),
        ({"gpu_milli": 0}, "gpu_milli"),
        ({"gpu_milli": 1001}, "gpu_milli"),
        ({"cpu_milli": -1}, "cpu_milli"),
        ({"memory_mib": -5}, "memory_mib"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(values: dict[str, int], field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        Request(**values)  # type: ignore[arg-type]


def test_a_cluster_needs_nodes_with_names_of_their_own() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Cluster([])
    with pytest.raises(ValueError, match="one name"):
        Cluster([NODE, NODE])
    with pytest.raises(ValueError, match=r"^gpus: node x has -1"):
        Cluster([NodeSpec("x", -1, "A100", 0, 0)])
