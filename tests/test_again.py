"""What is asked again after a run of all parts, and what is not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.again import MOST, failed_of, main


def part(folder: Path, name: str, status: int | None, failed: Sequence[str] = ()) -> Path:
    """The folder that a part leaves."""
    made = folder / name
    (made / "v/cache").mkdir(parents=True)
    (made / "args").write_text("'a folder' tests")
    if status is not None:
        (made / "status").write_text(f"{status}\n")
    if failed:
        (made / "v/cache/lastfailed").write_text(json.dumps(dict.fromkeys(failed, True)))
    return made


def test_what_failed_is_named_and_run_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = [part(tmp_path, "one", 0), part(tmp_path, "two", 1, ["t.py::b", "t.py::a"])]
    ran: list[tuple[str, Sequence[str]]] = []

    def run(where: Path, args: Sequence[str]) -> int:
        ran.append((where.name, args))
        (where / "v/cache/lastfailed").write_text("{}")
        return 0

    assert main(parts, run) == 0
    assert ran == [("two", ["a folder", "tests"])]
    assert capsys.readouterr().err.splitlines() == [
        f"make test: failed beside the others, asked again alone: t.py::{name}" for name in "ab"
    ]


@pytest.mark.parametrize(("status", "left"), [(1, True), (0, True), (5, True), (2, False)])
def test_what_fails_again_or_is_not_run_fails_it_all(
    tmp_path: Path, status: int, left: bool
) -> None:
    def run(where: Path, args: Sequence[str]) -> int:
        if not left:
            (where / "v/cache/lastfailed").unlink()
        return status

    assert main([part(tmp_path, "one", 1, ["t.py::a"])], run) == 1


def test_a_part_that_broke_is_not_asked_again(tmp_path: Path) -> None:
    def never(where: Path, args: Sequence[str]) -> int:
        raise AssertionError

    good = part(tmp_path, "good", 1, ["t.py::a"])
    for number, status in enumerate((None, 2, 3, 4, 5, 139)):
        assert main([good, part(tmp_path, f"bad-{number}", status, ["t.py::b"])], never) == 1
    assert main([good, part(tmp_path, "unknown", 1)], never) == 1
    many = [f"t.py::{n}" for n in range(MOST)]
    assert main([good, part(tmp_path, "many", 1, many)], never) == 1


FLAKY = """
from pathlib import Path

def test_that_holds():
    mark = Path(__file__).with_name("held")
    assert not mark.exists()
    mark.touch()

def test_that_holds_alone():
    mark = Path(__file__).with_name("tried")
    before = mark.exists()
    mark.touch()
    assert before
"""


def test_pytest_runs_what_failed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(FLAKY)
    made = part(tmp_path, "one", 1)
    words = f"--rootdir={tmp_path} -p no:hypothesispytest {tmp_path}/test_it.py"
    (made / "args").write_text(words)
    first = [sys.executable, "-m", "pytest", "-q", "-o", f"cache_dir={made}", *words.split()]
    assert subprocess.run(first, check=False, capture_output=True).returncode == 1
    assert failed_of(made) == ["test_it.py::test_that_holds_alone"]
    assert main([made]) == 0
