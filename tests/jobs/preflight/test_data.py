"""The data that a spec names: kinds of paths, schemas beside the spec, hostile cells."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from foundry_tui.jobs.preflight import data
from foundry_tui.jobs.preflight.verdict import Check, State
from foundry_tui.jobs.spec import Data

AS_ROOT = os.geteuid() == 0


def checked(path: Path, schema: str | None = None) -> tuple[Check, ...]:
    beside = path.parent
    if schema is not None:
        (beside / "s.yaml").write_text(schema)
    entry = Data(name="c4", path=path.name, schema=None if schema is None else "s.yaml")
    return data.check(entry, path, beside)


def test_without_a_schema_a_file_or_a_folder_is_enough(tmp_path: Path) -> None:
    (tmp_path / "x.bin").touch()
    assert [c.state for c in (*checked(tmp_path / "x.bin"), *checked(tmp_path))] == [State.OK] * 2


def test_what_holds_says_what_was_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a\n1\n2\n")
    (check,) = checked(path, "columns: {a: int}")
    assert check == Check(check.name, State.OK, check.words)
    assert (check.name, check.words) == (
        "data c4",
        "x.csv: looked at all 2 rows: as s.yaml says",
    )


def test_each_finding_is_a_line_of_its_own_and_their_number_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    names = [f"c{n}" for n in range(30)]
    path.write_text(f"{','.join(names)}\n{','.join('x' * 30)}\n")
    schema = "columns:\n" + "".join(f"  {name}: int\n" for name in names)
    checks = checked(path, schema)
    assert checks[0].words == "x.csv: looked at all 1 rows: 30 things not as s.yaml says"
    assert checks[1].words == "c0: row 1: expected int, found 'x'"
    assert len(checks) == 1 + data.MAX_FINDINGS + 1
    assert checks[-1].words == "and 10 more"
    assert {c.state for c in checks} == {State.FAIL}


def test_hostile_cells_and_names_are_shown_and_not_obeyed(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('a,"\x1b]0;owned\x07\n",\u202eb\n\x1b[2J,1,2\n', newline="")
    checks = checked(path, "extra_columns: false\ncolumns: {a: int}")
    told = "".join(c.name + c.words for c in checks)
    assert told.isprintable()
    assert "expected int" in told


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "missing", "loop", "socket"])
def test_only_files_are_opened_for_a_schema(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.csv"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "socket":
        import socket

        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(path))
    (check,) = checked(path, "columns: {a: int}")
    assert check.state is State.FAIL
    words = {
        "pipe": "a pipe; data is a file or a folder",
        "device": "a device; data is a file or a folder",
        "socket": "a socket; data is a file or a folder",
        "folder": "a folder; a schema is for one CSV or Parquet file",
        "missing": "cannot be found: No such file",
        "loop": "cannot be found: Too many levels",
    }
    assert words[kind] in check.words


@pytest.mark.skipif(AS_ROOT, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_said(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.touch(0o000)
    (check,) = checked(path)
    assert check.words.endswith("you may not read it")


def test_a_wrong_schema_names_its_line_and_the_data_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a\n1\n")
    (check,) = checked(path, "columns:\n  a: {dtype: integer}")
    assert check.state is State.FAIL
    assert check.name == "data c4 schema"
    assert check.words.startswith("s.yaml: line 2: columns.a.dtype: expected one of int")


def test_a_schema_that_is_no_file_is_said(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.touch()
    os.mkfifo(tmp_path / "s.yaml")
    (check,) = data.check(Data(name="c4", path="x.csv", schema="s.yaml"), path, tmp_path)
    assert check.state is State.FAIL
    assert "a pipe" in check.words
    (check,) = data.check(Data(name="c4", path="x.csv", schema="none.yaml"), path, tmp_path)
    assert "none.yaml" in check.words
    assert "cannot be found" in check.words


def test_a_path_that_is_no_path_is_said(tmp_path: Path) -> None:
    (check,) = data.check(Data(name="c4", path="x"), tmp_path / "a\0b", tmp_path)
    assert check.state is State.FAIL
    assert "cannot be found" in check.words
