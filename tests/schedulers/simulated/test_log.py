"""The acts' file: shared between processes, and robust against whatever stands in it."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from foundry_tui.schedulers.simulated.log import FILE, FRESH_FOR, MAX_BYTES, ActsLog, Entry
from scheduler_sim.cluster import Request
from scheduler_sim.jobs import JobSpec

NOW = datetime(2026, 3, 2, 9, 0, 0, 250_000, tzinfo=UTC)
SPEC = JobSpec(
    name="x\x1b\n€",
    user="ada",
    account="ml",
    queue="gpu",
    request=Request(gpus=1, models=("h100",)),
    duration_s=60,
    tasks=(1, 2),
)


def entry(id_: str, at_s: int = 5) -> Entry:
    return Entry(id=id_, at_s=at_s, source="sim-slurm", do="cancel", key="7")


def ids(log: ActsLog) -> list[str]:
    log.refresh()
    return [e.id for e in log.entries]


def test_what_one_process_writes_the_other_reads(tmp_path: Path) -> None:
    one = ActsLog(tmp_path / "deep" / "state", NOW)
    one.append(entry("a"))
    other = ActsLog(tmp_path / "deep" / "state", NOW + timedelta(minutes=3))
    assert other.epoch == one.epoch == NOW.replace(microsecond=0)
    other.append(entry("b"))
    assert ids(one) == ids(other) == ["a", "b"]
    assert one.memory_only is None
    assert one.path == tmp_path / "deep" / "state" / FILE


def test_a_submission_survives_with_every_field(tmp_path: Path) -> None:
    log = ActsLog(tmp_path, NOW)
    sent = Entry(id="s", at_s=1, source="sim-slurm", do="submit", spec=SPEC, token="t-1")
    log.append(sent)
    log.refresh()
    assert log.entries == [sent]


@pytest.mark.parametrize(
    "damage",
    [
        b'{"id": "cut',
        b"\x00\xff\xfe garbage\n",
        b'{"id": 7, "at_s": "x"}\n',
        b'{"id":"s","at_s":1,"source":"x","do":"submit","spec":{"name":"n"}}\n',
        b'{"id":"s","at_s":1,"source":"x","do":"submit","spec":{"name":"n","user":"u",'
        b'"account":"a","queue":"q","request":{"gpus":-3},"duration_s":1}}\n',
        b"[1, 2]\nnull\n\n\n",
    ],
)
def test_a_line_that_makes_no_sense_is_passed_over(tmp_path: Path, damage: bytes) -> None:
    log = ActsLog(tmp_path, NOW)
    log.append(entry("a"))
    with (tmp_path / FILE).open("ab") as file:
        file.write(damage)
    log.append(entry("b"))
    assert ids(log) == ["a", "b"]
    assert ids(ActsLog(tmp_path, NOW)) == ["a", "b"]


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\n",
        b"no json\n",
        b'{"schema":"foundry.simulated/9","epoch":"2026-03-02T09:00:00Z"}\n',
        b'{"schema":"foundry.simulated/1","epoch":"2026-03-02T09:00:00"}\n',
        b'{"schema":"foundry.simulated/1"}\n',
        b"\xff\xff\n",
    ],
)
def test_a_bad_header_means_a_fresh_start(tmp_path: Path, head: bytes) -> None:
    (tmp_path / FILE).write_bytes(head + b'{"id":"old","at_s":1,"source":"x","do":"hold"}\n')
    log = ActsLog(tmp_path, NOW)
    assert ids(log) == []
    assert log.epoch == NOW.replace(microsecond=0)
    assert log.memory_only is None
    log.append(entry("a"))
    assert ids(ActsLog(tmp_path, NOW)) == ["a"]


@pytest.mark.parametrize("age", [FRESH_FOR + timedelta(seconds=2), -timedelta(minutes=5)])
def test_an_old_estate_or_one_of_the_future_is_started_afresh(
    tmp_path: Path, age: timedelta
) -> None:
    old = ActsLog(tmp_path, NOW)
    old.append(entry("a"))
    fresh = ActsLog(tmp_path, NOW + age)
    assert ids(fresh) == []
    assert fresh.epoch == (NOW + age).replace(microsecond=0)
    # The process that still runs on the old one moves over.
    generation = old.generation
    assert ids(old) == []
    assert old.epoch == fresh.epoch
    assert old.generation > generation


def test_a_file_beyond_all_measure_is_started_afresh(tmp_path: Path) -> None:
    ActsLog(tmp_path, NOW).append(entry("a"))
    os.truncate(tmp_path / FILE, MAX_BYTES + 1)
    assert ids(ActsLog(tmp_path, NOW)) == []


def test_without_a_folder_the_acts_last_as_long_as_the_process() -> None:
    log = ActsLog(None, NOW)
    log.append(entry("a"))
    assert ids(log) == ["a"]
    assert log.memory_only == "no folder was given to keep acts in"


def test_where_nothing_can_be_written_the_acts_are_kept_in_memory(tmp_path: Path) -> None:
    # A file where the folder should be: root could write into a read-only folder.
    (tmp_path / "state").write_text("")
    log = ActsLog(tmp_path / "state", NOW)
    log.append(entry("a"))
    assert ids(log) == ["a"]
    assert log.memory_only is not None
    assert str(tmp_path / "state") in log.memory_only


def test_a_file_that_vanishes_leaves_its_acts_in_memory(tmp_path: Path) -> None:
    log = ActsLog(tmp_path, NOW)
    log.append(entry("a"))
    assert ids(log) == ["a"]
    (tmp_path / FILE).unlink()
    log.append(entry("b"))
    assert ids(log) == ["a", "b"]
    assert not (tmp_path / FILE).exists()


def test_only_the_user_may_read_a_folder_that_was_made(tmp_path: Path) -> None:
    ActsLog(tmp_path / "state", NOW)
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
