"""What is known from what the collector told, with clocks that the test sets."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from foundry_tui.agent.log import narrate
from foundry_tui.agent.serving.page import Known, render
from foundry_tui.agent.serving.supervise import Supervisor
from foundry_tui.agent.serving.windows import FRESH_S
from foundry_tui.agent.shapes import Device, GpuRound, Round
from foundry_tui.agent.wire import encode

MINUTE = 1_700_000_040


@dataclass
class Clock:
    """Both clocks of a host: unix time, and one that never steps."""

    unix: float = float(MINUTE)
    steady: float = 50.0

    def pass_by(self, seconds: float) -> None:
        self.unix += seconds
        self.steady += seconds

    def supervisor(self) -> Supervisor:
        return Supervisor(10.0, clock=lambda: self.unix, monotonic=lambda: self.steady)

    def line(self, util: float, **errors: int) -> bytes:
        gpu = GpuRound(Device(0, "GPU-0"), {"gpu_util": util}, errors=errors)
        return encode(Round(self.unix, gpus=[gpu], processes=[]))


def told(known: Known, now: float) -> list[str]:
    """The lines of the page that are of a window."""
    page = render(known, host="gpu01", jobs=True, now=now).decode()
    return [line for line in page.splitlines() if "DCGM" in line or "window" in line]


def test_two_scrapers_agree_on_every_value_of_a_window() -> None:
    """They ask at different times of the same minute, and the collector goes on reading."""
    clock = Clock()
    supervisor = clock.supervisor()
    pages: dict[int, list[list[str]]] = {}
    for step in range(30):
        supervisor.take(clock.line(float(step)))
        for wait_s in (0.1, 4.0, 5.9):
            clock.pass_by(wait_s)
            if clock.unix >= MINUTE + 60:
                minute = int(clock.unix // 60)
                pages.setdefault(minute, []).append(told(supervisor.known(), clock.unix))
    assert len(pages) >= 4
    for minute, seen in pages.items():
        assert len(seen) > 10 or minute == max(pages)
        assert all(page == seen[0] for page in seen)
        assert len(seen[0]) > 5
    assert len({str(seen[0]) for seen in pages.values()}) == len(pages)


def test_values_outlive_silence_for_two_windows() -> None:
    clock = Clock()
    supervisor = clock.supervisor()
    supervisor.take(clock.line(37.0))
    clock.pass_by(FRESH_S - 1)
    known = supervisor.known()
    assert known.age_s == FRESH_S - 1
    assert known.window is not None
    clock.pass_by(2)
    known = supervisor.known()
    assert (known.age_s, known.window) == (FRESH_S + 1, None)
    assert known.latest is not None, "which GPUs there are is still known"


def test_a_clock_that_steps_back_does_not_keep_old_values_alive() -> None:
    clock = Clock()
    supervisor = clock.supervisor()
    supervisor.take(clock.line(37.0))
    clock.steady += FRESH_S + 1
    assert supervisor.known().window is None


def test_no_driver_is_the_problem_that_is_told() -> None:
    clock = Clock()
    supervisor = clock.supervisor()
    failure = Round(clock.unix, failure="Driver Not Loaded", failure_code=9)
    supervisor.take(encode(failure))
    known = supervisor.known()
    assert known.problem == "nvml"
    assert known.reason.startswith("Driver Not Loaded; load the driver")
    assert known.errors == {("nvmlInit", 9): 1}
    supervisor.take(clock.line(1.0))
    assert supervisor.known().problem is None


def test_what_a_gpu_cannot_do_is_no_error() -> None:
    clock = Clock()
    supervisor = clock.supervisor()
    for _ in range(3):
        supervisor.take(clock.line(1.0, ecc_sbe=3, energy=13, power=999))
    assert supervisor.known().errors == {("power", 999): 3}


def test_an_xid_outlives_the_collector_that_saw_it() -> None:
    """After a GPU has fallen off its bus the driver hangs, and the next collector saw nothing."""
    clock = Clock()
    supervisor = clock.supervisor()
    for xids in ({"31": 1.0, "79": 5.0}, {}, {"31": 9.0}):
        device = GpuRound(Device(0, "GPU-0"), xids=xids)
        supervisor.take(encode(Round(clock.unix, gpus=[device])))
    gpu = supervisor.known().latest.gpus[0]  # type: ignore[union-attr]
    assert list(gpu.xids.items()) == [("79", 5.0), ("31", 9.0)]
    assert gpu.values["xid"] == 31.0


def test_a_log_that_cannot_be_written_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w", buffering=1) as full:
        monkeypatch.setattr("sys.stderr", full)
        narrate("the driver answers")
        monkeypatch.undo()
        with suppress(OSError):
            full.close()


def test_a_line_that_is_no_round_is_counted_and_changes_nothing() -> None:
    clock = Clock()
    supervisor = clock.supervisor()
    supervisor.take(clock.line(37.0))
    supervisor.take(b"NVRM: something\n")
    known = supervisor.known()
    assert known.errors == {("line", 0): 1}
    assert known.problem is None
