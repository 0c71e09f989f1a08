"""Fair share: what the rule promises, and that it is KAI's, asked of KAI's own simulator."""

from __future__ import annotations

import json
import random
import urllib.request
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.fairshare import with_fair_shares
from foundry_tui.estate.queue import Queue
from tests.lab.kube.cluster import KubeLab

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
TREES = 200
WHOLE = 1000

_QUOTAS = (0, 500, 1000, 2000, 4000, 8000, None)
_LIMITS = (None, None, 0, 3000, 10_000)
_WEIGHTS = (0.0, 0.5, 1.0, 1.0, 2.0, 3.0, None)
_HELD = (0, 500, 1000, 3000, 7000)
_WAITING = (0, 0, 250, 1000, 5000, 20_000)


def queue(name: str, **fields: Any) -> Queue:
    """A queue that holds nothing and asks for nothing, unless told otherwise."""
    values: dict[str, Any] = {
        "quota_gpu_milli": 0,
        "allocated_gpu_milli": 0,
        "requested_gpu_milli": 0,
        "created_at": FIRST,
    }
    return Queue(name=name, source="s", kind="queue", **{**values, **fields})


def shares(queues: Sequence[Queue], total: int) -> dict[str, int | None]:
    return {q.name: q.fair_share_gpu_milli for q in with_fair_shares(queues, total)}


@st.composite
def sisters(draw: st.DrawFn) -> tuple[Queue, ...]:
    """Queues of one level, with all that is known of them."""
    return tuple(
        queue(
            f"q{i}",
            priority=draw(st.sampled_from((100, 100, 50))),
            quota_gpu_milli=draw(st.sampled_from(_QUOTAS)),
            limit_gpu_milli=draw(st.sampled_from(_LIMITS)),
            over_quota_weight=draw(st.sampled_from(_WEIGHTS)),
            allocated_gpu_milli=draw(st.sampled_from(_HELD)),
            requested_gpu_milli=draw(st.sampled_from(_WAITING)),
            created_at=FIRST + timedelta(days=draw(st.integers(0, 2))),
        )
        for i in range(draw(st.integers(1, 6)))
    )


totals = st.sampled_from((4000, 8000, 12_000, 16_000, 31_000))


def demand(one: Queue) -> int:
    """What a queue asks for, within its limit."""
    wanted = (one.allocated_gpu_milli or 0) + (one.requested_gpu_milli or 0)
    return wanted if one.limit_gpu_milli is None else min(wanted, one.limit_gpu_milli)


def deserved(one: Queue, total: int) -> int:
    return total if one.quota_gpu_milli is None else one.quota_gpu_milli


@given(sisters(), totals)
def test_what_is_deserved_is_given_first_and_no_more_than_there_is(
    queues: tuple[Queue, ...], total: int
) -> None:
    found = shares(queues, total)
    for one in queues:
        assert (found[one.name] or 0) >= min(deserved(one, total), demand(one))
    promised = sum(min(deserved(q, total), demand(q)) for q in queues)
    # quotas that do not fit are honoured all the same: that is KAI's rule too
    assert sum(share or 0 for share in found.values()) <= max(total, promised)


@given(sisters(), totals)
def test_nobody_gets_more_than_it_asks_for_but_for_the_last_gpu(
    queues: tuple[Queue, ...], total: int
) -> None:
    """KAI hands the rounding's rest out in whole GPUs, also to who asks for less than one more."""
    for one in queues:
        share = shares(queues, total)[one.name]
        assert share is not None
        over = share - demand(one)
        assert over < WHOLE
        if over > 0:
            assert share > deserved(one, total)


@given(sisters(), totals)
def test_nothing_is_left_while_somebody_with_a_weight_asks_for_more(
    queues: tuple[Queue, ...], total: int
) -> None:
    found = shares(queues, total)
    left = total - sum(share or 0 for share in found.values())
    wanting = [
        q.name for q in queues if q.over_quota_weight != 0 and (found[q.name] or 0) < demand(q)
    ]
    assert left <= 0 or not wanting


@given(sisters(), totals, st.randoms(use_true_random=False))
def test_the_order_of_the_queues_tells_nothing(
    queues: tuple[Queue, ...], total: int, rng: random.Random
) -> None:
    turned = list(queues)
    rng.shuffle(turned)
    assert shares(turned, total) == shares(queues, total)


@given(sisters(), totals, st.data())
def test_an_unknown_demand_leaves_its_level_unknown(
    queues: tuple[Queue, ...], total: int, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(queues) - 1))
    field = data.draw(st.sampled_from(("allocated_gpu_milli", "requested_gpu_milli")))
    unknown: dict[str, Any] = {field: None}
    blind = [replace(q, **unknown) if i == at else q for i, q in enumerate(queues)]
    below = queue("below", parent=queues[0].name, quota_gpu_milli=1000)
    other = queue("other", parent="elsewhere-unseen")
    found = shares([*blind, below], total)
    assert set(found.values()) == {None}
    assert shares([*queues, replace(below, requested_gpu_milli=None)], total)["q0"] is not None
    assert shares([other], total) == {"other": 0}


