"""Rows of `sacct`, hostile ones too: what is read, what is rejected, and that nothing is lost."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.run import RunState
from foundry_tui.estate.usage import HeldGpus, UsageRecord
from foundry_tui.schedulers.slurm.accounting import sacct
from tests.schedulers.slurm.accounting.sacctrows import MARK, T0, at, ids, parsed, record, row

HOSTILE = (
    b"a|b",
    b"two\nlines",
    b"\n8" + b"|RUNNING" * 20,
    b"\n999",
    b"=1+1",
    b"\xff\xfe",
    b"\x1b[31mred",
    b"\x1f",
    b"\x1fabcdefg",
    b"",
    b"n" * 4096,
    "abc\u202ecba".encode(),
)


def test_a_plain_row() -> None:
    found = record()
    assert (found.source, found.native_id, found.raw_id) == ("lab", "7", "7")
    assert (found.user, found.account, found.queue, found.qos) == ("ada", "ml", "h100", "normal")
    assert found.state is RunState.COMPLETED
    assert (found.submitted_at, found.eligible_at) == (at(T0), at(T0))
    assert (found.started_at, found.ended_at) == (at(T0 + 10), at(T0 + 110))
    assert found.held == (HeldGpus("h100", 2, 2000),)
    assert (found.gpu_count, found.gpu_milli, found.gpu_model) == (2, 2000, "h100")
    assert (found.cpu_milli, found.memory_bytes, found.time_limit_s) == (2000, 1000 << 20, 3600)
    assert (found.nodes, found.exit_code, found.work_dir) == (("h01",), 0, "/home/ada")
    assert (found.reservation, found.het_offset, found.doubt) == (None, None, None)


def test_a_record_is_one_like_any_other() -> None:
    """It is filled in by a quicker way than the class's own."""
    found = record()
    again = UsageRecord(**{f.name: getattr(found, f.name) for f in fields(UsageRecord)})
    assert type(found) is UsageRecord
    assert (found, hash(found), repr(found)) == (again, hash(again), repr(again))
    assert replace(found, name=found.name) == found
    with pytest.raises(FrozenInstanceError):
        found.user = "eve"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("word", "state", "code", "exit_code"),
    [
        ("COMPLETED", RunState.COMPLETED, "0:0", 0),
        ("FAILED", RunState.FAILED, "3:0", 3),
        ("CANCELLED by 20001", RunState.CANCELLED, "0:15", 143),
        ("TIMEOUT", RunState.TIMEOUT, "0:0", 0),
        ("OUT_OF_MEMORY", RunState.OUT_OF_MEMORY, "0:125", 253),
        ("NODE_FAIL", RunState.NODE_FAIL, "1:0", 1),
        ("PREEMPTED", RunState.PREEMPTED, "0:0", 0),
        ("DEADLINE", RunState.FAILED, "0:0", 0),
        ("REQUEUED", RunState.REQUEUED, "0:0", 0),
        ("RESIZING", RunState.COMPLETED, "0:0", 0),
        ("SOMETHING_NEW", RunState.UNKNOWN, "0:0", 0),
    ],
)
def test_states_of_what_is_over(word: str, state: RunState, code: str, exit_code: int) -> None:
    found = record(State=word, ExitCode=code)
    assert (found.state, found.exit_code) == (state, exit_code)


def test_what_still_runs_has_no_end_and_no_exit_code() -> None:
    found = record(State="RUNNING", End="Unknown")
    assert (found.state, found.ended_at, found.exit_code) == (RunState.RUNNING, None, None)
    requeued = record(State="REQUEUED", Start="Unknown", End="Unknown", AllocTRES="")
    assert requeued.state is RunState.PENDING


def test_r03_free_text_of_any_kind_forges_nothing() -> None:
    rows = [row(JobIDRaw=str(i), JobID=str(i), JobName=name) for i, name in enumerate(HOSTILE)]
    found, rejects = parsed(*rows)
    assert rejects == []
    assert [r.raw_id for r in found] == [str(i) for i in range(len(HOSTILE))]
    assert all(r.name.isprintable() for r in found)
    for cell in ("Comment", "WorkDir", "Reservation", "Account"):
        found, rejects = parsed(*(row(**{cell: name}) for name in HOSTILE), row(JobID="last"))
        assert rejects == []
        assert ids(found) == ["7"] * len(HOSTILE) + ["last"]


@given(
    st.lists(
        st.tuples(st.binary(max_size=12), st.binary(max_size=12), st.binary(max_size=12)),
        min_size=1,
        max_size=6,
    )
)
def test_r03_no_text_moves_a_row(texts: list[tuple[bytes, bytes, bytes]]) -> None:
    rows = [
        row(JobIDRaw=str(i), Comment=comment, WorkDir=folder, JobName=name)
        for i, (comment, folder, name) in enumerate(texts)
    ]
    found, rejects = parsed(*rows)
    assert rejects == []
    assert [(r.raw_id, r.user, r.gpu_count) for r in found] == [
        (str(i), "ada", 2) for i in range(len(texts))
    ]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"JobIDRaw": "x7"}, "JobIDRaw"),
        ({"JobIDRaw": ""}, "JobIDRaw"),
        ({"AllocTRES": "gres/gpu=many"}, "gres/gpu is no number"),
        ({"AllocTRES": "gres/gpu:h100=-1"}, "gres/gpu:h100 is no number"),
        ({"Start": "yesterday"}, "a time makes no sense: 'yesterday'"),
        ({"End": "9" * 30}, "a time makes no sense"),
        ({"NodeList": "h[1-2"}, "host list"),
        ({"Suspended": "long"}, "Suspended is no duration"),
        ({"Suspended": f"{'9' * 25}-00:00:00"}, "Suspended is no duration"),
    ],
)
def test_r03_a_row_that_makes_no_sense_is_counted_and_the_others_are_read(
    given: dict[str, str], says: str
) -> None:
    found, rejects = parsed(row(JobID="before"), row(**given), row(JobID="after"))
    assert ids(found) == ["before", "after"]
    (reject,) = rejects
    assert says in reject


