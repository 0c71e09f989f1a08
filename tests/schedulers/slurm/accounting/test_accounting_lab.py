"""Accounting of real jobs in a real slurmdbd: all kinds of tries, told twice and summed twice."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from foundry_tui.estate.gpu import Share
from foundry_tui.estate.run import RunState
from foundry_tui.estate.usage import HeldGpus, UsageRecord, Window
from foundry_tui.schedulers.ports import Bookkeeper, Unavailable
from foundry_tui.schedulers.slurm.adapter import SlurmAdapter
from tests.lab.daemons import until
from tests.lab.slurm import SlurmLab
from tests.schedulers.slurm.accounting.database import restart_slurmdbd, sql
from tests.schedulers.slurm.accounting.sacctjson import by_json, by_text

SHORT = b"#!/bin/sh\nsleep 1\n"
WORDS = {
    "completed": "COMPLETED",
    "cancelled": "CANCELLED",
    "failed": "FAILED",
    "running": "RUNNING",
    "pending": "PENDING",
    "requeued": "REQUEUED",
    "suspended": "SUSPENDED",
}


@pytest.fixture
def adapter(lab: SlurmLab) -> SlurmAdapter:
    return SlurmAdapter("lab", conf=lab.env["SLURM_CONF"])


@pytest.fixture
def since() -> datetime:
    """A moment before the jobs of a test and after those of the test before."""
    time.sleep(1.1)  # Slurm's times are whole seconds
    return datetime.now(UTC).replace(microsecond=0)


def window(since: datetime, end: datetime | None = None) -> Window:
    return Window(since, end or datetime.now(UTC) + timedelta(minutes=5))


def read(adapter: SlurmAdapter, given: Window) -> list[UsageRecord]:
    """Every try of the window; nothing may be rejected."""
    found: list[UsageRecord] = []
    for part in adapter.usage(given):
        assert part.rejects == ()
        found += part.records
    return found


def gpu_seconds(records: list[UsageRecord], within: Window, now: datetime) -> Counter[str]:
    """Whole GPU-seconds by account; what runs runs until now."""
    found: Counter[str] = Counter()
    for r in records:
        assert r.account is not None
        gpus = sum(h.count for h in r.held or () if h.share is Share.WHOLE)
        found[r.account] += gpus * within.overlap_s(r.started_at, r.ended_at or now)
    return +found


def raw_gpu_seconds(lab: SlurmLab, start: datetime, end: datetime, now: datetime) -> Counter[str]:
    """The same from a raw dump, in ten lines of its own."""
    argv = f"TZ=UTC SLURM_TIME_FORMAT=%s sacct -aXDnP -S {start:%FT%T} -E {end:%FT%T} -o"
    columns = "Account,Start,End,AllocTRES"
    found: Counter[str] = Counter()
    for line in lab.run(["env", *argv.split(), columns]).stdout.decode().splitlines():
        account, began, ended, tres = line.split("|")
        gpus = [int(t.partition("=")[2]) for t in tres.split(",") if t.startswith("gres/gpu=")]
        if gpus and began.isdigit():
            stop = min(int(ended) if ended.isdigit() else now.timestamp(), end.timestamp())
            found[account] += int(gpus[0] * max(0, stop - max(int(began), start.timestamp())))
    return +found


@pytest.fixture
def mixed(lab: SlurmLab, since: datetime) -> Iterator[tuple[dict[str, str], datetime]]:
    """Jobs of many kinds, some over and some not."""
    jobs = {
        "whole": lab.submit("-p", "h100", "--gres=gpu:2"),
        "typed": lab.submit("--gres=gpu:h100:3", user="lab_bob"),
        "bio": lab.submit("-A", "bio", "-p", "a100", "-G", "2", user="lab_bob"),
        "shard": lab.submit("-p", "h100", "--gres=shard:2", user="lab_bob"),
        "mps": lab.submit("-p", "a100", "--gres=mps:50"),
        "multi": lab.submit("-p", "h100", "-N", "2", "--gres=gpu:1"),
        "two kinds": lab.submit("-N", "2", "-w", "h04,a02", "--gres=gpu:1"),
        "array": lab.submit("-p", "h100", "--array=0-3%2", "--gres=gpu:1", script=SHORT),
        "failed": lab.submit(
            *("-p", "cpu", "-J", "a|b\nc=1", "--comment=foundry:abcdef12"),
            script=b"#!/bin/sh\nexit 3\n",
        ),
        "het": lab.submit("-p", "h100", "--gres=gpu:1", ":", "-p", "a100", "--gres=gpu:1"),
        "requeued": lab.submit("--requeue", "-p", "h100", "--gres=gpu:1"),
        "slept": lab.submit("-p", "h100", "--gres=gpu:1"),
        "waits": lab.submit("-p", "cpu", "-N", "2", "-c", "32", "--exclusive"),
    }
    for name in ("whole", "typed", "bio", "shard", "mps", "multi", "two kinds", "requeued"):
        lab.wait(jobs[name], "RUNNING")
    lab.wait(jobs["slept"], "RUNNING")
    lab.wait(jobs["failed"], "FAILED")
    lab.run(["scontrol", "suspend", jobs["slept"]])
    lab.run(["scontrol", "requeue", jobs["requeued"]])
    lab.run(["scancel", jobs["whole"]])
    lab.wait(jobs["whole"], "CANCELLED")
    until(lambda: lab.states(jobs["array"]) == {"COMPLETED"}, 40, "the array to be over", 0.2)
    lab.run(["scontrol", "resume", jobs["slept"]])
    yield jobs, since


def settled(lab: SlurmLab, adapter: SlurmAdapter, given: Window) -> list[UsageRecord]:
    """The records once accounting has heard of all that the controller knows is over."""

    def caught_up() -> bool:
        argv = ["env", "TZ=UTC", "squeue", "-h", "-a", "-t", "all", "-o", "%A %T %V"]
        told = (line.split() for line in lab.run(argv).stdout.decode().splitlines())
        ours = {job: state for job, state, submit in told if submit >= f"{given.start:%FT%T}"}
        newest = {r.raw_id: r.state for r in read(adapter, given)}
        return all(state == _word(newest.get(job)) for job, state in ours.items())

    def _word(state: RunState | None) -> str:
        return "PENDING" if state is None else WORDS[state]

    until(caught_up, 30, "accounting to catch up", 0.3)
    return read(adapter, given)


def test_every_kind_of_job_as_it_was(
    lab: SlurmLab, adapter: SlurmAdapter, mixed: tuple[dict[str, str], datetime]
) -> None:
    jobs, since = mixed
    found = settled(lab, adapter, window(since))
    tries: dict[str, list[UsageRecord]] = {}
    for record in found:
        tries.setdefault(record.native_id, []).append(record)

    def one(name: str) -> UsageRecord:
        (only,) = tries[jobs[name]]
        return only

    assert one("whole").held == (HeldGpus("h100", 2, 2000),)
    assert one("whole").state is RunState.CANCELLED
    assert one("typed").held == (HeldGpus("h100", 3, 3000),)
    assert one("bio").account == "bio"
    assert one("shard").held == (HeldGpus("h100", 2, 500, Share.SHARD),)
    assert one("mps").held == (HeldGpus("a100", 50, 500, Share.MPS),)
    assert one("multi").nodes == ("h01", "h02")
    assert set(one("two kinds").held or ()) == {
        HeldGpus("h100", 1, 1000),
        HeldGpus("a100", 1, 1000),
    }
    assert one("failed").submit_token == "abcdef12"  # slurmdbd has a comment when a job is over
    assert one("failed").name == "a|b␊c=1"
    assert (one("failed").exit_code, one("failed").held) == (3, ())
    assert one("slept").suspended_s > 0
    assert {f"{jobs['array']}_{i}" for i in range(4)} <= set(tries)
    assert [tries[f"{jobs['het']}+{i}"][0].het_offset for i in (0, 1)] == [0, 1]
    assert [r.gpu_count for i in (0, 1) for r in tries[f"{jobs['het']}+{i}"]] == [1, 1]
    first, *_ = tries[jobs["requeued"]]
    assert (first.state, first.ended_at is not None) == (RunState.REQUEUED, True)
    assert all(r.doubt is None for r in found)


def test_r03_the_json_of_sacct_says_the_same_field_by_field(
    lab: SlurmLab, adapter: SlurmAdapter, mixed: tuple[dict[str, str], datetime]
) -> None:
    _, since = mixed
    lab.run(["scancel", "--quiet", *mixed[0].values()], check=False)
    until(lambda: not lab.run(["squeue", "-h"]).stdout.strip(), 40, "every job to end", 0.3)
    given = window(since)
    records = settled(lab, adapter, given)
    told = by_json(lab, f"{given.start:%FT%T}", f"{given.end:%FT%T}")
    names = {r.native_id: str(r.name) for r in records}
    ours = by_text(records, WORDS)
    assert len(ours) >= 18
    for theirs, mine in zip(told, ours, strict=True):
        # the name is the only field that is made safe to show
        assert (*theirs[:-1], names[str(theirs[1])]) == mine
    assert [t[-1] for t in told if "|" in str(t[-1])] == ["a|b\nc=1"]


def test_r01_r10_the_gpu_seconds_are_those_of_a_raw_dump(
    lab: SlurmLab, adapter: SlurmAdapter, mixed: tuple[dict[str, str], datetime]
) -> None:
    _, since = mixed
    settled(lab, adapter, window(since))
    now = datetime.now(UTC).replace(microsecond=0)
    middle = since + (now - since) / 2
    middle = middle.replace(microsecond=0)
    assert since < middle < now
    sums = []
    for start, end in ((since, now), (since, middle), (middle, now)):
        given = Window(start, end)
        sums.append(gpu_seconds(read(adapter, given), given, now))
        assert sums[-1] == raw_gpu_seconds(lab, start, end, now)
    assert sums[0]["ml"] > 0 < sums[0]["bio"]
    assert sums[0] == sums[1] + sums[2]


def test_r04_a_job_that_became_smaller_is_not_counted_twice(
    lab: SlurmLab, adapter: SlurmAdapter, since: datetime
) -> None:
    job = lab.submit("-p", "h100", "-N", "2", "--gres=gpu:1")
    lab.wait(job, "RUNNING")
    time.sleep(2.1)  # so that there is time before the change
    lab.run(["scontrol", "update", f"JobId={job}", "NumNodes=1"])
    lab.run(["scancel", job])
    lab.wait(job, "CANCELLED")

    def both() -> bool:
        return [r.ended_at is not None for r in read(adapter, window(since))] == [True, True]

    until(both, 20, "both pieces to be over", 0.2)
    large, small = sorted(read(adapter, window(since)), key=lambda r: len(r.nodes), reverse=True)
    assert (large.gpu_count, small.gpu_count) == (2, 1)
    assert large.started_at is not None
    assert large.ended_at is not None
    assert large.ended_at > large.started_at
    assert small.started_at == large.ended_at
    assert small.started_at == small.submitted_at


def test_r05_what_was_cancelled_before_its_time_did_not_start(
    lab: SlurmLab, adapter: SlurmAdapter, since: datetime
) -> None:
    job = lab.submit("--begin=now+1hour", "-p", "h100", "--gres=gpu:1")
    lab.run(["scancel", job])
    later = Window(since, since + timedelta(hours=3))
    until(lambda: bool(read(adapter, later)), 20, "it to be accounted for", 0.2)
    (record,) = read(adapter, later)
    assert (record.state, record.started_at, record.held) == (RunState.CANCELLED, None, ())


def test_r11_a_job_that_the_controller_lost_is_in_doubt(
    lab: SlurmLab, adapter: SlurmAdapter, since: datetime
) -> None:
    """The row is made so: slurmctld sends an end again and again until slurmdbd has it."""
    job = lab.submit("-p", "h100", "--gres=gpu:1")
    lab.wait(job, "RUNNING")
    until(lambda: len(read(adapter, window(since))) == 1, 20, "it to be accounted for", 0.2)
    (record,) = read(adapter, window(since))
    assert (record.ended_at, record.doubt) == (None, None)
    lab.run(["scancel", job])
    lab.wait(job, "CANCELLED")
    until(lambda: read(adapter, window(since))[0].ended_at is not None, 20, "its end", 0.2)
    sql(
        lab,
        f"UPDATE lab_job_table SET id_job = 987654, time_end = 0, state = 1 WHERE id_job = {job}",
    )
    try:
        (lost,) = read(adapter, window(since))
        assert lost.raw_id == "987654"
        assert (lost.state, lost.ended_at) == (RunState.RUNNING, None)
        assert lost.doubt is not None
        assert "does not know it any more" in lost.doubt
    finally:
        sql(lab, "DELETE FROM lab_job_table WHERE id_job = 987654")


def test_peaks_come_from_the_steps(lab: SlurmLab, adapter: SlurmAdapter, since: datetime) -> None:
    """The nodes of the lab measure no GPU: slurmdbd is given what such nodes send."""
    job = lab.submit("-p", "h100", "--gres=gpu:1", script=SHORT)
    lab.wait(job, "COMPLETED")

    def steps() -> bytes:
        return lab.run(["sacct", "-n", "-P", "-j", f"{job}.batch", "-o", "State"]).stdout

    until(lambda: steps().strip() == b"COMPLETED", 20, "the step to be over", 0.2)
    until(lambda: [r.ended_at is None for r in read(adapter, window(since))] == [False], 20, "it")
    sql(lab, "INSERT INTO tres_table (creation_time, type, name) VALUES (1, 'gres', 'gpuutil')")
    try:
        sql(
            lab,
            "UPDATE lab_step_table SET tres_usage_in_max = CONCAT((SELECT id FROM tres_table "
            "WHERE name = 'gpuutil'), '=87') WHERE job_db_inx = "
            f"(SELECT job_db_inx FROM lab_job_table WHERE id_job = {job})",
        )
        restart_slurmdbd(lab)
        (record,) = read(adapter, window(since))
        assert record.gpu_util_peak_pct == 87.0
    finally:
        sql(lab, "DELETE FROM tres_table WHERE name = 'gpuutil'")
        restart_slurmdbd(lab)


def test_r12_accounts_and_own_totals(
    lab: SlurmLab, adapter: SlurmAdapter, request: pytest.FixtureRequest
) -> None:
    """slurmdbd sums up whole hours, which no test waits for: it is given two hours' sums."""
    assert isinstance(adapter, Bookkeeper)
    # so many that no later test minds, should slurmctld not hear that they are taken off again
    limit = ["sacctmgr", "-i", "modify", "account", "bio", "set"]
    lab.run([*limit, "GrpTRES=gres/gpu=36"])
    request.addfinalizer(lambda: lab.run([*limit, "GrpTRES=gres/gpu=-1"]))
    found = {a.name: a for a in adapter.accounts()}
    assert (found["ml"].parent, found["ml"].quota_gpu_milli) == ("root", None)
    assert (found["bio"].parent, found["bio"].quota_gpu_milli) == ("root", 36_000)
    assert found["root"].parent is None
    hour = int(time.time()) // 3600 * 3600 - 7200
    gpu = "(SELECT id FROM tres_table WHERE type = 'gres' AND name = 'gpu')"
    sql(
        lab,
        "INSERT INTO lab_usage_hour_table (creation_time, id_tres, time_start, count, alloc_secs) "
        f"VALUES (0, {gpu}, {hour}, 40, 7602)",
    )
    for account, user, used in (
        ("ml", "lab_alice", 7000),
        ("ml", "lab_bob", 500),
        ("bio", "lab_bob", 60),
        ("ml", "", 42),
    ):
        sql(
            lab,
            "INSERT INTO lab_assoc_usage_hour_table (creation_time, id, id_tres, time_start, "
            f"alloc_secs) SELECT 0, id_assoc, {gpu}, {hour}, {used} FROM lab_assoc_table "
            f"WHERE acct = '{account}' AND user = '{user}'",
        )
    request.addfinalizer(lambda: sql(lab, "DELETE FROM lab_usage_hour_table"))
    request.addfinalizer(lambda: sql(lab, "DELETE FROM lab_assoc_usage_hour_table"))
    start = datetime.fromtimestamp(hour - 60, UTC)
    totals = adapter.own_totals(Window(start, start + timedelta(hours=1, minutes=5)))
    assert totals is not None
    assert totals.window.start == datetime.fromtimestamp(hour, UTC)
    assert totals.window.end == datetime.fromtimestamp(hour + 3600, UTC)
    assert totals.gpu_s == {"bio": 60, "ml": 7500}
    assert any("ml: 42 GPU-seconds of no user" in note for note in totals.notes)


