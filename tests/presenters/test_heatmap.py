"""The map of GPUs: widths hold, what is unknown is no digit, and the folds follow the size."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tui.estate.gpu import Gpu, GpuSlice, Share, Tenant
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.reading import Fault, FaultKind
from foundry_tui.estate.run import Placement, RunState
from foundry_tui.estate.text import SafeText, cells, safe
from foundry_tui.presenters.heatmap import (
    NODE_GLYPHS,
    NODE_LINES,
    RACK_NODES,
    GpuMap,
    Parts,
    gpu_map,
    head_words,
    racks,
)
from foundry_tui.presenters.nodeuse import Tally, add, node_uses, owner_words, shortened
from foundry_tui.presenters.totals import gpu_totals
from tests.estate.test_text import HOSTILE
from tests.presenters.estate import GPUS, NODES, NOW, RUNS, ago, gpu, run

GB = 1 << 30


def node(name: str, state: NodeState = NodeState.MIXED, count: int = 8, **fields: object) -> Node:
    """A node of the cluster."""
    base = Node(name=name, source="lab", state=state, gpu_count=count, gpu_model="h100")
    return replace(base, **fields)  # type: ignore[arg-type]


def busy(name: str, utils: list[float | None], run_id: str = "lab/17") -> list[Gpu]:
    """GPUs of one node that a run holds, with these readings."""
    return [gpu(name, i, Tenant(run_id, 1000), util_pct=util) for i, util in enumerate(utils)]


def measured(one: Gpu, power_w: float = 500.0) -> Gpu:
    """The GPU with memory and power read."""
    return replace(one, mem_used_bytes=40 * GB, mem_total_bytes=80 * GB, power_w=power_w)


def drawn(found: GpuMap) -> list[str]:
    """The lines without tones."""
    return [text(line) for line in found.lines]


def text(line: Parts) -> str:
    """A line without tones."""
    return "".join(part for part, _ in line)


def map_of(
    nodes: list[Node] | tuple[Node, ...], gpus: list[Gpu] | tuple[Gpu, ...], width: int = 78
) -> GpuMap:
    """The map at this width."""
    return gpu_map(nodes, gpus, RUNS, now=NOW, width=width)


def test_a_line_says_what_each_gpu_does_and_whose_it_is() -> None:
    gpus = [measured(g) for g in busy("a01", [95, 91, 83, 72, 61, 55, 40, 100])]
    found = map_of([node("a01")], gpus, width=60)
    assert drawn(found) == [" a01  9987 6549  75%  50%  4.0 alice" + " " * 24]
    assert text(found.title).split() == ["node", "GPU", "0..", "util", "mem", "kW", "owner"]


def test_the_columns_of_the_title_stand_above_their_values() -> None:
    found = map_of(NODES, GPUS, width=120)
    title, first = text(found.title), drawn(found)[0]
    assert title[1:5] == "node" and first[1:4] == "a01"
    at = title.index("util")
    assert first[at : at + 4].strip() in ("—", "93%", "92%", "69%")
    assert cells(SafeText(title)) == cells(SafeText(first)) == 118


def test_unknown_is_told_and_never_a_number() -> None:
    unknown = [replace(gpu("b03", i), tenants=None) for i in range(8)]
    found = map_of([node("b03")], unknown)
    assert drawn(found)[0].split() == ["?b03", "????", "????", "no", "data"]
    assert "unknown 8" in found.head and "use not measured" in found.head


def test_a_node_that_is_silent_while_others_are_measured_has_no_data() -> None:
    gpus = [*busy("a01", [50.0] * 8), *busy("b03", [None] * 8, "lab/23")]
    lines = drawn(map_of([node("a01"), node("b03")], gpus))
    assert "?b03  #### #### no data  zoe" in lines[0]
    alone = drawn(map_of([node("b03")], gpus[8:]))
    assert alone[0].startswith(" b03  #### ####    —")


def test_memory_and_power_of_a_part_are_not_those_of_the_node() -> None:
    gpus = [measured(g) for g in busy("a01", [90.0] * 8)]
    gpus[3] = replace(gpus[3], power_w=None, mem_used_bytes=None, util_pct=None)
    assert drawn(map_of([node("a01")], gpus))[0].split()[:6] == [
        "a01",
        "999#",
        "9999",
        "—",
        "—",
        "—",
    ]


def test_a_missing_device_is_unknown_and_takes_the_sums_with_it() -> None:
    found = map_of([node("a01")], [measured(g) for g in busy("a01", [90.0] * 6)])
    assert drawn(found)[0].split()[:4] == ["a01", "9999", "99??", "—"]
    assert "unknown 2" in found.head


@pytest.mark.parametrize(
    ("state", "reason", "words"),
    [
        (NodeState.DRAINED, "ECC", "xb06  xxxx xxxx drained 3h: ECC"),
        (NodeState.DOWN, None, "xb06  xxxx xxxx down 3h"),
        (NodeState.MAINTENANCE, "firmware", "xb06  xxxx xxxx maintenance 3h: firmw"),
        (NodeState.IDLE, None, " b06  .... .... free"),
        (NodeState.UNKNOWN, None, "?b06  xxxx xxxx no data"),
    ],
)
def test_what_stands_for_a_node_that_does_nothing(
    state: NodeState, reason: str | None, words: str
) -> None:
    one = node(
        "b06",
        state,
        reason=safe(reason) if reason else None,
        reason_since=ago(hours=3) if state is not NodeState.IDLE else None,
    )
    found = map_of([one], [gpu("b06", i) for i in range(8)])
    assert drawn(found)[0].startswith(words)


def test_a_draining_node_still_tells_of_the_runs_on_it() -> None:
    found = map_of([node("b06", NodeState.DRAINING)], busy("b06", [70.0] * 8), width=60)
    assert drawn(found)[0].startswith("xb06  7777 7777  70%    —    — alice draining")


def test_idle_is_marked_when_it_is_known_since_when_or_all_of_the_node_does_nothing() -> None:
    idle_since = ago(hours=1)
    part = busy("a01", [0.0, *[80.0] * 7])
    known = [replace(part[0], idle_since=idle_since), *part[1:]]
    for gpus, mark in ((part, " "), (known, "!"), (busy("a01", [0.0] * 8), "!")):
        assert drawn(map_of([node("a01")], gpus))[0][0] == mark
    half = [*busy("a01", [0.0] * 4), *[gpu("a01", 4 + i) for i in range(4)]]
    assert drawn(map_of([node("a01")], half))[0].startswith("!a01  0000 ....")


def test_mig_tells_no_use_of_the_whole_device() -> None:
    cut = [
        replace(
            gpu("a05", i, Tenant("lab/17", 140, Share.MIG)),
            slices=(GpuSlice(uuid=None, profile="1g", milli=140),),
        )
        for i in range(8)
    ]
    assert drawn(map_of([node("a05")], cut))[0].startswith(" a05  ++++ ++++  MIG")


def test_owners_by_how_much_they_hold_with_the_number_of_others() -> None:
    gpus = [*busy("a01", [1.0] * 3, "lab/18_1"), *busy("a01", [1.0] * 2, "lab/nobody")]
    gpus = [replace(g, index=i) for i, g in enumerate(gpus)]
    gpus.append(gpu("a01", 5, Tenant("lab/17", 500, Share.SHARD), Tenant("lab/19", 500)))
    found = map_of([node("a01", count=6)], gpus, width=60)
    assert drawn(found)[0].rstrip().endswith("bob +3")
    assert owner_words({"a-very-long-name": 4, "b": 1}, 8) == "a-ve… +1"
    assert owner_words({}, 8) == ""


def test_runs_whose_gpus_are_not_told_count_as_owners() -> None:
    hidden = [replace(gpu("a01", i), tenants=None) for i in range(8)]
    holder = run("5", "x", RunState.RUNNING, user="gil", placement=(Placement("a01", None),))
    found = gpu_map([node("a01")], hidden, [holder], now=NOW, width=60)
    assert drawn(found)[0].startswith("?a01  ???? ???? no data  gil")


def test_two_columns_at_80_and_more_only_as_far_as_the_height_asks() -> None:
    nodes = [node(f"a{i:02}") for i in range(12)]
    gpus = [g for n in nodes for g in busy(n.name, [50.0] * 8)]

    def deep(width: int, height: int = 0) -> int:
        return len(gpu_map(nodes, gpus, RUNS, now=NOW, width=width, height=height).lines)

    assert deep(78, 6) == 6
    assert deep(78, 30) == 6
    assert deep(60, 30) == 12
    assert deep(200, 3) == 3
    assert deep(200, 30) == 3  # a line gains nothing from more than 64 cells
    assert deep(200) == 3
    assert deep(130, 30) == 4
    first = gpu_map(nodes, gpus, RUNS, now=NOW, width=78, height=6).cells
    assert [(c.key, c.line, c.x) for c in first[5:7]] == [("lab/a05", 5, 0), ("lab/a06", 0, 40)]


def test_names_sort_by_their_numbers_and_lose_their_middle_not_their_end() -> None:
    names = ["gpu-node-with-a-long-name-010", "gpu-node-with-a-long-name-009", "a2", "a10"]
    lines = drawn(map_of([node(n) for n in names], [], width=40))
    assert [line.split()[0] for line in lines] == [
        "?a2",
        "?a10",
        "?gpu-nod…name-009",
        "?gpu-nod…name-010",
    ]
    assert shortened("short", 16) == "short"
    assert cells(shortened("訓練" * 20, 9)) <= 9


def test_nodes_without_gpus_are_not_on_the_map() -> None:
    assert len(map_of(NODES, GPUS).cells) == 3
    empty = map_of([node("login", count=0)], [])
    assert (empty.lines, empty.cells, empty.title) == ((), (), ())
    assert empty.head == "GPUs: none is known"


def head(gpus: list[Gpu], width: int = 99, *, idle_after_s: float = 60.0) -> str:
    """The totals of one node."""
    sums = gpu_totals([node("a01")], gpus, NOW, idle_after_s=idle_after_s)
    return head_words(sums, width)


def test_the_head_tells_allocated_and_used_apart() -> None:
    gpus = [*busy("a01", [90.0] * 4), *[gpu("a01", 4 + i, util_pct=0.0) for i in range(4)]]
    assert head(gpus) == "GPUs 8 · allocated 4 · used 90% · idle but allocated 0"
    idle = [replace(g, util_pct=0.0, idle_since=ago(hours=1)) for g in gpus[:4]] + gpus[4:]
    assert "4 idle but allocated, 4 GPU-h lost" in head(idle)
    assert "allocated at 0% now 4" in head(idle, idle_after_s=3601.0)
    now_only = [replace(g, idle_since=None) for g in idle]
    assert "allocated at 0% now 4" in head(now_only)
    part = [replace(gpus[0], util_pct=None), *gpus[1:]]
    assert "used 90% (3 of 4 measured)" in head(part)
    unread = [replace(g, util_pct=None) for g in gpus]
    assert head(unread) == "GPUs 8 · allocated 4 · use not measured"
    assert head(idle, 60) == "GPUs 8 · allocated 4 · used 0% · 4 idle, 4 GPU-h"
    assert head([replace(g, tenants=()) for g in gpus]) == "GPUs 8 · allocated 0"


def test_a_faulty_gpu_has_a_sign_of_its_own() -> None:
    ill, fine = gpu("a01", 0, Tenant("lab/1", 1000), util_pct=95.0), busy("a01", [95.0] * 8)[1:]
    lost = replace(ill, faults=(Fault(kind=FaultKind.LOST, words=safe("lost"), grave=True),))
    found = map_of([node("a01")], [lost, *fine])
    assert "F999 9999" in "".join(text for text, _ in found.lines[0])
    assert "F faulty" in found.legend
    warm = replace(ill, faults=(Fault(kind=FaultKind.THROTTLED, words=safe("throttled: heat")),))
    assert "F" not in map_of([node("a01")], [warm, *fine]).legend


def test_the_legend_explains_what_occurs_and_nothing_else() -> None:
    gpus = [*busy("a01", [90.0] * 7), gpu("a01", 7)]
    found = map_of([node("a01")], gpus)
    assert "tens of %" in found.legend and ". free" in found.legend
    assert "?" not in found.legend and "idle" not in found.legend


# -- folds


def cluster(count: int) -> tuple[list[Node], list[Gpu]]:
    """Nodes with one busy GPU each."""
    nodes = [node(f"h{i + 1:04}", count=1) for i in range(count)]
    return nodes, [g for n in nodes for g in busy(n.name, [55.0])]


@pytest.mark.parametrize(
    ("count", "fold"),
    [
        (NODE_LINES, "nodes"),
        (NODE_LINES + 1, "glyphs"),
        (NODE_GLYPHS, "glyphs"),
        (NODE_GLYPHS + 1, "racks"),
    ],
)
def test_the_fold_follows_the_number_of_nodes(count: int, fold: str) -> None:
    found = map_of(*cluster(count))
    assert found.fold == fold
    keys = [key for cell in found.cells for key in cell.nodes]
    assert len(keys) == len(set(keys)) == count


def test_a_folded_node_stands_where_its_cell_says() -> None:
    nodes, gpus = cluster(100)
    gpus[40] = replace(gpus[40], tenants=())
    found = map_of(nodes, gpus)
    lines = drawn(found)
    cell = next(c for c in found.cells if c.key == "lab/h0041")
    assert lines[cell.line][cell.x] == "."
    assert "97%" in lines[cell.line]
    assert lines[0].startswith("h0001-0032 5555")


def test_racks_are_names_that_differ_in_the_last_number() -> None:
    names = ["r1n1", "r1n2", "r2n1", "login", "head", "gpu7.site"]
    labels = {r.label for r in racks(node_uses([node(n) for n in names], [], NOW))}
    assert labels == {"r1n1-2", "r2n1", "login-head", "gpu7.site"}
    many = racks(node_uses(cluster(70)[0], [], NOW))
    assert [len(r.uses) for r in many] == [RACK_NODES, RACK_NODES, 6]


def test_a_rack_tells_how_much_is_used_and_how_much_is_allocated() -> None:
    nodes, gpus = cluster(NODE_GLYPHS + 24)
    for n in range(16):
        gpus[n] = replace(gpus[n], tenants=())
    gpus[32] = replace(gpus[32], tenants=None)
    for n in range(64, 96):
        nodes[n] = replace(nodes[n], state=NodeState.DOWN)
        gpus[n] = replace(gpus[n], tenants=(), util_pct=None)
    words = [line.split() for line in drawn(map_of(nodes, gpus, width=18))[:3]]
    assert words == [
        ["h0001-0032", "5", "50%"],
        ["?h0033-0064", "5", "100%"],
        ["xh0065-0096", "x", "0%"],
    ]


@pytest.mark.parametrize(
    ("tally", "glyph"),
    [
        (Tally(), "?"),
        (Tally(unknown=8), "?"),
        (Tally(known=8), "."),
        (Tally(known=8, closed=8), "x"),
        (Tally(known=8, allocated_milli=8000, held=8), "#"),
        (Tally(known=8, allocated_milli=1000, held=1), "+"),
        (Tally(known=8, allocated_milli=8000, held=8, measured=2, util_sum_pct=110), "5"),
        (Tally(known=8, allocated_milli=8000, held=8, measured=8, util_sum_pct=800), "9"),
    ],
)
def test_one_glyph_for_many(tally: Tally, glyph: str) -> None:
    assert tally.glyph == glyph


# -- whatever the estate is like

raw_names = st.one_of(
    st.sampled_from([f"a{i:02}" for i in range(30)]),
    st.text(max_size=30),
    st.sampled_from([v for v in HOSTILE.values() if isinstance(v, str) and len(v) < 999]),
)
devices = st.builds(
    lambda tenants, util, power, used: (tenants, util, power, used),
    st.sampled_from([None, (), (Tenant("lab/17", 1000),), (Tenant("x", 250, Share.SHARD),) * 3]),
    st.one_of(st.none(), st.floats(0, 100)),
    st.one_of(st.none(), st.floats(0, 1000)),
    st.one_of(st.none(), st.integers(0, 80 * GB)),
)
estates = st.lists(
    st.tuples(
        raw_names,
        st.sampled_from(NodeState),
        st.integers(0, 20),
        st.lists(devices, max_size=16),
    ),
    max_size=12,
    unique_by=lambda one: one[0],
)


def built(
    estate: list[tuple[str, NodeState, int, list[tuple[object, ...]]]],
) -> tuple[list[Node], list[Gpu]]:
    """The nouns of a drawn estate."""
    nodes = [node(name, state, count) for name, state, count, _ in estate]
    gpus = [
        replace(
            gpu(name, i),
            tenants=tenants,  # type: ignore[arg-type]
            util_pct=util,  # type: ignore[arg-type]
            power_w=power,  # type: ignore[arg-type]
            mem_used_bytes=used,  # type: ignore[arg-type]
            mem_total_bytes=80 * GB,
        )
        for name, _, _, described in estate
        for i, (tenants, util, power, used) in enumerate(described)
    ]
    return nodes, gpus


@settings(max_examples=80, deadline=None)
@given(estates, st.integers(1, 220), st.integers(0, 40), st.integers(1, 60))
def test_lines_have_one_width_and_hold_safe_text(
    estate: list[tuple[str, NodeState, int, list[tuple[object, ...]]]],
    width: int,
    height: int,
    copies: int,
) -> None:
    nodes, gpus = built(estate)
    if copies > 20:  # enough nodes to be folded
        nodes = [replace(n, name=f"{n.name}{i}") for n in nodes for i in range(copies)]
    found = gpu_map(nodes, gpus, RUNS, now=NOW, width=width, height=height)
    for line in [found.title, *found.lines]:
        assert cells(SafeText(text(line))) <= width
        assert safe(text(line), max_cells=9999) == text(line)
    for cell in found.cells:
        assert 0 <= cell.line < len(found.lines)
        assert 0 <= cell.x < max(1, width)
    assert len({(c.line, c.x) for c in found.cells}) == len(found.cells)


@settings(max_examples=80, deadline=None)
@given(estates)
def test_counts_add_up_and_only_readings_become_digits(
    estate: list[tuple[str, NodeState, int, list[tuple[object, ...]]]],
) -> None:
    nodes, gpus = built(estate)
    uses = node_uses(nodes, gpus, NOW)
    whole = add(use.tally for use in uses)
    assert whole.known == sum(g.tenants is not None for g in gpus)
    assert whole.known + whole.unknown == sum(
        max(n.gpu_count, len(d[3])) for n, d in zip(nodes, estate, strict=True)
    )
    held = [g for g in gpus if g.milli_allocated]
    assert whole.held == len(held)
    assert whole.measured == sum(g.util_pct is not None for g in held)
    for use in uses:
        unheld = sum(g.tenants is None and g.util_pct is not None for g in use.gpus)
        digits = sum(c.isdecimal() for c in use.glyphs)
        assert digits == use.tally.measured + unheld
        assert use.tally.glyph.isdecimal() == bool(use.tally.measured)
        assert use.glyphs.count("?") == use.tally.unknown - unheld