def test_a_ring_of_parents_ends_and_is_unknown() -> None:
    ring = (queue("a", parent="b"), queue("b", parent="a"), queue("c", parent="c"))
    assert shares(ring, 4000) == {"a": None, "b": None, "c": None}
    twice = (queue("ml", quota_gpu_milli=1000), queue("ml", parent="ml"))
    assert len(with_fair_shares(twice, 4000)) == 2


def test_the_surplus_goes_by_weight_in_whole_gpus_and_the_rest_by_age() -> None:
    both = (
        queue("old", quota_gpu_milli=1000, requested_gpu_milli=9000, over_quota_weight=2),
        queue(
            "young",
            quota_gpu_milli=1000,
            requested_gpu_milli=9000,
            over_quota_weight=1,
            created_at=FIRST + timedelta(days=1),
        ),
    )
    assert shares(both, 11_000) == {"old": 7000, "young": 4000}
    alike = tuple(replace(q, over_quota_weight=1) for q in both)
    assert shares(alike, 11_000) == {"old": 6000, "young": 5000}
    assert shares(alike[::-1], 11_000) == {"old": 6000, "young": 5000}


def test_the_surplus_goes_to_the_higher_priority_first() -> None:
    both = (
        queue("low", quota_gpu_milli=2000, requested_gpu_milli=9000, priority=50),
        queue("high", quota_gpu_milli=2000, requested_gpu_milli=9000, priority=100),
    )
    assert shares(both, 12_000) == {"low": 3000, "high": 9000}


def test_children_share_what_their_parent_is_given() -> None:
    tree = (
        queue("research", quota_gpu_milli=4000, requested_gpu_milli=20_000),
        queue("build", quota_gpu_milli=8000, requested_gpu_milli=20_000),
        queue("team-a", parent="research", quota_gpu_milli=3000, requested_gpu_milli=20_000),
        queue("team-b", parent="research", quota_gpu_milli=1000, requested_gpu_milli=0),
    )
    assert shares(tree, 12_000) == {"research": 4000, "build": 8000, "team-a": 4000, "team-b": 0}


# -- KAI itself


def tree(rng: random.Random) -> list[Queue]:
    """A tree of two or three levels; its amounts need not add up."""

    def one(name: str, parent: str | None) -> Queue:
        return queue(
            name,
            parent=parent,
            priority=rng.choice((100, 100, 50)),
            quota_gpu_milli=rng.choice(_QUOTAS),
            limit_gpu_milli=rng.choice(_LIMITS),
            over_quota_weight=rng.choice(_WEIGHTS[:-1]),
            allocated_gpu_milli=rng.choice(_HELD),
            requested_gpu_milli=rng.choice(_WAITING),
            created_at=FIRST + timedelta(days=rng.randint(0, 3)),
        )

    found = []
    for i in range(rng.randint(1, 4)):
        found.append(one(f"d{i}", None))
        for j in range(rng.randint(0, 4)):
            found.append(one(f"d{i}p{j}", f"d{i}"))
            found += [one(f"d{i}p{j}t{k}", f"d{i}p{j}") for k in range(rng.choice((0, 0, 2)))]
    return found


def simulated(url: str, queues: Sequence[Queue], total: float) -> dict[str, float]:
    """The shares of one level in GPUs, by KAI's fair-share simulator."""

    def gpus(milli: int | None) -> float:
        return -1 if milli is None else milli / WHOLE

    asked = {
        "totalResource": {"GPU": total, "CPU": 0, "Memory": 0},
        "queues": [
            {
                "uid": q.name,
                "name": q.name,
                "priority": q.priority,
                "creationTimestamp": f"{q.created_at:%Y-%m-%dT%H:%M:%SZ}",
                "resourceShare": {
                    "gpu": {
                        "deserved": gpus(q.quota_gpu_milli),
                        "maxAllowed": gpus(q.limit_gpu_milli),
                        "overQuotaWeight": q.over_quota_weight,
                        "request": gpus(
                            (q.allocated_gpu_milli or 0) + (q.requested_gpu_milli or 0)
                        ),
                    },
                    "cpu": {},
                    "memory": {},
                },
            }
            for q in queues
        ],
    }
    request = urllib.request.Request(
        f"{url}/simulate",
        json.dumps(asked).encode(),
        {"Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as answer:
        return {name: share["gpu"] for name, share in json.load(answer).items()}


def by_kai(url: str, queues: Sequence[Queue], parent: str | None, total: float) -> dict[str, float]:
    """The shares of a whole tree, level by level."""
    level = [q for q in queues if q.parent == parent]
    if not level:
        return {}
    found = simulated(url, level, total)
    for one in level:
        found |= by_kai(url, queues, one.name, found[one.name])
    return found


def test_shares_of_random_trees_are_those_of_kais_simulator(kube_lab: KubeLab) -> None:
    for seed in range(TREES):
        rng = random.Random(seed)
        queues, total = tree(rng), rng.choice((4, 8, 12, 16, 31))
        kai = by_kai(kube_lab.fairshare_url, queues, None, total)
        ours = shares(queues, WHOLE * total)
        assert kai.keys() == ours.keys()
        wrong = {
            name: (share, ours[name])
            for name, share in kai.items()
            if abs(share * WHOLE - (ours[name] or 0)) > 1
        }
        assert not wrong, f"tree {seed} of {total} GPUs: queue -> (KAI, ours) {wrong}"
