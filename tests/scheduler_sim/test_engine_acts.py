"""What acts do to a live cluster, and what keeps a run from starting."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scheduler_sim.cluster import Request
from scheduler_sim.jobs import Reason, State
from scheduler_sim.limits import NodeNote
from tests.scheduler_sim.live import H, quiet, spec


def test_a_run_starts_at_the_next_look_and_ends_after_its_time() -> None:
    cluster = quiet()
    cluster.advance(100)
    job = cluster.submit(spec(2), token="t-1")
    assert (job.state, job.key, job.token) == (State.PENDING, "1001", "t-1")
    cluster.advance(120)
    assert (job.state, job.started_s, job.parts[0].gpus) == (State.RUNNING, 120, (0, 1))
    cluster.advance(719)
    assert job.state is State.RUNNING
    cluster.advance(720)
    assert (job.state, job.ended_s, job.exit_code) == (State.COMPLETED, 720, 0)
    assert cluster.books.cluster.gpu_left.sum() == 16_000
    assert [t.nodes for t in cluster.books.tries] == [("n0",)]


def test_a_time_limit_cuts_a_run_short_and_a_failure_keeps_its_code() -> None:
    cluster = quiet()
    long, bad = (
        cluster.submit(spec(limit_s=300)),
        cluster.submit(spec(outcome=State.FAILED, exit_code=7)),
    )
    cluster.advance(1000)
    assert (long.state, long.ended_s) == (State.TIMEOUT, 330)
    assert (bad.state, bad.exit_code) == (State.FAILED, 7)


def test_hold_release_and_cancel() -> None:
    cluster = quiet()
    job = cluster.submit(spec())
    assert cluster.hold(job.key)
    assert not cluster.hold(job.key)
    cluster.advance(600)
    assert (job.state, job.reason, cluster.priority(job)) == (State.PENDING, Reason.HELD, 0)
    assert cluster.release(job.key)
    assert not cluster.release(job.key)
    cluster.advance(660)
    assert list(cluster.books.running) == [job.key]
    assert not cluster.hold(job.key)
    assert cluster.cancel(job.key)
    assert (job.state, job.ended_s) == (State.CANCELLED, 660)
    assert not cluster.cancel(job.key)
    assert not cluster.cancel("no such run")


def test_a_requeued_run_works_from_the_start_again() -> None:
    cluster = quiet()
    job = cluster.submit(spec())
    cluster.advance(300)
    assert cluster.requeue(job.key)
    assert (job.state, job.restarts) == (State.PENDING, 1)
    assert not cluster.requeue(job.key)
    cluster.advance(2000)
    assert (job.state, job.started_s, job.ended_s) == (State.COMPLETED, 330, 930)
    assert [(t.restarts, t.state) for t in cluster.books.tries] == [
        (0, State.CANCELLED),
        (1, State.COMPLETED),
    ]


def test_late_acts_are_seen_late() -> None:
    cluster = quiet()
    job = cluster.submit(spec(), delay_s=100)
    cluster.advance(99)
    assert job.visible_s > cluster.now_s
    cluster.advance(120)
    assert job.key in cluster.books.running
    assert cluster.cancel(job.key, delay_s=50)
    cluster.advance(169)
    assert (job.state, job.closing) == (State.RUNNING, True)
    cluster.advance(170)
    assert job.state is State.CANCELLED


def test_an_array_starts_task_by_task_within_its_throttle() -> None:
    cluster = quiet()
    whole = cluster.submit(spec(tasks=(2, 3, 4, 5), throttle=2))
    cluster.advance(60)
    assert list(cluster.books.running) == ["1001_2", "1001_3"]
    assert (whole.tasks, whole.count, whole.reason) == ((4, 5), 2, Reason.TASK_LIMIT)
    cluster.advance(3 * H)
    ended = [j for j in cluster.books.ended if j.state is State.COMPLETED]
    assert {j.key for j in ended} == {f"1001_{t}" for t in (2, 3, 4, 5)}
    assert len({j.number for j in ended}) == 4
    assert cluster.books.pending == []


def test_a_run_waits_for_the_one_it_depends_on() -> None:
    cluster = quiet()
    first = cluster.submit(spec())
    second = cluster.submit(spec(after="previous"))
    bad = cluster.submit(spec(outcome=State.FAILED))
    never = cluster.submit(spec(after=bad.key))
    cluster.advance(300)
    assert (second.after, second.reason) == (first.key, Reason.DEPENDENCY)
    cluster.advance(700)
    assert (second.state, never.reason) == (State.RUNNING, Reason.NEVER)


def test_limits_of_user_account_queue_and_quota() -> None:
    cluster = quiet(user_limits={"low": 2000}, account_limits={"bio": 1000}, quotas={"ml": 1000})
    jobs = {
        Reason.USER_LIMIT: [cluster.submit(spec(2, qos="low")), cluster.submit(spec(qos="low"))],
        Reason.ACCOUNT_LIMIT: [
            cluster.submit(spec(user="bo", account="bio")),
            cluster.submit(spec(user="bo", account="bio")),
        ],
        Reason.QUOTA: [
            cluster.submit(spec(preemptible=False)),
            cluster.submit(spec(preemptible=False)),
        ],
    }
    late = cluster.submit(spec(limit_s=13 * H))
    cluster.advance(60)
    for reason, (runs, waits) in jobs.items():
        assert runs.state is State.RUNNING
        assert (waits.state, waits.reason) == (State.PENDING, reason)
    assert late.reason is Reason.TIME_LIMIT


def test_a_node_that_goes_down_takes_its_runs_with_it() -> None:
    cluster = quiet()
    job = cluster.submit(spec(4, nodelist=("n1",)))
    cluster.advance(60)
    cluster.set_node(1, NodeNote("down", "Not responding", 60))
    assert (job.state, job.restarts) == (State.PENDING, 1)
    cluster.advance(120)
    assert job.reason is Reason.NODES_DOWN
    assert [t.state for t in cluster.books.tries] == [State.NODE_FAIL]
    cluster.set_node(1, None)
    cluster.advance(180)
    assert job.state is State.RUNNING


def test_a_drained_node_finishes_what_it_has() -> None:
    cluster = quiet()
    job = cluster.submit(spec(4, nodelist=("n1",)))
    cluster.advance(60)
    cluster.set_node(1, NodeNote("drain", "ECC", 60))
    other = cluster.submit(spec(4, nodelist=("n1",)))
    cluster.advance(2000)
    assert job.state is State.COMPLETED
    assert (other.state, other.reason) == (State.PENDING, Reason.NODES_DOWN)


def test_a_changed_run_asks_for_something_else() -> None:
    cluster = quiet()
    blocker = [cluster.submit(spec(4)) for _ in range(4)]
    job = cluster.submit(spec(4))
    cluster.advance(60)
    assert all(b.state is State.RUNNING for b in blocker)
    assert cluster.change(job.key, replace(job.spec, queue="h100"))
    assert (job.queue, job.spec.queue) == ("h100", "h100")
    with pytest.raises(ValueError, match=r"^queue: there is no 'x'"):
        cluster.change(job.key, replace(job.spec, queue="x"))
    assert not cluster.change(blocker[0].key, blocker[0].spec)


def test_the_plan_of_a_changed_run() -> None:
    cluster = quiet()
    cluster.submit(spec(4, nodelist=("n0",), limit_s=H))
    cluster.submit(spec(4, nodelist=("n1",), limit_s=3 * H))
    job = cluster.submit(spec(4, nodelist=("n1",)))
    cluster.advance(60)
    assert cluster.planned(most_ends=9)[job.key].at_s == 30 + 3 * H
    like = replace(job, spec=replace(job.spec, nodelist=("n0",)))
    assert cluster.planned(most_ends=9, like=like)[job.key].at_s == 30 + H
    assert job.spec.nodelist == ("n1",)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"queue": "gone"}, "^queue: there is no 'gone'"),
        ({"nodelist": ("n9",)}, "^nodelist: there is no node 'n9'"),
        ({"request": Request(gpus=5)}, "^request: 1 nodes with 5 GPUs each"),
        ({"request": Request(gpus=1, models=("V100",))}, "^request: "),
        ({"nodes": 5}, "^request: 5 nodes"),
        ({"queue": "h100", "request": Request(gpus=1, models=("A100",))}, "^request: "),
    ],
)
def test_what_could_never_start_is_refused(fields: dict[str, object], message: str) -> None:
    cluster = quiet()
    with pytest.raises(ValueError, match=message):
        cluster.submit(spec(**fields))  # type: ignore[arg-type]
    assert cluster.books.jobs == {}