def test_r03_a_row_with_a_field_too_few_or_too_many_spoils_no_other() -> None:
    lines = [row(JobIDRaw=str(i)) for i in range(4)]
    few = lines[1].replace(b"normal" + MARK, b"")
    many = lines[1].replace(b"normal" + MARK, b"normal" + MARK + b"?" + MARK)
    for broken in (few, many):
        found, rejects = parsed(lines[0], broken, *lines[2:])
        assert [r.raw_id for r in found] == ["0", "2", "3"]
        assert any("fields" in reject for reject in rejects)


def test_r03_an_answer_that_was_cut_off_says_so_wherever_it_was_cut() -> None:
    whole = b"".join(row(JobIDRaw=str(i)) for i in range(3))
    for end in range(1, len(whole) - 1):
        found, rejects = parsed(whole[:end])
        lines = whole[:end].count(b"\n")
        assert [r.raw_id for r in found] == [str(i) for i in range(lines)], end
        assert len(rejects) == (0 if whole[:end].endswith(b"\n") else 1), end
    assert parsed(whole)[1] == []
    assert parsed(b"") == ([], [])


@given(st.binary(max_size=400))
def test_nothing_that_sacct_may_print_is_an_exception(noise: bytes) -> None:
    for out in (noise, noise.replace(b"|", MARK), row() + noise + row(), row() + noise + MARK):
        found, rejects = parsed(out)
        assert len(found) + len(rejects) > 0 or not out.strip()


def test_r04_every_try_of_a_job_is_a_record_of_its_own() -> None:
    first = row(State="REQUEUED", End=str(T0 + 50))
    second = row(
        Submit=str(T0 + 50), Eligible=str(T0 + 170), Start=str(T0 + 171), End=str(T0 + 200)
    )
    found, _ = parsed(first, second)
    assert [r.state for r in found] == [RunState.REQUEUED, RunState.COMPLETED]
    assert len({(r.raw_id, r.submitted_at, r.started_at) for r in found}) == 2


def test_r04_the_rest_of_a_job_that_became_smaller_counts_from_the_change_on() -> None:
    """As slurmdbd 22.05.8 has it: the second row keeps the start of the first."""
    large = row(State="RESIZING", Start=str(T0 + 1), End=str(T0 + 60), NodeList="h[01-02]")
    small = row(
        Submit=str(T0 + 60),
        Eligible=str(T0 + 60),
        Start=str(T0 + 1),
        End=str(T0 + 100),
        AllocTRES="gres/gpu=1",
    )
    (first, second), _ = parsed(large, small)
    assert (first.started_at, first.ended_at, first.gpu_count) == (at(T0 + 1), at(T0 + 60), 2)
    assert (second.started_at, second.ended_at, second.gpu_count) == (at(T0 + 60), at(T0 + 100), 1)
    assert first.state is RunState.COMPLETED


def test_r05_what_was_cancelled_before_it_started_did_not_start() -> None:
    """slurmdbd 22.05.8 sets the start of a job with --begin to its end."""
    cancelled = record(
        State="CANCELLED by 0",
        Eligible=str(T0 + 3600),
        Start=str(T0 + 5),
        End=str(T0 + 5),
        AllocTRES="",
        NodeList="None assigned",
    )
    assert (cancelled.started_at, cancelled.ended_at) == (None, at(T0 + 5))
    assert cancelled.held == ()
    in_one_second = record(Start=str(T0 + 5), End=str(T0 + 5))
    assert in_one_second.started_at == at(T0 + 5)


def test_r06_arrays_and_heterogeneous_jobs() -> None:
    found, rejects = parsed(
        row(JobIDRaw="18", JobID="7_2"),
        row(JobIDRaw="7", JobID="7_[4-9%2]", State="PENDING", Start="Unknown", End="Unknown"),
        row(JobIDRaw="10", JobID="10+0"),
        row(JobIDRaw="11", JobID="10+1"),
    )
    assert rejects == []
    assert ids(found) == ["7_2", "7_[4-9%2]", "10+0", "10+1"]
    assert [r.raw_id for r in found] == ["18", "7", "10", "11"]
    assert [r.het_offset for r in found] == [None, None, 0, 1]


def test_the_submit_token_is_read_from_the_comment_alone() -> None:
    assert record(Comment="foundry:abcdef12").submit_token == "abcdef12"
    assert record(Comment="x foundry:abcdef-12 y").submit_token == "abcdef-12"
    assert record(JobName="foundry:abcdef12").submit_token is None


def test_times_are_read_as_seconds_and_as_dates() -> None:
    assert record(Start="2026-11-21T00:00:10").started_at == at(T0 + 10)
    for unset in ("Unknown", "None", "", "0"):
        assert record(Start=unset).started_at is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("00:00:03", 3), ("1-02:03:04", 93784), ("03:04.5", 184), ("", 0)],
)
def test_suspended_time(text: str, seconds: int) -> None:
    assert record(Suspended=text).suspended_s == seconds


def test_limits() -> None:
    assert record(Timelimit="1-00:00:00").time_limit_s == 86400
    assert record(Timelimit="UNLIMITED").time_limit_s is None
    assert record(Timelimit="Partition_Limit").time_limit_s is None


def test_free_text_stands_last() -> None:
    assert sacct.COLUMNS[-3:] == ("Comment", "WorkDir", "JobName")
    assert all(a != b for a, b in pairwise(sacct.COLUMNS))
