"""What is published is believed only when it can be: whose it is, which schema, from which time."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from foundry_tui.collector.lead import Leader
from foundry_tui.collector.publish import (
    AHEAD_S,
    MAX_STANDING_BYTES,
    READINGS,
    READINGS_S,
    STANDING,
    Board,
    IdleMark,
    Measured,
    Standing,
    Untrusted,
    boot_id,
)
from foundry_tui.estate.reading import Fault, FaultKind, Holder, InstanceReading
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.estate.text import safe
from tests.collector.shared import NOW, Clock, Reader, swept

ROOT = os.geteuid() == 0


def board(folder: Path, clock: Clock) -> Board:
    return Board(folder, clock.wall, monotonic=clock.monotonic)


def standing(clock: Clock, **given: Any) -> Standing:
    plain: dict[str, Any] = {
        "at": clock.wall(),
        "boot": boot_id(),
        "monotonic_s": clock.monotonic(),
        "leader": Leader(user="ada", host="login1", pid=7, since=NOW),
        "estate": "e",
        "sources": (Source(name="lab", kind="slurm", state=SourceState.OK, read_at=NOW),),
        "shared": ("lab",),
    }
    return Standing(**{**plain, **given})


def measured() -> Measured:
    whole = swept(NOW)
    first = replace(
        whole.readings[0],
        faults=(Fault(kind=FaultKind.XID, words=safe("XID 79"), grave=True),),
        holders=(Holder(job="12", how="cgroup", uid=1000, sm_util_pct=3.0),),
        instances=(InstanceReading(gi=1, profile="1g.10gb"),),
    )
    return Measured(
        readings=(first, *whole.readings[1:]),
        sources=(whole.source,),
        idle=(IdleMark(source="lab", node="h01", index=0, since=NOW),),
    )


def test_what_one_writes_the_other_reads(tmp_path: Path) -> None:
    clock = Clock()
    board(tmp_path, clock).publish(standing(clock), measured())
    other = board(tmp_path, clock)
    assert other.standing() == standing(clock)
    assert other.measured(60.0) == measured()
    assert all(p.stat().st_mode & 0o777 == 0o600 for p in tmp_path.iterdir())


def test_before_anything_is_published_there_is_nothing(tmp_path: Path) -> None:
    other = board(tmp_path, Clock())
    assert other.standing() is None
    assert other.measured(60.0) is None
    assert other.part("lab") is None


def test_the_age_does_not_follow_the_clock_on_the_wall(tmp_path: Path) -> None:
    clock = Clock()
    one = board(tmp_path, clock)
    one.publish(standing(clock))
    told = one.standing()
    assert told is not None
    later = Board(
        tmp_path, lambda: clock.wall() + timedelta(hours=3), monotonic=lambda: clock.seconds + 4.0
    )
    assert later.age_s(told) == 4.0


def test_what_was_published_before_this_start_of_the_host_is_nothing(tmp_path: Path) -> None:
    clock = Clock()
    board(tmp_path, clock).publish(standing(clock, boot="another"))
    assert board(tmp_path, clock).standing() is None


def test_what_is_from_the_future_is_not_believed(tmp_path: Path) -> None:
    clock = Clock()
    ahead = replace(clock, seconds=clock.seconds + AHEAD_S + 1.0)
    board(tmp_path, ahead).publish(standing(ahead), measured())
    board(tmp_path, ahead).snapshots.save("lab", Reader("lab", ahead).snapshot())
    other = board(tmp_path, clock)
    with pytest.raises(Untrusted, match="from the future"):
        other.standing()
    with pytest.raises(Untrusted, match="from the future"):
        other.measured(60.0)
    assert other.part("lab") is None
    clock.seconds += 2.0
    assert other.standing() is not None, "the clock has caught up"
    assert other.part("lab") is not None


def test_old_readings_are_none(tmp_path: Path) -> None:
    clock = Clock()
    one = board(tmp_path, clock)
    one.publish(standing(clock), measured())
    clock.seconds += 121.0
    assert one.measured(120.0) is None
    assert one.measured(180.0) == measured()


def test_readings_that_are_the_same_are_written_now_and_then(tmp_path: Path) -> None:
    clock = Clock()
    one = board(tmp_path, clock)
    stamps = []
    for _ in range(3):
        one.publish(standing(clock), measured())
        stamps.append((tmp_path / READINGS).stat().st_ino)
        clock.seconds += READINGS_S / 2
    assert stamps[0] == stamps[1]
    assert stamps[1] != stamps[2], "their age is a sign of life, too"


def _edit(**fields: object) -> Callable[[bytes], bytes]:
    return lambda data: json.dumps({**json.loads(data), **fields}).encode()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda data: b"", "not believed"),
        (lambda data: data[:-20], "not believed"),
        (lambda data: b"\xff\xfe" * 100, "not believed"),
        (lambda data: b"[" * 100_000, "not believed"),
        (lambda data: b" " * (MAX_STANDING_BYTES + 1), "larger than"),
        (_edit(schema="foundry.collector/2"), "foundry.collector/2"),
        (_edit(schema="foundry.collector/0"), "foundry.collector/0"),
        (_edit(at="2026-11-21T03:00:00"), "time zone"),
        (_edit(monotonic_s="soon"), "not believed"),
        (_edit(sources=[{"name": "lab"}], monotonic_s=1), "not believed"),
    ],
)
def test_garbage_is_told_and_never_raises_anything_else(
    tmp_path: Path, spoil: Callable[[bytes], bytes], words: str
) -> None:
    clock = Clock()
    board(tmp_path, clock).publish(standing(clock), measured())
    for name in (STANDING, READINGS):
        (tmp_path / name).write_bytes(spoil((tmp_path / name).read_bytes()))
    other = board(tmp_path, clock)
    with pytest.raises(Untrusted, match=words):
        other.standing()
    if words != "larger than" and b"monotonic_s" not in (tmp_path / READINGS).read_bytes():
        with pytest.raises(Untrusted):
            other.measured(60.0)
    board(tmp_path, clock).publish(standing(clock), measured())
    assert other.standing() is not None, "the next good one is believed again"


def test_text_in_it_is_safe_to_draw(tmp_path: Path) -> None:
    clock = Clock()
    lies = Source(name="lab", kind="slurm", state=SourceState.DOWN, reason="\x1b[2J‮gone")
    board(tmp_path, clock).publish(standing(clock, sources=(lies,)))
    told = board(tmp_path, clock).standing()
    assert told is not None
    assert "\x1b" not in str(told.sources[0].reason)
    assert "‮" not in str(told.sources[0].reason)


@pytest.mark.skipif(not ROOT, reason="only root can make a file of another user")
@pytest.mark.parametrize("name", [STANDING, READINGS])
def test_the_files_of_another_user_are_not_believed(tmp_path: Path, name: str) -> None:
    clock = Clock()
    one = board(tmp_path, clock)
    one.publish(standing(clock), measured())
    one.snapshots.save("lab", Reader("lab", clock).snapshot())
    for path in tmp_path.iterdir():
        os.chown(path, 12345, 12345)
    other = board(tmp_path, clock)
    with pytest.raises(Untrusted, match="uid 12345"):
        other.standing() if name == STANDING else other.measured(60.0)
    assert other.part("lab") is None
    theirs = Board(tmp_path, clock.wall, owners={12345}, monotonic=clock.monotonic)
    assert theirs.standing() is not None, "it is the service that is trusted there"
    assert theirs.part("lab") is not None


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_not_believed(tmp_path: Path, mode: int) -> None:
    clock = Clock()
    one = board(tmp_path, clock)
    one.publish(standing(clock), measured())
    (tmp_path / STANDING).chmod(mode)
    with pytest.raises(Untrusted, match="mode"):
        board(tmp_path, clock).standing()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    clock = Clock()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    board(tmp_path / "a", clock).publish(standing(clock))
    (tmp_path / "b" / STANDING).symlink_to(tmp_path / "a" / STANDING)
    with pytest.raises(Untrusted):
        board(tmp_path / "b", clock).standing()


def test_a_sign_of_life_alone_is_no_news(tmp_path: Path) -> None:
    clock = Clock()
    one = board(tmp_path, clock)
    one.publish(standing(clock), measured())
    before = one.stamp(["lab"])
    one.publish(standing(clock))
    assert one.stamp(["lab"]) == before
    one.snapshots.save("lab", Reader("lab", clock).snapshot())
    assert one.stamp(["lab"]) != before
