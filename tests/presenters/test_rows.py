"""What a live table knows of each noun agrees with the tables and filters of the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from foundry_tui.estate.node import NodeState
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.reading import Fault, FaultKind
from foundry_tui.estate.run import Request, Run, RunState
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.presenters import csvout, tables
from foundry_tui.presenters.filterable import gpu_fields, node_fields, queue_fields, run_fields
from foundry_tui.presenters.queuebars import queue_bar_rows
from foundry_tui.presenters.rows import (
    GLYPH_TONES,
    IDLE_ROWS,
    RUN_ROWS,
    Rows,
    gpu_rows,
    live_first,
    node_rows,
    queue_rows,
    sort_letters,
)
from foundry_tui.presenters.rows.fractions import COST_ROWS, FRACTION_ROWS
from foundry_tui.presenters.rows.journal import JOURNAL_ROWS
from foundry_tui.presenters.rows.model import natural
from foundry_tui.presenters.rows.moves import MOVE_ROWS
from foundry_tui.presenters.rows.report import NOTHING_YET
from foundry_tui.presenters.rows.tradeoffs import TRADEOFF_ROWS
from tests.presenters.estate import GPUS, NODES, NOW, QUEUES, RUNS, ago, run

MODELS: list[tuple[Rows[Any], Sequence[Any], Any]] = [
    (RUN_ROWS, RUNS, lambda one: run_fields(one, NOW)),
    (node_rows(GPUS), NODES, node_fields),
    (gpu_rows(RUNS), GPUS, lambda one: gpu_fields(one, NOW)),
    (queue_rows(QUEUES), QUEUES, queue_fields),
]
EACH = pytest.mark.parametrize(("model", "nouns", "fields"), MODELS, ids=lambda m: str(m)[:0])


def column_values(model: Rows[Any], column_id: str, nouns: Sequence[Any]) -> list[Any]:
    """What each noun is sorted by in a column."""
    place = model.place(column_id)
    assert place is not None
    return [model.columns[place].order(one, NOW) for one in nouns]


@EACH
def test_every_field_of_the_filter_language_is_answered(
    model: Rows[Any], nouns: Sequence[Any], fields: Any
) -> None:
    for noun in nouns:
        get = model.get(noun, NOW)
        assert {name: get(name) for name in model.fields} == fields(noun)


@EACH
def test_cells_and_columns_belong_together(
    model: Rows[Any], nouns: Sequence[Any], fields: Any
) -> None:
    assert len({column.id for column in model.columns}) == len(model.columns)
    for noun in nouns:
        assert len(model.cells(noun, NOW)) == len(model.columns)


@EACH
def test_keys_tell_rows_apart(model: Rows[Any], nouns: Sequence[Any], fields: Any) -> None:
    assert len({model.key(noun) for noun in nouns}) == len(nouns)


@EACH
def test_every_column_can_be_sorted_by(model: Rows[Any], nouns: Sequence[Any], fields: Any) -> None:
    for column in model.columns:
        known = [key for noun in nouns if (key := column.order(noun, NOW)) is not None]
        assert sorted(sorted(known, reverse=True)) == sorted(known)


@EACH
def test_every_column_has_a_letter_of_its_own_title(
    model: Rows[Any], nouns: Sequence[Any], fields: Any
) -> None:
    letters = sort_letters(model.columns)
    titles = {column.id: column.column.title.lower() for column in model.columns}
    assert set(letters.values()) == set(titles)
    assert all(letter in titles[column] for letter, column in letters.items())


@EACH
def test_rows_can_be_exported(model: Rows[Any], nouns: Sequence[Any], fields: Any) -> None:
    csv = csvout.to_csv(model.plural, [model.record(noun, NOW) for noun in nouns]).decode()
    header, *lines = csv.splitlines()
    assert header.split(",") == list(csvout.COLUMNS[model.plural])
    assert len(lines) == len(nouns)
    for noun, line in zip(nouns, lines, strict=True):
        assert any(of(noun) in line for _, of in model.copied)


@EACH
def test_glyphs_are_known_and_one_cell_wide(
    model: Rows[Any], nouns: Sequence[Any], fields: Any
) -> None:
    assert {model.glyph(noun) for noun in nouns} <= set(GLYPH_TONES)
    assert all(len(glyph) <= 1 for glyph in GLYPH_TONES)


def test_the_glyph_of_a_run_says_how_bad_it_is() -> None:
    def glyph(state: RunState, **fields: Any) -> str:
        return RUN_ROWS.glyph(run("1", "a", state, **fields))

    holding = Request(gpu_count=2, gpu_milli=2000)
    assert glyph(RunState.OUT_OF_MEMORY) == "x"
    assert glyph(RunState.UNKNOWN) == "?"
    assert glyph(RunState.RUNNING, request=holding, gpu_util_pct=0.0) == "!"
    assert glyph(RunState.RUNNING, request=holding, gpu_util_pct=None) == ""
    assert glyph(RunState.RUNNING, gpu_util_pct=0.0) == "", "it holds no GPU"
    assert glyph(RunState.COMPLETED, request=holding, gpu_util_pct=0.0) == ""


def test_the_glyph_of_a_gpu_is_unknown_or_wasted() -> None:
    model = gpu_rows((), NOW)
    by_place = {(gpu.node, gpu.index): model.glyph(gpu) for gpu in GPUS}
    assert by_place["a02", 7] == "?"
    assert by_place["a02", 6] == "!", "busy, yet allocated to nobody"
    assert by_place["a01", 6] == "!", "idle for two days"
    assert by_place["a01", 0] == ""
    later = gpu_rows((), NOW, idle_after_s=3 * 86_400.0)
    assert later.glyph(GPUS[6]) == "", "not idle for so long yet"


def test_a_fault_is_a_glyph_of_its_row_and_a_word_in_it() -> None:
    lost = Fault(kind=FaultKind.LOST, words=safe("lost: the driver does not reach it"), grave=True)
    warm = Fault(kind=FaultKind.THROTTLED, words=safe("throttled: heat"))
    ill, hot = replace(GPUS[0], faults=(warm, lost)), replace(GPUS[1], faults=(warm,))
    model = gpu_rows(RUNS, NOW)
    place = model.place("fault")
    assert place is not None
    assert [model.glyph(one) for one in (ill, hot)] == ["x", "!"]
    assert [model.cells(one, NOW)[place] for one in (ill, hot)] == ["!lost +1", "throttled"]
    nodes = node_rows((ill, hot), NOW)
    reason = nodes.place("reason")
    assert reason is not None
    assert nodes.glyph(NODES[0]) == "!"
    assert nodes.cells(NODES[0], NOW)[reason] == (
        "GPU 0 throttled: heat; lost: the driver does not reach it; GPU 1 throttled: heat"
    )


def test_a_state_has_a_tone_and_other_words_have_none() -> None:
    place = RUN_ROWS.place("state")
    assert place is not None
    tone = RUN_ROWS.columns[place].tone
    assert tone is not None
    tones = {word: tone(RUNS[0], SafeText(word)) for word in ("running", "held", "failed", "up?")}
    assert tones == {"running": "good", "held": "warn", "failed": "bad", "up?": ""}


def test_nodes_show_their_own_gpus_and_gpus_their_owners() -> None:
    node = NODES[0]
    assert node_rows(GPUS).cells(node, NOW) == tables.node_cells(
        node, [gpu for gpu in GPUS if gpu.node == node.name], NOW
    )
    owner = gpu_rows(RUNS).place("owner")
    assert owner is not None
    assert gpu_rows(RUNS).cells(GPUS[6], NOW)[owner] == "zoe"
    assert gpu_rows(()).cells(GPUS[6], NOW)[owner] == "?"


def test_unknown_values_have_no_place_in_an_order() -> None:
    waiting = replace(RUNS[0], priority=None, gpu_util_pct=None, request=Request(gpu_milli=None))
    for column in ("priority", "util", "gpus"):
        assert column_values(RUN_ROWS, column, [waiting]) == [None]
    down = replace(NODES[0], state=NodeState.DOWN, reason=None)
    assert column_values(node_rows(()), "reason", [down]) == [None]


def test_gpus_are_ordered_by_what_all_tasks_ask_for() -> None:
    array = next(one for one in RUNS if one.count == 40)
    assert column_values(RUN_ROWS, "gpus", [array]) == [160_000]


def test_numbers_in_names_are_ordered_by_value() -> None:
    names = ["a10", "a9", "A09b", "10", "9", "b", "a" + "9" * 5000]
    assert sorted(names, key=natural) == ["9", "10", "a9", "A09b", "a10", "a" + "9" * 5000, "b"]


def queue(name: str, parent: str | None) -> Queue:
    """A queue of the lab below another one."""
    return Queue(name=name, source="lab", kind="project", parent=parent)


def test_queues_are_ordered_as_a_tree_and_indented() -> None:
    tree = [queue("z", "a"), queue("b", None), queue("a", None), queue("y", "z"), queue("x", "b")]
    model = queue_rows(tree)
    assert model.sorted_by == "queue"
    ordered = sorted(tree, key=lambda q: column_values(model, "queue", [q])[0])
    assert [model.cells(q, NOW)[0] for q in ordered] == ["a", "  z", "    y", "b", "  x"]


def test_a_project_named_as_its_department_and_a_ring_of_parents() -> None:
    same = [queue("nlp", None), queue("nlp", "nlp")]
    assert [queue_rows(same).cells(q, NOW)[0] for q in same] == ["nlp", "  nlp"]
    assert len({queue_rows(same).key(q) for q in same}) == 2
    ring = [queue("a", "b"), queue("b", "a")]
    assert {queue_rows(ring).cells(q, NOW)[0].strip() for q in ring} == {"a", "b"}


def test_time_goes_on_with_the_clock() -> None:
    waiting = run("1", "a", RunState.PENDING, submitted_at=ago(seconds=10))
    time = RUN_ROWS.place("time")
    assert time is not None
    assert RUN_ROWS.columns[time].order(waiting, NOW) == 10
    assert RUN_ROWS.columns[time].order(waiting, NOW + timedelta(seconds=5)) == 15
    assert RUN_ROWS.get(waiting, NOW + timedelta(seconds=5))("age_s") == 15


def test_a_list_of_runs_begins_with_what_can_still_change() -> None:
    def made(native: str, state: RunState, ended_h: int | None = None) -> Run:
        ended = None if ended_h is None else NOW - timedelta(hours=ended_h)
        return Run(
            id=f"lab/{native}",
            native_id=native,
            source="lab",
            scheduler="slurm",
            name=safe(native),
            state=state,
            ended_at=ended,
        )

    given = [
        made("1", RunState.FAILED, 5),
        made("2", RunState.PENDING),
        made("3", RunState.COMPLETED, 1),
        made("4", RunState.RUNNING),
        made("5", RunState.PENDING),
        made("6", RunState.UNKNOWN),
    ]
    assert [r.native_id for r in live_first(given)] == ["4", "2", "5", "3", "1", "6"]


@pytest.mark.parametrize(
    "model",
    [
        RUN_ROWS,
        IDLE_ROWS,
        MOVE_ROWS,
        JOURNAL_ROWS,
        TRADEOFF_ROWS,
        COST_ROWS,
        FRACTION_ROWS,
        node_rows(GPUS),
        gpu_rows(RUNS),
        queue_rows(QUEUES),
        queue_bar_rows((), ()),
        NOTHING_YET,
    ],
    ids=lambda model: str(model.plural),
)
def test_every_table_can_be_exported_also_when_it_shows_nothing(model: Rows[Any]) -> None:
    columns = model.csv or csvout.COLUMNS[model.plural]
    written = csvout.to_csv(model.plural, [], model.csv).decode()
    assert written == ",".join(columns) + "\r\n"
