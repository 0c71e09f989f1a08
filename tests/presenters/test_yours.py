"""The user's own runs: counts that are right, the longest wait with its reason, what failed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tui.estate.run import ArrayPart, Run, RunState
from foundry_tui.estate.text import SafeText, cells, safe
from foundry_tui.presenters.toned import Line
from foundry_tui.presenters.yours import last_failure, longest_waiting, next_end, your_lines
from tests.estate.test_text import HOSTILE
from tests.presenters.estate import NOW, RUNS, ago, run


def told(lines: list[Line]) -> str:
    """The lines as one text without tones."""
    return " ".join("".join(text for text, _ in line).strip() for line in lines)


def waits(native_id: str, hours: float, **fields: object) -> Run:
    """A waiting run of alice."""
    base = run(native_id, "train", RunState.PENDING, submitted_at=ago(hours=hours))
    return replace(base, **fields)  # type: ignore[arg-type]


def test_counts_reason_failure_and_end() -> None:
    runs = [
        *RUNS,
        waits("90388", 2, reason=safe("Resources")),
        waits("90389", 1),
        replace(RUNS[0], id="lab/99", native_id="99", ends_by=NOW + timedelta(minutes=30)),
    ]
    lines = your_lines(
        runs,
        frozenset({"alice"}),
        now=NOW,
        width=300,
        why="it wants 8 GPUs on one node; b04 is held for 90211.",
        hint="w = the whole reason",
    )
    assert told(lines) == (
        "Yours: 2 running · 2 waiting · 90388 waits for 2h00m: it wants 8 GPUs on one node; b04 is "
        "held for 90211. w = the whole reason · 11 eval failed exit 1, 54m ago · 99 train-llama "
        "ends in 30m00s at the latest"
    )
    assert lines[0][0] == ("Yours: ", "strong")


def test_without_an_explanation_the_schedulers_word_stands() -> None:
    assert "21 waits for 9h02m: Priority" in told(
        your_lines(RUNS, frozenset({"carol"}), now=NOW, width=200)
    )
    silent = [waits("5", 1)]
    assert "5 waits for 1h00m: nobody says why" in told(
        your_lines(silent, frozenset({"alice"}), now=NOW, width=200)
    )


def test_a_held_run_is_no_wait_while_another_one_waits() -> None:
    held = waits("1", 9, held=True)
    other = waits("2", 1)
    assert longest_waiting([held, other], frozenset({"alice"}), NOW) == other
    assert longest_waiting([held], frozenset({"alice"}), NOW) == held
    assert longest_waiting([held], frozenset({"bob"}), NOW) is None
    assert "1 waiting · 1 held" in told(
        your_lines([held, other], frozenset({"alice"}), now=NOW, width=99)
    )


def test_arrays_count_by_their_tasks() -> None:
    assert "1 running · 40 waiting" in told(your_lines(RUNS, frozenset({"bob"}), now=NOW, width=99))


def test_nothing_of_ones_own() -> None:
    assert told(your_lines(RUNS, frozenset({"nobody"}), now=NOW, width=80)) == "Yours: no run"
    assert told(your_lines([RUNS[-1]], frozenset({"alice"}), now=NOW, width=80)).startswith(
        "Yours: none running, none waiting · 11 eval failed"
    )


def test_the_last_failure_and_the_next_end() -> None:
    late = replace(RUNS[-1], id="lab/12", ended_at=ago(minutes=1), state=RunState.OUT_OF_MEMORY)
    undated = replace(RUNS[-1], id="lab/13", ended_at=None)
    assert last_failure([RUNS[-1], late, undated], frozenset({"alice"})) == late
    assert last_failure([undated], frozenset({"alice"})) is None
    soon = replace(RUNS[0], ends_by=NOW + timedelta(minutes=1))
    later = replace(RUNS[0], id="lab/z", ends_by=NOW + timedelta(days=1))
    assert next_end([later, soon, RUNS[1]], frozenset({"alice"})) == soon
    assert next_end([RUNS[0]], frozenset({"alice"})) is None
    over = [replace(soon, ends_by=ago(minutes=1))]
    assert "at any moment" in told(your_lines(over, frozenset({"alice"}), now=NOW, width=200))


def test_more_than_there_is_room_for_is_cut_at_the_end() -> None:
    lines = your_lines(RUNS, frozenset({"carol"}), now=NOW, width=30, why="word " * 40, most=2)
    assert len(lines) == 2
    assert told([lines[1]]).endswith("…")


@settings(deadline=None)  # a name of 100,000 cells takes its time on a busy machine
@given(
    st.integers(1, 120),
    st.integers(1, 4),
    st.sampled_from([v for v in HOSTILE.values() if isinstance(v, str)]),
    st.integers(1, 5),
)
def test_lines_keep_to_their_width_whatever_the_names(
    width: int, most: int, name: str, count: int
) -> None:
    runs = [
        replace(waits("7_[1-9]", 1, array=ArrayPart("7", "1-9", count)), reason=safe(name)),
        replace(RUNS[-1], name=safe(name)),
    ]
    lines = your_lines(runs, frozenset({"alice"}), now=NOW, width=width, why=name, most=most)
    assert 1 <= len(lines) <= most
    for line in lines:
        text = "".join(part for part, _ in line)
        assert safe(text, max_cells=9999) == text
        if width >= 8:
            assert cells(SafeText(text)) <= width
