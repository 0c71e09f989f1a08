"""One field is changed; comments, order and everything else stay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.jobs.amend import amended, difference
from foundry_tui.jobs.document import read
from foundry_tui.jobs.errors import SpecError

YAML = b"""# a small run
name: small
command: |
  echo gpus: 4
gpus: 1   # one is enough
time_limit: 2h
"""
TOML = b"""name = "small"
command = "true"
gpus = 1

[environment]
gpus = "x"
"""


def test_a_new_field_stands_behind_its_neighbour() -> None:
    made = amended("a.yaml", YAML, "gpu_share", "0.25", after="gpus")
    assert made.decode().splitlines()[4:6] == ["gpus: 1   # one is enough", "gpu_share: 0.25"]
    assert made.replace(b"gpu_share: 0.25\n", b"") == YAML


def test_a_field_that_is_there_keeps_its_comment() -> None:
    made = amended("a.yaml", YAML, "gpus", "2")
    assert b"gpus: 2   # one is enough\n" in made
    assert b"  echo gpus: 4\n" in made, "what looks like a field inside a script is none"


def test_toml_before_its_first_table() -> None:
    made = amended("a.toml", TOML, "gpu_share", "0.25")
    assert read("a.toml", made).values["gpu_share"] == 0.25
    assert read("a.toml", made).values["environment"] == {"gpus": "x"}
    assert amended("a.toml", made, "gpu_share", "0.5").count(b"gpu_share") == 1


def test_without_a_last_newline() -> None:
    made = amended("a.yaml", b"name: a\ncommand: b", "gpus", "1")
    assert made == b"name: a\ncommand: b\ngpus: 1\n"


def test_what_stands_over_several_lines_is_left_to_a_person() -> None:
    with pytest.raises(SpecError, match="queue"):
        amended("a.yaml", b"command: x\nqueue:\n  slurm: a\n", "queue", "b")


def test_a_file_that_is_no_spec() -> None:
    with pytest.raises(SpecError):
        amended("a.yaml", b"\xff\xfe", "gpus", "1")


def test_the_difference_names_the_line() -> None:
    made = amended("a.yaml", YAML, "gpu_share", "0.25", after="gpus")
    assert "+gpu_share: 0.25\n" in difference("a.yaml", YAML, made)
    assert difference("a.yaml", YAML, YAML) == ""


@given(st.sampled_from(["gpus", "gpu_share", "nodes", "seed"]), st.integers(1, 9))
def test_what_is_written_is_read_and_nothing_else_changes(key: str, value: int) -> None:
    for name, data in (("a.yaml", YAML), ("a.toml", TOML)):
        made = amended(name, data, key, str(value))
        values = read(name, made).values
        assert values[key] == value
        assert {**values, key: 0} == {**read(name, data).values, key: 0}
