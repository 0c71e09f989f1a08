"""What the runs of each queue held: leaves, those above them, and names that occur twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from foundry_tui.reports.queues.held import Key, held_in
from foundry_tui.store.history.window.queuelog import QueueHoldings


def holdings(
    rows: Sequence[tuple[str, int, int, int, int]],
    model: Mapping[int, str | None] | None = None,
    pools: Mapping[int, tuple[str, ...]] | None = None,
) -> QueueHoldings:
    """Rows of queue, device, since, until, thousandths."""
    names = sorted({row[0] for row in rows})
    table = np.array([(names.index(q), *rest) for q, *rest in rows], np.int64).reshape(-1, 5)
    return QueueHoldings(
        names=[("s", name) for name in names],
        queue=table[:, 0],
        device=table[:, 1],
        since=table[:, 2],
        until=table[:, 3],
        milli=table[:, 4],
        model=model or {},
        pools=pools or {},
    )


DEPARTMENT: Key = ("s", "department", "nlp")
PROJECT: Key = ("s", "project", "nlp")
OTHER: Key = ("s", "project", "vision")


def test_a_project_named_like_its_department_has_what_its_runs_hold() -> None:
    tree: dict[Key, Key | None] = {DEPARTMENT: None, PROJECT: DEPARTMENT, OTHER: DEPARTMENT}
    told = holdings([("nlp", 1, 0, 100, 500), ("vision", 2, 50, 300, 1000)])
    found = held_in(told, tree, None, 0, 200)
    assert found[PROJECT].allocated == 50_000
    assert found[OTHER].allocated == 150_000
    assert found[DEPARTMENT].allocated == 200_000
    assert found[DEPARTMENT].known == 0
    assert found[DEPARTMENT].util_pct is None


def test_model_and_pool_are_told_where_there_is_one() -> None:
    tree: dict[Key, Key | None] = {DEPARTMENT: None, PROJECT: DEPARTMENT, OTHER: DEPARTMENT}
    told = holdings(
        [("nlp", 1, 0, 100, 1000), ("nlp", 2, 0, 100, 1000), ("vision", 3, 0, 100, 1000)],
        model={1: "H200", 2: "H200", 3: "A100"},
        pools={1: ("new",), 2: ("new",), 3: ("old",)},
    )
    found = held_in(told, tree, None, 0, 100)
    assert (found[PROJECT].model, found[PROJECT].pool) == ("H200", "new")
    assert (found[OTHER].model, found[OTHER].pool) == ("A100", "old")
    assert (found[DEPARTMENT].model, found[DEPARTMENT].pool) == (None, None)
    unknown = held_in(holdings([("nlp", 1, 0, 9, 1000)]), tree, None, 0, 9)[PROJECT]
    assert (unknown.model, unknown.pool) == (None, None)


@pytest.mark.parametrize("window", [(0, 10), (300, 400)])
def test_what_lies_outside_is_left_out(window: tuple[int, int]) -> None:
    told = holdings([("vision", 2, 50, 300, 1000)])
    assert held_in(told, {OTHER: None}, None, *window) == {}


def test_a_ring_of_queues_is_followed_once() -> None:
    one: Key = ("s", "queue", "a")
    two: Key = ("s", "queue", "b")
    found = held_in(holdings([("a", 1, 0, 10, 1000)]), {one: two, two: one}, None, 0, 10)
    assert {key: held.allocated for key, held in found.items()} == {one: 10_000, two: 10_000}
