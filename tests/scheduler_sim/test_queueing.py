"""Backfill overtakes only where it does not delay the first run that waits."""

from __future__ import annotations

import numpy as np

from scheduler_sim.cluster import Allotment, Cluster, Mask, NodeSpec, Request
from scheduler_sim.jobs import Job, JobSpec, Reason
from scheduler_sim.queueing import Ending, Pass, plan, reserve, try_place

H = 3600


def job(
    number: int, gpus: int, *, nodes: int = 1, limit_s: int | None = H, queue: str = "gpu"
) -> Job:
    spec = JobSpec(
        name="x",
        user="ada",
        account="ml",
        queue=queue,
        request=Request(gpus=gpus),
        duration_s=60,
        nodes=nodes,
        limit_s=limit_s,
    )
    return Job(key=str(number), number=number, spec=spec, submitted_s=0, rank=number)


def cluster(nodes: int = 2) -> Cluster:
    return Cluster([NodeSpec(f"n{i}", 4, "A100", 64_000, 1000) for i in range(nodes)])


def everywhere(of: Cluster) -> Mask:
    return np.ones(len(of.nodes), dtype=np.bool_)


def started(of: Cluster, waiting: list[Job], endings: list[Ending]) -> tuple[list[str], Pass]:
    look = Pass(
        of,
        0,
        endings=lambda: endings,
        nodes_of=lambda job, queue: everywhere(of),
        barred=lambda job: None,
    )
    return [j.key for j, _, _ in look.starts(waiting)], look


def test_runs_start_in_order_of_rank_while_they_fit() -> None:
    keys, look = started(cluster(), [job(1, 4), job(2, 3), job(3, 2), job(4, 1)], [])
    assert keys == ["1", "2", "4"]
    assert look.why == {"3": Reason.RESOURCES}


def test_a_short_run_overtakes_and_a_long_one_does_not() -> None:
    of = cluster(1)
    held = of.place(0, [0, 1], Request(gpus=2))
    endings: list[Ending] = [(2 * H, (held,))]
    # The first needs the whole node, free after 2 h: what ends before may use it until then.
    keys, look = started(
        of, [job(1, 4), job(2, 1, limit_s=3 * H), job(3, 1, limit_s=2 * H)], endings
    )
    assert keys == ["3"]
    assert look.why == {"1": Reason.RESOURCES, "2": Reason.PRIORITY}


def test_each_queue_has_its_own_reservation() -> None:
    of = cluster(2)
    held = [of.place(n, [0], Request(gpus=1)) for n in (0, 1)]
    endings: list[Ending] = [(H, (held[0],)), (H, (held[1],))]
    halves = {"left": np.array([True, False]), "right": np.array([False, True])}
    look = Pass(
        of,
        0,
        endings=lambda: endings,
        nodes_of=lambda job, queue: halves[queue],
        barred=lambda job: None,
    )
    waiting = [job(1, 4, queue="left"), job(2, 4, queue="right")]
    waiting += [job(3, 1, queue="left", limit_s=2 * H), job(4, 1, queue="right", limit_s=2 * H)]
    assert list(look.starts(waiting)) == []
    short = [job(5, 1, queue="left", limit_s=H), job(6, 1, queue="right", limit_s=H)]
    assert [j.key for j, _, _ in look.starts(short)] == ["5", "6"]


def test_a_run_without_a_limit_does_not_take_the_reserved_place() -> None:
    of = cluster(1)
    endings: list[Ending] = [(H, (of.place(0, [0], Request(gpus=1)),))]
    keys, _ = started(of, [job(1, 4), job(2, 1, limit_s=None)], endings)
    assert keys == []


def test_without_known_ends_nothing_is_reserved() -> None:
    of = cluster(1)
    of.place(0, [0], Request(gpus=1))
    keys, _ = started(of, [job(1, 4), job(2, 1, limit_s=None)], [])
    assert keys == ["2"]


def test_a_run_of_several_nodes_gets_all_or_none() -> None:
    of = cluster(3)
    of.place(0, [0], Request(gpus=1))
    before = of.gpu_left.tobytes()
    assert try_place(of, job(1, 4, nodes=3), everywhere(of)) is None
    assert of.gpu_left.tobytes() == before
    parts = try_place(of, job(2, 4, nodes=2), everywhere(of))
    assert parts is not None
    assert sorted(p.node for p in parts) == [1, 2]


def test_a_reservation_is_the_soonest_that_limits_allow() -> None:
    of = cluster(2)
    on_first = [of.place(0, [g], Request(gpus=1)) for g in (0, 1)]
    on_second = of.place(1, [0, 1, 2, 3], Request(gpus=4))
    endings: list[Ending] = [
        (5 * H, (on_first[0],)),
        (2 * H, (on_first[1],)),
        (3 * H, (on_second,)),
    ]
    found = reserve(of, job(1, 4), everywhere(of), endings)
    assert found is not None
    assert (found[0], found[1].tolist()) == (3 * H, [False, True])
    assert reserve(of, job(1, 4), everywhere(of), endings[:2]) is not None
    assert reserve(of, job(1, 4, nodes=2), everywhere(of), endings[:2]) is None


def test_closed_nodes_give_another_reason() -> None:
    of = cluster(2)
    of.set_usable(0, False)
    _, look = started(of, [job(1, 4, nodes=2), job(2, 4), job(3, 1)], [])
    assert look.why == {"1": Reason.NODES_DOWN, "3": Reason.PRIORITY}


def test_runs_that_arrive_later_join_the_same_look() -> None:
    of = cluster(1)
    keys, look = started(of, [job(1, 3), job(2, 2)], [])
    assert keys == ["1"]
    assert [j.key for j, _, _ in look.starts([job(3, 1), job(4, 1)])] == ["3"]
    assert look.why["4"] is Reason.PRIORITY


def test_the_plan_looks_ahead_and_changes_nothing() -> None:
    of = cluster(1)
    held = of.place(0, [0, 1, 2, 3], Request(gpus=4))
    before = of.gpu_left.tobytes()
    waiting = [job(1, 4, limit_s=H), job(2, 2, limit_s=H), job(3, 2, limit_s=None), job(4, 4)]
    found = plan(
        of,
        waiting,
        [(2 * H, (held,))],
        0,
        nodes_of=lambda job, queue: everywhere(of),
        barred=lambda job: None,
        most_ends=50,
    )
    assert {k: p.at_s for k, p in found.items()} == {"1": 2 * H, "2": 3 * H, "3": 3 * H}
    assert found["1"].parts == (Allotment(0, (0, 1, 2, 3), Request(gpus=4)),)
    assert of.gpu_left.tobytes() == before
    assert [j.key for j in waiting] == ["1", "2", "3", "4"]
