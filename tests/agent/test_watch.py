"""A child that hangs is ended once and the driver left alone; one that crashed comes back."""

from __future__ import annotations

from foundry_tui.agent.serving.watch import (
    FIRST_S,
    HUNG_S,
    KILL_AFTER_S,
    LONGEST_S,
    SETTLED_S,
    Do,
    Watch,
)

DEADLINE_S = 15.0


def started(first_s: float = 0.0) -> Watch:
    watch = Watch(DEADLINE_S, first_s)
    assert watch.step(0.0) is Do.START
    return watch


def test_the_first_round_may_take_longer() -> None:
    """Without persistence mode the driver wakes eight GPUs for it."""
    watch = started(FIRST_S)
    assert watch.step(FIRST_S) is Do.NOTHING
    watch.round_came(FIRST_S)
    assert watch.step(FIRST_S + DEADLINE_S) is Do.NOTHING
    assert watch.step(FIRST_S + DEADLINE_S + 1) is Do.TERMINATE
    assert started(FIRST_S).step(FIRST_S + 1) is Do.TERMINATE


def test_rounds_in_time_ask_for_nothing() -> None:
    watch = started()
    for second in range(0, 300, 10):
        watch.round_came(float(second))
        assert watch.step(second + DEADLINE_S) is Do.NOTHING
    assert watch.problem is None


def test_a_child_that_hangs_gets_one_signal_of_each_kind() -> None:
    watch = started()
    done = [watch.step(float(second)) for second in range(1, 5000)]
    assert [do for do in done if do is not Do.NOTHING] == [Do.TERMINATE, Do.KILL]
    assert done.index(Do.TERMINATE) + 1 == DEADLINE_S + 1
    assert done.index(Do.KILL) - done.index(Do.TERMINATE) > KILL_AFTER_S
    assert watch.problem == "unresponsive"


def test_while_the_old_child_is_there_no_new_one_is_started() -> None:
    watch = started()
    assert Do.START not in [watch.step(float(second)) for second in range(1, 100_000, 7)]


def test_a_driver_that_hung_is_left_alone() -> None:
    watch = started()
    assert watch.step(20.0) is Do.TERMINATE
    watch.ended(21.0)
    assert watch.step(20.0 + HUNG_S - 1) is Do.NOTHING
    assert watch.problem == "unresponsive"
    assert watch.step(20.0 + HUNG_S) is Do.START
    assert watch.problem is None


def test_a_round_of_a_child_that_was_given_up_on_changes_nothing() -> None:
    watch = started()
    assert watch.step(20.0) is Do.TERMINATE
    watch.round_came(20.5)
    assert watch.problem == "unresponsive"


def test_a_child_that_crashes_comes_back_later_each_time() -> None:
    watch, now, pauses = started(), 0.0, []
    for _ in range(12):
        watch.ended(now)
        assert watch.problem == "crashed"
        pause = 0.0
        while watch.step(now + pause) is not Do.START:
            pause += 0.5
        pauses.append(pause)
        now += pause
    assert pauses[:5] == [1, 2, 4, 8, 16]
    assert pauses[-1] == LONGEST_S


def test_a_child_that_was_heard_is_no_longer_a_problem_but_is_remembered() -> None:
    watch = started()
    watch.ended(1.0)
    assert watch.step(2.0) is Do.START
    watch.round_came(2.5)
    assert watch.problem is None
    watch.ended(3.0)
    assert watch.next_start == 3.0 + 2.0


def test_a_child_that_lived_long_starts_the_count_anew() -> None:
    watch = started()
    for _ in range(5):
        watch.ended(0.0)
        watch.started = 0.0
    watch.round_came(1.0)
    watch.ended(SETTLED_S + 1)
    assert watch.next_start == SETTLED_S + 2
