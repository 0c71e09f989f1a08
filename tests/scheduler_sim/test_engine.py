"""The live cluster: the same for the same seed and acts, and never more than there is."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler_sim.engine import GIVE_UP_S, LiveCluster
from scheduler_sim.jobs import Job, Reason, State
from tests.scheduler_sim.live import SPEC, H, quiet, spec


def state(cluster: LiveCluster) -> object:
    """All that can be told of the cluster."""
    books = cluster.books
    return (
        cluster.now_s,
        [(j.key, j.state, j.reason, j.parts, j.started_s, j.restarts) for j in books.jobs.values()],
        [j.key for j in books.pending],
        [(t.job.key, t.state, t.started_s, t.ended_s, t.nodes) for t in books.tries],
        books.cluster.gpu_left.tobytes(),
        cluster.notes,
    )


def assert_sound(cluster: LiveCluster) -> None:
    """What is taken is what the running runs hold, and no limit is broken."""
    books = cluster.books
    held: Counter[tuple[int, int]] = Counter()
    by_user: Counter[str] = Counter()
    by_account: Counter[str] = Counter()
    for job in books.running.values():
        by_user[job.spec.user] += job.spec.total_milli
        by_account[job.spec.account] += job.spec.total_milli
        assert len(job.parts) == job.spec.nodes
        for part in job.parts:
            assert part.node in books.spec.queues[("gpu", "h100").index(job.queue)].nodes
            for gpu in part.gpus:
                held[part.node, gpu] += job.spec.request.gpu_milli
    for row, node in enumerate(cluster.spec.nodes):
        for gpu in range(node.gpus):
            assert books.cluster.gpu_left[row, gpu] == 1000 - held[row, gpu]
    assert (books.cluster.gpu_left >= 0).all()
    assert all(v <= 10_000 for v in by_user.values())
    assert by_account["bio"] <= 8000
    for row, note in cluster.notes.items():
        if note.kind == "down":
            assert all(p.node != row for j in books.running.values() for p in j.parts)
    live = {j.key for j in books.jobs.values() if j.state in (State.PENDING, State.RUNNING)}
    assert live == set(books.running) | {j.key for j in books.pending}


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 50), st.lists(st.integers(0, 3 * H), min_size=1, max_size=12))
def test_the_state_is_sound_at_any_time(seed: int, steps: list[int]) -> None:
    cluster = LiveCluster(SPEC, seed)
    for step in steps:
        cluster.advance(cluster.now_s + step)
        assert_sound(cluster)


ACTS = st.tuples(
    st.integers(0, 6 * H),
    st.sampled_from(("submit", "cancel", "hold", "release", "requeue", "change", "late")),
    st.integers(0, 40),
)


def act(cluster: LiveCluster, what: str, which: int) -> None:
    key = str(SPEC.first_number + which)
    if what == "submit":
        cluster.submit(spec(1 + which % 4))
    elif what == "late":
        cluster.submit(spec(1), delay_s=60)
        cluster.cancel(key, delay_s=90)
    elif what == "change":
        cluster.change(key, spec(1 + which % 3))
    else:
        getattr(cluster, what)(key)


@settings(deadline=None, max_examples=20)
@given(
    st.integers(0, 20),
    st.lists(ACTS, max_size=12),
    st.lists(st.integers(0, 24 * H), max_size=20),
)
def test_the_state_depends_on_seed_acts_and_time_only(
    seed: int, acts: list[tuple[int, str, int]], looks: list[int]
) -> None:
    plain, watched = LiveCluster(SPEC, seed), LiveCluster(SPEC, seed)
    for at_s, what, which in sorted(acts, key=lambda a: a[0]):
        plain.advance(at_s)
        act(plain, what, which)
        for look in sorted(looks):
            if look <= at_s:
                watched.advance(look)
                watched.planned(most_ends=5)
        watched.advance(at_s)
        act(watched, what, which)
        assert_sound(plain)
    for look in sorted(looks):
        watched.advance(look)
    for cluster in (plain, watched):
        cluster.advance(30 * H)
    assert state(plain) == state(watched)


def test_another_seed_is_another_cluster() -> None:
    one, other = LiveCluster(SPEC, 1), LiveCluster(SPEC, 2)
    one.advance(10 * H)
    other.advance(10 * H)
    assert state(one) != state(other)


JOBS = st.lists(
    st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 20), st.integers(1, 4)),
    min_size=8,
    max_size=25,
)


@settings(deadline=None, max_examples=60)
@given(JOBS)
def test_the_run_that_leads_the_queue_starts_no_later_than_planned(
    jobs: list[tuple[int, int, int, int]],
) -> None:
    """Work ends at its limits or before, and backfill does not delay the first that waits."""
    cluster = quiet()
    for gpus, nodes, tens, over in jobs:
        duration_s = 600 * tens
        cluster.submit(
            spec(gpus, nodes=nodes, duration_s=duration_s, limit_s=min(12 * H, over * duration_s))
        )
    cluster.advance(30)
    for _ in range(len(jobs)):
        if not cluster.books.pending:
            break
        leader = cluster.books.pending[0]
        told_s = cluster.planned(most_ends=500)[leader.key].at_s
        cluster.advance(told_s + SPEC.pass_every_s)
        assert leader.state is not State.PENDING
        assert leader.started_s is not None
        assert leader.started_s <= told_s + SPEC.pass_every_s


def test_owners_give_up_on_what_time_will_not_start() -> None:
    busy = LiveCluster(replace(SPEC, fail_every_s=10**9), 3)
    busy.advance(4 * GIVE_UP_S)
    oldest: list[Job] = [j for j in busy.books.pending if j.reason is Reason.HELD]
    assert all(j.submitted_s > 3 * GIVE_UP_S for j in oldest)
    assert any(t.started_s is None for t in busy.books.tries)


def test_the_queue_does_not_grow_without_end() -> None:
    busy = LiveCluster(replace(SPEC, load=3.0, max_waiting=10), 3)
    for hour in range(72):
        busy.advance(hour * H)
        # Runs of failed nodes come back on top of those that people let wait.
        assert len(busy.books.pending) <= 10 + 16


def test_fill_makes_as_many_wait_as_asked() -> None:
    busy = LiveCluster(SPEC, 3)
    busy.advance(5 * H)
    busy.fill(60)
    assert len(busy.books.pending) == 60
    assert all(j.reason is not Reason.NONE for j in busy.books.pending)
    assert_sound(busy)
