"""One pass: broken pairs are mended, ended runs told, and a second pass changes nothing."""

from __future__ import annotations

import socket
import subprocess
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from foundry_tui.collector.follow import Follower
from foundry_tui.collector.reconcile import Asked, Pass, Report
from foundry_tui.estate.run import ArrayPart, Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.estate.text import safe
from foundry_tui.estate.tracked import TrackedRun, TrackStatus
from foundry_tui.estate.usage import Accounting, UsageRecord, Window
from foundry_tui.schedulers.ports import Unavailable
from foundry_tui.store.links import Link, Links
from foundry_tui.tracking.link import tags
from foundry_tui.tracking.memory import MemoryTracker
from foundry_tui.tracking.ports import TrackerDenied, TrackerDown, TrackingError

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
TOKEN = "0123456789abcdef"
ME = "ada"


@dataclass
class Slurm:
    """A scheduler that tells what it was given, and counts what it was asked."""

    name: str = "lab"
    sent: dict[str, str] = field(default_factory=dict)
    records: tuple[UsageRecord, ...] = ()
    down: bool = False
    asked: list[tuple[str, ...] | None] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)

    def find_submitted(self, token: str) -> str | None:
        if self.down:
            raise Unavailable("squeue", "no answer")
        return self.sent.get(token)

    def accounting(self, window: Window, *, users: tuple[str, ...] | None = None) -> Accounting:
        self.asked.append(users)
        self.windows.append(window)
        if self.down:
            raise Unavailable("sacct", "no answer")
        return Accounting(window=window, records=self.records)


@dataclass
class Bench:
    """A tracker, a scheduler and links in a folder, with a clock that the test moves."""

    links: Links
    tracker: MemoryTracker = field(default_factory=lambda: MemoryTracker("lab"))
    slurm: Slurm = field(default_factory=Slurm)
    rows: list[Run] = field(default_factory=list)
    now: datetime = NOW
    state: SourceState = SourceState.OK

    def record(self, status: TrackStatus | None = None, token: str = TOKEN) -> TrackedRun:
        made = tags(
            user=ME, backend="slurm", cluster="lab", token=token, script="a.sh", commit=None
        )
        run = self.tracker.create("e", name="a", tags=made, started_at=NOW - timedelta(hours=1))
        if status is not None:
            self.tracker.update(run.run_id, status=status)
        return run

    def link(self, **more: Any) -> Link:
        """A link of a process that is gone, submitted an hour ago."""
        link = Link(
            token=TOKEN,
            source="lab",
            server=self.tracker.url,
            experiment="e",
            created_at=NOW - timedelta(hours=1),
            host=socket.gethostname(),
            pid=2**22 + 1,
        )
        link = replace(link, **more)
        self.links.save(link)
        return link

    def linked(self, shows: TrackStatus | None = None, **more: Any) -> str:
        """A whole pair, as a submit leaves it; returns the id of the record."""
        run_id = self.record(shows).run_id
        known = {"mlflow_run_id": run_id, "sent_at": NOW - timedelta(hours=1), "native_id": "17"}
        self.link(**{**known, "status": "SCHEDULED", **more})
        return run_id

    def row(self, state: str, **more: Any) -> None:
        known = {"id": "lab/17", "native_id": "17", "user": ME, "submit_token": TOKEN, **more}
        self.rows.append(
            Run(source="lab", scheduler="slurm", name=safe("a"), state=RunState(state), **known)
        )

    def run(self, **more: Any) -> Report:
        source = Source(
            name="lab", kind="slurm", state=self.state, read_at=self.now, reason="told so"
        )
        return Pass(
            links=self.links,
            tracker=self.tracker,
            schedulers={"lab": cast("Asked", self.slurm)},
            snapshot=Snapshot(generated_at=self.now, sources=(source,), runs=tuple(self.rows)),
            user=lambda _: ME,
            backend=lambda _: "slurm",
            clock=lambda: self.now,
            **more,
        ).run()

    def shown(self, run_id: str) -> TrackedRun:
        run = self.tracker.get(run_id)
        assert run is not None
        return run


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(Links(tmp_path / "links"))


