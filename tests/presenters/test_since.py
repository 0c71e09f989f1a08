"""What is new since the last look: nothing invented, nothing counted twice, one's own first."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.glance import MOST_RUNS, Glance, glance
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.run import LIVE, ArrayPart, Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import SourceState
from foundry_tui.presenters.since import News, news, news_line
from tests.presenters.estate import LAB, NODES, NOW, RUNS, ago, run

BEFORE = ago(minutes=49)


def looked(runs: list[Run], nodes: tuple[Node, ...] = NODES, advice: int | None = None) -> Glance:
    """How these stood at 08:41."""
    return glance(runs, nodes, at=BEFORE, me=frozenset({"alice"}), advice=advice)


def seen(
    before: Glance, runs: list[Run], nodes: tuple[Node, ...] = NODES, advice: int | None = None
) -> News:
    """What is new now."""
    snapshot = Snapshot(generated_at=NOW, sources=(LAB,), nodes=nodes, runs=tuple(runs))
    return news(before, snapshot, runs, me=frozenset({"alice"}), advice=advice)


def told(found: News) -> str:
    """The line without tones."""
    return "".join(text for text, _ in news_line(found, NOW))


def waiting(native_id: str, user: str = "bob", **fields: object) -> Run:
    """A run that waited before the look."""
    base = run(native_id, "x", RunState.PENDING, user=user, submitted_at=ago(hours=5))
    return replace(base, **fields)  # type: ignore[arg-type]


def now_in(one: Run, state: RunState, **fields: object) -> Run:
    """The run in another state."""
    return replace(one, state=state, **fields)  # type: ignore[arg-type]


def test_the_line_names_the_users_own_first() -> None:
    a, b, c, d = waiting("1"), waiting("2", "alice"), waiting("3", "alice"), waiting("4")
    nodes = (*NODES, replace(NODES[0], name="b03"))
    before = looked([a, b, c, d], nodes, advice=2)
    after = [
        now_in(a, RunState.RUNNING),
        now_in(b, RunState.RUNNING),
        now_in(c, RunState.FAILED),
        d,
    ]
    silent = (*NODES, replace(NODES[0], name="b03", state=NodeState.UNKNOWN))
    assert told(seen(before, after, silent, advice=5)) == (
        "Since 08:41Z (you looked): yours: 1 started, 1 failed · others: 1 started · b03 silent · "
        "3 new advice"
    )


def test_nothing_new() -> None:
    found = seen(looked(list(RUNS)), list(RUNS))
    assert found.empty
    assert told(found) == "Since 08:41Z (you looked): nothing new"


def test_a_look_of_another_day_says_its_date() -> None:
    before = replace(looked([]), at=NOW - timedelta(days=2))
    assert told(seen(before, [])).startswith("Since 03-12 09:30Z (you looked): ")


@pytest.mark.parametrize(
    ("one", "word"),
    [
        (run("9", "x", RunState.RUNNING, started_at=ago(minutes=1)), "started"),
        (run("9", "x", RunState.RUNNING, started_at=ago(hours=3)), ""),
        (run("9", "x", RunState.RUNNING), "started"),
        (run("9", "x", RunState.PENDING, submitted_at=ago(minutes=1)), "submitted"),
        (run("9", "x", RunState.PENDING, submitted_at=ago(hours=3)), ""),
        (run("9", "x", RunState.FAILED, ended_at=ago(minutes=1)), "failed"),
        (run("9", "x", RunState.FAILED, ended_at=ago(hours=3)), ""),
        (run("9", "x", RunState.FAILED), ""),
        (run("9", "x", RunState.UNKNOWN, ended_at=ago(minutes=1)), ""),
    ],
)
def test_a_run_that_was_not_there_is_new_only_if_its_time_says_so(one: Run, word: str) -> None:
    assert dict(seen(looked([]), [one]).mine) == ({word: 1} if word else {})


@pytest.mark.parametrize(
    ("was", "state", "word"),
    [
        (RunState.PENDING, RunState.RUNNING, "started"),
        (RunState.PENDING, RunState.COMPLETED, "completed"),
        (RunState.RUNNING, RunState.COMPLETING, ""),
        (RunState.RUNNING, RunState.PENDING, "requeued"),
        (RunState.RUNNING, RunState.TIMEOUT, "timed out"),
        (RunState.RUNNING, RunState.OUT_OF_MEMORY, "out of memory"),
        (RunState.RUNNING, RunState.NODE_FAIL, "lost with their node"),
        (RunState.RUNNING, RunState.CANCELLED, "cancelled"),
        (RunState.SUSPENDED, RunState.PREEMPTED, "preempted"),
    ],
)
def test_a_change_of_state(was: RunState, state: RunState, word: str) -> None:
    one = run("9", "x", was, user="bob", submitted_at=ago(hours=2))
    found = seen(looked([one]), [now_in(one, state)])
    assert dict(found.others) == ({word: 1} if word else {})
    assert not found.mine


def test_a_run_that_is_no_longer_told_of_is_gone_unless_its_source_is_silent() -> None:
    one = run("9", "x", RunState.RUNNING)
    before = looked([one])
    assert dict(seen(before, []).mine) == {"gone": 1}
    down = replace(LAB, state=SourceState.DOWN)
    snapshot = Snapshot(generated_at=NOW, sources=(down,))
    assert news(before, snapshot, [], me=frozenset({"alice"})).empty


def test_the_tasks_of_an_array_are_counted_once() -> None:
    part = waiting("18_[2-41]", array=ArrayPart("18", "2-41", 40))
    rest = waiting("18_[4-41]", array=ArrayPart("18", "4-41", 38))
    tasks = [
        run(f"18_{n}", "x", RunState.RUNNING, user="bob", started_at=ago(minutes=1)) for n in (2, 3)
    ]
    assert dict(seen(looked([part]), [rest, *tasks]).others) == {"started": 2}
    assert dict(seen(looked([part]), tasks).others) == {"started": 2}
    new = replace(part, submitted_at=ago(minutes=2))
    assert dict(seen(looked([]), [new]).others) == {"submitted": 40}
    single = waiting("18_7", array=ArrayPart("18", "7", 1))
    assert seen(looked([now_in(single, RunState.RUNNING)]), [single]).others["gone"] == 0


@pytest.mark.parametrize(
    ("was", "state", "words"),
    [
        (NodeState.IDLE, NodeState.ALLOCATED, "nothing new"),
        (NodeState.IDLE, NodeState.DOWN, "n1 down"),
        (NodeState.MIXED, NodeState.UNKNOWN, "n1 silent"),
        (NodeState.MIXED, NodeState.DRAINING, "n1 draining"),
        (NodeState.DRAINING, NodeState.DRAINED, "nothing new"),
        (NodeState.DOWN, NodeState.IDLE, "n1 back"),
    ],
)
def test_nodes(was: NodeState, state: NodeState, words: str) -> None:
    one = replace(NODES[0], name="n1", state=was)
    assert told(seen(looked([], (one,)), [], (replace(one, state=state),))).endswith(f": {words}")


def test_many_nodes_are_counted_and_a_missing_one_is_gone() -> None:
    nodes = tuple(replace(NODES[0], name=f"n{i}", state=NodeState.IDLE) for i in range(6))
    down = tuple(replace(n, state=NodeState.DOWN) for n in nodes[:5])
    assert told(seen(looked([], nodes), [], down)).endswith("n0, n1, n2 and 2 more down · n5 gone")


def test_less_advice_is_not_news() -> None:
    assert seen(looked([], advice=5), [], advice=2).empty
    assert seen(looked([], advice=None), [], advice=2).empty


def test_of_too_many_runs_the_users_own_are_kept_and_the_rest_is_not_new() -> None:
    crowd = [run(str(n), "x", RunState.RUNNING, user="bob") for n in range(MOST_RUNS)]
    own = run("own", "x", RunState.RUNNING)
    before = looked([*crowd, own])
    assert (len(before.runs), set(before.mine)) == (MOST_RUNS, {"lab/own"})
    assert not before.whole
    assert seen(before, [*crowd, own]).empty


states = st.sampled_from(RunState)


@given(st.lists(st.tuples(states, st.one_of(st.none(), states), st.booleans()), max_size=20))
def test_every_run_is_told_of_at_most_once(
    changes: list[tuple[RunState, RunState | None, bool]],
) -> None:
    runs = [
        run(str(n), "x", was, user="alice" if mine else "bob", ended_at=ago(hours=9))
        for n, (was, _, mine) in enumerate(changes)
    ]
    after = [
        now_in(one, state)
        for one, (_, state, _) in zip(runs, changes, strict=True)
        if state is not None
    ]
    found = seen(looked(runs), after)
    assert sum(found.mine.values()) <= sum(mine for _, _, mine in changes)
    assert sum(found.others.values()) <= sum(not mine for _, _, mine in changes)
    gone = sum(was in LIVE and state is None for was, state, _ in changes)
    assert found.mine["gone"] + found.others["gone"] == gone
