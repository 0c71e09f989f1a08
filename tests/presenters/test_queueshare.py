"""Who holds, borrows and lends: the sentence of a queue, and what adds up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.queue import Queue
from foundry_tui.presenters.queueshare import (
    balance,
    key_of,
    parts,
    sentence,
    share_sentence,
    shared,
)


def queue(name: str, held: int | None, quota: int | None = 4000, **fields: Any) -> Queue:
    """A queue of a cluster of 12 GPUs, with these thousandths."""
    values: dict[str, Any] = {"kind": "project", "total_gpu_milli": 12_000, **fields}
    return Queue(
        name=name,
        source="k",
        allocated_gpu_milli=held,
        quota_gpu_milli=quota,
        requested_gpu_milli=values.pop("asked", 0),
        **values,
    )


def told(queues: list[Queue]) -> dict[str, str]:
    found = parts(queues)
    return {q.name: sentence(q, found[key_of(q)]) for q in queues}


def test_what_is_lent_by_one_is_borrowed_by_the_other() -> None:
    whole = {"total_gpu_milli": 8000}
    both = [
        queue("team-a", 7000, asked=2000, fair_share_gpu_milli=4000, **whole),
        queue("team-b", 1000, asked=5000, fair_share_gpu_milli=4000, limit_gpu_milli=6000, **whole),
    ]
    assert told(both) == {
        "team-a": "team-a holds 7 of 8 GPUs: 4 deserved + 3 borrowed from team-b; 3 can be "
        "reclaimed. Fair share 4, asks for 2 more.",
        "team-b": "team-b holds 1 of 8 GPUs, 4 deserved; 3 lent to team-a. Fair share 4, asks "
        "for 5 more, limit 6, 3 come back when it is owed them.",
    }


def test_what_nobody_deserves_is_not_lent_by_anybody() -> None:
    both = [queue("team-a", 7000), queue("team-b", 4000)]
    assert told(both)["team-a"] == (
        "team-a holds 7 of 12 GPUs: 4 deserved + 3 over its quota; 3 can be reclaimed."
    )


def test_what_is_free_is_not_lent() -> None:
    """Two GPUs are free, so that only one of the three that team-b spares is out of reach."""
    both = [queue("team-a", 9000), queue("team-b", 1000)]
    assert told(both) == {
        "team-a": "team-a holds 9 of 12 GPUs: 4 deserved + 5 over its quota, 1 lent by team-b; "
        "5 can be reclaimed.",
        "team-b": "team-b holds 1 of 12 GPUs, 4 deserved; 1 lent to team-a.",
    }


def test_what_cannot_be_stopped_cannot_be_reclaimed() -> None:
    firm = {"allocated_non_preemptible_gpu_milli": 6000}
    assert "; 1 can be reclaimed." in told([queue("a", 7000, **firm), queue("b", 4000)])["a"]
    firm = {"allocated_non_preemptible_gpu_milli": 7000}
    assert "; none can be reclaimed." in told([queue("a", 7000, **firm), queue("b", 4000)])["a"]


def test_a_department_settles_for_its_projects_what_they_cannot() -> None:
    tree = [
        queue("research", 10_000, 6000, kind="department"),
        queue("product", 2000, 6000, kind="department"),
        queue("vision", 8000, 3000, parent="research"),
        queue("speech", 2000, 3000, parent="research"),
        queue("genomics", 2000, 6000, parent="product"),
    ]
    found = told(tree)
    assert found["research"].startswith(
        "research holds 10 of 12 GPUs: 6 deserved + 4 borrowed from product"
    )
    assert found["vision"].startswith(
        "vision holds 8 of 12 GPUs: 3 deserved + 5 borrowed from speech and product"
    )
    assert found["genomics"] == "genomics holds 2 of 12 GPUs, 6 deserved; 4 lent to research."


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (queue("x", 1000, None), "x holds 1 of 12 GPUs."),
        (queue("x", 0, 0), "x holds 0 of 12 GPUs, none deserved."),
        (queue("x", 500, 0), "x holds 0.5 of 12 GPUs: 0 deserved + 0.5 over its quota; 0.5 can"),
        (queue("x", 1000, asked=None), "4 deserved. What it asks for is unknown."),
    ],
)
def test_unknown_and_nothing_are_told_apart(one: Queue, words: str) -> None:
    assert words in told([one])["x"]


def test_partitions_and_unknown_use_have_no_part() -> None:
    for one in (queue("p", 1000, kind="partition"), queue("x", None)):
        assert not shared(one)
        assert share_sentence(one, [one]) == ""
    assert parts([queue("p", 1000, kind="partition")]) == {}


def test_more_than_two_lenders_are_counted() -> None:
    lenders = [queue(f"l{n}", 0, 2000) for n in range(4)]
    found = told([queue("a", 12_000, 4000), *lenders])
    assert "8 borrowed from l0, l1 and 2 more;" in found["a"]


def test_a_ring_of_parents_and_a_project_named_as_its_department_are_told() -> None:
    ring = [queue("a", 5000, parent="b"), queue("b", 1000, parent="a")]
    assert set(told(ring)) == {"a", "b"}
    alike = [queue("ml", 5000, kind="department"), queue("ml", 5000, parent="ml")]
    assert len(parts(alike)) == 2


@st.composite
def trees(draw: st.DrawFn) -> list[Queue]:
    """Departments that hold what their projects hold, of a cluster that is large enough."""
    made: list[Queue] = []
    for d in range(draw(st.integers(1, 3))):
        amounts = st.integers(0, 9000)
        projects = [
            queue(f"p{d}{i}", draw(amounts), draw(amounts), parent=f"d{d}")
            for i in range(draw(st.integers(1, 3)))
        ]
        held = sum(q.allocated_gpu_milli or 0 for q in projects)
        made += [queue(f"d{d}", held, draw(st.integers(0, 30_000)), kind="department"), *projects]
    roots = sum(q.allocated_gpu_milli or 0 for q in made if q.parent is None)
    free = draw(st.integers(0, 9000))
    return [replace(q, total_gpu_milli=roots + free + 1) for q in made]


@given(trees())
def test_nobody_lends_more_than_it_spares_or_takes_more_than_it_borrows(tree: list[Queue]) -> None:
    found = parts(tree)
    assert set(found) == {key_of(q) for q in tree}
    for one in tree:
        part = found[key_of(one)]
        assert 0 <= part.lent <= max(0, -balance(one))
        assert 0 <= part.taken <= part.over == max(0, balance(one))
        assert 0 <= part.reclaimable <= part.over
        assert bool(part.lent or part.taken) <= bool(part.partners)
        assert one.name not in part.partners
    roots = [found[key_of(q)] for q in tree if q.parent is None]
    lent, taken = sum(p.lent for p in roots), sum(p.taken for p in roots)
    assert abs(lent - taken) < len(roots)