def ended(state: str, native: str = "17", token: str | None = TOKEN, **more: Any) -> UsageRecord:
    unset = ("account", "queue", "qos", "submitted_at", "eligible_at", "started_at")
    known: dict[str, Any] = {"ended_at": NOW, "user": ME, "exit_code": 0, **more}
    known.update(dict.fromkeys(unset))
    return UsageRecord(
        source="lab",
        native_id=native,
        raw_id=native,
        name=safe("a"),
        state=RunState(state),
        submit_token=token,
        **known,
    )


def did(report: Report) -> list[str]:
    return [item.did for item in report.items]


def test_a_job_from_waiting_to_its_end(bench: Bench) -> None:
    run_id = bench.linked()
    bench.row("pending")
    assert did(bench.run()) == ["left"]
    bench.rows.clear()
    bench.row("running")
    assert did(bench.run()) == ["wrote"]
    assert bench.shown(run_id).status is TrackStatus.RUNNING
    bench.rows.clear()
    end = NOW - timedelta(minutes=3)
    bench.row("timeout", ended_at=end, exit_code=143)
    report = bench.run()
    (item,) = report.items
    assert (item.before, item.after, item.state, item.did) == (
        "RUNNING", "KILLED", "timeout", "wrote",
    )  # fmt: skip
    shown = bench.shown(run_id)
    assert (shown.status, shown.ended_at) == (TrackStatus.KILLED, end)
    assert shown.tags["foundry.reason"] == "timeout"
    assert shown.tags["foundry.exit_code"] == "143"
    assert bench.run() == Report(), "settled: not even looked at"
    assert bench.slurm.asked == [(ME,)], "once, for the figures of what has ended"


@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_cluster_whose_clock_is_ten_minutes_off(bench: Bench, minutes: int) -> None:
    run_id = bench.linked(TrackStatus.RUNNING)
    begun = NOW - timedelta(hours=1)
    end = begun + timedelta(minutes=minutes)
    bench.row("completed", started_at=end - timedelta(seconds=30), ended_at=end, exit_code=0)
    assert did(bench.run()) == ["wrote"]
    shown = bench.shown(run_id)
    assert (shown.status, shown.ended_at) == (TrackStatus.FINISHED, max(begun, end))
    assert bench.run() == Report()


def test_a_second_pass_changes_nothing(bench: Bench) -> None:
    run_id = bench.linked()
    bench.row("running")
    bench.run()
    kept = (bench.shown(run_id), bench.links.find(TOKEN))
    report = bench.run()
    assert (did(report), report.items[0].words) == (["left"], "both run")
    assert (bench.shown(run_id), bench.links.find(TOKEN)) == kept


def test_a_job_that_only_the_accounting_knows(bench: Bench) -> None:
    run_id = bench.linked(TrackStatus.RUNNING)
    bench.slurm.records = (ended("failed", exit_code=3), ended("completed", "18", "other-token"))
    bench.run()
    assert bench.shown(run_id).status is TrackStatus.FAILED
    assert bench.shown(run_id).tags["foundry.exit_code"] == "3"
    assert bench.slurm.asked == [(ME,)], "one question, for my own runs"
    (window,) = bench.slurm.windows
    assert window.start <= NOW - timedelta(hours=1) < NOW <= window.end


def test_the_newest_try_of_a_requeued_job_counts(bench: Bench) -> None:
    run_id = bench.linked(TrackStatus.RUNNING)
    bench.slurm.records = (ended("preempted"), ended("completed"))
    bench.run()
    assert bench.shown(run_id).status is TrackStatus.FINISHED


