"""The results file of a sweep: rows are whole, none is run twice, nothing foreign is touched."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from scheduler_sim.cli.errors import SimError
from scheduler_sim.cli.results import KEY, Results, key_of

COLUMNS = (*KEY, "alloc_pct_at_130")


def row(seed: int, **more: Any) -> dict[str, Any]:
    made = dict(zip(KEY, ("small", "abc", "fgd", seed, 1.3, 0, 0.0), strict=True))
    return made | {"alloc_pct_at_130": 95.25} | more


@pytest.mark.parametrize("name", ["r.jsonl", "r.csv"])
def test_rows_are_found_again(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with Results(path, COLUMNS) as results:
        assert results.present == set()
        results.append(row(1))
        results.append(row(2, alloc_pct_at_130=None))
        assert key_of(row(2)) in results.present
    before = path.read_bytes()
    with Results(path, COLUMNS) as results:
        assert results.present == {key_of(row(1)), key_of(row(2))}
        results.append(row(3))
    assert path.read_bytes().startswith(before)
    lines = path.read_text().splitlines()
    assert len(lines) == (4 if name.endswith("csv") else 3)


def test_rows_of_json_and_csv_say_the_same(tmp_path: Path) -> None:
    for name in ("r.jsonl", "r.csv"):
        with Results(tmp_path / name, COLUMNS) as results:
            results.append(row(1))
    assert json.loads((tmp_path / "r.jsonl").read_text()) == row(1)
    assert (tmp_path / "r.csv").read_text().splitlines() == [
        ",".join(COLUMNS),
        "small,abc,fgd,1,1.3,0,0.0,95.25",
    ]


@pytest.mark.parametrize("name", ["r.jsonl", "r.csv"])
def test_a_row_that_was_cut_short_is_dropped_and_said(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    with Results(path, COLUMNS) as results:
        results.append(row(1))
        results.append(row(2))
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    with Results(path, COLUMNS) as results:
        assert results.present == {key_of(row(1))}
        results.append(row(2))
    assert path.read_bytes() == whole
    assert "was cut short" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("r.jsonl", "hello\n", 1),
        ("r.jsonl", '{"a": 1}\n', 1),
        ("r.jsonl", "[1]\n", 1),
        ("r.csv", "a,b\n1,2\n", 1),
        ("r.csv", ",".join(COLUMNS) + "\n1,2\n", 2),
        ("r.csv", ",".join(COLUMNS) + "\n" + "1," * 8 + "9\n", 2),
    ],
)
def test_a_file_of_something_else_is_left_alone(
    tmp_path: Path, name: str, text: str, line: int
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(SimError, match=f"line {line}: this is no row of a sweep"):
        Results(path, COLUMNS)
    assert path.read_text() == text


def test_bytes_that_are_no_text_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"\xff\xfe\n")
    with pytest.raises(SimError, match="name another file"):
        Results(path, COLUMNS)


def test_a_file_that_is_not_ours_is_not_cut(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text("notes without a line end")
    with pytest.raises(SimError, match="no row of a sweep"):
        Results(path, COLUMNS)
    assert path.read_text() == "notes without a line end"


def test_one_sweep_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with Results(path, COLUMNS), pytest.raises(SimError, match="another sweep is writing"):
        Results(path, COLUMNS)
    with Results(path, COLUMNS):
        pass


def test_the_name_says_the_form(tmp_path: Path) -> None:
    with pytest.raises(SimError, match=r"\.jsonl or \.csv") as caught:
        Results(tmp_path / "r.txt", COLUMNS)
    assert caught.value.code == 2


def test_a_full_disk_leaves_whole_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "r.jsonl"
    with Results(path, COLUMNS) as results:
        results.append(row(1))
        whole = path.read_bytes()
        write = os.write
        monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:9]))
        with pytest.raises(OSError, match="no room") as caught:
            results.append(row(2))
        monkeypatch.undo()
        assert caught.value.filename == str(path)
        assert path.read_bytes() == whole
        assert key_of(row(2)) not in results.present
