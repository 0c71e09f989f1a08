"""Which of several files are job specs, and in which order they are sent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from foundry_tui.actions.errors import WrongUse
from foundry_tui.actions.scripts import read_script
from foundry_tui.actions.together import is_named_spec, ordered


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_spec_is_told_by_its_name_and_a_script_by_its_first_line(here: Path) -> None:
    (here / "a.yaml").write_text("command: x\n")
    (here / "b.yaml").write_text("#!/bin/sh\n")
    (here / "p").mkdir()
    (here / "p" / "MLproject").write_text("name: p\n")
    names = ("a.yaml", "b.yaml", "c.sh", "none.toml", "p", "a\0.yaml")
    assert [is_named_spec(name) for name in names] == [True, False, False, True, True, True]


def test_a_pipe_is_refused_and_not_waited_for(here: Path) -> None:
    os.mkfifo(here / "pipe.yaml")
    assert is_named_spec("pipe.yaml")
    with pytest.raises(WrongUse, match="no regular file"):
        read_script("pipe.yaml")


def test_what_is_needed_goes_first(here: Path) -> None:
    (here / "1.yaml").write_text("name: one\ncommand: x\nneeds: [two]\n")
    (here / "2.yaml").write_text("name: two\ncommand: x\n")
    assert ordered(["1.yaml", "2.yaml"]) == (("2.yaml", "two"), ("1.yaml", "one"))
    (here / "2.yaml").write_text("name: two\ncommand: x\nneeds: [one]\n")
    with pytest.raises(WrongUse, match="circle"):
        ordered(["1.yaml", "2.yaml"])
    (here / "2.yaml").write_text("name: one\ncommand: x\n")
    with pytest.raises(WrongUse, match="both called 'one'"):
        ordered(["1.yaml", "2.yaml"])