def test_accounting_that_is_behind_decides_nothing(bench: Bench) -> None:
    run_id = bench.linked(TrackStatus.RUNNING)
    bench.slurm.records = (ended("running", ended_at=None),)
    assert did(bench.run()) == ["left"]
    assert bench.shown(run_id).status is TrackStatus.RUNNING


def test_a_requeue_is_a_new_attempt(bench: Bench) -> None:
    run_id = bench.linked(TrackStatus.RUNNING, status="RUNNING")
    bench.row("pending")
    bench.run()
    shown = bench.shown(run_id)
    assert (shown.status, shown.tags["foundry.attempt"]) == (TrackStatus.SCHEDULED, "2")
    bench.run()
    assert bench.shown(run_id).tags["foundry.attempt"] == "2"


def test_a_lost_job_is_orphaned_after_six_hours(bench: Bench) -> None:
    run_id = bench.linked(TrackStatus.RUNNING)
    bench.now = NOW + timedelta(days=3)
    assert did(bench.run()) == ["left"], "it may be missing since a minute ago"
    bench.now += timedelta(hours=5)
    assert did(bench.run()) == ["left"]
    bench.now += timedelta(hours=2)
    assert did(bench.run()) == ["orphaned"]
    shown = bench.shown(run_id)
    assert (shown.status, shown.ended_at) == (TrackStatus.RUNNING, None), "never changed silently"
    assert shown.tags["foundry.orphaned"] == "true"
    assert bench.run().items == ()


def test_a_job_that_comes_back_is_missing_anew(bench: Bench) -> None:
    bench.linked(TrackStatus.RUNNING)
    bench.run()
    bench.row("running")
    bench.run()
    bench.rows.clear()
    bench.now = NOW + timedelta(hours=7)
    assert did(bench.run()) == ["left"]


def test_silence_is_not_unknown(bench: Bench) -> None:
    run_id = bench.linked(TrackStatus.RUNNING)
    bench.slurm.down = True
    for hours in (0, 7, 14):
        bench.now = NOW + timedelta(hours=hours)
        report = bench.run()
        assert (did(report), set(report.silent)) == (["left"], {"lab"})
    bench.slurm.down = False
    bench.state = SourceState.STALE
    bench.row("completed")
    assert did(bench.run()) == ["left"], "old rows prove nothing"
    assert bench.shown(run_id).status is TrackStatus.RUNNING


def test_somebody_elses_job_with_my_token_is_not_mine(bench: Bench) -> None:
    run_id = bench.linked(TrackStatus.RUNNING)
    bench.row("cancelled", id="lab/99", native_id="99", user="mallory")
    bench.row("running")
    bench.run()
    assert bench.shown(run_id).status is TrackStatus.RUNNING
    bench.rows[:] = bench.rows[:1]
    bench.run()
    assert bench.shown(run_id).status is TrackStatus.RUNNING


def test_an_id_that_came_round_again_is_another_job(bench: Bench) -> None:
    run_id = bench.linked(TrackStatus.RUNNING)
    bench.row("completed", submit_token="fedcba9876543210")
    assert did(bench.run()) == ["left"]
    assert bench.shown(run_id).status is TrackStatus.RUNNING


def test_a_job_without_its_comment_is_found_by_its_id(bench: Bench) -> None:
    run_id = bench.linked(TrackStatus.RUNNING)
    bench.slurm.records = (ended("completed", token=None),)
    bench.run()
    assert bench.shown(run_id).status is TrackStatus.FINISHED


def test_an_array_waits_for_its_last_task(bench: Bench) -> None:
    run_id = bench.linked()
    bench.row("running", id="lab/17_1", native_id="17_1", array=ArrayPart("17", "1", 1))
    bench.row("failed", id="lab/17_0", native_id="17_0", array=ArrayPart("17", "0", 1))
    bench.run()
    assert bench.shown(run_id).status is TrackStatus.RUNNING
    bench.rows[:] = [replace(bench.rows[0], state=RunState.COMPLETED, ended_at=NOW)]
    bench.slurm.records = (ended("failed", "17_0", exit_code=2), ended("running", "17_1"))
    bench.run()
    shown = bench.shown(run_id)
    assert shown.status is TrackStatus.FAILED, "the job list forgets, the accounting does not"
    assert shown.tags["foundry.reason"] == "failed (1 of 2 tasks)"


