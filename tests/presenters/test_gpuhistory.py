"""The curves of one GPU: scales that do not move, gaps that stay gaps, words beside them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest

from foundry_tui.estate.text import SafeText, cells
from foundry_tui.presenters.gpuhistory import (
    LABEL,
    SPANS,
    Values,
    coverage,
    curve_lines,
    history_title,
    steps,
)
from foundry_tui.presenters.past import floored, nothing_recorded, past_bar, past_refusal
from foundry_tui.presenters.toned import Line
from tests.presenters.estate import NOW, ago

GB = 1 << 30


@dataclass
class Made:
    """A series of minutes that ends now."""

    util_pct: Values

    def __post_init__(self) -> None:
        count = len(self.util_pct)
        self.step_s = 60
        self.times = tuple(NOW - timedelta(minutes=count - 1 - n) for n in range(count))
        known = [v is not None for v in self.util_pct]
        self.util_max_pct = self.util_pct
        self.mem_used_bytes = tuple(40 * GB if one else None for one in known)
        self.power_w = tuple(500.0 if one else None for one in known)
        self.seen = tuple(float(one) for one in known)


def drawn(util: Values, *, width: int = 60, height: int = 7, ascii_only: bool = True) -> list[str]:
    """The lines without tones, over exactly the minutes given."""
    lines: list[Line] = curve_lines(
        Made(util),
        since=ago(minutes=len(util)),
        until=NOW,
        mem_total_bytes=80 * GB,
        width=width,
        height=height,
        ascii_only=ascii_only,
    )
    return ["".join(text for text, _ in line) for line in lines]


def test_each_curve_has_its_name_and_its_values() -> None:
    lines = drawn([50.0] * 60)
    assert [line[1:LABEL].strip() for line in lines] == [
        "use 50%",
        "mean 50%",
        "memory 40G",
        "of 80G",
        "power 500W",
        "most 500W",
        "",
    ]
    assert lines[-1].split() == ["08:30Z", "09:00Z", "09:30Z"]


@pytest.mark.parametrize("width", [24, 40, 79, 200])
@pytest.mark.parametrize("height", [4, 7, 30])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_they_fill_their_width_and_never_more(width: int, height: int, ascii_only: bool) -> None:
    lines = drawn([1.0, 99.0] * 30, width=width, height=height, ascii_only=ascii_only)
    assert len(lines) == 3 * max(1, (height - 1) // 3) + 1
    assert {cells(SafeText(line)) for line in lines} == {width}
    assert all(line.isascii() for line in lines) is ascii_only


def test_a_gap_stays_a_gap_and_is_not_drawn_as_zero() -> None:
    first, second = drawn([90.0] * 20 + [None] * 20 + [90.0] * 20)[:2]
    columns = [a != " " or b != " " for a, b in zip(first[LABEL:], second[LABEL:], strict=True)]
    third = len(columns) // 3
    assert all(columns[1 : third - 1]) and all(columns[2 * third + 2 :])
    assert not any(columns[third + 1 : 2 * third - 1])
    assert "mean 90%" in second, "what nobody saw is not counted as nothing"


def test_use_is_drawn_on_a_scale_of_a_hundred() -> None:
    idle, busy = drawn([0.0] * 60, height=13), drawn([100.0] * 60, height=13)
    assert "*" in idle[3][LABEL:] and "*" not in idle[0][LABEL:]
    assert "*" in busy[0][LABEL:] and "*" not in busy[3][LABEL:]


def test_what_is_not_known_is_no_number() -> None:
    lines = drawn([None] * 60)
    assert "use —" in lines[0] and "mean —" in lines[1] and "power —" in lines[4]


def test_the_title_says_how_much_was_measured() -> None:
    assert history_title(SPANS[1][0], None) == "last 6 h"
    assert history_title(SPANS[1][0], Made([1.0] * 60)) == "last 6 h in steps of 1 min"
    half = Made([1.0, None] * 30)
    assert coverage(half) == 0.5
    assert history_title(SPANS[2][0], half) == "last 24 h in steps of 1 min, 50% of it measured"


def test_as_many_steps_as_there_are_dots() -> None:
    assert steps(LABEL + 40) == 80
    assert steps(1) == 2


KEYS = ("[", "]", "{", "}", "esc")


def test_a_moment_of_the_past_is_told_with_its_keys() -> None:
    then = floored(NOW - timedelta(microseconds=1), timedelta(minutes=5))
    assert then == NOW - timedelta(minutes=5), "09:30 is now"
    assert floored(ago(seconds=1), timedelta(hours=1)) == ago(minutes=30)
    assert past_bar(ago(minutes=35), NOW, KEYS).startswith("AS OF 08:55Z, 35m00s ago · [ earlier")
    assert past_bar(ago(days=1), NOW, KEYS).startswith("AS OF 03-13 09:30Z, 1d00h ago")
    assert "esc goes back to now" in past_refusal(NOW)
    assert nothing_recorded(3600, ago(minutes=2)) == (
        "Nothing was recorded of this GPU in the last 1h00m; the history begins at 03-14 09:28Z."
    )
