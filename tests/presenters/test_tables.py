"""The tables of the nouns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from foundry_tui.estate.queue import Queue
from foundry_tui.estate.run import Placement, Request, Run
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.estate.text import SafeText, cells
from foundry_tui.presenters.page import Listing, Style
from foundry_tui.presenters.tables import (
    gpus_table,
    nodes_table,
    placement_text,
    queues_table,
    run_gpus,
    runs_table,
    where_or_why,
)
from tests.presenters.estate import GPUS, LAB, NODES, NOW, NVML, QUEUES, RUNS, ago


def listing(width: int = 80, sources: Sequence[Source] = (LAB, NVML)) -> Listing:
    """A page of this width."""
    return Listing(now=NOW, sources=sources, style=Style(width=width))


def line_of(text: str, start: str) -> str:
    """The line that begins with this word."""
    found = [line for line in text.split("\n") if line.split(" ")[0] == start]
    assert len(found) == 1, text
    return found[0]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_every_line_of_every_table_fits(width: int) -> None:
    page = listing(width)
    texts = (
        nodes_table(NODES, GPUS, page),
        gpus_table(GPUS, RUNS, page),
        queues_table(QUEUES, page),
        runs_table(RUNS, page),
        runs_table((), page),
    )
    for line in "\n".join(texts).split("\n"):
        assert cells(SafeText(line)) <= width
        assert line.isprintable()


def test_the_runs_at_eighty_columns() -> None:
    expected = """\
RUN        NAME         USER   QUEUE  STATE     GPUS    TIME  WHERE OR WHY  UTIL
17         train-llama  alice  prod   running      6   6h12m  a01:0-5        92%
23         notebook     zoe    prod   running      2   3d00h  a01:6-7         0%
18_1       sweep        bob    prod   running      4   9m30s  a02:0-3          —
18_[2-41]  sweep        bob    prod   pending  4 x40   2h00m  Resources
19         serve-ünïc…  eve    prod   running   0.75  50m00s  a02:4            —
21         pretrain␛[…  carol  prod   pending      8   9h02m  Priority
22         日本語の名…  dan    prod   held       <=2   4m00s  JobHeldUser
11         eval         alice  prod   failed       1     45s  exit 1, Non…

8 rows stand for 47 runs
not shown at 80 columns: submitted, account, qos, priority (--wide shows all)
slurm lab: 3s old
telemetry nvml: OFF, never read (no NVML library on this host)"""
    assert runs_table(RUNS, listing()) == expected


def test_one_glyph_per_gpu() -> None:
    text = nodes_table(NODES, GPUS, listing())
    assert line_of(text, "a01").split()[2] == "99998800"
    assert line_of(text, "a02").split()[2] == "####+.!?"
    assert line_of(text, "a03").split()[2] == "xxxx"
    assert "? unknown" in text.replace("\n", " ")


def test_gpus_that_nobody_described_are_unknown_not_free() -> None:
    text = nodes_table(NODES, (), listing())
    assert line_of(text, "a01").split()[2] == "????????"


def test_the_legend_explains_only_what_is_there() -> None:
    text = nodes_table(NODES[2:], GPUS, listing())
    assert "GPUs: x node takes no work" in text
    assert "tens of %" not in text


def test_gpus_tell_their_owner_and_unknown_tenants() -> None:
    text = gpus_table(GPUS, RUNS, listing(140))
    lines = text.split("\n")
    assert "zoe" in lines[7]
    assert lines[7].split()[7:10] == ["23", "2d06h", "54"]
    assert "in use by a run that this user may not see" in lines[16]
    assert lines[16].split()[5:8] == ["—", "—", "—"]


def test_queues_stand_below_their_parents_even_with_one_name() -> None:
    def queue(name: str, parent: str | None) -> Queue:
        return Queue(name=name, source="rai", kind="project", parent=parent)

    queues = (
        queue("nlp", None),
        queue("vision", None),
        queue("nlp", "nlp"),
        queue("a", "b"),
        queue("b", "a"),
    )
    lines = queues_table(queues, listing(sources=(LAB,))).split("\n")[1:6]
    names = [line[: line.index("project")].rstrip() for line in lines]
    assert names == ["nlp", "  nlp", "vision", "a", "  b"]


def test_sources_are_named_where_several_are_shown() -> None:
    other = replace(RUNS[0], id="rai/x", native_id="x", source="rai")
    assert line_of(runs_table((RUNS[1], other), listing(160)), "x").endswith("rai")
    assert "SOURCE" not in runs_table(RUNS, listing(200))
    assert "SOURCE" not in nodes_table(NODES, GPUS, listing(200))
    twice = (*NODES, replace(NODES[0], source="rai"))
    assert "SOURCE" in nodes_table(twice, GPUS, listing(200)).split("\n")[0]


def test_a_stale_source_is_told_with_age_and_reason() -> None:
    down = Source(
        name="lab",
        kind="slurm",
        state=SourceState.DOWN,
        read_at=ago(minutes=5),
        reason="squeue: no answer in 10 s",
    )
    text = runs_table(RUNS, listing(sources=(down,)))
    assert text.endswith("slurm lab: DOWN, 5m old (squeue: no answer in 10 s)")


def test_an_empty_table_says_why_and_what_to_do() -> None:
    filtered = replace(listing(), where="state=failed", total=212)
    assert runs_table((), filtered).startswith("No run matches `state=failed`; 212 runs in all.")
    assert runs_table((), listing()).startswith("No run: lab told of none.")
    assert "foundry doctor" in nodes_table((), (), listing(sources=()))
    never = replace(LAB, read_at=None, state=SourceState.DOWN)
    assert "no source was ever read" in nodes_table((), (), listing(sources=(never,)))


def test_notes_stand_below_the_table() -> None:
    page = replace(listing(), notes=("finished runs are not shown",))
    assert "note: finished runs are not shown" in runs_table(RUNS, page)


def test_colour_changes_no_letter() -> None:
    plain = runs_table(RUNS, listing())
    coloured = runs_table(RUNS, replace(listing(), style=Style(colour=True)))
    for code in (0, 31, 32, 33, 90):
        coloured = coloured.replace(f"\x1b[{code}m", "")
    assert coloured == plain


@pytest.mark.parametrize(
    ("parts", "shown"),
    [
        ((), ""),
        ((Placement("h01", (3, 1, 0, 2, 6)),), "h01:0-3,6"),
        ((Placement("h01"), Placement("h02", None)), "h01 h02:?"),
    ],
)
def test_placements(parts: tuple[Placement, ...], shown: str) -> None:
    assert placement_text(parts) == shown


@pytest.mark.parametrize(
    ("request_", "shown"),
    [
        (Request(), "0"),
        (Request(gpu_count=1, gpu_milli=250), "0.25"),
        (Request(gpu_count=2, gpu_milli=None), "<=2"),
        (Request(gpu_milli=None), "—"),
    ],
)
def test_asked_gpus(request_: Request, shown: str) -> None:
    assert run_gpus(replace(RUNS[0], request=request_)) == shown


@pytest.mark.parametrize(
    ("run", "shown"),
    [(RUNS[0], "a01:0-5"), (RUNS[5], "Priority"), (RUNS[7], "exit 1, NonZeroExitCode")],
)
def test_where_or_why(run: Run, shown: str) -> None:
    assert where_or_why(run) == shown
