"""The cheapest relocation, held against every relocation there is on small boards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations, product
from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tui.estate.run import Request as Asked
from foundry_tui.estate.run import Run
from foundry_tui.optimiser import arrays
from foundry_tui.optimiser.movable import Movable, guarded, movables
from foundry_tui.optimiser.relocate import MOST_MOVED, Ground, Relocation, Wanted, make
from scheduler_sim.cluster import Cluster, Request
from tests.optimiser.estates import NOW, estate, later, node, running, told

GPUS = 4


def ground_of(seed: int) -> tuple[Cluster, list[Movable], Wanted]:
    """A board of whole GPUs, some of its runs movable, and a run that waits."""
    random = Random(seed)
    runs, names = [], [f"n{i}" for i in range(random.randint(3, 5))]
    for name in names:
        first = 0
        while first < GPUS and random.random() < 0.65:
            gpus = random.choice([1, 1, min(2, GPUS - first)])
            run = running(f"{name}-{first}", name, range(first, first + gpus), cores=gpus)
            began = random.choice([None, 0, 1, 3])
            run = replace(run, started_at=None if began is None else later(-began))
            run = told(run, requeue="1" if random.random() < 0.9 else "0")
            limit_s = random.choice([600, 7200])
            runs.append(replace(run, request=replace(run.request, time_limit_s=limit_s)))
            first += gpus
    snapshot = estate([node(name, GPUS, cores=6) for name in names], runs)
    board = arrays.build(snapshot, "lab", snapshot.nodes)
    could = movables(board, snapshot, NOW)
    wanted = Wanted(
        request=Request(gpus=random.choice([3, 4, 4]), cpu_milli=random.randint(0, 5) * 1000),
        nodes=random.choice([1, 1, 2]),
        allowed=np.array([random.random() < 0.9 for _ in names]),
        may_go=frozenset(one.run.id for one in could if random.random() < 0.9),
        most_h=random.choice([2.5, 100.0]),
        kept_from_s=np.array([random.choice([np.inf, np.inf, np.inf, 3600.0, 0.0]) for _ in names]),
    )
    return board.cluster, could, wanted


def every(left: Cluster, could: Sequence[Movable], wanted: Wanted) -> Iterator[Relocation]:
    """Every valid relocation, by the definition alone."""
    fits = left.feasible(wanted.request) & wanted.allowed
    free = [row for row in range(len(left.nodes)) if fits[row]]
    short = wanted.nodes - len(free)
    if short < 1:
        return
    full = [row for row in range(len(left.nodes)) if wanted.allowed[row] and not fits[row]]
    mine = [one for one in could if one.run.id in wanted.may_go]
    for rows in combinations(full, short):
        for size in range(1, MOST_MOVED + 1):
            for group in combinations(mine, size):
                if sum(one.lost_h or 0.0 for one in group) >= wanted.most_h:
                    continue
                needed = all(
                    _least(left, wanted, row, [g for g in group if g.row == row]) for row in rows
                )
                if needed and all(one.row in rows for one in group):
                    yield from _placed(left, wanted, (*free, *rows), group)


def _least(left: Cluster, wanted: Wanted, row: int, group: Sequence[Movable]) -> bool:
    """Whether it fits without the whole group, and not without any smaller part of it."""

    def fits(gone: Sequence[Movable]) -> bool:
        after = left.copy()
        for one in gone:
            _leave(after, one)
        return after.fits(row, wanted.request)

    return fits(group) and not any(
        fits(part) for n in range(len(group)) for part in combinations(group, n)
    )


def _leave(left: Cluster, one: Movable) -> None:
    left.gpu_left[one.row, [g for g, _ in one.gpus]] += 1000
    left.cpu_left[one.row] += one.request.cpu_milli
    left.memory_left[one.row] += one.request.memory_mib


def _free(left: Cluster, row: int, request: Request) -> list[int]:
    return [g for g, milli in enumerate(left.gpu_left[row].tolist()) if milli == 1000][
        : request.gpus
    ]


def _placed(
    left: Cluster, wanted: Wanted, rows: Sequence[int], group: Sequence[Movable]
) -> Iterator[Relocation]:
    for places in product(range(len(left.nodes)), repeat=len(group)):
        after = left.copy()
        for one in group:
            _leave(after, one)
        try:
            for row in rows:
                after.place(row, _free(after, row, wanted.request), wanted.request)
            for one, row in zip(group, places, strict=True):
                limit_s = one.run.request.time_limit_s or 0
                if row == one.row or wanted.kept_from_s[row] < limit_s:
                    raise ValueError("it may not be there")
                after.place(row, _free(after, row, one.request), one.request)
        except ValueError:
            continue
        found = zip(group, places, strict=True)
        yield Relocation(
            tuple((row, ()) for row in rows), tuple((one, (row, ())) for one, row in found)
        )


def _cost(found: Relocation) -> tuple[int, float, int]:
    lost = [one.lost_h for one, _ in found.moved]
    return lost.count(None), sum(h or 0.0 for h in lost), len(lost)


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 1 << 32))
def test_no_relocation_is_cheaper(seed: int) -> None:
    left, could, wanted = ground_of(seed)
    before = left.gpu_left.copy()
    found = Ground(left, could).cheapest(wanted)
    best = min(map(_cost, every(left, could, wanted)), default=None)
    assert (left.gpu_left == before).all()
    if found is None:
        assert best is None
        return
    assert _cost(found) == best
    after = left.copy()
    make(after, found, wanted.request)  # raises where anything does not fit
    assert len(found.parts) == wanted.nodes
    assert all(wanted.allowed[row] for row, _ in found.parts)
    assert all(one.run.id in wanted.may_go for one, _ in found.moved)
    for one, (row, _) in found.moved:
        assert row != one.row
        assert wanted.kept_from_s[row] >= (one.run.request.time_limit_s or 0)


def test_boards_of_the_check_above_are_not_all_alike() -> None:
    """Of those that hold a relocation there are enough, with one, two and three runs that move."""
    found = [
        Ground(left, could).cheapest(wanted) for left, could, wanted in map(ground_of, range(300))
    ]
    counts = Counter(0 if one is None else len(one.moved) for one in found)
    assert counts[0] > 50
    assert counts[1] > 20
    assert counts[2] + counts[3] > 5


def test_a_share_moves_off_a_device_so_that_it_is_whole() -> None:
    runs = [running("a", "n0", [0], 500), running("b", "n1", [0], 400)]
    runs = [told(replace(r, scheduler="runai"), preemptible="true") for r in runs]
    snapshot = estate([node("n0", 1), node("n1", 1)], runs)
    board = arrays.build(snapshot, "lab", snapshot.nodes)
    could = movables(board, snapshot, NOW)
    assert [(one.gpus, one.lost_h) for one in could] == [(((0, 500),), 1.5), (((0, 400),), 1.2)]
    wanted = Wanted(
        request=Request(gpus=1),
        nodes=1,
        allowed=np.ones(2, dtype=np.bool_),
        may_go=frozenset(one.run.id for one in could),
        most_h=10.0,
        kept_from_s=np.full(2, np.inf),
    )
    ground = Ground(board.cluster, could)
    found = ground.cheapest(wanted)
    assert found is not None
    assert [(one.run.id, part) for one, part in found.moved] == [("lab/b", (0, (0,)))]
    assert found.parts == ((1, (0,)),)
    ground.take(found, wanted.request)
    assert ground.left.gpu_left.tolist() == [[100], [0]]
    assert ground.cheapest(wanted) is None


def test_what_cannot_be_told_or_begun_again_is_not_moved() -> None:
    free = running("x", "n0", [0])
    good = told(free, requeue="1")
    runai = told(replace(free, scheduler="runai"), preemptible="true")
    kai = told(replace(runai, scheduler="kai"), kind="Job")
    part = running("x", "n0", [0], 500)

    def moved(run: Run) -> int:
        snapshot = estate([node("n0", 2), node("n1", 2)], [run])
        board = arrays.build(snapshot, "lab", snapshot.nodes)
        return len(movables(board, snapshot, NOW))

    kept = told(kai, preemptible="false")
    assert [moved(run) for run in (good, runai, kai, kept)] == [1, 1, 1, 1]
    assert [guarded(run) for run in (good, runai, kai, kept)] == [False, False, False, True]
    no_asked = Asked(gpu_count=2, gpu_milli=2000)  # holds one and asks for two
    for run in (
        free,
        told(good, requeue="0"),
        told(good, required_nodes="n0"),
        told(good, features="[a|b]"),
        told(part, requeue="1"),
        replace(good, request=no_asked),
        told(runai, suspend_supported="false"),
        told(kai, kind="Pod"),
        told(kai, pods_wanted="2"),
    ):
        assert moved(run) == 0, run
