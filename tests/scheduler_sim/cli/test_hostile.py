"""Hostile names and files: no terminal obeys them, nothing is replaced and nothing waited for."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import pytest

from tests.scheduler_sim.cli.data import LISTS, NODES, PODS, Command

HOSTILE = "\x1b]52;c;aGk=\x07\u202e\x9b31m"
ONE = ("--jobs", "1", "--seeds", "42")


@pytest.mark.parametrize("extra", [("{}",), ("--{}",), ("--policy", "{}"), ("--jobs", "{}")])
def test_what_was_typed_is_not_obeyed_by_the_terminal(
    command: Command, extra: tuple[str, ...]
) -> None:
    told = command("replay", *LISTS, *(word.format(HOSTILE) for word in extra))
    assert told.code == 2
    assert not set(HOSTILE) & set("\x1b\x07\u202e\x9b") & set(told.err + told.out)
    assert "\\x1b]52" in told.err


@pytest.mark.parametrize("form", ["--json", "--csv", "--ascii"])
def test_the_name_of_a_list_is_not_obeyed_by_the_terminal(
    command: Command, tmp_path: Path, form: str
) -> None:
    pods = tmp_path / f"{HOSTILE}.csv"
    pods.write_bytes(PODS.read_bytes())
    told = command(
        "replay", "--nodes", str(NODES), "--pods", str(pods), "--policy", "fgd", *ONE, form
    )
    assert told.code == 0
    assert told.out.replace("\n", "").isprintable()
    if form == "--csv":
        assert next(csv.DictReader(io.StringIO(told.out)))["trace"] == "?]52;c;aGk=???31m"


@pytest.mark.parametrize("what", ["replay", "sweep", "queue"])
def test_a_pipe_is_refused_and_not_waited_for(command: Command, tmp_path: Path, what: str) -> None:
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    extra = ("-o", str(tmp_path / "r.csv")) if what == "sweep" else ()
    told = command(what, "--nodes", str(NODES), "--pods", str(pipe), *extra)
    assert (told.code, told.out) == (1, "")
    assert "a pipe or a device" in told.err


@pytest.mark.parametrize("option", ["--svg", "-o"])
def test_a_device_is_not_replaced_by_a_file(command: Command, tmp_path: Path, option: str) -> None:
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    what = "replay" if option == "--svg" else "sweep"
    told = command(what, *LISTS, *ONE, option, str(pipe))
    assert told.code == 1
    assert "a pipe or a device" in told.err
    assert pipe.is_fifo()


def test_a_link_to_a_picture_stays_a_link(command: Command, tmp_path: Path) -> None:
    link, target = tmp_path / "link.svg", tmp_path / "target.svg"
    link.symlink_to(target)
    assert command("replay", *LISTS, *ONE, "--policy", "fgd", "--svg", str(link)).code == 0
    assert link.is_symlink()
    assert target.read_text().endswith("</svg>\n")


def test_a_placement_that_cannot_plan_ahead_is_refused_in_the_words_of_the_options(
    command: Command,
) -> None:
    lists = ("--pods", str(PODS), "--nodes", str(NODES))
    told = command("queue", *lists, "--discipline", "conservative", "--placement", "best")
    assert told.code == 2
    assert "--placement best" in told.err
    assert "best_fit" not in told.err


def test_a_bound_that_time_cut_off_says_so(command: Command) -> None:
    told = command("bound", *LISTS, "--time-limit", "0")
    assert told.code == 0
    assert "time ended first" in told.out
    assert "too high" in told.out


@pytest.mark.parametrize("value", ["1_0", "1_", "nan", "inf", "-1"])
def test_a_factor_is_a_plain_number(command: Command, value: str) -> None:
    told = command("replay", *LISTS, "--inflate", value)
    assert told.code == 2
    assert value in told.err
