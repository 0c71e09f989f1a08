"""Random small clusters and requests, for the tests that compare with an obvious reference."""

from __future__ import annotations

from hypothesis import strategies as st

from scheduler_sim.cluster import Cluster, NodeSpec, Request
from scheduler_sim.fragmentation import Mix
from scheduler_sim.policies import fullest_gpus

MODELS = ("A100", "H100", "T4")

requests = st.builds(
    Request,
    gpus=st.integers(0, 4),
    gpu_milli=st.sampled_from((100, 250, 333, 500, 810, 1000)),
    cpu_milli=st.integers(0, 40_000),
    memory_mib=st.integers(0, 4000),
    models=st.sampled_from(((), ("A100",), ("A100", "T4"), ("none",))),
)


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    """A cluster of 1 to 6 nodes in which some requests were placed already."""
    nodes = [
        NodeSpec(
            name=f"n{i}",
            gpus=draw(st.integers(0, 4)),
            model=draw(st.sampled_from(MODELS)),
            cpu_milli=draw(st.sampled_from((0, 8000, 32_000, 128_000, 300_000))),
            memory_mib=draw(st.sampled_from((1000, 8000, 64_000))),
        )
        for i in range(draw(st.integers(1, 6)))
    ]
    cluster = Cluster(nodes)
    for request in draw(st.lists(requests, max_size=8)):
        for node in range(len(nodes)):
            if cluster.fits(node, request):
                cluster.place(node, fullest_gpus(cluster, node, request), request)
                break
    for node in range(len(nodes)):
        if draw(st.integers(0, 5)) == 0:
            cluster.set_usable(node, False)
    return cluster


mixes = st.lists(st.tuples(requests, st.integers(1, 50)), min_size=1, max_size=6).map(
    lambda kinds: Mix(tuple(r for r, _ in kinds), tuple(c for _, c in kinds))
)
