"""Several processes see one estate, and what they do is kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from foundry_tui.estate.acts import Cancel, Receipt, ReceiptStatus, Submit
from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.snapshot import encode
from foundry_tui.schedulers.simulated import build
from foundry_tui.schedulers.simulated.live import SPEED
from foundry_tui.schedulers.simulated.log import FILE, FRESH_FOR
from foundry_tui.schedulers.simulated.slurm import SlurmManners
from tests.schedulers.simulated.conftest import START, Clock

SCRIPT = b"#!/bin/sh\n#SBATCH --gres=gpu:1 -t 10 -J mine\nsleep 300\n"
ROOT = Path(__file__).parents[3]


def submit(source: SlurmManners, token: str = "token-1") -> Receipt:
    act = Submit(source=source.name, script=SCRIPT, script_name="job.sh")
    return source.perform(source.preview(act, (), token), token)[0]


def find(source: SlurmManners, native: str) -> Run:
    return next(r for r in source.snapshot().runs if r.native_id == native)


def test_the_same_moment_is_the_same_estate(clock: Clock) -> None:
    one, other = build(None, clock), build(None, clock)
    clock.pass_simulated(7200)
    for mine, theirs in zip(one, other, strict=True):
        assert encode(mine.snapshot()) == encode(theirs.snapshot())


def test_looking_often_changes_nothing(clock: Clock) -> None:
    often, once = build(None, clock)[0], build(None, clock)[0]
    for _ in range(20):
        clock.pass_simulated(613)
        often.snapshot()
    assert encode(often.snapshot()) == encode(once.snapshot())


def test_time_runs_faster_than_the_clock(clock: Clock) -> None:
    source = build(None, clock)[0]
    before = source.snapshot().generated_at
    clock.now += timedelta(seconds=10)
    assert source.snapshot().generated_at - before == timedelta(seconds=10 * SPEED)
    assert source.now() == source.snapshot().generated_at


def test_another_process_sees_what_was_submitted(tmp_path: Path, clock: Clock) -> None:
    first = build(tmp_path, clock)[0]
    receipt = submit(first)
    clock.pass_simulated(120)
    second = build(tmp_path, clock)[0]
    assert second.find_submitted("token-1") == receipt.target
    assert find(second, receipt.target) == find(first, receipt.target)
    assert encode(first.snapshot()) == encode(second.snapshot())


def test_two_processes_that_act_in_turn_agree(tmp_path: Path, clock: Clock) -> None:
    one, other = build(tmp_path, clock)[0], build(tmp_path, clock)[0]
    targets = []
    for turn, source in enumerate((one, other, one, other)):
        clock.pass_simulated(45)
        one.snapshot()
        targets.append(submit(source, f"token-{turn}").target)
    assert len(set(targets)) == 4
    assert encode(one.snapshot()) == encode(other.snapshot())


def test_an_act_that_comes_to_light_late_is_put_where_it_belongs(
    tmp_path: Path, clock: Clock
) -> None:
    watcher, actor = build(tmp_path, clock)[0], build(tmp_path, Clock(START))[0]
    clock.pass_simulated(600)
    watcher.snapshot()
    receipt = submit(actor)
    run = find(watcher, receipt.target)
    assert run.submitted_at == START
    fresh = build(tmp_path, clock)[0]
    assert encode(watcher.snapshot()) == encode(fresh.snapshot())


def test_an_entry_of_the_far_future_does_not_stop_the_clock(tmp_path: Path, clock: Clock) -> None:
    source = build(tmp_path, clock)[0]
    with (tmp_path / FILE).open("a") as file:
        file.write('{"id":"x","at_s":99999999999,"source":"sim-slurm","do":"hold","key":"1"}\n')
    assert source.snapshot().generated_at == START
    clock.pass_simulated(60)
    assert submit(source).status is ReceiptStatus.ACCEPTED


@pytest.mark.parametrize(
    "line",
    [
        {"do": "dance", "key": "4100"},
        {"do": "cancel", "key": "no such run"},
        {"do": "submit"},
        {"do": "change", "key": "4100"},
    ],
)
def test_an_entry_that_makes_no_sense_has_no_effect(
    tmp_path: Path, clock: Clock, line: dict[str, str]
) -> None:
    source = build(tmp_path, clock)[0]
    plain = encode(source.snapshot())
    with (tmp_path / FILE).open("a") as file:
        file.write(json.dumps({"id": "x", "at_s": 0, "source": "sim-slurm", **line}) + "\n")
    assert encode(source.snapshot()) == plain


def test_after_some_hours_the_estate_starts_afresh(tmp_path: Path, clock: Clock) -> None:
    receipt = submit(build(tmp_path, clock)[0])
    clock.now += FRESH_FOR - timedelta(minutes=1)
    assert build(tmp_path, clock)[0].find_submitted("token-1") == receipt.target
    clock.now += timedelta(minutes=2)
    assert build(tmp_path, clock)[0].find_submitted("token-1") is None


def test_two_real_processes(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib, datetime as d\n"
        "from foundry_tui.schedulers.simulated import build\n"
        "from foundry_tui.estate.acts import Submit\n"
        "s = build(pathlib.Path(sys.argv[1]), lambda: d.datetime.now(d.UTC))[0]\n"
        "if len(sys.argv) > 2:\n"
        "    a = Submit(source=s.name, script=b'#!/bin/sh\\nsleep 9\\n', script_name='j')\n"
        "    print(s.perform(s.preview(a, (), sys.argv[2]), sys.argv[2])[0].target)\n"
        "else:\n"
        "    print(s.find_submitted('a-token'), s.find_submitted('b-token'))\n"
    )

    def start(*args: str) -> subprocess.Popen[str]:
        argv = [sys.executable, "-c", program, str(tmp_path), *args]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=env)

    both = [start("a-token"), start("b-token")]
    targets = [process.communicate(timeout=60)[0].strip() for process in both]
    assert all(target.isdigit() for target in targets)
    assert len(set(targets)) == 2
    assert start().communicate(timeout=60)[0].split() == targets


def test_what_ends_is_forgotten_by_the_list_and_kept_by_the_accounting(
    clock: Clock, slurm: SlurmManners
) -> None:
    receipt = submit(slurm)
    act = Cancel(source=slurm.name, runs=(receipt.target,))
    slurm.perform(slurm.preview(act, (), "t"), "t")
    assert find(slurm, receipt.target).state is RunState.CANCELLED
    clock.pass_simulated(2 * 3600)
    assert all(r.native_id != receipt.target for r in slurm.snapshot().runs)
