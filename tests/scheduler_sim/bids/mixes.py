"""Small random mixes of runs for the tests of bid prices."""

from __future__ import annotations

from hypothesis import strategies as st

from scheduler_sim.bids.shapes import Shapes, shapes
from scheduler_sim.cluster import Request
from tests.scheduler_sim.bids.reference import Ask

MODELS = ("A100", "H100", "T4")


def requests(shares: tuple[int, ...]) -> st.SearchStrategy[Request]:
    """Runs with one of these shares of a GPU, with whole ones, or with none."""
    accepted = st.sampled_from(((), ("A100",), ("A100", "T4"), ("none",)))
    cores = st.sampled_from((0, 500, 1000, 4000, 16_000))
    single = st.builds(Request, st.just(1), st.sampled_from(shares), cores, models=accepted)
    several = st.builds(Request, st.sampled_from((0, 2, 8)), cpu_milli=cores, models=accepted)
    return st.one_of(single, single, single, several)


def mixes(shares: tuple[int, ...], most: int) -> st.SearchStrategy[Shapes]:
    """Mixes of up to so many shapes."""
    counted = st.tuples(requests(shares), st.integers(1, 60))
    return st.lists(counted, min_size=1, max_size=most).map(lambda rows: shapes(rows, MODELS))


def mix(*rows: tuple[Request, int], models: tuple[str, ...] = ("A100",)) -> Shapes:
    """The mix of these requests with their counts."""
    return shapes(rows, models)


def asks(known: Shapes, values: list[int], model: int, price: int) -> list[Ask]:
    """What a mix asks of one GPU of a model where a core costs so much."""
    return [
        Ask(milli, value - price * cpu // 1000, seen)
        for gpus, milli, cpu, accepts, seen, value in zip(
            known.gpus.tolist(),
            known.milli.tolist(),
            known.cpu.tolist(),
            known.accepts[:, model].tolist(),
            known.seen.tolist(),
            values,
            strict=True,
        )
        if gpus == 1 and accepts
    ]
