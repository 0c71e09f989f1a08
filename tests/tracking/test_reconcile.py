"""The table of states: what a record becomes, for each state of the job and of the record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from foundry_tui.estate.run import LIVE, RunState
from foundry_tui.estate.tracked import ENDED, TrackStatus
from foundry_tui.tracking.reconcile import ORPHAN_S, Job, Kind, decide, expected, whole

END = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
S, R = TrackStatus.SCHEDULED, TrackStatus.RUNNING
OVER = {
    RunState.COMPLETED: TrackStatus.FINISHED,
    RunState.FAILED: TrackStatus.FAILED,
    RunState.OUT_OF_MEMORY: TrackStatus.FAILED,
    RunState.NODE_FAIL: TrackStatus.FAILED,
    RunState.CANCELLED: TrackStatus.KILLED,
    RunState.TIMEOUT: TrackStatus.KILLED,
    RunState.PREEMPTED: TrackStatus.KILLED,
}


@pytest.mark.parametrize("state", OVER)
@pytest.mark.parametrize("status", [S, R])
def test_an_ended_job_ends_its_record(state: RunState, status: TrackStatus) -> None:
    job = Job(state=state, ended_at=END, exit_code=3)
    found = decide(job, status, {})
    assert (found.kind, found.status, found.ended_at) == (Kind.WRITE, OVER[state], END)
    assert found.over
    assert found.tags["foundry.status_source"] == "scheduler"
    assert found.tags["foundry.exit_code"] == "3"
    told = found.tags.get("foundry.reason")
    assert told == (None if state is RunState.COMPLETED else state.value)


@pytest.mark.parametrize("state", OVER)
@pytest.mark.parametrize("status", sorted(ENDED))
def test_what_a_job_said_of_itself_is_left(state: RunState, status: TrackStatus) -> None:
    job = Job(state=state, ended_at=END, exit_code=0 if state is RunState.COMPLETED else 137)
    found = decide(job, status, {})
    assert (found.status, found.ended_at, found.over) == (None, None, True)
    assert ("disagree" in found.words) == (OVER[state] is not status)
    if state is RunState.COMPLETED:
        assert (found.kind, found.tags) == (Kind.LEAVE, {})
    else:
        assert found.tags == {"foundry.reason": state.value, "foundry.exit_code": "137"}
        again = decide(job, status, found.tags)
        assert (again.kind, again.tags) == (Kind.LEAVE, {}), "told once"


@pytest.mark.parametrize("state", [RunState.RUNNING, RunState.COMPLETING])
def test_a_running_job(state: RunState) -> None:
    found = decide(Job(state=state), S, {})
    assert (found.kind, found.status, found.over) == (Kind.WRITE, R, False)
    assert decide(Job(state=state), R, {}).kind is Kind.LEAVE
    for status in ENDED:
        found = decide(Job(state=state), status, {}, begun=True)
        assert (found.kind, found.over) == (Kind.LEAVE, False)
        assert "tracking ended" in found.words


def test_a_waiting_job_that_never_ran() -> None:
    found = decide(Job(state=RunState.PENDING), R, {})
    assert (found.status, found.tags, found.attempt) == (S, {}, 1)
    assert decide(Job(state=RunState.PENDING), S, {}).kind is Kind.LEAVE
    for status in ENDED:
        assert decide(Job(state=RunState.PENDING), status, {}).kind is Kind.LEAVE


@pytest.mark.parametrize("status", [R, *sorted(ENDED)])
def test_a_requeued_job_is_a_new_attempt(status: TrackStatus) -> None:
    found = decide(Job(state=RunState.PENDING), status, {}, begun=True, attempt=2)
    assert (found.kind, found.status, found.attempt, found.over) == (Kind.WRITE, S, 3, False)
    assert found.tags == {"foundry.attempt": "3"}


def test_a_suspended_job_is_no_new_attempt() -> None:
    found = decide(Job(state=RunState.SUSPENDED), R, {}, begun=True)
    assert (found.status, found.tags, found.attempt) == (S, {}, 1)


def test_a_lost_job_is_marked_after_its_time_and_never_changed() -> None:
    for status in (S, R):
        assert decide(None, status, {}, missing_s=None).kind is Kind.LEAVE
        assert decide(None, status, {}, missing_s=ORPHAN_S - 1).kind is Kind.LEAVE
        found = decide(None, status, {}, missing_s=ORPHAN_S)
        assert (found.kind, found.status, found.ended_at) == (Kind.ORPHANED, None, None)
        assert found.tags["foundry.orphaned"] == "true"
        assert found.over
    for status in ENDED:
        found = decide(None, status, {}, missing_s=ORPHAN_S)
        assert (found.kind, found.tags, found.over) == (Kind.LEAVE, {}, True)


def test_an_unknown_state_changes_nothing() -> None:
    for status in TrackStatus:
        assert decide(Job(state=RunState.UNKNOWN), status, {}).kind is Kind.LEAVE


@pytest.mark.parametrize("state", RunState)
@pytest.mark.parametrize("status", TrackStatus)
def test_a_second_pass_has_nothing_to_write(state: RunState, status: TrackStatus) -> None:
    job = Job(state=state, ended_at=END, exit_code=9)
    first = decide(job, status, {}, begun=True)
    after = first.status or status
    second = decide(job, after, first.tags, begun=after not in (None, S), attempt=first.attempt)
    assert second.kind is Kind.LEAVE, second
    assert expected(state) is None or state in LIVE or first.over


def parts(*states: str) -> tuple[Job, ...]:
    return tuple(
        Job(state=RunState(state), exit_code=i, ended_at=END + timedelta(seconds=i))
        for i, state in enumerate(states)
    )


@pytest.mark.parametrize(
    ("states", "state"),
    [
        (("pending", "pending"), "pending"),
        (("pending", "running"), "running"),
        (("pending", "completed"), "running"),
        (("failed", "running"), "running"),
        (("suspended", "completed"), "suspended"),
        (("completed", "completed"), "completed"),
        (("completed", "failed", "cancelled"), "failed"),
        (("completed", "cancelled"), "cancelled"),
    ],
)
def test_an_array_is_one_job(states: tuple[str, ...], state: str) -> None:
    assert whole(parts(*states)).state.value == state


def test_an_array_ends_with_its_last_task_and_its_worst_code() -> None:
    job = whole(parts("completed", "failed", "failed", "completed"))
    assert (job.ended_at, job.exit_code) == (END + timedelta(seconds=3), 2)
    assert job.reason == "2 of 4 tasks"
    assert decide(job, R, {}).tags["foundry.reason"] == "failed (2 of 4 tasks)"
    with pytest.raises(ValueError, match="parts"):
        whole(())


def test_a_job_out_of_time_has_no_exit_code_of_its_own() -> None:
    job = Job(state=RunState.TIMEOUT, ended_at=END, exit_code=0)
    assert decide(job, TrackStatus.RUNNING, {}).tags == {
        "foundry.reason": "timeout",
        "foundry.status_source": "scheduler",
    }