def test_killed_between_the_file_and_the_record(bench: Bench) -> None:
    bench.link()
    report = bench.run()
    assert did(report) == ["repaired"]
    assert "never submitted" in report.items[0].words
    assert bench.run().items == ()


def test_killed_between_the_record_and_the_file(bench: Bench) -> None:
    run = bench.record()
    bench.link()
    assert did(bench.run()) == ["repaired"]
    shown = bench.shown(run.run_id)
    assert shown.status is TrackStatus.FAILED
    assert shown.ended_at is not None
    assert "never submitted" in shown.tags["foundry.reason"]
    assert bench.run().items == ()


def test_killed_between_sending_and_tagging(bench: Bench) -> None:
    run = bench.record()
    bench.link(mlflow_run_id=run.run_id, sent_at=NOW - timedelta(seconds=5))
    bench.slurm.sent[TOKEN] = "17"
    bench.slurm.records = (ended("completed"),)
    assert did(bench.run()) == ["wrote"]
    shown = bench.shown(run.run_id)
    assert shown.tags["foundry.slurm.job_id"] == "17"
    assert shown.status is TrackStatus.FINISHED
    assert bench.run().items == ()


def test_of_a_broken_off_array_the_id_of_the_array_is_noted(bench: Bench) -> None:
    run = bench.record()
    bench.link(mlflow_run_id=run.run_id, sent_at=NOW)
    bench.row("pending", id="lab/17_[0-9]", native_id="17_[0-9]", array=ArrayPart("17", "0-9", 10))
    bench.run()
    assert bench.shown(run.run_id).tags["foundry.slurm.job_id"] == "17"


def test_what_was_sent_may_still_be_on_its_way(bench: Bench) -> None:
    run = bench.record()
    bench.link(mlflow_run_id=run.run_id, sent_at=NOW)
    bench.now = NOW + timedelta(seconds=60)
    assert did(bench.run()) == ["waits"]
    assert bench.shown(run.run_id).status is TrackStatus.SCHEDULED
    bench.now = NOW + timedelta(seconds=121)
    assert did(bench.run()) == ["repaired"]
    assert bench.shown(run.run_id).status is TrackStatus.FAILED


def test_a_silent_scheduler_settles_no_broken_off_submit(bench: Bench) -> None:
    run = bench.record()
    bench.link(mlflow_run_id=run.run_id, sent_at=NOW - timedelta(hours=1))
    bench.slurm.down = True
    report = bench.run()
    assert (did(report), set(report.silent)) == (["left"], {"lab"})
    assert bench.shown(run.run_id).status is TrackStatus.SCHEDULED


def test_a_submit_that_is_at_work_is_left_to_it(bench: Bench) -> None:
    child = subprocess.Popen(["/bin/sleep", "60"])
    try:
        for more in ({}, {"host": "another-login-node", "pid": 1}):
            bench.link(created_at=NOW - timedelta(seconds=20), **{"pid": child.pid, **more})
            assert did(bench.run()) == ["waits"], more
        bench.now = NOW + timedelta(seconds=121)
        assert did(bench.run()) == ["repaired"]
    finally:
        child.kill()
        child.wait()


def test_a_dry_run_writes_nothing(bench: Bench, tmp_path: Path) -> None:
    run = bench.record()
    bench.link(mlflow_run_id=run.run_id, sent_at=NOW)
    bench.slurm.sent[TOKEN] = "17"
    bench.row("cancelled", ended_at=NOW)
    files = {p: p.read_bytes() for p in tmp_path.rglob("*.json")}
    kept = bench.shown(run.run_id)
    report = bench.run(dry_run=True)
    assert (did(report), report.items[0].after) == (["wrote"], "KILLED")
    assert bench.shown(run.run_id) == kept
    assert {p: p.read_bytes() for p in tmp_path.rglob("*.json")} == files


