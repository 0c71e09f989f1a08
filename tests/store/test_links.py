"""Links: safe on disk, open apart from settled, and no file of theirs can stop a pass."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from foundry_tui.store.links import Link, LinkError, Links

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


def made(token: str = "abcdef0123456789", **more: object) -> Link:
    link = Link.begin(
        token=token, source="lab", server="http://h:5000", experiment="a, ‹b›", now=NOW
    )
    return replace(link, **more)  # type: ignore[arg-type]


@pytest.fixture
def links(tmp_path: Path) -> Links:
    return Links(tmp_path / "links")


def test_a_link_comes_back_as_it_was(links: Links, tmp_path: Path) -> None:
    link = made(mlflow_run_id="r1", sent_at=NOW, native_id="17", status="RUNNING", attempt=2)
    links.save(link)
    assert links.find(link.token) == link
    assert links.still_open() == ((link,), ())
    (path,) = (tmp_path / "links" / "open").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o077 == 0


def test_a_settled_link_is_found_and_no_longer_open(links: Links) -> None:
    links.save(made())
    links.save(made(settled=True, status="FINISHED"))
    assert links.still_open() == ((), ())
    found = links.find("abcdef0123456789")
    assert found is not None
    assert (found.settled, found.status) == (True, "FINISHED")


def test_settled_files_are_not_read_by_a_pass(links: Links, tmp_path: Path) -> None:
    links.save(made(settled=True))
    (path,) = (tmp_path / "links" / "settled").iterdir()
    path.write_text("damaged")
    assert links.still_open() == ((), ())


def test_of_two_files_the_settled_one_counts(links: Links, tmp_path: Path) -> None:
    links.save(made())
    (path,) = (tmp_path / "links" / "open").iterdir()
    kept = path.read_bytes()
    links.save(made(settled=True))
    path.write_bytes(kept)
    path.chmod(0o600)
    assert links.still_open() == ((), ())
    assert not path.exists(), "what a killed process left is taken away"


def test_changes_of_another_process_are_seen(links: Links, tmp_path: Path) -> None:
    links.save(made())
    assert links.find("abcdef0123456789") == made()
    Links(tmp_path / "links").save(made(native_id="18"))
    found = links.find("abcdef0123456789")
    assert found is not None
    assert found.native_id == "18"
    Links(tmp_path / "links").save(made("fedcba", native_id="19"))
    assert set(links.of(["fedcba", "abcdef0123456789", "unknown"])) == {
        "fedcba", "abcdef0123456789",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"token":"abcdef0123456789"}',
        "\x00" * 300,
        "[" * 100_000,
    ],
)
def test_a_damaged_file_is_told_and_set_aside(links: Links, tmp_path: Path, text: str) -> None:
    links.save(made("other-token"))
    links.save(made())
    path = tmp_path / "links" / "open" / "abcdef0123456789.json"
    path.write_text(text)
    found, problems = links.still_open()
    assert [link.token for link in found] == ["other-token"]
    assert len(problems) == 1
    assert "abcdef0123456789.json" in problems[0]
    assert (tmp_path / "links" / "damaged" / path.name).read_text() == text
    assert links.still_open() == (found, ()), "told once"
    assert links.find("abcdef0123456789") is None


def test_a_file_that_others_can_write_is_not_believed(links: Links, tmp_path: Path) -> None:
    links.save(made())
    path = tmp_path / "links" / "open" / "abcdef0123456789.json"
    path.chmod(0o666)
    found, problems = links.still_open()
    assert found == ()
    assert "mode" in problems[0]


def test_a_file_under_another_name_is_not_believed(links: Links, tmp_path: Path) -> None:
    links.save(made())
    path = tmp_path / "links" / "open" / "abcdef0123456789.json"
    path.rename(path.with_name("fedcba.json"))
    assert links.still_open()[0] == ()


def test_no_folder_is_no_link(links: Links, tmp_path: Path) -> None:
    assert links.still_open() == ((), ())
    assert links.find("abcdef0123456789") is None
    assert not (tmp_path / "links").exists(), "looking makes nothing"


@pytest.mark.parametrize("token", ["", "../../x", "a/b", "a" * 41, "short", "abc\ndef"])
def test_what_is_no_token_is_never_a_file_name(links: Links, token: str) -> None:
    with pytest.raises(LinkError, match="token"):
        links.save(made(token))
    assert links.find(token) is None


def test_a_folder_that_cannot_be_written_is_an_error_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "links").write_text("a file")
    with pytest.raises(LinkError, match="links"):
        Links(tmp_path / "links").save(made())


def test_what_a_killed_writer_left_is_swept_and_never_read(links: Links, tmp_path: Path) -> None:
    links.save(made())
    temp = tmp_path / "links" / "open" / ".host-abcdef0123456789.x1"
    temp.write_text("{")
    assert len(links.still_open()[0]) == 1
    assert temp.exists(), "it may be at work"
    old = (NOW - timedelta(days=400)).timestamp()
    os.utime(temp, (old, old))
    assert len(links.still_open()[0]) == 1
    assert not temp.exists()


def test_one_writer_at_a_time_over_processes(links: Links, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from foundry_tui.store.links import Links\n"
        "with Links(Path(sys.argv[1])).writer(wait_s=0.05) as mine: print(mine)"
    )

    def other() -> str:
        argv = [sys.executable, "-c", program, str(tmp_path / "links")]
        return subprocess.run(argv, capture_output=True, check=True, text=True).stdout.strip()

    with links.writer(wait_s=0.0) as mine:
        assert mine
        assert other() == "False"
    assert other() == "True"


def test_when_the_last_pass_was_is_shared(links: Links, tmp_path: Path) -> None:
    assert links.since_pass_s() is None
    with links.writer(wait_s=0.0):
        links.passed()
    since = Links(tmp_path / "links").since_pass_s()
    assert since is not None
    assert since < 5


def test_a_folder_that_cannot_be_read_is_not_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "open").touch()
    found, (problem,) = Links(tmp_path).still_open()
    assert found == ()
    assert "cannot be read: Not a directory" in problem
