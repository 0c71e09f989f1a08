"""The outbox: what was agreed to can be taken back until its time has come, and is sent once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.tui.outbox import Outbox


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def words(outbox: Outbox[int]) -> list[str]:
    """What is held, in words."""
    return [held.words for held in outbox.held]


def test_it_is_due_once_and_not_before_its_time() -> None:
    clock = Clock()
    outbox = Outbox[int](clock)
    outbox.hold(1, "cancel 1", 10.0)
    clock.now += 9.9
    assert outbox.take_due() == ()
    clock.now += 0.1
    assert [held.what for held in outbox.take_due()] == [1]
    assert outbox.take_due() == ()
    assert outbox.withdraw() is None


def test_nothing_to_wait_for_is_due_at_once() -> None:
    outbox = Outbox[int](Clock())
    outbox.hold(1, "cancel 1", 0.0)
    assert [held.what for held in outbox.take_due()] == [1]


def test_the_last_one_is_taken_back_first() -> None:
    outbox = Outbox[int](Clock())
    for number in (1, 2, 3):
        outbox.hold(number, f"cancel {number}", 10.0)
    assert [outbox.withdraw(), outbox.withdraw()] != [None, None]
    assert words(outbox) == ["cancel 1"]


def test_what_is_due_goes_and_what_is_not_stays() -> None:
    clock = Clock()
    outbox = Outbox[int](clock)
    outbox.hold(1, "long", 60.0)
    outbox.hold(2, "short", 5.0)
    clock.now += 10
    assert [held.what for held in outbox.take_due()] == [2]
    assert words(outbox) == ["long"]
    assert [held.what for held in outbox.take_all()] == [1]
    assert words(outbox) == []


def test_it_tells_the_last_one_and_how_many_more() -> None:
    clock = Clock()
    outbox = Outbox[int](clock)
    assert outbox.told() == ""
    outbox.hold(1, "cancel 1", 10.0)
    assert outbox.told() == "held 10 s: cancel 1"
    clock.now += 0.5
    assert outbox.told() == "held 10 s: cancel 1", "a part of a second is not over yet"
    outbox.hold(2, "hold 2", 3.0)
    assert outbox.told() == "held 3 s: hold 2 and 1 more"
    clock.now += 60
    assert outbox.told() == "held 0 s: hold 2 and 1 more"


@given(
    steps=st.lists(
        st.one_of(
            st.floats(0.0, 30.0),
            st.sampled_from(["withdraw", "due", "all"]),
            st.tuples(st.floats(0.0, 30.0)),
        ),
        max_size=40,
    )
)
def test_everything_held_leaves_exactly_once(steps: list[object]) -> None:
    """A number moves the clock, a tuple holds something for so long, a word takes something."""
    clock = Clock()
    outbox = Outbox[int](clock)
    held, left = 0, list[int]()
    for step in steps:
        if isinstance(step, float):
            clock.now += step
        elif isinstance(step, tuple):
            held += 1
            outbox.hold(held, f"{held}", step[0])
        elif step == "withdraw":
            one = outbox.withdraw()
            left += [one.what] if one is not None else []
        elif step == "due":
            due = outbox.take_due()
            assert all(one.due_at <= clock.now for one in due)
            left += [one.what for one in due]
        else:
            left += [one.what for one in outbox.take_all()]
    left += [one.what for one in outbox.take_all()]
    assert sorted(left) == list(range(1, held + 1))
