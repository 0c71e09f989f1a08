"""A preflight on the terminal and as JSON."""

from __future__ import annotations

import msgspec
import pytest

from foundry_tui.estate.text import SafeText, cells
from foundry_tui.jobs.preflight.verdict import Verdict, fail, ok, skipped, warn
from foundry_tui.presenters.page import Style
from foundry_tui.presenters.preflight import preflight_record, preflight_text, summary

LONG = "data/c4/part-0001.parquet: looked at 90,000 of 300,000 rows, the first of 30 row groups"
VERDICT = Verdict(
    (
        ok("workdir", "/home/alice is there"),
        warn("image", "a.b/c is latest"),
        fail("data a name that is longer than its column", LONG),
        skipped("quota", "there is no command `quota` on this host"),
    ),
    0.25,
)


def test_lines_are_aligned_and_the_sum_stands_below() -> None:
    lines = preflight_text(VERDICT, Style(width=200)).split("\n")
    assert lines[0] == "ok    workdir                   /home/alice is there"
    assert lines[1] == "warn  image                     a.b/c is latest"
    assert lines[2] == f"FAIL  data a name that is lon…  {LONG}"
    assert lines[3].startswith("skip  quota                     there is")
    assert lines[4] == ("preflight: 4 checks in 0.2 s: 1 ok, 1 warning, 1 failed, 1 not looked at")


@pytest.mark.parametrize("width", [80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    lines = preflight_text(VERDICT, Style(width=width)).split("\n")
    assert max(cells(SafeText(line)) for line in lines) <= width
    words = " ".join(" ".join(lines).split())
    assert "of 300,000 rows" in words
    wrapped = [line for line in lines if line.startswith(" ")]
    assert bool(wrapped) is (width == 80)
    assert all(line.startswith(" " * 32) for line in wrapped)


def test_in_brief_what_failed_stands_first_and_what_is_right_not_at_all() -> None:
    lines = preflight_text(VERDICT, Style(width=200), brief=True).split("\n")
    assert [line[:4] for line in lines] == ["FAIL", "warn", "pref"]


def test_in_a_pipe_each_check_is_one_line() -> None:
    lines = preflight_text(VERDICT, Style(width=40, wide=True)).split("\n")
    assert len(lines) == 5


def test_colour_is_never_alone_and_ascii_is_ascii() -> None:
    coloured = preflight_text(VERDICT, Style(width=200, colour=True)).split("\n")
    assert coloured[2].startswith("\x1b[31mFAIL\x1b[0m  data")
    assert preflight_text(VERDICT, Style(width=80, ascii=True)).isascii()


def test_nothing_looked_at_is_said_too() -> None:
    empty = Verdict((), 0.0)
    assert preflight_text(empty, Style()) == summary(empty)
    assert summary(empty) == "preflight: 0 checks in 0.0 s: 0 ok, 0 warnings, 0 failed"


def test_the_record_has_every_check() -> None:
    record = msgspec.json.decode(msgspec.json.encode(preflight_record("s", "x\x1b", VERDICT)))
    assert record["name"] == "x␛"
    assert (record["source"], record["failed"], record["warned"]) == ("s", 1, 1)
    assert record["checks"][0] == {
        "name": "workdir",
        "state": "ok",
        "words": "/home/alice is there",
    }
    assert [c["state"] for c in record["checks"]] == ["ok", "warn", "fail", "skipped"]