def test_a_tracker_that_is_down_stops_the_pass_and_loses_nothing(bench: Bench) -> None:
    run_id = bench.linked(TrackStatus.RUNNING)
    bench.row("completed", ended_at=NOW)
    bench.tracker.fault = TrackerDown("the server", "no answer")
    report = bench.run()
    assert isinstance(report.down, TrackerDown)
    bench.tracker.fault = None
    assert did(bench.run()) == ["wrote"]
    assert bench.shown(run_id).status is TrackStatus.FINISHED


def test_one_refusal_costs_the_others_nothing(bench: Bench) -> None:
    bench.linked(TrackStatus.RUNNING)
    second = "fedcba9876543210"
    other = bench.record(TrackStatus.RUNNING, second)
    bench.link(token=second, mlflow_run_id=other.run_id, sent_at=NOW, native_id="18")
    bench.row("completed", ended_at=NOW)
    bench.row("completed", id="lab/18", native_id="18", submit_token=second, ended_at=NOW)
    real = bench.tracker.update

    def refuse(run_id: str, **more: Any) -> None:
        if run_id != other.run_id:
            raise TrackingError("a change", "403: Permission denied")
        real(run_id, **more)

    bench.tracker.update = refuse  # type: ignore[method-assign]
    assert sorted(did(bench.run())) == ["failed", "wrote"]
    assert bench.shown(other.run_id).status is TrackStatus.FINISHED


