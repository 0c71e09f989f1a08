"""How the GPUs stood in a window: against every second of the file, and by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.gpu import Share, Tenant
from foundry_tui.estate.node import NodeState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.store.history.window import spanload
from foundry_tui.store.history.window.spans import Rest, Spans
from tests.store.history.estate import WHOLE, minute, opened, past
from tests.store.history.looks import HOT, LOOKS, LOST, Look, Second, record, recorded, truth
from tests.store.history.test_properties import folder, some

BASE = int(minute(0, 0).timestamp())


def loaded(here: Path, start: int, end: int) -> Spans:
    with past(here).reading() as found:
        assert found is not None
        return spanload.load(found, start, end)


def seconds(spans: Spans, edges: Sequence[int], blocks: int = 500) -> list[Second]:
    """The steps second by second."""
    made = []
    for first, last in spans.blocks(blocks):
        steps = spans.steps(first, last, edges)
        for i in range(len(steps.stay)):
            since, until = int(steps.since[i]), int(steps.until[i])
            period = int(steps.period[i])
            assert edges[period] <= since < until <= edges[period + 1]
            kind = spans.kinds[int(steps.kind[i])]
            made += [
                Second(
                    spans.stays[int(steps.stay[i])].gpu,
                    at,
                    tuple(kind.queues),
                    int(steps.held_milli[i]),
                    Rest(int(steps.rest[i])),
                )
                for at in range(since, until)
            ]
    return made


def order(second: Second) -> tuple[int, int]:
    return second.gpu, second.at


@some
@given(LOOKS, st.lists(st.integers(-200, 1500), min_size=2, max_size=4, unique=True))
def test_every_second_is_what_the_file_says(looks: list[Look], cuts: list[int]) -> None:
    with folder() as here:
        recorded(here, *looks)
        edges = [BASE + cut for cut in sorted(cuts)]
        spans = loaded(here, edges[0], edges[-1])
        found = seconds(spans, edges, blocks=2)
        expected = sorted(truth(here, edges[0], edges[-1]), key=order)
        assert sorted(found, key=order) == expected
        assert len({order(second) for second in found}) == len(found)


def rests(here: Path, minutes: tuple[int, int]) -> dict[tuple[str, int], list[tuple[int, Rest]]]:
    """By node and index what was held and what the rest was, in the order of time, once each."""
    edges = [int(minute(n).timestamp()) for n in minutes]
    spans = loaded(here, *edges)
    steps = spans.steps(0, len(spans.stays), edges)
    found: dict[tuple[str, int], list[tuple[int, Rest]]] = {}
    for number, held, rest in zip(steps.stay, steps.held_milli, steps.rest, strict=True):
        stay = spans.stays[int(number)]
        found.setdefault((stay.node, stay.index), []).append((int(held), Rest(int(rest))))
    return found


@pytest.mark.parametrize(
    ("state", "rest"),
    [
        (NodeState.IDLE, Rest.IDLE),
        (NodeState.MIXED, Rest.IDLE),
        (NodeState.ALLOCATED, Rest.IDLE),
        (NodeState.RESERVED, Rest.IDLE),
        (NodeState.DRAINING, Rest.DRAINED),
        (NodeState.DRAINED, Rest.DRAINED),
        (NodeState.MAINTENANCE, Rest.MAINT),
        (NodeState.UNKNOWN, Rest.UNKNOWN),
    ],
)
def test_what_nobody_holds_is_what_its_node_is(
    tmp_path: Path, state: NodeState, rest: Rest
) -> None:
    quarter = (Tenant("alpha/1", 250, Share.FRACTION),)
    look = Look(state=state, tenants=(WHOLE, quarter, ()))
    recorded(tmp_path, look, look, look)
    assert rests(tmp_path, (1, 3)) == {
        ("n1", 0): [(1000, rest)],
        ("n1", 1): [(250, rest)],
        ("n2", 0): [(0, Rest.IDLE)],
    }


def test_on_a_node_that_is_down_nothing_is_allocated(tmp_path: Path) -> None:
    look = Look(state=NodeState.DOWN, tenants=(WHOLE, None, WHOLE))
    recorded(tmp_path, look, look, look)
    assert rests(tmp_path, (1, 3)) == {
        ("n1", 0): [(0, Rest.DOWN)],
        ("n1", 1): [(0, Rest.DOWN)],
        ("n2", 0): [(1000, Rest.IDLE)],
    }


def test_a_lost_gpu_is_down_where_nobody_holds_it_and_a_hot_one_is_not(tmp_path: Path) -> None:
    looks = [Look(fault=LOST), Look(), Look(fault=LOST, tenants=(WHOLE, (), ())), Look(fault=HOT)]
    recorded(tmp_path, *looks, Look())
    assert rests(tmp_path, (1, 5))["n1", 0] == [
        (0, Rest.DOWN), (0, Rest.IDLE), (1000, Rest.DOWN), (0, Rest.IDLE),
    ]  # fmt: skip


def test_r08_where_nobody_tells_who_holds_a_gpu_it_is_not_idle(tmp_path: Path) -> None:
    recorded(tmp_path, Look(tenants=(None, (), ())), Look(), Look())
    assert rests(tmp_path, (1, 3))["n1", 0] == [(0, Rest.UNKNOWN), (0, Rest.IDLE)]


def test_idle_is_stranded_when_the_node_is_used_up(tmp_path: Path) -> None:
    looks = [Look(free_cores=0), Look(free_cores=8), Look(free_cores=None), Look()]
    recorded(tmp_path, *looks)
    found = rests(tmp_path, (1, 4))
    assert found["n1", 0] == [(0, Rest.STRANDED), (0, Rest.IDLE), (0, Rest.UNJUDGED)]
    assert found["n2", 0] == [(0, Rest.IDLE)]


def test_r08_a_silence_is_unknown_and_takes_no_gpu_away(tmp_path: Path) -> None:
    silent = Look(silent=True)
    recorded(tmp_path, Look(), Look(), *[silent] * 6, Look(), Look())
    found = rests(tmp_path, (1, 10))
    assert found["n1", 0] == [(0, Rest.IDLE), (0, Rest.UNKNOWN), (0, Rest.IDLE)]
    edges = [int(minute(n).timestamp()) for n in (1, 10)]
    spans = loaded(tmp_path, *edges)
    steps = spans.steps(0, 1, edges)
    assert (steps.until - steps.since).tolist() == [61, 7 * 60 - 1, 60]
    kinds = {spans.kinds[k].queues for k in steps.kind.tolist()}
    assert kinds == {("gpu",)}, "it stays in its partition meanwhile"


def test_a_source_that_still_does_not_answer_keeps_its_gpus_to_the_last_look(
    tmp_path: Path,
) -> None:
    recorded(tmp_path, Look(), *[Look(silent=True)] * 9)
    edges = [int(minute(n).timestamp()) for n in (1, 20)]
    spans = loaded(tmp_path, *edges)
    steps = spans.steps(0, 1, edges)
    assert (steps.until - steps.since).tolist() == [1, 540]
    assert steps.rest.tolist() == [Rest.IDLE, Rest.UNKNOWN]


def test_a_source_that_is_not_asked_any_more_ends_with_its_last_answer(tmp_path: Path) -> None:
    history = opened(tmp_path)
    number = record(history, [Look()] * 2)
    beta = (Source(name="beta", kind="slurm", state=SourceState.OK),)
    for later in range(number + 1, number + 5):
        history.record(Snapshot(generated_at=minute(later), sources=beta))
    history.close()
    spans = loaded(tmp_path, BASE, int(minute(20).timestamp()))
    assert {stay.until for stay in spans.stays} == {int(minute(number).timestamp()) + 1}


def test_a_swapped_gpu_is_two_stays_and_no_second_is_there_twice(tmp_path: Path) -> None:
    recorded(tmp_path, *[Look(uuid="GPU-A")] * 3, *[Look(uuid="GPU-B")] * 3)
    edges = [BASE, int(minute(6).timestamp())]
    spans = loaded(tmp_path, *edges)
    stays = [(s.uuid, s.since, s.until) for s in spans.stays if (s.node, s.index) == ("n1", 0)]
    assert stays == [
        ("GPU-A-n1-0", BASE, BASE + 180), ("GPU-B-n1-0", BASE + 180, BASE + 365),
    ]  # fmt: skip


@pytest.mark.parametrize("window", [(-600, -300), (3600, 7200), (0, 0)])
def test_a_window_in_which_nothing_was_seen_is_empty(
    tmp_path: Path, window: tuple[int, int]
) -> None:
    recorded(tmp_path, Look(), Look())
    edges = [BASE + second for second in window]
    spans = loaded(tmp_path, *edges)
    assert list(spans.stays) == []
    assert list(spans.blocks(10)) == []
    assert len(spans.steps(0, 0, edges).stay) == 0


def test_what_began_before_a_window_and_ends_after_it_is_cut(tmp_path: Path) -> None:
    recorded(tmp_path, *[Look(tenants=(WHOLE, (), ()))] * 9)
    edges = [int(minute(n).timestamp()) for n in (3, 5, 6)]
    spans = loaded(tmp_path, edges[0], edges[-1])
    steps = spans.steps(0, 1, edges)
    assert list(zip(steps.period, steps.since, steps.until, steps.held_milli, strict=True)) == [
        (0, edges[0], edges[1], 1000), (1, edges[1], edges[2], 1000),
    ]  # fmt: skip


def test_the_history_may_be_written_meanwhile(tmp_path: Path) -> None:
    history = opened(tmp_path)
    number = record(history, [Look()] * 3)
    edges = [BASE, int(minute(number).timestamp())]
    with past(tmp_path).reading() as found:
        assert found is not None
        before = spanload.load(found, *edges)
        record(history, [Look(state=NodeState.DOWN)], number)
        assert spanload.load(found, *edges).stays == before.stays
    history.close()