def test_a_slurmdbd_that_is_down_is_an_error_that_says_so(
    lab: SlurmLab, adapter: SlurmAdapter, since: datetime
) -> None:
    with lab.dbd_down():
        with pytest.raises(Unavailable, match="slurmdbd does not answer"):
            list(adapter.usage(window(since)))
        with pytest.raises(Unavailable):
            adapter.accounts()
        with pytest.raises(Unavailable):
            adapter.own_totals(Window(since - timedelta(hours=3), since))


def test_a_controller_that_is_down_leaves_the_rows_and_a_note(
    lab: SlurmLab, adapter: SlurmAdapter, since: datetime
) -> None:
    """No job runs meanwhile: a controller that comes back to one counts its GPUs wrong (22.05)."""
    job = lab.submit("-p", "cpu", script=SHORT)
    lab.wait(job, "COMPLETED")

    def ended() -> bool:
        return [r.ended_at is not None for r in read(adapter, window(since))] == [True]

    until(ended, 20, "its end", 0.2)
    sql(lab, f"UPDATE lab_job_table SET time_end = 0, state = 1 WHERE id_job = {job}")
    try:
        with lab.controller_down():
            (part,) = adapter.usage(window(since))
    finally:
        sql(lab, f"DELETE FROM lab_job_table WHERE id_job = {job}")
    assert [r.raw_id for r in part.records] == [job]
    assert (part.records[0].ended_at, part.records[0].doubt) == (None, None)
    assert any("still run is not known" in note for note in part.notes)
