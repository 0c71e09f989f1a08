"""Bars of use: full means all of it, empty none of it, and unknown is no bar."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.queue import Queue
from foundry_tui.estate.run import RunState
from foundry_tui.estate.text import cells
from foundry_tui.presenters.bars import bar, queue_lines
from tests.estate.test_text import HOSTILE
from tests.presenters.estate import NOW, QUEUES, RUNS, run


@pytest.mark.parametrize(
    ("used", "of", "shown"),
    [
        (0, 64_000, "░░░░░░░░"),
        (1, 64_000, "█░░░░░░░"),
        (48_000, 64_000, "██████░░"),
        (63_999, 64_000, "███████░"),
        (64_000, 64_000, "████████"),
        (64_001, 64_000, "███████+"),
        (0, 0, "░░░░░░░░"),
        (500, 0, "███████+"),
        (None, 64_000, ""),
        (48_000, None, ""),
    ],
)
def test_a_bar(used: int | None, of: int | None, shown: str) -> None:
    assert bar(used, of, 8, ascii_only=False) == shown
    ascii_bar = bar(used, of, 8, ascii_only=True)
    assert ascii_bar == shown.replace("█", "#").replace("░", ".")


@given(
    st.one_of(st.none(), st.integers(0, 10**7)),
    st.one_of(st.none(), st.integers(0, 10**7)),
    st.integers(0, 60),
)
def test_a_bar_never_lies_about_nothing_all_or_too_much(
    used: int | None, of: int | None, width: int
) -> None:
    found = bar(used, of, width, ascii_only=True)
    if used is None or of is None or not width:
        assert found == ""
        return
    assert cells(found) == width
    assert found.endswith("+") == (used > of)
    if used <= of and width > 1:
        assert ("#" in found) == (used > 0)
        assert ("." in found) == (used < of or of == 0)


def queue(name: str, **fields: object) -> Queue:
    """A project of the cluster."""
    base = Queue(name=name, source="lab", kind="project", running=3, waiting=7)
    return replace(base, **fields)  # type: ignore[arg-type]


def test_the_lines_of_queues() -> None:
    queues = [
        queue("prod", quota_gpu_milli=64_000, allocated_gpu_milli=48_000, oldest_wait_s=7800.0),
        queue("research", quota_gpu_milli=16_000, allocated_gpu_milli=18_000),
        replace(QUEUES[1], waiting=0),
        queue("dark", running=None, waiting=None),
    ]
    soon = run("9", "x", RunState.PENDING, queue="prod,research")
    starts = [
        replace(soon, estimated_start_at=NOW + timedelta(hours=2)),
        replace(soon, estimated_start_at=NOW + timedelta(hours=1)),
        replace(soon, queue="research", estimated_start_at=NOW - timedelta(minutes=1)),
    ]
    head, lines = queue_lines(queues, starts, now=NOW, width=78)
    assert head.split() == ["queue", "sched", "run", "wait", "GPUs", "oldest", "start"]
    words = [line.text.split() for line in lines]
    assert words[0][:5] == ["prod", "slurm", "3", "7", "48/64"]
    assert words[0][-3:] == ["2h10m", "in", "1h00m"]
    assert words[1][4] == "18/16" and words[1][5].endswith("+") and words[1][-2:] == ["now", "due"]
    assert words[2][4:7] == ["0", "of", "12"] and set(words[2][7]) == {"░"}
    assert words[2][-2:] == ["-", "-"]
    assert words[3] == ["dark", "slurm", "—", "—", "—/—", "—", "—"]
    assert [line.over for line in lines] == [False, True, False, False]
    assert lines[0].key == "lab/prod"


def test_what_has_no_room_goes_and_the_name_stays() -> None:
    for width in (78, 60, 50, 40, 30, 20, 10, 3):
        head, lines = queue_lines(QUEUES, RUNS, now=NOW, width=width)
        for text in [head, *(line.text for line in lines)]:
            assert cells(text) <= width
        if width >= 20:
            assert lines[0].text.startswith("prod")


@given(
    st.lists(
        st.builds(
            queue,
            st.one_of(
                st.text(max_size=40),
                st.sampled_from([v for v in HOSTILE.values() if isinstance(v, str)]),
            ),
            quota_gpu_milli=st.one_of(st.none(), st.integers(0, 10**6)),
            allocated_gpu_milli=st.one_of(st.none(), st.integers(0, 10**6)),
            waiting=st.one_of(st.none(), st.integers(0, 10**5)),
            oldest_wait_s=st.one_of(st.none(), st.floats(0, 1e7)),
        ),
        max_size=8,
    ),
    st.integers(1, 200),
)
def test_lines_keep_to_their_width(queues: list[Queue], width: int) -> None:
    head, lines = queue_lines(queues, RUNS, now=NOW, width=width)
    assert len(lines) == len(queues)
    assert all(cells(text) <= width for text in [head, *(line.text for line in lines)])
