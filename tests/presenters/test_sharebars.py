"""Bars of queues: every part has its place, none is too small, and lines keep to their width."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.queue import Queue, tree
from foundry_tui.estate.text import SafeText, cells
from foundry_tui.presenters.page import Listing, Style
from foundry_tui.presenters.queuebars import queue_bar_rows
from foundry_tui.presenters.queueshare import Part, key_of, parts
from foundry_tui.presenters.sharebars import MOST_BARS, MOST_TOLD, share_bar, share_panel, told
from foundry_tui.presenters.tables import queues_table
from tests.presenters.estate import NOW


def queue(name: str, held: int | None, quota: int | None = 4000, **fields: Any) -> Queue:
    """A queue of a cluster of 16 GPUs, so that a cell of 16 is one GPU."""
    values: dict[str, Any] = {"kind": "queue", "total_gpu_milli": 16_000, **fields}
    asked = values.pop("asked", 0)
    return Queue(
        name=name,
        source="k",
        allocated_gpu_milli=held,
        quota_gpu_milli=quota,
        requested_gpu_milli=asked,
        **values,
    )


def drawn(one: Queue, *others: Queue, width: int = 16, ascii_only: bool = True) -> str:
    found = parts([one, *others])
    return share_bar(one, found[key_of(one)], width, ascii_only=ascii_only)


OTHER = queue("other", 9000, 4000)


@pytest.mark.parametrize(
    ("one", "others", "bar"),
    [
        (queue("a", 4000), (), "####            "),
        (queue("a", 7000), (), "####===         "),
        (queue("a", 1000), (), "#...            "),
        (queue("a", 2000, asked=5000), (), "##..---         "),
        (queue("a", 1000, asked=1000), (), "#.>.            "),
        (queue("a", 1000, asked=2000, fair_share_gpu_milli=3000), (), "#..|            "),
        (queue("a", 2000, 6000), (OTHER,), "##....          "),
        (queue("a", 6000, 9000), (OTHER,), "######.<<       "),
        (queue("a", 5000, fair_share_gpu_milli=7000), (), "####=  |        "),
        (queue("a", 0, limit_gpu_milli=9000), (), "....     ]      "),
        (queue("a", 0, 0, asked=20_000, fair_share_gpu_milli=16_000), (), "-" * 15 + "|"),
        (queue("a", 3000, None, asked=2000), (), "###--           "),
        (queue("a", 0, 40_000), (), "." * 15 + "+"),
        (queue("a", 100, 4000, asked=0), (), "#...            "),
        (queue("a", 4010), (), "####=           "),
    ],
)
def test_every_part_has_its_place(one: Queue, others: tuple[Queue, ...], bar: str) -> None:
    assert drawn(one, *others) == bar


def test_the_glyphs_are_words_of_the_legend() -> None:
    one, lender = queue("a", 9000, 4000, asked=9000), queue("b", 1000, 6000)
    lines = told([(one, 0), (lender, 0)], [one, lender], 80, ascii_only=False)
    assert lines[0].startswith("a ████")
    assert "▓" in lines[0]
    assert "‹" not in lines[1]
    assert "▓ over the quota" in " ".join(lines)
    plain = told([(one, 0), (lender, 0)], [one, lender], 80, ascii_only=True)
    assert all(line.isascii() for line in plain)


def test_a_queue_without_a_part_has_no_bar() -> None:
    partition = queue("p", 1000, kind="partition")
    for one in (partition, queue("x", None)):
        assert share_bar(one, Part(), 9, ascii_only=True) == ""
        assert told([(one, 0)], [one], 80, ascii_only=True) == []
        assert share_panel(one, [one], 60, ascii_only=True) == []
    rows = queue_bar_rows([partition, queue("a", 7000)], (), ascii_only=True)
    place = rows.place("use")
    assert place is not None
    assert rows.cells(partition, NOW)[place] == "####............"
    assert rows.cells(queue("a", 7000), NOW)[place] == "####===         "


amounts = st.none() | st.integers(0, 40_000)


@given(
    st.builds(
        queue,
        st.just("a"),
        st.integers(0, 16_000),
        amounts,
        asked=amounts,
        fair_share_gpu_milli=amounts,
        limit_gpu_milli=amounts,
    ),
    st.integers(1, 60),
    st.booleans(),
)
def test_a_bar_is_as_wide_as_it_was_asked_for(one: Queue, width: int, ascii_only: bool) -> None:
    bar = drawn(one, width=width, ascii_only=ascii_only)
    assert cells(SafeText(bar)) == width
    assert set(bar) <= set("#=.<->|]+ " if ascii_only else "█▓░‹·>|]+ ")


SITE = [
    queue("research", 9000, 6000),
    queue("a-team-with-a-very-long-name-that-has-no-room", 6000, 3000, parent="research"),
    queue("日本語", 3000, 3000, parent="research", asked=2500),
    queue("product", 1000, 8000, limit_gpu_milli=12_000),
]


@pytest.mark.parametrize("width", [24, 40, 80, 200])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_lines_keep_to_the_width(width: int, ascii_only: bool) -> None:
    lines = told(tree(SITE), SITE, width, ascii_only=ascii_only)
    assert len(lines) >= 2 * len(SITE) + 1
    assert all(cells(SafeText(line)) <= width for line in lines)
    for one in SITE:
        shown = [
            "".join(t for t, _ in part)
            for part in share_panel(one, SITE, width, ascii_only=ascii_only)
        ]
        assert all(cells(SafeText(line)) <= width for line in shown)


def test_the_panel_shows_the_tree_and_marks_the_queue() -> None:
    lines = [
        "".join(t for t, _ in line) for line in share_panel(SITE[2], SITE, 60, ascii_only=True)
    ]
    assert lines[0].startswith(" 日本語 holds 3 of 16 GPUs, 3 deserved.")
    bars = [line for line in lines if "#" in line and "deserved" not in line]
    assert [line[0] for line in bars] == [" ", " ", ">", " "]
    assert [line.split()[0] for line in bars][::3] == ["research", "product"]
    assert bars[2].endswith("3/3")


def test_a_large_tree_is_cut_around_the_queue() -> None:
    root = queue("root", 16_000, 16_000)
    many = [root, *(queue(f"q{n:02}", 100, 100, parent="root") for n in range(60))]
    lines = [
        "".join(t for t, _ in line) for line in share_panel(many[40], many, 60, ascii_only=True)
    ]
    bars = [line for line in lines if "/0.1" in line]
    assert len(bars) == MOST_BARS
    assert sum(line.startswith(">   q39") for line in bars) == 1
    assert f"  and {61 - MOST_BARS} more queues" in lines
    words = told(tree(many), many, 80, ascii_only=True)
    assert words[-1] == f"{61 - MOST_TOLD} more share it: a filter picks them"


def test_the_table_tells_each_queue_that_shares_in_a_sentence() -> None:
    page = Listing(now=NOW, style=Style(width=80))
    text = queues_table(SITE[3:], page, SITE)
    assert "product holds 1 of 16 GPUs, 8 deserved; 1 lent to research." in text
    assert "research" not in text.split("product")[0]
    slurm = [replace(q, kind="partition") for q in SITE]
    assert "deserved" not in queues_table(slurm, page, slurm)
