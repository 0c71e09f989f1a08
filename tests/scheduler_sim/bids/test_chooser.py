"""Bid prices on a live cluster: what fits is found, and nothing old is believed."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler_sim.bids import chooser
from scheduler_sim.bids.chooser import Bids
from scheduler_sim.cluster import Cluster, NodeSpec, Request
from scheduler_sim.fragmentation import Mix
from tests.scheduler_sim.strategies import clusters, mixes, requests


@settings(deadline=None, max_examples=20)
@given(clusters(), mixes, st.lists(requests, min_size=1, max_size=8), st.randoms())
def test_what_fits_is_placed_where_it_may_be(
    cluster: Cluster, mix: Mix, wanted: list[Request], dice: random.Random
) -> None:
    """Between the choices runs come and go and nodes close; a fresh chooser chooses the same."""
    bids = Bids(cluster, mix)
    held = []
    for request in wanted:
        allowed = np.array([dice.random() < 0.8 for _ in cluster.nodes])
        choice = bids.choose(request, allowed)
        assert (choice is None) == (not (cluster.feasible(request) & allowed).any())
        assert choice == Bids(cluster, mix).choose(request, allowed)
        if choice is not None:
            assert allowed[choice.node]
            held.append(cluster.place(choice.node, choice.gpus, request))
        if held and dice.random() < 0.4:
            cluster.release(held.pop())
        if dice.random() < 0.2:
            cluster.set_usable(0, not cluster.usable[0])


def test_more_requests_than_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [NodeSpec(f"n{i}", 2, "T4", 64_000, 64_000) for i in range(3)]
    wanted = [Request(1, 100 + 50 * (i % 5), 1000 * (i % 7), 10) for i in range(30)]
    mix = Mix((Request(1, 500, 1000), Request(1, 200, 4000)), (1, 2))

    def choices() -> list[tuple[int, tuple[int, ...]] | None]:
        cluster, found = Cluster(nodes), []
        bids = Bids(cluster, mix)
        for request in wanted:
            choice = bids.choose(request)
            found.append(None if choice is None else (choice.node, choice.gpus))
            if choice is not None:
                cluster.place(choice.node, choice.gpus, request)
        return found

    expected = choices()
    assert any(expected)
    monkeypatch.setattr(chooser, "KINDS", 3)
    assert choices() == expected
