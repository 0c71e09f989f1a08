"""The smallest changes of a request: each that is offered starts it now when it is asked again."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tui.estate.queue import Queue
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.explain.packing import Ask
from foundry_tui.explain.whatif import (
    Option,
    above,
    bound,
    most_free_gpus,
    most_free_milli,
    smallest_changes,
    starts_now,
)
from tests.explain.pods import GIB, SOURCE, node, queue, queues, snapshot

FULL = (1000, 1000, 1000, 1000)


def offered(
    seen: Snapshot,
    ask: Ask,
    *,
    name: str = "team-a",
    preemptible: bool = True,
    others: tuple[str, ...] = (),
) -> list[str]:
    found = smallest_changes(seen, SOURCE, name, ask, preemptible=preemptible, others=others)
    return [option.sentence for option in found]


def test_what_starts_now_needs_no_change() -> None:
    assert starts_now(snapshot(), SOURCE, "team-a", Ask(devices=4), preemptible=True)
    assert offered(snapshot(), Ask(devices=4), others=("team-b",)) == []


def test_what_is_not_preemptible_may_borrow_when_it_becomes_so() -> None:
    seen = snapshot(tree=queues(team_a={"allocated_non_preemptible_gpu_milli": 3000}))
    ask = Ask(devices=2)
    words = offered(seen, ask, preemptible=False, others=("team-b", "research", "gone"))
    assert words == [
        "make it preemptible: it may borrow then, and can be stopped for its owners",
        "submit it to team-b, which has room for it",
        "ask for 1 GPU instead of 2",
        "ask for 0.5 GPU each instead of 1 GPU",
    ]


def test_shares_of_several_gpus_become_smaller_together() -> None:
    seen = snapshot(node("a", (600, 600, 1000)))
    assert offered(seen, Ask(devices=2, milli=500))[0] == "ask for 0.4 GPU each instead of 0.5 GPU"


def test_a_smaller_share_that_fits_and_no_smaller_one() -> None:
    seen = snapshot(node("a", (400, 1000)))
    assert offered(seen, Ask()) == ["ask for 0.6 GPU instead of 1 GPU"]
    memory = Ask(gpu_memory_bytes=60 * GIB)
    assert offered(seen, memory) == ["ask for 48 GiB instead of 60 GiB of GPU memory"]


def test_fewer_gpus_and_fewer_pods() -> None:
    seen = snapshot(node("a", (0, 0, 1000, 1000)), node("b", FULL))
    assert "ask for 2 GPUs instead of 4" in offered(seen, Ask(devices=4))
    words = offered(seen, Ask(devices=2, pods=3))
    assert "start it with 1 pod instead of 3" in words
    assert offered(snapshot(node("a", FULL)), Ask(devices=2, pods=3)) == []


def test_another_pool_and_another_model() -> None:
    seen = snapshot(node("a", FULL, queues=("a100",)), node("b", queues=("h200",), gpu_model="H"))
    assert offered(seen, Ask(pools=("a100",)))[0] == "ask for node pool h200 instead of a100"
    assert offered(seen, Ask(model="A100"))[0] == "ask for any GPU model instead of A100"
    assert offered(seen, Ask(model="A100", pools=("a100",))) == [], "one change is not enough"


def test_the_queue_on_the_way_up_that_binds_first() -> None:
    tree = queues(research={"limit_gpu_milli": 2000, "allocated_gpu_milli": 1000})
    seen = snapshot(tree=tree)
    found = bound(seen, SOURCE, "team-a", 2000, preemptible=True)
    assert found is not None
    assert (found.queue.name, found.what, found.most, found.left) == (
        "research",
        "limit",
        2000,
        1000,
    )
    assert bound(seen, SOURCE, "team-a", 1000, preemptible=True) is None
    assert bound(seen, SOURCE, "nowhere", 9000, preemptible=False) is None
    assert bound(seen, SOURCE, "team-a", 0, preemptible=False) is None, "no GPU, no quota of them"


def test_what_others_may_give_back_counts_not_against_what_stays() -> None:
    """Preemptible work above the quota does not keep out what is not preemptible."""
    tree = queues(
        team_a={"allocated_gpu_milli": 4000, "allocated_non_preemptible_gpu_milli": 1000},
        research={"allocated_gpu_milli": 4000, "allocated_non_preemptible_gpu_milli": None},
    )
    seen = snapshot(tree=tree)
    assert bound(seen, SOURCE, "team-a", 3000, preemptible=False) is None
    beyond = bound(seen, SOURCE, "team-a", 3001, preemptible=False)
    assert beyond is not None
    assert (beyond.queue.name, beyond.held) == ("team-a", 1000)


def test_an_unlimited_quota_binds_nothing() -> None:
    free = {"quota_gpu_milli": None, "limit_gpu_milli": None, "allocated_gpu_milli": 90_000}
    seen = snapshot(tree=queues(team_a=free, research=free))
    assert bound(seen, SOURCE, "team-a", 50_000, preemptible=False) is None


def test_a_ring_of_queues_is_walked_once() -> None:
    ring = (queue("a", parent="b"), queue("b", parent="a"))
    assert [q.name for q in above(snapshot(tree=ring), SOURCE, "a")] == ["a", "b"]


def test_the_most_that_is_free_where_it_may_go() -> None:
    seen = snapshot(node("a", (300, 1000)), node("b", (0, 0), queues=("x",)))
    assert most_free_milli(seen, SOURCE, Ask(milli=900)) == 1000
    assert most_free_gpus(seen, SOURCE, Ask(milli=600, pools=("x",))) == 2
    assert most_free_milli(seen, SOURCE, Ask(pools=("nowhere",))) == 0


_USED = st.lists(st.sampled_from((0, 300, 500, 1000, 1000)), min_size=1, max_size=4).map(tuple)
_AMOUNT = st.sampled_from((0, 1000, 3000, 4000))


@st.composite
def estates(draw: st.DrawFn) -> Snapshot:
    nodes = [
        node(
            f"n{i}",
            draw(_USED),
            queues=draw(st.sampled_from((("p",), ("q",)))),
            gpu_model=draw(st.sampled_from(("A", "B"))),
            memory_gib=draw(st.sampled_from((40, 80))),
            cpu_milli=draw(st.sampled_from((4000, 64_000, None))),
        )
        for i in range(draw(st.integers(1, 3)))
    ]
    return snapshot(*nodes, tree=draw(trees()))


@st.composite
def trees(draw: st.DrawFn) -> tuple[Queue, ...]:
    def fields() -> dict[str, int | None]:
        return {
            "quota_gpu_milli": draw(st.sampled_from((0, 2000, 8000, None))),
            "limit_gpu_milli": draw(st.sampled_from((None, 2000, 8000))),
            "allocated_gpu_milli": draw(_AMOUNT),
            "allocated_non_preemptible_gpu_milli": draw(st.sampled_from((None, 0, 1000))),
        }

    return queues(research=fields(), team_a=fields(), team_b=fields())


asks = st.builds(
    Ask,
    pods=st.integers(1, 4),
    devices=st.integers(0, 4),
    milli=st.sampled_from((250, 500, 1000)),
    gpu_memory_bytes=st.sampled_from((None, None, 10 * GIB, 70 * GIB)),
    model=st.sampled_from((None, None, "A")),
    pools=st.sampled_from(((), ("p",), ("p", "q"))),
    cpu_milli=st.sampled_from((0, 2000)),
)


@settings(max_examples=300)
@given(estates(), asks, st.booleans())
def test_every_change_that_is_offered_starts_it_now(
    seen: Snapshot, ask: Ask, preemptible: bool
) -> None:
    found: tuple[Option, ...] = smallest_changes(
        seen, SOURCE, "team-a", ask, preemptible=preemptible, others=("team-b", "team-a")
    )
    if starts_now(seen, SOURCE, "team-a", ask, preemptible=preemptible):
        assert found == ()
    for option in found:
        assert starts_now(seen, SOURCE, option.queue, option.ask, preemptible=option.preemptible), (
            option
        )
        same = (option.ask, option.queue, option.preemptible) == (ask, "team-a", preemptible)
        assert not same, "it changes something"
    assert len({o.sentence for o in found}) == len(found)


def test_an_absurd_number_of_gpus_is_answered_at_once() -> None:
    assert (
        offered(snapshot(), Ask(devices=1_000_000_000))[0] == "ask for 4 GPUs instead of 1000000000"
    )
