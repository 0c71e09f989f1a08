"""Both policies agree exactly with a slow reference on random small clusters."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler_sim.cluster import Cluster, NodeSpec, Request
from scheduler_sim.fragmentation import Mix
from scheduler_sim.policies import Fgd, best_fit
from tests.scheduler_sim import reference
from tests.scheduler_sim.strategies import clusters, mixes, requests


@settings(deadline=None, max_examples=300)
@given(clusters(), requests)
def test_best_fit_is_the_published_one(cluster: Cluster, request: Request) -> None:
    expected = reference.best_fit(cluster, request)
    choice = best_fit(cluster, request)
    assert (None if choice is None else (choice.node, list(choice.gpus))) == expected


@settings(deadline=None, max_examples=300)
@given(clusters(), requests, mixes)
def test_fgd_is_the_published_one(cluster: Cluster, request: Request, mix: Mix) -> None:
    expected = reference.fgd(cluster, request, mix)
    choice = Fgd(cluster, mix).choose(request)
    found = None if choice is None else (choice.node, list(choice.gpus), choice.score)
    assert found == expected


@settings(deadline=None, max_examples=60)
@given(clusters(), st.lists(requests, min_size=1, max_size=15), mixes)
def test_remembered_scores_are_those_of_a_fresh_look(
    cluster: Cluster, asked: list[Request], mix: Mix
) -> None:
    policy, placed = Fgd(cluster, mix), []
    for turn, request in enumerate(asked):
        choice = policy.choose(request)
        assert choice == Fgd(cluster, mix).choose(request)
        if choice is not None:
            placed.append(cluster.place(choice.node, choice.gpus, request))
        if placed and turn % 3 == 2:
            cluster.release(placed.pop(0))
        if turn % 5 == 4:
            cluster.set_usable(turn % len(cluster.nodes), turn % 2 == 0)


@settings(deadline=None, max_examples=60)
@given(clusters(), requests, mixes, st.data())
def test_only_allowed_nodes_are_chosen(
    cluster: Cluster, request: Request, mix: Mix, data: st.DataObject
) -> None:
    size = len(cluster.nodes)
    allowed = np.array(data.draw(st.lists(st.booleans(), min_size=size, max_size=size)))
    open_ = [n for n in range(size) if allowed[n] and reference.fits(cluster, n, request)]
    for choice in (best_fit(cluster, request, allowed), Fgd(cluster, mix).choose(request, allowed)):
        assert (choice.node in open_) if choice is not None else not open_


def test_ties_go_to_the_first_node_and_the_first_gpu() -> None:
    cluster = Cluster([NodeSpec(n, 4, "A100", 64_000, 1000) for n in ("z", "a")])
    for choice in (
        best_fit(cluster, Request(gpus=1, gpu_milli=500)),
        Fgd(cluster, Mix((Request(gpus=1),), (1,))).choose(Request(gpus=1, gpu_milli=500)),
    ):
        assert choice is not None
        assert (choice.node, choice.gpus) == (0, (0,))


def test_a_share_joins_a_share_so_that_whole_gpus_stay_whole() -> None:
    cluster = Cluster([NodeSpec("n", 4, "A100", 64_000, 1000)])
    cluster.place(0, [2], Request(gpus=1, gpu_milli=500))
    mix = Mix((Request(gpus=1), Request(gpus=1, gpu_milli=500)), (3, 1))
    choice = Fgd(cluster, mix).choose(Request(gpus=1, gpu_milli=500))
    assert choice is not None
    assert choice.gpus == (2,)
