"""The bound of a live cluster is never below what trying everything reaches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scheduler_sim.bound import pools
from scheduler_sim.bound.live import LiveBound, Waiting, bound_live
from scheduler_sim.cluster import Cluster, NodeSpec, Request
from tests.scheduler_sim.bound.brute import best

SHARES = st.sampled_from((100, 190, 250, 300, 500, 510, 700, 810, 1000))
LEFT = st.sampled_from((0, 120, 300, 490, 730, 1000, 1000))


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    """One to three nodes of up to three GPUs, some of them partly taken."""
    nodes = [
        NodeSpec(f"n{i}", draw(st.integers(0, 3)), draw(st.sampled_from("AB")), 8000, 4096)
        for i in range(draw(st.integers(1, 3)))
    ]
    cluster = Cluster(nodes)
    for row, node in enumerate(nodes):
        for gpu in range(node.gpus):
            cluster.gpu_left[row, gpu] = draw(LEFT)
        cluster.cpu_left[row] = draw(st.sampled_from((0, 1000, 3000, 8000)))
        cluster.memory_left[row] = draw(st.sampled_from((512, 2048, 4096)))
        if draw(st.integers(0, 9)) == 0:
            cluster.set_usable(row, False)
    return cluster


@st.composite
def requests(draw: st.DrawFn) -> Request:
    gpus = draw(st.integers(0, 2))
    return Request(
        gpus,
        draw(SHARES),
        draw(st.sampled_from((0, 500, 1000, 2500))),
        draw(st.sampled_from((0, 256, 1024, 1500))),
        draw(st.sampled_from(((), (), ("A",), ("B",), ("C",)))) if gpus else (),
    )


@st.composite
def queues(draw: st.DrawFn, nodes: int) -> list[Waiting]:
    """Up to four entries of one or two runs."""
    found = []
    for _ in range(draw(st.integers(0, 4))):
        flags = draw(st.none() | st.lists(st.booleans(), min_size=nodes, max_size=nodes))
        found.append(
            Waiting(
                draw(requests()),
                draw(st.sampled_from((0, 0.1, 1, 2.5, 7))),
                draw(st.integers(0, 2)),
                draw(st.sampled_from((1, 1, 1, 2))),
                None if flags is None else np.array(flags, dtype=np.bool_),
            )
        )
    return found


@pytest.fixture(params=[1, 2, 60])
def most_pools(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """However coarsely nodes are taken together."""
    monkeypatch.setattr(pools, "MOST", request.param)


@pytest.mark.usefixtures("most_pools")
@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_never_below_the_best_of_all(data: st.DataObject) -> None:
    cluster = data.draw(clusters())
    waiting = data.draw(queues(len(cluster.nodes)))
    reached = best(cluster, waiting)
    found = bound_live(cluster, waiting, time_limit_s=10)
    assert found.proven
    assert reached is not None
    assert found.most >= reached
    assert found.most <= sum(w.value * w.count for w in waiting) * (1 + 1e-9)
    at_once = bound_live(cluster, waiting, time_limit_s=0)
    assert at_once.most >= found.most * (1 - 1e-6)
    for row in found.impossible:
        assert best(cluster, [replace(waiting[row], value=1.0, count=1)]) == 0


def _node(gpus: int = 4, cpu_milli: int = 64_000, memory_mib: int = 65_536) -> NodeSpec:
    return NodeSpec("n0", gpus, "A", cpu_milli, memory_mib)


def _bound(nodes: list[NodeSpec], *waiting: Waiting) -> LiveBound:
    return bound_live(Cluster(nodes), waiting, time_limit_s=10)


def test_where_all_fits_the_bound_is_the_sum_of_the_values() -> None:
    found = _bound(
        [_node()],
        Waiting(Request(1, 300, 1000, 1024), 0.3, count=6),
        Waiting(Request(2, 1000, 8000, 1024), 5),
        Waiting(Request(0, cpu_milli=4000), 1),
    )
    assert found.proven
    assert found.most == pytest.approx(7.8, rel=1e-6)
    assert found.most >= 7.8
    assert found.gap == pytest.approx(0, abs=1e-5)
    assert found.cost == pytest.approx((0, 0, 0), abs=1e-6)


def test_shares_that_find_no_partner_strand_the_rest_of_the_gpu() -> None:
    """Ten times 0.6 on four GPUs: four fit, where GPU share alone would allow six."""
    found = _bound([_node()], Waiting(Request(1, 600), 1, count=10))
    assert found.most == pytest.approx(4, rel=1e-6)
    assert found.cost == pytest.approx((1,), rel=1e-6)


def test_gpus_left_of_several_nodes_are_not_added_up() -> None:
    """A leftover of 0.3 and one of 0.4 hold one share of 0.3 each, and none of 0.7."""
    cluster = Cluster([_node(1), NodeSpec("n1", 1, "A", 64_000, 65_536)])
    cluster.gpu_left[:, 0] = 300, 400
    small, large = Waiting(Request(1, 300), 1, count=5), Waiting(Request(1, 700), 9)
    found = bound_live(cluster, [small, large], time_limit_s=10)
    assert found.most == pytest.approx(2, rel=1e-6)
    assert found.impossible == (1,)
    assert found.cost[1] is None


def test_six_free_gpus_hold_one_run_of_four() -> None:
    """Taken together, the GPUs of ten such nodes would hold 15."""
    nodes = [NodeSpec(f"n{i}", 6, "A", 64_000, 65_536) for i in range(10)]
    found = _bound(nodes, Waiting(Request(4, 1000), 4, count=50))
    assert found.most == pytest.approx(40, rel=1e-6)


def test_cores_bound_it_where_they_are_scarce_and_have_a_price() -> None:
    """40 cores: twice 16, and the other 8 for runs without a GPU, which set the price of a core."""
    run = Waiting(Request(1, 1000, 16_000), 1, count=8)
    found = _bound([_node(8, 40_000)], run, Waiting(Request(0, cpu_milli=1000), 0.01, count=99))
    assert found.most == pytest.approx(2.08, rel=1e-6)
    assert found.prices.cpu[0] * 1000 == pytest.approx(0.01, rel=1e-3)
    assert found.cost == pytest.approx((1, 0.01), rel=1e-3)
    assert found.prices.gpu == ((0.0,),)
    assert found.pool_of == (0,)


def test_memory_bounds_it_where_it_is_scarce() -> None:
    nodes = [NodeSpec(f"n{i}", 8, "A", 64_000, 4096) for i in range(2)]
    found = _bound(nodes, Waiting(Request(1, 500, 0, 1024), 1, count=20))
    assert found.most == pytest.approx(8, rel=1e-6)


def test_more_weight_takes_the_place() -> None:
    light, heavy = Waiting(Request(1, 1000), 1, count=4), Waiting(Request(1, 1000), 3, count=2)
    assert _bound([_node(3)], light, heavy).most == pytest.approx(7, rel=1e-6)


def test_a_gang_that_no_nodes_can_hold_is_worth_nothing() -> None:
    nodes = [NodeSpec(f"n{i}", 4, "A", 64_000, 65_536) for i in range(3)]
    found = _bound(nodes, Waiting(Request(4, 1000), 100, nodes=4), Waiting(Request(4), 1, nodes=3))
    assert found.impossible == (0,)
    assert found.most == pytest.approx(1, rel=1e-6)


def test_nothing_waits_and_nothing_is_free() -> None:
    empty = bound_live(Cluster([_node()]), [])
    assert (empty.most, empty.proven, empty.gap) == (0, True, 0)
    full = Cluster([_node()])
    full.gpu_left[:] = 0
    found = bound_live(full, [Waiting(Request(1, 100), 1)])
    assert (found.most, found.proven, found.impossible) == (0, True, (0,))
    nothing = bound_live(Cluster([_node()]), [Waiting(Request(1, 100), 1, count=0)])
    assert (nothing.most, nothing.impossible) == (0, ())


@pytest.mark.parametrize("count", [3, 10**9])
def test_a_request_for_nothing_always_starts(count: int) -> None:
    found = _bound([_node(0, 0, 0)], Waiting(Request(), 2, count=count))
    assert found.most == pytest.approx(2 * count, rel=1e-9)


def test_without_time_the_bound_holds_and_says_that_it_is_not_proven() -> None:
    run = Waiting(Request(1, 600), 1, count=10)
    found = bound_live(Cluster([_node()]), [run], time_limit_s=0)
    assert not found.proven
    assert found.gap is None
    assert found.rounds == 0
    assert 4 <= found.most <= 10


@pytest.mark.parametrize("value", [1e-300, 1e-320, 1e300])
def test_values_of_any_magnitude(value: float) -> None:
    found = _bound([_node()], Waiting(Request(1, 600), value, count=10))
    assert 4 * value <= found.most <= max(10 * value, 1e-300)


def test_what_makes_no_sense_is_refused() -> None:
    for wrong in ({"value": -1}, {"value": float("nan")}, {"value": float("inf")}):
        with pytest.raises(ValueError, match="value"):
            Waiting(Request(1), **wrong)
    with pytest.raises(ValueError, match="count"):
        Waiting(Request(1), 1, count=-1)
    with pytest.raises(ValueError, match="nodes"):
        Waiting(Request(1), 1, nodes=0)
    flags = np.ones(3, dtype=np.bool_)
    with pytest.raises(ValueError, match="allowed: run 0 has"):
        bound_live(Cluster([_node()]), [Waiting(Request(1), 1, allowed=flags)])


def test_the_same_question_has_the_same_answer() -> None:
    cluster, run = Cluster([_node()]), Waiting(Request(1, 330), 1, count=20)
    first, second = (bound_live(cluster, [run], time_limit_s=10) for _ in range(2))
    assert first.most == second.most


def test_a_large_estate_with_a_long_queue_takes_seconds_at_most() -> None:
    """1,250 nodes, half of whose GPUs are taken, and 5,000 runs, each of its own value."""
    generator = np.random.default_rng(5)
    nodes = [NodeSpec(f"n{i}", 8, "AB"[i % 2], 96_000, 1 << 20) for i in range(1250)]
    cluster = Cluster(nodes)
    cluster.gpu_left[:] = generator.choice((0, 190, 300, 500, 1000), size=(1250, 8))
    cluster.cpu_left[:] = generator.integers(0, 96, size=1250) * 1000
    shapes = [
        Request(
            gpus,
            int(generator.choice((100, 250, 300, 500, 810, 1000))) if gpus == 1 else 1000,
            int(generator.integers(1, 16)) * 1000 * gpus,
            int(generator.integers(4, 128)) * 1024,
            ("A",) if generator.random() < 0.3 else (),
        )
        for gpus in generator.choice((1, 1, 1, 2, 4), size=200).tolist()
    ]
    waiting = [
        Waiting(shapes[i], shapes[i].total_milli * float(weight), nodes=1 + int(weight > 1.9))
        for i, weight in zip(
            generator.integers(0, 200, size=5000), generator.uniform(0.5, 2, size=5000), strict=True
        )
    ]
    found = bound_live(cluster, waiting, time_limit_s=60)
    assert found.proven
    assert found.gap is not None and found.gap <= 1e-5 * found.most
    assert found.most < bound_live(cluster, waiting, time_limit_s=0).most
    assert found.cpu_s < 5