def test_a_record_that_cannot_be_had_keeps_no_other_waiting(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = "fedcba9876543210"
    stuck = bench.record().run_id
    bench.link(
        token=other,
        mlflow_run_id=stuck,
        sent_at=NOW,
        native_id="18",
        created_at=NOW - timedelta(hours=2),
    )
    run_id = bench.linked()
    bench.row("completed")
    bench.row("completed", id="lab/18", native_id="18", submit_token=other)
    get = bench.tracker.get

    def answer(wanted: str) -> TrackedRun | None:
        if wanted == stuck:
            raise TrackerDown("the run", "the answer is larger than 16 MiB")
        return get(wanted)

    monkeypatch.setattr(bench.tracker, "get", answer)
    report = bench.run()
    assert (did(report), report.down) == (["failed", "wrote"], None)
    assert bench.shown(run_id).status is TrackStatus.FINISHED


def test_a_login_that_is_refused_is_asked_for_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(9):
        bench.linked(token=f"{i:016x}", native_id=str(i))
        bench.row("completed", id=f"lab/{i}", native_id=str(i), submit_token=f"{i:016x}")
    asked = []
    bench.tracker.fault = TrackerDenied("the run", "401: the login is refused")

    def refuse(run_id: str) -> None:
        asked.append(run_id)
        raise TrackerDenied("the run", "401: the login is refused")

    monkeypatch.setattr(bench.tracker, "get", refuse)
    assert bench.run().down is not None
    assert len(asked) == 1


def test_a_record_that_is_gone(bench: Bench) -> None:
    run_id = bench.linked()
    bench.tracker.delete(run_id)
    bench.row("running")
    assert "no record" in bench.run().items[0].words
    bench.rows.clear()
    bench.row("completed")
    assert did(bench.run()) == ["left"]
    assert bench.run().items == (), "an ended job without a record is settled"


def test_another_server_is_left_alone_and_a_moved_one_followed(bench: Bench) -> None:
    run_id = bench.linked(TrackStatus.RUNNING, server="http://old:5000")
    bench.row("completed", ended_at=NOW)
    bench.run()
    assert bench.shown(run_id).status is TrackStatus.FINISHED, "the same records, a new address"
    bench.link(token="fedcba9876543210", server="http://old:5000", mlflow_run_id="r-of-old",
               sent_at=NOW, native_id="18")  # fmt: skip
    report = bench.run()
    assert did(report) == ["left"]
    assert "http://old:5000" in report.items[0].words


def test_a_source_that_is_not_here_is_left(bench: Bench) -> None:
    bench.linked(source="other")
    report = bench.run()
    assert (did(report), report.silent) == (["left"], {})


def test_a_quick_pass_asks_only_about_what_moved(bench: Bench) -> None:
    run_id = bench.linked(status="RUNNING")
    bench.tracker.update(run_id, status=TrackStatus.RUNNING)
    bench.row("running")
    bench.tracker.fault = TrackerDown("the server", "must not be asked")
    assert bench.run(thorough=False) == Report()
    bench.tracker.fault = None
    bench.rows.clear()
    report = bench.run(thorough=False, accounting=False)
    assert (did(report), bench.slurm.asked) == (["left"], [])
    bench.row("failed", ended_at=NOW, exit_code=1)
    assert did(bench.run(thorough=False, accounting=False)) == ["wrote"]


def test_a_damaged_file_is_told_and_the_rest_goes_on(bench: Bench, tmp_path: Path) -> None:
    run_id = bench.linked(TrackStatus.RUNNING)
    (tmp_path / "links" / "open" / "aaaaaaaaaaaaaaaa.json").write_text("{")
    bench.row("completed", ended_at=NOW)
    report = bench.run()
    assert len(report.problems) == 1
    assert bench.shown(run_id).status is TrackStatus.FINISHED


def follow(bench: Bench, follower: Follower) -> None:
    thread = follower.offer(Snapshot(generated_at=NOW))
    assert thread is not None
    thread.join(10)
    assert not thread.is_alive()


def made(bench: Bench, asked: list[bool]) -> Follower:
    def make(snapshot: Snapshot, slow: bool) -> Pass:
        asked.append(slow)
        return Pass(
            links=bench.links,
            tracker=bench.tracker,
            schedulers={"lab": cast("Asked", bench.slurm)},
            snapshot=Snapshot(
                generated_at=NOW,
                sources=(Source(name="lab", kind="slurm", state=SourceState.OK, read_at=NOW),),
                runs=tuple(bench.rows),
            ),
            user=lambda _: ME,
            backend=lambda _: "slurm",
            clock=lambda: bench.now,
            thorough=False,
            accounting=slow,
        )

    return Follower(make, monotonic=lambda: 1000.0)


def test_the_follower_writes_once_in_its_time(bench: Bench, tmp_path: Path) -> None:
    run_id = bench.linked()
    bench.row("running")
    asked: list[bool] = []
    follower = made(bench, asked)
    follow(bench, follower)
    assert bench.shown(run_id).status is TrackStatus.RUNNING
    bench.rows.clear()
    bench.row("completed", ended_at=NOW)
    follow(bench, follower)
    follow(bench, made(bench, asked))
    assert bench.shown(run_id).status is TrackStatus.RUNNING, "not twice in 30 s, in any process"
    (tmp_path / "links" / "passed").unlink()
    follow(bench, follower)
    assert bench.shown(run_id).status is TrackStatus.FINISHED


def test_the_follower_never_raises_and_waits_for_nobody(bench: Bench) -> None:
    bench.linked()
    bench.row("running")
    asked: list[bool] = []
    follower = made(bench, asked)
    with bench.links.writer(wait_s=0.0):
        follow(bench, follower)
        assert (follower.last, follower.failed) == (None, None), "another process is at it"

    def broken(snapshot: Snapshot, slow: bool) -> Pass:
        raise RuntimeError("a fault of ours\x1b[31m")

    follower = Follower(broken)
    follow(bench, follower)
    assert follower.failed is not None
    assert "a fault of ours" in follower.failed
    assert "\x1b" not in follower.failed
