"""Pods on GPU groups: a share never spans two GPUs, nor a pod two nodes."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.gpu import Gpu, GpuSlice
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.explain.packing import Ask, emptied, placed, share_on, sized, spaces, takes
from tests.explain.pods import GIB, SOURCE, node, snapshot

Made = tuple[Node, tuple[Gpu, ...]]


def room(ask: Ask, *nodes: Made) -> int:
    return placed(spaces(snapshot(*nodes), SOURCE, ask), ask)


def test_a_share_never_spans_two_gpus() -> None:
    half_free = node("n", (500, 500))
    assert room(Ask(milli=500, pods=3), half_free) == 2
    assert room(Ask(milli=600), half_free) == 0
    assert room(Ask(), half_free) == 0


def test_a_pod_never_spans_two_nodes() -> None:
    assert room(Ask(devices=4), node("a", (0, 0)), node("b", (0, 0))) == 0
    assert room(Ask(devices=2, pods=2), node("a", (0, 0)), node("b", (0, 0))) == 2


def test_the_fullest_place_is_taken_first_so_that_whole_gpus_stay_whole() -> None:
    halves, whole = Ask(milli=500), Ask(devices=4)
    nodes = (node("a", (0, 0, 0, 0)), node("b", (500, 0, 0, 0)))
    found = spaces(snapshot(*nodes), SOURCE, halves)
    assert placed(found, halves) == 1
    assert [s.free for s in found] == [[1000] * 4, [500, 1000, 1000, 1000]], "it only looks"
    mixed = (node("a", (0, 0, 0, 0)), node("b", (500, 500, 0, 0)))
    assert room(Ask(milli=500, pods=2), *mixed) == 2
    assert room(whole, *mixed) == 1


def test_a_node_with_mig_devices_takes_no_shares_and_their_gpus_are_nobodys() -> None:
    made, gpus = node("m", (0, 0))
    cut = replace(gpus[0], slices=(GpuSlice(uuid=None, profile="1g.10gb", milli=142),))
    assert room(Ask(milli=500), (made, (cut, gpus[1]))) == 0
    assert room(Ask(pods=2), (made, (cut, gpus[1]))) == 1


def test_cpu_and_memory_bind_where_they_are_known_and_only_there() -> None:
    small: dict[str, Any] = {"cpu_milli": 4000, "memory_bytes": 8 * GIB}
    assert room(Ask(pods=3, cpu_milli=2000), node("a", **small)) == 2
    assert room(Ask(memory_bytes=9 * GIB), node("a", **small)) == 0
    untold = node("a", cpu_milli=None, cpu_milli_allocated=None, memory_bytes=None)
    assert room(Ask(pods=4, cpu_milli=2000, memory_bytes=GIB), untold) == 4


def test_where_nobody_tells_who_is_on_which_gpu_the_nodes_sum_counts() -> None:
    made, gpus = node("n", (1000, 1000, 500, 0))
    blind = tuple(replace(g, tenants=None) for g in gpus)
    assert spaces(snapshot((made, blind)), SOURCE, Ask())[0].free == [1000, 500, 0, 0]
    unknown = replace(made, gpu_milli_allocated=None)
    assert spaces(snapshot((unknown, blind)), SOURCE, Ask())[0].free == [0, 0, 0, 0]


def test_only_nodes_in_service_of_the_model_and_pool_count() -> None:
    nodes = (
        node("a", gpu_model="H200", queues=("big",)),
        node("b", queues=("small",)),
        node("c", queues=("small",), state=NodeState.DRAINED),
    )
    seen = snapshot(*nodes)

    def names(ask: Ask, *, in_service: bool = True) -> list[str]:
        return [s.node.name for s in spaces(seen, SOURCE, ask, in_service=in_service)]

    assert names(Ask()) == ["a", "b"]
    assert names(Ask(model="H200")) == ["a"]
    assert names(Ask(pools=("small", "other"))) == ["b"]
    assert names(Ask(pools=("small",)), in_service=False) == ["b", "c"]
    assert spaces(seen, "elsewhere", Ask()) == []


@pytest.mark.parametrize(("gib", "milli"), [(20, 250), (21, 270), (80, 1000), (81, 1020)])
def test_gpu_memory_becomes_a_share_in_hundredths_rounded_up(gib: int, milli: int) -> None:
    ask = Ask(gpu_memory_bytes=gib * GIB)
    found = spaces(snapshot(node("n")), SOURCE, ask)[0]
    assert share_on(found, ask) == milli
    assert takes(found, ask) is (milli <= 1000)


def test_gpu_memory_is_sized_on_the_gpus_with_the_most_of_it() -> None:
    seen = snapshot(node("a"), node("b", memory_gib=160), node("c", memory_gib=None))
    found = spaces(seen, SOURCE, Ask())
    assert sized(found, Ask(gpu_memory_bytes=40 * GIB)).milli == 250
    assert sized(found[-1:], Ask(gpu_memory_bytes=40 * GIB)).milli == 1000, (
        "no GPU tells its memory"
    )
    assert sized(found, Ask(milli=300)).milli == 300


_USED = st.lists(st.sampled_from((0, 0, 250, 500, 1000)), min_size=1, max_size=4).map(tuple)


@given(
    st.lists(_USED, min_size=1, max_size=3),
    st.integers(1, 5),
    st.integers(1, 3),
    st.sampled_from((250, 500, 1000)),
)
def test_what_is_placed_holds_no_more_than_there_is(
    used: list[tuple[int, ...]], pods: int, devices: int, milli: int
) -> None:
    nodes = tuple(node(f"n{i}", gpus) for i, gpus in enumerate(used))
    ask = Ask(pods=pods, devices=devices, milli=milli)
    found = spaces(snapshot(*nodes), SOURCE, ask)
    count = placed(found, ask)
    assert count * devices * milli <= sum(f for s in found for f in s.free)
    assert count == placed(found, replace(ask, pods=count)), "fewer pods have room all the same"
    assert count <= placed(emptied(found), ask)
    most = min(pods, sum(_on_one([f // milli for f in s.free], devices) for s in found))
    assert count <= most
    if devices == 1 or milli == 1000:  # best fit is not always the most, as it is not in KAI
        assert count == most


def _on_one(slots: list[int], devices: int) -> int:
    """Rows of `devices` distinct GPUs: so many rows k fit as sum(min(slots, k)) >= devices * k."""
    k = 0
    while sum(min(s, k + 1) for s in slots) >= devices * (k + 1):
        k += 1
    return k


def test_a_gang_of_thousands_is_laid_out_in_one_pass() -> None:
    """A node is filled before the next is looked at: the work grows with pods plus nodes."""
    nodes = [node(f"n{i:04}", (0,) * 8) for i in range(500)]
    ask = Ask(pods=5000)
    found = spaces(snapshot(*nodes), SOURCE, ask)
    started = time.process_time()
    assert placed(found, ask) == 4000
    assert time.process_time() - started < 2.0
