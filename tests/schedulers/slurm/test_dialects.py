"""Three dialects of `squeue --json` give the same rows, and what is no job list is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.schedulers.ports import SchedulerError, Unavailable
from foundry_tui.schedulers.slurm.dialects import (
    DialectError,
    decode_jobs,
    decode_version,
    utc_text,
)
from foundry_tui.schedulers.slurm.rows import Held, JobRow

FIXTURES = Path(__file__).parent / "fixtures"
SAMPLES = Path(__file__).parents[3].parent / "shared" / "slurm-lab"
"""Answers of real clusters beside the checkout; most checkouts have none."""

VERSIONS = {"22.05": (22, 5), "23.11": (23, 11), "25.11": (25, 11)}
TRES = "cpu=1,mem=4G,node=1,billing=1"

ROWS = (
    JobRow(
        job_id="101",
        state="RUNNING",
        reason="None",
        user="ada",
        account="ml",
        partition="gpu",
        qos="normal",
        priority="4000",
        tres="cpu=12,mem=48G,node=3,billing=12,gres/gpu=5,gres/gpu:h100=5",
        nodelist="a1,h[1-2]",
        required_nodes="a1",
        features="nvlink",
        reservation="week",
        submit="2026-11-21T00:30:24",
        eligible="2026-11-21T00:30:24",
        start="2026-11-21T00:31:24",
        end="2026-11-21T01:31:24",
        time_limit="60",
        num_nodes="3",
        num_cpus="12",
        exit_code="0",
        name="train",
    ),
    JobRow(
        job_id="102",
        state="PENDING",
        reason="JobHeldUser",
        user="bob",
        account="bio",
        partition="gpu",
        qos="normal",
        priority="0",
        tres=f"{TRES},gres/gpu=1",
        dependency="afterok:101(unfulfilled)",
        submit="2026-11-21T00:30:24",
        time_limit="UNLIMITED",
        num_nodes="1",
        num_cpus="1",
        exit_code="0",
        comment="foundry:0a1b2c3d",
        name="red\x1b[31m\nforged",
    ),
    JobRow(
        job_id="105",
        array_job_id="103",
        array_task="0",
        state="RUNNING",
        reason="None",
        user="ada",
        account="ml",
        partition="gpu",
        qos="normal",
        priority="4000",
        tres=f"{TRES},gres/shard=2",
        nodelist="h1",
        submit="2026-11-21T00:30:24",
        eligible="2026-11-21T00:30:24",
        start="2026-11-21T00:31:24",
        end="2026-11-21T01:31:24",
        time_limit="60",
        num_nodes="1",
        num_cpus="1",
        exit_code="0",
        name="sweep",
    ),
    JobRow(
        job_id="103",
        array_job_id="103",
        array_task="1-9:2%2",
        state="PENDING",
        reason="JobArrayTaskLimit",
        user="ada",
        account="ml",
        partition="gpu",
        qos="normal",
        priority="4000",
        tres=f"{TRES},gres/shard=2",
        sched_nodes="h2",
        submit="2026-11-21T00:30:24",
        start="2026-11-21T02:31:24",
        time_limit="60",
        num_nodes="1",
        num_cpus="1",
        exit_code="0",
        name="sweep",
    ),
    JobRow(
        job_id="106",
        state="COMPLETING",
        reason="None",
        user="ada",
        account="ml",
        partition="gpu",
        qos="normal",
        priority="4000",
        tres=f"{TRES},gres/gpu=1,gres/gpu:h100=1",
        nodelist="h2",
        submit="2026-11-21T00:30:24",
        eligible="2026-11-21T00:30:24",
        start="2026-11-21T00:31:24",
        end="2026-11-21T00:31:54",
        time_limit="60",
        num_nodes="1",
        num_cpus="1",
        exit_code="9",
        name="gone",
    ),
    JobRow(
        job_id="107",
        state="FAILED",
        reason="NonZeroExitCode",
        user="ada",
        account="ml",
        partition="gpu",
        qos="normal",
        priority="4000",
        tres=TRES,
        nodelist="h2",
        submit="2026-11-21T00:30:24",
        eligible="2026-11-21T00:30:24",
        start="2026-11-21T00:31:24",
        end="2026-11-21T00:31:25",
        time_limit="60",
        num_nodes="1",
        num_cpus="1",
        exit_code="768",
        name="broken",
    ),
)


def answer(version: str) -> bytes:
    return (FIXTURES / f"squeue-{version}.json").read_bytes()


def changed(version: str, change: Callable[[dict[str, Any]], None]) -> bytes:
    """A fixture with its first job changed."""
    content = json.loads(answer(version))
    change(content["jobs"][0])
    return json.dumps(content).encode()


@pytest.mark.parametrize("version", VERSIONS)
def test_rows(version: str) -> None:
    told = decode_jobs(answer(version)).rows
    assert len(told) == len(ROWS)
    for row, expected in zip(told, ROWS, strict=True):
        for name in JobRow.__slots__:
            # 22.05 has no field for the nodes that the scheduler has planned.
            wanted = "" if (version, name) == ("22.05", "sched_nodes") else getattr(expected, name)
            assert getattr(row, name) == wanted, (row.job_id, name)


@pytest.mark.parametrize("version", VERSIONS)
def test_held_follows_the_order_of_the_node_table(version: str) -> None:
    assert decode_jobs(answer(version)).held == {
        "101": (
            Held("h1", "gpu", "h100", 2, (0, 1)),
            Held("h2", "gpu", "h100", 2, (4, 6)),
            Held("a1", "gpu", "h100", 1, (3,)),
        ),
        "105": (Held("h1", "shard", "h100", 2, (1,)),),
        "106": (Held("h2", "gpu", "h100", 1, (7,)),),
    }


def test_several_nodes_without_their_order_are_not_guessed() -> None:
    table = decode_jobs(changed("25.11", lambda job: job.update(job_resources=None)))
    assert "101" not in table.held
    assert "106" in table.held


def test_one_detail_for_three_nodes_is_not_believed() -> None:
    data = changed("23.11", lambda job: job.update(gres_detail=["gpu:h100:2(IDX:0-1)"]))
    assert "101" not in decode_jobs(data).held


def test_a_detail_without_devices_holds_nothing() -> None:
    data = changed("25.11", lambda job: job.update(gres_detail=["gpu:0(IDX:N/A)", None, ""]))
    assert decode_jobs(data).held["101"] == ()


def test_two_kinds_of_gres_on_a_node() -> None:
    def both(job: dict[str, Any]) -> None:
        job.update(
            nodes="a1",
            job_resources={"nodes": "a1"},
            gres_detail=["gpu:a100:1(IDX:2),mps:a100:50(IDX:0),nic:1"],
        )

    assert decode_jobs(changed("22.05", both)).held["101"] == (
        Held("a1", "gpu", "a100", 1, (2,)),
        Held("a1", "mps", "a100", 50, (0,)),
    )


@pytest.mark.parametrize(
    ("states", "shown"),
    [
        (["RUNNING"], "RUNNING"),
        (["COMPLETED", "COMPLETING"], "COMPLETING"),
        (["COMPLETING", "CANCELLED"], "COMPLETING"),
        (["RUNNING", "POWER_UP_NODE", "CONFIGURING"], "CONFIGURING"),
        (["PENDING", "REQUEUE_HOLD", "REQUEUED"], "REQUEUED"),
        (["FAILED", "LAUNCH_FAILED"], "FAILED"),
        ([], ""),
    ],
)
def test_flags_count_in_the_order_of_squeue(states: list[str], shown: str) -> None:
    table = decode_jobs(changed("25.11", lambda job: job.update(job_state=states)))
    assert table.rows[0].state == shown


@pytest.mark.parametrize(
    ("limit", "shown"),
    [
        (None, "UNLIMITED"),
        (0xFFFF_FFFF, "UNLIMITED"),
        (0xFFFF_FFFE, ""),
        (90, "90"),
        ({"set": False, "infinite": True, "number": 0}, "UNLIMITED"),
        ({"set": False, "infinite": False, "number": 0}, ""),
        ({"set": True, "infinite": False, "number": 90}, "90"),
    ],
)
def test_time_limit(limit: object, shown: str) -> None:
    table = decode_jobs(changed("22.05", lambda job: job.update(time_limit=limit)))
    assert table.rows[0].time_limit == shown


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        (256, "256"),
        ({"set": True, "infinite": False, "number": 256}, "256"),  # 23.02
        ({"status": ["PENDING"], "return_code": {"set": False}, "signal": {"id": None}}, ""),
        ({"return_code": {"set": True, "number": 200}, "signal": None}, "51200"),
    ],
)
def test_exit_code_is_the_wait_status(code: object, shown: str) -> None:
    table = decode_jobs(changed("23.11", lambda job: job.update(exit_code=code)))
    assert table.rows[0].exit_code == shown


def test_hold_means_priority_0() -> None:
    data = changed("25.11", lambda job: job.update(hold=True))
    assert decode_jobs(data).rows[0].priority == "0"


def test_priority_that_is_not_set_is_not_0() -> None:
    assert (
        decode_jobs(changed("22.05", lambda job: job.update(priority=None))).rows[0].priority == ""
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_names_that_are_not_utf8_keep_their_bytes(version: str) -> None:
    raw = b"tr\xff\xfe\xed\xa0\x80n"
    data = answer(version).replace(b'"name": "train"', b'"name": "' + raw + b'"')
    rows = decode_jobs(data).rows
    assert rows[0].name.encode("utf-8", "surrogateescape") == raw
    assert rows[1:] == decode_jobs(answer(version)).rows[1:]


def test_errors_mean_down_although_the_exit_code_is_0() -> None:
    # As 22.05.8 printed it with munge down.
    data = json.dumps(
        {
            "errors": [
                {
                    "description": "Failed while looking for jobs",
                    "error_number": -1,
                    "error": "Unspecified error",
                    "source": "slurm_load_jobs",
                }
            ],
            "jobs": [],
        }
    ).encode()
    with pytest.raises(Unavailable, match="Failed while looking for jobs: Unspecified error"):
        decode_jobs(data)


def test_the_words_of_an_error_are_made_safe() -> None:
    with pytest.raises(Unavailable) as caught:
        decode_jobs(b'{"errors": [{"description": "a\\u001b[2Jb"}], "jobs": []}')
    assert "␛[2J" in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_an_error_without_words_is_still_an_error() -> None:
    with pytest.raises(Unavailable, match="unnamed"):
        decode_jobs(b'{"errors": [{}], "jobs": []}')


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no JSON"),
        (b"squeue: error: unrecognized option '--json'\n", "unrecognized option"),
        (b"\x1b[2Jboo", "␛"),
        (b'{"jobs": [', "no JSON"),
        (b'{"jobs": [{"job_id": 1, "job_state": "A", "name": "\xff"}', "no JSON"),
        (b"[1]", "Expected `object`"),
        (b"{}", "`jobs`"),
        (b'{"jobs": {}}', "jobs"),
        (b'{"jobs": [{"job_state": "PENDING"}]}', "`job_id`"),
        (b'{"jobs": [{"job_id": 1}]}', "`job_state`"),
        (b'{"jobs": [{"job_id": 1, "job_state": "R", "priority": "high"}]}', "priority"),
        (b'{"jobs": [{"job_id": 1, "job_state": "R", "cpus": {"number": "1"}}]}', "cpus.number"),
        (b'{"jobs": [{"job_id": 1, "job_state": "R", "cpus": "1", "name": "\xff"}]}', "cpus"),
        (
            b'{"jobs": [{"job_id": 1, "job_state": "R", "nodes": "h[2-1]", "gres_detail": ["x"]}]}',
            "`nodes`",
        ),
    ],
)
def test_what_cannot_be_read_is_named(data: bytes, said: str) -> None:
    with pytest.raises(DialectError) as caught:
        decode_jobs(data)
    assert said in str(caught.value)
    assert str(caught.value).isprintable()
    assert isinstance(caught.value, SchedulerError)


@given(st.data())
def test_broken_bytes_are_refused_or_read(data: st.DataObject) -> None:
    whole = answer(data.draw(st.sampled_from(sorted(VERSIONS))))
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 40)))
    middle = data.draw(
        st.binary(max_size=8) | st.sampled_from([b"9" * 99, b"null", b"[[", b"1e999"])
    )
    try:
        table = decode_jobs(whole[:start] + middle + whole[end:])
    except SchedulerError as error:
        assert str(error).isprintable()
    else:
        assert all(isinstance(row.job_id, str) for row in table.rows)


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(DialectError):
        decode_jobs(b'{"x": ' + b"[" * 200_000)


def test_no_jobs_is_an_answer() -> None:
    table = decode_jobs(b'{"errors": [], "jobs": []}')
    assert (table.rows, table.held) == ((), {})


@pytest.mark.parametrize(("version", "told"), VERSIONS.items())
def test_version(version: str, told: tuple[int, int]) -> None:
    assert decode_version(answer(version)) == told


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b'{"meta": {"slurm": {}}}',
        b'{"meta": {"slurm": {"version": {"major":"", "minor":""}}}}',
    ],
)
def test_version_that_is_not_told(data: bytes) -> None:
    assert decode_version(data) is None


def test_version_of_no_json() -> None:
    with pytest.raises(DialectError):
        decode_version(b"slurm 22.05.8")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(1, "1970-01-01T00:00:01"), (0, ""), (-5, ""), (0xFFFF_FFFE, ""), (1 << 70, "")],
)
def test_utc_text(seconds: int, shown: str) -> None:
    assert utc_text(seconds) == shown


def plain(value: Any) -> Any:
    """A number of any dialect as an int or None."""
    if isinstance(value, dict):
        return value["number"] if value["set"] else None
    return value


def clock(value: Any) -> str:
    seconds = plain(value)
    return datetime.fromtimestamp(seconds, UTC).strftime("%FT%T") if seconds else ""


@pytest.mark.parametrize("version", ["22.05", "24.11", "25.11"])
def test_answers_of_real_clusters(version: str) -> None:
    path = SAMPLES / f"samples-{version}" / "squeue.json"
    if not path.is_file():
        pytest.skip("no answers of real clusters beside this checkout")
    data = path.read_bytes()
    jobs = json.loads(data)["jobs"]
    table = decode_jobs(data)
    year, month = version.split(".")
    assert decode_version(data) == (int(year), int(month))
    assert len(table.rows) == len(jobs) > 0
    for row, job in zip(table.rows, jobs, strict=True):
        state = job["job_state"]
        task = plain(job["array_task_id"])
        expected = {
            "job_id": str(job["job_id"]),
            "array_job_id": str(plain(job["array_job_id"]) or ""),
            "array_task": job["array_task_string"] if task is None else str(task),
            "state": state if isinstance(state, str) else " ".join(state),
            "reason": job["state_reason"],
            "user": job["user_name"],
            "account": job["account"],
            "partition": job["partition"],
            "qos": job["qos"],
            "priority": str(plain(job["priority"])),
            "tres": job["tres_alloc_str"] or job["tres_req_str"],
            "nodelist": job["nodes"],
            "sched_nodes": job.get("scheduled_nodes", ""),
            "required_nodes": job["required_nodes"],
            "features": job["features"],
            "dependency": job["dependency"],
            "reservation": job["resv_name"],
            "requeue": str(int(job["requeue"])),
            "submit": clock(job["submit_time"]),
            "eligible": clock(job["eligible_time"]),
            "start": clock(job["start_time"]),
            "end": clock(job["end_time"]),
            "time_limit": str(plain(job["time_limit"])),
            "num_nodes": str(plain(job["node_count"])),
            "num_cpus": str(plain(job["cpus"])),
            "exit_code": "0",
            "comment": job["comment"],
            "name": job["name"],
            "truncated": frozenset(),
        }
        assert {name: getattr(row, name) for name in JobRow.__slots__} == expected
    running = {str(job["job_id"]) for job in jobs if job["gres_detail"]}
    assert set(table.held) == running
    typed = next(
        held for held in table.held.values() if held[0].name == "gpu" and held[0].count == 3
    )
    assert [(h.model, h.indices) for h in typed] == [("h100", (2, 3, 4))]
    shards = sorted(
        h.indices or () for held in table.held.values() for h in held if h.name == "shard"
    )
    assert shards == [(0,), (1,)]
