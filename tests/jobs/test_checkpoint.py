"""The newest checkpoint, and what is lost without one."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from foundry_tui.jobs.checkpoint import Newest, at_risk, newest

START = datetime(2026, 11, 21, 12, tzinfo=UTC)


def written(path: Path, hours: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    stamp = (START + timedelta(hours=hours)).timestamp()
    os.utime(path, (stamp, stamp))


def test_the_newest_file_counts_however_deep_it_lies(tmp_path: Path) -> None:
    written(tmp_path / "step-1" / "rank-0.pt", 1)
    written(tmp_path / "step-2" / "shards" / "rank-1.pt", 2)
    written(tmp_path / "latest", 1.5)
    assert newest(tmp_path) == Newest(START + timedelta(hours=2))
    assert newest(tmp_path / "latest") == Newest(START + timedelta(hours=1.5))


def test_nothing_there_is_not_a_time(tmp_path: Path) -> None:
    assert newest(tmp_path).at is None
    assert "no file below" in (newest(tmp_path).why or "")
    assert "No such file" in (newest(tmp_path / "gone").why or "")


def test_a_link_to_itself_ends_and_a_large_folder_is_not_walked_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path)
    for number in range(20):
        written(tmp_path / f"{number}.pt", number)
    assert newest(tmp_path).at == START + timedelta(hours=19)
    cut = newest(tmp_path, most_entries=10)
    assert cut.at is not None
    assert "more than 10 entries" in (cut.why or "")


@pytest.mark.parametrize(
    ("checkpoint_h", "lost"),
    [(None, 40.0), (-3, 40.0), (4, 8.0), (5, 0.0), (6, 0.0)],
)
def test_what_is_lost_is_the_work_since_the_checkpoint_of_this_attempt(
    checkpoint_h: float | None, lost: float
) -> None:
    checkpoint = None if checkpoint_h is None else START + timedelta(hours=checkpoint_h)
    assert at_risk(START, checkpoint, START + timedelta(hours=5), 8000) == pytest.approx(lost)


def test_what_is_not_known_is_not_zero() -> None:
    assert at_risk(None, None, START, 8000) is None
    assert at_risk(START, None, START, None) is None
